"""Rounds that Redis has forgotten, read back from the ledger."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from gameplay.moderation import SANCTIONS, Given, Settings
from gameplay.play import Command, Entry, Role
from liveroom.kept import Kept, as_kept
from liveroom.ledger.engine import AWAY, reason
from liveroom.ledger.queries import Ledger
from liveroom.ledger.tables import entries
from liveroom.menu import KINDS, tag
from liveroom.protocol import read_command
from liveroom.room import RoomInfo

RECENT_MS = 48 * 3600 * 1000
MOST_SALES = 50
MODERATES = [*map(tag, SANCTIONS), tag(Settings)]


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
        return None if row is None or not is_known(row) else as_kept(room, round_id, fields(row), made, viewers)

    async def entries(self, round_id: str) -> list[Entry]:
        """In their order."""
        try:
            return [
                Entry(row["viewer"], row["name"], row["tag"], row["word"], row["credit"], row["at"])
                async for row in self.ledger.entries_of(round_id)
            ]
        except AWAY as error:
            raise OSError(reason(error)) from None

    async def sales(self, room: str) -> list[Kept]:
        """The sales of the last two days and those to come, whatever became of them; the newest first."""
        try:
            rows = await self.ledger.sales_of(room, int(time.time() * 1000) - RECENT_MS, MOST_SALES)
        except AWAY as error:
            raise OSError(reason(error)) from None
        return [as_kept(room, row["id"], fields(row), 0, 0) for row in rows if is_known(row)]

    async def moderated(self, room: str) -> list[Given]:
        """What the staff commanded of comments and of who makes them, the oldest first."""
        try:
            rows = await self.ledger.commands_of(room, MODERATES)
        except AWAY as error:
            raise OSError(reason(error)) from None
        given = [(row, read_command(row["body"].encode())) for row in rows]
        return [
            Given(command, row["actor"], Role(row["role"]), row["at"])
            for row, command in given
            if isinstance(command, Command)
        ]

    async def holds(self, round_id: str) -> list[dict[str, Any]]:
        """The holds of a sale as its records say them, the oldest first."""
        try:
            return await self.ledger.holds_of(round_id)
        except AWAY as error:
            raise OSError(reason(error)) from None

    async def refunds(self, round_id: str) -> list[str]:
        """``hold:payment`` of the payments of a sale that got nothing."""
        try:
            return await self.ledger.refunds_of(round_id)
        except AWAY as error:
            raise OSError(reason(error)) from None


def is_known(row: Mapping[Any, Any]) -> bool:
    """Whether this version knows rounds of that kind, and the ledger with what it was opened."""
    return row["kind"] in KINDS and bool(row["command"])


def fields(row: Mapping[Any, Any]) -> dict[str, bytes]:
    """A row as Redis keeps it."""
    return {name: str(value).encode() for name, value in row.items()}
