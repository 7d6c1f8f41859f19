"""Quiz: one question, one answer each; who is right and quick scores most.

    announced → open → closed → revealed

The right answer and its explanation stay in the opening command, which nobody is shown, until they are revealed.
Questions with the same ``series`` share a leaderboard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from gameplay.fairdraw import score
from gameplay.play import (
    Code,
    Entry,
    HostCommand,
    Long,
    Move,
    Opened,
    OpenRound,
    Own,
    Played,
    PrivateEvent,
    Progress,
    Reading,
    Reason,
    Refusal,
    Round,
    RoundCommand,
    RoundEvent,
    Short,
    Step,
    Turn,
    bad,
    closed_by_host,
    states,
)
from gameplay.text import shown

FULL_POINTS = 1000
QUICK_MS = 500  # full points under that
BOARD = 10  # places of the leaderboard that are shown


# --- messages --------------------------------------------------------------------------------------


class Open(OpenRound, frozen=True, kw_only=True, tag="quiz.open"):
    question: Long
    choices: Annotated[tuple[Short, ...], Meta(min_length=2, max_length=10)]
    right: Annotated[int, Meta(ge=0, le=9)]  # counts from 0
    explain: Annotated[str, Meta(max_length=400)] = ""
    seconds: Annotated[int, Meta(ge=1, le=600)] = 15
    series: Short | UnsetType = UNSET


class Answer(RoundCommand, frozen=True, tag="quiz.answer"):
    choice: Annotated[int, Meta(ge=0)]


class Close(HostCommand, frozen=True, tag="quiz.close"):
    pass


class Void(HostCommand, frozen=True, tag="quiz.void"):
    """The question does not count, also when it was revealed already."""

    reason: Reason


class Announced(Opened, frozen=True, tag="quiz.announced"):
    pass


class QuizOpened(Opened, frozen=True, tag="quiz.opened"):
    question: str
    choices: tuple[str, ...]
    series: str | UnsetType = UNSET


class Answered(Progress, frozen=True, tag="quiz.progress"):
    """How many have answered, never how."""

    answered: int


class Revealed(RoundEvent, frozen=True, tag="quiz.revealed"):
    right: int
    explain: str
    counts: tuple[int, ...]  # by choice


class Standing(Struct, frozen=True):
    viewer: str
    name: str
    points: int
    rank: int


class Leaderboard(Progress, frozen=True, tag="quiz.leaderboard"):
    series: str
    top: tuple[Standing, ...]


class Voided(RoundEvent, frozen=True, tag="quiz.voided"):
    reason: str


class Result(PrivateEvent, frozen=True, tag="quiz.result"):
    """To everybody who answered. The rank is that of the series, where the question belongs to one."""

    correct: bool
    points: int
    rank: int


# --- opening and answering -------------------------------------------------------------------------


def check(opens: Open) -> Refusal | None:
    if opens.right >= len(opens.choices):
        return bad("right", "right is the number of a choice, counted from 0")
    if not shown(opens.question) or not all(map(shown, opens.choices)):
        return bad("question", "the question or a choice is empty")
    return None


def opening(played: Played[Open], reading: Reading) -> QuizOpened:
    opens = played.opens
    return QuizOpened(
        rules="Choose one answer before the bell. The first one counts; right and quick scores most.",
        question=shown(opens.question),
        choices=tuple(map(shown, opens.choices)),
        series=opens.series if opens.series is UNSET else shown(opens.series),
    )


def word(opened: QuizOpened, answer: Answer) -> str | Refusal:
    if answer.choice >= len(opened.choices):
        return Refusal(Code.NO_SUCH_CHOICE, message=f"choices are 0 to {len(opened.choices) - 1}")
    return str(answer.choice)


def mine(own: Own) -> dict[str, Any]:
    return {"choice": int(own.word)}


def progress(played: Played[Open], reading: Reading) -> Move:
    again: dict[str, int | None] = {"progress": reading.now + PLAY.progress_ms}
    if played.entered == played.kept.get("answered"):
        return Move(to="open", bells=again)
    return Move(to="open", shows=Answered(played.entered), keep={"answered": played.entered}, bells=again)


# --- settling --------------------------------------------------------------------------------------


def points(ms: float, total_ms: int) -> int:
    """Full points for a quick answer, falling evenly to a half at the bell: ``FULL (1 - t / 2T)``, rounded."""
    t = min(max(ms, 0), total_ms)
    return FULL_POINTS if t < QUICK_MS else int(FULL_POINTS * (2 * total_ms - t) / (2 * total_ms) + 0.5)


def taken_ms(played: Played[Open], entry: Entry) -> int:
    """From the opening to the answer, without what the network and the stream took."""
    return max(0, entry.at - played.opened_at - entry.credit)


def settle(played: Played[Open], reading: Reading) -> Move:
    """Reveal the answer; tell everybody his points and his rank."""
    opens, entries = played.opens, reading.entries
    total = opens.seconds * 1000
    right = {entry.viewer for entry in entries if int(entry.word) == opens.right}
    scores: dict[str, list[Any]] = {
        entry.viewer: [
            points(taken_ms(played, entry), total) if entry.viewer in right else 0,
            taken_ms(played, entry),
            entry.name,
        ]
        for entry in entries
    }
    ranks = ranking([*earlier(played, reading), scores], reading.seed)
    counts = [0] * len(opens.choices)
    for entry in entries:
        counts[int(entry.word)] += 1
    place = {standing.viewer: standing.rank for standing in ranks}
    return Move(
        to="revealed",
        tell=Revealed(opens.right, shown(opens.explain), tuple(counts)),
        shows=leaderboard(opens, ranks),
        keep={"scores": scores},
        results={who: Result(who in right, scores[who][0], place[who]) for who in scores},
        bells={"settle": None},
        ends=True,
    )


def earlier(played: Played[Open], reading: Reading) -> Iterable[Mapping[str, Any]]:
    """The scores of the other questions of the series that were revealed."""
    return [kept["scores"] for other, kept in reading.series.items() if other != played.id and "scores" in kept]


def ranking(questions: Iterable[Mapping[str, Any]], seed: bytes) -> list[Standing]:
    """Everybody who answered: by points, then by the time taken, then by lot."""
    sums: dict[str, list[Any]] = {}
    for scores in questions:
        for viewer, (got, ms, name) in scores.items():
            mine = sums.setdefault(viewer, [0, 0, name])
            mine[0], mine[1], mine[2] = mine[0] + got, mine[1] + ms, name
    best = sorted(sums, key=lambda one: (-sums[one][0], sums[one][1], score(seed, one)))
    return [Standing(one, sums[one][2], sums[one][0], rank) for rank, one in enumerate(best, 1)]


def leaderboard(opens: Open, ranks: list[Standing]) -> Leaderboard | None:
    return None if opens.series is UNSET else Leaderboard(shown(opens.series), tuple(ranks[:BOARD]))


# --- ends ------------------------------------------------------------------------------------------


def void(played: Played[Open], reading: Reading, command: Void) -> Move:
    """The points of the question are taken back from the leaderboard."""
    shows = leaderboard(played.opens, ranking(earlier(played, reading), reading.seed))
    return voided(shown(command.reason), shows if played.state == "revealed" else None)


def voided(reason: str, shows: Leaderboard | None = None) -> Move:
    bells = dict.fromkeys(("open", "close", "progress", "settle"))
    return Move(to="voided", tell=Voided(reason), shows=shows, bells=bells, ends=True)


def late(_: Played[Open]) -> Move:
    """Whoever could not see or answer it in time is not hurt by it."""
    return voided("the room was out of order when it should have opened or closed")


PLAY = Round(
    kind="quiz",
    opens=Open,
    announced=Announced,
    opened=QuizOpened,
    opening=opening,
    settle=settle,
    settle_reads=frozenset({"entries", "series"}),
    events=(Answered, Revealed, Leaderboard, Voided, Result),
    check=check,
    enters=Answer,
    word=word,
    mine=mine,
    progress=Step(progress, states("open")),
    progress_ms=500,
    turns={
        Close: closed_by_host("revealed"),
        Void: Turn(void, states("announced", "open", "closed", "revealed"), states("voided"), frozenset({"series"})),
    },
    late=late,
    series=lambda opens: "" if opens.series is UNSET else opens.series,
    reveals=(Revealed,),
)
