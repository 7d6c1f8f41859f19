"""Sessions and curves against a model that a child could follow, and what holds for every recording."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveroom.listed import read_listed
from liveroom.online import average, online_curve, peak
from liveroom.report import report
from liveroom.retention import bounce, horizon, mean_stay, quantile, stay_curve
from liveroom.sessions import Connections, Recording, Stretches, sessions_of, stretches_of
from tests.retention.rows import (
    HEADER,
    Row,
    Stay,
    at_risk,
    curve_of,
    line,
    names,
    sessions,
    slow_curve,
    slow_sessions,
    slow_viewers,
    table,
)

REASONS = ["close", "background", "ping_timeout", "conn_error", "kick", "node_lost", "stream_down", "stream_end"]
GRACES = [0, 10, 60]
EPOCH = 1_700_000_000

seconds = st.integers(-100, 400)
tenths = st.integers(-1000, 4000).map(lambda n: Fraction(n, 10)) | seconds.map(Fraction)  # .1 + .2 and the like; ties
lengths = st.integers(0, 1500).map(lambda n: Fraction(n, 10)) | st.integers(0, 15).map(lambda n: Fraction(10 * n))
windows = st.tuples(st.integers(0, 60), st.integers(0, 300), st.sampled_from(GRACES)).map(
    lambda one: Recording(one[0], one[0] + one[1], one[2])
)


@st.composite
def rows(draw: st.DrawFn, times: st.SearchStrategy[Any] = tenths, last: st.SearchStrategy[Any] = lengths) -> Row:
    joined = draw(times)
    left = draw(st.none() | last.map(lambda length: joined + length))
    return Row(draw(st.sampled_from("abcd")), joined, left, draw(st.sampled_from(REASONS)))


listed = st.lists(rows(), max_size=14)
# Whole seconds, so that a bucket of one second sees all there is to see.
whole = st.lists(rows(seconds, st.integers(0, 150)), max_size=14)


def model(found: Sequence[Row], recording: Recording) -> list[Stay]:
    return slow_sessions(found, *(Fraction(one) for one in recording))


@given(listed, windows)
def test_sessions_are_those_of_the_model(found: list[Row], recording: Recording):
    said, known = sessions_of(table(found), recording), model(found, recording)
    viewers = names(found)
    ours = sorted(zip((viewers[n] for n in said.viewer), *said[1:5], strict=True))
    assert ours == sorted((one.viewer, *map(float, one[1:5])) for one in known)
    assert sorted(said.watch) == pytest.approx(sorted(float(one.watch) for one in known), abs=1e-6)


@given(listed, windows)
def test_the_curve_is_that_of_the_model(found: list[Row], recording: Recording):
    curve, known = curve_of(sessions_of(table(found), recording)), slow_curve(model(found, recording))
    ours = list(zip(curve.t, curve.n, curve.d, strict=True))
    assert ours == [(float(one.t), one.n, one.d) for one in known]
    assert curve.s == pytest.approx([float(one.s) for one in known], abs=1e-12)


stays = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.booleans()), max_size=60).map(
    # A session that is seen from late on is longer than that.
    lambda many: [
        Stay("", Fraction(), Fraction(a + b), left, Fraction(a), Fraction()) for a, b, left in many if b or not a
    ]
)


def columns(known: Sequence[Stay]) -> tuple[Any, Any, Any]:
    entry, span = (
        np.array([float(value) for value in one]) for one in ([s.entry for s in known], [s.span for s in known])
    )
    return entry, span, np.array([one.event for one in known], bool)


@given(stays)
def test_a_curve_with_many_ties_and_late_entries_is_that_of_the_model(known: list[Stay]):
    entry, span, event = columns(known)
    curve, slow = stay_curve(entry, span, event), slow_curve(known)
    assert list(zip(curve.t, curve.n, curve.d, strict=True)) == [(one.t, one.n, one.d) for one in slow]
    assert curve.s == pytest.approx([float(one.s) for one in slow], abs=1e-12)
    for share in (Fraction(1, 2), Fraction(1, 4), Fraction(2, 3)):
        at = next((one.t for one in slow if one.s <= share), None)
        assert quantile(curve, float(share)) == at
    until = horizon(entry, span)
    enough = [one.span for one in known if len(at_risk(known, one.span)) >= 30]
    assert until == max(enough, default=None)


@given(stays, st.integers(0, 20))
def test_the_mean_is_the_area_under_the_steps(known: list[Stay], until: int):
    slow = slow_curve(known)
    area = sum(next((one.s for one in reversed(slow) if one.t <= t), Fraction(1)) for t in range(until))
    assert mean_stay(stay_curve(*columns(known)), until) == pytest.approx(float(area), abs=1e-9)


@given(stays)
def test_a_curve_never_rises_and_lies_within_its_band(known: list[Stay]):
    curve = stay_curve(*columns(known))
    assert (np.diff(curve.s, prepend=1.0) <= 0).all()
    assert ((curve.s >= 0) & (curve.s < 1)).all()
    assert ((curve.n >= curve.d) & (curve.d >= 1)).all()
    drawn = curve.s > 0
    assert (np.isnan(curve.lo) == ~drawn).all()
    assert (np.isnan(curve.hi) == ~drawn).all()
    low, s, high = curve.lo[drawn], curve.s[drawn], curve.hi[drawn]
    assert ((low >= 0) & (low <= s) & (s <= high) & (high <= 1)).all()


@given(whole, windows)
def test_viewers_are_those_of_the_model_and_their_sum_is_what_was_watched(found: list[Row], recording: Recording):
    stretches, watched = stretches_of(table(found), recording), sessions_of(table(found), recording).watch.sum()
    online = online_curve(stretches, recording, 1)
    if recording.end > recording.start:
        assert online.viewers.tolist() == [slow_viewers(found, Fraction(t)) for t in online.t]
        assert average(stretches, recording) == pytest.approx(watched / (recording.end - recording.start))
    else:
        assert average(stretches, recording) is None
    assert online.viewers.sum() == watched


@given(listed, windows, st.sampled_from([0.1, 1, 7, 10]))
def test_viewers_are_those_before_and_who_came_less_who_went(found: list[Row], recording: Recording, bucket: float):
    said = report(table(found), recording)
    online = online_curve(stretches_of(table(found), recording), recording, bucket)
    assert online.viewers.tolist() == np.cumsum(online.joins - online.leaves).tolist()
    assert (online.joins >= 0).all()
    assert (online.leaves >= 0).all()
    assert peak(online) <= said["uv"] <= said["sessions"]
    assert average(stretches_of(table(found), recording), recording) == pytest.approx(
        said["watch"]["total"] / (recording.end - recording.start) if recording.end > recording.start else None
    )


@given(listed, windows)
def test_stretches_of_one_viewer_neither_overlap_nor_touch(found: list[Row], recording: Recording):
    said: Stretches = stretches_of(table(found), recording)
    assert (said.end > said.start).all()
    same = said.viewer[1:] == said.viewer[:-1]
    assert (said.start[1:] > said.end[:-1])[same].all()


@given(whole, windows, st.randoms(use_true_random=False))
def test_the_order_of_the_lines_does_not_matter(found: list[Row], recording: Recording, luck: Any):
    shuffled = found.copy()
    luck.shuffle(shuffled)
    assert report(table(shuffled), recording) == report(table(found), recording)


@given(whole, windows, st.data())
def test_a_line_that_is_there_twice_changes_nothing(found: list[Row], recording: Recording, data: st.DataObject):
    twice = [*found, *data.draw(st.lists(st.sampled_from(found), max_size=3) if found else st.just([]))]
    once, again = report(table(found), recording), report(table(twice), recording)
    assert again | {"outside": 0} == once | {"outside": 0}


@given(listed, windows)
def test_the_clock_does_not_matter(found: list[Row], recording: Recording):
    later = [
        row._replace(joined=row.joined + EPOCH, left=None if row.left is None else row.left + EPOCH) for row in found
    ]
    here = sessions(found, *recording)
    there = sessions(later, recording.start + EPOCH, recording.end + EPOCH, recording.grace)
    assert there.event.tolist() == here.event.tolist()
    assert there.span == pytest.approx(here.span, abs=1e-6)
    assert there.entry == pytest.approx(here.entry, abs=1e-6)
    assert there.watch == pytest.approx(here.watch, abs=1e-5)
    ours, theirs = curve_of(here), curve_of(there)
    assert theirs.n.tolist() == ours.n.tolist()
    assert theirs.s.tolist() == ours.s.tolist()


@given(listed, windows)
def test_a_file_that_is_read_says_what_was_written(found: list[Row], recording: Recording):
    said = read_listed([HEADER + "\n", *map(line, found)])
    assert (said.lines, said.broken, said.backward, said.viewers) == (len(found), 0, 0, names(found))
    columns = Connections(
        np.array([said.viewers.index(row.viewer) for row in found], np.int64),
        np.array([float(row.joined) for row in found]),
        np.array([float(row.end) for row in found]),
        np.array([row.reason in ("stream_end", "stream_down") for row in found], bool),
    )
    assert all((ours == theirs).all() for ours, theirs in zip(said.connections, columns, strict=True))
    share = bounce(sessions_of(columns, recording))
    assert share is None or 0 <= share <= 1
