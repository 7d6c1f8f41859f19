"""Moderation: who may not speak or come in, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import takewhile
from math import ceil
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from gameplay.play import Code, Command, CommentId, Event, Flow, Numbered, Reason, Refusal, Role, ViewerId, bad

LONGEST_MUTE = LONGEST_PIN = 24 * 3600
LONGEST_BAN = 10 * 365 * 24 * 3600  # seconds; left out, it is for good

SLOWEST_RATE = 0.01  # comments a second: one in a hundred seconds

Kind = Literal["ban", "mute"]
Mode = Literal["open", "slow", "members", "muted"]
Word = Annotated[str, Meta(min_length=1, max_length=80)]


class Imposed(Struct, frozen=True):
    """``until``: null is for good."""

    until: int | None


class Changed(Struct, frozen=True):
    """The number of the event that everybody is told, if anything changed."""

    seq: int | UnsetType = UNSET


class ForStaff(Command, frozen=True, kw_only=True):
    """What a moderator may say."""

    needs = Role.MODERATOR


class Mute(ForStaff, frozen=True, tag="chat.mute"):
    """``shadow``: he is not told, and sees his own comments."""

    answer = Imposed

    viewer: ViewerId
    seconds: Annotated[int, Meta(ge=1, le=LONGEST_MUTE)]
    reason: Reason | UnsetType = UNSET
    shadow: bool = False


class Unmute(ForStaff, frozen=True, tag="chat.unmute"):
    viewer: ViewerId


class Ban(ForStaff, frozen=True, tag="chat.ban"):
    answer = Imposed

    viewer: ViewerId
    seconds: Annotated[int, Meta(ge=1, le=LONGEST_BAN)] | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET


class Unban(ForStaff, frozen=True, tag="chat.unban"):
    viewer: ViewerId


class Delete(ForStaff, frozen=True, tag="chat.delete"):
    """These comments, or all of a viewer's so far."""

    answer = Numbered

    ids: Annotated[tuple[CommentId, ...], Meta(min_length=1, max_length=100)] | UnsetType = UNSET
    viewer: ViewerId | UnsetType = UNSET


class Pin(ForStaff, frozen=True, tag="chat.pin"):
    answer = Numbered

    id: CommentId
    seconds: Annotated[int, Meta(ge=1, le=LONGEST_PIN)]


class Unpin(ForStaff, frozen=True, tag="chat.unpin"):
    answer = Changed

    id: CommentId


class Report(Command, frozen=True, tag="chat.report"):
    """A viewer asks the staff to look at a comment."""

    id: CommentId
    why: Reason


class Dismiss(ForStaff, frozen=True, tag="chat.dismiss"):
    """A reported comment may stay."""

    id: CommentId


class Settings(Command, frozen=True, tag="chat.settings"):
    """How the chat is from now on. What is left out of ``rate`` and ``words`` stays as it is; a rate of 0 is the
    server's own, any other at least 0.01."""

    needs = Role.HOST
    answer = Numbered

    mode: Mode
    slow_seconds: Annotated[int, Meta(ge=1, le=3600)] = 10  # in mode slow, between two comments of a viewer
    level: Annotated[int, Meta(ge=1, le=1_000_000)] = 1  # in mode members, the least
    rate: Annotated[float, Meta(ge=0, le=100)] | UnsetType = UNSET  # comments a second of a viewer
    words: Annotated[tuple[Word, ...], Meta(max_length=200)] | UnsetType = UNSET  # blocked in this room


class Muted(Event, frozen=True, tag="chat.muted"):
    """Until when his comments are refused; 0: no longer."""

    delivery = "private"

    until: int


class Deleted(Event, frozen=True, tag="chat.deleted"):
    """These comments, or all that a viewer said until now."""

    ids: tuple[str, ...] | UnsetType = UNSET
    viewer: str | UnsetType = UNSET


class Unpinned(Event, frozen=True, tag="chat.unpinned"):
    id: str


class Reported(Event, frozen=True, tag="chat.reports"):
    """To the staff: how many reported comments wait for them."""

    delivery = "state"

    open: int
    ver: int


class Set(Event, frozen=True, tag="chat.settings"):
    """How the chat is from now on; the words are not told."""

    mode: Mode
    slow_seconds: int
    level: int | UnsetType = UNSET
    rate: float | UnsetType = UNSET


PLAY = Flow(
    (Delete, Pin, Unpin, Mute, Unmute, Ban, Unban, Settings, Report, Dismiss),
    (Deleted, Unpinned, Muted, Set, Reported),
)


class Manners(Struct, frozen=True):
    """How a room's chat is: who may speak, and how often. A rate of 0 is the server's own."""

    mode: Mode = "open"
    slow_seconds: int = 0
    level: int = 0
    rate: float = 0
    words: tuple[str, ...] = ()

    def rested(self, spoke: Mapping[str, float], now: float) -> list[str]:
        """Who spoke so long ago that slow mode does not keep him waiting; ``spoke`` is oldest first."""
        return [one for one, at in takewhile(lambda it: now - it[1] >= self.slow_seconds * 1000, spoke.items())]


