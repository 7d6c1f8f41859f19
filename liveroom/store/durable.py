"""Whether an answer of the server is on disk, and what has to be waited for where it is not.

An answer that is worth money leaves only behind the fsync: the server itself waits (``appendfsync always``), or WAITAOF
is called on the same connection behind the script, for inside a script it does not wait. With replicas one of them must
have it too. Where neither can be had, nothing is sold, unless the setting ``durability`` is "relaxed".
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, ResponseError

from gameplay.play import Code, Refusal
from liveroom.store import scripts
from liveroom.store.scripts import Word
from liveroom.store.server import Report, examine

LOOK_SECONDS = 5.0  # between two looks at how the server is configured

WEAK_DURABILITY = Refusal(
    Code.WEAK_DURABILITY,
    message="Redis may lose what it acknowledges: set appendonly yes, appendfsync always and maxmemory-policy"
    ' noeviction, or allow it with durability = "relaxed"',
)


class Grade(Struct, frozen=True):
    """What is behind an answer: ``waits`` is the command that has to be answered first, if any."""

    durable: bool
    waits: tuple[Word, ...] = ()


class Durability:
    """Calls scripts so that their answers are durable. ``relaxed``: sells also where they cannot be."""

    def __init__(self, redis: Redis, *, relaxed: bool, seconds: float) -> None:
        self.redis = redis
        self.relaxed = relaxed
        self.wait_ms = int(seconds * 1000)
        self.grade = Grade(False)
        self.looked = float("-inf")

    async def look(self) -> Grade:
        """How durable an answer is now. Raises redis-py's errors."""
        now = time.monotonic()
        if now - self.looked > LOOK_SECONDS:
            self.grade = await self.graded(await examine(self.redis))
            self.looked = now
        return self.grade

    async def graded(self, report: Report) -> Grade:
        if report.eviction not in ("noeviction", ""):
            return Grade(False)
        always = report.appendonly == "yes" and report.appendfsync == "always"
        replicas = 1 if report.replicas else 0
        if always:
            return Grade(True, ("WAIT", 1, self.wait_ms) if replicas else ())
        waits = ("WAITAOF", 1, replicas, self.wait_ms)
        return Grade(True, waits) if await self.can_wait(waits) else Grade(False)

    async def can_wait(self, waits: tuple[Word, ...]) -> bool:
        """An old server knows no WAITAOF; one without an append-only file refuses it."""
        try:
            async with self.redis.pipeline(transaction=False) as pipeline:
                pipeline.execute_command(*waits)
                await pipeline.execute()
        except ResponseError:
            return False
        return True

    async def refusal(self) -> Refusal | None:
        """Why nothing may be sold now, if so. Raises redis-py's errors."""
        grade = await self.look()
        return None if grade.durable or self.relaxed else WEAK_DURABILITY

    @property
    def remark(self) -> dict[str, str]:
        """What every answer has to say of it."""
        return {} if self.grade.durable else {"durability": "relaxed"}

    async def call(self, redis: Redis, name: str, keys: Sequence[str], args: Sequence[Word]) -> Any:
        """One verb, like ``scripts.call``. Raises TimeoutError where it is not known to be durable in time."""
        waits = (await self.look()).waits
        if not waits:
            return await scripts.call(redis, name, keys, args)
        try:
            answer, waited = await self.both(redis, name, keys, args, waits)
        except NoScriptError:
            await scripts.load(redis)
            answer, waited = await self.both(redis, name, keys, args, waits)
        if not reached(waits, waited):
            raise TimeoutError("the answer is not known to be durable")
        return scripts.checked(answer)

    async def both(
        self, redis: Redis, name: str, keys: Sequence[str], args: Sequence[Word], waits: Sequence[Word]
    ) -> list[Any]:
        """The script and the wait, on one connection."""
        async with redis.pipeline(transaction=False) as pipeline:
            scripts.queue(pipeline, name, keys, args)
            pipeline.execute_command(*waits)
            return await pipeline.execute()


def reached(waits: Sequence[Word], waited: Any) -> bool:
    if waits[0] == "WAIT":
        return int(waited) >= 1
    here, there = waited
    return bool(here >= 1 and there >= int(waits[2]))
