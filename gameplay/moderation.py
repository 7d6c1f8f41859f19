"""Moderation: who may not speak or come in, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from gameplay.play import Code, Command, Event, Flow, Reason, Refusal, Role, ViewerId

LONGEST_MUTE = 24 * 3600
LONGEST_BAN = 10 * 365 * 24 * 3600  # seconds; left out, it is for good

Kind = Literal["ban", "mute"]


class ForStaff(Command, frozen=True, kw_only=True):
    """What a moderator may say."""

    needs = Role.MODERATOR


class Mute(ForStaff, frozen=True, tag="chat.mute"):
    """``shadow``: he is not told, and sees his own comments."""

    viewer: ViewerId
    seconds: Annotated[int, Meta(ge=1, le=LONGEST_MUTE)]
    reason: Reason | UnsetType = UNSET
    shadow: bool = False


class Unmute(ForStaff, frozen=True, tag="chat.unmute"):
    viewer: ViewerId


class Ban(ForStaff, frozen=True, tag="chat.ban"):
    viewer: ViewerId
    seconds: Annotated[int, Meta(ge=1, le=LONGEST_BAN)] | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET


class Unban(ForStaff, frozen=True, tag="chat.unban"):
    viewer: ViewerId


class Muted(Event, frozen=True, tag="chat.muted"):
    """Private: until when his comments are refused; 0: no longer."""

    until: int


PLAY = Flow((Mute, Unmute, Ban, Unban), (Muted,))


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


def standing(given: Iterable[Given]) -> dict[str, Sanction]:
    """What stands after all these commands, the oldest first."""
    stands: dict[str, Sanction] = {}
    for one in given:
        command = one.command
        if isinstance(command, Mute | Ban):
            sanction = sanction_of(command, one.by, one.role, one.at)
            stands[name_of(sanction.kind, sanction.viewer)] = sanction
        elif isinstance(command, Unmute | Unban):
            stands.pop(name_of(SANCTIONS[type(command)], command.viewer), None)
    return stands


def muted(sanction: Sanction) -> Refusal:
    return Refusal(Code.MUTED, {"until": sanction.until}, "you are muted")
