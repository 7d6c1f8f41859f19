"""Rooms as Redis keeps them: made, read, told, closed, and taken over after the server died."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis

from gameplay.play import Code, Refusal
from liveroom.room import LogEvent, RoomInfo
from liveroom.store import keys, scripts
from liveroom.store.keys import Keys, keys_of
from liveroom.store.scripts import Fenced, NoRoom, Word
from liveroom.store.server import examine

REMEMBER_SECONDS = 600  # an idempotency key
CLOSED = -4

NO_SUCH_ROOM = Refusal(Code.NO_SUCH_ROOM, message="there is no such room; create it with POST /v1/rooms")
ROOM_CLOSED = Refusal(Code.ROOM_CLOSED, message="the room is closed")
TRY_LATER = Refusal(Code.TRY_LATER, message="the room's store does not answer; try again", retry_after_ms=1000)
MISMATCH = Refusal(Code.IDEMPOTENCY_MISMATCH, message="this idempotency key was used for another command")


Call = Callable[[Redis, str, Sequence[str], Sequence[Word]], Awaitable[Any]]


class View(Struct, frozen=True):
    """A room as of one seq."""

    info: RoomInfo
    epoch: str
    seq: int
    ctl: int
    board: dict[str, bytes]
    live: dict[str, bytes]  # rounds


class Told(Struct, frozen=True):
    seq: int
    ts: int


class Head(Struct, frozen=True):
    """How far a room's log is, and by which run of the server."""

    run: str
    epoch: str
    seq: int
    ctl: int
    rebuild: bool
    mail: int  # the number of the newest mention


class By(Struct, frozen=True):
    """Who changes something: a host with his command as JSON, or a bell."""

    actor: str = ""
    role: str = ""
    command: bytes = b""


