"""What a node counts as it goes along: plain numbers, which whoever is asked how the node does reads off."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from gameplay.play import Code, Command

# Seconds. A tick is 5 to 100 ms long, an answer of Redis takes tenths of a millisecond or the time of an fsync.
LATE = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
ROUND_TRIP = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

CLIENT, LOST = "client", "lost"  # how a connection ended that was not closed here


class Spread:
    """How many of all that was measured were at most so much: a histogram."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def note(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Told(Struct, gc=False):
    """What the viewers of this node were sent."""

    frames: int = 0  # of ticks
    bytes: int = 0
    messages: int = 0  # in them: a message that five viewers were told counts five times
    spared: int = 0  # messages of the crowd that slow viewers were not told, counted alike
    newer: int = 0  # states that gave way to newer ones of their kind before a tick
    events: int = 0  # of rooms' logs
    single_frames: int = 0  # replies, welcomes, letters
    single_bytes: int = 0

    def alone(self, size: int) -> None:
        """Something for one viewer left."""
        if size:
            self.single_frames += 1
            self.single_bytes += size


class Heard:
    """What came from outside: frames, commands, requests; and how connections began and ended."""

    def __init__(self) -> None:
        self.frames = 0
        self.bytes = 0
        self.commands: Counter[type[Command]] = Counter()
        self.refusals: Counter[Code] = Counter()
        self.handshakes: Counter[int] = Counter()  # by the status of the answer
        self.closes: Counter[int | str] = Counter()  # by code; or CLIENT, or LOST
        self.requests: Counter[tuple[str, int]] = Counter()  # by route and status
