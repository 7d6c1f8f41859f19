"""What a room's sales and bans are after the server lost something: paused, and brought up to what is known elsewhere.

The ledger knows what was recorded; each node remembers for a minute what it acknowledged, for the last of that may not
have reached the ledger. The room says by a mark that it waits for this; whoever sees the mark does it, and twice does
no harm. The host resumes the sale.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

import structlog
from msgspec import json
from redis.exceptions import RedisError

from gameplay.moderation import Given, standing
from liveroom.ids import Ids
from liveroom.kept import Kept
from liveroom.store.clock import Clock
from liveroom.store.sales import Sales, Shelf
from liveroom.store.sanctions import Docket
from liveroom.store.scripts import NoRoom

log = structlog.get_logger()

PAGE = 200  # holds that one call takes in
REMEMBER_MS = 60_000
MOST_REMEMBERED = 50_000
REMIND_SECONDS = 2.0  # for every node to notice, and to say what it remembers
AGAIN_SECONDS = 1.0
TRIES = 30


class Archive(Protocol):
    """The ledger, as far as it is asked. Raises OSError where it does not answer."""

    async def sales(self, room: str) -> list[Kept]: ...
    async def moderated(self, room: str) -> list[Given]: ...
    async def holds(self, round_id: str) -> list[dict[str, Any]]: ...
    async def refunds(self, round_id: str) -> list[str]: ...


class Rebuilder:
    """Rebuilds the sales of a room, once at a time."""

    def __init__(
        self,
        sales: Sales,
        docket: Docket,
        archive: Archive,
        clock: Clock,
        ids: Ids,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.sales = sales
        self.docket = docket
        self.archive = archive
        self.clock = clock
        self.ids = ids
        self.spawn = spawn
        self.busy: set[str] = set()
        self.acknowledged: deque[tuple[float, Shelf, bytes]] = deque(maxlen=MOST_REMEMBERED)

    def remember(self, shelf: Shelf, holds: Sequence[bytes]) -> None:
        """Holds as they were changed by what this node handed in."""
        now = self.clock.now_ms()
        self.acknowledged.extend((now, shelf, one) for one in holds)
        while self.acknowledged and self.acknowledged[0][0] < now - REMEMBER_MS:
            self.acknowledged.popleft()

    def wanted(self, room: str) -> None:
        """The room waits for it."""
        if room not in self.busy:
            self.busy.add(room)
            self.spawn(self.patiently(room))

    async def patiently(self, room: str) -> None:
        try:
            for _ in range(TRIES):
                try:
                    return await self.rebuild(room)
                except (RedisError, OSError, TimeoutError):
                    await asyncio.sleep(AGAIN_SECONDS)
                except NoRoom:
                    return
            log.warning("the sales of a room are not rebuilt yet: Redis or the ledger does not answer", room=room)
        finally:
            self.busy.discard(room)

    async def rebuild(self, room: str) -> None:
        mark = await self.sales.mark(room)
        if not mark:
            return
        await self.docket.restore(room, standing(await self.archive.moderated(room)))
        recorded = await self.archive.sales(room)
        for kept in recorded:
            await self.restore(room, kept)
        await self.remind(room)
        if recorded:
            await asyncio.sleep(REMIND_SECONDS)
        if await self.sales.rebuilt(room, mark):
            log.warning("sales were rebuilt from the ledger and are paused; the host resumes them", room=room)

    async def restore(self, room: str, kept: Kept) -> None:
        """One sale, and all that the ledger knows of its holds."""
        shelf = Shelf(room, kept.played.id)
        holds = [json.encode(one) for one in await self.archive.holds(shelf.round)]
        refunds = await self.archive.refunds(shelf.round)
        for start in range(0, max(1, len(holds)), PAGE):
            await self.take_in(shelf, holds[start : start + PAGE], kept, refunds if start == 0 else ())

    async def remind(self, room: str) -> None:
        """Say what this node acknowledged lately, of all sales of the room."""
        latest: dict[Shelf, list[bytes]] = {}
        for _, shelf, hold in self.acknowledged:
            if shelf.room == room:
                latest.setdefault(shelf, []).append(hold)
        for shelf, holds in latest.items():
            for start in range(0, len(holds), PAGE):
                await self.take_in(shelf, holds[start : start + PAGE], None)

    async def take_in(
        self, shelf: Shelf, holds: Sequence[bytes], kept: Kept | None, refunds: Sequence[str] = ()
    ) -> None:
        fact = self.ids.new(self.clock.now_ms())
        await self.sales.restore(shelf, fact, holds, kept, refunds)

    def begun_anew(self, room: str) -> None:
        """The room has a new epoch: whatever this node remembers of it may be lost there."""
        self.spawn(self.remind_patiently(room))

    async def remind_patiently(self, room: str) -> None:
        for _ in range(TRIES):
            try:
                return await self.remind(room)
            except (RedisError, OSError, TimeoutError):
                await asyncio.sleep(AGAIN_SECONDS)
            except NoRoom:
                return
