"""How often somebody may do something: token buckets that are asked with the time as an argument."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from msgspec import Struct

from gameplay.play import Code, Refusal


class Rate(NamedTuple):
    """So many a second, and so many at once."""

    per_second: float
    burst: float

    def shared(self, homes: int) -> Rate:
        """The part of one node where the viewer sits on several: refills slower, same burst."""
        return Rate(self.per_second / max(1, homes), self.burst)


LIKES = Rate(20, 60)
OTHER = Rate(10, 30)
STAFF = Rate(20, 60)
LONGEST_WAIT = 3600  # seconds that somebody is told to wait, however few a rate allows


class Bucket(Struct, gc=False):
    """Tokens left, as of ``at`` (seconds); time that goes back refills nothing."""

    tokens: float
    at: float

    def wait(self, rate: Rate, now: float, n: float = 1) -> float:
        """Seconds until ``n`` tokens are there; 0 if they are. Takes none."""
        self.tokens = min(rate.burst, self.tokens + max(0.0, now - self.at) * rate.per_second)
        self.at = now
        return max(0.0, (n - self.tokens) / rate.per_second)

    def spend(self, n: float = 1) -> None:
        self.tokens -= n

    def take(self, rate: Rate, now: float, n: float = 1) -> float:
        """Take ``n`` tokens, or tell how many seconds to wait for them."""
        wait = self.wait(rate, now, n)
        if wait == 0:
            self.spend(n)
        return wait

    def most(self, rate: Rate, now: float, n: int) -> int:
        """Take as many of ``n`` as there are."""
        self.wait(rate, now)
        counted = max(0, min(n, int(self.tokens)))
        self.spend(counted)
        return counted


def full(rate: Rate, now: float) -> Bucket:
    return Bucket(rate.burst, now)


def too_fast(wait: float) -> Refusal:
    """The refusal of somebody who has to wait so many seconds."""
    wait_ms = max(1, ceil(min(wait, LONGEST_WAIT) * 1000))
    return Refusal(Code.RATE_LIMITED, message="too fast; try again later", retry_after_ms=wait_ms)
