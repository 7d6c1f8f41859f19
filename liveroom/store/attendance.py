"""Who attends: comings and goings of this node, counted as sessions in Redis by one script per room and tick."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct, json
from redis.asyncio import Redis
from redis.exceptions import RedisError

from liveroom.store import keys, scripts
from liveroom.store.keys import keys_of
from liveroom.store.scripts import Word

PERIOD = 0.1
SWEEP_PERIOD = 0.5
MOST_AT_ONCE = 1000  # comings and goings in one call
MOST_SWEPT = 500
MOST_ROOMS = 100
LEASE_MS = 2000
EMPTY_MS = 10 * 60 * 1000  # a stream that began by itself ends when its room was empty for so long
FORGOTTEN_MS = 6 * 3600 * 1000  # and one that a host began: he may have a break, or an outage
DEEDS = ("", "light", "medium", "heavy")
LATE_MS = 1000  # behind his grace somebody counts as gone, as in ``_attend.lua``: word of his return may be late
KEEP_SECONDS = 7 * 24 * 3600  # the cells of a stream that ended; the ledger keeps its sessions for good
KEEP_CROWD_SECONDS = 24 * 3600  # what viewers said and liked in a room that is closed
MOST_WAITING = 200_000  # comings and goings that wait for Redis; the oldest are forgotten beyond


class Roll(Struct, gc=False):
    """One room's comings and goings that are not noted yet; a batch is sent again until it is answered."""

    waiting: deque[tuple[Word, ...]]
    sent: list[tuple[Word, ...]] = []
    number: int = 0


class StreamNow(Struct, frozen=True):
    """The stream of a room: times in ms. ``end`` is 0 while it runs; ``by`` is empty where it began by itself."""

    id: str
    start: int
    end: int = 0
    title: str = ""
    by: str = ""


