"""A host's seat over the audience: its sessions are in a real server, whose clock the test turns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from gameplay.play import Event, Role
from liveroom.asked import Asked, Caller
from liveroom.audience import Audience
from liveroom.ids import Ids
from liveroom.protocol import RetentionWatch, encode
from liveroom.room import LogEvent
from liveroom.store.rooms import Rooms
from tests.audience.roll import Stage
from tests.test_hub import Guest, Scene

MINUTE = 60_000


async def no_record(_: str) -> None:
    return None


class Balcony:
    """A stage with a stream, and hosts who sit on one node."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.scene = Scene(stage.room)
        self.scene.hub.rooms[stage.room] = self.room = self.scene.room
        rooms = Rooms(stage.redis, 1, 1000, lambda _: None, no_record)
        attendance, _ = stage.nodes[0]
        now = lambda: float(stage.now)  # noqa: E731
        self.audience = Audience(self.scene.hub, rooms, attendance, Ids("n"), now, spawn=self.spawn)
        self.tasks: list[asyncio.Task[None]] = []

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.ensure_future(work))

    def host(self, name: str) -> Guest:
        return self.scene.guest(name, staff=True, role=Role.HOST)

    def watching(self, name: str) -> Guest:
        """A host who wants to be told."""
        host = self.host(name)
        self.asks(name, on=True)
        return host

    def asks(self, name: str, *, on: bool) -> Any:
        """What he is answered."""
        said: list[bytes] = []
        actor = Caller(name, name, Role.HOST, self.room.people[name])
        self.audience.watch(Asked(actor, self.room, RetentionWatch(cid=1, on=on), self.stage.now, said.append))
        (answer,) = said
        return msgspec.json.decode(answer)

    def happens(self, event: Event) -> None:
        """The room's log goes on."""
        self.scene.hub.feed(self.room, LogEvent(self.room.seq + 1, self.stage.now, encode(event)))

    async def push(self) -> None:
        await self.audience.push(self.room)


Sit = Callable[[Callable[[Balcony], Coroutine[Any, Any, None]]], None]


def heard(guest: Guest, kind: str = "retention.live") -> list[Any]:
    return [one for one in guest.heard() if one["t"] == kind]


async def until(true: Callable[[], object], within: float = 20) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
