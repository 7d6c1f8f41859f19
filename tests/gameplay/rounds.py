"""A round played with plain values: bells ring in order of time, moves happen, and all that is told is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET

from gameplay.fairdraw import tag_of
from gameplay.play import Code, Entry, Move, Played, Reading, Reads, Refusal, Round, RoundCommand, RoundEvent, Win
from liveroom.protocol import Malformed, read

NOW = 1_700_000_000_000
SEED = bytes(range(32))

News = TypeVar("News", bound=RoundEvent)


def asked(play: Round[Any], **fields: Any) -> Any:
    """The opening command that a host's JSON makes, or why it is refused."""
    (spoken,) = read(msgspec.json.encode({"t": f"{play.kind}.open", **fields}))
    return spoken.refusal if isinstance(spoken, Malformed) else play.check(spoken) or spoken


@dataclass
class Game:
    """One round: open, or announced if its command says when it opens, as soon as it is made."""

    play: Round[Any]
    opens: Any
    id: str = "r_1"
    seed: bytes = SEED
    now: int = NOW
    page: int = 1000  # so many fresh entries are read at a time

    likes: int = 0
    here: set[str] = field(default_factory=set)
    banned: set[str] = field(default_factory=set)
    claims: dict[str, int] = field(default_factory=dict)
    series: dict[str, Game] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)

    state: str = ""
    ver: int = 0
    opened: Any = None
    opened_at: int = 0
    opens_at: int = field(init=False)
    closes_at: int = field(init=False)
    kept: dict[str, Any] = field(default_factory=dict)
    bells: dict[str, int] = field(default_factory=dict)
    ended: bool = False

    news: list[RoundEvent] = field(default_factory=list)  # what everybody was told or shown
    letters: list[tuple[str, RoundEvent]] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)
    wins: list[Win] = field(default_factory=list)
    loses: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        at_once = self.opens.opens_at is UNSET
        self.opens_at = self.now if at_once else self.opens.opens_at
        self.closes_at = self.opens_at + self.opens.seconds * 1000
        first = self.play.begin if at_once else self.play.announce
        self.move(first(self.played, self.reading(self.play.opening_reads)))

    @property
    def played(self) -> Played[Any]:
        return Played(
            id=self.id,
            room="demo",
            state=self.state,
            ver=self.ver,
            opens=self.opens,
            opened=self.opened,
            opens_at=self.opens_at,
            opened_at=self.opened_at,
            closes_at=self.closes_at,
            entered=len(self.entries),
            viewers=len({one.viewer for one in self.entries}),
            kept=dict(self.kept),
        )

    def reading(self, reads: frozenset[Reads]) -> Reading:
        """The world as a step is told of it that asks for so much."""
        fresh = tuple(self.entries[self.kept.get("n", 0) :][: self.page])
        world: dict[Reads, Any] = {
            "likes": self.likes,
            "here": frozenset(self.here),
            "banned": frozenset(self.banned),
            "claims": dict(self.claims),
            "series": {name: game.kept for name, game in self.series.items() if game.state != "voided"},
        }
        entries = tuple(self.entries) if "entries" in reads else fresh if "fresh" in reads else ()
        return Reading(self.now, self.seed, entries, **{name: world[name] for name in world.keys() & reads})

    def enter(self, *viewers: str, word: str = "", credit: int = 0) -> None:
        for viewer in viewers:
            tag = tag_of(b"key of the room", self.id, viewer)
            self.entries.append(Entry(viewer, viewer.title(), tag, word, credit, self.now))

    def claim(self, viewer: str) -> Code | None:
        """A viewer takes his prize; it is looked at once whether all have. Returns why he was refused."""
        if viewer in self.claims:
            return None
        until = self.play.may_claim(self.played, viewer, self.now)
        if isinstance(until, Refusal):
            return until.code
        if viewer not in self.claims:
            assert self.now <= until
            self.claims[viewer] = self.now
        self.ring("claims")
        return None

    def until(self, when: int) -> Game:
        """Time passes: what is due up to then rings, each bell in its time, or now where that is over."""
        while self.bells and (due := min(self.bells.values())) <= when:
            self.now = max(self.now, due)
            self.ring(next(name for name, at in self.bells.items() if at == due))
        self.now = max(self.now, when)
        return self

    def outage(self, when: int) -> Game:
        """Nothing rings up to then."""
        self.now = when
        return self.until(when)

    def end(self) -> Game:
        """Up to the bell behind its end, and what follows at once."""
        return self.until(self.closes_at + 500)

    def ring(self, name: str) -> None:
        step = self.play.table[name]
        move = step.does(self.played, self.reading(step.reads)) if self.state in step.when else None
        assert move is None or name in move.bells, "a bell that nobody puts off rings for ever"
        self.move(move or Move(to=self.state, bells={name: None}))

    def say(self, command: RoundCommand) -> Code | None:
        """A host's command, and what follows it at once. Returns why it was refused."""
        turn = self.play.turns[type(command)]
        if self.state in turn.done:
            return None
        if self.state not in turn.when:
            return Code.ROUND_STATE
        move = turn.does(self.played, self.reading(turn.reads), command)
        if move is not None:
            self.move(move)
        self.until(self.now)
        return None

    def move(self, move: Move) -> None:
        if move.to == "open" != self.state:
            self.opened, self.opened_at = again(move.tell), self.now
        self.state, self.ver = move.to, self.ver + 1
        self.closes_at = self.closes_at if move.closes_at is None else move.closes_at
        self.kept |= msgspec.json.decode(msgspec.json.encode(move.keep))
        self.bells = {name: due for name, due in {**self.bells, **move.bells}.items() if due is not None}
        self.ended = self.ended or move.ends
        assert not (self.ended and self.bells), "nothing rings in a round that ended"
        self.news += [again(news) for news in (move.tell, move.shows) if news is not None]
        assert not move.results or isinstance(move.tell, self.play.reveals), "results are told behind `reveals` only"
        self.letters += move.letters
        self.results |= move.results
        self.wins += move.wins
        self.loses += move.loses

    def told(self, kind: type[News]) -> list[News]:
        return [one for one in self.news if isinstance(one, kind)]

    def the(self, kind: type[News]) -> News:
        """The one event of its kind."""
        (news,) = self.told(kind)
        return news

    @property
    def frames(self) -> list[bytes]:
        return [msgspec.json.encode(one) for one in self.news]


def again(news: Any) -> Any:
    """An event as it is after a way through JSON."""
    return msgspec.json.decode(msgspec.json.encode(news), type=type(news))
