"""The words every play is made of.

Nothing here waits, reads a clock or draws luck: time and seeds come in as
arguments, so that the same play always ends the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from gameplay.eligible import Eligible

ViewerId = Annotated[str, Meta(min_length=1, max_length=64)]
CommandId = Annotated[int, Meta(ge=0, le=2**53 - 1)]
CommentId = Annotated[str, Meta(pattern=r"^[0-9a-z]{8,32}$(?!\n)")]
RoundId = Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,40}$(?!\n)")]
HoldId = Annotated[str, Meta(pattern=r"^h_[a-z0-9_]{1,60}$(?!\n)")]
Millis = Annotated[int, Meta(ge=0, le=2**53 - 1)]  # room time, since the epoch
Short = Annotated[str, Meta(min_length=1, max_length=80)]
Reason = Annotated[str, Meta(min_length=1, max_length=200)]
Long = Annotated[str, Meta(min_length=1, max_length=400)]
IdempotencyKey = Annotated[str, Meta(min_length=1, max_length=64)]
# How an event reaches viewers, and what becomes of it where there is too much: see ``docs/protocol.md``.
Delivery = Literal["ledger", "private", "state", "crowd", "connection"]


class Role(StrEnum):
    """Who may do what. Each role may do all that the ones before it may."""

    VIEWER = "viewer"
    MODERATOR = "moderator"
    HOST = "host"
    SERVICE = "service"

    def may(self, needed: Role) -> bool:
        return RANK[self] >= RANK[needed]


RANK = {role: rank for rank, role in enumerate(Role)}


class Nothing(Struct, frozen=True):
    """Nothing more: it was done."""


class Made(Struct, frozen=True):
    """The id of what was made."""

    id: str


class Stands(Struct, frozen=True):
    """How a round stands now."""

    id: str
    state: str
    ver: int


class Numbered(Struct, frozen=True):
    """The number of the event that everybody is told."""

    seq: int


class Receipt(Struct, frozen=True):
    """An entry as the proof of the draw will have it: complete at once, bound by the next head with ``n`` or more."""

    n: int
    tag: str
    weight: int
    leaf: str
    draw: str


class Command(Struct, frozen=True, kw_only=True, tag_field="t", forbid_unknown_fields=True):
    """Something a viewer or a host asks for."""

    needs: ClassVar[Role] = Role.VIEWER
    answer: ClassVar[type[Struct]] = Nothing  # what is in the `ok` besides ``cid``; an event is told instead of an `ok`

    cid: CommandId | UnsetType = UNSET
    idem: IdempotencyKey | UnsetType = UNSET


class Event(Struct, frozen=True, tag_field="t", omit_defaults=True):
    """Something the room, or one viewer, is told."""

    delivery: ClassVar[Delivery] = "ledger"


class Code(StrEnum):
    """Why a command was refused."""

    BAD_MESSAGE = "BAD_MESSAGE"
    UNKNOWN_COMMAND = "UNKNOWN_COMMAND"
    BAD_TOKEN = "BAD_TOKEN"
    NOT_ALLOWED = "NOT_ALLOWED"
    NO_SUCH_ROOM = "NO_SUCH_ROOM"
    NO_SUCH_ROUND = "NO_SUCH_ROUND"
    NO_SUCH_COMMENT = "NO_SUCH_COMMENT"
    NO_SUCH_VIEWER = "NO_SUCH_VIEWER"
    NO_SUCH_HOLD = "NO_SUCH_HOLD"
    NO_STREAM = "NO_STREAM"
    ROOM_EXISTS = "ROOM_EXISTS"
    ROOM_CLOSED = "ROOM_CLOSED"
    ROUND_STATE = "ROUND_STATE"
    STREAM_RUNNING = "STREAM_RUNNING"
    KEYWORD_TAKEN = "KEYWORD_TAKEN"
    IDEMPOTENCY_MISMATCH = "IDEMPOTENCY_MISMATCH"
    TEXT_EMPTY = "TEXT_EMPTY"
    TEXT_TOO_LONG = "TEXT_TOO_LONG"
    DUPLICATE = "DUPLICATE"
    WORD_BLOCKED = "WORD_BLOCKED"
    MUTED = "MUTED"
    ROOM_MUTED = "ROOM_MUTED"
    MEMBERS_ONLY = "MEMBERS_ONLY"
    NOT_ELIGIBLE = "NOT_ELIGIBLE"
    SLOW_MODE = "SLOW_MODE"
    RATE_LIMITED = "RATE_LIMITED"
    ROUND_CLOSED = "ROUND_CLOSED"
    ALREADY_ANSWERED = "ALREADY_ANSWERED"
    NO_SUCH_CHOICE = "NO_SUCH_CHOICE"
    SALE_NOT_OPEN = "SALE_NOT_OPEN"
    SALE_PAUSED = "SALE_PAUSED"
    SALE_SOLD_OUT = "SALE_SOLD_OUT"
    SALE_LIMIT = "SALE_LIMIT"
    HOLD_EXPIRED = "HOLD_EXPIRED"
    WEAK_DURABILITY = "WEAK_DURABILITY"
    TRY_LATER = "TRY_LATER"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command that had no effect, and why. A value, not an exception."""

    code: Code
    params: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    retry_after_ms: int | None = None
    retryable: bool | None = None  # None: as the table of codes says


