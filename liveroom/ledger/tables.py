"""The tables of the ledger, alike on SQLite and PostgreSQL; all times are room times in ms.

A change here needs a revision in ``migrations/versions``; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, MetaData, Table, Text

NAMES = {"pk": "%(table_name)s_pk", "ix": "%(table_name)s_by_%(column_0_N_name)s"}

metadata = MetaData(naming_convention=NAMES)


def text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=False)


def number(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, BigInteger, primary_key=key, nullable=False, autoincrement=False)


about = Table("about", metadata, text("identity", key=True))  # one row: which ledger this is

rooms = Table(
    "rooms",
    metadata,
    text("id", key=True),
    text("title"),
    text("currency"),
    text("state"),  # open or closed
    number("created"),  # 0: before this ledger began
    number("closed"),  # 0: never yet; a room made anew under its old id is open, and `closed` is before `created`
)

events = Table(
    "events",
    metadata,
    text("fact", key=True),
    text("room"),
    text("epoch"),
    number("seq"),
    number("ts"),
    text("kind"),
    text("actor"),
    text("body"),  # JSON, as the room was told
    Index(None, "room", "ts"),
)

commands = Table(
    "commands",
    metadata,
    text("fact", key=True),
    text("room"),
    text("round"),  # empty: none
    text("actor"),
    text("role"),
    text("kind"),
    number("at"),
    number("ver_before"),
    number("ver_after"),
    text("body"),  # JSON
    Index(None, "room", "at"),
)

rounds = Table(
    "rounds",
    metadata,
    text("id", key=True),
    text("room"),
    text("kind"),
    text("state"),
    number("ver"),
    number("opens_at"),
    number("opened_at"),
    number("closes_at"),
    text("by"),
    text("command"),  # JSON: with what it was opened
    text("opened"),  # JSON: what the room was told then; empty before
    text("kept"),  # JSON
    Index(None, "room", "opens_at"),
)

entries = Table(
    "entries",
    metadata,
    text("round", key=True),
    number("n", key=True),
    text("fact"),
    text("room"),
    text("kind"),
    text("viewer"),
    text("name"),
    text("tag"),
    text("word"),
    number("credit"),
    number("at"),
    Index(None, "room", "round", "n"),
)

winners = Table(
    "winners",
    metadata,
    text("round", key=True),
    text("viewer", key=True),
    text("room"),
    text("name"),
    text("tag"),
    number("place"),
    text("prize"),
    text("state"),  # won, claimed or lost
    number("at"),
    Index(None, "room"),
    Index(None, "viewer", "at"),
    Index(None, "at"),
)

unread = Table(
    "unread",
    metadata,
    text("fact", key=True),
    text("what"),
    text("body"),  # JSON: the fact as it came
    text("why"),
)
