"""What the outbox says, as rows: a fact is a mapping of byte strings, as it lies in a Redis stream.

A fact that cannot be read, or whose kind is not known here, becomes a row too: it is kept aside whole.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum, auto
from typing import Annotated, Any

from msgspec import DecodeError, Meta, Struct, ValidationError, convert, json
from msgspec.structs import asdict

NAME_LENGTH = 200  # PostgreSQL finds nothing by what is longer than some 2,700 bytes
NUL, INSTEAD = "\0", "\ufffd"  # PostgreSQL keeps no NUL; a name may hold one
NUL_IN_JSON = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")

Name = Annotated[str, Meta(max_length=NAME_LENGTH)]
Number = Annotated[int, Meta(ge=-(2**53), le=2**53)]
Flag = Annotated[int, Meta(ge=0, le=1)]
Measured = Annotated[float, Meta(ge=-(2**53), le=2**53)]  # as Lua reckons; rounded where it becomes a row
Fact = Mapping[bytes, bytes]
Row = dict[str, Any]


class Kind(Enum):
    """What is done with a row, in the order in which it is done."""

    ROOM = auto()
    EVENT = auto()
    COMMAND = auto()
    ROUND = auto()
    ENTRY = auto()
    WIN = auto()
    CLAIM = auto()
    LOSS = auto()
    HOLD = auto()
    ORDER = auto()
    REFUND = auto()
    SESSION = auto()
    UNREAD = auto()


Rows = Iterator[tuple[Kind, Row]]


class Said(Struct, frozen=True):
    """What every fact says. Numbers come as text, lists as JSON."""

    id: Name
    room: Name


class Kinded(Struct, frozen=True):
    """The name of a message, whatever else it says."""

    t: str


class Told(Kinded, frozen=True):
    """The head of an event as the room was told it."""

    seq: Number
    ts: Number


class Entry(Struct, frozen=True, array_like=True, gc=False):
    n: Number
    viewer: Name
    name: str
    tag: str
    word: str
    credit: Number
    at: Number


class Win(Struct, frozen=True, array_like=True, gc=False):
    viewer: Name
    name: str
    tag: str
    place: Number
    prize: str


class Claim(Struct, frozen=True, array_like=True, gc=False):
    viewer: Name
    at: Number


class Sale(Struct, frozen=True, gc=False):
    """What the room was told of a sale, as far as an order repeats it."""

    item: str = ""
    price: Number = 0
    currency: str = ""


class Hold(Struct, frozen=True, gc=False):
    hold: Name
    viewer: Name
    state: str
    v: Number
    name: str = ""
    qty: Number = 1
    until: Number = 0
    made: Number = 0
    at: Number = 0
    idem: str = ""
    order: Name = ""
    rank: Number = 0
    payment: str = ""
    paid_at: Number = 0
    late: bool = False
    why: str = ""


class Refund(Struct, frozen=True, gc=False):
    hold: Name
    payment: Name
    viewer: Name
    at: Number
    qty: Number = 1
    why: str = ""
    paid_at: Number = 0


class Session(Struct, frozen=True, gc=False):
    stream: Name
    viewer: Name
    start: Measured
    ends: Measured
    watch: Measured
    event: Flag
    why: str = ""
    source: str = ""
    rtt: Measured = 0


read_kind = json.Decoder(Kinded).decode
read_told = json.Decoder(Told).decode
read_entries = json.Decoder(list[Entry]).decode
read_wins = json.Decoder(list[Win]).decode
read_losers = json.Decoder(list[Name]).decode
read_claims = json.Decoder(list[Claim]).decode
read_sale = json.Decoder(Sale, strict=False).decode  # Lua knows one kind of number
read_holds = json.Decoder(list[Hold], strict=False).decode
read_refunds = json.Decoder(list[Refund], strict=False).decode
read_sessions = json.Decoder(list[Session], strict=False).decode


def without_nul(text: str) -> str:
    return NUL_IN_JSON.sub(r"\1\\ufffd", text) if "\\u0000" in text else text


def room_row(id_: str, title: str = "", currency: str = "", created: int = 0, closed: int = 0) -> Row:
    """What one fact knows of a room."""
    state = "closed" if closed else "open"
    return {"id": id_, "title": title, "currency": currency, "state": state, "created": created, "closed": closed}


class RoomCreated(Said, frozen=True):
    created: Number
    title: str = ""
    currency: str = ""

    def rows(self) -> Rows:
        yield Kind.ROOM, room_row(self.room, self.title, self.currency, self.created)


class EventTold(Said, frozen=True):
    epoch: str
    event: str
    actor: str = ""

    def rows(self) -> Rows:
        told = read_told(self.event)
        row = {
            "fact": self.id,
            "room": self.room,
            "epoch": self.epoch,
            "seq": told.seq,
            "ts": told.ts,
            "kind": told.t,
            "actor": self.actor,
            "body": self.event,
        }
        yield Kind.EVENT, row
        if told.t == "room.closed":
            yield Kind.ROOM, room_row(self.room, closed=told.ts)


class CommandDone(Said, frozen=True):
    actor: str
    role: str
    at: Number
    body: str
    round: Name = ""
    before: Number = 0
    after: Number = 0

    def rows(self) -> Rows:
        row = {
            "fact": self.id,
            "room": self.room,
            "round": self.round,
            "actor": self.actor,
            "role": self.role,
            "kind": read_kind(self.body).t,
            "at": self.at,
            "ver_before": self.before,
            "ver_after": self.after,
            "body": self.body,
        }
        yield Kind.COMMAND, row


class RoundMoved(Said, frozen=True):
    round: Name
    kind: str
    state: str
    ver: Number
    at: Number
    opens_at: Number = 0
    opened_at: Number = 0
    closes_at: Number = 0
    by: str = ""
    command: str = ""
    opened: str = ""
    kept: str = "{}"
    wins: str = "[]"
    loses: str = "[]"

    def rows(self) -> Rows:
        row = {
            "id": self.round,
            "room": self.room,
            "kind": self.kind,
            "state": self.state,
            "ver": self.ver,
            "opens_at": self.opens_at,
            "opened_at": self.opened_at,
            "closes_at": self.closes_at,
            "by": self.by,
            "command": self.command,
            "opened": self.opened,
            "kept": self.kept,
        }
        yield Kind.ROUND, row
        won = {"round": self.round, "room": self.room, "state": "won", "at": self.at}
        yield from ((Kind.WIN, won | asdict(win)) for win in read_wins(without_nul(self.wins)))
        yield from ((Kind.LOSS, {"of": self.round, "whose": viewer}) for viewer in read_losers(self.loses))


class Entered(Said, frozen=True):
    round: Name
    kind: str
    entries: str

    def rows(self) -> Rows:
        shared = {"round": self.round, "fact": self.id, "room": self.room, "kind": self.kind}
        yield from ((Kind.ENTRY, shared | asdict(entry)) for entry in read_entries(without_nul(self.entries)))


class Claimed(Said, frozen=True):
    round: Name
    claims: str

    def rows(self) -> Rows:
        for claim in read_claims(self.claims):
            yield Kind.CLAIM, {"of": self.round, "whose": claim.viewer}


class Held(Said, frozen=True):
    """Holds that were made or changed, each as it is since; some of them are paid by now."""

    round: Name
    holds: str
    sale: str = "{}"

    def rows(self) -> Rows:
        sale = read_sale(without_nul(self.sale))
        for hold in read_holds(without_nul(self.holds)):
            row = {"room": self.room, "round": self.round, **asdict(hold)}
            order = row.pop("order")
            row["late"] = int(hold.late)
            yield Kind.HOLD, row | {"order_id": order}
            if order:
                yield Kind.ORDER, order_row(row, order, sale)


def order_row(hold: Row, id_: str, sale: Sale) -> Row:
    """A hold that was paid, and perhaps given back later, as an order."""
    shared = ("hold", "room", "round", "viewer", "name", "qty", "rank", "payment", "paid_at", "at", "late", "v")
    state = "refunded" if hold["state"] == "refunded" else "paid"
    return {"id": id_, "state": state, **asdict(sale), **{name: hold[name] for name in shared}}


class Refunded(Said, frozen=True):
    """Payments that got nothing: the shop must give them back."""

    round: Name
    refunds: str

    def rows(self) -> Rows:
        shared = {"room": self.room, "round": self.round}
        yield from ((Kind.REFUND, shared | asdict(one)) for one in read_refunds(without_nul(self.refunds)))


class Finished(Said, frozen=True):
    """Sessions of viewers that are over: none of them changes any more."""

    sessions: str

    def rows(self) -> Rows:
        shared = {"room": self.room, "fact": self.id}
        yield from ((Kind.SESSION, shared | rounded(one)) for one in read_sessions(without_nul(self.sessions)))


def rounded(session: Session) -> Row:
    return {name: round(said) if isinstance(said, float) else said for name, said in asdict(session).items()}


Read = RoomCreated | EventTold | CommandDone | RoundMoved | Entered | Claimed | Held | Refunded | Finished
KINDS: Mapping[str, type[Read]] = {
    "room.created": RoomCreated,
    "event": EventTold,
    "command": CommandDone,
    "round": RoundMoved,
    "entries": Entered,
    "claims": Claimed,
    "holds": Held,
    "refunds": Refunded,
    "sessions": Finished,
}


def rows_of(fact: Fact, place: str) -> list[tuple[Kind, Row]]:
    """All rows of a fact, or the one that keeps it aside, named by its ``place`` in the outbox if it has no id."""
    try:
        # An empty field is one left out.
        fields = {name.decode(): value.decode().replace(NUL, INSTEAD) for name, value in fact.items() if value}
        kind = KINDS.get(fields.get("what", ""))
        return [unread(fact, place, "unknown")] if kind is None else list(convert(fields, kind, strict=False).rows())
    except (UnicodeDecodeError, DecodeError, ValidationError, RecursionError) as error:
        return [unread(fact, place, str(error))]


def unread(fact: Fact, place: str, why: str) -> tuple[Kind, Row]:
    whole = {readable(name): readable(value) for name, value in fact.items()}
    id_, body = whole.get("id", ""), json.encode(whole).decode()
    named = id_ if 0 < len(id_) <= NAME_LENGTH else place
    return Kind.UNREAD, {"fact": named, "what": whole.get("what", ""), "body": body, "why": why}


def readable(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace").replace(NUL, INSTEAD)


def gathered(rows: Iterable[tuple[Kind, Row]]) -> dict[Kind, list[Row]]:
    """Rows by what is done with them, in the order in which it is done."""
    found: defaultdict[Kind, list[Row]] = defaultdict(list)
    for kind, row in rows:
        found[kind].append(row)
    return {kind: found[kind] for kind in Kind if kind in found}
