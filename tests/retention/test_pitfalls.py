"""Each mistake that is easily made with these numbers: made here, and shown to say something else than we do."""

from itertools import product
from statistics import fmean

import numpy as np
import pytest

from liveroom.online import online_curve, peak
from liveroom.report import report
from liveroom.retention import Curve, horizon, mean_stay, stay_curve
from liveroom.sessions import Recording, stretches_of
from tests.retention.rows import Row, curve_of, sessions, table


def naive(spans: list[float], entry: list[float] | None = None) -> Curve:
    """Everybody who ended has left."""
    return stay_curve(np.array(entry or [0.0] * len(spans)), np.array(spans), np.ones(len(spans), bool))


def share(curve: Curve, t: float) -> float:
    """Who stays longer than t."""
    return float(np.concatenate(([1.0], curve.s))[np.searchsorted(curve.t, t, side="right")])


# the stream that leaves


@pytest.mark.parametrize("reason", ["stream_end", "stream_down"])
def test_the_end_of_a_stream_is_nobodys_departure(reason: str):
    rows = [Row(f"v{n}", n, 600, reason) for n in range(50)]
    found = sessions(rows, 0, 1000)
    assert len(curve_of(found).t) == 0
    assert not found.event.any()
    assert naive(found.span.tolist()).s[-1] == 0


def test_an_outage_is_nobodys_departure_though_they_return_late():
    before = [Row(f"v{n}", 0, 300, "stream_down") for n in range(20)]
    after = [Row(f"v{n}", 500, 700) for n in range(10)]
    found = sessions(before + after, 0, 1000)
    assert sorted(zip(found.span, found.event, strict=True)) == [(200, True)] * 10 + [(300, False)] * 20
    assert share(naive(found.span.tolist()), 300) == 0 < share(curve_of(found), 300) == pytest.approx(2 / 3)


@pytest.mark.parametrize("reason", ["close", "background", "ping_timeout", "conn_error", "kick", "node_lost", "", "?"])
def test_every_other_reason_is_a_departure(reason: str):
    assert sessions([Row("a", 0, 100, reason)], 0, 1000).event.tolist() == [True]


def test_who_went_on_with_another_device_left_when_that_did():
    rows = [Row("a", 0, 300, "stream_down"), Row("a", 10, 400), Row("b", 0, 400, "stream_end"), Row("b", 10, 400)]
    assert sessions(rows, 0, 1000).event.tolist() == [True, False]


# one viewer, many connections


def test_two_devices_are_one_viewer():
    rows = [Row("a", 0, 400), Row("a", 100, 300), Row("a", 200, 600), Row("b", 0, 100)]
    recording = Recording(0, 1000, 60)
    found = report(table(rows), recording)
    assert (found["uv"], found["sessions"], found["watch"]["total"], found["online"]["pcu"]) == (2, 2, 700, 2)
    lengths = [float(row.end - row.joined) for row in rows]
    at_once = max(sum(row.joined <= t < row.end for row in rows) for t in range(1000))
    assert (len(rows), sum(lengths), at_once) == (4, 1100, 3)
    assert share(naive(lengths), 300) == 0.5
    assert [one["s"] for one in found["stay"]["curve"]] == [0.5, 0]
    assert [one["t"] for one in found["stay"]["curve"]] == [100, 600]


def test_a_storm_of_reconnects_is_no_departure():
    rows = [*(Row(f"v{n}", 0, 300, "conn_error") for n in range(40)), *(Row(f"v{n}", 320, None) for n in range(40))]
    assert len(curve_of(sessions(rows, 0, 1000)).t) == 0
    assert share(naive([300.0] * 40 + [680.0] * 40), 300) == 0.5
    recording = Recording(0, 1000, 60)
    online = online_curve(stretches_of(table(rows), recording), recording)
    assert online.viewers[29:33].tolist() == [40, 0, 0, 40]  # and yet nobody was connected


