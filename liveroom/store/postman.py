"""What is told to one viewer alone: results, letters, what he holds; and what he missed while he sat down."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from msgspec import Raw, Struct, json
from redis.exceptions import RedisError

from liveroom.hub import Hub
from liveroom.menu import KINDS, REVEALS
from liveroom.protocol import encode
from liveroom.room import LogEvent, Private, Room
from liveroom.store.inboxes import PAGE, Delivered, Inboxes, Letter
from liveroom.store.rounds import Rounds

OF_ROUND = re.compile(rb'"t":"([a-z]+)\.([a-z_]+)"')  # the first of a body is its own
RESULTS_AT_ONCE = 500
TRIES = 10  # half a time-out apart
Answer = TypeVar("Answer")
Spawn = Callable[[Coroutine[Any, Any, None]], object]


class Newcomer(Struct, frozen=True, gc=False):
    """Who sat down, up to which event he surely knows what concerns him alone, and the letters he was shown."""

    viewer: str
    knows: int
    letters: Collection[bytes]


class WithId(Struct, frozen=True, gc=False):
    """An event of a round, as far as its id."""

    id: str


read_id = json.Decoder(WithId).decode


class Postman:
    """Hands the hub what concerns one viewer each. Where Redis is away for longer, whoever comes reads it anew."""

    def __init__(self, hub: Hub, rounds: Rounds, inboxes: Inboxes, seconds: float, spawn: Spawn) -> None:
        self.hub = hub
        self.rounds = rounds
        self.inboxes = inboxes
        self.seconds = seconds
        self.spawn = spawn
        self.newcomers: dict[str, list[Newcomer]] = {}
        self.fetching: set[str] = set()  # rooms whose mentions are read

    def newcomer(self, room: Room, come: Newcomer) -> None:
        """Somebody sat down: what was told to one alone behind what he knows, before he sat, he missed."""
        if any(of_round(event.body) for event in self.hub.behind(room, come.knows)):
            waiting = self.newcomers.setdefault(room.info.id, [])
            waiting.append(come)
            if len(waiting) == 1:
                self.spawn(self.tell_newcomers(room))

    async def tell_newcomers(self, room: Room) -> None:
        """All who came in this moment, in one go."""
        await asyncio.sleep(0)
        those = self.newcomers.pop(room.info.id, [])
        for event in self.hub.behind(room, min((one.knows for one in those), default=0)):
            self.reveal(room, event, [one.viewer for one in those if one.knows < event.seq])
        await self.tell_letters(room, {one.viewer: one.letters for one in those})

    def reveal(self, room: Room, event: LogEvent, viewers: Sequence[str]) -> None:
        """If this event reveals how a round ended, these viewers are told how it ended for them."""
        found = of_round(event.body)
        if found and found[0][5:-1].decode() in REVEALS:
            self.spawn(self.tell_results(room, event, viewers))

    async def tell_results(self, room: Room, event: LogEvent, viewers: Sequence[str]) -> None:
        """Tell each of these viewers his own result of a round, behind the event that reveals it."""
        round_id = read_id(event.body).id
        for start in range(0, len(viewers), RESULTS_AT_ONCE):
            some = viewers[start : start + RESULTS_AT_ONCE]
            found = await self.patiently(partial(self.rounds.results, room.info.id, round_id, some))
            for viewer, body in zip(some, found or (), strict=False):
                if body is not None:
                    self.hub.whisper(room, Private(viewer, event.seq, body))

    async def tell_letters(self, room: Room, told: Mapping[str, Collection[bytes]]) -> None:
        """Letters that may have been lost on the way, to each of these viewers those that he was not told.

        Not mentions: they are numbered, so that it is known which are missing.
        """
        _, found = await self.patiently(partial(self.inboxes.read, room.info.id, list(told))) or (0, {})
        for viewer, letters in found.items():
            for letter in letters:
                if letter.after and letter.body not in told[viewer]:
                    self.hub.whisper(room, private_of(viewer, letter, room))

    # -- mentions: each has a number in its room --

    def take_mail(self, room: Room, epoch: str, newest: int, letters: Sequence[tuple[str, Raw]]) -> None:
        """Mentions as they are published: viewer and JSON, up to that number."""
        first = newest - len(letters) + 1
        if epoch != room.epoch or first > room.mail + 1:
            return self.fetch(room)
        for number, (viewer, body) in enumerate(letters, first):
            self.hand_over(room, Delivered(number, viewer, bytes(body)))
        return None

    def hand_over(self, room: Room, one: Delivered) -> None:
        """Once, in their order."""
        if one.number > room.mail:
            room.mail = one.number
            self.tell_mention(room, one)

    def tell_mention(self, room: Room, one: Delivered) -> None:
        """Unless it was read, or deleted."""
        if one.body and not room.erased.hides_letter(one.body):
            self.hub.whisper(room, Private(one.viewer, 0, one.body))

    def fetch(self, room: Room) -> None:
        """Some were not heard."""
        if room.info.id not in self.fetching:
            self.fetching.add(room.info.id)
            self.spawn(self.fetch_now(room))

    async def fetch_now(self, room: Room) -> None:
        try:
            with suppress(RedisError, OSError, TimeoutError):  # the next check comes within a second
                async with asyncio.timeout(self.seconds):
                    await self.catch_up(room)
        finally:
            self.fetching.discard(room.info.id)

    async def catch_up(self, room: Room) -> None:
        """Read what was not heard. Raises redis-py's errors and TimeoutError."""
        rows = [Delivered(0, "", None)] * PAGE
        while len(rows) == PAGE:
            rows = await self.inboxes.since(room.info.id, room.mail)
            for one in rows:
                self.hand_over(room, one)

    async def tell_missed(self, room: Room, viewer: str, known: int, newest: int) -> None:
        """Mentions of somebody that came between his inbox was read and he sat down."""
        for one in await self.patiently(partial(self.inboxes.since, room.info.id, known)) or ():
            if one.viewer == viewer and one.number <= newest:
                self.tell_mention(room, one)

    # -- behind a reset --

    async def tell_parts(self, room: Room) -> None:
        """Behind a reset, whose snapshot is the same for all: what each viewer holds."""
        seq, ids = room.seq, [one.id for one in room.wall.values() if one.play.grants]
        people = list(room.people)
        rows = await self.patiently(partial(self.rounds.own, room.info.id, people, ids)) or {}
        for round_id, parts in rows.items():
            for viewer, row in zip(people, parts, strict=True):
                for hold in holds_in(row):
                    said = {"t": "sale.held", "id": round_id, **hold}
                    self.hub.whisper(room, Private(viewer, seq, encode(said)))

    async def patiently(self, ask: Callable[[], Awaitable[Answer]]) -> Answer | None:
        """What Redis answers; None where it is away for longer."""
        for _ in range(TRIES):
            with suppress(RedisError, OSError, TimeoutError):
                return await ask()
            await asyncio.sleep(self.seconds / 2)
        return None


def of_round(body: bytes | Raw) -> re.Match[bytes] | None:
    """Kind and verb of an event of a round."""
    found = OF_ROUND.search(body)
    return found if found and found[1].decode() in KINDS else None


def holds_in(row: bytes | None) -> list[dict[str, Any]]:
    """What of a viewer's part in a sale is held and not paid yet."""
    parts: list[dict[str, Any]] = json.decode(row.partition(b" ")[2]) if row else []
    return [one for one in parts if "hold" in one and "order" not in one]


def private_of(viewer: str, letter: Letter, room: Room) -> Private:
    return Private(viewer, 0 if letter.epoch != room.epoch else letter.after, letter.body)
