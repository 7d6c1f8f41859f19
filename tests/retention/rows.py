"""Connections written as rows, and the same numbers by a slow and obvious way."""

import json
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from math import inf
from typing import Any, NamedTuple

from liveroom.listed import read_listed
from liveroom.retention import Curve, stay_curve
from liveroom.sessions import STILL_HERE, Connections, Recording, Sessions, sessions_of

HEADER = "viewer,joined,left,reason"


class Row(NamedTuple):
    viewer: str
    joined: float | Fraction
    left: float | Fraction | None = None
    reason: str = "close"

    @property
    def end(self) -> float | Fraction:
        return inf if self.left is None else self.left


class Stay(NamedTuple):
    """A session, as the model finds it."""

    viewer: str
    start: Fraction
    span: Fraction
    event: bool
    entry: Fraction
    watch: Fraction


class Point(NamedTuple):
    t: Fraction
    n: int
    d: int
    s: Fraction


# by the project's own code


def table(rows: Iterable[Row]) -> Connections:
    """The rows as they come from a file; viewers are numbered in the order of their first line."""
    return read_listed([HEADER, *map(line, rows)]).connections


def line(row: Row) -> str:
    left = "" if row.left is None else repr(float(row.left))
    return f"{row.viewer},{float(row.joined)!r},{left},{row.reason}\n"


def names(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(row.viewer for row in rows))


def sessions(rows: Iterable[Row], start: float, end: float, grace: float = 60) -> Sessions:
    return sessions_of(table(rows), Recording(start, end, grace))


def curve_of(found: Sessions) -> Curve:
    return stay_curve(found.entry, found.span, found.event)


def strict(text: str) -> Any:
    """JSON as everybody reads it: with no NaN and no Infinity."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    return json.loads(text, parse_constant=refuse)


# by loops and fractions


def slow_sessions(rows: Iterable[Row], start: Fraction, end: Fraction, grace: Fraction) -> list[Stay]:
    """By viewer and start."""
    groups: list[list[Row]] = []
    for row in sorted(rows, key=lambda row: (row.viewer, row.joined)):
        last = groups[-1] if groups else []
        if last and last[0].viewer == row.viewer and row.joined - max(one.end for one in last) <= grace:
            last.append(row)
        else:
            groups.append([row])
    found = [slow_session(group, start, end, grace) for group in groups]
    return [one for one in found if one]


def slow_session(group: Sequence[Row], start: Fraction, end: Fraction, grace: Fraction) -> Stay | None:
    came, went = Fraction(group[0].joined), max(row.end for row in group)
    if came > end or (came < start and min(went, end) <= start):
        return None
    censored = went + grace > end or any(row.end == went and row.reason in STILL_HERE for row in group)
    watch = sum((high - low for low, high in union(group, start, end)), Fraction())
    span = Fraction(min(went, end)) - came
    return Stay(group[0].viewer, came, span, not censored, max(start - came, Fraction()), watch)


def union(rows: Iterable[Row], start: Fraction, end: Fraction) -> list[tuple[Fraction, Fraction]]:
    """The pieces between any two neighbouring times that some row covers."""
    clipped = [(max(Fraction(row.joined), start), Fraction(min(row.end, end))) for row in rows]
    edges = sorted({edge for one in clipped for edge in one})
    return [(low, high) for low, high in pairwise(edges) if any(a <= low and high <= b for a, b in clipped)]


def slow_curve(stays: Sequence[Stay]) -> list[Point]:
    """Kaplan–Meier in fractions."""
    points, s = [], Fraction(1)
    for t in sorted({one.span for one in stays if one.event}):
        n, d = len(at_risk(stays, t)), sum(one.event and one.span == t for one in stays)
        s *= 1 - Fraction(d, n)
        points.append(Point(t, n, d, s))
    return points


def at_risk(stays: Sequence[Stay], t: Fraction) -> list[Stay]:
    return [one for one in stays if one.entry < t <= one.span or t == one.entry == 0]


def slow_viewers(rows: Iterable[Row], t: Fraction) -> int:
    return len({row.viewer for row in rows if row.joined <= t < row.end})
