"""How long viewers stay: the Kaplan–Meier curve, and the numbers that are read from it.

Who is still here has not left, so nobody may be counted as having stayed only as long as we have seen him: he counts as
present up to there and as unknown behind it (right-censored). Who was here before the recording began counts from then
on (delayed entry). Definitions and sources: ``docs/retention.md``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from liveroom.sessions import Bools, Floats, Ints, Sessions

Z = 1.959963984540054  # of the normal distribution, for 95 %
FEW = 30  # at risk: a curve is grey where there are fewer
RMST_SECONDS = 1800.0
BOUNCE_SECONDS = 3.0
ROUNDING = 1e-12


class Curve(NamedTuple):
    """The share that stays longer than ``t``: one row for each time at which somebody left."""

    t: Floats
    n: Ints  # at risk just before
    d: Ints  # left
    s: Floats
    lo: Floats  # 95 % pointwise, log-log; nan where s is 0 or 1
    hi: Floats

    def thinned(self, most: int) -> Curve:
        """Not more than so many rows, evenly, and always the last."""
        where = np.unique(np.linspace(0, len(self.t) - 1, min(most, len(self.t))).astype(np.int64))
        t, n, d, *shares = self
        return Curve(t[where], n[where], d[where], *(share[where] for share in shares))


def at_risk(entry: Floats, span: Floats, t: Floats) -> Ints:
    """How many had come and not gone just before each t; at t = 0 everybody who was there from the start."""
    gone = np.searchsorted(np.sort(span), t, side="left")
    come = np.searchsorted(np.sort(entry), t, side="left")
    n = come - gone
    return np.where(t == 0, np.count_nonzero(entry == 0), n)


def stay_curve(entry: Floats, span: Floats, event: Bools) -> Curve:
    """Kaplan–Meier with Greenwood's variance. At one time departures come before those who are censored."""
    t, d = np.unique(span[event], return_counts=True)
    n = at_risk(entry, span, t)
    with np.errstate(divide="ignore", invalid="ignore"):
        s = np.cumprod(1 - d / n).astype(np.float64)
        deviation = np.sqrt(np.cumsum(d / (n * (n - d))))
        lo, hi = log_log(s, deviation)
    return Curve(t, n, d, s, lo, hi)


def log_log(s: Floats, deviation: Floats) -> tuple[Floats, Floats]:
    """The interval that never leaves (0, 1)."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        width = np.exp(Z * deviation / np.abs(np.log(s)))
        inner = (s > 0) & (s < 1)
        return np.where(inner, s**width, np.nan), np.where(inner, s ** (1 / width), np.nan)


def quantile(curve: Curve, share: float = 0.5) -> float | None:
    """The first time at which at most this share is left; None if that was not reached."""
    reached = np.flatnonzero(curve.s <= share + ROUNDING)
    return float(curve.t[reached[0]]) if len(reached) else None


def mean_stay(curve: Curve, until: float) -> float:
    """The area under the curve up to there (restricted mean survival time), in seconds."""
    inside = curve.t < until
    edges = np.concatenate(([0.0], curve.t[inside], [until]))
    heights = np.concatenate(([1.0], curve.s[inside]))
    return float(np.sum(np.diff(edges) * heights))


def horizon(entry: Floats, span: Floats) -> float | None:
    """How far the curve can be trusted: the last time at which enough are at risk, at most half an hour."""
    times = np.unique(span)
    enough = times[at_risk(entry, span, times) >= FEW]
    return min(RMST_SECONDS, float(enough[-1])) if len(enough) else None


def bounce(sessions: Sessions) -> float | None:
    """The share of the sessions that ended within three seconds."""
    if not len(sessions.span):
        return None
    return float(np.mean((sessions.span < BOUNCE_SECONDS) & sessions.event))
