"""How each kind of row is written, so that writing it once more, however late, changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Executable, Table, bindparam, case, func, update
from sqlalchemy.dialects import postgresql, sqlite

from liveroom.ledger.facts import Kind
from liveroom.ledger.tables import (
    commands,
    entries,
    events,
    holds,
    orders,
    refunds,
    rooms,
    rounds,
    sessions,
    unread,
    winners,
)

Insert = sqlite.Insert | postgresql.Insert


class Statements:
    """The statement for each kind of row, in the words of one database."""

    def __init__(self, dialect: str) -> None:
        self.postgres = dialect == "postgresql"
        self.of: Mapping[Kind, Executable] = {
            Kind.ROOM: self.room(),
            Kind.EVENT: self.once(events),
            Kind.COMMAND: self.once(commands),
            Kind.ROUND: self.round(),
            Kind.ENTRY: self.once(entries),
            Kind.WIN: self.once(winners),
            # A win never goes back from claimed or lost.
            Kind.CLAIM: update(winners).where(*of_win(), winners.c.state == "won").values(state="claimed"),
            Kind.LOSS: update(winners).where(*of_win(), winners.c.state != "lost").values(state="lost"),
            Kind.HOLD: self.latest(holds),
            Kind.ORDER: self.latest(orders),
            Kind.REFUND: self.once(refunds),
            Kind.SESSION: self.once(sessions),
            Kind.UNREAD: self.once(unread),
        }

    def insert(self, table: Table) -> Insert:
        return postgresql.insert(table) if self.postgres else sqlite.insert(table)

    def greatest(self, *values: ColumnElement[int]) -> ColumnElement[int]:
        return func.greatest(*values) if self.postgres else func.max(*values)

    def once(self, table: Table) -> Insert:
        return self.insert(table).on_conflict_do_nothing()

    def latest(self, table: Table) -> Insert:
        """Whatever comes late, the row with the highest ``v`` stays."""
        insert = self.insert(table)
        said = {column.name: insert.excluded[column.name] for column in table.columns if not column.primary_key}
        later = insert.excluded.v > table.c.v
        return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=said, where=later)

    def room(self) -> Insert:
        """A room is open if it was made after it was last closed; the newest making names it."""
        insert = self.insert(rooms)
        old, new = rooms.c, insert.excluded
        created, closed = self.greatest(old.created, new.created), self.greatest(old.closed, new.closed)
        changed = newer(new.created > old.created, ("title", "currency"), old, new)
        changed |= {"created": created, "closed": closed, "state": case((closed >= created, "closed"), else_="open")}
        return insert.on_conflict_do_update(index_elements=[rooms.c.id], set_=changed)

    def round(self) -> Insert:
        """The newest version counts; what it was opened with is said once, and stays."""
        insert = self.insert(rounds)
        old, new = rounds.c, insert.excluded
        later = new.ver >= old.ver
        changed = newer(later, ("state", "ver", "opens_at", "opened_at", "closes_at", "by", "kept"), old, new)
        changed |= newer(new.command != "", ("command",), old, new)
        changed |= newer((new.opened != "") & (later | (old.opened == "")), ("opened",), old, new)
        return insert.on_conflict_do_update(index_elements=[rounds.c.id], set_=changed)


def newer(is_newer: ColumnElement[bool], names: Iterable[str], old: Any, new: Any) -> dict[str, ColumnElement[Any]]:
    return {name: case((is_newer, new[name]), else_=old[name]) for name in names}


def of_win() -> tuple[ColumnElement[bool], ...]:
    return winners.c.round == bindparam("of"), winners.c.viewer == bindparam("whose")
