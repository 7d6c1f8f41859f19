"""Connections into sessions: who was here, from when to when, and whether he left or is still here.

Definitions: ``docs/retention.md``. Times are seconds on any one clock; arrays of one length are columns of one table.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

STILL_HERE = ("stream_end", "stream_down")  # reasons that are no departure: it was the stream that left
DIGITS = 6  # of a length: times are written in decimals, and 70.1 - 10.1 shall be 60


class Connections(NamedTuple):
    """One row for each connection. ``viewer`` counts from 0; ``left`` is not finite where it had not ended."""

    viewer: Ints
    joined: Floats
    left: Floats
    stayed: Bools  # it ended because the stream did


class Recording(NamedTuple):
    """From when to when was recorded, and how long one may be away without having left."""

    start: float
    end: float
    grace: float


class Sessions(NamedTuple):
    """One row for each session, by viewer and start. ``span`` counts from the start, also where that was before the
    recording: then ``entry`` says how long the session had lasted when the recording began."""

    viewer: Ints
    start: Floats
    span: Floats
    event: Bools  # he left; else he was still here when he was last seen
    entry: Floats
    watch: Floats  # seconds connected within the recording, two devices at once counted once


class Stretches(NamedTuple):
    """When a viewer was connected without a break, within the recording: one row for each stretch."""

    viewer: Ints
    start: Floats
    end: Floats


def seconds_between(earlier: Floats | float, later: Floats | float) -> Floats:
    """Lengths that are equal as written are equal: a gap of exactly the grace, two sessions of 0.3 s."""
    return np.asarray(later - earlier, np.float64).round(DIGITS)


def in_order(connections: Connections, recording: Recording) -> Connections:
    """By viewer and join; what had not ended lasts beyond the recording."""
    order = np.lexsort((connections.joined, connections.viewer))
    open_ = ~np.isfinite(connections.left[order])
    left = np.where(open_, np.inf, connections.left[order])
    return Connections(connections.viewer[order], connections.joined[order], left, connections.stayed[order] | open_)


def furthest_before(viewer: Ints, left: Floats) -> Floats:
    """For each row the latest end of the same viewer's rows before it; -inf for his first. Exact: no sums of times."""
    ends, rank = np.unique(left, return_inverse=True)
    block = len(ends) + 1
    seen = np.maximum.accumulate(viewer * block + rank) % block
    before = np.concatenate(([0.0], ends[seen[:-1]])) if len(left) else left
    first = np.ones(len(viewer), bool)
    first[1:] = viewer[1:] != viewer[:-1]
    return np.where(first, -np.inf, before)


def sessions_of(connections: Connections, recording: Recording) -> Sessions:
    """Connections with gaps of at most ``grace`` are one session; what lies outside the recording is left out."""
    viewer, joined, left, stayed = rows = in_order(connections, recording)
    if not len(viewer):
        return Sessions(viewer, joined, left, stayed, joined, left)
    before = furthest_before(viewer, left)
    begins = np.flatnonzero(~(seconds_between(before, joined) <= recording.grace))
    ends = np.maximum.reduceat(left, begins)
    last_stayed = stayed_to_the_end(rows, begins, ends)
    watch = np.add.reduceat(watched(rows, before, recording), begins)
    start = joined[begins]
    # Who was away for less than the grace when the recording ended may have come back: he is not known to have left.
    in_grace = seconds_between(ends, recording.end) < recording.grace
    event = ~(last_stayed | in_grace)
    span = seconds_between(start, np.minimum(ends, recording.end))
    entry = np.maximum(seconds_between(start, recording.start), 0.0)
    # Who left as the recording began was at risk at no time of it, and would be a departure out of nobody.
    inside = ((entry == 0) | (span > entry)) & (start <= recording.end)
    found = Sessions(viewer[begins], start, span, event, entry, watch)
    return Sessions._make(column[inside] for column in found)


def stayed_to_the_end(rows: Connections, begins: Ints, ends: Floats) -> Bools:
    """Whether the connection that ended last in a session ended with the stream."""
    session = np.zeros(len(rows.viewer), np.int64)
    session[begins] = 1
    last = rows.left == ends[np.cumsum(session) - 1]
    return np.logical_or.reduceat(rows.stayed & last, begins)


def watched(rows: Connections, before: Floats, recording: Recording) -> Floats:
    """Seconds that each connection adds to what its viewer was connected before, within the recording."""
    low, high = recording.start, recording.end
    begin = np.clip(np.maximum(rows.joined, before), low, high)
    added: Floats = np.maximum(np.clip(rows.left, low, high) - begin, 0.0)
    return added


def stretches_of(connections: Connections, recording: Recording) -> Stretches:
    """Connections that overlap or touch are one stretch."""
    viewer, joined, left, _ = in_order(connections, recording)
    if not len(viewer):
        return Stretches(viewer, joined, left)
    begins = np.flatnonzero(~(joined <= furthest_before(viewer, left)))
    start = np.maximum(joined[begins], recording.start)
    end = np.minimum(np.maximum.reduceat(left, begins), recording.end)
    found = Stretches(viewer[begins], start, end)
    return Stretches._make(column[end > start] for column in found)