def test_connections_that_touch_are_one_stretch():
    rows = [Row("a", 0, 20), Row("a", 20, 40), Row("a", 40, 40), Row("a", 50, 70)]
    recording = Recording(0, 100, 60)
    stretches = stretches_of(table(rows), recording)
    assert list(zip(stretches.start, stretches.end, strict=True)) == [(0, 40), (50, 70)]
    assert online_curve(stretches, recording).joins.tolist() == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0]


TENTHS = [(n / 10, (n + 600) / 10) for n in range(1000)]


@pytest.mark.parametrize("clock", [0, 1_700_000_000])
def test_a_gap_of_exactly_the_grace_is_none(clock: int):
    for left, back in [*TENTHS, (0.1 + 0.2, 60.3), (0.7 + 0.1, 60.8)]:
        rows = [Row("a", clock - 5, clock + left), Row("a", clock + back, clock + 200)]
        assert len(sessions(rows, clock, clock + 1000).span) == 1


def test_a_gap_of_more_than_the_grace_is_one():
    rows = [Row("a", 0, 10.1), Row("a", 70.101, 80), Row("b", 0, 10), Row("b", 70.00001, 80)]
    assert len(sessions(rows, 0, 1000).span) == 4


def test_subtracting_as_computers_do_would_part_some_of_these():
    assert sum(back - left > 60 for left, back in TENTHS) > 100


def test_sessions_that_are_as_long_as_each_other_are_a_tie():
    rows = [Row("a", 0.1, 0.4), Row("b", 0.3, 0.6), Row("c", 9.6, 9.9)]
    assert len({row.end - row.joined for row in rows}) == 3
    curve = curve_of(sessions(rows, 0, 1000))
    assert (curve.t.tolist(), curve.n.tolist(), curve.d.tolist()) == ([0.3], [3], [3])


# who is still here


def test_who_is_in_grace_at_the_end_is_still_here_up_to_his_last_sign_of_life():
    rows = [Row("a", 0, 100), Row("b", 0, 40)]
    assert sessions(rows, 0, 150).event.tolist() == [False, True]
    assert sessions(rows, 0, 150).span.tolist() == [100, 40]
    assert sessions(rows, 0, 160).event.tolist() == [True, True]  # the grace is over
    assert all(sessions([Row("a", 0, left)], 0, back).event[0] for left, back in TENTHS)


def test_who_has_not_ended_is_still_here_at_the_end():
    found = sessions([Row("a", 0, None), Row("b", 10, 900), Row("c", 20, 100), Row("c", 30, None)], 0, 500)
    assert not found.event.any()
    assert found.span.tolist() == found.watch.tolist() == [500, 490, 480]


def test_an_average_over_those_who_have_left_is_biased():
    lengths = range(100, 2100, 100)
    rows = [Row(f"{join}-{length}", join, join + length) for join, length in product(range(0, 1000, 10), lengths)]
    seen = sessions(rows, 0, 1000, 0)
    until = horizon(seen.entry, seen.span)
    assert until is not None
    truth = fmean(min(length, until) for length in lengths)
    ended = float(seen.span[seen.event].mean())
    all_that_was_seen = float(seen.span.mean())
    assert until > 950
    assert ended < 0.6 * truth
    assert all_that_was_seen < 0.7 * truth
    assert mean_stay(curve_of(seen), until) == pytest.approx(truth, rel=0.02)


def test_an_average_over_lengths_that_are_known_leaves_out_the_most_faithful():
    rows = [Row("a", 0, 100), Row("b", 0, None), Row("c", 0, None)]
    found = report(table(rows), Recording(0, 1000, 60))["watch"]
    assert (found["mean_per_viewer"], found["median_per_viewer"]) == (700, 1000)
    assert fmean(row.left for row in rows if row.left is not None) == 100


# who was here before


