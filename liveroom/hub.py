"""Who sits in which room on this node, and the tick that tells them.

A room collects what is to be told and tells it as one frame per tick: the first
thing after a quiet while leaves at once, the rest waits for the next point of a
fixed grid. All viewers of a tick get the *same bytes object*, so a delivery costs
one call of ``transport.write`` and nothing else. Each tick has up to two frames
per encoding: *full*, and *essential* (ledger and state) for whoever is slow;
leaving out the crowd never loses a ledger event. Who asked for little has ticks
of his own (``lean.py``), made of what these have told.

Who is told, and up to which event, is fixed together before the first byte of a
tick is written; a flush of a big room is then done in slices, so that the other
rooms' ticks are not late. Nothing here waits: the clock, the timers and the
transports are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zlib import crc32

from msgspec import Raw
from msgspec.structs import replace

from gameplay.danmaku import Sampled
from liveroom.counts import LATE, Spread, Told
from liveroom.lean import Lean
from liveroom.protocol import Beat, Close, Profile, encode
from liveroom.room import Limits, LogEvent, Person, Private, Room, RoomInfo, Seat, Tick
from liveroom.writer import SLICE, Flush, Frames, Parcel, Timers, Writer

BACK_EARLY = 0.85  # of a window: the blob's way through Redis is not equally long each time
CLOSED = b'"t":"room.closed"'  # as an event's body holds it; in a string the quotes would be escaped
REPLAY_BYTES = 128 * 1024  # a longer replay becomes a snapshot


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
        self.writer = Writer(limits, timers, self.told, self.written)
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
        for lean in room.lean.values():
            lean.hear(comments, total - len(comments))
        if comments:
            self.wake(room, back=True)

    def erase(self, room: Room) -> None:
        """Forget the comments that were deleted, told already or not, and who is mentioned in them."""
        room.tick.comments = room.erased.left(room.tick.comments)
        room.tick.private = [one for one in room.tick.private if not room.erased.hides_letter(one.body)]
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
        closing = room.info.state == "closed"
        parcels = [(frames, in_full(room))] if frames.full else []
        if room.lean:
            parcels += self.told_to_lean(room, tick, now_due, closing=closing)
        if parcels or now_due:
            self.writer.begin(room, Flush(parcels, now_due, closing, self.timers.time(), self.now_ms()))

    def written(self, room: Room, flush: Flush) -> None:
        """All were told; what came meanwhile is next."""
        if flush.began:
            self.took.note(max(0.0, self.now_ms() - flush.began_ms) / 1000)
            room.flush_ms += ((self.timers.time() - flush.began) * 1000 - room.flush_ms) / 8
        if flush.closing:
            self.empty(room)
            return
        if any(lean.ripe for lean in room.lean.values()):
            self.timers.call_soon(lambda: self.flush_lean(room))
        if room.tick:
            self.wake(room)

    def empty(self, room: Room) -> None:
        """Show everybody out of a closed room, a slice at a time."""
        for seat in list(room.seats)[:SLICE]:
            seat.gone(Close.ROOM_GONE, "the room is closed")
        if room.seats:
            self.timers.call_soon(lambda: self.empty(room))

    # -- those who asked for little --

    def told_to_lean(self, room: Room, tick: Tick, private: Sequence[Private], *, closing: bool) -> list[Parcel]:
        """What the others are told now waits for their own ticks; what may not wait is told now."""
        now = self.now_ms()
        for message in private:  # each right behind its event
            for seat in room.people[message.to].seats if message.to in room.people else ():
                if seat.profile in room.lean:
                    room.lean[seat.profile].wanted(message.after)
        parcels: list[Parcel] = []
        for lean in room.lean.values():
            lean.take(tick)
            if closing or lean.ripe or (lean.ledger and passed(lean.last_event, now, lean.window)):
                parcels += self.parcels_of(room, lean)
            self.pulse(room, lean)
        return parcels

    def parcels_of(self, room: Room, lean: Lean) -> list[Parcel]:
        letters = lean.letters(self.now_ms(), room.flushed)
        return [(Frames(essential, crowd), seats) for essential, crowd, seats in letters]

    def pulse(self, room: Room, lean: Lean) -> None:
        """If something waits, it is told at the next point of the profile's grid."""
        if lean.gathered and not lean.due:
            lean.due = True
            now = self.now_ms()
            wait = next_tick(now, lean.window, lean.phase) - now
            self.timers.call_later(wait / 1000, lambda: self.strike_lean(room, lean))

    def strike_lean(self, room: Room, lean: Lean) -> None:
        """A point of the grid; what is only a number and comes just behind a frame waits for the next."""
        lean.due = False
        if not lean.seats:
            return
        if lean.ready(self.now_ms()):
            lean.ripe = True
            self.flush_lean(room)
        self.pulse(room, lean)

    def flush_lean(self, room: Room) -> None:
        if not room.flushing:
            ripe = [lean for lean in room.lean.values() if lean.ripe]
            parcels = [parcel for lean in ripe for parcel in self.parcels_of(room, lean)]
            if parcels:
                self.writer.begin(room, Flush(parcels, (), closing=False, began=0, began_ms=0))

    def change(self, room: Room, seat: Seat, profile: Profile) -> None:
        """From now on he is told more or less; what the others of his new profile know, he is told at once."""
        if seat.profile == profile or seat not in room.seats:
            seat.profile = profile
            return
        waiting = self.unlean(room, seat)
        seat.profile = profile
        if profile != "full":
            self.make_lean(room, seat)
        if waiting:
            self.writer.deliver(room, Frames(waiting), [seat])

    def make_lean(self, room: Room, seat: Seat) -> None:
        lean = room.lean.get(seat.profile)
        if lean is None:
            lite = seat.profile == "lite"
            window = self.limits.lite_ms if lite else self.limits.min_ms
            places = -(-self.limits.lite_budget * window // 1000) if lite else 0
            phase = phase_of(room.info.id, window)
            lean = room.lean[seat.profile] = Lean(window, phase, places, room.flushed, self.now_ms())
        lean.sit(seat)

    def unlean(self, room: Room, seat: Seat) -> list[bytes]:
        """The essential that he was not told yet."""
        lean = room.lean.get(seat.profile)
        if lean is None:
            return []
        waiting = lean.leave(seat)
        if not lean.seats:
            del room.lean[seat.profile]
        return waiting

    # -- coming and going --

    def sit(self, room: Room, seat: Seat) -> Person:
        person = room.people.get(seat.viewer)
        if person is None:
            person = room.people[seat.viewer] = Person([])
        person.seats.append(seat)
        room.seats[seat] = None
        if seat.profile != "full":
            self.make_lean(room, seat)
        if seat.staff:
            room.staff[seat] = None
        return person

    def leave(self, room: Room, seat: Seat) -> Person | None:
        """The person who left, if this was his last seat here."""
        if seat not in room.seats:
            return None
        del room.seats[seat]
        self.unlean(room, seat)
        room.staff.pop(seat, None)
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
        if not room.seats or room.flushing:
            return
        beat, quiet = Frames([encode(Beat(int(now), room.flushed))]), self.limits.heartbeat_ms - 1000
        parcels: list[Parcel] = []
        if passed(room.last_told, now, quiet):
            room.last_told = now
            parcels.append((beat, in_full(room)))
        for lean in room.lean.values():
            if passed(lean.last_told, now, quiet):
                lean.last_told = now
                parcels += self.parcels_of(room, lean) if lean.ledger or lean.state else [(beat, list(lean.seats))]
        if parcels:
            self.writer.begin(room, Flush(parcels, (), closing=False, began=self.timers.time(), began_ms=now))

    def restart(self, room: Room, info: RoomInfo, epoch: str, seq: int, message: bytes) -> None:
        """A new epoch: what was numbered before is void; all viewers get ``room.reset`` in-band."""
        room.info, room.epoch, room.seq, room.flushed = info, epoch, seq, seq
        room.ring.clear()
        private = [replace(one, after=seq) for one in room.tick.private]  # its event is in the snapshot
        room.tick = replace(room.tick, ledger=[message], state={}, private=private)
        for lean in room.lean.values():
            lean.void()
        self.wake(room)


def in_full(room: Room) -> list[Seat]:
    return [seat for seat in room.seats if seat.profile == "full"] if room.lean else list(room.seats)
