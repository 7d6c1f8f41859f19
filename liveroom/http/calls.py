"""The HTTP calls as a table: who may make each, what is sent, what is answered, and why it may be refused."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import UNSET, Meta, Struct, UnsetType

from gameplay.danmaku import Message
from gameplay.play import Code, Command, HoldId, Millis, Role
from gameplay.questions import Unanswered
from gameplay.sale import HoldStands
from liveroom.figures import Report
from liveroom.protocol import LiveRound, RoomId


class NewRoom(Struct, frozen=True, forbid_unknown_fields=True):
    """``currency`` (ISO 4217) of the room's sales; left out: the server's."""

    id: RoomId
    title: Annotated[str, Meta(min_length=1, max_length=80)]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)")] | UnsetType = UNSET


class Payment(Struct, frozen=True, forbid_unknown_fields=True):
    """``paid_at`` in epoch milliseconds, by the shop's clock."""

    payment_id: Annotated[str, Meta(min_length=1, max_length=128)]
    paid_at: Millis = 0


class Why(Struct, frozen=True, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(max_length=200)] = ""


class Basket(Struct, frozen=True, forbid_unknown_fields=True):
    """``fail``: the payment does not go through."""

    room: RoomId
    hold: HoldId
    fail: bool = False


class RoomAbout(Struct, frozen=True):
    id: str
    title: str
    state: Literal["open", "closed"]
    viewers: int
    likes: int
    created: int


class RoomNow(RoomAbout, frozen=True):
    """A room with its live rounds."""

    rounds: tuple[LiveRound, ...]


class RoomList(Struct, frozen=True):
    rooms: tuple[RoomAbout, ...]


class RoomIsClosed(Struct, frozen=True, tag_field="t", tag="ok"):
    id: str
    state: Literal["closed"]


class Ticket(Struct, frozen=True):
    n: int
    tag: str
    weight: int


class Prize(Struct, frozen=True):
    tag: str
    prize: str


class ProofFile(Struct, frozen=True):
    """What `liveroom verify-draw` checks. The order of ``entries`` is part of the proof."""

    v: Literal[1]
    room: str
    id: str
    opened_at: int
    closed_at: int
    rules: dict[str, Any]
    rules_hash: str
    commit: str
    entries: tuple[Ticket, ...]
    chain: str
    root: str
    beacon: str
    seed: str
    winners: tuple[Prize, ...]
    alternates: tuple[str, ...]


class Silenced(Struct, frozen=True):
    """``until``: null is for good."""

    viewer: str
    until: int | None
    at: int
    by: str
    reason: str
    shadow: bool | UnsetType = UNSET


class Bans(Struct, frozen=True):
    """The newest first."""

    bans: tuple[Silenced, ...]
    mutes: tuple[Silenced, ...]


class ReportedBy(Struct, frozen=True):
    viewer: str
    why: str


class ReportedComment(Struct, frozen=True):
    """``n``: how many reported it, ``at``: when the first did."""

    comment: Message
    n: int
    at: int
    by: tuple[ReportedBy, ...]


class ReportList(Struct, frozen=True):
    reports: tuple[ReportedComment, ...]


class Alive(Struct, frozen=True):
    live: Literal[True]


class Ready(Struct, frozen=True):
    """``reason``: why not."""

    ready: bool
    reason: str | UnsetType = UNSET


class NewToken(Struct, frozen=True):
    token: str


class Parameter(NamedTuple):
    name: str
    type: Any
    about: str


class Call(NamedTuple):
    """One endpoint. ``name`` is that of the method which answers it."""

    name: str
    method: str
    path: str
    about: str
    who: Role | None  # the least role; None: anybody, without a token
    answer: Any  # with status 200; `Command`: what the command is answered
    body: Any = None
    codes: tuple[Code, ...] = ()  # besides those that follow from who, body and path
    also: Mapping[int, Any] = MappingProxyType({})  # answers with another status
    whose: Literal["path", "body", "all"] = "path"  # where the room is that the token must be for; "all": for `*`
    query: tuple[Parameter, ...] = ()
    headers: tuple[Parameter, ...] = ()


