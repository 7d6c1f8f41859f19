"""Whether what the server says of its audience is what is true of it: pure functions, one line for each check.

A check that saw nothing is not good.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from liveroom.retention import Curve
from liveroom.sessions import Floats, Sessions
from loadtest.audience.truth import Truth, changes_near, curve_of, cut_at, departures, online, trusted
from loadtest.crowd.verdict import Check

Report = dict[str, Any]

CELLS = ((600.0, 1.0), (3600.0, 5.0), (np.inf, 60.0))  # up to which age, how wide: docs/retention.md
ENDS = np.concatenate((np.arange(0.0, 600, 1), np.arange(600.0, 3600, 5)))
DISTINCT = 0.025  # viewers are counted by HyperLogLog: three times its standard error of 0.8 %


class Bounds(NamedTuple):
    """How far what is said may be off.

    ``near_s``: how exactly the truth's own times are known. Where that is not 0 the show is played fast, so that its
    cells are wide: a departure may be told anywhere within its cell besides, and as whoever leaves within a cell is
    compared with everybody who was seen up to there, the curve may be off by so many ``viewers`` of all more.
    ``online`` and ``watch`` are shares: who falls silent and is back before that is noticed counts as here meanwhile.
    """

    curve: float
    ends: float  # the curve where cells end
    live_curve: float
    near_s: float
    viewers: float
    online: float
    watch: float

    def of(self, curve: float, sessions: Sessions) -> float:
        return curve + self.viewers / max(1, len(sessions.span))


STORE = Bounds(curve=0.005, ends=0.001, live_curve=0.005, near_s=0.0, viewers=0, online=0.01, watch=0.01)
# While it runs, sessions are finished up to a second late: departures of 15 s of a show at 15 times its speed.
SOCKETS = Bounds(curve=0.01, ends=0.01, live_curve=0.03, near_s=0.3, viewers=2, online=0.02, watch=0.02)


def verdict(said: Report, live: Sequence[Report], truth: Truth, bounds: Bounds) -> list[Check]:
    """``said`` when all was over, ``live`` while it ran."""
    bound, live_bound = (bounds.of(curve, truth.sessions) for curve in (bounds.curve, bounds.live_curve))
    return [
        stay("stay curve", [(said, truth.sessions)], bound, bounds.near_s),
        *ends_of_cells(said, truth, bounds),
        stay("stay curve while it ran", [as_known(one, truth) for one in live], live_bound, bounds.near_s),
        sessions(said, truth),
        left(said, truth, bounds),
        viewers(said, truth),
        *at_once(said, truth, bounds),
        watched(said, truth, bounds),
    ]


class Kept(NamedTuple):
    """How well a plan was played."""

    acts: int
    latest_s: float  # the most that anything was behind the plan
    spare_s: float  # by which it may be late before the plan's sessions are others
    faults: Sequence[str]
    pushed: Sequence[int]  # viewers, as the host was told from time to time


def kept(played: Kept) -> list[Check]:
    late = f"comings and goings, {played.latest_s:.2f} s late at most (bound {played.spare_s:g})"
    behind = [f"{played.latest_s:.2f} s"] if played.latest_s > played.spare_s else []
    still = ["the number never changed"] if len(set(played.pushed)) < 2 else []
    return [
        Check("nothing failed", played.acts, "comings and goings", played.faults),
        Check("the plan was kept", played.acts, late, behind),
        Check("the host's curves moved", len(played.pushed), "times told", still),
    ]


# -- the curve --


def as_known(said: Report, truth: Truth) -> tuple[Report, Sessions]:
    return said, cut_at(truth.sessions, said["stay"]["as_of"])


def stay(name: str, pairs: Sequence[tuple[Report, Sessions]], bound: float, near_s: float) -> Check:
    """The largest difference of any of the curves, where enough are compared."""
    found = [apart(curve_of(known), curve_said(said), trusted(known), near_s) for said, known in pairs]
    points = sum(len(curve.t) for curve in (curve_said(said) for said, _ in pairs))
    return curves(name, points, max(found, default=(0.0, 0.0)), bound)


def curves(name: str, points: int, worst: tuple[float, float], bound: float) -> Check:
    off, at = worst
    what = f"points, off by {off:.4f} (bound {bound:.3g})"
    return Check(name, points, what, [f"by {off:.4f} at {at:.1f} s"] if off > bound else [])


class Said(NamedTuple):
    t: Floats
    s: Floats


def curve_said(said: Report) -> Said:
    points = said["stay"]["curve"]
    return Said(np.array([one["t"] for one in points], float), np.array([one["s"] for one in points], float))


def apart(exact: Curve, said: Said, until: float, near_s: float) -> tuple[float, float]:
    """How far off, and at which age: the exact curve may be moved by so much in time as times are uncertain."""
    ages = np.unique(np.concatenate((exact.t, said.t, [0.0])))
    ages = ages[ages <= until]
    slack = near_s + width(ages) if near_s else np.zeros(len(ages))
    high = share(exact.t, exact.s, ages - slack, "left" if near_s else "right")
    low = share(exact.t, exact.s, ages + slack, "right")
    shown = share(said.t, said.s, ages, "right")
    off = np.maximum(shown - high, low - shown)
    worst = int(np.argmax(off)) if len(off) else 0
    return (max(0.0, float(off[worst])), float(ages[worst])) if len(off) else (0.0, 0.0)


def ends_of_cells(said: Report, truth: Truth, bounds: Bounds) -> Iterator[Check]:
    """How many left within a cell is known exactly, but not when within it."""
    if not bounds.near_s:
        known, told = curve_of(truth.sessions), curve_said(said)
        ages = ENDS[trusted(truth.sessions) >= ENDS]
        off = np.abs(share(known.t, known.s, ages, "left") - share(told.t, told.s, ages, "left"))
        at = int(np.argmax(off)) if len(off) else 0
        yield curves("stay curve at the ends of cells", len(told.t), (float(off[at]), float(ages[at])), bounds.ends)


def width(ages: Floats) -> Floats:
    """Of the cell of each age."""
    ends, widths = (np.array(column) for column in zip(*CELLS, strict=True))
    return np.asarray(widths[np.searchsorted(ends, ages, side="right")], np.float64)


def share(t: Floats, s: Floats, ages: Floats, side: Any) -> Floats:
    """Who stays longer than each age; with "left": at least so long."""
    return np.asarray(np.concatenate(([1.0], s))[np.searchsorted(t, ages, side=side)], np.float64)


# -- the numbers --


def number(name: str, said: float, true: float, bound: float, unit: str) -> Check:
    off = abs(said - true)
    what = f"{unit}, {said:g} are said (off by {off:g}, bound {bound:g})"
    return Check(name, round(true), what, [f"{said:g} instead of {true:g}"] if off > bound else [])


def sessions(said: Report, truth: Truth) -> Check:
    return number("sessions", said["sessions"], len(truth.sessions.span), len(truth.doubtful), "sessions")


def left(said: Report, truth: Truth, bounds: Bounds) -> Check:
    """Each way of leaving by itself; noise decides where somebody came back, or the show ended, just at the grace.

    Which of two devices went last is nobody's to say where both went in one millisecond: one of some 100,000 does so.
    """
    true, told = departures(truth), said["reasons"]
    ends = truth.sessions.start + truth.sessions.span
    last = truth.recording.end - truth.recording.grace
    bound = round(len(ends) / 100_000) + len(truth.doubtful) + int(np.sum(np.abs(ends - last) < bounds.near_s))
    ways = sorted(true.keys() | told.keys())
    wrong = [f"{told.get(how, 0)} {how} instead of {true.get(how, 0)}" for how in ways]
    wrong = [text for text, how in zip(wrong, ways, strict=True) if abs(told.get(how, 0) - true.get(how, 0)) > bound]
    off = max((abs(told.get(how, 0) - true.get(how, 0)) for how in ways), default=0)
    return Check("departures, by how", sum(true.values()), f"departures (off by {off}, bound {bound})", wrong)


def viewers(said: Report, truth: Truth) -> Check:
    true = len(np.unique(truth.sessions.viewer))
    return number("viewers (UV)", said["uv"], true, max(1, round(DISTINCT * true)), "viewers")


def at_once(said: Report, truth: Truth, bounds: Bounds) -> Iterator[Check]:
    """Each start of a bucket, and the most of them."""
    exact, shown = online(truth), said["online"]["curve"]
    n = min(int(np.sum(exact.t < truth.recording.end - bounds.near_s)), len(shown))
    true, told = exact.viewers[:n], np.array([point["viewers"] for point in shown[:n]], int)
    peak = int(true.max(initial=0))
    may = np.ceil(bounds.online * peak + changes_near(truth, exact.t[:n], bounds.near_s))
    off = np.abs(told - true)
    wrong = [f"{told[i]} instead of {true[i]} at {exact.t[i]:g} s" for i in np.flatnonzero(off > may)]
    most = [int(np.argmax(true)), int(np.argmax(told))] if n else []
    bound = float(may[most].max(initial=0))
    what = f"moments, off by {off.max(initial=0)} (bound {may.max(initial=0):g} at most)"
    yield Check("viewers at once", n, what, wrong)
    yield number("peak (PCU)", said["online"]["pcu"], peak, bound, "viewers")


def watched(said: Report, truth: Truth, bounds: Bounds) -> Check:
    true = float(truth.sessions.watch.sum())
    return number("watch time", round(said["watch"]["total"]), round(true), round(bounds.watch * true), "seconds")
