"""Questions on their way to Redis, and what waits there: gathered per room, noted twice a second, each batch once."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct, json
from msgspec.structs import replace
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gameplay.questions import NEWEST, Asked, Asker, asker_of, fingerprint, holding, is_question
from liveroom.protocol import encode
from liveroom.store import scripts
from liveroom.store.keys import keys_of
from liveroom.store.scripts import Word

PERIOD = 0.5
MOST_AT_ONCE = 500  # questions in one call
MOST_WAITING = 5000  # of one room, for Redis; the oldest are forgotten beyond
MOST_KEPT = 300  # different ones of one room
KEEP_MS = 30 * 60 * 1000  # after a question was last asked
LONGEST = 100  # code points that are kept of one

read_asked = json.Decoder(Asked).decode


class Kept(Struct, frozen=True, gc=False):
    """What waits in a room, by fingerprint, and its version; 0 where nothing does."""

    ver: int = 0
    asked: dict[str, Asked] = {}


class Sheet(Struct, gc=False):
    """One room's questions that are not noted yet; a batch is sent again until it is answered."""

    waiting: deque[Asker]
    sent: list[Asker] = []
    number: int = 0


class Questions:
    """Notes questions and forgets them. Raises redis-py's errors and TimeoutError where it is asked, never where it is
    told. A node that is killed loses those of its last half second."""

    def __init__(self, redis: Redis, shards: int, node: str, seconds: float, now_ms: Callable[[], float]) -> None:
        self.redis = redis
        self.shards = shards
        self.node = node
        self.seconds = seconds
        self.now_ms = now_ms
        self.sheets: dict[str, Sheet] = {}
        self.numbers = 0  # of batches: rises over all rooms, and over a sheet that was let go
        self.noting = asyncio.Lock()

    # -- told --

    def heard(self, room: str, said: Asker) -> None:
        """A viewer's comment, shown or not; kept if it asks something."""
        if is_question(said.text):
            sheet = self.sheets.get(room)
            if sheet is None:
                sheet = self.sheets[room] = Sheet(deque(maxlen=MOST_WAITING))
            sheet.waiting.append(said)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            if self.sheets:
                await self.flush()

    async def flush(self) -> None:
        """One call for each room where somebody asked, all in one pipeline; what is not answered is sent again."""
        async with self.noting:
            if not (rooms := list(self.sheets)):
                return
            calls = [self.call(room, self.sheets[room]) for room in rooms]
            try:
                async with asyncio.timeout(self.seconds):
                    answers = await scripts.run(self.redis, calls)
            except (RedisError, OSError, TimeoutError):
                return
            for room, answer in zip(rooms, answers, strict=True):
                if not isinstance(answer, Exception):
                    self.noted(room)

    def noted(self, room: str) -> None:
        sheet = self.sheets[room]
        sheet.sent = []
        if not sheet.waiting:
            del self.sheets[room]

    def call(self, room: str, sheet: Sheet) -> scripts.Call:
        if not sheet.sent:
            self.numbers += 1
            sheet.number = self.numbers
            sheet.sent = [sheet.waiting.popleft() for _ in range(min(len(sheet.waiting), MOST_AT_ONCE))]
        alike: defaultdict[str, list[Asker]] = defaultdict(list)
        for one in sheet.sent:
            alike[fingerprint(one.text)].append(replace(one, text=one.text[:LONGEST]))
        at = keys_of(room, self.shards)
        args: list[Word] = [self.node, sheet.number, int(self.now_ms()), KEEP_MS, MOST_KEPT, NEWEST]
        args += [word for name, asks in alike.items() for word in (name, encode(asks))]
        return "ask", [at.questions, at.asked], args

    # -- asked --

    async def versions(self, rooms: Sequence[str]) -> list[int]:
        """Of what waits in each of these rooms."""
        async with self.redis.pipeline(transaction=False) as pipeline:
            for room in rooms:
                pipeline.hget(keys_of(room, self.shards).questions, "ver")
            return [int(found or 0) for found in await pipeline.execute()]

    async def read(self, room: str) -> Kept:
        """What waits; not what has waited for too long."""
        found: Any = await self.redis.hgetall(keys_of(room, self.shards).questions)
        ver, since = int(found.pop(b"ver", 0)), self.now_ms() - KEEP_MS
        rows = {name.decode(): read_asked(row) for name, row in found.items() if not name.startswith(b"n:")}
        return Kept(ver, {name: one for name, one in rows.items() if one.last > since})

    async def asker(self, room: str, comment: str) -> Asker | None:
        """Who asked with this comment, also where the room was not shown it."""
        return asker_of((await self.read(room)).asked.values(), comment)

    async def answered(self, room: str, comment: str) -> None:
        """The question of this comment, and all that are like it, wait no more."""
        await self.flush()
        asked = (await self.read(room)).asked
        if names := await asyncio.to_thread(holding, asked, comment):  # of hundreds, some milliseconds
            await self.unask(room, answered=names)

    async def forget(self, room: str, ids: Iterable[str] = (), viewers: Iterable[str] = ()) -> None:
        """These comments, and all comments of these viewers, ask nothing any more."""
        await self.flush()
        await self.unask(room, ids=ids, viewers=viewers)

    async def unask(self, room: str, **gone: Iterable[str]) -> None:
        at = keys_of(room, self.shards)
        lists = {name: list(gone.get(name, ())) for name in ("answered", "ids", "viewers")}
        await scripts.call(self.redis, "unask", [at.questions, at.asked], [int(self.now_ms()), encode(lists)])
