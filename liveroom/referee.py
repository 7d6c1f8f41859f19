"""The referee: applies the rules of the rounds to what Redis holds, for commands and for bells alike.

Each move is decided on a version of the round by a pure function of the play, and happens only if the round is still
at that version; who comes second looks again. So it does not matter which node, or how many, decide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol

import structlog
from msgspec import UNSET, Raw, Struct
from redis.exceptions import RedisError

from gameplay.eligible import Eligible, Facts, missing
from gameplay.play import Code, Entry, Move, OpenRound, Own, Played, Reading, Reads, Refusal, Round, RoundCommand, Step
from gameplay.text import folded
from liveroom.asked import LATEST_MS, Asked, Done, digest, once_key
from liveroom.drawkeys import DrawKeys
from liveroom.ids import Ids
from liveroom.kept import Kept
from liveroom.memory import Memory
from liveroom.menu import CLAIMS, ENTERS, KINDS, ROUNDS, TURNS
from liveroom.protocol import encode
from liveroom.room import Room
from liveroom.store.clock import Clock
from liveroom.store.gather import UNKNOWN, Gatherer
from liveroom.store.rooms import TRY_LATER
from liveroom.store.rounds import (
    BELL,
    NO_SUCH_ROUND,
    PAGE,
    By,
    Elsewhere,
    Entered,
    Gate,
    Moved,
    Place,
    Rounds,
    Row,
)
from liveroom.store.scripts import NoRoom
from liveroom.wall import OnWall

log = structlog.get_logger()

TRIES = 20  # to move a round that others move too
FARTHEST_MS = 30 * 24 * 3600 * 1000  # that a round may be announced ahead
REMEMBERED = 4  # proofs, and rankings, of the rounds last asked for
UNDECIDED = frozenset({"", "announced", "open", "closed"})
MOST_CREDIT_MS = 250  # for the way that an answer took

STAFF_STAY_OUT = Refusal(Code.NOT_ELIGIBLE, {"missing": [{"role": "viewer"}]}, "only viewers take part")


class Archive(Protocol):
    """The ledger, as far as the referee asks it. Raises OSError where it does not answer."""

    async def won_since(self, ms: int) -> set[str]:
        """Viewers who won something since then."""

    async def round(self, room: str, round_id: str) -> Kept | None: ...
    async def entries(self, round_id: str) -> list[Entry]: ...


class Outcome(Struct, gc=False):
    """What became of the rounds that a comment was to enter."""

    fields: dict[str, Any]
    entered: bool = False
    unknown: bool = False


class Referee:
    """Opens rounds, lets viewers in, moves rounds on."""

    def __init__(
        self,
        rounds: Rounds,
        gatherer: Gatherer,
        clock: Clock,
        ids: Ids,
        keys: DrawKeys,
        *,
        archive: Archive,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        crash: Callable[[str], None],
    ) -> None:
        self.rounds = rounds
        self.gatherer = gatherer
        self.clock = clock
        self.ids = ids
        self.keys = keys
        self.archive = archive
        self.spawn = spawn
        self.crash = crash
        self.proofs: Memory[bytes | None] = Memory(REMEMBERED)
        self.ranks: Memory[Mapping[str, Any]] = Memory(REMEMBERED)

    @property
    def verbs(self) -> dict[type[Any], Callable[[Asked], None]]:
        """For the desk: what to do with each command of a round."""
        return {
            **dict.fromkeys(ROUNDS, self.later(self.open)),
            **dict.fromkeys(TURNS, self.later(self.turn)),
            **dict.fromkeys(CLAIMS, self.later(self.claim)),
            **dict.fromkeys(ENTERS, self.enter),
        }

    def later(self, verb: Callable[[Asked], Coroutine[Any, Any, Any]]) -> Callable[[Asked], None]:
        """A verb that waits for Redis; it is answered whatever happens."""

        async def done(asked: Asked) -> None:
            try:
                asked.end(await verb(asked))
            except (RedisError, OSError, TimeoutError):
                asked.refused(TRY_LATER)
            except Exception:
                asked.refused(Refusal(Code.INTERNAL, message="an error of the server; it is logged there"))
                raise

        def begin(asked: Asked) -> None:
            self.spawn(done(asked))

        return begin

    # -- opening --

    async def open(self, asked: Asked) -> Done:
        command: Any = asked.command
        play = ROUNDS[type(command)]
        if refusal := play.check(command) or too_far(command, asked.at):
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
            by(asked),
            keyword=keyword_of(play, play.opening(played, reading)),
            once="" if command.idem is UNSET else once_key(self.rounds.rooms, asked),
            digest="" if command.idem is UNSET else digest(command),
            not_after=asked.at + LATEST_MS,
        )
        return opened if isinstance(opened, Refusal) else {"id": opened}

    async def bar_winners(self, played: Played[Any]) -> None:
        """Who won lately is written down before the round opens, for entries are judged without the ledger."""
        eligible = getattr(played.opens, "eligible", UNSET)
        days = eligible.asks("not_won_days") if isinstance(eligible, Eligible) else []
        if days:
            won = await self.archive.won_since(played.opens_at - days[0] * 24 * 3600 * 1000)
            await self.rounds.bar(played.room, played.id, won)

    # -- entering --

    def enter(self, asked: Asked) -> None:
        """A viewer presses a button of a round."""
        command: Any = asked.command
        if asked.actor.staff:
            return asked.refused(STAFF_STAY_OUT)
        live = asked.room.wall.get(command.id)
        play = ENTERS[type(command)]
        if live is None or live.kind != play.kind or live.state == "announced":
            self.later(self.enter_unseen)(asked)
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

        def placed(place: Place, entered: Entered) -> None:
            end(reply(live, row, place, entered))

        if eligible is None:
            self.gatherer.add(gate, row, placed, end)
        else:
            self.spawn(self.admit_if(asked, eligible, live.id, end, lambda: self.gatherer.add(gate, row, placed, end)))

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
            watched_seconds=(asked.at - actor.person.came) / 1000 if actor.person.came else 0,
            liked=liked,
            commented=commented,
            answered_right=right,
            won_lately=await self.rounds.is_barred(room, round_id, actor.viewer),
            device=actor.device,
        )

    # -- entering by a comment --

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

    # -- moving on --

    async def turn(self, asked: Asked) -> Done:
        """A host's command to a round."""
        command: Any = asked.command
        play = TURNS[type(command)]
        turn = play.turns[type(command)]
        for _ in range(TRIES):
            kept = await self.find(asked.room.info.id, command, play)
            if isinstance(kept, Refusal):
                return kept
            played = kept.played
            if played.state in turn.done:
                return {"id": played.id, "state": played.state, "ver": played.ver}
            if played.state not in turn.when:
                return wrong_state(played.state, played.ver)
            reading = await self.read(play, played, turn.reads)
            move = turn.does(played, reading, command)
            done = await self.move(kept, move, by(asked), not_after=asked.at + LATEST_MS)
            if isinstance(done, Refusal):
                return done
            if isinstance(done, Moved):
                self.spawn(self.go_on(played, move))
                return {"id": played.id, "state": move.to, "ver": done.ver}
        return TRY_LATER

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

    async def move(self, kept: Kept, move: Move, who: By, not_after: float = 0) -> Moved | Elsewhere | Refusal:
        fact = self.ids.new(self.clock.now_ms())
        return await self.rounds.move(kept.played, move, fact, who, not_after)

    async def read(self, play: Round[Any], played: Played[Any], reads: Iterable[Reads]) -> Reading:
        """What a step asks to be told of the world."""
        found: dict[str, Any] = {}
        room = played.room
        for one in reads:
            match one:
                case "entries":
                    found["entries"] = await self.rounds.entries(room, played.id)
                case "fresh":
                    found["entries"] = await self.rounds.entries(room, played.id, played.kept.get("n", 0), PAGE)
                case "likes":
                    found["likes"] = await self.rounds.likes(room)
                case "here":
                    found["here"] = await self.rounds.here(room)
                case "claims":
                    found["claims"] = await self.rounds.claims_of(room, played.id)
                case "series" if name := play.series(played.opens):
                    found["series"] = await self.rounds.series(room, play.kind, name)
        return Reading(now=self.clock.now(), seed=self.keys.seed(played.id), **found)

    # -- claiming --

    async def claim(self, asked: Asked) -> Done:
        """A winner takes his prize."""
        command: Any = asked.command
        viewer, room = asked.actor.viewer, asked.room.info.id
        for _ in range(TRIES):
            kept = await self.find(room, command, CLAIMS[type(command)])
            if isinstance(kept, Refusal):
                return kept
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

    # -- a viewer's own part --

    async def parts(self, room: Room, viewers: Sequence[str]) -> dict[str, Mine]:
        """What each of these viewers has in the live rounds, and his letters."""
        at = room.info.id
        own = await self.rounds.own(at, viewers, list(room.wall))
        letters = await self.rounds.inboxes(at, viewers)
        return {
            viewer: Mine(
                {one: self.mine(room, one, viewer, rows[n]) for one, rows in own.items() if rows[n] is not None},
                letters.get(viewer, []),
            )
            for n, viewer in enumerate(viewers)
        }

    def mine(self, room: Room, round_id: str, viewer: str, row: bytes | None) -> bytes:
        number, _, word = (row or b"0 ").decode().partition(" ")
        own = Own(round_id, int(number), self.keys.tag(room.info.id, round_id, viewer), word)
        live = room.wall.get(round_id)
        return encode(live.play.mine(own) if live and not live.play.often else None)


    # -- what is told of a round later --

    async def told(self, room: str, round_id: str, viewer: str) -> dict[str, Any] | None:
        """A round as HTTP shows it, with the part of one viewer."""
        kept = await self.recall(room, round_id)
        if kept is None:
            return None
        played, play = kept.played, KINDS[kept.kind]
        about = {"kind": kept.kind, "id": round_id, "state": played.state, "ver": played.ver}
        counts = {"entered": played.entered, "viewers": played.viewers}
        mine = await self.own_part(play, played, viewer)
        return {**about, "opened": played.opened, "counts": counts, "result": Raw(kept.result), "mine": mine}

    async def recall(self, room: str, round_id: str) -> Kept | None:
        """A round as it is, or as the ledger knows it when Redis has forgotten it."""
        return await self.rounds.read(room, round_id) or await self.archive.round(room, round_id)

    async def own_part(self, play: Round[Any], played: Played[Any], viewer: str) -> dict[str, Any] | None:
        """What a viewer has in a round: his entry, and his result once it is told."""
        (row,) = (await self.rounds.own(played.room, [viewer], [played.id]))[played.id]
        if row is None or play.often:
            return None
        number, _, word = row.decode().partition(" ")
        own = Own(played.id, int(number), self.keys.tag(played.room, played.id, viewer), word)
        if played.state in UNDECIDED:
            return dict(play.mine(own))
        (result,) = await self.rounds.results(played.room, played.id, [viewer])
        if result is None and play.ranks:
            ranks = await self.ranks.get(played.id, lambda: self.rank(play, played))
            return {**play.mine(own), "result": ranks.get(viewer)}
        return {**play.mine(own), "result": Raw(result or b"null")}

    async def rank(self, play: Round[Any], played: Played[Any]) -> Mapping[str, Any]:
        assert play.ranks
        reading = await self.read(play, played, {"entries"})
        return await asyncio.to_thread(play.ranks, played, reading)

    async def proof(self, room: str, round_id: str) -> bytes | None:
        """The proof file of a draw that was told; made anew from what was kept, byte for byte the same."""
        kept = await self.recall(room, round_id)
        if kept is None or kept.played.state in UNDECIDED or KINDS[kept.kind].proof is None:
            return None
        return await self.proofs.get(round_id, lambda: self.prove(kept))

    async def prove(self, kept: Kept) -> bytes | None:
        proof = KINDS[kept.kind].proof
        assert proof
        played = kept.played
        entries = await self.rounds.entries(played.room, played.id) or await self.archive.entries(played.id)
        return await asyncio.to_thread(proof, played, entries)


class Mine(Struct, frozen=True, gc=False):
    """A viewer's own part: JSON by round, and letters that he has not acknowledged."""

    rounds: Mapping[str, bytes] = {}
    letters: Sequence[bytes] = ()


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


def too_far(command: OpenRound, at: float) -> Refusal | None:
    if command.opens_at is UNSET or command.opens_at <= at + FARTHEST_MS:
        return None
    return Refusal(Code.BAD_MESSAGE, {"field": "opens_at"}, "a round opens within 30 days; give epoch milliseconds")


def by(asked: Asked) -> By:
    return By(asked.actor.viewer, asked.actor.role, encode(asked.command))


def keyword_of(play: Round[Any], opened: Any) -> str:
    """The name under which a keyword is taken in its room; empty where there is none."""
    word = play.keyword(opened)
    return f"{play.kind} {word.text}" if word else ""


def at_once(move: Move) -> str | None:
    """The step that follows at once."""
    return next((what for what, due in move.bells.items() if due == 0), None)


def wrong_state(state: str, ver: int) -> Refusal:
    return Refusal(Code.ROUND_STATE, {"state": state, "ver": ver}, f"the round is {state}")


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
