"""Mentions on their way to their inboxes: gathered per room, ten calls a second at most, sent until written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from redis.exceptions import RedisError

from liveroom.store.inboxes import Inboxes, Mention
from liveroom.store.scripts import NoRoom

log = structlog.get_logger()

PERIOD = 0.1
MOST_AT_ONCE = 200
MOST_WAITING = 5000  # in one room
PATIENCE_SECONDS = 60.0  # how long Redis may be away before what waits for it is given up


class Waiting:
    """One mention, and whoever waits until it is written."""

    __slots__ = ("mention", "over", "since")

    def __init__(self, mention: Mention, since: float) -> None:
        self.mention = mention
        self.since = since
        self.over = asyncio.Event()


class Mail:
    """The mentions of this node.

    A comment that names somebody is answered when they are written, so that a killed node loses none of an acknowledged
    comment. Where Redis does not answer in time the comment is answered all the same: only then a node that is killed
    before Redis comes back loses what it still tries to write.
    """

    def __init__(
        self, inboxes: Inboxes, seconds: float, spawn: Callable[[Coroutine[Any, Any, None]], object]
    ) -> None:
        self.inboxes = inboxes
        self.seconds = seconds
        self.spawn = spawn
        self.bags: dict[str, list[Waiting]] = {}
        self.stopped = False

    async def post(self, room: str, mention: Mention) -> None:
        """Until it is written, or Redis did not answer in time."""
        if self.stopped:
            return
        bag = self.bags.get(room)
        if bag is None:
            bag = self.bags[room] = []
            self.spawn(self.carry(room, bag))
        if len(bag) >= MOST_WAITING:
            bag.pop(0).over.set()
        waiting = Waiting(mention, asyncio.get_running_loop().time())
        bag.append(waiting)
        await waiting.over.wait()

    async def carry(self, room: str, bag: list[Waiting]) -> None:
        """The first leaves at once, what comes meanwhile with the next call."""
        loop = asyncio.get_running_loop()
        while bag:
            begun = loop.time()
            await self.hand_in(room, bag)
            bag[:] = [one for one in bag if loop.time() - one.since < PATIENCE_SECONDS]
            await asyncio.sleep(max(0.0, begun + PERIOD - loop.time()))
        del self.bags[room]

    async def hand_in(self, room: str, bag: list[Waiting]) -> None:
        """One call with the oldest; where it fails they are sent again, but nobody waits any longer."""
        now = bag[:MOST_AT_ONCE]
        done: set[Waiting] = set()
        try:
            async with asyncio.timeout(self.seconds):
                await self.inboxes.post(room, [one.mention for one in now])
            done.update(now)
        except (RedisError, OSError, TimeoutError):
            pass
        except NoRoom:
            done.update(now)
        except Exception:
            log.exception("mentions could not be posted", room=room)
            done.update(now)
        finally:
            bag[:] = [one for one in bag if one not in done]
            for one in now:
                one.over.set()

    async def finish(self) -> None:
        """The node stops: what waits is tried once more, and nobody is left waiting."""
        self.stopped = True
        await asyncio.gather(*(self.hand_in(room, bag) for room, bag in self.bags.items() if bag))
        for one in (one for bag in self.bags.values() for one in bag):
            one.over.set()
