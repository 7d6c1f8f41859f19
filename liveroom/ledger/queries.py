"""Questions to the ledger."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import Any

from sqlalchemy import RowMapping, Select, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from liveroom.ledger.tables import about, commands, entries, events, rooms, rounds, winners
from liveroom.room import RoomInfo

PAGE = 1000  # rows read at once
ASKED = 500  # viewers in one question


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
        asked = or_(exists().where(rooms.c.id == room), exists().where(events.c.room == room))
        return bool(await self.one(select(asked)))

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

    async def entries_of(self, round_id: str) -> AsyncGenerator[RowMapping]:
        """All entries of a round in their order, never all in memory."""
        asked = select(entries).where(entries.c.round == round_id).order_by(entries.c.n)
        async with aclosing(self.pages(asked)) as pages:
            async for page in pages:
                for row in page:
                    yield row

    async def pages(self, asked: Select[Any]) -> AsyncGenerator[Sequence[RowMapping]]:
        """What is asked, as of one moment, a page at a time."""
        async with self.engine.connect() as connection:
            found = await connection.stream(asked, execution_options={"yield_per": PAGE})
            async for page in found.mappings().partitions():
                yield page

    async def one(self, asked: Select[Any]) -> Any:
        async with self.engine.connect() as connection:
            return await connection.scalar(asked)


def pages_of(items: list[str], size: int) -> list[list[str]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


# --- for those who take it elsewhere ---------------------------------------------------------------

ENTERED = [entries.c[name] for name in ("room", "round", "kind", "n", "viewer", "name", "tag", "word", "credit", "at")]
ANSWERED = [column.label("choice") if column.name == "word" else column for column in ENTERED]
WON = [winners.c[name] for name in ("room", "round", "place", "viewer", "name", "tag", "prize", "state", "at")]
TOLD_US = ("room", "round", "actor", "role", "kind", "ver_before", "ver_after", "body", "at", "fact")
COMMANDED = [commands.c[name] for name in TOLD_US]
IN_ORDER = (entries.c.room, entries.c.round, entries.c.n)

EXPORTS: dict[str, Select[Any]] = {
    "entries": select(*ENTERED).order_by(*IN_ORDER),
    "answers": select(*ANSWERED).where(entries.c.kind == "quiz").order_by(*IN_ORDER),
    "winners": select(*WON).order_by(winners.c.round, winners.c.place),
    "commands": select(*COMMANDED).order_by(commands.c.at, commands.c.fact),
}


def exported(what: str, room: str, round_id: str = "") -> Select[Any]:
    """The rows of one export, of one round or of all in the room."""
    asked = EXPORTS[what]
    columns = asked.selected_columns
    asked = asked.where(columns["room"] == room)
    return asked.where(columns["round"] == round_id) if round_id else asked
