"""Room time: the clock of Redis, as this node sees it between two looks."""

from __future__ import annotations

import time
from collections import deque

from redis.asyncio import Redis

from liveroom.counts import ROUND_TRIP, Spread

PROBES = 8


class Clock:
    """Keeps the offset of Redis' TIME to the monotonic clock here, from the quickest of the last probes."""

    def __init__(self) -> None:
        self.offset_ms = time.time() * 1000 - time.monotonic() * 1000  # until the first probe
        self.probes: deque[tuple[float, float]] = deque(maxlen=PROBES)  # (round trip, offset), ms
        self.probed_at = 0.0  # monotonic seconds; 0 never
        self.latest = 0.0
        self.round_trips = Spread(ROUND_TRIP)  # of all probes, in seconds

    def now_ms(self) -> float:
        """Milliseconds since the epoch by the room's clock; never goes back."""
        self.latest = max(self.latest, time.monotonic() * 1000 + self.offset_ms)
        return self.latest

    def now(self) -> int:
        return int(self.now_ms())

    def age(self) -> float:
        """Seconds since Redis last told the time."""
        return time.monotonic() - self.probed_at if self.probed_at else float("inf")

    async def probe(self, redis: Redis) -> None:
        start = time.monotonic() * 1000
        seconds, micros = await redis.time()
        end = time.monotonic() * 1000
        self.note(end - start, seconds * 1000 + micros / 1000 - (start + end) / 2)

    def note(self, round_trip: float, offset: float) -> None:
        if self.probes and abs(offset - self.offset_ms) > 1000 + round_trip:
            self.probes.clear()  # the server's clock was set, or it is another server
            self.latest = 0.0
        self.probes.append((round_trip, offset))
        self.round_trips.note(round_trip / 1000)
        self.offset_ms = min(self.probes)[1]
        self.probed_at = time.monotonic()
