"""Admission: everybody who knocks at a room in the same moment is let in together."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol

import structlog
from redis.exceptions import RedisError

from gameplay.moderation import Muted, Reported, Sanction, binding
from gameplay.play import Role
from liveroom.chronicle import Chronicle, Mine
from liveroom.hub import Hub
from liveroom.protocol import About, Close, Resume, Welcome, Who, encode, framed
from liveroom.room import Person, Room, Seat
from liveroom.snapshot import snapshot
from liveroom.store.attendance import Attendance
from liveroom.store.crowd import Crowd
from liveroom.store.feed import Feed
from liveroom.store.postman import Newcomer
from liveroom.store.presence import Presence
from liveroom.store.sanctions import Docket
from liveroom.writer import send

log = structlog.get_logger()

NOTHING = Mine()
PATIENCE_SECONDS = 3.0
PAUSE_SECONDS = 0.2


class Joiner(Seat, Protocol):
    """A connection whose token was good and that is not in the room yet."""

    resume: Resume | None
    open: bool
    heard: float  # the loop's time of his last proof of life
    rtt_ms: float
    why: str  # he is gone, where the server knows it

    def enter(self, room: Room, person: Person, replay: int) -> None:
        """It is in; ``replay`` bytes of back-fill were written and may wait in its buffer."""


class Door:
    """Lets viewers in, one batch per room at a time, and notes who left."""

    def __init__(
        self,
        hub: Hub,
        feed: Feed,
        presence: Presence,
        crowd: Crowd,
        chronicle: Chronicle,
        attendance: Attendance,
        docket: Docket,
        *,
        heartbeat_ms: int,
        connections: int,
        window_ms: int,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.hub = hub
        self.feed = feed
        self.presence = presence
        self.crowd = crowd
        self.chronicle = chronicle
        self.attendance = attendance
        self.docket = docket
        self.heartbeat_ms = heartbeat_ms
        self.connections = connections
        self.window_ms = window_ms
        self.spawn = spawn
        self.waiting: defaultdict[str, list[Joiner]] = defaultdict(list)
        self.entering: dict[str, list[Joiner]] = {}  # being let in at this moment
        self.busy: set[str] = set()
        self.joins = self.resumes = 0  # the latter are among the former

    def knock(self, room: str, joiner: Joiner) -> None:
        if not joiner.staff:
            self.presence.came(room, joiner.viewer)
        self.waiting[room].append(joiner)
        if room not in self.busy:
            self.busy.add(room)
            self.spawn(self.answer(room))

    def left(self, room: str, seat: Joiner) -> None:
        """A connection that had knocked is gone."""
        held = self.hub.rooms.get(room)
        if held and seat in held.seats:
            person = held.people[seat.viewer]
            if self.hub.leave(held, seat) and person.homes > 1:
                self.spawn(self.presence.tell_seat(room, seat.viewer, person.homes - 1, ""))
            if not seat.staff:
                self.view_ended(room, person, seat)
        if not seat.staff:
            self.presence.left(room, seat.viewer)

    def view_ended(self, room: str, person: Person, seat: Joiner) -> None:
        if seat.heard >= person.heard:  # what ended last says when and why he left
            person.heard, person.why = seat.heard, seat.why
        if not person.views():
            why = "background" if person.hidden and person.why in ("", "ping_timeout", "close") else person.why
            ago = max(0.0, asyncio.get_running_loop().time() - person.heard)
            self.attendance.left(room, seat.viewer, why or "conn_error", ago, seat.rtt_ms)

    async def answer(self, room_id: str) -> None:
        try:
            while joiners := self.waiting.pop(room_id, []):
                try:
                    await self.let_in(room_id, joiners)
                except Exception:
                    log.exception("joiners could not be let in", room=room_id)
        finally:
            self.busy.discard(room_id)

    async def let_in(self, room_id: str, joiners: list[Joiner]) -> None:
        """Let all of them in; who does not come in is told what to do."""
        why: tuple[int, str] | None = Close.INTERNAL, "an error of the server; it is logged there"
        self.entering[room_id] = joiners
        try:
            why = await self.patiently(room_id, joiners)
        finally:
            del self.entering[room_id]
            if why is not None:
                for joiner in joiners:
                    joiner.gone(*why)

    async def patiently(self, room_id: str, joiners: list[Joiner]) -> tuple[int, str] | None:
        """A server that is just being started again is waited for a little."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_SECONDS
        while True:
            try:
                return await self.try_to_let_in(room_id, joiners)
            except (RedisError, OSError, TimeoutError):
                if loop.time() > deadline:
                    return Close.TRY_LATER, "the room's store does not answer; try again"
            await asyncio.sleep(PAUSE_SECONDS)

    async def try_to_let_in(self, room_id: str, joiners: list[Joiner]) -> tuple[int, str] | None:
        """None, or why they must go. Raises redis-py's errors and TimeoutError."""
        room = await self.feed.hold(room_id)
        if room is None or room.info.state != "open":
            return Close.ROOM_GONE, "there is no such room, or it is closed"
        await self.presence.note(room_id)
        await self.turn_away(room, joiners)
        await self.catch_up(room, joiners)
        seq = await self.feed.read_board(room)
        parts = await self.chronicle.parts(room, list({joiner.viewer for joiner in joiners}))
        if any(part.mail > room.mail for part in parts.values()):
            await self.feed.postman.catch_up(room)
        await self.flushed(room, seq)  # what the snapshot has seen must have been told to the room
        for joiner in joiners:
            if joiner.open:
                self.admit_alone(room, joiner, parts.get(joiner.viewer, NOTHING), seq)
        return None

    async def turn_away(self, room: Room, joiners: list[Joiner]) -> None:
        """Who is banned goes before he is welcomed, whatever this node has heard of it."""
        staff = {joiner.viewer: joiner.role for joiner in joiners if joiner.staff}
        bans, noted = await self.docket.look_up(room.info.id, [joiner.viewer for joiner in joiners], staff)
        await self.dismiss(room, noted - staff.keys())
        for joiner in joiners:
            if binding(bans, "ban", joiner.viewer, joiner.role, self.hub.now_ms()):
                joiner.gone(Close.BANNED, "you are banned from this room")

    async def dismiss(self, room: Room, viewers: set[str]) -> None:
        """Who was staff and comes as a viewer is one, unless he sits as staff here or on a node that says so."""
        if former := viewers - {seat.viewer for seat in room.staff}:
            await self.docket.dismiss(room.info.id, former)
            for viewer in former:
                self.spawn(self.presence.tell_seat(room.info.id, viewer, self.presence.homes(room.info.id, viewer), ""))

    def banned(self, room: Room, ban: Sanction) -> None:
        """Show somebody out of a room, and whoever is on his way in."""
        ours: list[Seat] = [one for one in self.entering.get(room.info.id, ()) if one.viewer == ban.viewer]
        person = room.people.get(ban.viewer)
        for seat in [*ours, *(person.seats if person else ())]:
            if ban.binds(seat.role, self.hub.now_ms()):
                seat.gone(Close.BANNED, "you are banned from this room")

    def admit_alone(self, room: Room, joiner: Joiner, part: Mine, read: int) -> None:
        """A surprise with one joiner is not the others' trouble."""
        if room.info.state != "open":
            return joiner.gone(Close.ROOM_GONE, "the room is closed")
        try:
            self.admit(room, joiner, part, read, self.presence.homes(room.info.id, joiner.viewer))
        except Exception:
            log.exception("somebody could not be let in", room=room.info.id)
            joiner.gone(Close.INTERNAL, "an error of the server; it is logged there")
        return None

    async def catch_up(self, room: Room, joiners: list[Joiner]) -> None:
        """Somebody was told more elsewhere than this node has heard: read on before he is answered."""
        ahead = max((one.resume.seq for one in joiners if one.resume and one.resume.epoch == room.epoch), default=0)
        if ahead > room.seq:
            await self.feed.fill(room)
        await self.flushed(room, ahead)

    async def flushed(self, room: Room, seq: int) -> None:
        """Wait until the room's viewers were told of all that this node knows up to ``seq``."""
        while room.flushed < min(seq, room.seq):
            self.hub.flush(room)
            await asyncio.sleep(0)

    def admit(self, room: Room, joiner: Joiner, part: Mine, read: int, homes: int) -> None:
        """One synchronous step, so that no event falls between what is written here and the next tick.

        ``read``: the event as of which, or later, his own ``part`` was read.
        """
        seq = room.board.seq
        known = joiner.viewer in room.people
        missed = self.hub.missed(room, joiner.resume.epoch, joiner.resume.seq) if joiner.resume else None
        if missed is None:
            behind, letters = self.hub.since(room, seq), letters_of(room, part, seq)
            shown = snapshot(room, part.rounds, letters, self.hub.now_ms())
            welcome = self.welcome(room, joiner, seq, shown)
        else:
            assert joiner.resume is not None
            welcome = self.welcome(room, joiner, joiner.resume.seq, None)
            seq, read = room.flushed, min(read, joiner.resume.seq)
            letters = letters_of(room, part, seq)
            behind = [*(event.body for event in missed), *letters]
        frames = framed([welcome], joiner.codec) + (framed(behind, joiner.codec) if behind else b"")
        if not joiner.transport.is_closing():
            joiner.transport.write(frames)
            self.hub.told.alone(len(frames))
        person = self.hub.sit(room, joiner)
        person.homes = homes
        if person.views() == [joiner]:
            person.came, person.hidden = self.hub.now_ms(), False
            self.attendance.came(room.info.id, joiner.viewer, joiner.source, vouched=joiner.vouched)
        if not joiner.staff:
            self.feed.postman.newcomer(room, Newcomer(joiner.viewer, read, letters))
        if part.mail < room.mail:
            self.spawn(self.feed.postman.tell_missed(room, joiner.viewer, part.mail, room.mail))
        joiner.enter(room, person, len(frames))
        self.remind(room, joiner)
        self.joins += 1
        self.resumes += missed is not None
        self.make_place(room, person, joiner, homes)
        if not (known or joiner.staff or missed is not None):
            self.crowd.join(room.info.id, room.window_ms(self.window_ms), joiner.name)

    def remind(self, room: Room, joiner: Joiner) -> None:
        """What he is told again at each welcome."""
        if joiner.staff and room.reports[0]:
            send(joiner, encode(Reported(*room.reports)))
        mute = binding(room.sanctions, "mute", joiner.viewer, joiner.role, self.hub.now_ms())
        if mute and not mute.shadow:
            send(joiner, encode(Muted(mute.until)))

    def welcome(self, room: Room, joiner: Joiner, seq: int, shown: Any) -> bytes:
        viewers = max(room.viewers, self.presence.viewers(room.info.id))
        about = About(room.info.id, room.info.title, viewers, room.likes)
        who = Who(joiner.viewer, joiner.name, joiner.role)
        now = int(self.hub.now_ms())
        message = Welcome(who, about, room.epoch, seq, now, self.heartbeat_ms, shown is None)
        return encode(message) if shown is None else encode(message)[:-1] + b',"snapshot":' + bytes(shown) + b"}"

    def make_place(self, room: Room, person: Person, joiner: Joiner, homes: int) -> None:
        """The same device again, or one connection too many: the older one goes, on other nodes too."""
        same = [seat for seat in person.seats if seat is not joiner and seat.device == joiner.device]
        for seat in same if joiner.device else ():
            seat.gone(Close.REPLACED, "this device came again")
        if len(person.seats) > self.connections:
            person.seats[0].gone(Close.REPLACED, "too many connections; the oldest goes")
        if homes > 1 or (joiner.staff and joiner.device):
            self.spawn(self.presence.tell_seat(room.info.id, joiner.viewer, homes, joiner.device))

    def seated(self, room: Room, viewer: str, homes: int, device: str) -> None:
        """A viewer of ours sat down on another node."""
        ours: list[Seat] = [one for one in self.entering.get(room.info.id, ()) if one.viewer == viewer]
        if person := room.people.get(viewer):
            person.homes = homes
            self.presence.told(room.info.id, viewer, homes)
            ours += person.seats
        if roles := [seat.role for seat in ours if seat.staff]:
            self.spawn(self.still_staff(room, viewer, roles[0]))
        for seat in [seat for seat in ours if device and seat.device == device]:
            seat.gone(Close.REPLACED, "this device came again")

    async def still_staff(self, room: Room, viewer: str, role: Role) -> None:
        """He came elsewhere, perhaps as a viewer, and sits here as staff."""
        with suppress(RedisError, OSError, TimeoutError):
            await self.docket.note_staff(room.info.id, viewer, role)


def letters_of(room: Room, part: Mine, seq: int) -> list[bytes]:
    """The letters that one may see who knows all up to there; not those that quote what was deleted."""
    return [one for one in part.told(room.epoch, seq) if not room.erased.hides_letter(one)]