def bad(field: str, why: str, message: str = "", **more: Any) -> Refusal:
    """What is said cannot be: which field, by its path, and why. No field: the whole of it is wrong."""
    return Refusal(Code.BAD_MESSAGE, ({"field": field} if field else {}) | {"why": why} | more, message or why)


@dataclass(frozen=True, slots=True)
class Flow:
    """A play that is said, checked, perhaps merged with its neighbours, and told to the room."""

    commands: tuple[type[Command], ...]
    events: tuple[type[Event], ...]


# --- rounds: what opens, is entered, closes and is settled -----------------------------------------

GRACE_MS = 300  # an entry that was sent before the end may arrive so much later
BELL_MS = 500  # so long after the end nothing more can arrive: entries are frozen
OVERDUE_MS = 30_000  # a bell later than that was kept from ringing by an outage


class OpenRound(Command, frozen=True, kw_only=True):
    """Opens a round, at once or at ``opens_at``. Kept secret: the room is told what ``opening`` makes of it."""

    needs = Role.HOST
    answer: ClassVar[type[Struct]] = Made

    seconds: Annotated[int, Meta(ge=1, le=3600)] = 60
    opens_at: Millis | UnsetType = UNSET


class RoundCommand(Command, frozen=True, kw_only=True):
    """A command to a round that is there already."""

    id: RoundId


class HostCommand(RoundCommand, frozen=True, kw_only=True):
    needs = Role.HOST
    answer = Stands


class RoundEvent(Event, frozen=True, kw_only=True):
    """Something that is told of a round. The server fills in which."""

    id: str = ""


class Opened(RoundEvent, frozen=True, kw_only=True):
    """A round was announced or opened; ``rules`` tell people how to take part. The server fills in the times."""

    opens_at: int = 0
    closes_at: int = 0
    rules: str


class Progress(RoundEvent, frozen=True, kw_only=True):
    """State: how a round is going. The server fills in its version."""

    delivery = "state"

    ver: int = 0


class PrivateEvent(RoundEvent, frozen=True, kw_only=True):
    """Told to one viewer alone."""

    delivery = "private"


class Letter(PrivateEvent, frozen=True, kw_only=True):
    """Of value: kept until he acknowledges ``inbox``, which the server fills in."""

    inbox: str = ""


class Entry(Struct, frozen=True, array_like=True, gc=False):
    """One viewer's part in a round, as it is kept; its number is its place in the list, from 1."""

    viewer: str
    name: str
    tag: str  # who he is in this round's public proof
    word: str  # what the play keeps with it: a choice, a number of tickets
    credit: int  # ms that his network and the stream took
    at: int  # room time in ms


class Win(Struct, frozen=True, array_like=True, gc=False):
    """One prize, as it goes to the ledger."""

    viewer: str
    name: str
    tag: str
    place: int  # from 1
    prize: str


class Keyword(NamedTuple):
    """A comment that says this enters a round. ``text`` is folded."""

    text: str
    contains: bool = False

    def matches(self, comment: str) -> bool:
        """Whether a folded comment says it."""
        return self.text in comment if self.contains else self.text == comment


Open = TypeVar("Open", bound=OpenRound)


class Played(Struct, Generic[Open], frozen=True):
    """A round as its rules see it. Times are room times in ms."""

    id: str
    room: str
    state: str
    ver: int
    opens: Open
    opened: Any  # what the room was told at the opening; None before
    opens_at: int
    opened_at: int  # when the room was told; 0 before
    closes_at: int
    entered: int = 0  # entries so far
    viewers: int = 0  # who made them
    kept: Mapping[str, Any] = {}  # what earlier moves kept
    rev: int = 0  # rises with every move; ``ver`` also with what the play's own verbs change
    numbers: Mapping[str, int] = {}  # ``Round.counters`` as they are now


