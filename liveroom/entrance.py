"""The way into a round: by a button or by a comment, judged, gathered, and answered when it is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from msgspec import Struct
from redis.exceptions import RedisError

from gameplay.eligible import Eligible, Facts, missing
from gameplay.play import Code, Own, Refusal
from gameplay.text import folded
from liveroom.asked import Asked, Done, later, wrong_state
from liveroom.drawkeys import DrawKeys
from liveroom.menu import ENTERS, KINDS
from liveroom.store.gather import UNKNOWN, Gatherer
from liveroom.store.rooms import TRY_LATER
from liveroom.store.rounds import NO_SUCH_ROUND, Entered, Gate, Place, Rounds, Row
from liveroom.wall import OnWall

MOST_CREDIT_MS = 250  # for the way that an answer took

STAFF_STAY_OUT = Refusal(Code.NOT_ELIGIBLE, {"missing": [{"role": "viewer"}]}, "only viewers take part")


class Outcome(Struct, gc=False):
    """What became of the rounds that a comment was to enter."""

    fields: dict[str, Any]
    entered: bool = False
    unknown: bool = False


class Entrance:
    """Lets viewers into rounds."""

    def __init__(
        self,
        rounds: Rounds,
        gatherer: Gatherer[Gate, Row, tuple[Place, Entered]],
        keys: DrawKeys,
        watched: Callable[[str, str], Awaitable[float]],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.rounds = rounds
        self.gatherer = gatherer
        self.keys = keys
        self.watched = watched  # seconds for which a viewer was connected in his session
        self.spawn = spawn
        self.verbs: dict[type[Any], Callable[[Asked], None]] = dict.fromkeys(ENTERS, self.enter)

    def enter(self, asked: Asked) -> None:
        """A viewer presses a button of a round."""
        command: Any = asked.command
        if asked.actor.staff:
            return asked.refused(STAFF_STAY_OUT)
        live = asked.room.wall.get(command.id)
        play = ENTERS[type(command)]
        if live is None or live.kind != play.kind or live.state == "announced":
            later(self.spawn, self.enter_unseen)(asked)
            return None
        return self.enter_live(asked, live)

    def enter_live(self, asked: Asked, live: OnWall) -> None:
        word = live.play.word(live.opened, asked.command)
        if isinstance(word, Refusal):
            return asked.refused(word)
        return self.admit(asked, live, word, asked.end)

    async def enter_unseen(self, asked: Asked) -> Done:
        """A round that is not on the wall here: perhaps it was opened this moment, perhaps it is over."""
        command: Any = asked.command
        kept = await self.rounds.read(asked.room.info.id, command.id)
        if kept is None or KINDS[kept.kind] is not ENTERS[type(command)]:
            return NO_SUCH_ROUND
        played = kept.played
        if not played.opened_at:
            return wrong_state(played.state, played.ver)
        live = OnWall(kept.kind, played.id, played.state, played.ver, played.opened, b"", b"", b"", None)
        word = live.play.word(live.opened, command)
        if isinstance(word, Refusal):
            return word
        done: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self.admit(asked, live, word, done.set_result)
        return await done

    def admit(self, asked: Asked, live: OnWall, word: str, end: Callable[[Done], None]) -> None:
        """Judge whether he may, if that is asked for, and hand him to the gatherer; ``end`` is called once."""
        eligible = live.play.eligible(live.opened)
        actor, room = asked.actor, asked.room.info.id
        by_device = bool(eligible and eligible.asks("one_per_device"))
        tag = self.keys.tag(room, live.id, actor.viewer)
        credit = int(min(actor.rtt_ms / 2, MOST_CREDIT_MS))
        row = Row(actor.viewer, actor.name, tag, word, credit, asked.at, actor.device if by_device else "")
        gate = Gate(room, live.id, live.kind, live.play.often, by_device)

        def placed(answer: tuple[Place, Entered] | Refusal) -> None:
            end(answer if isinstance(answer, Refusal) else reply(live, row, *answer))

        if eligible is None:
            self.gatherer.add(gate, row, placed)
        else:
            self.spawn(self.admit_if(asked, eligible, live.id, end, lambda: self.gatherer.add(gate, row, placed)))

    async def admit_if(
        self, asked: Asked, eligible: Eligible, round_id: str, end: Callable[[Done], None], admit: Callable[[], None]
    ) -> None:
        try:
            lacks = missing(eligible, await self.facts(asked, round_id, eligible))
        except (RedisError, OSError, TimeoutError):
            return end(TRY_LATER)
        return end(not_eligible(lacks)) if lacks else admit()

    async def facts(self, asked: Asked, round_id: str, eligible: Eligible) -> Facts:
        actor, room = asked.actor, asked.room.info.id
        liked, commented = await self.rounds.deeds(room, actor.viewer)
        right = frozenset(
            [one for one in eligible.asks("answered_right") if await self.rounds.was_right(room, one, actor.viewer)]
        )
        return Facts(
            level=actor.level,
            watched_seconds=await self.watching(asked) if eligible.asks("watched_seconds") else 0,
            liked=liked,
            commented=commented,
            answered_right=right,
            bought=await self.rounds.bought(room, actor.viewer) if eligible.asks("bought") else 0,
            won_lately=await self.rounds.is_barred(room, round_id, actor.viewer),
            device=actor.device,
        )

    async def watching(self, asked: Asked) -> float:
        """By his session, which outlasts a break; or since he sat down here, for a session ends with its stream."""
        person = asked.actor.person
        sits = (asked.at - person.came) / 1000 if person.views() else 0
        return max(sits, await self.watched(asked.room.info.id, asked.actor.viewer))

    # -- by a comment --

    def entered_by(self, asked: Asked, text: str, *, again: bool) -> list[OnWall]:
        """The rounds that a comment enters. ``again``: what was said before is not counted twice."""
        if asked.actor.staff:
            return []
        said = folded(text)
        return [
            one
            for one in asked.room.wall.values()
            if one.keyword and one.keyword.matches(said) and not (again and one.play.often)
        ]

    def enter_all(self, asked: Asked, rounds: Sequence[OnWall], then: Callable[[Outcome], None]) -> None:
        """Enter them all; ``then`` is called once, when all have answered."""
        outcome, left = Outcome({}), len(rounds)

        def count() -> None:
            nonlocal left
            left -= 1
            if not left:
                then(outcome)

        def enter(live: OnWall) -> None:
            def end(done: Done) -> None:
                if isinstance(done, Refusal):
                    outcome.unknown = outcome.unknown or done.code is Code.TRY_LATER
                    refused = {"id": live.id, "code": done.code, "params": dict(done.params)}
                    outcome.fields["refused"] = refused
                else:
                    outcome.entered = True
                    outcome.fields |= done
                count()

            self.admit(asked, live, "", end)

        for one in rounds:
            enter(one)


def not_eligible(lacks: list[dict[str, Any]]) -> Refusal:
    return Refusal(Code.NOT_ELIGIBLE, {"missing": lacks}, "the round asks for more")


def reply(live: OnWall, row: Row, place: Place, entered: Entered) -> Done:
    """What is answered to who entered, or tried to."""
    if place.how < 0:
        return not_placed(place, entered)
    if place.word != row.word:
        return Refusal(Code.ALREADY_ANSWERED, message="your first answer counts")
    return dict(live.play.receipt(Own(live.id, place.n, row.tag, place.word)))


def not_placed(place: Place, entered: Entered) -> Refusal:
    """Why an entry was not made: see ``enter_round.lua``."""
    match place.how:
        case -2 if entered.state not in ("cancelled", "voided"):
            return Refusal(Code.ROUND_CLOSED, {"closed_at": entered.closes_at}, "the round is closed")
        case -3:
            return UNKNOWN
        case -4:
            return not_eligible([{"one_per_device": True}])
    return wrong_state(entered.state, entered.ver)
