"""The host's view of the audience: streams, and the curves of who stays, while they move."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError

from gameplay.play import Code, Refusal, bad
from gameplay.text import shown
from liveroom.asked import Asked, Done, digest, fields, later, order_of
from liveroom.hub import Hub
from liveroom.ids import Ids
from liveroom.live_report import live_report
from liveroom.memory import Memory
from liveroom.protocol import (
    PlayAnnounce,
    PlayAnnounced,
    PresenceSet,
    RetentionWatch,
    RhythmHint,
    ShareAdd,
    StreamStart,
    StreamStarted,
    StreamStop,
    StreamStopped,
    encode,
)
from liveroom.room import LogEvent, Room, Seat
from liveroom.store.attendance import LATE_MS, Attendance, StreamNow
from liveroom.store.orders import Order, begun, tell
from liveroom.store.rooms import ROOM_CLOSED, TRY_LATER, By, Rooms
from liveroom.writer import send

LIVE_SECONDS = 2.0
FRESH_SECONDS = 1.0  # a report is made at most so often
POINTS = 300  # of each curve that is pushed
ROWS, STEPS = 26, 144  # of the map of joiners: the newest rows, and half a day of each
MINUTES = 120
REPORTS = 200  # of so many rooms, while they are fresh

WARN, ALARM = 15, 20  # minutes without a high point
FARTHEST_MS = 30 * 24 * 3600 * 1000
# High points of a show: something was opened, drawn, revealed, reached or sold out.
HIGH = re.compile(rb'"t":"[a-z]+\.(opened|drawn|revealed|reached|sold_out)"')

NO_STREAM = Refusal(Code.NO_STREAM, message="no stream is running in this room")


class Audience:
    """Begins and ends streams, and tells hosts who asked how the audience is."""

    def __init__(
        self,
        hub: Hub,
        rooms: Rooms,
        attendance: Attendance,
        ids: Ids,
        now_ms: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.hub = hub
        self.rooms = rooms
        self.attendance = attendance
        self.ids = ids
        self.now_ms = now_ms  # of the server that counts
        self.watching: dict[str, set[str]] = {}  # room -> staff who want to be told
        self.hinted: dict[str, tuple[str, int]] = {}  # room -> what was said of its rhythm
        self.reports: Memory[dict[str, Any]] = Memory(REPORTS, FRESH_SECONDS)
        self.running: dict[str, str] = {}  # room -> the stream that runs, as this node last heard
        attendance.runs, attendance.closed, attendance.forgotten = self.runs, rooms.closed, self.forgotten
        rooms.shut = self.shut
        self.verbs: dict[type[Any], Callable[[Asked], None]] = {
            StreamStart: later(spawn, self.start),
            StreamStop: later(spawn, self.stop),
            PlayAnnounce: later(spawn, self.announce),
            RetentionWatch: self.watch,
            PresenceSet: self.presence,
            ShareAdd: lambda asked: asked.done({}),
        }

    # -- streams --

    async def start(self, asked: Asked) -> Done:
        """The stream is turned first, on the server that counts; sent again, it is told behind that."""
        command, order = asked.command, self.order(asked)
        assert isinstance(command, StreamStart)
        if before := await begun(self.rooms, order):
            return fields(before)
        title, new = shown(command.title), f"s_{self.ids.new(asked.at)}"
        host, word = asked.actor.viewer, intention(asked)
        state, *about = await self.attendance.turn_stream(order.room, new, title, host, self.now_ms(), word)
        if state == 1:
            params = {"id": about[0].decode(), "since": about[1]}
            return Refusal(Code.STREAM_RUNNING, params, "a stream is running: stop it first")
        if state == 3:
            return ROOM_CLOSED
        id_ = about[0].decode()
        return fields(await tell(self.rooms, order, encode(StreamStarted(id_, title)), "stream", encode({"id": id_})))

    async def stop(self, asked: Asked) -> Done:
        order, word = self.order(asked), intention(asked)
        if before := await begun(self.rooms, order):
            return fields(before)
        state, *about = await self.attendance.turn_stream(order.room, "", "", "", self.now_ms(), word)
        if state == 2:
            return NO_STREAM
        id_ = about[0].decode()
        return fields(await tell(self.rooms, order, encode(StreamStopped(id_)), "stream", encode({"id": id_})))

    async def shut(self, room: str) -> None:
        """A room was closed: who is here has not left. Where Redis does not answer, a sweep ends the stream."""
        with suppress(RedisError, OSError, TimeoutError):
            await self.attendance.close(room)

    async def forgotten(self, room: str, stream: str) -> None:
        """A stream of a host ended by itself: the room is told, once. Raises TimeoutError and redis-py's errors."""
        now, event = self.now_ms(), encode(StreamStopped(stream))
        once = self.rooms.keys(room).once("", f"forgotten {stream}")
        order = Order(room, By(command=encode(StreamStop())), self.ids.new(now), once, stream, now + FARTHEST_MS)
        if await tell(self.rooms, order, event, "stream", encode({"id": stream})) is TRY_LATER:
            raise TimeoutError

    async def announce(self, asked: Asked) -> Done:
        command = asked.command
        assert isinstance(command, PlayAnnounce)
        what = shown(command.what)
        if not what or command.at > asked.at + FARTHEST_MS:
            why = "say what, and when: in epoch milliseconds, within 30 days"
            return bad("at" if what else "what", why)
        event = encode(PlayAnnounced(what, command.at))
        return fields(await tell(self.rooms, self.order(asked), event, "", b"{}"))

    def order(self, asked: Asked) -> Order:
        return order_of(asked, self.rooms, self.ids)

    def began(self, room: Room, event: LogEvent) -> None:
        """A stream begins: whoever is here attends it from its beginning."""
        self.all_came(room, event.ts)

    def here_still(self, room_id: str) -> None:
        """This node was thought dead: its viewers are here all the same."""
        if room := self.hub.rooms.get(room_id):
            self.all_came(room, self.now_ms())

    def runs(self, room_id: str, stream: str) -> None:
        """This stream runs, or none where it is empty: of one that began by itself only the newest comer is known."""
        room, before = self.hub.rooms.get(room_id), self.running.pop(room_id, stream)
        if room:
            self.running[room_id] = stream
            if stream not in ("", before):
                self.all_came(room, self.now_ms())

    def all_came(self, room: Room, at_ms: float) -> None:
        for viewer, person in room.people.items():
            if views := person.views():
                one = views[0]
                self.attendance.came(room.info.id, viewer, one.source, at_ms, vouched=one.vouched)

    def presence(self, asked: Asked) -> None:
        """Out of sight, he is still here; if he goes from there, that is why."""
        command = asked.command
        assert isinstance(command, PresenceSet)
        asked.actor.person.hidden = not command.visible
        asked.done({})

    # -- the numbers --

    async def report(self, room: str, *, last: bool = False) -> dict[str, Any] | None:
        """How the audience of a room is, or (always with ``last``) was when its last stream ended; None without one."""
        stream = await self.attendance.stream(room, last=last)
        if stream is None:
            return None
        return await self.reports.get(f"{room} {stream.id} {stream.end}", lambda: self.make(room, stream))

    async def make(self, room: str, stream: StreamNow) -> dict[str, Any]:
        cells, distinct = await self.attendance.counted(room, stream.id)
        grace = 0 if stream.end else self.attendance.grace_ms + LATE_MS
        now = stream.end or self.now_ms()
        about = {"id": stream.id, "title": stream.title, "live": not stream.end, "implicit": not stream.by}
        # Beside the room's ticks: thousands of cells are some milliseconds.
        report = await asyncio.to_thread(live_report, cells, distinct, stream.start, now, grace)
        return {"stream": about, **report}

    def watch(self, asked: Asked) -> None:
        command = asked.command
        assert isinstance(command, RetentionWatch)
        those = self.watching.setdefault(asked.room.info.id, set())
        (those.add if command.on else those.discard)(asked.actor.viewer)
        asked.done({"on": command.on})

    async def run(self) -> None:
        """`retention.live` to those who asked, as long as they are here: who comes back asks again."""
        while True:
            await asyncio.sleep(LIVE_SECONDS)
            for room_id, those in list(self.watching.items()):
                room = self.hub.rooms.get(room_id)
                those &= {seat.viewer for seat in self.seats(room)} if room else set()
                if room and those:
                    await self.push(room)
                else:
                    del self.watching[room_id]
                    self.hinted.pop(room_id, None)

    def seats(self, room: Room) -> list[Seat]:
        """Of those who asked, as far as they are here and may still ask."""
        those = map(room.people.get, self.watching.get(room.info.id, ()))
        return [seat for person in those if person for seat in person.seats if seat.role.may(RetentionWatch.needs)]

    async def push(self, room: Room) -> None:
        try:
            async with asyncio.timeout(LIVE_SECONDS):
                report = await self.report(room.info.id)
        except (RedisError, OSError, TimeoutError):
            return
        if report is None:
            return
        for body in (encode({"t": "retention.live", **thinned(report)}), self.hint(room, report)):
            for seat in self.seats(room) if body else ():
                self.hub.told.alone(send(seat, body))

    def hint(self, room: Room, report: dict[str, Any]) -> bytes:
        """How long nothing has happened: said when that gets worse or better, and once a minute; else empty."""
        if not report["stream"]["live"]:
            return b""
        high = max((event.ts for event in room.ring if HIGH.search(event.body)), default=0)
        minutes = max(0.0, (self.now_ms() - max(high, report["start"])) / 60_000)
        level = "alarm" if minutes >= ALARM else "warn" if minutes >= WARN else "fine"
        said = level, int(minutes)
        if self.hinted.get(room.info.id) == said:
            return b""
        self.hinted[room.info.id] = said
        leaves = sum(point["leaves"] for point in report["online"]["curve"][-6:])
        return encode(RhythmHint(round(minutes, 1), level, round(room.comments_rate, 1), leaves))


