"""Who sits in which room on this node, and the tick that tells them.

A room collects what is to be told and tells it as one frame per tick: the first
thing after a quiet while leaves at once, the rest waits for the next point of a
fixed grid. All viewers of a tick get the *same bytes object*, so a delivery costs
one call of ``transport.write`` and nothing else. Each tick has up to two frames
per encoding: *full*, and *essential* (ledger and state) for whoever is slow or
asked for little; leaving out the crowd never loses a ledger event.

Who is told, and up to which event, is fixed together before the first byte of a
tick is written; a flush of a big room is then done in slices, so that the other
rooms' ticks are not late. Nothing here waits: the clock, the timers and the
transports are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol
from zlib import crc32

from msgspec import Raw, Struct
from msgspec.structs import replace

from gameplay.danmaku import Sampled
from liveroom.counts import LATE, Spread, Told
from liveroom.protocol import JSON_CODEC, Beat, Close, Codec, encode, framed
from liveroom.room import Limits, LogEvent, Person, Private, Room, RoomInfo, Seat, Tick

SLICE = 250  # viewers written to before others get their turn: two milliseconds or three
BACK_EARLY = 0.85  # of a window: the blob's way through Redis is not equally long each time
CLOSED = b'"t":"room.closed"'  # as an event's body holds it; in a string the quotes would be escaped
REPLAY_BYTES = 128 * 1024  # a longer replay becomes a snapshot


class Timers(Protocol):
    """The event loop, as far as the hub may see it."""

    def time(self) -> float: ...
    def call_soon(self, callback: Callable[[], None], /) -> object: ...
    def call_later(self, delay: float, callback: Callable[[], None], /) -> object: ...


class Frames:
    """The frames of one tick, each made when the first viewer needs it."""

    __slots__ = ("_made", "essential", "full")

    def __init__(self, essential: Sequence[bytes], crowd: Sequence[bytes | Raw] = ()) -> None:
        self.essential: list[bytes | Raw] = [*essential]
        self.full: list[bytes | Raw] = [*essential, *crowd]
        self._made: dict[tuple[str, bool], bytes] = {}

    def get(self, codec: Codec, lean: bool) -> bytes:
        key = (codec.name, lean)
        made = self._made.get(key)
        if made is None:
            parts = self.essential if lean else self.full
            made = self._made[key] = framed(parts, codec) if parts else b""
        return made


class Flush(Struct, frozen=True, gc=False):
    """One tick on its way out: what is written, to whom, and since when (the loop's time, in seconds; room time)."""

    frames: Frames
    private: Sequence[Private]
    seats: list[Seat]
    closing: bool
    began: float
    began_ms: float


def phase_of(room: str, window: float) -> float:
    """Where in its window a room ticks, so that rooms do not tick together."""
    return crc32(room.encode()) % 1000 / 1000 * window


def passed(since: float, now: float, ms: float) -> bool:
    """So long ago; or ahead of us, because the room's clock was set back."""
    return not 0 <= now - since < ms


def next_tick(now: float, window: float, phase: float) -> float:
    """The first point of the grid after ``now`` (all in ms of room time)."""
    return now + window - (now - phase) % window


class Hub:
    """The rooms of this node. Times are room times in ms unless a name says otherwise."""

    def __init__(self, limits: Limits, timers: Timers, now_ms: Callable[[], float]) -> None:
        self.limits = limits
        self.timers = timers
        self.now_ms = now_ms
        self.rooms: dict[str, Room] = {}
        self.told = Told()
        self.late = Spread(LATE)  # how long after its point of the grid a tick began, in seconds
        self.took = Spread(LATE)  # to write it to all, in seconds

    # -- what is to be told --

    def feed(self, room: Room, event: LogEvent) -> None:
        """The next ledger event of the room's log. The caller keeps the order without gaps."""
        room.ring.append(event)
        room.seq = event.seq
        if CLOSED in event.body:
            room.info = replace(room.info, state="closed")
        self.told.events += 1
        room.tick.ledger.append(event.body)
        self.wake(room)

    def show(self, room: Room, comments: list[Raw], total: int) -> None:
        """Comments that were let through, as they come back from Redis, of ``total`` that were accepted."""
        comments = room.erased.left(comments)
        room.tick.comments.extend(comments)
        room.shown += len(comments)
        room.total += total
        room.counted += total
        if comments:
            self.wake(room, back=True)

    def erase(self, room: Room) -> None:
        """Forget the comments that were deleted, told already or not."""
        room.tick.comments = room.erased.left(room.tick.comments)
        left = room.erased.left(room.chat)
        room.chat.clear()
        room.chat.extend(left)

    def announce(self, room: Room, message: bytes) -> None:
        """Something else of the crowd's: who joined, how many comments were left out."""
        room.tick.crowd.append(message)
        self.wake(room)

    def state(self, room: Room, kind: str, body: bytes) -> None:
        """State: only the newest of its kind is told."""
        self.told.newer += kind in room.tick.state
        room.tick.state[kind] = body
        self.wake(room)

    def whisper(self, room: Room, private: Private) -> None:
        if private.to in room.people:
            room.tick.private.append(private)
            self.wake(room)

    # -- the tick --

    def wake(self, room: Room, *, back: bool = False) -> None:
        """Something waits: flush now if the room was quiet for a window, else at the next point of its grid.

        ``back``: comments are back from Redis. Alone, a node flushes them at once although a little of the window
        may be left, for their way is not equally long each time; with others it waits for theirs.
        """
        if room.flushing or room.soon:
            return
        now = self.now_ms()
        window = room.window_ms(self.limits.window_ms)
        enough = window * (BACK_EARLY if back and now >= room.shared_until else 1)
        if passed(room.last_flush, now, enough):
            room.soon = True
            self.timers.call_soon(lambda: self.flush(room))
        elif not room.due:
            room.due = True
            # A little behind the grid on which nodes publish, so that this tick's comments are in.
            due = next_tick(now, window, phase_of(room.info.id, window) + window / 8)
            self.timers.call_later((due - now) / 1000, lambda: self.strike(room, due))

    def strike(self, room: Room, due: float) -> None:
        """A point of the grid; if the room was flushed just before it, what came since waits for the next."""
        room.due = False
        now = self.now_ms()
        self.late.note(max(0.0, now - due) / 1000)
        if passed(room.last_flush, now, room.window_ms(self.limits.window_ms) / 2):
            self.flush(room)
        elif room.tick:
            self.wake(room)

    def flush(self, room: Room) -> None:
        """Fix what is told, to whom and up to where; then write it, slice by slice."""
        room.soon = False
        if room.flushing or not room.tick:
            return
        tick, room.tick = room.tick, Tick()
        room.last_flush = self.now_ms()
        room.flushed = room.seq
        room.chat.extend(tick.comments)
        frames = Frames([*tick.ledger, *tick.state.values()], [*tick.comments, *tick.crowd])
        now_due = [message for message in tick.private if message.after <= room.flushed]
        room.tick.private = [message for message in tick.private if message.after > room.flushed]
        if frames.essential:
            room.last_told = room.last_flush
        if frames.full or now_due:
            self.begin(room, frames, now_due, closing=room.info.state == "closed")

    def begin(self, room: Room, frames: Frames, private: Sequence[Private] = (), *, closing: bool = False) -> None:
        """Start to write; whoever sits down from now on is not written to."""
        room.flushing = True
        self.write(room, Flush(frames, private, list(room.seats), closing, self.timers.time(), self.now_ms()), 0)

    def write(self, room: Room, flush: Flush, start: int) -> None:
        if flush.frames.full:
            self.deliver(room, flush.frames, flush.seats[start : start + SLICE])
        if start + SLICE < len(flush.seats):
            self.timers.call_soon(lambda: self.write(room, flush, start + SLICE))
            return
        self.hand_out(room, flush, 0)

    def hand_out(self, room: Room, flush: Flush, start: int) -> None:
        """What concerns one viewer each comes behind the frame that all got."""
        for message in flush.private[start : start + SLICE]:
            self.hand(room, message)
        if start + SLICE < len(flush.private):
            self.timers.call_soon(lambda: self.hand_out(room, flush, start + SLICE))
            return
        room.flushing = False
        self.took.note(max(0.0, self.now_ms() - flush.began_ms) / 1000)
        room.flush_ms += ((self.timers.time() - flush.began) * 1000 - room.flush_ms) / 8
        if flush.closing:
            self.empty(room)
        elif room.tick:
            self.wake(room)

    def empty(self, room: Room) -> None:
        """Show everybody out of a closed room, a slice at a time."""
        for seat in list(room.seats)[:SLICE]:
            seat.gone(Close.ROOM_GONE, "the room is closed")
        if room.seats:
            self.timers.call_soon(lambda: self.empty(room))

    def deliver(self, room: Room, frames: Frames, seats: list[Seat]) -> None:
        """Hand the same bytes to each transport. Slow viewers get the essential, stuck ones are cut."""
        slow, cut = self.limits.slow_bytes, self.limits.cut_bytes
        usual = JSON_CODEC
        full = frames.get(usual, lean=False)
        others = 0
        for seat in seats:
            transport = seat.transport
            if seat not in room.seats or transport.is_closing():
                others += 1  # gone since the tick was fixed
                continue
            waiting = transport.get_write_buffer_size()
            if waiting <= slow and seat.profile == "full" and seat.codec is usual:
                transport.write(full)
                continue
            others += 1
            if waiting <= cut or not seat.cut():
                self.deliver_otherwise(frames, seat, slow=waiting > slow)
        self.count(len(seats) - others, len(full), len(frames.full))

    def deliver_otherwise(self, frames: Frames, seat: Seat, *, slow: bool) -> None:
        """In another encoding than most, or without the crowd."""
        lean = slow or seat.profile != "full"
        if slow:
            self.told.spared += len(frames.full) - len(frames.essential)
        if payload := frames.get(seat.codec, lean=lean):
            seat.transport.write(payload)
            self.count(1, len(payload), len(frames.essential if lean else frames.full))

    def count(self, frames: int, size: int, messages: int) -> None:
        self.told.frames += frames
        self.told.bytes += frames * size
        self.told.messages += frames * messages

    def hand(self, room: Room, message: Private) -> None:
        person = room.people.get(message.to)
        for seat in person.seats if person else ():
            self.told.alone(send(seat, message.body))

    # -- coming and going --

    def sit(self, room: Room, seat: Seat) -> Person:
        person = room.people.get(seat.viewer)
        if person is None:
            person = room.people[seat.viewer] = Person([])
        person.seats.append(seat)
        room.seats[seat] = None
        return person

    def leave(self, room: Room, seat: Seat) -> Person | None:
        """The person who left, if this was his last seat here."""
        if seat not in room.seats:
            return None
        del room.seats[seat]
        person = room.people[seat.viewer]
        person.seats.remove(seat)
        if person.seats:
            return None
        person.left = self.timers.time()
        if person.chat is None and person.likes is None and person.other is None:
            del room.people[seat.viewer]  # never did anything that a limit must remember
        return person

    def forget(self, room: Room, seconds: float) -> None:
        """Forget people who left so long ago that no limit remembers them."""
        before = self.timers.time() - seconds
        for viewer in [viewer for viewer, one in room.people.items() if not one.seats and one.left < before]:
            del room.people[viewer]

    def missed(self, room: Room, epoch: str, seq: int) -> list[LogEvent] | None:
        """What somebody who was at ``seq`` has missed up to ``flushed``; None where that cannot be told whole."""
        if epoch != room.epoch or seq > room.flushed:
            return None
        events = [event for event in room.ring if seq < event.seq <= room.flushed]
        if len(events) != room.flushed - seq:
            return None
        if events and self.now_ms() - events[0].ts > self.limits.resume_seconds * 1000:
            return None
        if sum(len(event.body) for event in events) > REPLAY_BYTES:
            return None
        return events

    def since(self, room: Room, seq: int) -> list[bytes]:
        """Bodies of the events in (seq, flushed]."""
        return [event.body for event in room.ring if seq < event.seq <= room.flushed]

    def behind(self, room: Room, seq: int) -> list[LogEvent]:
        """All events behind seq that this node has heard, told already or not."""
        return [event for event in room.ring if event.seq > seq]

    # -- once a second --

    def second(self, room: Room) -> None:
        """What is told once a second, if it is so: the comments left out, and that we live."""
        room.comments_rate += (room.counted - room.comments_rate) / 3
        if room.comments_rate < 0.05:
            room.comments_rate = 0.0
        if room.total > room.shown:
            self.announce(room, encode(Sampled(room.shown, room.total)))
        room.counted = room.shown = room.total = 0
        for viewer in room.manners.rested(room.spoke, self.now_ms()):
            del room.spoke[viewer]
        self.beat(room)

    def beat(self, room: Room) -> None:
        """Tell a room that nothing was told for a heartbeat's time that we live."""
        now = self.now_ms()
        if room.seats and passed(room.last_told, now, self.limits.heartbeat_ms - 1000) and not room.flushing:
            room.last_told = now
            self.begin(room, Frames([encode(Beat(int(now), room.flushed))]))

    def restart(self, room: Room, info: RoomInfo, epoch: str, seq: int, message: bytes) -> None:
        """A new epoch: what was numbered before is void; all viewers get ``room.reset`` in-band."""
        room.info, room.epoch, room.seq, room.flushed = info, epoch, seq, seq
        room.ring.clear()
        private = [replace(one, after=seq) for one in room.tick.private]  # its event is in the snapshot
        room.tick = replace(room.tick, ledger=[message], state={}, private=private)
        self.wake(room)


def send(seat: Seat, body: bytes) -> int:
    """One message to one viewer, at once; how many bytes that were."""
    if seat.transport.is_closing():
        return 0
    frame = framed([body], seat.codec)
    seat.transport.write(frame)
    return len(frame)
