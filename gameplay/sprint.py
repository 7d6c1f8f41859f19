"""Like sprint: the room likes together towards a target before the bell, past levels that are told once each."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from msgspec import Meta

from gameplay.play import (
    HostCommand,
    Move,
    Opened,
    OpenRound,
    Played,
    Progress,
    Reading,
    Reason,
    Refusal,
    Round,
    RoundEvent,
    Step,
    Turn,
    bad,
    closed_by_host,
    closing,
    states,
)
from gameplay.text import shown

Likes = Annotated[int, Meta(ge=1, le=10**9)]


class Open(OpenRound, frozen=True, tag="sprint.open"):
    target: Likes
    levels: Annotated[tuple[Likes, ...], Meta(max_length=10)] = ()  # below the target, rising


class Close(HostCommand, frozen=True, tag="sprint.close"):
    pass


class Cancel(HostCommand, frozen=True, tag="sprint.cancel"):
    reason: Reason


class Announced(Opened, frozen=True, tag="sprint.announced"):
    pass


class SprintOpened(Opened, frozen=True, tag="sprint.opened"):
    target: int
    levels: tuple[int, ...] = ()


class Run(Progress, frozen=True, tag="sprint.progress"):
    """Likes since the opening."""

    likes: int
    target: int


class Reached(RoundEvent, frozen=True, tag="sprint.reached"):
    level: int


class Closed(RoundEvent, frozen=True, tag="sprint.closed"):
    likes: int
    reached: bool  # the target


class Cancelled(RoundEvent, frozen=True, tag="sprint.cancelled"):
    reason: str


def check(opens: Open) -> Refusal | None:
    rising = (*opens.levels, opens.target)
    if all(low < high for low, high in pairwise(rising)):
        return None
    return bad("levels", "levels rise, and lie below the target")


def opening(played: Played[Open], reading: Reading) -> SprintOpened:
    opens = played.opens
    return SprintOpened(
        rules=f"Like as much as you can: {opens.target} likes together before the bell.",
        target=opens.target,
        levels=opens.levels,
    )


def run(played: Played[Open], reading: Reading) -> int:
    start: int = played.kept.get("likes", 0)
    return max(0, reading.likes - start)


def progress(played: Played[Open], reading: Reading) -> Move:
    """One level at a time; the target ends the sprint."""
    likes, opens = run(played, reading), played.opens
    passed = played.kept.get("passed", 0)
    levels = (*opens.levels, opens.target)
    again: dict[str, int | None] = {"progress": reading.now + PLAY.progress_ms}
    if passed == len(levels):
        return closing(played, reading, "settle")
    if likes >= levels[passed]:
        shows = Run(likes, opens.target)
        return Move(
            to="open", tell=Reached(levels[passed]), shows=shows, keep={"passed": passed + 1}, bells={"progress": 0}
        )
    if likes == played.kept.get("run"):
        return Move(to="open", bells=again)
    return Move(to="open", shows=Run(likes, opens.target), keep={"run": likes}, bells=again)


def settle(played: Played[Open], reading: Reading) -> Move:
    """A level that was reached with the last likes is told first."""
    opens, likes = played.opens, run(played, reading)
    levels, passed = (*opens.levels, opens.target), played.kept.get("passed", 0)
    if passed < len(levels) and likes >= levels[passed]:
        return Move(to="closed", tell=Reached(levels[passed]), keep={"passed": passed + 1}, bells={"settle": 0})
    return Move(to="settled", tell=Closed(likes, passed == len(levels)), bells={"settle": None}, ends=True)


def cancel(played: Played[Open], reading: Reading, command: Cancel) -> Move:
    bells = dict.fromkeys(("open", "close", "progress"))
    return Move(to="cancelled", tell=Cancelled(shown(command.reason)), bells=bells, ends=True)


PLAY = Round(
    kind="sprint",
    opens=Open,
    announced=Announced,
    opened=SprintOpened,
    opening=opening,
    settle=settle,
    settle_reads=frozenset({"likes"}),
    events=(Run, Reached, Closed, Cancelled),
    check=check,
    progress=Step(progress, states("open"), frozenset({"likes"})),
    progress_ms=500,
    turns={
        Close: closed_by_host("settled"),
        Cancel: Turn(cancel, states("announced", "open"), states("cancelled")),
    },
)