class Reading(Struct, frozen=True):
    """What a step is told of the world. What it does not ask for is empty."""

    now: int  # room time in ms
    seed: bytes = b""  # of this round alone, and the same whoever asks
    entries: Sequence[Entry] = ()  # "entries": all; "fresh": behind number ``kept["n"]``
    likes: int = 0  # "likes": of the room
    here: frozenset[str] = frozenset()  # "here": who is in the room
    banned: frozenset[str] = frozenset()  # "banned": who may not be in it
    claims: Mapping[str, int] = {}  # "claims": who claimed, and when
    series: Mapping[str, Mapping[str, Any]] = {}  # "series": what rounds of its series kept that are not void


Reads = Literal["entries", "fresh", "likes", "here", "banned", "claims", "series"]


class Move(Struct, frozen=True, kw_only=True):
    """What becomes of a round; all of it, or nothing, happens."""

    to: str  # its state from now on
    tell: RoundEvent | None = None  # to everybody, numbered, kept in the log
    shows: Progress | None = None  # to everybody, only the newest counts
    keep: Mapping[str, Any] = {}  # for later moves, beside what is kept already; secret
    bells: Mapping[str, int | None] = {}  # the step to take, and when (room time in ms); None: not any more
    letters: Sequence[tuple[str, RoundEvent]] = ()  # to one viewer, of value: kept until he acknowledges
    results: Mapping[str, RoundEvent] = {}  # to one viewer each, behind ``tell``
    wins: Sequence[Win] = ()  # for the ledger
    loses: Sequence[str] = ()  # viewers who no longer have what they had won
    closes_at: int | None = None  # an end other than was planned
    adds: Mapping[str, int] = {}  # to ``Round.counters``
    amends: Mapping[str, Any] = {}  # what is different now from what was told at the opening
    ends: bool = False  # nothing more will become of it