OPEN = Manners()


def as_told(manners: Manners) -> Set:
    """What the room is told of how its chat is."""
    level = manners.level if manners.mode == "members" else UNSET
    return Set(manners.mode, manners.slow_seconds, level, manners.rate or UNSET)


def told(settings: Settings) -> Set:
    """What the room is told of a command; its rate is put in where the room has one."""
    slow, members = settings.mode == "slow", settings.mode == "members"
    return Set(settings.mode, settings.slow_seconds if slow else 0, settings.level if members else UNSET)


def unmannerly(manners: Manners, level: int, spoke: float | None, now: float) -> Refusal | None:
    """Why a viewer of this level, who last spoke then, may not speak now."""
    match manners.mode:
        case "muted":
            return Refusal(Code.ROOM_MUTED, message="comments are off in this room")
        case "members" if level < manners.level:
            return Refusal(Code.MEMBERS_ONLY, {"level": manners.level}, "only members may comment now")
        case "slow" if spoke is not None and 0 <= now - spoke < manners.slow_seconds * 1000:
            wait = max(1, ceil(spoke + manners.slow_seconds * 1000 - now))
            return Refusal(Code.SLOW_MODE, message="slow mode is on", retry_after_ms=wait)
    return None


class Sanction(Struct, frozen=True, omit_defaults=True):
    """A ban or a mute. Room times in ms; ``until`` 0 is for good."""

    kind: Kind
    viewer: str
    until: int
    at: int
    by: str
    role: Role  # of who imposed it
    reason: str = ""
    shadow: bool = False

    def binds(self, role: Role, now: float) -> bool:
        """Whether it holds now for somebody of this role: what a moderator imposes does not bind a host."""
        return (not self.until or now < self.until) and (not role.may(Role.HOST) or self.role.may(Role.HOST))


Sanctions = Mapping[str, Sanction]  # by ``name_of``

SANCTIONS: dict[type[Command], Kind] = {Mute: "mute", Unmute: "mute", Ban: "ban", Unban: "ban"}

ON_HIMSELF = Refusal(Code.NOT_ALLOWED, message="nobody moderates himself")
ON_A_HOST = Refusal(Code.NOT_ALLOWED, {"needs": Role.HOST}, "a moderator cannot act on a host")
NO_SUCH_COMMENT = Refusal(Code.NO_SUCH_COMMENT, message="there is no such comment any more")
TOO_SLOW = bad("rate", f"a rate is 0, the server's own, or at least {SLOWEST_RATE}")
EITHER = bad("ids", "give ids or a viewer, one of them")
BANNED = Refusal(Code.NOT_ALLOWED, message="you are banned from this room")


def name_of(kind: Kind, viewer: str) -> str:
    """The name under which a sanction is kept: a viewer has one of a kind."""
    return f"{kind} {viewer}"


def binding(sanctions: Sanctions, kind: Kind, viewer: str, role: Role, now: float) -> Sanction | None:
    """The sanction of this kind that binds him now."""
    found = sanctions.get(name_of(kind, viewer)) if sanctions else None
    return found if found and found.binds(role, now) else None


def sanction_of(command: Mute | Ban, by: str, role: Role, now: float) -> Sanction:
    """What a command imposes."""
    until = 0 if command.seconds is UNSET else int(now) + command.seconds * 1000
    reason = "" if command.reason is UNSET else command.reason
    shadow = isinstance(command, Mute) and command.shadow
    return Sanction(SANCTIONS[type(command)], command.viewer, until, int(now), by, role, reason, shadow)


class Given(Struct, frozen=True):
    """A command that was recorded: who gave it, as what, and when."""

    command: Command
    by: str
    role: Role
    at: int


class Stand(Struct, frozen=True):
    """What holds in a room."""

    manners: Manners
    sanctions: Sanctions


def standing(given: Iterable[Given]) -> Stand:
    """What holds after all these commands, the oldest first."""
    stands: dict[str, Sanction] = {}
    manners = OPEN
    for one in given:
        command = one.command
        if isinstance(command, Mute | Ban):
            sanction = sanction_of(command, one.by, one.role, one.at)
            stands[name_of(sanction.kind, sanction.viewer)] = sanction
        elif isinstance(command, Unmute | Unban):
            stands.pop(name_of(SANCTIONS[type(command)], command.viewer), None)
        elif isinstance(command, Settings):
            manners = changed(manners, command)
    return Stand(manners, stands)


def changed(manners: Manners, settings: Settings) -> Manners:
    """How the chat is after a command."""
    event = told(settings)
    return Manners(
        event.mode,
        event.slow_seconds,
        0 if event.level is UNSET else event.level,
        manners.rate if settings.rate is UNSET else settings.rate,
        manners.words if settings.words is UNSET else settings.words,
    )


def muted(sanction: Sanction) -> Refusal:
    return Refusal(Code.MUTED, {"until": sanction.until}, "you are muted")
