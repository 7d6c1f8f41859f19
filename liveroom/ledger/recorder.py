"""The recorder: facts from the outbox into SQL, and only when they are committed there out of the outbox.

Whatever dies in between, a fact is written once more and not lost; writing it again changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from liveroom.ledger.engine import AWAY, reason
from liveroom.ledger.facts import Fact, Kind, Row, gathered, rows_of
from liveroom.ledger.statements import Statements

log = structlog.get_logger()

MOST_FACTS = 500  # of each shard, in one transaction
MOST_ROWS = 500  # between two turns of the loop: viewers wait meanwhile
AGAIN_SECONDS = 1.0

Taken = Mapping[int, Sequence[tuple[bytes, Fact]]]  # by shard, oldest first, each with its place in the stream


class Outbox(Protocol):
    """Where facts wait. Neither method raises: a fact that is not given, or not removed, comes again."""

    waiting: int  # facts at the last look, in the shards that are ours

    async def take(self, count: int) -> Taken:
        """The oldest facts of each shard that is ours to record; they stay where they are."""

    async def done(self, places: Mapping[int, Sequence[bytes]]) -> None:
        """Forget facts that the ledger has."""


class Recorder:
    """Records the shards that the outbox gives it, until it is cancelled."""

    def __init__(
        self, engine: AsyncEngine, outbox: Outbox, *, seconds: float = 0.2, again_seconds: float = AGAIN_SECONDS
    ) -> None:
        self.engine = engine
        self.outbox = outbox
        self.seconds = seconds
        self.again_seconds = again_seconds
        self.statements = Statements(engine.dialect.name)
        self.lag = 0  # facts that waited at the last look and are not recorded yet
        self.recorded = 0  # facts
        self.healthy = True  # the ledger took the last facts
        self.warned: set[str] = set()

    async def run(self) -> None:
        while True:
            more = await self.step()
            await asyncio.sleep(0 if more else self.seconds if self.healthy else self.again_seconds)

    async def finish(self) -> None:
        """Record what waits, before the node ends."""
        while await self.step():
            pass

    async def step(self) -> bool:
        """Record what waits, up to a limit; tell whether more can be recorded at once."""
        taken = await self.outbox.take(MOST_FACTS)
        self.lag = self.outbox.waiting
        if not taken:
            return False
        try:
            await self.record(taken)
        except AWAY as error:
            self.away(error)
            return False
        self.back()
        await self.outbox.done({shard: [place for place, _ in facts] for shard, facts in taken.items()})
        done = sum(map(len, taken.values()))
        self.recorded += done
        self.lag -= done
        return self.lag > 0

    async def record(self, taken: Taken) -> None:
        rows = await self.read(taken)
        await to_its_end(self.write(rows))
        self.warn(rows.get(Kind.UNREAD, ()))

    async def write(self, rows: Mapping[Kind, list[Row]]) -> None:
        async with self.engine.begin() as connection:
            for kind, alike in rows.items():
                for start in range(0, len(alike), MOST_ROWS):
                    await connection.execute(self.statements.of[kind], alike[start : start + MOST_ROWS])

    async def read(self, taken: Taken) -> Mapping[Kind, list[Row]]:
        found: list[tuple[Kind, Row]] = []
        for shard, facts in taken.items():
            for place, fact in facts:
                found += rows_of(fact, f"{shard}:{place.decode()}")
            await asyncio.sleep(0)
        return gathered(found)

    def warn(self, unread: Sequence[Row]) -> None:
        """One line for each kind of fact that is kept aside, the first time."""
        for row in unread:
            if row["what"] not in self.warned:
                self.warned.add(row["what"])
                log.warning(
                    "a fact cannot be read and is kept aside in the table unread, which says why;"
                    " do nodes of different versions run?",
                    what=row["what"],
                )

    def away(self, error: BaseException) -> None:
        if self.healthy:
            log.warning("the ledger takes no facts; they wait in Redis, and are tried every second", why=reason(error))
        self.healthy = False

    def back(self) -> None:
        if not self.healthy:
            log.info("the ledger takes facts again")
        self.healthy = True


async def to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Await work that a cancellation must not cut: SQLite stays locked behind half a transaction."""
    task, cancelled = asyncio.ensure_future(work), False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        task.exception()  # looked at: nobody else will
        raise asyncio.CancelledError
    task.result()
