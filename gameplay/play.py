"""The words every play is made of.

Nothing here waits, reads a clock or draws luck: time and seeds come in as
arguments, so that the same play always ends the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

ViewerId = Annotated[str, Meta(min_length=1, max_length=64)]
CommandId = Annotated[int, Meta(ge=0, le=2**53 - 1)]
IdempotencyKey = Annotated[str, Meta(min_length=1, max_length=64)]


class Role(StrEnum):
    """Who may do what. Each role may do all that the ones before it may."""

    VIEWER = "viewer"
    MODERATOR = "moderator"
    HOST = "host"
    SERVICE = "service"

    def may(self, needed: Role) -> bool:
        return RANK[self] >= RANK[needed]


RANK = {role: rank for rank, role in enumerate(Role)}


class Command(Struct, frozen=True, kw_only=True, tag_field="t", forbid_unknown_fields=True):
    """Something a viewer or a host asks for."""

    needs: ClassVar[Role] = Role.VIEWER

    cid: CommandId | UnsetType = UNSET
    idem: IdempotencyKey | UnsetType = UNSET


class Event(Struct, frozen=True, tag_field="t", omit_defaults=True):
    """Something the room, or one viewer, is told."""


class Code(StrEnum):
    """Why a command was refused; the table of meanings is in ``liveroom.protocol``."""

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


@dataclass(frozen=True, slots=True)
class Flow:
    """A play that is said, checked, perhaps merged with its neighbours, and told to the room."""

    commands: tuple[type[Command], ...]
    events: tuple[type[Event], ...]


class Limits(Struct, frozen=True):
    """How long a round lasts and how many may enter."""

    seconds: int
    places: int = 0  # 0: room for everyone


class Entry(Struct, frozen=True):
    """One viewer's part in a round."""

    viewer: str
    place: int  # counts from 1
    ms: int  # after the round opened
    word: str = ""  # what the play keeps with it: a choice, a ticket count


Open = TypeVar("Open", bound=Command)
Enter = TypeVar("Enter", bound=Command)


def no_word(_: Command) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Round(Generic[Open, Enter]):
    """A play that opens, is entered once by each viewer, closes and settles.

    ``settle`` is a pure function of what was opened, the entries and a seed, so
    that any node that settles again after a crash comes to the same result.
    """

    opens: type[Open]
    enters: type[Enter]
    limits: Callable[[Open], Limits]
    settle: Callable[[Open, Sequence[Entry], bytes], Event]
    word: Callable[[Enter], str] = no_word
