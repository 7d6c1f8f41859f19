"""The scripts that note sessions, on a real server with a clock that the test turns, and what they should find."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from typing import Any, NamedTuple

import numpy as np
from redis.asyncio import Redis

from liveroom.sessions import Connections, Recording, sessions_of
from liveroom.store import keys, scripts
from liveroom.store.attendance import EMPTY_MS, FORGOTTEN_MS, Attendance
from liveroom.store.keys import keys_of
from liveroom.store.presence import Presence
from loadtest.audience.store import CLOCK
from tests.audience.tally import ENDS, ONE, PACKED, read

SHARDS = 1
GRACE = 10_000
LEASE = 3_000
EPOCH = 1_700_000_000_000

numbers = itertools.count(1)


class Connection:
    """Somebody on a node; ``stream`` is the one that he attends, as of ``a``."""

    def __init__(self, viewer: str, node: int, stream: str, a: int) -> None:
        self.viewer, self.node, self.stream, self.a = viewer, node, stream, a
        self.b: int | None = None
        self.why = ""


class Found(NamedTuple):
    """A session: what the ledger is told, or what it should be."""

    viewer: str
    start: int
    ends: int
    event: bool
    watch: int


class Stage:
    """A room, two nodes, and everything that was said to them."""

    def __init__(self, redis: Redis, grace: int = GRACE) -> None:
        self.redis, self.grace, self.room, self.now = redis, grace, f"room-{next(numbers)}", EPOCH
        self.nodes = [self.node(), self.node()]
        self.inside: dict[tuple[str, int], Connection] = {}
        self.ever: list[Connection] = []
        self.streams: dict[str, list[int]] = {}  # id -> start, end
        self.running = ""

    def node(self) -> tuple[Attendance, Presence]:
        name, new_id = f"n{next(numbers)}", lambda: f"f{next(numbers)}"
        clock = lambda: float(self.now)  # noqa: E731
        attendance = Attendance(
            self.redis, SHARDS, name, grace_ms=self.grace, seconds=5, new_id=new_id, server_ms=clock
        )
        presence = Presence(
            self.redis,
            SHARDS,
            name,
            lease=LEASE / 1000,
            seconds=5,
            grace_ms=self.grace,
            new_id=new_id,
            now=lambda: self.now / 1000,
            server_ms=clock,
        )
        return attendance, presence

    async def wait(self, ms: int) -> None:
        """Time goes on, and the nodes renew their leases."""
        self.now += ms
        await self.redis.set(CLOCK, self.now)
        for _, presence in self.nodes:
            await presence.note(self.room)

    # -- what people do --

    async def join(self, viewer: str, node: int, source: str = "") -> None:
        if (viewer, node) not in self.inside:
            attendance, presence = self.nodes[node]
            presence.came(self.room, viewer)
            await presence.note(self.room)
            attendance.came(self.room, viewer, source)
            self.attend(viewer, node, self.now)

    def attend(self, viewer: str, node: int, at: int) -> None:
        if not self.running:
            self.running = "?"  # it begins by itself; its name is not known yet
            self.streams["?"] = [at, 0]
        one = self.inside[viewer, node] = Connection(viewer, node, self.running, at)
        self.ever.append(one)

    async def leave(self, viewer: str, node: int, why: str = "close", ago: int = 0) -> None:
        one = self.inside.pop((viewer, node), None)
        if one is not None:
            attendance, presence = self.nodes[node]
            attendance.left(self.room, viewer, why, ago / 1000, 20)
            presence.left(self.room, viewer)
            await presence.note(self.room)
            one.b, one.why = self.now - ago, why

    async def lose(self, node: int) -> None:
        """It falls silent; its lease lapses; another takes its place."""
        _, presence = self.nodes[node]
        if here := presence.rooms.get(self.room):
            here.renewed = 0  # it is heard of now, for the last time
        await presence.note(self.room)
        for one in [one for one in self.inside.values() if one.node == node]:
            one.b, one.why = self.now, "node_lost"
            del self.inside[one.viewer, node]
        self.nodes[node] = self.node()
        await self.wait(LEASE + 1)
        await self.bells()

    async def bells(self) -> None:
        """As `Presence.ring` does."""
        for bell in await self.rung(keys.leases(0)):
            await scripts.run(self.redis, [self.nodes[0][1].lapse(bell)])

    async def rung(self, key: str) -> list[str]:
        (found,) = await scripts.run(self.redis, [("ring", [key], [0, 1000])])
        return [bell.decode() for bell in found[1:]]

    # -- what the nodes do --

    async def note(self, *twice: int) -> None:
        """Both nodes send what they have; some of them twice, as if no answer had come."""
        for n, (attendance, _) in enumerate(self.nodes):
            if n in twice and (roll := attendance.rolls.get(self.room)):
                await scripts.run(self.redis, [attendance.call(self.room, roll, attendance.batch(roll))])
            await attendance.flush()
        await self.look()

    async def sweep(self) -> int:
        """As `Attendance.sweep` does: where a bell rings."""
        if self.room not in await self.rung(keys.sweeps(0)):
            return 0
        done, _ = await scripts.call(self.redis, *self.nodes[0][0].sweeping(self.room))
        await self.look()
        return int(done)

    async def start(self) -> None:
        id_ = f"s{next(numbers)}"
        state, *about = await self.nodes[0][0].turn_stream(self.room, id_, "Evening", "host", self.now)
        if self.running and not self.streams[self.running][2:]:
            self.streams[self.running][1] = self.now
        elif self.running:
            assert (state, about[0].decode()) == (1, self.running)
            return
        assert (state, about[1]) == (0, self.now)
        self.running, self.streams[id_] = id_, [self.now, 0, 1]
        for viewer, node in list(self.inside):
            self.nodes[node][0].came(self.room, viewer, "", self.now)
            self.attend(viewer, node, self.now)

    async def stop(self) -> None:
        (state, *_) = await self.nodes[0][0].turn_stream(self.room, "", "", "", self.now)
        assert state == (0 if self.running else 2)
        if self.running:
            self.streams[self.running][1], self.running = self.now, ""

    async def look(self) -> None:
        """Streams that begin and end by themselves."""
        is_: Any = await self.redis.hgetall(keys_of(self.room, SHARDS).stream)
        id_ = is_.get(b"id", b"").decode()
        if self.running == "?":
            self.running, self.streams[id_] = id_, self.streams.pop("?")
            assert self.streams[id_][0] == int(is_[b"start"])
            for one in self.ever:
                one.stream = id_ if one.stream == "?" else one.stream
        if self.running and not id_:
            patience = FORGOTTEN_MS if self.streams[self.running][2:] else EMPTY_MS
            assert int(is_[b"last_end"]) + patience <= self.now, "a stream ended too soon"
            assert not self.here(), "a stream ended while somebody was here"
            self.streams[self.running][1], self.running = int(is_[b"last_end"]), ""
        assert id_ == self.running

    # -- what is true --

    def here(self) -> set[str]:
        return {one.viewer for one in self.inside.values() if one.stream == self.running}

    def known(self) -> dict[str, list[Found]]:
        """The sessions of each stream by the offline definition."""
        return {id_: self.sessions(id_, start, end or self.now) for id_, (start, end, *_) in self.streams.items()}

    def sessions(self, stream: str, start: int, end: int) -> list[Found]:
        rows = [one for one in self.ever if one.stream == stream]
        names = sorted({one.viewer for one in rows})
        lefts = [np.inf if one.b is None or one.b > end else (one.b - start) / 1000 for one in rows]
        found = sessions_of(
            Connections(
                np.array([names.index(one.viewer) for one in rows], np.int64),
                np.array([(one.a - start) / 1000 for one in rows], np.float64),
                np.array(lefts, np.float64),
                np.array([one.why in ("stream_end", "stream_down") for one in rows], bool),
            ),
            Recording(0.0, (end - start) / 1000, self.grace / 1000),
        )
        rows_ = zip(found.viewer, found.start, found.span, found.event, found.watch, strict=True)
        return sorted(
            Found(names[v], start + ms(a), start + ms(a + span), bool(event), ms(watch))
            for v, a, span, event, watch in rows_
        )

    async def cells(self, stream: str) -> dict[str, int]:
        return read((await self.nodes[0][0].counted(self.room, stream))[0])

    async def distinct(self, stream: str) -> dict[str, int]:
        return (await self.nodes[0][0].counted(self.room, stream))[1]

    async def told(self) -> dict[str, list[Found]]:
        """What is in the outbox."""
        found = defaultdict(list)
        for one in await self.facts():
            ours = Found(one["viewer"], one["start"], one["ends"], one["event"] == 1, one["watch"])
            found[one["stream"]].append(ours)
        return {stream: sorted(those) for stream, those in found.items()}

    async def facts(self) -> list[dict[str, Any]]:
        rows: Any = await self.redis.xrange(keys.outbox(0))
        ours = [words for _, words in rows if words[b"room"] == self.room.encode() and words[b"what"] == b"sessions"]
        return [one for words in ours for one in json.loads(words[b"sessions"])]

    async def check(self) -> None:
        """At any moment: everybody is counted once, and nothing is negative."""
        at = keys_of(self.room, SHARDS)
        open_: Any = await self.redis.hgetall(at.sessions)
        sessions = {viewer.decode(): json.loads(one) for viewer, one in open_.items()}
        told = await self.facts()
        for stream in self.streams:
            cells = await self.cells(stream)
            assert all(number >= 0 for number in cells.values()), cells
            sums = Counter[str]()
            for name, number in cells.items():
                kind = name.partition(":")[0]
                sums[kind] += number // ONE if kind in PACKED else number
                if kind == "D":
                    sums["T"] += number // ONE * ms(ENDS[int(name.rpartition(":")[2])]) + number % ONE
            ours = [one for one in sessions.values() if one["stream"] == stream]
            away = [one for one in ours if not one["nodes"]]
            over = [one for one in told if one["stream"] == stream]
            assert sums["O"] == len(ours)
            assert (sums["B"], sums["P"]) == (len(away), len(away))
            assert (sums["D"], sums["X"]) == (sum(one["event"] for one in over), sum(not one["event"] for one in over))
            assert sums["O"] + sums["D"] + sums["X"] == sums["sessions"] == sums["M"]
            assert sums["watch"] == sum(one["watch"] for one in over)
            assert sums["T"] == sum(one["ends"] - one["start"] for one in over if one["event"])
            assert sums["J"] - sums["L"] == len(ours) - len(away)

    async def over(self) -> None:
        """Everybody goes, the host stops it, and all graces are over."""
        for viewer, node in list(self.inside):
            await self.leave(viewer, node)
        await self.note()
        await self.wait(self.grace + 5_000)
        if self.running:
            await self.stop()
        for _ in range(50):
            await self.sweep()
            await self.wait(1_000)
        await self.check()
        assert await self.redis.hlen(keys_of(self.room, SHARDS).sessions) == 0


def ms(seconds: float) -> int:
    return round(float(seconds) * 1000)


__all__ = ["EMPTY_MS", "EPOCH", "FORGOTTEN_MS", "GRACE", "LEASE", "Found", "Stage"]
