"""Bytes on one side, messages on the other: version 1 of the wire contract."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from enum import Enum, IntEnum
from functools import reduce
from operator import or_
from struct import pack
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET, DecodeError, Meta, Raw, Struct, UnsetType, ValidationError, field

from gameplay import PLAYS
from gameplay.danmaku import Message
from gameplay.play import Code, Command, Event, Flow, Made, Millis, Numbered, Refusal, Role, Short, bad
from liveroom import params
from liveroom.figures import Report

RoomId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$(?!\n)")]
Profile = Literal["full", "lite", "min"]

JSON: Final = "liveroom.v1.json"
MSGPACK: Final = "liveroom.v1.msgpack"
MOST_IN = 4 * 1024  # bytes of a client's frame
DEEPEST = 64  # levels of objects and arrays in a message
MOST_OUT = 1024 * 1024  # bytes of a server's frame
LONGEST_NOTICE = 400  # code points
DEFLATE_BITS = 12  # of the window of a compressed frame; a greater one hardly pays
DEFLATE_FROM = 128  # bytes: what is smaller stays as it is
COMPRESSED = 0x40  # RSV1 of a frame's first byte, RFC 7692


class Close(IntEnum):
    """Close codes of the server; ``CLOSES`` says what they ask of the client."""

    GOING_AWAY = 4000
    TOO_SLOW = 4001
    HEARTBEAT_LOST = 4002
    CONTINUITY_LOST = 4003
    NO_HELLO = 4408
    TOO_MANY_JOINS = 4429
    BAD_TOKEN = 4500
    PROTOCOL_ERROR = 4501
    BANNED = 4502
    REPLACED = 4503
    ROOM_GONE = 4504
    BAD_UTF8 = 1007
    TOO_BIG = 1009
    INTERNAL = 1011
    TRY_LATER = 1013


class After(Enum):
    """What a close code asks of the client."""

    RESUME = "reconnect"
    ANEW = "reconnect without resume"
    BACK_OFF = "reconnect, but later"
    NEW_TOKEN = "fetch a new token and reconnect once"
    STOP = "stay away"


class Ending(NamedTuple):
    why: str
    after: After


CLOSES: dict[Close, Ending] = {
    Close.GOING_AWAY: Ending("the node is going away: `bye` before it says when to come back", After.RESUME),
    Close.TOO_SLOW: Ending("too slow to read what everybody must see", After.RESUME),
    Close.HEARTBEAT_LOST: Ending("nothing was heard of the client", After.RESUME),
    Close.CONTINUITY_LOST: Ending("the node lost its place in the room's log", After.ANEW),
    Close.NO_HELLO: Ending("no `hello` in time", After.RESUME),
    Close.TOO_MANY_JOINS: Ending("too many joins", After.BACK_OFF),
    Close.BAD_TOKEN: Ending("the token is bad, expired or for another room", After.NEW_TOKEN),
    Close.PROTOCOL_ERROR: Ending("a frame that is no message, or a message out of turn", After.STOP),
    Close.BANNED: Ending("banned from the room", After.STOP),
    Close.REPLACED: Ending("the same device came again, or a viewer's sixth connection", After.STOP),
    Close.ROOM_GONE: Ending("the room is closed or unknown", After.STOP),
    Close.BAD_UTF8: Ending("a text frame that is not UTF-8", After.STOP),
    Close.TOO_BIG: Ending("a frame over 4 KiB", After.STOP),
    Close.INTERNAL: Ending("an error of the server", After.RESUME),
    Close.TRY_LATER: Ending("the room's store does not answer", After.RESUME),
}


# --- what a client says of itself and its connection ---------------------------------------------


class Resume(Struct, frozen=True, forbid_unknown_fields=True):
    epoch: Annotated[str, Meta(max_length=64)]
    seq: Annotated[int, Meta(ge=0, le=2**53 - 1)]


class Hello(Struct, frozen=True, tag_field="t", tag="hello", forbid_unknown_fields=True):
    """The first message of a viewer. Not a command: it has no ``cid`` and is said once."""

    token: str
    resume: Resume | None = None
    profile: Profile = "full"
    source: Annotated[str, Meta(pattern=r"^[a-z0-9_.-]{0,32}$(?!\n)")] = ""


class Pong(Event, frozen=True, tag="time.pong"):
    """The ping's ``c0``, when it came in and when it was answered, by the room's clock."""

    delivery = "connection"

    c0: int | float
    s1: int
    s2: int
    cid: int | UnsetType = UNSET


class TimePing(Command, frozen=True, tag="time.ping"):
    answer = Pong

    c0: int | float


class Comments(Struct, frozen=True):
    """Oldest first."""

    comments: tuple[Message, ...]


class Watching(Struct, frozen=True):
    on: bool


class HistoryGet(Command, frozen=True, tag="history.get"):
    answer = Comments

    limit: Annotated[int, Meta(ge=1, le=100)] = 50
    before: Annotated[str, Meta(max_length=32)] | UnsetType = UNSET


class ProfileSet(Command, frozen=True, tag="profile.set"):
    profile: Profile


class AuthRefresh(Command, frozen=True, tag="auth.refresh"):
    token: str


class RoomNotice(Command, frozen=True, tag="room.notice"):
    needs = Role.HOST
    answer = Numbered

    text: str


class InboxAck(Command, frozen=True, tag="inbox.ack"):
    """Letters were read."""

    ids: Annotated[tuple[Annotated[str, Meta(max_length=64)], ...], Meta(min_length=1, max_length=100)]


class PresenceSet(Command, frozen=True, tag="presence.set"):
    """Whether the page is seen: whoever goes while it is not has gone to the background."""

    visible: bool


class ShareAdd(Command, frozen=True, tag="share.add"):
    to: Annotated[str, Meta(max_length=64)] = ""


class StreamStart(Command, frozen=True, tag="stream.start"):
    needs = Role.HOST
    answer = Made

    title: Annotated[str, Meta(max_length=80)] = ""


class StreamStop(Command, frozen=True, tag="stream.stop"):
    needs = Role.HOST
    answer = Made


class RetentionWatch(Command, frozen=True, tag="retention.watch"):
    """Whether to be told `retention.live` every two seconds."""

    needs = Role.HOST
    answer = Watching

    on: bool = True


class PlayAnnounce(Command, frozen=True, tag="play.announce"):
    """Something will happen then: viewers count down to it."""

    needs = Role.HOST

    what: Short
    at: Millis


OF_CONNECTION = (AuthRefresh, ProfileSet)  # not over HTTP
SHOW = (PresenceSet, ShareAdd, StreamStart, StreamStop, RetentionWatch, PlayAnnounce)
SESSION = (TimePing, HistoryGet, *OF_CONNECTION, RoomNotice, InboxAck, *SHOW)
COMMANDS: tuple[type[Command], ...] = (*SESSION, *(kind for play in PLAYS for kind in play.commands))


# --- what the room says --------------------------------------------------------------------------


class Notice(Event, frozen=True, tag="room.notice"):
    text: str
    from_: str = field(name="from")


class StreamStarted(Event, frozen=True, tag="stream.started"):
    id: str
    title: str


class PlayAnnounced(Event, frozen=True, tag="play.announced"):
    what: str
    at: int


class RhythmHint(Event, frozen=True, tag="rhythm.hint"):
    """To hosts: how long nothing has happened, and what the audience does meanwhile."""

    delivery = "private"

    minutes: float  # since the last high point
    level: str  # fine, warn or alarm
    comments: float  # a second
    leaves: int  # in the last minute


class RetentionLive(Event, Report, frozen=True, tag="retention.live"):
    """To hosts who watch: the report of ``GET …/retention`` with fewer points, and no curves of sources."""

    delivery = "private"


class StreamStopped(Event, frozen=True, tag="stream.stopped"):
    id: str


class RoomClosed(Event, frozen=True, tag="room.closed"):
    pass


class Stats(Event, frozen=True, tag="room.stats"):
    """Distinct viewers without staff on all nodes, likes, comments per second."""

    delivery = "state"

    viewers: int
    likes: int
    rate: float
    ver: int


class Joined(Event, frozen=True, tag="room.joined"):
    """Who came: some names, and how many more."""

    delivery = "crowd"

    names: tuple[str, ...]
    more: int


class Beat(Event, frozen=True, tag="beat"):
    """Nothing was told for ``heartbeat_ms``: ``seq`` is where the room is."""

    delivery = "connection"

    now: int
    seq: int


class Bye(Event, frozen=True, tag="bye"):
    """This connection will be closed with 4000: come back after so long."""

    delivery = "connection"

    retry_after_ms: int


class ProfileChanged(Event, frozen=True, tag="profile.changed"):
    """The server tells this viewer less, or more again, without having been asked."""

    delivery = "connection"

    profile: Profile
    why: Literal["slow", "calm"]


class Who(Struct, frozen=True):
    id: str
    name: str
    role: Role


class About(Struct, frozen=True):
    id: str
    title: str
    viewers: int
    likes: int


class RoomSettings(Struct, frozen=True):
    mode: str
    slow_seconds: int
    stream_delay_ms: int
    level: int | UnsetType = UNSET
    rate: float | UnsetType = UNSET


class PinnedNow(Struct, frozen=True):
    comment: Message
    until: int


class LiveRound(Struct, frozen=True):
    """``opened``: the fields of KIND.opened, or KIND.announced; ``counts``: those of its state; ``result``: of its end.

    ``mine`` is the viewer's own part: lottery ``{receipt}``, quiz ``{choice}``, sale ``{hold, until, qty}`` or
    ``{waiting}`` or ``{offered, until, qty}``, with ``all`` where he has several; else null.
    """

    kind: str
    id: str
    state: str
    ver: int
    opened: dict[str, Any]
    counts: dict[str, Any]
    result: dict[str, Any] | None
    mine: dict[str, Any] | None


class Snapshot(Struct, frozen=True):
    """All that somebody who comes is shown. ``inbox``: letters that he has not acknowledged."""

    chat: tuple[Message, ...]
    pinned: tuple[PinnedNow, ...]
    notice: Notice | None
    settings: RoomSettings
    rounds: tuple[LiveRound, ...]
    next_up: dict[str, Any] | None
    inbox: tuple[dict[str, Any], ...]


SnapshotJson = Annotated[Raw, Meta(extra={"shape": Snapshot})]


class Welcome(Event, frozen=True, tag="welcome"):
    """The answer to ``hello``; ``snapshot`` is there unless ``recovered``."""

    delivery = "connection"

    viewer: Who
    room: About
    epoch: str
    seq: int
    now: int
    heartbeat_ms: int
    recovered: bool
    snapshot: SnapshotJson | UnsetType = UNSET


class Reset(Event, frozen=True, tag="room.reset"):
    """The room was rebuilt after a failure: forget what you know of it, and go on from here."""

    delivery = "connection"

    epoch: str
    seq: int
    snapshot: SnapshotJson


def events_of(play: Any) -> tuple[type[Event], ...]:
    return play.events if isinstance(play, Flow) else (play.announced, play.opened, *play.events)


OF_ROOM = (Notice, RoomClosed, Stats, Joined, StreamStarted, StreamStopped, PlayAnnounced, RetentionLive, RhythmHint)
EVENTS: tuple[type[Event], ...] = (
    *(Welcome, Reset, Beat, Bye, ProfileChanged, Pong, *OF_ROOM),
    *(kind for play in PLAYS for kind in events_of(play)),
)


# --- errors --------------------------------------------------------------------------------------


class Meaning(NamedTuple):
    http: int
    retryable: bool = False
    params: type[params.Params] = params.Params


ERRORS: dict[Code, Meaning] = {
    Code.BAD_MESSAGE: Meaning(400, params=params.Bad),
    Code.UNKNOWN_COMMAND: Meaning(400),
    Code.BAD_TOKEN: Meaning(401),
    Code.NOT_ALLOWED: Meaning(403, params=params.Needs),
    Code.NO_SUCH_ROOM: Meaning(404),
    Code.NO_SUCH_ROUND: Meaning(404),
    Code.NO_SUCH_COMMENT: Meaning(404),
    Code.NO_SUCH_VIEWER: Meaning(404),
    Code.NO_SUCH_HOLD: Meaning(404),
    Code.NO_STREAM: Meaning(404),
    Code.ROOM_EXISTS: Meaning(409),
    Code.ROOM_CLOSED: Meaning(409),
    Code.ROUND_STATE: Meaning(409, params=params.Standing),
    Code.STREAM_RUNNING: Meaning(409, params=params.Running),
    Code.KEYWORD_TAKEN: Meaning(409),
    Code.IDEMPOTENCY_MISMATCH: Meaning(409, params=params.Mismatch),
    Code.TEXT_EMPTY: Meaning(422),
    Code.TEXT_TOO_LONG: Meaning(422, params=params.TooLong),
    Code.DUPLICATE: Meaning(422),
    Code.WORD_BLOCKED: Meaning(422, params=params.Blocked),
    Code.MUTED: Meaning(403, params=params.Until),
    Code.ROOM_MUTED: Meaning(403),
    Code.MEMBERS_ONLY: Meaning(403, params=params.Level),
    Code.NOT_ELIGIBLE: Meaning(403, params=params.Missing),
    Code.SLOW_MODE: Meaning(429, retryable=True),
    Code.RATE_LIMITED: Meaning(429, retryable=True),
    Code.ROUND_CLOSED: Meaning(409, params=params.Closed),
    Code.ALREADY_ANSWERED: Meaning(409),
    Code.NO_SUCH_CHOICE: Meaning(409),
    Code.SALE_NOT_OPEN: Meaning(409, retryable=True, params=params.NotYet),
    Code.SALE_PAUSED: Meaning(409, retryable=True),
    Code.SALE_SOLD_OUT: Meaning(409, params=params.SoldOut),
    Code.SALE_LIMIT: Meaning(409, params=params.Most),
    Code.HOLD_EXPIRED: Meaning(409, params=params.Over),
    Code.WEAK_DURABILITY: Meaning(409),
    Code.TRY_LATER: Meaning(503, retryable=True, params=params.Unknown),
    Code.INTERNAL: Meaning(500, retryable=True),
}


class ErrorReply(Struct, frozen=True, kw_only=True, tag_field="t", tag="error"):
    """``message`` is for logs, not for people; what they are told is made of ``code`` and ``params``."""

    cid: int | UnsetType = UNSET
    code: Code
    retryable: bool
    retry_after_ms: int | UnsetType = UNSET
    params: dict[str, Any]
    message: str


def refusal_reply(refusal: Refusal, cid: int | UnsetType) -> ErrorReply:
    wait = UNSET if refusal.retry_after_ms is None else refusal.retry_after_ms
    retryable = ERRORS[refusal.code].retryable if refusal.retryable is None else refusal.retryable
    return ErrorReply(
        cid=cid,
        code=refusal.code,
        retryable=retryable,
        retry_after_ms=wait,
        params=dict(refusal.params),
        message=refusal.message,
    )


# --- codec ---------------------------------------------------------------------------------------


class BadFrame(Exception):
    """The client sent bytes that are no message at all: close with 4501."""


class Malformed(NamedTuple):
    """A message that parses but is no good command: answered, the socket stays."""

    refusal: Refusal
    cid: int | UnsetType


Spoken = Hello | Command
Decode = Callable[[bytes], Any]

_kinds: Any = reduce(or_, (Hello, *COMMANDS))
TAGS: dict[str, type[Command]] = {str(kind.__struct_config__.tag): kind for kind in COMMANDS}


class Codec(NamedTuple):
    """One of the two encodings, compressed or not: the same shapes as text or as MessagePack."""

    name: str
    opcode: int
    typed: Decode
    loose: Decode
    parts: Decode
    encode: Callable[[Any], bytes]
    deflate: bool = False

    @property
    def text(self) -> bool:
        return self.opcode == JSON_CODEC.opcode

    @property
    def plain(self) -> Codec:
        return CODECS[self.name]


JSON_CODEC = Codec(
    JSON,
    0x1,
    msgspec.json.Decoder(_kinds).decode,
    msgspec.json.Decoder().decode,
    msgspec.json.Decoder(list[Raw]).decode,
    msgspec.json.Encoder().encode,
)
MSGPACK_CODEC = Codec(
    MSGPACK,
    0x2,
    msgspec.msgpack.Decoder(_kinds).decode,
    msgspec.msgpack.Decoder().decode,
    msgspec.msgpack.Decoder(list[Raw]).decode,
    msgspec.msgpack.Encoder().encode,
)
CODECS = {codec.name: codec for codec in (JSON_CODEC, MSGPACK_CODEC)}
DEFLATED = {name: codec._replace(deflate=True) for name, codec in CODECS.items()}


def read(data: bytes, codec: Codec = JSON_CODEC) -> list[Spoken | Malformed]:
    """What one frame says. Raises BadFrame where it does not parse."""
    try:
        return [read_one(part, codec) for part in (codec.parts(data) if is_array(data, codec) else (data,))]
    except (DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadFrame(str(error)) from None


def read_one(data: bytes | Raw, codec: Codec) -> Spoken | Malformed:
    try:
        spoken: Spoken = codec.typed(data)
    except ValidationError as error:
        said = codec.loose(data)
        if is_deep(said):
            raise BadFrame("nested too deep") from None
        return malformed(said, str(error))
    return spoken


def is_deep(said: Any) -> bool:
    """No message of ours is; how deep the decoder itself goes depends on the Python."""
    level = [said]
    for _ in range(DEEPEST):
        level = [inner for one in level for inner in inside(one)]
        if not level:
            return False
    return True


def inside(said: Any) -> Iterable[Any]:
    if isinstance(said, dict):
        return said.values()
    return said if isinstance(said, list) else ()


def is_array(data: bytes, codec: Codec) -> bool:
    if codec.text:
        return data.lstrip(b" \t\r\n")[:1] == b"["
    return bool(data) and (0x90 <= data[0] <= 0x9F or data[0] in (0xDC, 0xDD))


def malformed(said: Any, why: str) -> Malformed:
    """Name what is wrong with a message that parses."""
    if not isinstance(said, dict):
        return Malformed(bad("", "a message is an object"), UNSET)
    cid = said.get("cid", UNSET)
    if isinstance(cid, bool) or not isinstance(cid, int) or not 0 <= cid < 2**53:
        cid = UNSET
    tag = said.get("t")
    if isinstance(tag, str) and tag not in TAGS and tag != "hello":
        return Malformed(Refusal(Code.UNKNOWN_COMMAND, message="unknown command"), cid)
    name, reason = complaint(why)
    return Malformed(bad(name or "t", reason, why), cid)


def complaint(error: str) -> tuple[str, str]:
    """The field that a decoder's error is about, empty for the whole, and what is wrong with it."""
    reason, _, path = error.partition(" - at `$")
    return path.strip("`.") or (reason.split("`")[-2] if reason.startswith("Object") else ""), reason


