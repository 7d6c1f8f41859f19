"""The plan does what its scenario asks: by large numbers, with fixed seeds and bounds of four standard errors."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from loadtest.audience.plan import CUT, SILENT, STAYED, Plan, plan_of
from loadtest.audience.scenario import MINUTE, Burst, Giveaway, Reconnects, Scenario, evening
from loadtest.audience.truth import cut_at
from tests.loadtest.audience import NEVER, known, quiet

SURE = 4.0  # standard errors


def rate(plan: Plan, ages: tuple[float, float], during: tuple[float, float] = (0.0, np.inf)) -> tuple[int, float]:
    """Departures at these ages in this part of the show, and how long viewers were there then; all in minutes."""
    truth = known(plan)
    settled = cut_at(truth.sessions, truth.recording.end - truth.recording.grace)
    low = np.maximum(settled.start + ages[0] * MINUTE, during[0] * MINUTE)
    high = np.minimum(settled.start + ages[1] * MINUTE, during[1] * MINUTE)
    ends = settled.start + settled.span
    exposed = np.clip(np.minimum(ends, high) - low, 0, None).sum() / MINUTE
    return int(np.sum(settled.event & (ends >= low) & (ends < high))), float(exposed)


def assert_rate(plan: Plan, per_min: float, ages: tuple[float, float], during: tuple[float, float] = (0, 1e9)) -> None:
    left, exposed = rate(plan, ages, during)
    assert exposed > 0
    assert abs(left - per_min * exposed) < SURE * np.sqrt(per_min * exposed), (left, per_min * exposed, ages)


def bands(scenario: Scenario) -> list[tuple[tuple[float, float], float]]:
    begins = [*(band.from_min for band in scenario.hazard), scenario.minutes]
    return [(ages, band.per_min) for ages, band in zip(pairwise(begins), scenario.hazard, strict=True)]


@pytest.mark.parametrize("reconnects", [NEVER, Reconnects()], ids=["one connection each", "with reconnects"])
def test_leaving_by_age_is_as_the_table_says(reconnects: Reconnects) -> None:
    plan = plan_of(quiet(reconnects=reconnects), seed=7)
    for ages, per_min in bands(plan.scenario):
        assert_rate(plan, per_min, ages)


def test_a_wrong_table_would_be_noticed() -> None:
    plan = plan_of(quiet(), seed=7)
    many = bands(plan.scenario)[:6]  # later ones have some hundred departures: a sixth more is luck there
    for ages, per_min in many:
        with pytest.raises(AssertionError):
            assert_rate(plan, 1.15 * per_min, ages)


def test_a_giveaway_holds_until_its_draw_and_sheds_after_it() -> None:
    gift = Giveaway(what="phone", announced_min=20, drawn_min=30, holds=0.25, sheds=6.0, sheds_min=2.0)
    plan = plan_of(quiet(giveaways=(gift,)), seed=3)
    for ages, per_min in bands(plan.scenario)[:6]:
        assert_rate(plan, per_min, ages, (5, 20))
        assert_rate(plan, 0.25 * per_min, ages, (20, 30))
        assert_rate(plan, 6.0 * per_min, ages, (30, 32))
        assert_rate(plan, per_min, ages, (32, 50))


def test_a_burst_is_seen_in_who_comes_and_in_nothing_else() -> None:
    burst = Burst(at_min=30, viewers=5000, spread_s=30, source="share")
    plan = plan_of(quiet(bursts=(burst,)), seed=3)
    joined = plan.visits.joined / MINUTE
    each_minute, _ = np.histogram(joined, np.arange(61))
    usual = np.delete(each_minute, [30, 31, 32, 33])
    assert np.abs(usual - 1000).max() < SURE * np.sqrt(1000)
    in_a_minute = 5000 * (1 - np.exp(-2))
    assert abs(each_minute[30] - 1000 - in_a_minute) < SURE * np.sqrt(1000 + in_a_minute)
    of_burst = plan.visits.source == plan.sources.index("share")
    assert (int(of_burst.sum()), float(joined[of_burst].min()) >= 30) == (5000, True)
    for ages, per_min in bands(plan.scenario):
        assert_rate(plan, per_min, ages)


def test_an_age_at_leaving_is_exact_for_one_who_is_told_to_leave() -> None:
    """All newcomers at once, a hazard that is nothing but after the draw: they leave then, and not before."""
    gift = Giveaway(what="phone", announced_min=0, drawn_min=10, holds=0.0, sheds=1000.0, sheds_min=60)
    scenario = quiet(per_min=0, bursts=(Burst(0, 500, 1, "ads"),), giveaways=(gift,))
    truth = known(plan_of(scenario, seed=1))
    ends = truth.sessions.start + truth.sessions.span
    assert truth.sessions.event.all()
    assert 600 <= ends.min() < ends.max() < 630


def test_who_comes_back_within_the_grace_has_not_left() -> None:
    """The offline method finds as many sessions as without reconnects, whatever was cut, and on how many devices."""
    cuts = Reconnects(cuts_per_hour=30, back=0, second_device=0.3)
    plan, plain = plan_of(quiet(per_min=100, reconnects=cuts), seed=5), plan_of(quiet(per_min=100), seed=5)
    viewers = len(np.unique(plan.visits.viewer))
    assert len(plan.visits.viewer) > 3 * viewers
    assert np.isin([CUT, SILENT], plan.visits.how).all()
    assert len(known(plan).sessions.span) == viewers == len(known(plain).sessions.span)


def test_who_comes_back_later_begins_a_new_session() -> None:
    plan = plan_of(quiet(per_min=100, reconnects=Reconnects(cuts_per_hour=0, back=0.3, second_device=0)), seed=5)
    viewers, sessions = len(np.unique(plan.visits.viewer)), known(plan).sessions
    assert len(sessions.span) == len(plan.visits.viewer) > 1.1 * viewers


def test_some_reconnects_are_on_another_node_and_some_on_two_at_once() -> None:
    visits = plan_of(quiet(per_min=100, reconnects=Reconnects()), seed=5).visits
    order = np.lexsort((visits.joined, visits.viewer))
    viewer, node, joined, left = (column[order] for column in (visits.viewer, visits.node, visits.joined, visits.left))
    again = viewer[1:] == viewer[:-1]
    moved = again & (node[1:] != node[:-1])
    assert 0.15 < moved.sum() / again.sum() < 0.35
    assert (again & (joined[1:] < left[:-1])).sum() > 100
    assert set(node.tolist()) == {0, 1}


def test_the_same_seed_is_the_same_audience_and_another_is_not() -> None:
    one, two, other = (plan_of(evening(2000, 30), seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one.visits, two.visits, strict=True))
    assert not np.array_equal(one.visits.joined, other.visits.joined)


def test_visits_are_in_order_and_within_the_show() -> None:
    plan = plan_of(evening(5000, 20), seed=1)
    visits = list(plan.each())
    assert [one.joined for one in visits] == sorted(one.joined for one in visits)
    assert all(0 <= one.joined <= one.left and one.joined <= 1200 for one in visits)
    assert all((one.how == "stream_end") == (one.left == np.inf) for one in visits)
    assert {one.source for one in visits} == {"feed", "follow", "search", "share", "ads"}
    assert abs(len(np.unique(plan.visits.viewer)) - 5000) < SURE * np.sqrt(5000)
    assert (plan.visits.how == STAYED).any()
