"""What comes back from Redis: keeps each held room's ring whole and in order, whatever pub/sub loses.

A room is *held* while it has viewers here. Once a second the heads of all held
rooms are read in one pipeline and compared with the rings; what is missing is read
from the log. A new epoch, or a gap that the log cannot fill, becomes a
``room.reset`` with a fresh snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from math import inf
from typing import Any

import structlog
from msgspec import DecodeError, Raw, Struct, json
from msgspec.structs import replace
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gameplay.danmaku import Pinned
from gameplay.likes import Total
from gameplay.moderation import Deleted, Reported, Set, Unpinned
from liveroom.comments import read_head
from liveroom.hub import Hub
from liveroom.menu import KINDS
from liveroom.protocol import Joined, Reset, Stats, encode
from liveroom.room import LogEvent, Private, Room, RoomInfo
from liveroom.snapshot import board_json, manners, pins, snapshot
from liveroom.store.clock import Clock
from liveroom.store.ear import Ear
from liveroom.store.inboxes import Inboxes
from liveroom.store.postman import OF_ROUND, Postman, of_round, read_id
from liveroom.store.rooms import Head, Rooms, View
from liveroom.store.rounds import Rounds
from liveroom.store.scripts import NoRoom
from liveroom.store.warden import Warden
from liveroom.wall import EMPTY, Board, just_opened, read_wall

log = structlog.get_logger()

CHECK_SECONDS = 1.0
NOTHING = Raw()
CHAT, DELETED = b'"t":"chat.', b'"t":"chat.deleted"'
STREAM = b'"t":"stream.started"'
SHARED_MS = 5000  # how long a node that published is waited for in each tick


class FromTruth(Struct, frozen=True, gc=False):
    """A ledger event; or a letter to one viewer, behind the event ``after``; or mentions up to the number ``mail``;
    or the state of a round; or a sanction."""

    epoch: str
    seq: int = 0
    ts: int = 0
    e: Raw = NOTHING
    to: str = ""
    after: int = 0
    body: Raw = NOTHING
    mail: int = 0
    letters: list[tuple[str, Raw]] = []
    round: str = ""
    state: Raw = NOTHING
    ctl: int = 0
    name: str = ""
    sanction: Raw = NOTHING


class FromCrowd(Struct, frozen=True):
    """A blob of comments, a new total of likes, or word of a viewer who sits on several nodes."""

    node: str = ""
    comments: list[Raw] = []
    total: int = 0
    joined: tuple[str, ...] = ()
    more: int = 0
    likes: int | None = None
    ver: int = 0
    seat: tuple[str, int, str] | None = None  # viewer, nodes, device


read_order = json.Decoder(Set | Deleted | Pinned | Unpinned).decode
read_truth = json.Decoder(FromTruth).decode
read_crowd = json.Decoder(FromCrowd).decode

Spawn = Callable[[Coroutine[Any, Any, None]], object]


class Feed:
    """Feeds the hub. ``seated`` is told of viewers who sat down on another node, ``stirred`` of rounds whose numbers
    are newer, ``begun_anew`` of rooms that start from a snapshot,
    ``began`` of streams."""

    def __init__(
        self,
        hub: Hub,
        rooms: Rooms,
        rounds: Rounds,
        inboxes: Inboxes,
        live: Redis,
        clock: Clock,
        live_clock: Clock,
        *,
        node: str,
        urls: tuple[str, str],
        seconds: float,
        hold_seconds: float,
        spawn: Spawn,
        seated: Callable[[Room, str, str, int, str], None],
        stirred: Callable[[str, str, float], None],
        begun_anew: Callable[[str], None],
        began: Callable[[Room, LogEvent], None],
        warden: Warden,
    ) -> None:
        self.hub = hub
        self.rooms = rooms
        self.rounds = rounds
        self.live = live
        self.clock = clock
        self.live_clock = live_clock
        self.node = node
        self.seconds = seconds
        self.hold_seconds = hold_seconds
        self.spawn = spawn
        self.seated = seated
        self.stirred = stirred
        self.begun_anew = begun_anew
        self.began = began
        self.warden = warden
        self.truth_ear = Ear(urls[0], seconds, self.hear_truth, self.mended)
        self.crowd_ear = Ear(urls[1], seconds, self.hear_crowd, lambda: None)
        self.holding: dict[str, asyncio.Task[Room | None]] = {}
        self.early: dict[str, list[FromCrowd]] = {}  # heard while a room is being read
        self.by_channel: dict[str, str] = {}
        self.mending: set[str] = set()
        self.postman = Postman(hub, rounds, inboxes, seconds, spawn)
        self.fresh = False  # the truth answered the last check
        self.live_fresh = True
        self.fills = self.resets = 0  # rooms brought up to date from their log, or from a snapshot
        self.failures = {"truth": 0, "live": 0}  # checks that were not answered

    # -- holding --

    async def hold(self, room_id: str) -> Room | None:
        """The room, held from now on; None where there is no such open room. Raises redis-py's errors."""
        if room := self.hub.rooms.get(room_id):
            return room
        task = self.holding.get(room_id)
        if task is None:
            task = self.holding[room_id] = asyncio.create_task(self.take_up(room_id))
            task.add_done_callback(lambda _: self.holding.pop(room_id, None))
        return await asyncio.shield(task)

    async def take_up(self, room_id: str) -> Room | None:
        """Subscribe first, then read, so that nothing falls between."""
        at = self.rooms.keys(room_id)
        if await self.rooms.look(room_id) is None:
            return None  # subscribe to nothing that a stranger makes up
        self.by_channel |= {at.channel: room_id, at.crowd: room_id}
        self.early[room_id] = []
        try:
            await self.truth_ear.subscribe(at.channel)
            await self.crowd_ear.subscribe(at.crowd)
            room = await self.read(room_id)
        except BaseException:
            self.early.pop(room_id)
            self.drop(room_id)
            raise
        early = self.early.pop(room_id)
        if room is None:
            self.drop(room_id)
            return None
        room.unused_since = asyncio.get_running_loop().time()
        self.hub.rooms[room_id] = room
        known = set(map(bytes, room.chat))
        for blob in early:
            self.take_crowd(room, blob, [one for one in blob.comments if bytes(one) not in known])
        return room

    async def read(self, room_id: str) -> Room | None:
        view = await self.rooms.look(room_id)
        if view is None or view.info.state != "open":
            return None
        room = Room(view.info, view.epoch, view.seq, self.hub.limits)
        self.hang(room, view)
        await self.warden.read(room)
        events = [one for one in await self.rooms.tail(room_id, self.hub.limits.resume_events) if one.seq <= view.seq]
        room.ring.extend(contiguous(events, view.seq))
        at = self.rooms.keys(room_id)
        chat = await self.live.lrange(at.chat, 0, self.hub.limits.history - 1)
        for event in room.ring:
            if DELETED in event.body:
                room.erased.note(json.decode(event.body, type=Deleted), event.ts)
        room.chat.extend(room.erased.left(Raw(one) for one in reversed(chat)))
        if room.manners.mode == "slow":
            note_speakers(room, room.chat)
        room.likes, room.viewers = await self.counts(room_id)
        room.likes_told = room.likes
        room.mail = await self.postman.inboxes.newest(room_id)
        return room

    async def counts(self, room_id: str) -> tuple[int, int]:
        at = self.rooms.keys(room_id)
        async with self.live.pipeline(transaction=False) as pipeline:
            pipeline.hget(at.likes, "total")
            pipeline.hlen(at.seats)
            likes, viewers = await pipeline.execute()
        return int(likes or 0), viewers

    def drop(self, room_id: str) -> None:
        at = self.rooms.keys(room_id)
        self.hub.rooms.pop(room_id, None)
        for channel in (at.channel, at.crowd):
            self.by_channel.pop(channel, None)
        self.truth_ear.unsubscribe(at.channel)
        self.crowd_ear.unsubscribe(at.crowd)

    # -- hearing --

    def hear_truth(self, channel: str, body: bytes) -> None:
        room = self.hub.rooms.get(self.by_channel.get(channel, ""))
        if room is None:
            return  # being taken up: what it missed is read
        try:
            event = read_truth(body)
        except DecodeError as error:
            log.warning("an event cannot be read; do nodes of different versions share this Redis?", why=str(error))
            return self.mend(room)
        if event.letters:
            self.postman.take_mail(room, event.epoch, event.mail, event.letters)
        elif event.to:
            if (found := of_round(event.body)) and KINDS[found[1].decode()].grants:  # it may be asked for at once
                self.stirred(room.info.id, read_id(event.body).id, inf)
            self.hub.whisper(room, Private(event.to, event.after, bytes(event.body)))
        elif event.round:
            self.take_state(room, event.round, bytes(event.state))
        elif event.ctl and event.epoch == room.epoch:
            if not self.warden.heard(room, event.ctl, event.name, event.sanction):
                self.mend(room)
        elif event.epoch == room.epoch and event.seq == room.seq + 1:
            self.take_event(room, LogEvent(event.seq, event.ts, bytes(event.e)))
        elif event.epoch != room.epoch or event.seq > room.seq:
            self.mend(room)
        return None

    def take_event(self, room: Room, event: LogEvent) -> None:
        if found := of_round(event.body):
            if found[2] == b"opened":  # known before anybody is told, so that no answer to it is missed
                with suppress(DecodeError):  # of a newer version: the wall has it in a moment, as far as it can be read
                    opened = just_opened(found[1].decode(), event.body)
                    known = room.wall.get(opened.id)
                    if known is None or known.state == "announced":  # else the wall was read later than this was told
                        room.wall = {**room.wall, opened.id: opened}
            self.stirred(room.info.id, read_id(event.body).id, inf)
            self.spawn(self.look_again(room))
            self.postman.reveal(room, event, list(room.people))
        elif STREAM in event.body:
            self.began(room, event)
        elif CHAT in event.body:
            self.take_order(room, event)
        self.hub.feed(room, event)

    def take_order(self, room: Room, event: LogEvent) -> None:
        """The staff changed something in the chat."""
        told: Any = None
        with suppress(DecodeError):  # of a newer version
            told = read_order(event.body)
        if isinstance(told, Set):
            room.manners = replace(manners({"settings": event.body}), words=room.manners.words)
        elif isinstance(told, Deleted):
            room.erased.note(told, event.ts)
            self.hub.erase(room)
        self.spawn(self.look_again(room))  # the words are not told; and what is pinned

    def take_state(self, room: Room, round_id: str, body: bytes) -> None:
        """How a round is going: only the newest counts."""
        found = OF_ROUND.search(body)
        if not found:
            return
        self.hub.state(room, f"{found[0].decode()} {round_id}", body)
        if found[2] in (b"progress", b"stock") and (live := room.wall.get(round_id)):
            ver, counts = counts_of(body)
            self.stirred(room.info.id, round_id, ver)
            if ver > live.ver:  # else the wall was read later than this was told
                live.ver, live.counts = ver, counts
            if live.state in ("closed", "cancelled"):  # it may have left the wall, which is told by no event
                room.board = replace(room.board, seq=-1)
                self.spawn(self.look_again(room))

    async def look_again(self, room: Room) -> None:
        """The wall has changed."""
        with suppress(RedisError, OSError, TimeoutError):  # whoever joins reads it anew
            async with asyncio.timeout(self.seconds):
                await self.read_board(room)

    def hear_crowd(self, channel: str, body: bytes) -> None:
        room_id = self.by_channel.get(channel, "")
        try:
            blob = read_crowd(body)
        except DecodeError as error:
            log.warning("a crowd blob cannot be read; do nodes of different versions share this Redis?", why=str(error))
            return
        if room := self.hub.rooms.get(room_id):
            self.take_crowd(room, blob, blob.comments)
        elif room_id in self.early:
            self.early[room_id].append(blob)

    def take_crowd(self, room: Room, blob: FromCrowd, comments: list[Raw]) -> None:
        if blob.node and blob.node != self.node:
            room.shared_until = self.clock.now_ms() + SHARED_MS
        if room.manners.mode == "slow":
            note_speakers(room, comments)
        if blob.total:
            self.hub.show(room, comments, blob.total)
        if blob.joined:
            self.hub.announce(room, encode(Joined(blob.joined, blob.more)))
        if blob.likes is not None:
            room.likes, room.likes_ver = blob.likes, blob.ver
        if blob.seat is not None:
            self.seated(room, blob.node, *blob.seat)

    # -- mending --

    def mended(self) -> None:
        """The connection is new: whatever was published meanwhile was not heard."""
        self.spawn(self.check())
        for room in self.hub.rooms.values():
            if room.people:
                self.spawn(self.postman.tell_letters(room, dict.fromkeys(room.people, ())))

    def mend(self, room: Room) -> None:
        if room.info.id not in self.mending:
            self.mending.add(room.info.id)
            self.spawn(self.mend_now(room))

    async def mend_now(self, room: Room) -> None:
        try:
            async with asyncio.timeout(self.seconds):
                known = room.seq  # before we ask: what is heard while we wait is not more than the log has
                run, heads = await self.rooms.heads([room.info.id])
                await self.compare(room, run, heads[0], known)
        except (RedisError, OSError, TimeoutError):
            pass  # the next check comes within a second
        finally:
            self.mending.discard(room.info.id)

    async def compare(self, room: Room, run: str, head: Head | None, known: int) -> None:
        """Bring a room up to what Redis says its log is."""
        if head is None or head.run != run:
            try:
                await self.rooms.recover(room.info.id)
            except NoRoom:
                return
            known = room.seq
            _, (head,) = await self.rooms.heads([room.info.id])
            if head is None:
                return
        if head.epoch != room.epoch or head.seq < known:
            await self.warden.remind(room)
            await self.reset(room)
            await self.warden.read(room)
            return
        if head.seq > room.seq:
            await self.fill(room)
        if head.ctl != room.ctl:
            await self.warden.read(room)
            room.board = replace(room.board, seq=-1)  # settings that were put back are told by no event
            await self.read_board(room)

    async def fill(self, room: Room) -> None:
        """Read what pub/sub lost."""
        self.fills += 1
        for event in await self.rooms.log(room.info.id, room.seq, self.hub.limits.resume_events):
            if event.seq == room.seq + 1:
                self.take_event(room, event)
            elif event.seq > room.seq:
                return await self.reset(room)  # the log was trimmed past us
        return None

    async def reset(self, room: Room) -> None:
        """A new epoch, or a gap that nothing fills: everybody here starts from a snapshot."""
        view = await self.rooms.look(room.info.id)
        if view is None:
            return
        self.resets += 1
        room.board = EMPTY
        room.mail = 0
        self.hang(room, view)
        with suppress(RedisError, OSError, TimeoutError):  # numbers are told anew within a second
            room.likes, room.viewers = await self.counts(room.info.id)
        room.likes_ver = 0
        message = encode(Reset(view.epoch, view.seq, snapshot(room, now=self.clock.now_ms())))
        self.hub.restart(room, view.info, view.epoch, view.seq, message)
        log.info("room starts anew", room=room.info.id, epoch=view.epoch)
        self.begun_anew(room.info.id)
        self.spawn(self.postman.tell_parts(room))

    def hang(self, room: Room, view: View) -> None:
        """What everybody is shown of a room, as of one seq."""
        if view.seq >= room.board.seq:
            room.board = Board(view.seq, board_json(view.board), read_wall(view.live), pins(view.board))
        if view.seq >= room.seq or view.epoch != room.epoch:  # else what was heard meanwhile is newer
            room.wall = room.board.rounds
            room.manners = manners(view.board)

    async def read_board(self, room: Room) -> int:
        """Read the shared truth of a snapshot anew, when something was told since; the seq it is of."""
        if room.board.seq != room.seq:
            view: View | None = await self.rooms.look(room.info.id)
            if view is not None and view.epoch == room.epoch:
                self.hang(room, view)
                if view.seq > room.seq:
                    await self.fill(room)
        return room.board.seq

    # -- once a second --

    async def run(self) -> None:
        while True:
            start = asyncio.get_running_loop().time()
            await self.check()
            await asyncio.sleep(max(0.1, CHECK_SECONDS - (asyncio.get_running_loop().time() - start)))

    async def check(self) -> None:
        """Read the clock and the heads of all held rooms, and mend what differs; then the numbers."""
        held = list(self.hub.rooms.values())
        self.fresh = await self.answered(self.check_truth(held), "truth", self.fresh)
        self.live_fresh = await self.answered(self.check_live(held), "live", self.live_fresh)

    async def answered(self, look: Coroutine[Any, Any, None], which: str, before: bool) -> bool:
        """Whether Redis answered in time; said once when it no longer does."""
        try:
            async with asyncio.timeout(self.seconds):
                await look
        except (RedisError, OSError, TimeoutError) as error:
            self.failures[which] += 1
            if before:
                log.warning("Redis does not answer; viewers stay and are told to try later", server=which,
                            why=str(error) or "timeout")  # fmt: skip
            return False
        return True

    async def check_truth(self, held: list[Room]) -> None:
        await self.clock.probe(self.rooms.redis)
        run, heads = await self.rooms.heads([room.info.id for room in held])
        for room, head in zip(held, heads, strict=True):
            if head is None or (head.run, head.epoch, head.seq, head.ctl) != (run, room.epoch, room.seq, room.ctl):
                self.mend(room)
            if head and head.mail > room.mail:
                self.postman.fetch(room)
            if head and head.rebuild:
                self.rooms.wanted(room.info.id)

    async def check_live(self, held: list[Room]) -> None:
        if self.live_clock is not self.clock:
            await self.live_clock.probe(self.live)
        for room, (viewers, likes, ver, *reports) in zip(held, await self.all_counts(held), strict=True):
            self.tell_numbers(room, viewers, likes, ver)
            self.tell_reports(room, *reports)

    async def all_counts(self, held: list[Room]) -> list[tuple[int, int, int, int, int]]:
        """Viewers, likes and their version, reported comments and their version, of each room."""
        if not held:
            return []
        async with self.live.pipeline(transaction=False) as pipeline:
            for room in held:
                at = self.rooms.keys(room.info.id)
                pipeline.hlen(at.seats)
                pipeline.hmget(at.likes, "total", "ver")
                pipeline.zcard(at.report_queue)
                pipeline.hget(at.reports, "ver")
            rows = await pipeline.execute()
        return [
            (seats, int(total or 0), int(ver or 0), reports, int(reports_ver or 0))
            for seats, (total, ver), reports, reports_ver in zip(*[iter(rows)] * 4, strict=True)
        ]

    def tell_reports(self, room: Room, reports: int, ver: int) -> None:
        """`chat.reports`, to the staff, when it has changed; its version rises although the server may forget it."""
        known, told = room.reports
        ver = max(ver, told + (reports != known))
        if (reports, ver) != room.reports:
            room.reports = (reports, ver)
            staff = {seat.viewer for person in room.people.values() for seat in person.seats if seat.staff}
            for viewer in staff:
                self.hub.whisper(room, Private(viewer, room.seq, encode(Reported(reports, ver))))

    def tell_numbers(self, room: Room, viewers: int, likes: int, ver: int) -> None:
        """`room.stats`, when a number has changed."""
        rate = round(room.comments_rate, 1)
        if (viewers, likes, rate) != (room.viewers, room.stats_likes, room.rate):
            room.stats_ver = max(room.stats_ver + 1, self.clock.now())
            self.hub.state(room, "room.stats", encode(Stats(viewers, likes, rate, room.stats_ver)))
        room.viewers, room.stats_likes, room.rate = viewers, likes, rate
        if ver > room.likes_ver:
            room.likes, room.likes_ver = likes, ver

    async def tell_likes(self) -> None:
        """`like.total`, at most twice a second."""
        while True:
            await asyncio.sleep(0.5)
            for room in self.hub.rooms.values():
                if room.likes != room.likes_told:
                    delta, room.likes_told = room.likes - room.likes_told, room.likes
                    total = Total(room.likes, max(0, delta), room.likes_ver)
                    self.hub.state(room, "like.total", encode(total))

    def let_go(self, idle: Callable[[Room], bool]) -> None:
        """Drop rooms that had no viewers for a while, so that their channels are not heard for nothing."""
        now = asyncio.get_running_loop().time()
        for room in list(self.hub.rooms.values()):
            if room.seats or not idle(room):
                room.unused_since = now
            elif now - room.unused_since > self.hold_seconds:
                self.drop(room.info.id)


def note_speakers(room: Room, comments: Iterable[Raw]) -> None:
    """In slow mode every node knows when somebody spoke, on whichever he did."""
    for one in map(read_head, comments):
        room.spoke.pop(one.from_, None)
        room.spoke[one.from_] = one.ts


def counts_of(progress: bytes) -> tuple[int, bytes]:
    """Version and counts of the progress of a round, as a snapshot shows them."""
    said: dict[str, Any] = json.decode(progress)
    return said["ver"], encode({name: value for name, value in said.items() if name not in ("t", "id", "ver")})


def contiguous(events: list[LogEvent], last: int) -> list[LogEvent]:
    """The longest run of events that ends at ``last``."""
    run: list[LogEvent] = []
    for event in reversed(events):
        if event.seq != last - len(run):
            break
        run.append(event)
    return run[::-1]


def remembered(hub: Hub) -> Callable[[str], tuple[RoomInfo, int] | None]:
    """What this node knows of a room, for a server that has lost it."""

    def recall(room_id: str) -> tuple[RoomInfo, int] | None:
        room = hub.rooms.get(room_id)
        return (room.info, room.seq) if room else None

    return recall
