"""Curves whose cost does not depend on the audience: sessions counted in cells, by how long they lasted.

``D[k]`` counts who left after a stay of cell k, ``O[b]`` who is still here, by when he came. Everybody still here is
re-binned by his age and counts as present up to there (right-censored), so a query costs the number of cells.
Cells are 1 s wide up to ten minutes, 5 s up to an hour, then a minute, up to a week; most stay empty. The curve
falls where those who left within a cell left on average, so that many who leave at once are seen there.
Definitions: ``docs/retention.md``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from liveroom.retention import Curve, log_log
from liveroom.sessions import Floats, Ints
from liveroom.tally import Tally

WEEK = 7 * 86_400
BANDS = ((600, 1), (3600, 5), (WEEK, 60))  # cells up to so many seconds, and their width
WIDTH = 10.0  # seconds of a bucket of joining
YOUNG = 600.0  # seconds: so long cells are a second wide
# A bucket is cut into so many pieces before, and so many behind, the moment at which its viewers came on average.
PIECES, OLD_PIECES = 6, 2
# Kinds of cells, all by cohort. By length: left, away, censored. By bucket of joining: here, and of those who is away.
KINDS = "DPXOB"


def edges_of_cells() -> Floats:
    edges, at = [0.0], 0.0
    for end, width in BANDS:
        edges += np.arange(at + width, end + width / 2, width).tolist()
        at = end
    return np.array(edges)


EDGES = edges_of_cells()
CELLS = len(EDGES) - 1


def cells_at(seconds: Floats) -> Ints:
    """The cells of stays of so many seconds."""
    cell = np.full(len(seconds), CELLS - 1)
    at, first = 0, 0
    for end, width in BANDS:
        inside = (seconds >= at) & (seconds < end)
        cell[inside] = first + ((seconds[inside] - at) // width).astype(np.int64)
        first += (end - at) // width
        at = end
    cell[seconds < 0] = 0
    return cell


def cell_of(seconds: float) -> int:
    return int(cells_at(np.array([seconds]))[0])


class Counts(NamedTuple):
    """Sessions by cell: who left, the seconds that those had stayed added up, and who was only seen up to there."""

    left: Floats
    stayed: Floats
    unknown: Floats


class Spread(NamedTuple):
    """Counters by cohort and place: how many, and by how many seconds they lie behind its start, added up."""

    n: Floats
    behind: Floats

    def but(self, those: Spread) -> Spread:
        return Spread(self.n - those.n, self.behind - those.behind)

    def plus(self, those: Spread) -> Spread:
        return Spread(self.n + those.n, self.behind + those.behind)

    def summed(self) -> Spread:
        """All cohorts as one."""
        return Spread(self.n.sum(axis=0, keepdims=True), self.behind.sum(axis=0, keepdims=True))


class Cells(NamedTuple):
    """The cells of a stream, one row for each cohort: sessions that are over or away by cell, open ones by bucket."""

    cohorts: list[str]
    left: Spread
    away: Spread
    censored: Floats
    here: Spread
    away_here: Spread

    def summed(self) -> Cells:
        """All cohorts as one."""
        left, away, here, away_here = (one.summed() for one in (self.left, self.away, self.here, self.away_here))
        return Cells([""], left, away, self.censored.sum(axis=0, keepdims=True), here, away_here)

    def at(self, now: float, *, gone: bool = False) -> list[Counts]:
        """A row for each cohort as of ``now``, in seconds since the start.

        ``gone``: whoever is away counts as having left; else as here.
        """
        left, here = (self.left.plus(self.away), self.here.but(self.away_here)) if gone else (self.left, self.here)
        cells = left.n.shape[1]
        unknown = self.censored + present_by_age(here, now, cells)
        stayed = left.behind + left.n * EDGES[:cells]
        return [Counts(*row) for row in zip(left.n, stayed, unknown, strict=True)]


def cells_in(tally: Tally, now: float) -> Cells:
    parts = {kind: tally.cells(kind) for kind in KINDS}
    names = sorted({name for part in parts.values() for name in part.names})
    longest = max(int(parts[kind].places.max(initial=0)) for kind in "DPX")
    cells, buckets = min(CELLS, max(longest, cell_of(now)) + 1), int(parts["O"].places.max(initial=0)) + 1

    def table(kind: str, column: str, width: int) -> Floats:
        part = parts[kind]
        row = np.array([names.index(name) for name in part.names], np.int64)[part.groups]
        place = row * width + np.minimum(part.places, width - 1)
        return np.bincount(place, getattr(part, column), len(names) * width).reshape(-1, width).astype(np.float64)

    def spread(kind: str, width: int) -> Spread:
        return Spread(table(kind, "n", width), table(kind, "behind", width) / 1000)

    return Cells(
        names,
        spread("D", cells),
        spread("P", cells),
        table("X", "n", cells),
        spread("O", buckets),
        spread("B", buckets),
    )


def present_by_age(here: Spread, now: float, cells: int) -> Floats:
    """Those who are still here, by the cell of how long they have been; a row for each row.

    Of a bucket is known how many came and when on average: they are taken to have come evenly up to that moment, and
    evenly behind it. So whoever came first in it and leaves is compared with the others who came first.
    """
    row, bucket = np.nonzero(here.n > 0)
    at, n = (bucket * WIDTH).astype(np.float64), here.n[row, bucket]
    mean: Floats = np.minimum(np.maximum(here.behind[row, bucket] / n, 0), WIDTH)
    young = now - at < YOUNG + WIDTH
    found = np.zeros(len(here.n) * cells)
    for some, pieces in ((young, PIECES), (~young, OLD_PIECES)):
        came, share = cut_up(at[some], mean[some], n[some], pieces)
        rows = np.broadcast_to(row[some], came.shape)
        inside = came <= now
        cell = np.minimum(cells_at(now - came[inside]), cells - 1)
        found += np.bincount(rows[inside] * cells + cell, share[inside], len(found))
    return found.reshape(len(here.n), cells)


def cut_up(at: Floats, mean: Floats, n: Floats, pieces: int) -> tuple[Floats, Floats]:
    """When the pieces of buckets came, and how many each of them is."""
    late = mean / WIDTH
    steps = np.linspace(0, 1, pieces)[:, None]
    came = np.concatenate((at + steps * mean, at + mean + steps * (WIDTH - mean)))
    return came, np.repeat([n * (1 - late) / pieces, n * late / pieces], pieces, axis=0)


def at_risk(counts: Counts) -> Floats:
    return np.cumsum((counts.left + counts.unknown)[::-1])[::-1]


def curve_of(counts: Counts) -> Curve:
    """Kaplan–Meier over the cells.

    Within a cell departures come before those who are censored there, as at one time of the exact curve.
    """
    where = np.flatnonzero(counts.left)
    n, d = at_risk(counts)[where], counts.left[where]
    with np.errstate(divide="ignore", invalid="ignore"):
        s = np.cumprod(1 - d / n).astype(np.float64)
        lo, hi = log_log(s, np.sqrt(np.cumsum(d / (n * (n - d)))))
    return Curve(counts.stayed[where] / d, np.rint(n).astype(np.int64), d.astype(np.int64), s, lo, hi)


def horizon_of(counts: Counts, few: int, most: float) -> float | None:
    """The last time at which enough are compared, at most ``most`` seconds."""
    enough = np.flatnonzero(at_risk(counts) >= few)
    return min(most, float(EDGES[enough[-1] + 1])) if len(enough) else None


def together(parts: Iterable[Counts]) -> Counts:
    """All cohorts as one."""
    rows = list(parts)
    if not rows:
        return Counts(np.zeros(1), np.zeros(1), np.zeros(1))
    return Counts(*(np.sum(column, axis=0) for column in zip(*rows, strict=True)))
