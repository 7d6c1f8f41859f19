"""How many are here, by the time of the stream, and who came back to the next one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from liveroom.sessions import Floats, Ints, Recording, Stretches

BUCKET_SECONDS = 10.0


class Online(NamedTuple):
    """Viewers at the start of each bucket; those who came and went since the bucket before."""

    t: Floats
    viewers: Ints
    joins: Ints
    leaves: Ints


def online_curve(stretches: Stretches, recording: Recording, bucket: float = BUCKET_SECONDS) -> Online:
    """Each viewer once, however many devices. At any time: viewers now = viewers before + joins - leaves."""
    length = recording.end - recording.start
    t = recording.start + np.arange(0, max(length, 0) or bucket, bucket)
    came = np.searchsorted(np.sort(stretches.start), t, side="right")
    went = np.searchsorted(np.sort(stretches.end), t, side="right")
    zero = np.zeros(1, np.int64)
    return Online(t, came - went, np.diff(came, prepend=zero), np.diff(went, prepend=zero))


def peak(online: Online) -> int:
    """PCU, at the starts of the buckets."""
    return int(online.viewers.max(initial=0))


def average(stretches: Stretches, recording: Recording) -> float | None:
    """ACU: viewer seconds by seconds."""
    length = recording.end - recording.start
    return float(np.sum(stretches.end - stretches.start)) / length if length > 0 else None


def return_next(audiences: Sequence[Set[str]]) -> list[float | None]:
    """Of each stream's viewers, the share that came to the next; None where nobody was there. The last has no next."""
    return [len(now & then) / len(now) if now else None for now, then in pairwise(audiences)]


def return_next_overall(audiences: Sequence[Set[str]]) -> float | None:
    """The same over all streams together."""
    pairs = list(pairwise(audiences))
    asked = sum(len(now) for now, _ in pairs)
    return sum(len(now & then) for now, then in pairs) / asked if asked else None


def returning_share(audiences: Sequence[Set[str]]) -> list[float | None]:
    """Of each stream's viewers from the second on, the share that had been to any before."""
    seen: set[str] = set(audiences[0]) if audiences else set()
    shares: list[float | None] = []
    for now in audiences[1:]:
        shares.append(len(now & seen) / len(now) if now else None)
        seen |= now
    return shares


def lifecycle(audiences: Sequence[Set[str]]) -> list[Mapping[str, int]]:
    """From the second stream on: who is new, was there last time, comes back after a break, or was and is not."""
    found: list[Mapping[str, int]] = []
    for n in range(1, len(audiences)):
        now, last, before = audiences[n], audiences[n - 1], set().union(*audiences[: n - 1])
        ever = before | last
        counts = {"new": len(now - ever), "returning": len(now & last), "resurrecting": len((now & before) - last)}
        found.append({**counts, "dormant": len(last - now)})
    return found
