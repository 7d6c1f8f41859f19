"""Sales as Redis keeps them: who gets a unit is decided by one script for all who ask at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct, json

from gameplay.play import BELL_MS, GRACE_MS, Refusal
from liveroom.kept import Kept
from liveroom.menu import ROUNDS
from liveroom.protocol import encode
from liveroom.store import keys
from liveroom.store.durable import Durability
from liveroom.store.inboxes import KEEP_LETTERS_S
from liveroom.store.keys import Keys
from liveroom.store.rooms import NO_SUCH_ROOM, TRY_LATER, new_epoch
from liveroom.store.rounds import NO_SUCH_ROUND, SHOW_MS, Rounds, without
from liveroom.store.scripts import NoRoom, Word

NO_SALE, REBUILD = -8, -13
HOLDERS_ASKED = 10_000  # a sale with more units is too big to remember who has one


class Shelf(Struct, frozen=True, gc=False):
    """The sale that is asked for."""

    room: str
    round: str


class Wish(Struct, frozen=True, gc=False):
    """What somebody asks of a sale, as ``sell.lua`` takes it; ``at`` is room time in ms."""

    verb: str
    at: float
    viewer: str = ""
    name: str = ""
    hold: str = ""
    qty: int = 0
    word: str = ""  # an idempotency key, or a payment
    more: str = ""  # when it was paid, or why it is released


class Stand(Struct, frozen=True, gc=False):
    """A sale behind the last wish that went with one call."""

    ver: int
    state: str
    opens_at: int
    closes_at: int
    free: int
    held: int
    per_viewer: int


class Verdict(Struct, frozen=True, gc=False):
    """How it went with one wish: see ``sell.lua``; ``said`` is JSON."""

    how: int
    said: bytes
    stand: Stand


class Sales:
    """The verbs on sales. Raises redis-py's errors and TimeoutError where Redis does not answer.

    ``changed`` is told of holds as they are now, ``wanted`` of a room whose sales must be rebuilt.
    """

    def __init__(
        self,
        rounds: Rounds,
        durability: Durability,
        *,
        changed: Callable[[Shelf, Sequence[bytes]], None],
        wanted: Callable[[str], None],
    ) -> None:
        self.rounds = rounds
        self.rooms = rounds.rooms
        self.redis = rounds.redis
        self.offer_ms = rounds.offer_ms
        self.durability = durability
        self.changed = changed
        self.wanted = wanted

    async def sell(self, shelf: Shelf, fact: str, wishes: Sequence[Wish]) -> list[Verdict] | Refusal:
        """Have many wishes judged by one call, and answered when that is durable: in their order."""
        at = self.rooms.keys(shelf.room)
        args: list[Word] = [json.encode(self.about(at, shelf, fact))]
        for one in wishes:
            args += [one.verb, one.viewer, one.name, one.hold, one.qty, one.word, int(one.at), one.more]
        names = self.names(at, shelf.round)
        try:
            answer = await self.rooms.fenced("sell", shelf.room, names, args, self.durability.call)
        except NoRoom:
            return NO_SUCH_ROOM
        if answer == [NO_SALE]:
            return NO_SUCH_ROUND
        if answer == [REBUILD]:
            self.wanted(shelf.room)
            return TRY_LATER
        ver, state, opens_at, closes_at, free, held, per_viewer, holds, *pairs = answer
        self.changed(shelf, holds)
        stand = Stand(ver, state.decode(), opens_at, closes_at, free, held, per_viewer)
        return [Verdict(how, said, stand) for how, said in zip(pairs[::2], pairs[1::2], strict=True)]

    def names(self, at: Keys, round_id: str) -> list[str]:
        of_room = [at.meta, at.log, keys.outbox(at.shard), keys.bells(at.shard), at.live, at.round(round_id)]
        return [*of_room, *at.sale_keys(round_id), at.inboxes, at.inbox("")]

    def about(self, at: Keys, shelf: Shelf, fact: str) -> dict[str, Any]:
        return {
            "room": shelf.room,
            "round": shelf.round,
            "channel": at.channel,
            "fact": fact,
            "log_length": self.rooms.log_length,
            "keep_letters": KEEP_LETTERS_S,
            "offer_ms": self.offer_ms,
            "show_ms": SHOW_MS,
            "grace": GRACE_MS,
            "bell_ms": BELL_MS,
        }

    async def restore(
        self, shelf: Shelf, fact: str, holds: Sequence[bytes], kept: Kept | None, refunds: Sequence[str] = ()
    ) -> None:
        """Take in holds, of a sale that is made if it is lost; without ``kept`` they are this node's own news."""
        at = self.rooms.keys(shelf.room)
        fields = json.encode(as_fields(kept)) if kept else b""
        about = {**self.about(at, shelf, fact), "refunds": list(refunds)}
        args: list[Word] = [json.encode(about), fields, 0 if kept else 1, *holds]
        await self.rooms.fenced("restore_sale", shelf.room, self.names(at, shelf.round), args)

    async def mark(self, room: str) -> bytes | None:
        """What marks that the sales of a room must be rebuilt."""
        found: Any = await self.redis.hget(self.rooms.keys(room).meta, "rebuild")
        return None if found is None else bytes(found)

    async def rebuilt(self, room: str, mark: bytes) -> bool:
        """They are, as far as this mark goes; tells whether anything was changed, and nobody has said so before."""
        return bool(await self.rooms.fenced("rebuilt", room, [self.rooms.keys(room).meta], [new_epoch(), mark]) == 2)

    async def silence(self, shelf: Shelf, what: str) -> None:
        await self.rounds.silence(shelf.room, shelf.round, what)

    async def holders(self, shelf: Shelf) -> tuple[int, frozenset[str]]:
        """The version of a sale, and who then had something of it."""
        at = self.rooms.keys(shelf.room)
        async with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.hget(at.round(shelf.round), "ver")
            pipeline.hkeys(at.who(shelf.round))
            ver, viewers = await pipeline.execute()
        return int(ver or 0), frozenset(one.decode() for one in viewers)


def buyers(holds: Sequence[bytes]) -> list[str]:
    """Who has just paid, of holds as they are now."""
    said = [json.decode(one) for one in holds if b'"sold"' in one]
    return [one["viewer"] for one in said if one["state"] == "sold"]


def as_fields(kept: Kept) -> dict[str, str]:
    """A sale as Redis keeps it, with nothing taken from it yet."""
    played = kept.played
    numbers = ROUNDS[type(played.opens)].counters(played.opens)
    stock = str(played.opened.stock)
    return {
        **{name: str(number) for name, number in numbers.items()},
        "stock": stock,
        "free": stock,
        "kind": kept.kind,
        "state": played.state,
        "ver": str(played.ver + 1),
        "rev": "1",
        "epoch": "",
        "opens_at": str(played.opens_at),
        "opened_at": str(played.opened_at),
        "closes_at": str(played.closes_at),
        "by": kept.by,
        "command": encode(played.opens).decode(),
        "opened": encode(without(played.opened, "t")).decode(),
        "kept": encode(played.kept).decode(),
        "times": "0",
    }
