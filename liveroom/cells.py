"""Curves whose cost does not depend on the audience: sessions counted in cells, by how long they lasted.

``D[k]`` counts who left after a stay of cell k, ``O[b]`` who is still here, by when he came. Everybody still here is
re-binned by his age and counts as present up to there (right-censored), so a query costs the number of cells.
Cells are 1 s wide up to a minute, 5 s up to ten, 10 s up to an hour, then a minute, up to a week; most stay empty. The
curve falls where those who left within a cell left on average, so that many who leave at once are seen there.
Definitions: ``docs/retention.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from liveroom.retention import Curve, log_log
from liveroom.sessions import Floats, Ints

WEEK = 7 * 86_400
JOIN_SECONDS = 10.0  # who is here is counted by when he came, to that


def edges_of_cells() -> Floats:
    widths = ((60, 1), (600, 5), (3600, 10), (WEEK, 60))
    edges, at = [0.0], 0.0
    for end, width in widths:
        edges += np.arange(at + width, end + width / 2, width).tolist()
        at = end
    return np.array(edges)


EDGES = edges_of_cells()
CELLS = len(EDGES) - 1


def cell_of(seconds: float) -> int:
    """The cell of a stay of so many seconds."""
    return int(np.clip(np.searchsorted(EDGES, seconds, side="right") - 1, 0, CELLS - 1))


class Counts(NamedTuple):
    """What is known of some sessions: who left and who was censored, by cell; who is here, by the second he came."""

    left: Ints
    stayed: Floats  # seconds, of those who left, added up
    censored: Ints
    here: Mapping[int, int]  # start of the bucket, in seconds -> how many

    @staticmethod
    def empty() -> Counts:
        return Counts(np.zeros(CELLS, np.int64), np.zeros(CELLS), np.zeros(CELLS, np.int64), {})


def present_by_age(here: Mapping[int, int], now: float) -> Ints:
    """Those who are still here, by the cell of how long they have been: from the middle of their bucket on."""
    ages = np.zeros(CELLS, np.int64)
    if here:
        came = np.fromiter(here.keys(), np.float64, len(here))
        count = np.fromiter(here.values(), np.int64, len(here))
        age = np.maximum(now - np.minimum(came + JOIN_SECONDS / 2, now), 0.0)
        cell = np.clip(np.searchsorted(EDGES, age, side="right") - 1, 0, CELLS - 1)
        np.add.at(ages, cell, count)
    return ages


def curve_of(counts: Counts, now: float) -> Curve:
    """Kaplan–Meier over the cells.

    Within a cell departures come before those who are censored there, as at one time of the exact curve.
    """
    gone = counts.left
    unknown = counts.censored + present_by_age(counts.here, now)
    at_risk = np.cumsum((gone + unknown)[::-1])[::-1]
    where = np.flatnonzero(gone)
    n, d = at_risk[where], gone[where]
    with np.errstate(divide="ignore", invalid="ignore"):
        s = np.cumprod(1 - d / n).astype(np.float64)
        lo, hi = log_log(s, np.sqrt(np.cumsum(d / (n * (n - d)))))
    return Curve(counts.stayed[where] / d, n, d, s, lo, hi)


def horizon_of(counts: Counts, now: float, few: int, most: float) -> float | None:
    """The last time at which enough are compared, at most ``most`` seconds."""
    at_risk = np.cumsum((counts.left + counts.censored + present_by_age(counts.here, now))[::-1])[::-1]
    enough = np.flatnonzero(at_risk >= few)
    return min(most, float(EDGES[enough[-1] + 1])) if len(enough) else None


def counts_from(fields: Mapping[str, int]) -> dict[str, Counts]:
    """By cohort. Fields are ``O:cohort:bucket``, ``D:cohort:cell:reason``, ``T:cohort:cell`` (ms that those who left
    had stayed) and ``X:cohort:cell`` (censored)."""
    found: dict[str, Counts] = {}
    for name, number in fields.items():
        kind, cohort, place, *_ = name.split(":")
        counts = found.setdefault(cohort, Counts.empty()._replace(here={}))
        match kind:
            case "O":
                counts.here[int(place)] = number  # type: ignore[index]
            case "D":
                counts.left[int(place)] += number
            case "T":
                counts.stayed[int(place)] += number / 1000
            case "X":
                counts.censored[int(place)] += number
    return found


def together(parts: Mapping[str, Counts]) -> Counts:
    """All cohorts as one."""
    total = Counts.empty()
    here: dict[int, int] = {}
    for one in parts.values():
        total = Counts(total.left + one.left, total.stayed + one.stayed, total.censored + one.censored, here)
        for bucket, count in one.here.items():
            here[bucket] = here.get(bucket, 0) + count
    return total._replace(here=here)