def intention(asked: Asked) -> str:
    """What tells a command that is sent again from a new one; empty where nothing does."""
    return f"{asked.actor.viewer} {asked.command.idem} {digest(asked.command)}" if asked.command.idem else ""


def thinned(report: dict[str, Any]) -> dict[str, Any]:
    """Not more points than a screen shows; HTTP has them all."""
    stay, online = report["stay"], report["online"]
    curves = {"stay": {**stay, "curve": fewer(stay["curve"])}, "online": {**online, "curve": coarser(online["curve"])}}
    deeds = report["interaction"].items()
    parts = {
        "provisional": fewer(report["provisional"]),
        "sources": {name: {**one, "curve": []} for name, one in report["sources"].items()},
        "cohorts": [{**one, "present": one["present"] and one["present"][:STEPS]} for one in report["cohorts"][-ROWS:]],
        "interaction": {deed: {**one, "minutes": one["minutes"][-MINUTES:]} for deed, one in deeds},
    }
    return {**report, **curves, **parts}


def picked(n: int) -> list[int]:
    """Which of so many points are kept: evenly, and the last."""
    return [*range(0, n - 1, max(1, -(-(n - 1) // (POINTS - 1)))), n - 1] if n else []


def fewer(points: list[Any]) -> list[Any]:
    return [points[n] for n in picked(len(points))]


def coarser(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fewer, and what moved since the one before that is kept is told by each."""
    kept, begin = [], 0
    for n in picked(len(points)):
        some, begin = points[begin : n + 1], n + 1
        kept.append({**points[n], **{move: sum(one[move] for one in some) for move in ("joins", "leaves")}})
    return kept
