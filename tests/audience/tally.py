"""Sessions counted in cells the way the scripts count them, and how far two curves are apart."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from struct import iter_unpack, pack
from typing import NamedTuple

import numpy as np

from liveroom.cells import EDGES
from liveroom.retention import Curve, stay_curve
from liveroom.sessions import Floats
from liveroom.tally import CHUNK, Tally, tally_of

TENTH, COHORT, SECOND = 10_000, 300_000, 1000
PACKED = "DPXOBJL"  # kinds that are counted in chunks of cells
ONE = 1 << 44  # a session in such a cell, here; below it are the ms behind its start
ENDS = EDGES.tolist()


class Stay(NamedTuple):
    """A session; ms since the stream began. ``span`` is None while he is here."""

    start: int
    span: int | None = None
    why: str = "close"
    cohort: str = "direct"


def place(ms: int) -> int:
    """The cell of a stay, by looking it up."""
    return min(bisect_right(ENDS, ms / SECOND) - 1, len(ENDS) - 2)


def behind(ms: int) -> int:
    """By how much a stay is longer than the shortest of its cell."""
    return int(min(ms - round(ENDS[place(ms)] * SECOND), 59_999))


def tenth(ms: int) -> int:
    return max(0, ms // TENTH)


def cells_of(stays: Iterable[Stay]) -> dict[str, int]:
    """What Redis holds of them once nobody is in his grace."""
    found: Counter[str] = Counter()
    for start, span, why, cohort in stays:
        found["sessions"] += 1
        found[f"M:{start // COHORT}"] += 1
        found[f"J::{tenth(start)}"] += ONE
        if span is None:
            found[f"O:{cohort}:{tenth(start)}"] += ONE + start % TENTH
        else:
            found["watch"] += span
            found[f"L::{tenth(start + span)}"] += ONE
            found[f"D:{cohort}:{place(span)}"] += ONE + behind(span)
            found[f"R:{why or 'close'}"] += 1
            found[f"C:{start // COHORT}:{span // COHORT}"] += 1
    return {name: n for name, n in found.items() if n}


def fields(cells: Mapping[str, int]) -> dict[bytes, bytes]:
    """As Redis keeps them."""
    found = {name.encode(): str(n).encode() for name, n in cells.items() if name[0] not in PACKED or ":" not in name}
    chunks: dict[str, list[int]] = {}
    for name, n in cells.items():
        if name[0] in PACKED and ":" in name:
            of, _, place_ = name.rpartition(":")
            chunks.setdefault(f"{of}:{int(place_) // CHUNK}", [0] * CHUNK)[int(place_) % CHUNK] = n
    packed = {name: b"".join(pack(">IQ", n // ONE, n % ONE) for n in chunk) for name, chunk in chunks.items()}
    return found | {name.encode(): blob for name, blob in packed.items()}


def read(kept: Mapping[bytes, bytes]) -> dict[str, int]:
    """What Redis keeps, as the same cells."""
    found: dict[str, int] = {}
    for name, value in kept.items():
        of, _, chunk = name.decode().rpartition(":")
        if of[:1] not in PACKED or not of:
            found[name.decode()] = int(value)
            continue
        for place_, (n, behind_) in enumerate(iter_unpack(">IQ", value)):
            if n or behind_:
                found[f"{of}:{int(chunk) * CHUNK + place_}"] = n * ONE + behind_
    return found


def tally(cells: Mapping[str, int]) -> Tally:
    return tally_of(fields(cells))


def exact_curve(stays: Sequence[Stay], now: int) -> Curve:
    """Everybody who is still here has been so since he came."""
    span = np.array([now - one.start if one.span is None else one.span for one in stays], np.float64) / SECOND
    return stay_curve(np.zeros(len(span)), span, np.array([one.span is not None for one in stays], bool))


def share(curve: Curve, times: Floats, side: str = "right") -> Floats:
    """Who stays longer than each time; ``left``: at least so long."""
    return np.concatenate(([1.0], curve.s))[np.searchsorted(curve.t, times, side=side)]  # type: ignore[call-overload]


def apart(exact: Curve, ours: Curve) -> float:
    """How far two curves are apart at any time."""
    times = np.unique(np.concatenate((exact.t, ours.t, [0.0])))
    return float(np.abs(share(exact, times) - share(ours, times)).max())


def beyond_a_cell(exact: Curve, ours: Curve) -> float:
    """How far ours leaves the exact curve, where a departure may be told anywhere within its cell."""
    times = np.unique(np.concatenate((exact.t, ours.t, [0.0])))
    cell = np.clip(np.searchsorted(EDGES, times, side="right") - 1, 0, len(EDGES) - 2)
    high, low = share(exact, EDGES[cell], "left"), share(exact, EDGES[cell + 1], "left")
    said = share(ours, times)
    return float(np.maximum(said - high, low - said).max(initial=0.0))