def test_after_a_restart_those_who_are_here_count_from_now_on():
    """Half leave after 100 s. Of a hundred who had come 1000 s before the recording only the faithful half is seen."""
    faithful = [Row(f"old{n}", -1000, 500) for n in range(50)]
    new = [Row(f"new{n}", 0, 100 if n < 5 else 1500) for n in range(10)]
    found = sessions(faithful + new, 0, 2000)
    curve = curve_of(found)
    assert (curve.t.tolist(), curve.n.tolist(), curve.d.tolist()) == ([100, 1500], [10, 55], [5, 55])
    assert share(curve, 100) == 0.5
    as_if_seen_all_along = naive(found.span.tolist())
    as_if_come_with_the_recording = naive((found.span - found.entry).tolist())
    assert share(as_if_seen_all_along, 100) == pytest.approx(55 / 60)
    assert share(as_if_come_with_the_recording, 500) == pytest.approx(5 / 60)
    assert share(curve, 500) == 0.5


def test_who_left_before_the_recording_or_as_it_began_is_none_of_it():
    rows = [Row("a", -100, -1), Row("b", -100, 0), Row("c", -100, 0.1), Row("d", 0, 0), Row("e", 2001, 2002)]
    found = sessions(rows, 0, 2000)
    assert found.viewer.tolist() == [2, 3]
    assert (found.entry.tolist(), found.span.tolist()) == ([100, 0], [100.1, 0])
    assert report(table(rows), Recording(0, 2000, 60))["outside"] == 3
    curve = curve_of(found)
    assert (curve.n.min(), curve.s.min()) == (1, 0)
    before = naive([100, 100.1], [100, 100])  # b leaves where nobody is at risk
    assert (before.n[0], np.isfinite(before.s[0])) == (0, np.False_)


def test_watching_counts_within_the_recording_only():
    found = sessions([Row("a", -100, 50), Row("a", 40, 3000)], 0, 2000)
    assert (found.span.tolist(), found.entry.tolist(), found.watch.tolist()) == ([2100], [100], [2000])


# who was here for no time


def test_a_session_of_no_length_is_a_departure_at_once():
    rows = [Row("a", 5, 5), Row("b", 5, 105), Row("c", 5, 205), Row("d", 5, None)]
    found = sessions(rows, 0, 1000)
    curve = curve_of(found)
    assert (curve.t.tolist(), curve.n.tolist()) == ([0, 100, 200], [4, 3, 2])
    assert curve.s == pytest.approx([0.75, 0.5, 0.25])
    without = [span for span in found.span.tolist() if span > 0]
    assert share(naive(without), 0) == 1
    assert share(naive(without), 100) == pytest.approx(2 / 3)


def test_a_session_of_no_length_at_the_very_end_is_no_departure():
    rows = [Row("a", 1000, 1000), Row("b", 999, 1000), Row("c", 0, 0)]
    assert sessions(rows, 0, 1000).event.tolist() == [False, False, True]
    assert curve_of(sessions(rows, 0, 1000)).n.tolist() == [3]


def test_those_who_come_late_are_not_at_risk_at_zero():
    rows = [Row("a", 5, 5), Row("b", 5, 400), Row("old", -50, 400)]
    assert curve_of(sessions(rows, 0, 1000)).n.tolist() == [2, 2, 1]


# nothing at all


def test_an_empty_recording_has_no_numbers():
    found = report(table([]), Recording(0, 0, 60))
    assert (found["uv"], found["sessions"], found["online"]["pcu"], found["online"]["acu"]) == (0, 0, 0, None)
    assert found["stay"] == {
        **{"curve": [], "median": None, "rmst": None, "rmst_seconds": None, "bounce": None},
        **{"left": 0, "still_here": 0, "late_entries": 0},
    }
    recording = Recording(0, 100, 60)
    assert peak(online_curve(stretches_of(table([]), recording), recording)) == 0


def test_bounce_is_the_share_that_was_gone_within_three_seconds():
    rows = [Row("a", 0, 2.9), Row("b", 0, 3), Row("c", 999, 1000), Row("d", 0, 500)]
    assert report(table(rows), Recording(0, 1000, 60))["stay"]["bounce"] == 0.25
