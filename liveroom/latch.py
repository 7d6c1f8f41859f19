"""The latch of a sale that is sold out: for half a second a node refuses by itself who surely has nothing of it.

Whoever may have something – he had at that version of the sale, or a claim of his is on its way, or he says that he
asks again – is always asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from msgspec import Struct
from redis.exceptions import RedisError

from liveroom.store.sales import HOLDERS_ASKED, Sales, Shelf, Stand

LATCH_SECONDS = 0.5
LATCHES = 100  # sales that are remembered to be sold out


class Latch(Struct, gc=False):
    """A sale of which nothing is free: who has something of it at that version, and until when we go by that."""

    ver: int
    held: int
    per_viewer: int
    until: float  # the loop's time in seconds
    holders: frozenset[str] | None  # None: being asked for


class Latches:
    """The sales that this node knows to be sold out."""

    def __init__(self, sales: Sales, spawn: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        self.sales = sales
        self.spawn = spawn
        self.latches: dict[Shelf, Latch] = {}
        self.asking: dict[tuple[Shelf, str], int] = {}  # claims in flight

    def note(self, shelf: Shelf, now: Stand) -> None:
        """What the last call said of what is free."""
        latch = self.latches.get(shelf)
        if now.free or now.state not in ("open", "sold_out"):
            self.latches.pop(shelf, None)
        elif latch is None or latch.ver != now.ver:
            self.latches[shelf] = Latch(now.ver, now.held, now.per_viewer, self.time() + LATCH_SECONDS, None)
            while len(self.latches) > LATCHES:
                del self.latches[next(iter(self.latches))]
            self.spawn(self.learn_holders(shelf))
        else:
            latch.until = self.time() + LATCH_SECONDS

    async def learn_holders(self, shelf: Shelf) -> None:
        try:
            ver, holders = await self.sales.holders(shelf)
        except (RedisError, OSError, TimeoutError):
            return
        latch = self.latches.get(shelf)
        if latch and latch.ver == ver and len(holders) <= HOLDERS_ASKED:
            latch.holders = holders

    def stirred(self, room: str, round_id: str, ver: float) -> None:
        """A newer version of a sale was told of: what was known of it is over."""
        latch = self.latches.get(Shelf(room, round_id))
        if latch and ver > latch.ver:
            del self.latches[Shelf(room, round_id)]

    def held(self, shelf: Shelf, viewer: str, qty: int, *, again: bool) -> int | None:
        """How many units are held of a sale that has nothing for him; None where Redis must be asked.

        It need not be for who surely has nothing, and asks for the first time for no more than he may have.
        """
        latch = self.latches.get(shelf)
        if latch is None or latch.holders is None or self.time() > latch.until:
            return None
        if again or qty > latch.per_viewer or viewer in latch.holders or (shelf, viewer) in self.asking:
            return None
        return latch.held

    def asks(self, shelf: Shelf, viewer: str) -> None:
        """A claim of his is on its way."""
        self.asking[shelf, viewer] = self.asking.get((shelf, viewer), 0) + 1

    def answered(self, shelf: Shelf, viewer: str) -> None:
        self.asking[shelf, viewer] -= 1
        if not self.asking[shelf, viewer]:
            del self.asking[shelf, viewer]

    def time(self) -> float:
        return asyncio.get_running_loop().time()
