"""Inboxes: private messages of value, each kept until its viewer says that he has read it, or a day is over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis

from liveroom.store.rooms import Rooms
from liveroom.store.scripts import Word, call

KEEP_LETTERS_S = 24 * 3600
MOST_MENTIONS = 50  # of one viewer; the newest are kept
MOST_IN_ROOM = 20_000  # mentions; beyond that the oldest are forgotten, read or not
MOST_TO_STRANGERS = 1000  # of these, to viewers who never did anything in the room: anybody can make up their names
PAGE = 1000


def letter_of(comment: str) -> str:
    """The id of the letters that quote a comment."""
    return f"m_{comment}"


class Letter(Struct, frozen=True, gc=False):
    """A private message of value, and the event that it comes behind; a mention comes behind none."""

    epoch: str
    after: int
    body: bytes

    def told(self, epoch: str, seq: int) -> bool:
        """Whether who knows all up to there knows that event; of an older epoch everybody does."""
        return self.epoch != epoch or self.after <= seq


class Mention(Struct, frozen=True, gc=False):
    """One that is to be posted: its id in the inbox of each viewer that it names, and its JSON."""

    id: str
    viewers: tuple[str, ...]
    body: bytes


class Delivered(Struct, frozen=True, gc=False):
    """A mention by its number in the room; None where it was read already."""

    number: int
    viewer: str
    body: bytes | None


class Inboxes:
    """Reads and writes them. Raises redis-py's errors and TimeoutError where Redis does not answer."""

    def __init__(self, rooms: Rooms, live: Redis) -> None:
        self.rooms = rooms
        self.redis = rooms.redis
        self.live = live

    async def read(self, room: str, viewers: Sequence[str]) -> tuple[int, dict[str, list[Letter]]]:
        """The number of a mention up to which all are in here; and the letters of those of these viewers who have any,
        oldest first."""
        at = self.rooms.keys(room)
        if not viewers:
            return 0, {}
        async with self.redis.pipeline(transaction=False) as pipeline:
            pipeline.hget(at.meta, "mail")
            pipeline.smismember(at.inboxes, list(viewers))
            number, has = await pipeline.execute()
            those = [viewer for viewer, some in zip(viewers, has, strict=True) if some]
            for viewer in those:
                pipeline.hgetall(at.inbox(viewer))
            rows = await pipeline.execute() if those else []
        found = {viewer: [as_letter(row[key]) for key in sorted(row)] for viewer, row in zip(those, rows, strict=True)}
        return int(number or 0), found

    async def acknowledge(self, room: str, viewer: str, ids: Iterable[str]) -> None:
        at = self.rooms.keys(room)
        await call(self.redis, "acknowledge", [at.inbox(viewer), at.inboxes], [viewer, *ids])

    async def letter(self, room: str, viewer: str, id_: str) -> bytes | None:
        """One that waits for him."""
        found: Any = await self.redis.hget(self.rooms.keys(room).inbox(viewer), id_)
        return found and as_letter(found).body

    async def erase(self, room: str, comments: Iterable[str], viewer: str) -> None:
        """Take letters out of all inboxes that quote these comments, or any of this viewer's."""
        at, wanted = self.rooms.keys(room), [letter_of(one) for one in comments]
        names, behind = [at.mail, at.inboxes, at.inbox("")], 0
        while behind := await call(self.redis, "unpost", names, [behind, PAGE, viewer, *wanted]):
            pass

    async def newest(self, room: str) -> int:
        """The number of the newest mention."""
        found: Any = await self.redis.hget(self.rooms.keys(room).meta, "mail")
        return int(found or 0)

    async def post(self, room: str, mentions: Sequence[Mention]) -> None:
        """Put mentions into inboxes and tell all nodes; one that was posted before is left alone."""
        at = self.rooms.keys(room)
        unknown = await self.strangers(room, list({viewer for one in mentions for viewer in one.viewers}))
        args: list[Word] = [at.channel, KEEP_LETTERS_S, MOST_MENTIONS, MOST_IN_ROOM, MOST_TO_STRANGERS]
        for one in mentions:
            for viewer in one.viewers:
                args += [viewer, one.id, one.body, int(viewer in unknown)]
        await self.rooms.fenced("post", room, [at.meta, at.inboxes, at.mail, at.strangers, at.inbox("")], args)

    async def strangers(self, room: str, viewers: Sequence[str]) -> set[str]:
        """Those who are not in the room, never commented there and were never its staff."""
        at = self.rooms.keys(room)
        async with self.live.pipeline(transaction=False) as pipeline:
            pipeline.hmget(at.seats, list(viewers))
            pipeline.hmget(at.commenters, list(viewers))
            rows = await pipeline.execute()
        unknown = [viewer for viewer, *traces in zip(viewers, *rows, strict=True) if not any(traces)]
        roles: Any = await self.redis.hmget(at.staff, unknown) if unknown else ()
        return {viewer for viewer, role in zip(unknown, roles, strict=True) if not role}

    async def since(self, room: str, number: int) -> list[Delivered]:
        """The mentions behind that number, at most a page of them."""
        at = self.rooms.keys(room)
        found: Any = await self.redis.zrangebyscore(at.mail, number + 1, "+inf", 0, PAGE, withscores=True)
        names = [member.decode().split(" ", 1) for member, _ in found]
        async with self.redis.pipeline(transaction=False) as pipeline:
            for id_, viewer in names:
                pipeline.hget(at.inbox(viewer), id_)
            kept = await pipeline.execute() if names else []
        bodies = [one and as_letter(one).body for one in kept]
        rows = zip(found, names, bodies, strict=True)
        return [Delivered(int(score), viewer, body) for (_, score), (_, viewer), body in rows]


def as_letter(kept: bytes) -> Letter:
    epoch, after, body = kept.split(b" ", 2)
    return Letter(epoch.decode(), int(after), body)
