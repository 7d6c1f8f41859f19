"""Danmaku: a comment is checked, numbered, sampled when the crowd is loud, and told to the room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Annotated, Any, Protocol, TypeVar

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from gameplay.play import Code, Command, CommentId, Event, Flow, Receipt, Refusal, Role, ViewerId, bad
from gameplay.text import folded, graphemes, is_viewer_id, most_marks

MOST_GRAPHEMES = 100
MOST_CODE_POINTS = 200  # so at most 800 bytes
MOST_MARKS = 4  # combining marks on one base

MISNAMED = bad("mentions", "mentions are ids of viewers: at most 64 bytes of printable text")
TOO_LONG = Refusal(Code.TEXT_TOO_LONG, {"max": MOST_GRAPHEMES}, "the text is too long")


class NotEntered(Struct, frozen=True):
    """The round that the comment would have entered, and why it did not."""

    id: str
    code: Code
    params: dict[str, Any]


class Told(Struct, frozen=True):
    """``receipt``: the comment was an entry too. ``shown`` is false, and there is no ``id``, where it only was that."""

    id: str | UnsetType = UNSET
    receipt: Receipt | UnsetType = UNSET
    shown: bool | UnsetType = UNSET
    why: Code | UnsetType = UNSET
    refused: NotEntered | UnsetType = UNSET


class Say(Command, frozen=True, tag="chat.say"):
    """Of ``mentions`` the room is told those who are in it or have commented there."""

    answer = Told

    text: str
    reply_to: CommentId | UnsetType = UNSET
    mentions: Annotated[tuple[ViewerId, ...], Meta(max_length=5)] = ()


class Reply(Command, frozen=True, tag="chat.reply"):
    """The staff answer a comment, and its author is told."""

    needs = Role.MODERATOR
    answer = Told

    id: CommentId
    text: str


class Message(Event, frozen=True, tag="chat.message"):
    delivery = "crowd"

    id: str
    ts: int
    from_: str = field(name="from")
    name: str
    role: Role
    text: str
    reply_to: str | UnsetType = UNSET
    mentions: tuple[str, ...] = ()


CommentJson = Annotated[Raw, Meta(extra={"shape": Message})]


class Pinned(Event, frozen=True, tag="chat.pinned"):
    comment: CommentJson
    until: int


class Mentioned(Event, frozen=True, tag="chat.mentioned"):
    """For the one who is named in a comment, or answered, also when the room was not shown it: kept until read."""

    delivery = "private"

    by: str
    id: str
    text: str
    of: str | UnsetType = UNSET
    inbox: str = ""


class Sampled(Event, frozen=True, tag="chat.sampled"):
    """How many of how many comments were shown since the last of these."""

    delivery = "crowd"

    shown: int
    total: int


PLAY = Flow((Say, Reply), (Message, Mentioned, Sampled, Pinned))


class Said(Struct, gc=False):
    """What a viewer said last, so that it is not said twice: folded text, room time in ms, idempotency key."""

    text: str
    at: float
    idem: str = ""


def too_much(text: str) -> Refusal | None:
    """Judge the length of a cleaned text; what costs more than counting comes last, for it may be a whole frame."""
    if len(text) > MOST_CODE_POINTS:
        return TOO_LONG
    if not folded(text):
        return Refusal(Code.TEXT_EMPTY, message="the text is empty")
    return TOO_LONG if graphemes(text) > MOST_GRAPHEMES or most_marks(text) > MOST_MARKS else None


def misnamed(mentions: Sequence[str]) -> Refusal | None:
    """Judge whether these can be viewers."""
    return None if all(map(is_viewer_id, mentions)) else MISNAMED


def repeats(said: dict[str, Said], text: str, now: float, within_ms: float) -> bool:
    """Tell whether this folded text was said lately; forgets what is older. ``said`` is by text, oldest first."""
    for old in [one.text for one in takewhile(lambda one: now - one.at >= within_ms, said.values())]:
        del said[old]
    return text in said


class Ranked(Protocol):
    """A comment that waits to be shown."""

    @property
    def staff(self) -> bool: ...


Comment = TypeVar("Comment", bound=Ranked)


def sample(
    comments: Sequence[Comment], places: int, pick: Callable[[Sequence[Comment], int], list[Comment]]
) -> list[Comment]:
    """Those that the room is shown, best first: all of the staff's, and as many others as there are places.

    ``pick`` draws that many without favour (``random.sample``); what is drawn keeps its order.
    """
    staff = [one for one in comments if one.staff]
    crowd = [one for one in comments if not one.staff]
    if len(crowd) > places:
        lucky = set(map(id, pick(crowd, places)))
        crowd = [one for one in crowd if id(one) in lucky]
    return staff + crowd
