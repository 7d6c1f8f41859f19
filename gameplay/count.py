"""Keyword count: who says the word, and how often. No draw, no winners."""

from __future__ import annotations

from gameplay.play import (
    HostCommand,
    Keyword,
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
    Short,
    Step,
    Turn,
    bad,
    closed_by_host,
    states,
)
from gameplay.text import folded, shown


class Open(OpenRound, frozen=True, tag="count.open"):
    keyword: Short


class Close(HostCommand, frozen=True, tag="count.close"):
    pass


class Cancel(HostCommand, frozen=True, tag="count.cancel"):
    reason: Reason


class Announced(Opened, frozen=True, tag="count.announced"):
    pass


class CountOpened(Opened, frozen=True, tag="count.opened"):
    keyword: str


class Counted(Progress, frozen=True, tag="count.progress"):
    """So many viewers said it so many times."""

    viewers: int
    times: int


class Closed(RoundEvent, frozen=True, tag="count.closed"):
    viewers: int
    times: int


class Cancelled(RoundEvent, frozen=True, tag="count.cancelled"):
    reason: str


def check(opens: Open) -> Refusal | None:
    if folded(opens.keyword):
        return None
    return bad("keyword", "nothing is left of the keyword when it is folded")


def opening(played: Played[Open], reading: Reading) -> CountOpened:
    word = shown(played.opens.keyword)
    return CountOpened(rules=f"Comment “{word}” before the bell, as often as you like.", keyword=word)


def keyword(opened: CountOpened) -> Keyword:
    return Keyword(folded(opened.keyword))


def progress(played: Played[Open], reading: Reading) -> Move:
    again: dict[str, int | None] = {"progress": reading.now + PLAY.progress_ms}
    if played.entered == played.kept.get("times"):
        return Move(to="open", bells=again)
    return Move(
        to="open", shows=Counted(played.viewers, played.entered), keep={"times": played.entered}, bells=again
    )


def settle(played: Played[Open], reading: Reading) -> Move:
    return Move(to="settled", tell=Closed(played.viewers, played.entered), bells={"settle": None}, ends=True)


def cancel(played: Played[Open], reading: Reading, command: Cancel) -> Move:
    bells = dict.fromkeys(("open", "close", "progress"))
    return Move(to="cancelled", tell=Cancelled(shown(command.reason)), bells=bells, ends=True)


PLAY = Round(
    kind="count",
    opens=Open,
    announced=Announced,
    opened=CountOpened,
    opening=opening,
    settle=settle,
    settle_reads=frozenset(),
    events=(Counted, Closed, Cancelled),
    check=check,
    keyword=keyword,
    often=True,
    progress=Step(progress, states("open")),
    turns={
        Close: closed_by_host("settled"),
        Cancel: Turn(cancel, states("announced", "open"), states("cancelled")),
    },
)
