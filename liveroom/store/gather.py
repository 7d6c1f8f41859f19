"""Group commit: what many send to one round at once goes to Redis as one call, and is answered when that is durable."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from typing import Any, Generic, TypeVar

import structlog
from redis.exceptions import RedisError

from gameplay.play import Code, Refusal
from liveroom.counts import ROUND_TRIP, Spread
from liveroom.store.scripts import NoRoom

log = structlog.get_logger()

MOST_AT_ONCE = 512
MOST_WAITING = 20_000

UNKNOWN = Refusal(Code.TRY_LATER, {"unknown": True}, "it is not known whether this counted; send it again", 1000)
TOO_MANY = Refusal(Code.TRY_LATER, message="too many at once; send it again", retry_after_ms=1000)

Gate = TypeVar("Gate", bound=Hashable)
Row = TypeVar("Row")
Answer = TypeVar("Answer")


class Gatherer(Generic[Gate, Row, Answer]):
    """One queue and one call in flight for each gate; whoever comes meanwhile goes with the next call.

    ``call`` hands rows to Redis and gives an answer for each, in their order, or one refusal for all.
    """

    def __init__(
        self,
        call: Callable[[Gate, list[Row]], Awaitable[Sequence[Answer] | Refusal]],
        seconds: float,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        crash: Callable[[str], None],
    ) -> None:
        self.call = call
        self.seconds = seconds
        self.spawn = spawn
        self.crash = crash
        self.took = Spread(ROUND_TRIP)  # a call, in seconds
        self.queues: dict[Gate, list[tuple[Row, Callable[[Answer | Refusal], None]]]] = {}

    def add(self, gate: Gate, row: Row, end: Callable[[Answer | Refusal], None]) -> None:
        """``end`` is called once."""
        queue = self.queues.get(gate)
        if queue is None:
            queue = self.queues[gate] = []
            self.spawn(self.empty(gate, queue))
        if len(queue) >= MOST_WAITING:
            return end(TOO_MANY)
        return queue.append((row, end))

    async def ask(self, gate: Gate, row: Row) -> Answer | Refusal:
        done: asyncio.Future[Answer | Refusal] = asyncio.get_running_loop().create_future()
        self.add(gate, row, lambda answer: None if done.done() else done.set_result(answer))
        return await done

    async def empty(self, gate: Gate, queue: list[tuple[Row, Callable[[Answer | Refusal], None]]]) -> None:
        try:
            while queue:
                batch = queue[:MOST_AT_ONCE]
                del queue[:MOST_AT_ONCE]
                answers = await self.hand_in(gate, [row for row, _ in batch])
                self.crash("before_reply")
                if isinstance(answers, Refusal):
                    answers = [answers] * len(batch)
                for (_, end), answer in zip(batch, answers, strict=True):
                    end(answer)
        finally:
            del self.queues[gate]
            for _, end in queue:
                end(UNKNOWN)

    async def hand_in(self, gate: Gate, rows: list[Row]) -> Sequence[Answer | Refusal] | Refusal:
        """What is not answered in time is not sent again here: whoever sent it decides."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self.seconds):
                answers = await self.call(gate, rows)
        except (RedisError, OSError, TimeoutError, NoRoom):
            return UNKNOWN
        except Exception:
            log.exception("what was gathered could not be handed in", gate=str(gate))
            return UNKNOWN
        finally:
            self.took.note(time.perf_counter() - began)
        self.crash("after_lua")
        return answers
