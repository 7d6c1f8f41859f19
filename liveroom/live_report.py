"""A stream's numbers while it runs, from the cells that Redis counts; see ``cells.py`` and ``docs/retention.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from liveroom.cells import Cells, Counts, cells_in, curve_of, horizon_of, together
from liveroom.logrank import logrank
from liveroom.report import stay_points
from liveroom.retention import BOUNCE_SECONDS, FEW, RMST_SECONDS, mean_stay, quantile
from liveroom.sessions import Ints
from liveroom.tally import Tally, tally_of

BUCKET = 10  # seconds, of the online curve
COHORT = 300  # seconds of joining that are one row of the map
HIDDEN = 10  # a row or a source with fewer viewers tells too much of each
POINTS_OF_SOURCE = 120
DIGITS = 4  # of shares in the map
PAGE = "docs/retention.md#"
DEFINITIONS = {
    **dict.fromkeys(("uv", "online"), PAGE + "online-curve"),
    **dict.fromkeys(("sessions", "watch", "reasons"), PAGE + "connection-session"),
    **dict.fromkeys(("stay", "provisional", "sources"), PAGE + "stay-curve"),
    **dict.fromkeys(("sources_differ", "cohorts", "interaction"), PAGE + "while-the-stream-runs"),
}


def live_report(
    fields: Mapping[bytes, bytes], distinct: Mapping[str, int], start_ms: int, now_ms: float, grace_ms: int
) -> dict[str, Any]:
    """All numbers of a stream; times in seconds since it began. ``now_ms`` is its end, where it is over."""
    now = max(0.0, (now_ms - start_ms) / 1000)
    settled_at = max(0.0, now - grace_ms / 1000)
    tally = tally_of(fields)
    cells = cells_in(tally, now)
    settled = cells.at(settled_at)
    return {
        "start": start_ms,
        "now": int(now_ms),
        "units": "seconds",
        "definitions": DEFINITIONS,
        "uv": distinct[""],
        "sessions": tally.alone("sessions"),
        "watch": {"total": tally.alone("watch") / 1000, "of": "finished sessions"},
        "stay": {"as_of": settled_at, **stay_of(together(settled))},
        "provisional": provisional(cells, now),
        **sources(cells.cohorts, settled),
        "online": online_of(tally, now),
        "cohorts": cohorts(tally, settled_at),
        "reasons": {why: counted[0] for why, counted in tally.of("R").items()},
        "interaction": interaction(tally, distinct),
    }


def stay_of(counts: Counts, points: int | None = None) -> dict[str, Any]:
    """The stay curve as it is known for sure: who may still come back counts as here."""
    curve, until = curve_of(counts), horizon_of(counts, FEW, RMST_SECONDS)
    n = size(counts)
    return {
        "curve": stay_points(curve.thinned(points) if points else curve),
        "median": quantile(curve),
        "rmst": None if until is None else mean_stay(curve, until),
        "rmst_seconds": until,
        "bounce": int(counts.left[: int(BOUNCE_SECONDS)].sum()) / n if n else None,
        "n": n,
    }


def sources(names: Sequence[str], parts: Sequence[Counts]) -> dict[str, Any]:
    """A curve for each source of viewers, and how surely they are different; sources with few viewers are left out."""
    many = [(name, one) for name, one in sorted(zip(names, parts, strict=True)) if size(one) >= HIDDEN]
    return {
        "sources": {name: stay_of(one, POINTS_OF_SOURCE) for name, one in many},
        "sources_hidden": len(names) - len(many),
        "sources_differ": logrank([one for _, one in many]),
    }


def size(counts: Counts) -> int:
    return round(float(counts.left.sum() + counts.unknown.sum()))


def provisional(cells: Cells, now: float) -> list[dict[str, float]]:
    """The curve as of this moment, if nobody who is away came back: the lower edge of what is not settled yet."""
    (whole,) = cells.summed().at(now, gone=True)
    curve = curve_of(whole)
    return [{"t": t, "s": s} for t, s in zip(curve.t.tolist(), curve.s.tolist(), strict=True)]


def online_of(tally: Tally, now: float) -> dict[str, Any]:
    """Viewers at the start of each bucket; joins and leaves within the bucket before."""
    length = int(now // BUCKET) + 1
    joins, leaves = moves(tally, "J", length), moves(tally, "L", length)
    viewers = np.cumsum(joins - leaves)
    times = range(0, length * BUCKET, BUCKET)
    columns = zip(times, viewers.tolist(), joins.tolist(), leaves.tolist(), strict=False)
    curve = [{"t": t, "viewers": v, "joins": j, "leaves": gone} for t, v, j, gone in columns]
    acu = float(viewers[1:].mean()) if length > 1 else None
    return {"bucket": BUCKET, "curve": curve, "now": int(viewers[-1]), "pcu": int(viewers.max(initial=0)), "acu": acu}


def moves(tally: Tally, kind: str, length: int) -> Ints:
    part = tally.cells(kind)
    return np.bincount(np.minimum(part.places + 1, length), part.n, length + 1).astype(np.int64)


def cohorts(tally: Tally, at: float) -> list[dict[str, Any]]:
    """Of those who joined in the same five minutes, the share that was there later; only where that time has come."""
    came, left = tally.at("M"), tally.of("C")
    steps = int(at // COHORT)
    return [row_of(n, came[n], left.get(str(n), {}), max(0, steps - n - 1)) for n in sorted(came)]


def row_of(n: int, came: int, left: Mapping[int, int], steps: int) -> dict[str, Any]:
    if came < HIDDEN:
        return {"t": n * COHORT, "n": None, "present": None}
    gone = np.cumsum([left.get(step, 0) for step in range(steps)])
    return {"t": n * COHORT, "n": came, "present": [1.0, *(1 - gone / came).round(DIGITS).tolist()]}


def interaction(tally: Tally, distinct: Mapping[str, int]) -> dict[str, Any]:
    """Viewers who did anything of the kind at least once: how many, their share of all, and how many in each minute."""
    minutes, found = tally.of("I"), {}
    for deed in ("light", "medium", "heavy"):
        each = [{"t": minute * 60, "n": n} for minute, n in sorted(minutes.get(deed, {}).items())]
        share = min(1.0, distinct[deed] / distinct[""]) if distinct[""] else None
        found[deed] = {"viewers": distinct[deed], "share": share, "minutes": each}
    return found