class Own(NamedTuple):
    """A viewer's own entry: its number in the round, his tag there, and what the play keeps with it."""

    round: str
    n: int
    tag: str
    word: str


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a round when a bell rings. None: nothing, any more."""

    does: Callable[[Played[Any], Reading], Move | None]
    when: frozenset[str]  # states in which it does anything
    reads: frozenset[Reads] = frozenset()


@dataclass(frozen=True, slots=True)
class Turn:
    """What becomes of a round when its host says so."""

    does: Callable[[Played[Any], Reading, Any], Move | None]  # None: what he asks for comes by itself
    when: frozenset[str]
    done: frozenset[str] = frozenset()  # states in which its effect holds already
    reads: frozenset[Reads] = frozenset()


def states(*names: str) -> frozenset[str]:
    return frozenset(names)


def nothing(*_: Any) -> None:
    return None


def no_word(*_: Any) -> str:
    return ""


def no_claim(*_: Any) -> Refusal:
    return Refusal(Code.NOT_ELIGIBLE, {"missing": [{"won": True}]}, "there is nothing to claim")


def no_fields(_: Any) -> dict[str, Any]:
    return {}


def as_it_is(opens: Any, currency: str) -> Any:
    return opens


@dataclass(frozen=True, slots=True, kw_only=True)
class Round(Generic[Open]):
    """A play that opens, is entered once by each viewer, closes and settles.

    All its functions are pure, so that any node that does a step again after a crash comes to the same result.
    ``opening`` says what the room is told and must leak nothing; ``settle`` sees all entries of a round in the state
    "closed", and must move it on to another, for it may be asked twice.
    """

    kind: str  # the noun of its messages
    opens: type[Open]
    announced: type[Opened]
    opened: type[Opened]
    opening: Callable[[Played[Open], Reading], Opened]
    settle: Callable[[Played[Open], Reading], Move | None]
    settle_reads: frozenset[Reads] = frozenset({"entries"})
    events: tuple[type[Event], ...] = ()  # besides those two
    announcing: Callable[[Played[Open], Reading], Opened] | None = None  # what is told ahead; None: only the rules
    check: Callable[[Open], Refusal | None] = nothing  # what types cannot say of the opening command
    completes: Callable[[Open, str], Open] = as_it_is  # with the room's currency, where the command leaves it out

    # Entering
    enters: type[RoundCommand] | None = None
    keyword: Callable[[Any], Keyword | None] = nothing  # of what was opened: a comment that says it enters
    often: bool = False  # a viewer may enter again and again
    word: Callable[[Any, Any], str | Refusal] = no_word  # kept with an entry, of what was opened and the command
    eligible: Callable[[Any], Eligible | None] = nothing  # of what was opened
    receipt: Callable[[Own], Mapping[str, Any]] = no_fields  # in the reply to the one who enters
    mine: Callable[[Own], Mapping[str, Any]] = no_fields  # his part, when he comes back
    claims: type[RoundCommand] | None = None  # what a winner says to take his prize
    may_claim: Callable[[Played[Open], str, int], int | Refusal] = no_claim  # until when this viewer may, at that time

    # Verbs of its own, for what has to be decided together with numbers that are kept beside the round
    verbs: tuple[type[Command], ...] = ()
    counters: Callable[[Open], Mapping[str, int | str]] = no_fields  # kept from the opening on
    grants: frozenset[str] = frozenset()  # bells that those verbs answer

    # Steps besides opening, closing and settling
    follows: str = "settle"  # the step behind closing
    progress: Step | None = None  # while it is open
    progress_ms: int = 1000
    steps: Mapping[str, Step] = field(default_factory=dict)
    turns: Mapping[type[RoundCommand], Turn] = field(default_factory=dict)
    late: Callable[[Played[Open]], Move | None] = nothing  # instead of opening or closing long after the time
    series: Callable[[Open], str] = no_word  # its name, where rounds belong together
    reveals: tuple[type[RoundEvent], ...] = ()  # events behind which every viewer is told his own result
    ranks: Callable[[Played[Open], Reading], Mapping[str, RoundEvent]] | None = None  # results too many to be told
    proof: Callable[[Played[Open], Sequence[Entry]], bytes | None] | None = None  # a file that proves a result

    @property
    def commands(self) -> tuple[type[Command], ...]:
        own = [kind for kind in (self.enters, self.claims) if kind is not None]
        return (self.opens, *own, *self.verbs, *self.turns)

    @property
    def opening_reads(self) -> frozenset[Reads]:
        return self.settle_reads & {"likes"}

    @property
    def table(self) -> dict[str, Step]:
        """Every step by the name of its bell."""
        usual = {
            "open": Step(self.start, states("announced"), self.opening_reads),
            "close": Step(self.close, states("open")),
            "settle": Step(self.settle, states("closed"), self.settle_reads),
        }
        return usual | ({"progress": self.progress} if self.progress else {}) | dict(self.steps)

    def start(self, played: Played[Open], reading: Reading) -> Move:
        """The bell at ``opens_at``."""
        missed = reading.now - played.opens_at > OVERDUE_MS or reading.now >= played.closes_at
        instead = self.late(played) if missed else None
        return instead or self.begin(played, reading)

    def begin(self, played: Played[Open], reading: Reading) -> Move:
        bells: dict[str, int | None] = {"open": None, "close": played.closes_at + BELL_MS}
        keep = {"likes": reading.likes}
        move = Move(to="open", tell=self.opening(played, reading), bells=bells, keep=keep)
        if self.progress is None:
            return move
        bells["progress"] = reading.now + self.progress_ms
        first = self.progress.does(replace(played, kept={**played.kept, **keep}), reading)
        if first is None or first.tell:
            return move
        return replace(move, shows=first.shows, keep={**keep, **first.keep})  # nobody has to wait for the first counts

    def announce(self, played: Played[Open], reading: Reading) -> Move:
        ahead = self.announcing or (lambda *of: self.announced(rules=self.opening(*of).rules))
        return Move(to="announced", tell=ahead(played, reading), bells={"open": played.opens_at})

    def close(self, played: Played[Open], reading: Reading) -> Move:
        """The bell behind ``closes_at``: no more entries; what follows is a step of its own."""
        overdue = reading.now - played.closes_at > OVERDUE_MS
        return (self.late(played) if overdue else None) or closing(played, reading, self.follows)


def closed_by_host(*done: str, follows: str = "settle") -> Turn:
    """The turn that ends the entries now; ``done``: the states behind it. At its end a round closes by its bell."""

    def close(played: Played[Any], reading: Reading, _: HostCommand) -> Move | None:
        return closing(played, reading, follows) if reading.now < played.closes_at else None

    return Turn(close, states("open"), states("closed", *done))


def closing(played: Played[Any], reading: Reading, follows: str) -> Move:
    """Freeze the entries, and have the next step taken at once."""
    return Move(
        to="closed",
        bells={"close": None, "progress": None, follows: 0},
        keep={"delayed": reading.now - played.closes_at > OVERDUE_MS},
        closes_at=min(reading.now, played.closes_at),
    )