class Attendance:
    """Notes sessions. Raises redis-py's errors and TimeoutError where it is asked, never where it is told."""

    def __init__(
        self,
        redis: Redis,
        shards: int,
        node: str,
        *,
        grace_ms: int,
        seconds: float,
        new_id: Callable[[], str],
        server_ms: Callable[[], float],
    ) -> None:
        self.redis = redis
        self.shards = shards
        self.node = node
        self.grace_ms = grace_ms
        self.seconds = seconds
        self.new_id = new_id
        self.server_ms = server_ms
        self.rolls: dict[str, Roll] = {}
        self.minute = 0
        self.starts: dict[str, int] = {}  # room -> when its stream began, as it was heard within this minute
        self.deeds: set[tuple[str, str, str, int]] = set()  # room, viewer, kind, minute of the stream; the same
        self.numbers = 0  # of batches: rises over all rooms, and over a roll that was let go
        self.runs: Callable[[str, str], None] = lambda _room, _stream: None  # told which stream runs
        self.closed: Callable[[Sequence[str]], Awaitable[set[str]]] = none_of  # which of these rooms are closed
        self.forgotten: Callable[[str, str], Awaitable[None]] = unheard  # told of a stream that nobody stopped

    # -- told --

    def came(self, room: str, viewer: str, source: str, at_ms: float | None = None, *, vouched: bool = False) -> None:
        """``vouched``: his token says so, and not only his page."""
        at = self.server_ms() if at_ms is None else at_ms
        self.note(room, ("join", viewer, int(at), source, int(vouched)))

    def left(self, room: str, viewer: str, why: str, ago_s: float, rtt_ms: float) -> None:
        """``ago_s``: how long ago he was last heard of."""
        self.note(room, ("leave", viewer, int(self.server_ms() - ago_s * 1000), why, int(rtt_ms)))

    def acted(self, room: str, viewer: str, deed: str) -> None:
        """He took part: lightly, more, or with an order; once in a minute of the stream is enough."""
        now = self.forget_minute()
        if room in self.starts:
            one = room, viewer, deed, int(now - (now - self.starts[room]) % 60_000)
            if one in self.deeds:
                return
            self.deeds.add(one)
        self.note(room, ("act", viewer, int(now), deed, 0))

    def forget_minute(self) -> float:
        """What was kept for the last minute is not kept in the next; the time."""
        now = self.server_ms()
        if self.minute != int(now // 60_000):
            self.minute, self.starts, self.deeds = int(now // 60_000), {}, set()
        return now

    def note(self, room: str, row: tuple[Word, ...]) -> None:
        roll = self.rolls.get(room)
        if roll is None:
            roll = self.rolls[room] = Roll(deque(maxlen=MOST_WAITING))
        roll.waiting.append(row)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            if self.rolls:
                with suppress(RedisError, OSError, TimeoutError):
                    async with asyncio.timeout(self.seconds):
                        await self.flush()

    async def flush(self) -> None:
        """One call for each room where anything happened, all in one pipeline."""
        rooms = {room: self.batch(roll) for room, roll in self.rolls.items()}
        calls = [self.call(room, self.rolls[room], rows) for room, rows in rooms.items()]
        answers = await scripts.run(self.redis, calls)
        self.forget_minute()
        for room, answer in zip(rooms, answers, strict=True):
            roll = self.rolls[room]
            if not isinstance(answer, Exception):
                roll.sent, roll.number = [], 0
                stream, self.starts[room] = answer
                self.runs(room, stream.decode())
                if not roll.waiting:
                    del self.rolls[room]

    def batch(self, roll: Roll) -> list[tuple[Word, ...]]:
        """What was sent and not answered is sent again under its number, and counted once."""
        if not roll.sent:
            self.numbers += 1
            roll.number = self.numbers
            roll.sent = [roll.waiting.popleft() for _ in range(min(len(roll.waiting), MOST_AT_ONCE))]
        return roll.sent

    def call(self, room: str, roll: Roll, rows: list[tuple[Word, ...]]) -> scripts.Call:
        at = keys_of(room, self.shards)
        args: list[Word] = [room, self.node, roll.number, self.grace_ms, self.new_id(), json.encode(rows)]
        return "attend", [*at.roll_keys(), at.batches], args

    # -- bells --

    async def sweep(self) -> None:
        """Finish sessions whose grace is over, and streams that nobody stops, in all rooms, whoever holds them."""
        ring: list[scripts.Call] = [("ring", [keys.sweeps(n)], [LEASE_MS, MOST_ROOMS]) for n in range(self.shards)]
        while True:
            await asyncio.sleep(SWEEP_PERIOD)
            with suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(self.seconds):
                    found = await scripts.run(self.redis, ring)
                    due = [room.decode() for bells in found if isinstance(bells, list) for room in bells[1:]]
                    await self.sweep_rooms(due)

    async def sweep_rooms(self, rooms: Sequence[str]) -> None:
        closed: set[str] = set()
        with suppress(RedisError, OSError, TimeoutError):  # then the next sweep knows
            async with asyncio.timeout(self.seconds / 2):
                closed = await self.closed(rooms)
        await self.finish(rooms, closed)

    async def close(self, room: str) -> None:
        """The room is closed: its stream ends, and none begins there any more."""
        await self.finish([room], {room})

    async def finish(self, rooms: Sequence[str], closed: set[str]) -> None:
        answers = await scripts.run(self.redis, [self.sweeping(room, closed=room in closed) for room in rooms])
        for room, answer in zip(rooms, answers, strict=True):
            if isinstance(answer, list) and answer[1]:
                await self.forgotten(room, answer[1].decode())
                await self.redis.hdel(keys_of(room, self.shards).stream, "untold")
        async with self.redis.pipeline(transaction=False) as pipeline:
            for key in [key for room in closed for key in keys_of(room, self.shards).crowd_keys()]:
                pipeline.expire(key, KEEP_CROWD_SECONDS)
            await pipeline.execute()

    def sweeping(self, room: str, *, closed: bool = False) -> scripts.Call:
        args: list[Word] = [room, self.grace_ms, self.new_id(), MOST_SWEPT, EMPTY_MS, FORGOTTEN_MS, KEEP_SECONDS]
        return "sweep", keys_of(room, self.shards).roll_keys(), [*args, int(closed)]

    # -- streams --

    async def turn_stream(self, room: str, id_: str, title: str, by: str, at_ms: float, word: str = "") -> list[Any]:
        """Begin a stream, or end the one that runs where ``id_`` is empty; once for each ``word``."""
        at = keys_of(room, self.shards)
        names = [at.stream, keys.sweeps(at.shard)]
        return list(await scripts.call(self.redis, "stream", names, [room, id_, title, by, int(at_ms), word]))

    async def stream(self, room: str, *, last: bool = False) -> StreamNow | None:
        """The stream that runs, else the one that ended last; only that with ``last``. None where there was none."""
        found: Any = await self.redis.hgetall(keys_of(room, self.shards).stream)
        said = {name.decode(): value.decode() for name, value in found.items()}
        if "id" in said and not last:
            return StreamNow(said["id"], int(said["start"]), 0, said["title"], said["by"])
        if "last" in said:
            about = said.get("last_title", ""), said.get("last_by", "")
            return StreamNow(said["last"], int(said["last_start"]), int(said["last_end"]), *about)
        return None

    async def watched(self, room: str, viewer: str) -> float:
        """Seconds for which he was connected in the session that he has now."""
        kept: Any = await self.redis.hget(keys_of(room, self.shards).sessions, viewer)
        if kept is None:
            return 0
        session = json.decode(kept)
        here = max(0.0, self.server_ms() - session["since"]) if session["nodes"] else 0
        return float(session["watch"] + here) / 1000

    async def counted(self, room: str, stream: str) -> tuple[dict[bytes, bytes], dict[str, int]]:
        """The cells of a stream; and its distinct viewers, all (under the name ``""``) and those who took part."""
        at = keys_of(room, self.shards)
        async with self.redis.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(at.cells(stream))
            for deed in DEEDS:
                pipeline.pfcount(at.visitors(f"{stream}{deed and ':'}{deed}"))
            cells, *distinct = await pipeline.execute()
        return cells, dict(zip(DEEDS, distinct, strict=True))


async def none_of(_rooms: Sequence[str]) -> set[str]:
    return set()


async def unheard(_room: str, _stream: str) -> None:
    return None
