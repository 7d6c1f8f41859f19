"""The HTTP calls as a table: who may make each, what is sent, what is answered, and why it may be refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from msgspec import UNSET, Meta, Struct, UnsetType

from gameplay.play import Code, Command, HoldId, Millis, Role, ViewerId
from gameplay.sale import HoldStands
from liveroom.figures import Report
from liveroom.protocol import LiveRound, RoomId


class NewRoom(Struct, frozen=True, forbid_unknown_fields=True):
    """``currency`` (ISO 4217) of the room's sales; left out: the server's."""

    id: RoomId
    title: Annotated[str, Meta(min_length=1, max_length=80)]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)")] = ""


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


class Alive(Struct, frozen=True):
    live: Literal[True]


class Ready(Struct, frozen=True):
    """``reason``: why not."""

    ready: bool
    reason: str | UnsetType = UNSET


class NewToken(Struct, frozen=True):
    token: str


class Call(NamedTuple):
    """One endpoint. ``name`` is that of the method which answers it."""

    name: str
    method: str
    path: str
    who: Role | None  # the least role; None: anybody, without a token
    answer: Any  # with status 200; `Command`: what the command is answered
    body: Any = None
    codes: tuple[Code, ...] = ()  # besides those that every call may be refused with
    also: dict[int, Any] = {}  # noqa: RUF012  answers with another status
    whose: Literal["path", "body", "all"] = "path"  # where the room is that the token must be for; "all": for `*`
    query: tuple[tuple[str, Any, str], ...] = ()  # name, type, what it is
    headers: tuple[tuple[str, Any, str], ...] = ()


ROOM, ROUND, HOLD = "/v1/rooms/{room}", "/v1/rooms/{room}/rounds/{id}", "/v1/rooms/{room}/holds/{hold}"
IDEMPOTENCY = ("Idempotency-Key", Annotated[str, Meta(max_length=64)], "the command's `idem`, where it has none")
NO_ROOM, NO_ROUND = (Code.NO_SUCH_ROOM,), (Code.NO_SUCH_ROUND,)
OF_HOLD = (Code.NO_SUCH_HOLD, Code.NO_SUCH_ROOM, Code.WEAK_DURABILITY)
UNPAID = (Code.HOLD_EXPIRED, Code.IDEMPOTENCY_MISMATCH)
EXISTS = (Code.ROOM_EXISTS, Code.ROOM_CLOSED)
HOST, SERVICE = Role.HOST, Role.SERVICE

CALLS = (
    Call("create", "POST", "/v1/rooms", HOST, RoomAbout, NewRoom, EXISTS, {201: RoomAbout}, "body"),
    Call("everything", "GET", "/v1/rooms", SERVICE, RoomList, whose="all"),
    Call("read", "GET", ROOM, Role.VIEWER, RoomNow, None, NO_ROOM),
    Call("close", "POST", f"{ROOM}/close", HOST, RoomIsClosed, None, NO_ROOM),
    Call("command", "POST", f"{ROOM}/commands", Role.MODERATOR, Command, Command, tuple(Code), headers=(IDEMPOTENCY,)),
    Call("round", "GET", ROUND, Role.VIEWER, LiveRound, None, NO_ROUND),
    Call("proof", "GET", f"{ROUND}/proof", None, ProofFile, None, NO_ROUND),
    Call("confirm", "POST", f"{HOLD}/confirm", SERVICE, HoldStands, Payment, OF_HOLD + UNPAID),
    Call("release", "POST", f"{HOLD}/cancel", SERVICE, HoldStands, Why, OF_HOLD),
    Call("retention", "GET", f"{ROOM}/retention", HOST, Report, None, (*NO_ROOM, Code.NO_STREAM)),
    Call("livez", "GET", "/livez", None, Alive),
    Call("readyz", "GET", "/readyz", None, Ready, None, (), {503: Ready}),
)

TOKEN = Call(
    "token",
    "GET",
    "/dev/token",
    None,
    NewToken,
    codes=(Code.BAD_MESSAGE,),
    query=(
        ("room", RoomId, "left out: `demo`"),
        ("role", Role, "left out: `viewer`"),
        ("name", str, "of which the first 40 characters are taken"),
        ("sub", ViewerId, "left out: an id of its own"),
    ),
)
PAY = Call("pay", "POST", "/dev/pay", None, HoldStands, Basket, OF_HOLD + UNPAID)
DEV = (TOKEN, PAY)  # only with --dev


def refusals(call: Call) -> tuple[Code, ...]:
    """Every code that a call may be refused with, in the order of the table of codes."""
    may = {*call.codes}
    may |= {Code.BAD_TOKEN, Code.NOT_ALLOWED} if call.who else set()
    may |= {Code.BAD_MESSAGE} if call.body else set()
    may |= {Code.TRY_LATER, Code.INTERNAL} if "{" in call.path or call.body or call.who else set()
    return tuple(code for code in Code if code in may)
