"""Questions to the ledger."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import Any

from sqlalchemy import RowMapping, Select, and_, exists, func, literal, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncEngine

from liveroom.ledger.tables import (
    about,
    commands,
    entries,
    events,
    holds,
    orders,
    refunds,
    rooms,
    rounds,
    sessions,
    winners,
)
from liveroom.room import RoomInfo

PAGE = 1000  # rows read at once
ASKED = 500  # viewers in one question
OFF = "the sale was cancelled"


class Ledger:
    """What is recorded. Raises SQLAlchemy's errors and OSError where the database does not answer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    async def identity(self) -> str:
        """The name that tells this ledger from any other."""
        return str(await self.one(select(about.c.identity)))

    async def room(self, room: str) -> RoomInfo | None:
        async with self.engine.connect() as connection:
            asked = select(*(rooms.c[name] for name in RoomInfo.__struct_fields__)).where(rooms.c.id == room)
            found = (await connection.execute(asked)).first()
        return None if found is None else RoomInfo(*found)

    async def knows(self, room: str) -> bool:
        """Tell whether anything of a room is recorded, its making or what came later."""
        told = (exists().where(column == room) for column in (rooms.c.id, events.c.room, sessions.c.room))
        return bool(await self.one(select(or_(*told))))

    async def open_room_ids(self) -> list[str]:
        async with self.engine.connect() as connection:
            found = await connection.scalars(select(rooms.c.id).where(rooms.c.state == "open").order_by(rooms.c.id))
            return list(found)

    async def won_since(self, since_ms: int, viewers: Iterable[str] | None = None) -> set[str]:
        """Who won something since then in any room, and did not lose it; of all, or of these viewers."""
        asked = select(winners.c.viewer).where(winners.c.at >= since_ms, winners.c.state != "lost").distinct()
        some = None if viewers is None else list(viewers)
        parts = [asked] if some is None else [asked.where(winners.c.viewer.in_(page)) for page in pages_of(some, ASKED)]
        async with self.engine.connect() as connection:
            return {viewer for part in parts for viewer in await connection.scalars(part)}

    async def round_of(self, room: str, round_id: str) -> RowMapping | None:
        async with self.engine.connect() as connection:
            found = await connection.execute(select(rounds).where(rounds.c.id == round_id, rounds.c.room == room))
            return found.mappings().first()

    async def sales_of(self, room: str, since_ms: int = 0, most: int | None = None) -> Sequence[RowMapping]:
        """The sales that opened since then, or are to open, the newest first."""
        asked = select(rounds).where(rounds.c.room == room, rounds.c.kind == "sale", rounds.c.opens_at >= since_ms)
        return await self.all(asked.order_by(rounds.c.opens_at.desc(), rounds.c.id.desc()).limit(most))

    async def commands_of(self, room: str, kinds: Iterable[str]) -> Sequence[RowMapping]:
        """What was commanded of these kinds, the oldest first."""
        asked = select(commands).where(commands.c.room == room, commands.c.kind.in_(list(kinds)))
        return await self.all(asked.order_by(commands.c.at, commands.c.fact))

    async def holds_of(self, round_id: str) -> list[dict[str, Any]]:
        """The holds of a sale as its records say them, the oldest first."""
        asked = select(*RECORD).where(holds.c.round == round_id).order_by(holds.c.made, holds.c.hold)
        return [plain(row) | {"late": bool(row["late"])} for row in await self.all(asked)]

    async def orders_of(self, room: str, round_id: str) -> list[dict[str, Any]]:
        asked = select(orders).where(orders.c.room == room, orders.c.round == round_id).order_by(orders.c.id)
        return [plain(row) for row in await self.all(asked)]

    async def entries_of(self, round_id: str) -> AsyncGenerator[RowMapping]:
        """All entries of a round in their order, never all in memory."""
        asked = select(entries).where(entries.c.round == round_id).order_by(entries.c.n)
        async with aclosing(self.pages(asked)) as pages:
            async for page in pages:
                for row in page:
                    yield row

    async def refunds_of(self, round_id: str) -> list[str]:
        """``hold:payment`` of the payments that got nothing."""
        asked = select(refunds.c.hold, refunds.c.payment).where(refunds.c.round == round_id)
        async with self.engine.connect() as connection:
            return [f"{hold}:{payment}" for hold, payment in await connection.execute(asked)]

    async def audience_of(self, room: str, stream: str) -> set[str]:
        """The viewers of a stream whose sessions are finished, each once."""
        asked = select(sessions.c.viewer).where(sessions.c.room == room, sessions.c.stream == stream).distinct()
        async with self.engine.connect() as connection:
            return set(await connection.scalars(asked))

    async def streams_of(self, room: str) -> list[str]:
        """The streams that anybody watched, in the order in which the first of each came."""
        asked = select(sessions.c.stream).where(sessions.c.room == room).group_by(sessions.c.stream)
        async with self.engine.connect() as connection:
            return list(await connection.scalars(asked.order_by(func.min(sessions.c.start), sessions.c.stream)))

    async def pages(self, asked: Select[Any]) -> AsyncGenerator[Sequence[RowMapping]]:
        """What is asked, as of one moment, a page at a time."""
        async with self.engine.connect() as connection:
            found = await connection.stream(asked, execution_options={"yield_per": PAGE})
            async for page in found.mappings().partitions():
                yield page

    async def all(self, asked: Select[Any]) -> Sequence[RowMapping]:
        async with self.engine.connect() as connection:
            found = await connection.execute(asked)
            return list(found.mappings())

    async def one(self, asked: Select[Any]) -> Any:
        async with self.engine.connect() as connection:
            return await connection.scalar(asked)