def read_command(data: bytes) -> Command | Malformed:
    """One command as JSON, as HTTP brings it. Raises BadFrame."""
    spoken = read(data)
    if len(spoken) != 1 or is_array(data, JSON_CODEC) or isinstance(spoken[0], Hello):
        return Malformed(bad("", "the body is one command object"), UNSET)
    return spoken[0]


encode = JSON_CODEC.encode


def join(parts: Sequence[bytes | Raw]) -> bytes:
    """One JSON message, or an array of them, from messages that are JSON already."""
    return bytes(parts[0]) if len(parts) == 1 else b"[" + b",".join(parts) + b"]"


def frame(payload: bytes, opcode: int = 0x1) -> bytes:
    """A whole unmasked, unfragmented WebSocket frame (RFC 6455, 5.2)."""
    length = len(payload)
    if length < 126:
        return pack("!BB", 0x80 | opcode, length) + payload
    if length < 65536:
        return pack("!BBH", 0x80 | opcode, 126, length) + payload
    return pack("!BBQ", 0x80 | opcode, 127, length) + payload


def framed(parts: Sequence[bytes | Raw], codec: Codec) -> bytes:
    """Frames of messages that are JSON already, in the client's encoding, none over 1 MiB."""
    payload = join(parts)
    if len(payload) > MOST_OUT and len(parts) > 1:
        half = len(parts) // 2
        return framed(parts[:half], codec) + framed(parts[half:], codec)
    if not codec.text:
        payload = codec.encode(msgspec.json.decode(payload))
    small = deflated(payload) if codec.deflate else None
    return frame(payload, codec.opcode) if small is None else frame(small, codec.opcode | COMPRESSED)


def deflated(payload: bytes) -> bytes | None:
    """As RFC 7692, 7.2.1 has it, for a decoder that remembers nothing; None where it saves less than a tenth."""
    if len(payload) < DEFLATE_FROM:
        return None
    squeeze = zlib.compressobj(wbits=-DEFLATE_BITS)
    small = squeeze.compress(payload) + squeeze.flush(zlib.Z_SYNC_FLUSH)
    return small[:-4] if len(small) - 4 < 0.9 * len(payload) else None


def close_frame(code: int, reason: str = "") -> bytes:
    short = reason.encode()[:123].decode(errors="ignore")
    return frame(pack("!H", code) + short.encode(), 0x8)