class Rooms:
    """The verbs on rooms. ``remembered`` tells what this node knows of one that the server has lost, ``recorded`` what
    the ledger knows (it may raise OSError); ``wanted`` is told of a room that must be rebuilt."""

    def __init__(
        self,
        redis: Redis,
        shards: int,
        log_length: int,
        remembered: Callable[[str], tuple[RoomInfo, int] | None],
        recorded: Callable[[str], Awaitable[RoomInfo | None]],
        wanted: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.redis = redis
        self.log_length = log_length
        self.shards = shards
        self.remembered = remembered
        self.recorded = recorded
        self.wanted = wanted
        self.shut: Callable[[str], Awaitable[None]] = unheard  # told of a room that was closed

    def keys(self, room: str) -> Keys:
        return keys_of(room, self.shards)

    async def create(self, room: str, title: str, currency: str, fact: str) -> tuple[RoomInfo, bool] | Refusal:
        """The room, and whether it was made by this call."""
        at = self.keys(room)
        names = [at.meta, at.info, keys.rooms(at.shard), keys.outbox(at.shard)]
        made, *info = await self.fenced("create_room", room, names, [room, title, currency, new_epoch(), fact])
        if made and await self.recorded(room):  # the server has lost it, and perhaps more
            self.wanted(room)
        elif made:
            await self.redis.hdel(at.meta, "rebuild")
        found = as_info(room, info)
        if found.state != "open":
            return ROOM_CLOSED
        if found.title != title or (currency and found.currency != currency):
            return Refusal(Code.ROOM_EXISTS, message="a room with this id and another title or currency exists")
        return found, bool(made)

    async def close(self, room: str, event: bytes, fact: str, actor: str) -> Told | Refusal:
        at = self.keys(room)
        names = [at.meta, at.info, at.log, keys.outbox(at.shard)]
        try:
            seq, ts = await self.fenced(
                "close_room", room, names, [at.channel, event, fact, room, actor, self.log_length]
            )
        except NoRoom:
            return NO_SUCH_ROOM
        await self.shut(room)
        return Told(seq, ts)

    async def closed(self, rooms: Sequence[str]) -> set[str]:
        """Which of these rooms are closed."""
        async with self.redis.pipeline(transaction=False) as pipeline:
            for room in rooms:
                pipeline.hget(self.keys(room).info, "state")
            states = await pipeline.execute() if rooms else []
        return {room for room, state in zip(rooms, states, strict=True) if state == b"closed"}

    async def look(self, room: str) -> View | None:
        at = self.keys(room)
        try:
            answer = await self.fenced("look", room, [at.meta, at.info, at.board, at.live], [])
        except NoRoom:
            return None
        epoch, seq, ctl, *info, board, live = answer
        return View(as_info(room, info), epoch.decode(), seq, ctl, as_fields(board), as_fields(live))

    async def everything(self) -> list[RoomInfo]:
        async with self.redis.pipeline(transaction=False) as pipeline:
            for shard in range(self.shards):
                pipeline.smembers(keys.rooms(shard))
            ids = sorted(room.decode() for found in await pipeline.execute() for room in found)
            for room in ids:
                pipeline.hmget(self.keys(room).info, "title", "currency", "state", "created")
            infos = await pipeline.execute() if ids else []
        return [as_info(room, info) for room, info in zip(ids, infos, strict=True) if info[0] is not None]

    async def heads(self, rooms: Sequence[str]) -> tuple[str, list[Head | None]]:
        """The run id of the server, and the head of each room's log; None where it knows no such room."""
        async with self.redis.pipeline(transaction=False) as pipeline:
            pipeline.info("server")
            for room in rooms:
                pipeline.hmget(self.keys(room).meta, "run", "epoch", "seq", "ctl", "rebuild", "mail")
            server, *found = await pipeline.execute()
        return server["run_id"], [as_head(row) for row in found]

    async def log(self, room: str, after: int, count: int) -> list[LogEvent]:
        """The events behind ``after``, oldest first."""
        rows: Any = await self.redis.xrange(self.keys(room).log, f"{after + 1}-0", "+", count)
        return [as_event(row) for row in rows]

    async def tail(self, room: str, count: int) -> list[LogEvent]:
        """The newest events, oldest first."""
        rows: Any = await self.redis.xrevrange(self.keys(room).log, "+", "-", count)
        return [as_event(row) for row in reversed(rows)]

    async def recover(self, room: str) -> None:
        """Take the room over from an earlier run of the server, or rebuild it. Raises NoRoom."""
        at = self.keys(room)
        report = await examine(self.redis)
        info, seq = await self.known(room) or (RoomInfo(room, "", "", "open", 0), 0)
        args: list[Word] = [
            room,
            new_epoch(),
            int(report.keeps_every_write),
            info.title,
            info.currency,
            info.created,
            seq,
            info.state,
        ]
        await self.redis.set(keys.SHARDS, self.shards, nx=True)
        *_, mark = await scripts.call(self.redis, "recover_room", [at.meta, at.info, keys.rooms(at.shard)], args)
        if mark:
            self.wanted(room)

    async def known(self, room: str) -> tuple[RoomInfo, int] | None:
        """A room that the server has lost, and the newest seq that was seen of it."""
        if found := self.remembered(room):
            return found
        info = await self.recorded(room)
        return (info, 0) if info else None

    async def fenced(
        self, name: str, room: str, names: Sequence[str], args: Sequence[Word], call: Call = scripts.call
    ) -> Any:
        """One verb, after recovering the room where the server is a new one to it, or has lost it."""
        try:
            return await call(self.redis, name, names, args)
        except Fenced:
            await self.recover(room)
        except NoRoom:
            if await self.known(room) is None:
                raise
            await self.recover(room)
        return await call(self.redis, name, names, args)


async def unheard(_room: str) -> None:
    return None


def new_epoch() -> str:
    return secrets.token_hex(8)


def as_info(room: str, row: Sequence[Any]) -> RoomInfo:
    title, currency, state, created = row
    return RoomInfo(room, title.decode(), currency.decode(), state.decode(), int(created))


def as_fields(flat: Sequence[bytes]) -> dict[str, bytes]:
    """A hash as a script returns it."""
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def as_head(row: Sequence[Any]) -> Head | None:
    run, epoch, seq, ctl, rebuild, mail = row
    if run is None:
        return None
    return Head(run.decode(), epoch.decode(), int(seq), int(ctl), rebuild is not None, int(mail or 0))


def as_event(row: tuple[bytes, dict[bytes, bytes]]) -> LogEvent:
    seq = int(row[0].split(b"-")[0])
    body = row[1][b"e"]
    return LogEvent(seq, event_ts(body), body)


def event_ts(body: bytes) -> int:
    """The room time of an event as ``_tell.lua`` writes it: seq and ts come first."""
    return int(body[body.index(b'"ts":') + 5 : body.index(b",", body.index(b'"ts":'))])
