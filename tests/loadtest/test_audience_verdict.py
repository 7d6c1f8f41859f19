"""A report without a fault passes, and each fault that one could have turns its own check red."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

from liveroom.report import stay_points
from liveroom.retention import stay_curve
from liveroom.sessions import Recording, Sessions
from loadtest.audience.plan import SILENT, Visits, plan_of
from loadtest.audience.scenario import evening
from loadtest.audience.truth import curve_of, cut_at, departures, truth_of
from loadtest.audience.verdict import SOCKETS, STORE, Bounds, Kept, kept, verdict
from tests.loadtest.audience import honest, known

PLAN = plan_of(evening(4000, 30), seed=1)
TRUTH, HONEST = known(PLAN), honest(PLAN)
LIVE_AT = 1000.0

Report = dict[str, Any]


def live(sessions: Sessions) -> Report:
    return {"stay": {"as_of": LIVE_AT, "curve": stay_points(curve_of(cut_at(sessions, LIVE_AT)))}}


def red(said: Report, bounds: Bounds = STORE, live_said: Report | None = None) -> set[str]:
    checks = verdict(said, [live_said or live(TRUTH.sessions)], TRUTH, bounds)
    return {check.name for check in checks if not check.good}


@pytest.mark.parametrize("bounds", [STORE, SOCKETS])
def test_a_report_without_a_fault_passes(bounds: Bounds) -> None:
    assert red(HONEST, bounds) == set()


def test_a_report_of_nothing_fails() -> None:
    online = {"curve": [], "pcu": 0}
    nothing = {"stay": {"curve": []}, "sessions": 0, "uv": 0, "reasons": {}, "online": online, "watch": {"total": 0}}
    said = verdict(nothing, [], TRUTH, SOCKETS)
    assert not any(check.good for check in said)


def changed(change: Callable[[Report], None]) -> Report:
    said = deepcopy(HONEST)
    change(said)
    return said


FAULTS: dict[str, tuple[Callable[[Report], Any], set[str]]] = {
    "a session too many": (lambda said: said.update(sessions=said["sessions"] + 1), {"sessions"}),
    "a departure that is dropped": (
        lambda said: said["reasons"].update(close=said["reasons"]["close"] - 1),
        {"departures, by how"},
    ),
    "a reason that is another": (
        lambda said: said["reasons"].update(close=said["reasons"]["close"] - 1, kick=1),
        {"departures, by how"},
    ),
    "viewers counted twice": (lambda said: said.update(uv=round(said["uv"] * 1.03)), {"viewers (UV)"}),
    "a peak that never was": (lambda said: said["online"].update(pcu=said["online"]["pcu"] + 60), {"peak (PCU)"}),
    "some who never went": (
        lambda said: [point.update(viewers=point["viewers"] + 60) for point in said["online"]["curve"]],
        {"viewers at once"},
    ),
    "time that nobody watched": (
        lambda said: said["watch"].update(total=said["watch"]["total"] * 1.011),
        {"watch time"},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_turns_its_check_red(fault: str) -> None:
    change, names = FAULTS[fault]
    assert red(changed(change)) == names


def of_curve(sessions: Sessions) -> Report:
    return changed(lambda said: said["stay"].update(curve=stay_points(curve_of(sessions))))


def test_who_is_still_here_counted_as_gone_is_seen_in_the_curve() -> None:
    all_gone = TRUTH.sessions._replace(event=np.ones(len(TRUTH.sessions.event), bool))
    for bounds in (STORE, SOCKETS):
        assert red(of_curve(all_gone), bounds, live(all_gone)) >= {"stay curve"}


def test_an_age_that_is_told_a_second_late_is_seen_in_the_curve() -> None:
    entry, span, event = np.zeros(len(TRUTH.sessions.span)), TRUTH.sessions.span + 1.5, TRUTH.sessions.event
    late = changed(lambda said: said["stay"].update(curve=stay_points(stay_curve(entry, span, event))))
    assert red(late) >= {"stay curve at the ends of cells"}


def test_a_curve_that_is_wrong_only_while_it_runs_is_seen() -> None:
    none_gone = TRUTH.sessions._replace(event=TRUTH.sessions.event & (TRUTH.sessions.span > 60))
    assert red(HONEST, STORE, live(none_gone)) == {"stay curve while it ran"}
    assert red(HONEST, SOCKETS, live(none_gone)) == {"stay curve while it ran"}


def test_the_noticing_time_as_the_end_is_seen() -> None:
    """Who fell silent counts as here for 45 s more."""
    silent, scenario = PLAN.visits.how == SILENT, PLAN.scenario
    visits = PLAN.visits._replace(left=PLAN.visits.left + np.where(silent, scenario.noticed_s, 0.0))
    wrong = honest(PLAN._replace(visits=visits))
    assert red(wrong) >= {"stay curve", "stay curve at the ends of cells"}


def test_who_comes_back_just_at_the_grace_may_count_either_way() -> None:
    recording = Recording(0.0, 900.0, 60.0)
    two = np.zeros(2, np.int64)
    rows = Visits(two, two, two, np.array([1, 100.1]), np.array([40.0, 200.0]), two)
    assert len(truth_of(rows, recording, near_s=0.3).doubtful) == 1
    assert len(truth_of(rows, recording).doubtful) == 0


def test_how_somebody_left_is_how_his_last_connection_ended() -> None:
    viewer, node, how = np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([1, 2, 3])
    rows = Visits(viewer, node, node, np.array([1.0, 2.0, 3.0]), np.array([50.0, 40.0, 45.5]), how)
    assert departures(truth_of(rows, Recording(0.0, 900.0, 60.0))) == {"background": 1, "ping_timeout": 1}


@pytest.mark.parametrize(
    ("played", "name"),
    [
        (Kept(100, 0.1, 1.0, ["3 × a join that failed"], [1, 2]), "nothing failed"),
        (Kept(100, 1.1, 1.0, [], [1, 2]), "the plan was kept"),
        (Kept(100, 0.1, 1.0, [], [7, 7]), "the host's curves moved"),
        (Kept(100, 0.1, 1.0, [], []), "the host's curves moved"),
    ],
)
def test_a_plan_that_was_not_kept_is_told(played: Kept, name: str) -> None:
    assert {check.name for check in kept(played) if not check.good} == {name}
    assert all(check.good for check in kept(Kept(100, 0.1, 1.0, [], [1, 2])))
