"""The two accounts of a room's sales, in Redis and in the ledger, read while the sales go on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec import DecodeError, convert, json
from redis.asyncio import Redis

from liveroom.ledger.queries import Ledger
from liveroom.reconcile import Book, Order, Record, Sale, Terms, differences
from liveroom.remote import Trouble
from liveroom.store import keys
from liveroom.store.keys import Keys

LOOK_SECONDS = 0.5
PAGE = 1000  # facts read at once

read_record = json.Decoder(Record, strict=False).decode  # Lua knows one kind of number


class Accounts:
    """Raises the errors of Redis and of the ledger where they do not answer, and Trouble."""

    def __init__(self, redis: Redis, at: Keys, ledger: Ledger) -> None:
        self.redis = redis
        self.at = at
        self.ledger = ledger

    async def check(self) -> None:
        """Raises Trouble where nobody knows the room, or the two do not belong together."""
        kept: Any = await self.redis.get(keys.LEDGER)
        if kept and kept.decode() != await self.ledger.identity():
            raise Trouble("what this Redis tells goes to another ledger: name that one with --ledger or --data")
        if not (await self.redis.exists(self.at.info) or await self.ledger.knows(self.at.room)):
            raise Trouble(f"neither Redis nor the ledger knows room {self.at.room!r}: `liveroom rooms` lists the rooms")

    async def compare(self, patience: float) -> list[Sale]:
        """All sales, the newest first; those that differ are looked at again, for so many seconds."""
        ids, loop = await self.ids(), asyncio.get_running_loop()
        before = {one: await self.book(one) for one in ids}
        deadline = loop.time() + patience
        sales: dict[str, Sale] = {}
        while True:
            sales |= {one: await self.look(one, before[one]) for one in ids}
            ids = [one for one in ids if differences(sales[one])]
            if not ids or loop.time() >= deadline:
                return list(sales.values())
            await asyncio.sleep(LOOK_SECONDS)

    async def ids(self) -> list[str]:
        live: Any = await self.redis.hgetall(self.at.live)
        new = [round_id.decode() for round_id, shown in live.items() if json.decode(shown)["kind"] == "sale"]
        new += await self.on_their_way()
        return list(dict.fromkeys([*sorted(new, reverse=True), *await self.recorded()]))

    async def on_their_way(self) -> list[str]:
        """Sales that facts tell of which the ledger does not have yet."""
        found, after = set[str](), "-"
        while True:
            facts: Any = await self.redis.xrange(keys.outbox(self.at.shard), after, "+", PAGE)
            for place, fact in facts:
                after = f"({place.decode()}"
                is_sale = fact.get(b"what") == b"holds" or fact.get(b"kind") == b"sale"
                if is_sale and fact.get(b"room") == self.at.room.encode():
                    found.add(fact[b"round"].decode())
            if len(facts) < PAGE:
                return list(found)

    async def recorded(self) -> list[str]:
        return [row["id"] for row in await self.ledger.sales_of(self.at.room)]

    async def look(self, round_id: str, before: Book | None) -> Sale:
        row: Mapping[Any, Any] = await self.ledger.round_of(self.at.room, round_id) or {}
        records = {one["hold"]: convert(one, Record) for one in await self.ledger.holds_of(round_id)}
        orders = [convert(one, Order) for one in await self.ledger.orders_of(self.at.room, round_id)]
        waiting = await self.redis.xlen(keys.outbox(self.at.shard))
        return Sale(
            id=round_id,
            terms=as_terms(row) if row else await self.terms(round_id),
            state=row.get("state", ""),
            before=before,
            after=await self.book(round_id),
            records=records,
            orders=orders,
            waiting=waiting,
        )

    async def terms(self, round_id: str) -> Terms:
        command, opened = await self.redis.hmget(self.at.round(round_id), "command", "opened")
        return as_terms({"command": command, "opened": opened})

    async def book(self, round_id: str) -> Book | None:
        """A sale as Redis has it at one moment."""
        async with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.hgetall(self.at.round(round_id))
            pipeline.hgetall(self.at.holds(round_id))
            pipeline.hgetall(self.at.offers(round_id))
            fields, holds, offers = await pipeline.execute()
        try:
            return as_book(fields, holds, offers) if fields else None
        except (ValueError, DecodeError) as error:
            raise Trouble(f"sale {round_id!r} cannot be read in Redis: {error}; was it changed by hand?") from None


def as_book(fields: Mapping[bytes, bytes], holds: Mapping[bytes, bytes], offers: Mapping[bytes, bytes]) -> Book:
    stock, free, held, sold = (int(fields.get(name, 0)) for name in (b"stock", b"free", b"held", b"sold"))
    offered = sum(int(json.decode(offer)["qty"]) for offer in offers.values())
    return Book(stock, free, held, sold, offered, {hold.decode(): read_record(one) for hold, one in holds.items()})


def as_terms(row: Mapping[Any, Any]) -> Terms:
    """From the opening command, and what the room was told then, which is amended since."""
    return convert({**json.decode(row["command"] or "{}"), **json.decode(row["opened"] or "{}")}, Terms)
