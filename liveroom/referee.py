"""The referee: applies the rules of the rounds to what Redis holds, for commands and for bells alike.

Each move is decided on a version of the round by a pure function of the play, and happens only if the round is still
at that version; who comes second looks again. So it does not matter which node, or how many, decide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

import structlog
from msgspec import UNSET
from redis.exceptions import RedisError

from gameplay.eligible import Eligible
from gameplay.play import (
    Entry,
    Move,
    OpenRound,
    Played,
    Reading,
    Reads,
    Refusal,
    Round,
    RoundCommand,
    Step,
    Turn,
    bad,
)
from liveroom.asked import LATEST_MS, Asked, Done, digest, later, once_key, wrong_state
from liveroom.chronicle import Archive
from liveroom.drawkeys import DrawKeys
from liveroom.ids import Ids
from liveroom.kept import Kept
from liveroom.memory import Memory
from liveroom.menu import CLAIMS, KINDS, ROUNDS, TURNS
from liveroom.store.clock import Clock
from liveroom.store.durable import Durability
from liveroom.store.rooms import TRY_LATER, By
from liveroom.store.rounds import (
    BELL,
    NO_KEY,
    NO_SUCH_ROUND,
    PAGE,
    Before,
    Elsewhere,
    Moved,
    Once,
    Rounds,
)
from liveroom.store.scripts import NoRoom

log = structlog.get_logger()

FROZEN = 2  # rounds whose entries are kept from one step to the next
TRIES = 20  # to move a round that others move too
FARTHEST_MS = 30 * 24 * 3600 * 1000  # that a round may be announced ahead



class Referee:
    """Opens rounds and moves them on."""

    def __init__(
        self,
        rounds: Rounds,
        clock: Clock,
        ids: Ids,
        keys: DrawKeys,
        *,
        archive: Archive,
        durability: Durability,
        currency: str,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        crash: Callable[[str], None],
    ) -> None:
        self.rounds = rounds
        self.clock = clock
        self.ids = ids
        self.keys = keys
        self.archive = archive
        self.durability = durability
        self.currency = currency
        self.spawn = spawn
        self.crash = crash
        self.frozen: Memory[list[Entry]] = Memory(FROZEN)
        self.verbs: dict[type[Any], Callable[[Asked], None]] = {
            **dict.fromkeys(ROUNDS, later(spawn, self.open)),
            **dict.fromkeys(TURNS, later(spawn, self.turn)),
            **dict.fromkeys(CLAIMS, later(spawn, self.claim)),
        }

    # -- opening --

    async def open(self, asked: Asked) -> Done:
        play = ROUNDS[type(asked.command)]
        command: Any = play.completes(asked.command, asked.room.info.currency or self.currency)
        if refusal := play.check(command) or too_far(command, asked.at):
            return refusal
        if play.grants and (refusal := await self.durability.refusal()):
            return refusal
        new = self.ids.new(asked.at)
        played = planned(f"r_{new}", asked.room.info.id, command, int(asked.at))
        await self.bar_winners(played)
        reading = await self.read(play, played, play.opening_reads)
        move = play.announce(played, reading) if played.opens_at > reading.now else play.begin(played, reading)
        opened = await self.rounds.open(
            played,
            move,
            new,
            asked.by,
            keyword=keyword_of(play, play.opening(played, reading)),
            once=self.once(asked),
            not_after=asked.at + LATEST_MS,
        )
        if isinstance(opened, Refusal):
            return opened
        return {"id": opened, **(self.durability.remark if play.grants else {})}

    async def bar_winners(self, played: Played[Any]) -> None:
        """Who won lately is written down before the round opens, for entries are judged without the ledger."""
        eligible = getattr(played.opens, "eligible", UNSET)
        days = eligible.asks("not_won_days") if isinstance(eligible, Eligible) else []
        if days:
            won = await self.archive.won_since(played.opens_at - days[0] * 24 * 3600 * 1000)
            await self.rounds.bar(played.room, played.id, won)

    # -- moving on --

    async def turn(self, asked: Asked) -> Done:
        """A host's command to a round."""
        command: Any = asked.command
        once = self.once(asked)
        done = await self.answered(command, once) or await self.try_to_turn(asked, once)
        # The same intention may have been done meanwhile, by another connection: then that is the answer.
        return await self.answered(command, once) or done

    async def answered(self, command: RoundCommand, once: Once) -> Done | None:
        """What this intention was answered before."""
        before = await self.rounds.answered(once)
        return standing(command.id, before) if isinstance(before, Before) else before

    async def try_to_turn(self, asked: Asked, once: Once) -> Done:
        command: Any = asked.command
        play = TURNS[type(command)]
        turn = play.turns[type(command)]
        for n in range(TRIES):
            kept = await self.find(asked.room.info.id, command, play)
            if isinstance(kept, Refusal):
                return kept
            played = kept.played
            if played.state in turn.done and play.grants and n == 0:
                await self.rounds.rooms.look(played.room)  # fenced: a server started anew pauses what it grants
                continue
            if played.state not in turn.when | turn.done:
                return wrong_state(played.state, played.ver)
            move = await self.turned(play, turn, played, command)
            if move is None:
                await self.rounds.remember(once, played)
                return {"id": played.id, "state": played.state, "ver": played.ver}
            done = await self.move(kept, move, asked.by, asked.at + LATEST_MS, once)
            if isinstance(done, Refusal):
                return done
            if isinstance(done, Moved):
                self.spawn(self.go_on(played, move))
            if not isinstance(done, Elsewhere):
                return standing(played.id, done)
        return TRY_LATER

    async def turned(self, play: Round[Any], turn: Turn, played: Played[Any], command: RoundCommand) -> Move | None:
        """None where what he asks for is so already, or comes by itself."""
        if played.state not in turn.when:
            return None
        return turn.does(played, await self.read(play, played, turn.reads), command)

    def once(self, asked: Asked) -> Once:
        """How this intention is remembered, if it is one that may be sent again."""
        if asked.command.idem is UNSET:
            return NO_KEY
        return Once(once_key(self.rounds.rooms, asked), digest(asked.command))

    async def find(self, room: str, command: RoundCommand, play: Round[Any]) -> Kept | Refusal:
        kept = await self.rounds.read(room, command.id)
        return NO_SUCH_ROUND if kept is None or kept.kind != play.kind else kept

    def ring(self, room: str, round_id: str, what: str) -> None:
        """A bell is due."""
        self.spawn(self.rung(room, round_id, what))

    async def rung(self, room: str, round_id: str, what: str) -> None:
        """Take the step that a bell calls for, and those that follow at once; what fails rings again."""
        try:
            step: str | None = what
            while step:
                step = await self.step(room, round_id, step)
        except NoRoom:
            await self.rounds.silence(room, round_id, what)
        except (RedisError, OSError, TimeoutError):
            return

    async def step(self, room: str, round_id: str, what: str) -> str | None:
        """One step; gives the one that follows at once, if any. Who comes second too often lets the bell ring again."""
        for _ in range(TRIES):
            kept = await self.rounds.read(room, round_id)
            step = KINDS[kept.kind].table.get(what) if kept else None
            due = kept is not None and step is not None and kept.played.state in step.when
            move = await self.decide(kept, step) if due and kept and step else None
            if kept is None or move is None:
                await self.rounds.silence(room, round_id, what)
                return None
            self.crash(f"before_{what}")
            done = await self.move(kept, move, BELL)
            if isinstance(done, Moved):
                self.crash(f"after_{what}")
                if move.ends:
                    self.frozen.forget(round_id)
                return at_once(move)
            if isinstance(done, Refusal):
                return None
        return None

    async def decide(self, kept: Kept, step: Step) -> Move | None:
        """What the rules say. Where they look at all entries they do so in a thread, beside the room's ticks."""
        reading = await self.read(KINDS[kept.kind], kept.played, step.reads)
        if "entries" in step.reads:
            return await asyncio.to_thread(step.does, kept.played, reading)
        return step.does(kept.played, reading)

    async def go_on(self, played: Played[Any], move: Move) -> None:
        """Behind a host's command: the step that follows at once."""
        if what := at_once(move):
            await self.rung(played.room, played.id, what)

    async def move(
        self, kept: Kept, move: Move, who: By, not_after: float = 0, once: Once = NO_KEY
    ) -> Moved | Elsewhere | Before | Refusal:
        fact = self.ids.new(self.clock.now_ms())
        return await self.rounds.move(kept.played, move, fact, who, not_after, once)

    async def read(self, play: Round[Any], played: Played[Any], reads: Iterable[Reads]) -> Reading:
        """What a step asks to be told of the world."""
        found: dict[str, Any] = {}
        room = played.room
        for one in reads:
            match one:
                case "entries":
                    found["entries"] = await self.entries(played)
                case "fresh":
                    found["entries"] = await self.rounds.entries(room, played.id, played.kept.get("n", 0), PAGE)
                case "likes":
                    found["likes"] = await self.rounds.likes(room)
                case "here":
                    found["here"] = await self.rounds.here(room)
                case "banned":
                    found["banned"] = await self.rounds.banned(room, self.clock.now())
                case "claims":
                    found["claims"] = await self.rounds.claims_of(room, played.id)
                case "series" if name := play.series(played.opens):
                    found["series"] = await self.rounds.series(room, play.kind, name)
        return Reading(now=self.clock.now(), seed=self.keys.seed(played.id), **found)

    async def entries(self, played: Played[Any]) -> list[Entry]:
        """All entries; read once for the steps behind the close, for nobody can enter then."""
        read = partial(self.rounds.entries, played.room, played.id)
        return await (read() if played.state in ("announced", "open") else self.frozen.get(played.id, read))

    # -- claiming --

    async def claim(self, asked: Asked) -> Done:
        """A winner takes his prize."""
        command: Any = asked.command
        viewer, room = asked.actor.viewer, asked.room.info.id
        for _ in range(TRIES):
            kept = await self.find(room, command, CLAIMS[type(command)])
            if isinstance(kept, Refusal):
                return kept
            if await self.rounds.has_claimed(room, command.id, viewer):
                return {"id": command.id}
            judged = KINDS[kept.kind].may_claim(kept.played, viewer, int(asked.at))
            if isinstance(judged, Refusal):
                return judged
            done = await self.rounds.claim(kept.played, self.ids.new(asked.at), viewer, asked.at, judged)
            if isinstance(done, Refusal):
                return done
            if done >= 0:
                self.spawn(self.rung(room, command.id, "claims"))
                return {"id": command.id}
        return TRY_LATER

def planned(round_id: str, room: str, command: OpenRound, at: int) -> Played[Any]:
    """A round before it is there: version 0."""
    opens_at = at if command.opens_at is UNSET else max(at, command.opens_at)
    return Played(
        id=round_id,
        room=room,
        state="",
        ver=0,
        opens=command,
        opened=None,
        opens_at=opens_at,
        opened_at=0,
        closes_at=opens_at + command.seconds * 1000,
    )


def standing(round_id: str, now: Moved | Before) -> dict[str, Any]:
    """How a round stands behind a host's command."""
    return {"id": round_id, "state": now.state, "ver": now.ver}


def too_far(command: OpenRound, at: float) -> Refusal | None:
    if command.opens_at is UNSET or command.opens_at <= at + FARTHEST_MS:
        return None
    return bad("opens_at", "a round opens within 30 days; give epoch milliseconds")


def keyword_of(play: Round[Any], opened: Any) -> str:
    """The name under which a keyword is taken in its room; empty where there is none."""
    word = play.keyword(opened)
    return f"{play.kind} {word.text}" if word else ""


def at_once(move: Move) -> str | None:
    """The step that follows at once."""
    return next((what for what, due in move.bells.items() if due == 0), None)
