"""Tells the staff of a room which questions wait for an answer: when it changed, and whoever comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from redis.exceptions import RedisError

from gameplay.questions import Live, Question, Unanswered, waiting
from liveroom.hub import Hub
from liveroom.protocol import encode
from liveroom.room import Room
from liveroom.store.questions import KEEP_MS, Kept, Questions
from liveroom.writer import send

LOOK_SECONDS = 0.5
LOOKS = 4  # from one telling to the next: two seconds
MOST_TOLD = 20


class Told(Struct, gc=False):
    """What the staff here was told last, at which look, and who of it."""

    kept: Kept = Kept()
    found: list[Question] = []
    look: int = -LOOKS
    seats: set[Any] = set()

    def stale(self, ver: int, now: float) -> bool:
        """Something was asked, answered or forgotten since, or has waited for too long."""
        return ver != self.kept.ver or any(one.last <= now - KEEP_MS for one in self.kept.asked.values())


class Prompter:
    """Looks at the versions of the rooms with staff here, twice a second and in one pipeline."""

    def __init__(self, hub: Hub, questions: Questions, seconds: float, now_ms: Callable[[], float]) -> None:
        self.hub = hub
        self.questions = questions
        self.seconds = seconds
        self.now_ms = now_ms
        self.told: dict[str, Told] = {}
        self.looks = 0

    async def everything(self, room: str) -> Unanswered:
        """All that waits in a room."""
        kept, now = await self.questions.read(room), int(self.now_ms())
        return Unanswered(tuple(await self.sorted(kept, now)), now)

    async def sorted(self, kept: Kept, now: int) -> list[Question]:
        """Beside the room's ticks: hundreds of questions are some milliseconds."""
        return await asyncio.to_thread(waiting, kept.asked, now)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.looks += 1
            staffed = [room for room in self.hub.rooms.values() if room.staff]
            self.told = {room.info.id: self.told.get(room.info.id) or Told() for room in staffed}
            if staffed:
                with suppress(RedisError, OSError, TimeoutError):
                    async with asyncio.timeout(self.seconds):
                        await self.look(staffed)

    async def look(self, staffed: list[Room]) -> None:
        versions = await self.questions.versions([room.info.id for room in staffed])
        for room, ver in zip(staffed, versions, strict=True):
            told = self.told[room.info.id]
            if told.stale(ver, self.now_ms()) and self.looks - told.look >= LOOKS:
                kept = await self.questions.read(room.info.id)
                if kept.asked != told.kept.asked:
                    told.found = await self.sorted(kept, int(self.now_ms()))
                    told.look, told.seats = self.looks, set()
                told.kept = kept
            self.tell(room, told)

    def tell(self, room: Room, told: Told) -> None:
        """Whoever was not told this yet; who comes to a room where nothing waits need not hear it."""
        fresh = [seat for seat in room.staff if seat not in told.seats]
        came = told.look != self.looks
        told.seats = set(room.staff)
        if fresh and (told.kept.asked or not came):
            body = self.body(told.found)
            for seat in fresh:
                send(seat, body)

    def body(self, found: list[Question]) -> bytes:
        now = int(self.now_ms())
        first = tuple(replace(one, waiting_ms=max(0, now - one.asked)) for one in found[:MOST_TOLD])
        return encode(Live(first, now, len(found[MOST_TOLD:])))
