"""The bells: every node hears those of all shards, whoever holds their rooms; a lease keeps two from answering one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

from liveroom.store import keys, scripts

LEASE_MS = 2000
PERIOD = 0.2
SHORTEST = 0.005
MOST_AT_ONCE = 100


class Bells:
    """Polls the bells; ``heard(room, round, what)`` is called for each that is due."""

    def __init__(
        self,
        redis: Redis,
        shards: int,
        seconds: float,
        now_ms: Callable[[], float],
        heard: Callable[[str, str, str], None],
    ) -> None:
        self.redis = redis
        self.seconds = seconds
        self.now_ms = now_ms
        self.heard = heard
        self.calls: list[scripts.Call] = [
            ("ring", [keys.bells(shard)], [LEASE_MS, MOST_AT_ONCE]) for shard in range(shards)
        ]

    async def run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self.seconds):
                    answers = await scripts.run(self.redis, self.calls)
            except (RedisError, OSError, TimeoutError):
                answers = []
            await asyncio.sleep(self.wait(self.hear(answers)))

    def hear(self, answers: list[object]) -> float:
        """Pass on what is due; when the next one is, in ms of room time."""
        soonest = float("inf")
        for answer in answers:
            if isinstance(answer, list):
                due, *bells = answer
                soonest = min(soonest, due if due >= 0 else soonest)
                for bell in bells:
                    room, round_id, what = bell.decode().split("|")
                    self.heard(room, round_id, what)
        return soonest

    def wait(self, soonest: float) -> float:
        """Not later than the next bell."""
        return max(SHORTEST, min(PERIOD, (soonest - self.now_ms()) / 1000))