def plain(row: RowMapping) -> dict[str, Any]:
    """With names that are str itself, as msgspec wants them."""
    return {str(name): value for name, value in row.items()}


def pages_of(items: list[str], size: int) -> list[list[str]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


SAID = ("hold", "viewer", "name", "qty", "state", "until", "made", "at", "idem", "v", "rank", "payment", "paid_at")
RECORD = [*(holds.c[name] for name in (*SAID, "late", "why")), holds.c.order_id.label("order")]


# --- for those who take it elsewhere ---------------------------------------------------------------

ENTERED = [entries.c[name] for name in ("room", "round", "kind", "n", "viewer", "name", "tag", "word", "credit", "at")]
ANSWERED = [column.label("choice") if column.name == "word" else column for column in ENTERED]
WON = [winners.c[name] for name in ("room", "round", "place", "viewer", "name", "tag", "prize", "state", "at")]
TOLD_US = ("room", "round", "actor", "role", "kind", "ver_before", "ver_after", "body", "at", "fact")
COMMANDED = [commands.c[name] for name in TOLD_US]
PAID = ("rank", "payment", "paid_at", "late")
HELD = ("room", "round", "hold", "viewer", "name", "qty", "state", "made", "until", "order_id", *PAID, "why", "at", "v")
BOUGHT = ("hold", "viewer", "name", "item", "qty", "price", "currency", *PAID, "state", "at", "v")
ORDERED = [orders.c.room, orders.c.round, orders.c.id.label("order_id"), *(orders.c[name] for name in BOUGHT)]
OWED = ("room", "round", "hold", "payment", "viewer", "qty", "why", "paid_at", "at")
OWED_FOR = [orders.c[name] if name != "why" else literal(OFF).label("why") for name in OWED]
TOLD_ALREADY = and_(refunds.c.hold == orders.c.hold, refunds.c.payment == orders.c.payment)
OWED_ALL = union_all(
    select(*(refunds.c[name] for name in OWED)),
    select(*OWED_FOR)
    .join(rounds, rounds.c.id == orders.c.round)
    .where(rounds.c.state == "cancelled", orders.c.state == "paid", ~exists().where(TOLD_ALREADY)),
).subquery()
WATCHED = ("room", "stream", "viewer", "start", "ends", "watch", "event", "why", "source", "rtt")
IN_ORDER = (entries.c.room, entries.c.round, entries.c.n)

EXPORTS: dict[str, Select[Any]] = {
    "entries": select(*ENTERED).order_by(*IN_ORDER),
    "answers": select(*ANSWERED).where(entries.c.kind == "quiz").order_by(*IN_ORDER),
    "winners": select(*WON).order_by(winners.c.round, winners.c.place),
    "commands": select(*COMMANDED).order_by(commands.c.at, commands.c.fact),
    "orders": select(*ORDERED).order_by(orders.c.round, orders.c.rank, orders.c.id),
    "holds": select(*(holds.c[name] for name in HELD)).order_by(holds.c.round, holds.c.made, holds.c.hold),
    "refunds": select(OWED_ALL).order_by(*(OWED_ALL.c[name] for name in ("round", "at", "hold", "payment"))),
    "sessions": select(*(sessions.c[name] for name in WATCHED)).order_by(
        sessions.c.start, sessions.c.viewer, sessions.c.stream
    ),
}


def exported(what: str, room: str, round_id: str = "") -> Select[Any]:
    """The rows of one export, of one round or of all in the room; those of sessions are of no round."""
    asked = EXPORTS[what]
    columns = asked.selected_columns
    asked = asked.where(columns["room"] == room)
    return asked.where(columns["round"] == round_id) if round_id else asked
