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
WIDTH = 10.0  # seconds of a bucket of joining
PIECES = 6


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


class Come(NamedTuple):
    """How many came within a bucket, and by how many seconds behind its start, added up."""

    n: int
    behind: float


class Counts(NamedTuple):
    """What is known of some sessions: who left and who was censored, by cell; who is here, by when he came."""

    left: Ints
    stayed: Floats  # seconds, of those who left, added up
    censored: Ints
    here: Mapping[int, Come]  # bucket of joining, in seconds since the start -> who came in it

    @staticmethod
    def empty() -> Counts:
        return Counts(np.zeros(CELLS, np.int64), np.zeros(CELLS), np.zeros(CELLS, np.int64), {})


def present_by_age(here: Mapping[int, Come], now: float) -> Floats:
    """Those who are still here, by the cell of how long they have been.

    Of a bucket is known how many came and when on average: they are taken to have come evenly up to that moment, and
    evenly behind it. So whoever came first in it and leaves is compared with the others who came first.
    """
    ages = np.zeros(CELLS)
    if here:
        at = np.fromiter(here.keys(), np.float64, len(here))
        n, behind = (np.fromiter(column, np.float64, len(here)) for column in zip(*here.values(), strict=True))
        mean = np.clip(behind / n, 0, WIDTH)
        late = mean / WIDTH
        steps = np.linspace(0, 1, PIECES)[:, None]
        came = np.concatenate((at + steps * mean, at + mean + steps * (WIDTH - mean)))
        share = np.repeat([n * (1 - late) / PIECES, n * late / PIECES], PIECES, axis=0)
        inside = came <= now
        cell = np.clip(np.searchsorted(EDGES, now - came[inside], side="right") - 1, 0, CELLS - 1)
        ages += np.bincount(cell, share[inside], CELLS)
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
    return Curve(counts.stayed[where] / d, np.rint(n).astype(np.int64), d, s, lo, hi)


def horizon_of(counts: Counts, now: float, few: int, most: float) -> float | None:
    """The last time at which enough are compared, at most ``most`` seconds."""
    at_risk = np.cumsum((counts.left + counts.censored + present_by_age(counts.here, now))[::-1])[::-1]
    enough = np.flatnonzero(at_risk >= few)
    return min(most, float(EDGES[enough[-1] + 1])) if len(enough) else None


# Fields of a stream's cells, each ``kind:cohort:place``. By cell: D left (and why), T the ms that they had stayed,
# X censored, P and Q the same of those who are away. By 10-s bucket of joining: O here, A by how many ms they came
# behind its start; B and E the same of those who are away, who are in O as well.
KINDS = "DTXPQOABE"
Tables = Mapping[str, Mapping[str, Mapping[int, int]]]  # cohort -> kind -> place -> number


def tables_from(fields: Mapping[str, int]) -> Tables:
    tables: dict[str, dict[str, dict[int, int]]] = {}
    for name, number in fields.items():
        if name[0] in KINDS and name[1] == ":":
            kind, cohort, place, *_ = name.split(":")
            kinds = tables.get(cohort)
            if kinds is None:
                kinds = tables[cohort] = {one: {} for one in KINDS}
            at = int(place)
            kinds[kind][at] = kinds[kind].get(at, 0) + number
    return tables


def counts_from(fields: Mapping[str, int], *, gone: bool = False) -> dict[str, Counts]:
    return counts_in(tables_from(fields), gone=gone)


def counts_in(tables: Tables, *, gone: bool = False) -> dict[str, Counts]:
    """By cohort. ``gone``: whoever is away counts as having left; else as here, for he may come back."""
    return {cohort: counted(table, gone) for cohort, table in tables.items()}


def counted(table: Mapping[str, Mapping[int, int]], gone: bool) -> Counts:
    left, stayed = column(table, "D"), column(table, "T") / 1000.0
    here, behind = dict(table.get("O", {})), dict(table.get("A", {}))
    if gone:
        left, stayed = left + column(table, "P"), stayed + column(table, "Q") / 1000.0
        for bucket, count in table.get("B", {}).items():
            here[bucket] = here.get(bucket, 0) - count
            behind[bucket] = behind.get(bucket, 0) - table.get("E", {}).get(bucket, 0)
    when = {bucket: Come(count, behind.get(bucket, 0) / 1000) for bucket, count in here.items() if count > 0}
    return Counts(left, stayed, column(table, "X"), when)


def column(table: Mapping[str, Mapping[int, int]], kind: str) -> Ints:
    found = np.zeros(CELLS, np.int64)
    if numbers := table.get(kind):
        where = np.fromiter(numbers.keys(), np.int64, len(numbers))
        found[where] = np.fromiter(numbers.values(), np.int64, len(numbers))
    return found


def together(parts: Mapping[str, Counts]) -> Counts:
    """All cohorts as one."""
    total = Counts.empty()
    here: dict[int, Come] = {}
    for one in parts.values():
        total = Counts(total.left + one.left, total.stayed + one.stayed, total.censored + one.censored, here)
        for at, count in one.here.items():
            before = here.get(at, Come(0, 0.0))
            here[at] = Come(before.n + count.n, before.behind + count.behind)
    return total._replace(here=here)
