"""One viewer's socket: frames in, commands out; the hub writes to its transport directly.

An ``asyncio.Protocol`` over the sans-I/O core of ``websockets``. There is no task,
queue or coroutine per viewer: what comes in is obeyed at once or handed to the
door, and time comes from the gateway's sweep, which looks at each viewer once a
second.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import structlog
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State

from gameplay.play import Command, Role
from gameplay.text import shown
from liveroom.asked import Asked
from liveroom.counts import CLIENT, LOST
from liveroom.gateway.handshake import judged, new_core
from liveroom.limits import too_fast
from liveroom.pace import Pace
from liveroom.protocol import (
    CODECS,
    DEFLATED,
    JSON,
    JSON_CODEC,
    OF_CONNECTION,
    AuthRefresh,
    BadFrame,
    Bye,
    Close,
    Hello,
    Malformed,
    Profile,
    ProfileChanged,
    ProfileSet,
    Resume,
    Spoken,
    close_frame,
    encode,
    read,
    refusal_reply,
)
from liveroom.room import Person, Room
from liveroom.tokens import LEEWAY_S, BadToken, Claims
from liveroom.writer import send

if TYPE_CHECKING:
    from liveroom.gateway.gateway import Gateway

log = structlog.get_logger()

PIECE = 4096  # bytes parsed before we look whether it is too much
MOST_FRAMES = 500  # a second
MOST_FAREWELL = 64 * 1024  # bytes heard after we closed
FIRST_PING = 2  # seconds after the welcome
PING = b"\x89\x00"
WHY: dict[int, str] = {
    Close.HEARTBEAT_LOST: "ping_timeout",
    Close.BANNED: "kick",
    Close.ROOM_GONE: "stream_end",
    Close.GOING_AWAY: "node_lost",
}
NOBODY = Person([])


class Viewer(asyncio.Protocol):
    """One connection, from its handshake to its last byte. A seat, as the hub sees it."""

    __slots__ = (
        "allowance",
        "closing",
        "codec",
        "deadline",
        "device",
        "exp",
        "fragments",
        "frames",
        "gateway",
        "heard",
        "level",
        "locale",
        "name",
        "next_ping",
        "open",
        "pace",
        "person",
        "pinged",
        "profile",
        "protocol",
        "resume",
        "role",
        "room",
        "room_id",
        "rtt_ms",
        "source",
        "staff",
        "stalled",
        "transport",
        "viewer",
        "vouched",
        "waiting",
        "wants",
        "wheel",
        "why",
    )

    def __init__(self, gateway: Gateway, wheel: set[Viewer]) -> None:
        self.gateway = gateway
        self.wheel = wheel
        self.protocol = new_core(gateway)
        self.codec = JSON_CODEC
        self.viewer = ""  # set by a good hello, as are the next
        self.name = self.device = self.source = self.locale = ""
        self.vouched = False
        self.why = ""  # he is gone; empty: the connection broke
        self.role = Role.VIEWER
        self.staff = False
        self.level = 0
        self.exp = float("inf")
        self.profile: Profile = "full"
        self.pace: Pace | None = None
        self.resume: Resume | None = None
        self.wants = ""  # the room in the path
        self.room_id = ""  # once knocked at
        self.room: Room | None = None  # once welcomed
        self.person = NOBODY
        self.open = False  # the handshake is done and nothing was closed
        self.closing = False
        self.fragments: bytearray | None = None
        self.pinged = self.rtt_ms = 0.0  # when the ping went that is not answered yet; the last round trip
        self.frames = 0  # heard since the last sweep; bytes, once we have closed
        self.heard = self.deadline = self.next_ping = 0.0
        self.waiting = 0  # bytes in the buffer at the last sweep
        self.stalled = 0  # sweeps without progress
        self.allowance = 0  # bytes of back-fill that may wait besides

    # -- the connection --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.heard = self.gateway.loop.time()
        self.deadline = self.heard + self.gateway.settings.hello_seconds
        self.wheel.add(self)
        self.gateway.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closing:
            self.gateway.heard.closes[LOST] += 1
        self.open = False
        self.closing = True
        self.wheel.discard(self)
        self.gateway.connections.discard(self)
        self.leave()

    def eof_received(self) -> None:
        """The transport closes itself; but not while its peer reads nothing."""
        self.abort_soon()

    def leave(self) -> None:
        if self.room_id:
            room_id, self.room_id, self.room = self.room_id, "", None
            self.gateway.door.left(room_id, self)

    def data_received(self, data: bytes) -> None:
        self.heard = self.gateway.loop.time()
        for start in range(0, len(data), PIECE):
            if self.closing:
                return self.hear_farewell(data[start:])
            self.piece_received(data[start : start + PIECE])
        return None

    def piece_received(self, data: bytes) -> None:
        protocol = self.protocol
        protocol.receive_data(data)
        events = protocol.events_received()
        self.frames += len(events)
        self.gateway.heard.frames += len(events)
        self.gateway.heard.bytes += len(data)
        if self.frames > MOST_FRAMES:
            return self.break_off("too many frames a second")
        for event in events:
            if not self.closing and isinstance(event, Frame):
                self.frame_received(event)
        return None if self.closing else self.flush()

    def flush(self) -> None:
        """Write what the core wants written: the handshake, pongs, close frames."""
        for data in self.protocol.data_to_send():
            if data:
                if self.transport.get_write_buffer_size() > self.gateway.settings.cut_bytes + self.allowance:
                    return self.break_off("read what you are sent")
                if not self.transport.is_closing():
                    self.transport.write(data)
            else:
                self.closing, self.open = True, False
                self.gateway.heard.closes[self.ended_by()] += 1
                self.why = "close"
                self.leave()
                self.transport.close()
                self.abort_soon()

    def ended_by(self) -> int | str:
        """Who the core says has ended it: the client, or we because of what he sent."""
        sent = self.protocol.close_sent
        return CLIENT if sent is None or self.protocol.close_rcvd_then_sent else sent.code

    def hear_farewell(self, data: bytes) -> None:
        """We closed: the answer ends the connection, everything else is too late."""
        self.frames += len(data)
        if self.frames > MOST_FAREWELL:
            return self.transport.abort()
        if self.protocol.state is not State.CLOSED and self.protocol.parser_exc is None:
            self.protocol.receive_data(data)
            self.protocol.events_received()
            self.protocol.data_to_send()
            if self.protocol.close_rcvd is not None:
                self.transport.close()
        return None

    def shake_hands(self, request: Request) -> None:
        response, room = judged(self.gateway, self.protocol, request)
        self.transport.write(response.serialize())
        self.gateway.heard.handshakes[response.status_code] += 1
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            self.codec = (DEFLATED if self.protocol.extensions else CODECS)[self.protocol.subprotocol or JSON]
            self.wants, self.open = room, True
        else:
            self.closing = True
            self.transport.close()

    # -- frames --

    def frame_received(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.BINARY:
            if self.codec.opcode != frame.opcode:
                return self.gone(Close.PROTOCOL_ERROR, "a frame of the wrong kind for this subprotocol")
            if frame.fin:
                return self.message_received(bytes(frame.data))
            self.fragments = bytearray(frame.data)
        elif frame.opcode is Opcode.CONT and self.fragments is not None:
            self.fragments += frame.data
            if frame.fin:
                whole, self.fragments = bytes(self.fragments), None
                return self.message_received(whole)
        elif frame.opcode is Opcode.PONG and self.pinged:
            self.rtt_ms, self.pinged = (self.heard - self.pinged) * 1000, 0.0
        return None

    def message_received(self, data: bytes) -> None:
        if self.codec.text and not is_utf8(data):
            return self.gone(Close.BAD_UTF8, "text is UTF-8")
        try:
            spoken = read(data, self.codec)
        except BadFrame:
            return self.gone(Close.PROTOCOL_ERROR, "a frame that is no message")
        self.frames += max(0, len(spoken) - 1)  # the frame itself was counted
        if self.frames > MOST_FRAMES:
            return self.break_off("too many messages a second")
        try:
            for one in spoken:
                if not self.closing:
                    self.heed(one)
        except Exception:
            log.exception("a message could not be obeyed", room=self.wants)
            self.gone(Close.INTERNAL, "an error of the server; it is logged there")
        return None

    def heed(self, spoken: Spoken | Malformed) -> None:
        if isinstance(spoken, Malformed):
            self.gateway.heard.refusals[spoken.refusal.code] += 1
            self.answer(encode(refusal_reply(spoken.refusal, spoken.cid)))
        elif isinstance(spoken, Hello):
            self.greet(spoken)
        elif self.room is None:
            self.gone(Close.PROTOCOL_ERROR, "say hello, and wait for the welcome")
        else:
            heard = self.gateway.heard
            heard.commands[type(spoken)] += 1
            asked = Asked(self, self.room, spoken, self.gateway.clock.now_ms(), self.answer, heard.refusals)
            if isinstance(spoken, OF_CONNECTION):
                self.change(asked, spoken)
            else:
                self.gateway.desk.obey(asked)

    def change(self, asked: Asked, command: AuthRefresh | ProfileSet) -> None:
        """A command about this connection itself."""
        if wait := self.gateway.desk.too_fast(self, command, asked.at / 1000):
            asked.refused(too_fast(wait))
        elif isinstance(command, AuthRefresh):
            self.refresh(command)
        else:
            self.pace = None
            self.gateway.door.hub.change(asked.room, self, command.profile)
            self.confirm(command)

    def confirm(self, command: Command) -> None:
        if isinstance(command.cid, int):
            self.answer(encode({"t": "ok", "cid": command.cid}))

    def answer(self, body: bytes) -> None:
        """One message to this viewer; one who sends and does not read is cut like any other."""
        if self.closing or self.transport.is_closing():
            return
        if self.transport.get_write_buffer_size() > self.gateway.settings.cut_bytes + self.allowance:
            self.cut()
        else:
            self.gateway.told.alone(send(self, body))

    # -- who it is --

    def greet(self, hello: Hello) -> None:
        if self.viewer:
            return self.gone(Close.PROTOCOL_ERROR, "hello is said once")
        try:
            claims = self.gateway.read_token(hello.token, self.wants)
        except BadToken as why:
            return self.gone(Close.BAD_TOKEN, str(why))
        self.viewer = claims.sub
        self.believe(claims)
        self.device, self.source, self.vouched = claims.device, claims.source or hello.source, bool(claims.source)
        self.profile, self.resume = hello.profile, hello.resume
        self.deadline = float("inf")
        self.room_id = self.wants
        self.gateway.door.knock(self.room_id, self)
        return None

    def believe(self, claims: Claims) -> None:
        self.name = shown(claims.name) or claims.sub
        self.role = Role(claims.role)
        self.staff = self.role is not Role.VIEWER
        self.level, self.locale, self.exp = claims.level, claims.locale, claims.exp

    def refresh(self, command: AuthRefresh) -> None:
        try:
            claims = self.gateway.read_token(command.token, self.room_id)
        except BadToken as why:
            return self.gone(Close.BAD_TOKEN, str(why))
        if claims.sub != self.viewer or (Role(claims.role) is Role.VIEWER) == self.staff:
            return self.gone(Close.BAD_TOKEN, "the new token is somebody else's")
        self.believe(claims)
        return self.confirm(command)

    def enter(self, room: Room, person: Person, replay: int) -> None:
        self.room, self.person, self.resume = room, person, None
        self.allowance = replay
        settings = self.gateway.settings
        # The first ping soon: the round trip counts where answers are timed.
        self.next_ping = self.gateway.loop.time() + min(settings.ping_seconds, FIRST_PING) * self.gateway.jitter()

    # -- leaving --

    def gone(self, code: int, reason: str) -> None:
        """Out of the room at once; a close frame; and if nobody answers that, the end."""
        if self.closing:
            return
        self.closing, self.open = True, False
        self.gateway.heard.closes[code] += 1
        log.debug("closed", code=int(code), room=self.wants)
        self.why = WHY.get(code, "conn_error")
        self.leave()
        if not self.transport.is_closing():
            self.flush_pongs()
            self.transport.write(close_frame(code, reason))
        self.abort_soon()

    def abort_soon(self) -> None:
        """`close()` never ends on a peer that does not read."""
        self.gateway.loop.call_later(self.gateway.settings.close_seconds, self.transport.abort)

    def break_off(self, reason: str) -> None:
        """For somebody who floods us: a close frame, and no waiting for what he says to it."""
        self.gone(Close.PROTOCOL_ERROR, reason)
        self.transport.close()

    def flush_pongs(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                self.transport.write(data)

    def cut(self) -> bool:
        """The hub found more waiting than usually may wait."""
        if self.transport.get_write_buffer_size() <= self.gateway.settings.cut_bytes + self.allowance:
            return False
        self.gone(Close.TOO_SLOW, "too slow; come back and resume")
        return True

    def bye(self, retry_after_ms: int) -> None:
        """This node is going away."""
        if self.room is not None:
            self.answer(encode(Bye(retry_after_ms)))
        self.gone(Close.GOING_AWAY, "this node is going away; come back")

    # -- time --

    def sweep(self, now: float, room_s: float) -> None:
        """Once a second: what only time can tell."""
        settings = self.gateway.settings
        if self.closing:
            return
        self.frames = 0
        if now > self.deadline:
            self.gone(Close.NO_HELLO, "say hello sooner")
        elif room_s > self.exp + LEEWAY_S:
            self.gone(Close.BAD_TOKEN, "the token has expired")
        elif now - self.heard > settings.dead_seconds:
            self.gone(Close.HEARTBEAT_LOST, "nothing was heard from you")
            self.transport.abort()
        elif self.room is not None:
            self.sweep_seat(now)

    def sweep_seat(self, now: float) -> None:
        waiting = self.transport.get_write_buffer_size()
        if self.pace is not None or waiting > self.gateway.settings.slow_bytes // 2:
            self.keep_pace(waiting)
            if self.closing:
                return
        self.stalled = self.stalled + 1 if waiting and waiting >= self.waiting else 0
        self.waiting = waiting
        if not waiting:
            self.allowance = 0
        if self.stalled >= self.gateway.settings.stalled_sweeps:
            self.allowance = 0
            self.gone(Close.TOO_SLOW, "too slow; come back and resume")
        elif now >= self.next_ping:
            self.next_ping = now + self.gateway.settings.ping_seconds * self.gateway.jitter()
            if not self.transport.is_closing():
                self.transport.write(PING)
                self.pinged = now

    def keep_pace(self, waiting: int) -> None:
        """Whose buffer stays high is told less before he is cut, and more again after a long calm."""
        settings = self.gateway.settings
        if self.pace is None:
            self.pace = Pace(self.profile)
        found = self.pace.look(
            self.profile,
            waiting,
            settings.slow_bytes // 2,
            patience=settings.step_down_sweeps,
            calm=settings.calm_sweeps,
        )
        if found and self.room is not None:
            self.gateway.door.hub.change(self.room, self, found[0])
            self.answer(encode(ProfileChanged(*found)))
        elif not (self.pace.falls or self.pace.high):
            self.pace = None


def is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
