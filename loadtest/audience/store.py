"""A planned audience straight into Redis, through the code that the nodes use and on a clock that the plan turns."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha1
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct
from redis.asyncio import Redis

from liveroom.live_report import live_report
from liveroom.sessions import Recording
from liveroom.store import keys, scripts
from liveroom.store.attendance import LATE_MS, MOST_SWEPT, Attendance
from liveroom.store.embedded import Embedded
from liveroom.store.keys import keys_of
from loadtest.audience.plan import SILENT, WAYS, Plan
from loadtest.audience.truth import Truth, truth_of

EPOCH_MS = 1_700_000_000_000
SHARDS = 1
STEP_S = 1.0  # what happens within it is told at its end, as nodes do that are a little late
SWEEP_STEPS = 5
CLOCK = "clock"
RTT_MS = 30.0
TRIES = 10
TIME = 'local time = redis.call("TIME")\n    return time[1] * 1000 + math.floor(time[2] / 1000)'
TURNED = f'return tonumber(redis.call("GET", "{CLOCK}"))'

Report = dict[str, Any]


@contextmanager
def turned_clock() -> Iterator[None]:
    """Every script reads the time from a key; this process cannot talk to a server of real nodes meanwhile."""
    kept = dict(scripts.SOURCES), dict(scripts.DIGESTS)
    if not any(TIME in text for text in scripts.SOURCES.values()):
        raise RuntimeError("liveroom/store/lua/_fence.lua reads the clock in another way: change TIME here")
    for name, text in kept[0].items():
        scripts.SOURCES[name] = text.replace(TIME, TURNED)
        scripts.DIGESTS[name] = sha1(scripts.SOURCES[name].encode(), usedforsecurity=False).hexdigest()
    try:
        yield
    finally:
        scripts.SOURCES.update(kept[0])
        scripts.DIGESTS.update(kept[1])


@asynccontextmanager
async def store() -> AsyncIterator[Redis]:
    """An embedded server of its own that keeps nothing, and a clock to turn."""
    with tempfile.TemporaryDirectory(prefix="audience-") as folder, turned_clock():
        server = Embedded(Path(folder) / "data")
        server.start()
        redis = Redis.from_url(server.url)
        try:
            await redis.config_set("appendonly", "no")
            yield redis
        finally:
            await redis.aclose()
            server.stop()


class Heard(NamedTuple):
    """The server hears that somebody joined (+1) or is gone (-1), of whom nothing was heard for a while before."""

    at_s: float
    sign: int
    viewer: str
    source: str
    node: int
    how: str
    silent_s: float


def heard(plan: Plan) -> Iterator[Heard]:
    """In the order of the show; nothing behind its end."""
    visits, rows = plan.visits, np.tile(np.arange(len(plan.visits.joined)), 2)
    sign = np.repeat([1, -1], len(visits.joined))
    silent = np.where((visits.how[rows] == SILENT) & (sign < 0), plan.scenario.noticed_s, 0.0)
    at = np.concatenate((visits.joined, visits.left)) + silent
    order = np.lexsort((-sign, at))
    order = order[at[order] < plan.scenario.seconds]
    rows = rows[order]
    columns = (at[order], sign[order], visits.viewer[rows], visits.source[rows], visits.node[rows], visits.how[rows])
    for when, which, viewer, source, node, how, quiet in zip(
        *(column.tolist() for column in (*columns, silent[order])), strict=True
    ):
        yield Heard(when, which, f"v{viewer}", plan.sources[source], node, WAYS[how], quiet)


Make = Callable[..., Attendance]


class Person(Struct):
    """A viewer on one node, as its door knows him."""

    seats: int = 0
    heard_s: float = 0.0
    how: str = ""


class Filling:
    """A plan on its way into a room: ``up_to`` a moment of the show, and then its end."""

    def __init__(self, redis: Redis, plan: Plan, room: str, make: Make = Attendance) -> None:
        self.redis, self.plan, self.room = redis, plan, room
        self.at_s = 0.0
        ids = (f"{room}-{n}" for n in itertools.count(1))
        self.nodes = [
            make(
                redis,
                SHARDS,
                f"{room}-node{n}",
                grace_ms=round(plan.scenario.grace_s * 1000),
                seconds=30,
                new_id=lambda: next(ids),
                server_ms=lambda: self.now_ms,
            )
            for n in range(plan.scenario.nodes)
        ]
        self.heard = heard(plan)
        self.next = next(self.heard, None)
        self.people: dict[tuple[str, int], Person] = {}
        self.steps = 0

    @property
    def now_ms(self) -> float:
        return EPOCH_MS + round(self.at_s * 1000)

    # -- the show --

    async def start(self) -> None:
        await self.redis.set(CLOCK, EPOCH_MS)
        await self.nodes[0].turn_stream(self.room, f"{self.room}-stream", "Audience", "host", self.now_ms)

    async def up_to(self, seconds: float) -> None:
        if not self.steps:
            await self.start()
        while self.at_s < seconds:
            self.steps += 1
            self.at_s = min(seconds, self.steps * STEP_S)
            self.tell()
            await self.flush()
            if self.steps % SWEEP_STEPS == 0 or self.at_s == seconds:
                await self.sweep()

    async def live_at(self, seconds: float) -> Report:
        """What is said at a moment of the show."""
        await self.up_to(seconds)
        return await self.report()

    async def stop(self) -> None:
        await self.nodes[0].turn_stream(self.room, "", "", "", self.now_ms)
        open_ = keys_of(self.room, SHARDS).sessions
        for _ in range(TRIES + await self.redis.hlen(open_)):
            await self.sweep()
            if not await self.redis.hlen(open_):
                return
        raise RuntimeError("sessions of a stream that ended stay open")

    def tell(self) -> None:
        """What the nodes heard until now."""
        while self.next is not None and self.next.at_s <= self.at_s:
            one, self.next = self.next, next(self.heard, None)
            if one.sign > 0:
                self.sits(one)
            else:
                self.goes(one)

    def sits(self, one: Heard) -> None:
        """A node tells of a viewer's first seat there."""
        person = self.people.setdefault((one.viewer, one.node), Person())
        person.seats += 1
        if person.seats == 1:
            self.nodes[one.node].came(self.room, one.viewer, one.source, EPOCH_MS + round(one.at_s * 1000))

    def goes(self, one: Heard) -> None:
        """It tells of the last of his seats that goes; what ended last says when and why he left."""
        person, last_s = self.people[one.viewer, one.node], one.at_s - one.silent_s
        person.seats -= 1
        if last_s >= person.heard_s:
            person.heard_s, person.how = last_s, one.how
        if not person.seats:
            del self.people[one.viewer, one.node]
            self.nodes[one.node].left(self.room, one.viewer, person.how, self.at_s - person.heard_s, RTT_MS)

    async def flush(self) -> None:
        await self.redis.set(CLOCK, round(self.now_ms))
        for node in self.nodes:
            while node.rolls:
                await node.flush()
                if any(roll.sent for roll in node.rolls.values()):
                    raise RuntimeError("what was told to the store was refused")

    async def sweep(self) -> None:
        done = MOST_SWEPT
        while done >= MOST_SWEPT:
            done, _ = await scripts.call(self.redis, *self.nodes[0].sweeping(self.room))
        await self.redis.xtrim(keys.outbox(0), maxlen=0, approximate=False)  # nobody records it here

    # -- what is said of it, and what is true --

    async def report(self) -> Report:
        """As `GET /v1/rooms/{room}/retention` makes it."""
        attendance = self.nodes[0]
        stream = await attendance.stream(self.room)
        assert stream is not None
        cells, distinct = await attendance.counted(self.room, stream.id)
        grace = 0 if stream.end else attendance.grace_ms + LATE_MS
        return live_report(cells, distinct, stream.start, stream.end or self.now_ms, grace)

    def truth(self) -> Truth:
        return truth_of(self.plan.visits, Recording(0.0, self.plan.scenario.seconds, self.plan.scenario.grace_s))


async def fill(redis: Redis, plan: Plan, room: str = "audience", make: Make = Attendance) -> Filling:
    """A whole show, up to its last moment and not ended; within ``turned_clock``."""
    filling = Filling(redis, plan, room, make)
    await filling.up_to(plan.scenario.seconds)
    return filling
