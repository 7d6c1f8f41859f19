"""Likes on their way to Redis: added up here, flushed four times a second, each flush counted once."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from redis.asyncio import Redis
from redis.exceptions import RedisError

from liveroom.store import scripts
from liveroom.store.keys import keys_of

PERIOD = 0.25
MOST_VIEWERS = 500  # in one call

Counts = dict[str, int]


class Likes:
    """What the viewers of this node liked and no script has counted yet.

    A flush that was not answered is sent again under its number, and the script
    counts a number once; so a slow Redis loses nothing. A node that is killed
    loses at most what it gathered since its last flush.
    """

    def __init__(self, redis: Redis, shards: int, node: str, seconds: float) -> None:
        self.redis = redis
        self.shards = shards
        self.node = node
        self.seconds = seconds
        self.gathered: defaultdict[str, Counts] = defaultdict(dict)
        self.unanswered: dict[str, tuple[int, Counts]] = {}
        self.numbers: defaultdict[str, int] = defaultdict(int)

    def add(self, room: str, viewer: str, n: int) -> None:
        counts = self.gathered[room]
        counts[viewer] = counts.get(viewer, 0) + n

    async def run(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            await self.flush()

    async def flush(self) -> None:
        self.number()
        if not self.unanswered:
            return
        rooms = list(self.unanswered)
        try:
            async with asyncio.timeout(self.seconds):
                answers = await scripts.run(self.redis, [self.call(room) for room in rooms])
        except (RedisError, OSError, TimeoutError):
            return
        for room, answer in zip(rooms, answers, strict=True):
            if isinstance(answer, list):
                del self.unanswered[room]

    def number(self) -> None:
        """Give the next number to what was gathered in rooms whose last flush was answered."""
        for room in [room for room in self.gathered if room not in self.unanswered]:
            counts = self.gathered.pop(room)
            now = dict(list(counts.items())[:MOST_VIEWERS])
            if rest := {viewer: n for viewer, n in counts.items() if viewer not in now}:
                self.gathered[room] = rest
            self.numbers[room] += 1
            self.unanswered[room] = (self.numbers[room], now)

    def call(self, room: str) -> scripts.Call:
        at = keys_of(room, self.shards)
        number, counts = self.unanswered[room]
        pairs = [word for pair in counts.items() for word in pair]
        return "like", [at.likes, at.likers], [self.node, number, at.crowd, *pairs]
