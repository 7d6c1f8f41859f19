"""Writes a tick: the same bytes to each transport, a slice of the viewers at a time.

Who is told, and what, was fixed by the hub before the first byte. A viewer whose buffer is high gets the essential
alone; one who is stuck is cut. Nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Raw, Struct

from liveroom.counts import Told
from liveroom.protocol import Codec, framed
from liveroom.room import Limits, Private, Room, Seat

SLICE = 250  # viewers written to before others get their turn: two milliseconds or three


class Timers(Protocol):
    """The event loop, as far as the hub and the writer may see it."""

    def time(self) -> float: ...
    def call_soon(self, callback: Callable[[], None], /) -> object: ...
    def call_later(self, delay: float, callback: Callable[[], None], /) -> object: ...


class Frames:
    """The frames of one tick, each made when the first viewer needs it."""

    __slots__ = ("_made", "essential", "full")

    def __init__(self, essential: Sequence[bytes], crowd: Sequence[bytes | Raw] = ()) -> None:
        self.essential: list[bytes | Raw] = [*essential]
        self.full: list[bytes | Raw] = [*essential, *crowd]
        self._made: dict[tuple[str, bool, bool], bytes] = {}

    def get(self, codec: Codec, lean: bool) -> bytes:
        key = (codec.name, codec.deflate, lean)
        made = self._made.get(key)
        if made is None:
            parts = self.essential if lean else self.full
            made = self._made[key] = framed(parts, codec) if parts else b""
        return made


Parcel = tuple[Frames, list[Seat]]  # what is written, to whom


class Flush(Struct, frozen=True, gc=False):
    """One tick on its way out, and since when (the loop's time, in seconds); 0 where that says nothing of the room."""

    parcels: Sequence[Parcel]
    private: Sequence[Private]
    closing: bool
    began: float
    began_ms: float  # room time


class Writer:
    """Writes the ticks of all rooms; ``written`` is called when one is out."""

    def __init__(self, limits: Limits, timers: Timers, told: Told, written: Callable[[Room, Flush], None]) -> None:
        self.limits = limits
        self.timers = timers
        self.told = told
        self.written = written

    def begin(self, room: Room, flush: Flush) -> None:
        """Start to write; whoever sits down from now on is not written to."""
        room.flushing = True
        self.write(room, flush, 0, 0)

    def write(self, room: Room, flush: Flush, number: int, start: int) -> None:
        """One slice of one parcel."""
        if number < len(flush.parcels):
            frames, seats = flush.parcels[number]
            self.deliver(room, frames, seats[start : start + SLICE])
            start += SLICE
            if start >= len(seats):
                number, start = number + 1, 0
            if number < len(flush.parcels):
                self.timers.call_soon(lambda: self.write(room, flush, number, start))
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
        self.written(room, flush)

    def deliver(self, room: Room, frames: Frames, seats: list[Seat]) -> None:
        """Hand the same bytes to each transport. Slow viewers get the essential, stuck ones are cut."""
        slow, cut = self.limits.slow_bytes, self.limits.cut_bytes
        codec, full, written = None, b"", 0
        for seat in seats:
            transport = seat.transport
            if seat not in room.seats or transport.is_closing():
                continue  # gone since the tick was fixed
            if seat.codec is not codec:
                self.count(written, len(full), len(frames.full))
                codec, written = seat.codec, 0
                full = frames.get(codec, lean=False)
            waiting = transport.get_write_buffer_size()
            if waiting <= slow:
                transport.write(full)
                written += 1
            elif waiting <= cut or not seat.cut():
                self.deliver_essential(frames, seat)
        self.count(written, len(full), len(frames.full))

    def deliver_essential(self, frames: Frames, seat: Seat) -> None:
        self.told.spared += len(frames.full) - len(frames.essential)
        if payload := frames.get(seat.codec, lean=True):
            seat.transport.write(payload)
            self.count(1, len(payload), len(frames.essential))

    def count(self, frames: int, size: int, messages: int) -> None:
        self.told.frames += frames
        self.told.bytes += frames * size
        self.told.messages += frames * messages

    def hand(self, room: Room, message: Private) -> None:
        person = room.people.get(message.to)
        for seat in person.seats if person else ():
            self.told.alone(send(seat, message.body))


def send(seat: Seat, body: bytes) -> int:
    """One message to one viewer, at once; how many bytes that were. What only one reads is not compressed."""
    if seat.transport.is_closing():
        return 0
    frame = framed([body], seat.codec.plain)
    seat.transport.write(frame)
    return len(frame)
