"""A stream's numbers while it runs, from the cells that Redis counts; see ``cells.py`` and ``docs/retention.md``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from liveroom.cells import Counts, Tables, counts_in, curve_of, horizon_of, present_by_age, tables_from, together
from liveroom.report import stay_points
from liveroom.retention import BOUNCE_SECONDS, FEW, RMST_SECONDS, mean_stay, quantile

BUCKET = 10  # seconds, of the online curve
COHORT = 300  # seconds of joining that are one row of the map
HIDDEN = 10  # a row with fewer viewers tells too much of each
DEFINITIONS = "docs/retention.md"

Cells = Mapping[str, int]


def live_report(
    cells: Cells, distinct: Mapping[str, int], start_ms: int, now_ms: float, grace_ms: int
) -> dict[str, Any]:
    """All numbers of a stream; times in seconds since it began. ``now_ms`` is its end, where it is over."""
    now = max(0.0, (now_ms - start_ms) / 1000)
    settled_at = max(0.0, now - grace_ms / 1000)
    tables = tables_from(cells)
    parts = counts_in(tables)
    online = online_of(cells, now)
    return {
        "start": start_ms,
        "now": int(now_ms),
        "units": "seconds",
        "definitions": DEFINITIONS,
        "uv": distinct[""],
        "sessions": cells.get("sessions", 0),
        "watch": {"total": cells.get("watch", 0) / 1000, "of": "finished sessions"},
        "stay": {"as_of": settled_at, **stay_of(together(parts), settled_at)},
        "provisional": provisional(tables, now),
        "sources": {name: stay_of(one, settled_at) for name, one in sorted(parts.items())},
        "online": online,
        "cohorts": cohorts(cells, settled_at),
        "reasons": reasons(cells),
        "interaction": interaction(cells, distinct),
    }


def stay_of(counts: Counts, at: float) -> dict[str, Any]:
    """The stay curve as it is known for sure: who may still come back counts as here."""
    curve, until = curve_of(counts, at), horizon_of(counts, at, FEW, RMST_SECONDS)
    came = round(present_by_age(counts.here, at).sum())
    n = int(counts.left.sum() + counts.censored.sum()) + came
    return {
        "curve": stay_points(curve),
        "median": quantile(curve),
        "rmst": None if until is None else mean_stay(curve, until),
        "rmst_seconds": until,
        "bounce": int(counts.left[: int(BOUNCE_SECONDS)].sum()) / n if n else None,
        "n": n,
    }


def provisional(tables: Tables, now: float) -> list[dict[str, float]]:
    """The curve as of this moment, if nobody who is away came back: the lower edge of what is not settled yet."""
    curve = curve_of(together(counts_in(tables, gone=True)), now)
    return [{"t": t, "s": s} for t, s in zip(curve.t.tolist(), curve.s.tolist(), strict=True)]


def online_of(cells: Cells, now: float) -> dict[str, Any]:
    """Viewers at the start of each bucket; joins and leaves within the bucket before."""
    length = int(now // BUCKET) + 1
    joins, leaves = np.zeros(length + 1, np.int64), np.zeros(length + 1, np.int64)
    for name, number in cells.items():
        kind, _, place = name.partition(":")
        if kind in ("J", "L"):
            (joins if kind == "J" else leaves)[min(int(place) // BUCKET + 1, length)] += number
    viewers = np.cumsum(joins - leaves)
    times = np.arange(length) * BUCKET
    columns = zip(times.tolist(), viewers.tolist(), joins.tolist(), leaves.tolist(), strict=False)
    curve = [{"t": t, "viewers": v, "joins": j, "leaves": gone} for t, v, j, gone in columns]
    acu = float(viewers[1:].mean()) if length > 1 else None
    return {"bucket": BUCKET, "curve": curve, "now": int(viewers[-1]), "pcu": int(viewers.max(initial=0)), "acu": acu}


def cohorts(cells: Cells, at: float) -> list[dict[str, Any]]:
    """Of those who joined in the same five minutes, the share that was there later; only where that time has come."""
    came = {int(name[2:]): number for name, number in cells.items() if name.startswith("M:")}
    left: dict[int, dict[int, int]] = {}
    for name, number in cells.items():
        if name.startswith("C:"):
            row, after = name[2:].split(":")
            left.setdefault(int(row), {})[int(after)] = number
    return [row_of(n, came[n], left.get(n, {}), at) for n in sorted(came)]


def row_of(n: int, came: int, left: Mapping[int, int], at: float) -> dict[str, Any]:
    if came < HIDDEN:
        return {"t": n * COHORT, "n": None, "present": None}
    steps = max(0, int(at // COHORT) - n - 1)
    gone = np.cumsum([left.get(step, 0) for step in range(steps)])
    return {"t": n * COHORT, "n": came, "present": [1.0, *(1 - gone / came).tolist()]}


def interaction(cells: Cells, distinct: Mapping[str, int]) -> dict[str, Any]:
    """Viewers who did anything of the kind at least once: how many, their share of all, and how many in each minute."""
    minutes: dict[str, dict[int, int]] = {}
    for name, number in cells.items():
        if name.startswith("I:"):
            _, deed, minute = name.split(":")
            minutes.setdefault(deed, {})[int(minute)] = number
    found = {}
    for deed in ("light", "medium", "heavy"):
        each = [{"t": minute * 60, "n": n} for minute, n in sorted(minutes.get(deed, {}).items())]
        share = min(1.0, distinct[deed] / distinct[""]) if distinct[""] else None
        found[deed] = {"viewers": distinct[deed], "share": share, "minutes": each}
    return found


def reasons(cells: Cells) -> dict[str, int]:
    """How those who left, left."""
    found: dict[str, int] = {}
    for name, number in cells.items():
        if name.startswith("D:"):
            why = name.rpartition(":")[2] or "close"
            found[why] = found.get(why, 0) + number
    return found
