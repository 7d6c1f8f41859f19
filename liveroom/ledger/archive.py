"""Rounds that Redis has forgotten, read back from the ledger."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from gameplay.play import Entry
from liveroom.kept import Kept, as_kept
from liveroom.ledger.engine import AWAY, reason
from liveroom.ledger.queries import Ledger
from liveroom.ledger.tables import entries
from liveroom.menu import KINDS
from liveroom.room import RoomInfo


class Archive:
    """What the room's server asks of the ledger. Raises OSError where the ledger does not answer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.ledger = Ledger(engine)

    async def room(self, room: str) -> RoomInfo | None:
        try:
            return await self.ledger.room(room)
        except AWAY as error:
            raise OSError(reason(error)) from None

    async def won_since(self, ms: int) -> set[str]:
        try:
            return await self.ledger.won_since(ms)
        except AWAY as error:
            raise OSError(reason(error)) from None

    async def round(self, room: str, round_id: str) -> Kept | None:
        """A round that was told of; None where there is none, or this version does not know its kind."""
        try:
            row = await self.ledger.round_of(room, round_id)
            counts = select(func.count(), func.count(entries.c.viewer.distinct())).where(entries.c.round == round_id)
            async with self.engine.connect() as connection:
                made, viewers = (await connection.execute(counts)).one()
        except AWAY as error:
            raise OSError(reason(error)) from None
        if row is None or row["kind"] not in KINDS or not row["command"]:
            return None
        fields = {name: str(value).encode() for name, value in row.items()}
        return as_kept(room, round_id, fields, made, viewers)

    async def entries(self, round_id: str) -> list[Entry]:
        """In their order."""
        try:
            return [
                Entry(row["viewer"], row["name"], row["tag"], row["word"], row["credit"], row["at"])
                async for row in self.ledger.entries_of(round_id)
            ]
        except AWAY as error:
            raise OSError(reason(error)) from None
