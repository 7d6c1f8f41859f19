"""Group commit: what many send to one round at once goes to Redis as one call, and is answered when that is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from redis.exceptions import RedisError

from gameplay.play import Code, Refusal
from liveroom.ids import Ids
from liveroom.store.clock import Clock
from liveroom.store.rounds import Entered, Gate, Place, Rounds, Row
from liveroom.store.scripts import NoRoom

log = structlog.get_logger()

MOST_AT_ONCE = 512
MOST_WAITING = 20_000

UNKNOWN = Refusal(Code.TRY_LATER, {"unknown": True}, "it is not known whether this counted; send it again", 1000)
TOO_MANY = Refusal(Code.TRY_LATER, message="too many at once; send it again", retry_after_ms=1000)

Answer = Callable[[Place, Entered], None]
Refuse = Callable[[Refusal], None]


class Gatherer:
    """One queue and one call in flight for each round; whoever comes meanwhile goes with the next call."""

    def __init__(
        self,
        rounds: Rounds,
        ids: Ids,
        clock: Clock,
        seconds: float,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        crash: Callable[[str], None],
    ) -> None:
        self.rounds = rounds
        self.ids = ids
        self.clock = clock
        self.seconds = seconds
        self.spawn = spawn
        self.crash = crash
        self.queues: dict[Gate, list[tuple[Row, Answer, Refuse]]] = {}

    def add(self, gate: Gate, row: Row, answer: Answer, refuse: Refuse) -> None:
        """One of the two is called, once."""
        queue = self.queues.get(gate)
        if queue is None:
            queue = self.queues[gate] = []
            self.spawn(self.empty(gate, queue))
        if len(queue) >= MOST_WAITING:
            return refuse(TOO_MANY)
        return queue.append((row, answer, refuse))

    async def empty(self, gate: Gate, queue: list[tuple[Row, Answer, Refuse]]) -> None:
        try:
            while queue:
                batch = queue[:MOST_AT_ONCE]
                del queue[:MOST_AT_ONCE]
                entered = await self.enter(gate, [row for row, _, _ in batch])
                self.crash("before_reply")
                if isinstance(entered, Refusal):
                    for _, _, refuse in batch:
                        refuse(entered)
                else:
                    for (_, answer, _), place in zip(batch, entered.places, strict=True):
                        answer(place, entered)
        finally:
            del self.queues[gate]
            for _, _, refuse in queue:
                refuse(UNKNOWN)

    async def enter(self, gate: Gate, rows: list[Row]) -> Entered | Refusal:
        """What is not answered in time is not sent again here: whoever sent it decides."""
        try:
            async with asyncio.timeout(self.seconds):
                entered = await self.rounds.enter(gate, self.ids.new(self.clock.now_ms()), rows)
        except (RedisError, OSError, TimeoutError, NoRoom):
            return UNKNOWN
        except Exception:
            log.exception("entries could not be made", room=gate.room)
            return UNKNOWN
        self.crash("after_lua")
        return entered