VIEWER, MODERATOR, HOST, SERVICE = Role
ROOM, ROUND, HOLD = "/v1/rooms/{room}", "/v1/rooms/{room}/rounds/{id}", "/v1/rooms/{room}/holds/{hold}"
KEY = Parameter("Idempotency-Key", Annotated[str, Meta(max_length=64)], "the command's `idem`, where it has none")
WHICH = Parameter("stream", Literal["last"], "the one that ended last, also while another runs")
NO_ROOM, NO_ROUND = (Code.NO_SUCH_ROOM,), (Code.NO_SUCH_ROUND,)
NO_REPORT = (*NO_ROOM, Code.NO_STREAM)
EXISTS = (Code.ROOM_EXISTS, Code.ROOM_CLOSED)
OF_HOLD = (Code.NO_SUCH_HOLD, Code.NO_SUCH_ROOM, Code.WEAK_DURABILITY)
PAID = (*OF_HOLD, Code.HOLD_EXPIRED, Code.IDEMPOTENCY_MISMATCH)

A_ROOM = "Make a room; the same again is answered 200."
A_COMMAND = "Give one command; it is answered as on the socket, with the status of its code."
THE_END = "End a room: its viewers are closed with 4504."
A_ROUND = "A round, live or over, with the caller's own part."
A_PROOF = "The proof file of a draw, the same bytes for everybody, once it was drawn."
A_PAYMENT = "The shop was paid: the hold becomes an order. Again is the same as once."
NO_PAYMENT = "The shop will not be paid, or has given the payment back."
THE_QUESTIONS = "What viewers asked and nobody answered yet, most asked and longest waiting first."
A_REPORT = "How long viewers stay and how many are here, of the stream that runs or of the last."

THE_BANS = "Who is banned or muted."
THE_REPORTS = "Comments that viewers reported, the oldest first."

CALLS = (
    Call("create", "POST", "/v1/rooms", A_ROOM, HOST, RoomAbout, NewRoom, EXISTS, {201: RoomAbout}, "body"),
    Call("everything", "GET", "/v1/rooms", "All rooms.", SERVICE, RoomList, whose="all"),
    Call("read", "GET", ROOM, "A room with its live rounds.", VIEWER, RoomNow, None, NO_ROOM),
    Call("close", "POST", f"{ROOM}/close", THE_END, HOST, RoomIsClosed, None, NO_ROOM),
    Call("command", "POST", f"{ROOM}/commands", A_COMMAND, MODERATOR, Command, Command, tuple(Code), headers=(KEY,)),
    Call("round", "GET", ROUND, A_ROUND, VIEWER, LiveRound, None, NO_ROUND),
    Call("proof", "GET", f"{ROUND}/proof", A_PROOF, None, ProofFile, None, NO_ROUND),
    Call("confirm", "POST", f"{HOLD}/confirm", A_PAYMENT, SERVICE, HoldStands, Payment, PAID),
    Call("release", "POST", f"{HOLD}/cancel", NO_PAYMENT, SERVICE, HoldStands, Why, OF_HOLD),
    Call("retention", "GET", f"{ROOM}/retention", A_REPORT, HOST, Report, None, NO_REPORT, query=(WHICH,)),
    Call("bans", "GET", f"{ROOM}/bans", THE_BANS, MODERATOR, Bans, None, NO_ROOM),
    Call("reports", "GET", f"{ROOM}/reports", THE_REPORTS, MODERATOR, ReportList, None, NO_ROOM),
    Call("questions", "GET", f"{ROOM}/questions", THE_QUESTIONS, MODERATOR, Unanswered, None, NO_ROOM),
    Call("livez", "GET", "/livez", "The node answers.", None, Alive),
    Call("readyz", "GET", "/readyz", "The node may be sent viewers, or why not.", None, Ready, also={503: Ready}),
)
WISHES = (
    Parameter("room", RoomId, "left out: `demo`"),
    Parameter("role", Role, "left out: `viewer`"),
    Parameter("name", str, "of which the first 40 characters are taken"),
    Parameter("sub", Annotated[str, Meta(max_length=64)], "left out: an id of its own"),
)
TOKEN = Call("token", "GET", "/dev/token", "A token.", None, NewToken, query=WISHES)
PAY = Call("pay", "POST", "/dev/pay", "Pay, or fail to.", None, HoldStands, Basket, PAID)
DEV = (TOKEN, PAY)  # only with --dev


def refusals(call: Call) -> tuple[Code, ...]:
    """Every code that a call may be refused with, in the order of the table of codes."""
    may = {*call.codes}
    may |= {Code.BAD_TOKEN, Code.NOT_ALLOWED} if call.who else set()
    may |= {Code.BAD_MESSAGE} if call.body or call.query else set()
    may |= {Code.TRY_LATER, Code.INTERNAL} if "{" in call.path or call.body or call.who else set()
    return tuple(code for code in Code if code in may)
