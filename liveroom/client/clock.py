"""The room's time, from pings."""

from __future__ import annotations

import time
from collections import deque


class Clock:
    """Room time as the best of the last eight pings tells it; to be shown, never to decide by."""

    def __init__(self) -> None:
        self.samples: deque[tuple[float, float]] = deque(maxlen=8)  # round trip, offset

    def heard(self, c0: float, s1: float, s2: float, c1: float) -> None:
        """The four times of a ping in milliseconds: sent here, heard and answered there, heard here."""
        self.samples.append(((c1 - c0) - (s2 - s1), ((s1 - c0) + (s2 - c1)) / 2))

    @property
    def rtt_ms(self) -> float | None:
        return min(self.samples)[0] if self.samples else None

    @property
    def offset_ms(self) -> float:
        return min(self.samples)[1] if self.samples else 0.0

    def now_ms(self) -> float:
        return time.time() * 1000 + self.offset_ms
