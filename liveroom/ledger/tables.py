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

holds = Table(
    "holds",
    metadata,
    text("hold", key=True),
    text("room"),
    text("round"),
    text("viewer"),
    text("name"),
    number("qty"),
    text("state"),  # held, sold, expired, cancelled or refunded
    number("until"),
    number("made"),
    number("at"),  # of the last change
    text("idem"),  # empty: none
    number("v"),  # rises with each change
    text("order_id"),  # empty: not paid
    number("rank"),  # of the payments, from 1; 0: not paid
    text("payment"),
    number("paid_at"),  # 0: not paid
    number("late"),  # 1: paid after it had expired, and sold all the same
    text("why"),
    Index(None, "round", "made"),
    Index(None, "room", "round"),
)

orders = Table(
    "orders",
    metadata,
    text("id", key=True),
    text("hold"),
    text("room"),
    text("round"),
    text("viewer"),
    text("name"),
    text("item"),
    number("qty"),
    number("price"),  # of one, in minor units
    text("currency"),
    number("rank"),
    text("payment"),
    number("paid_at"),
    number("at"),  # of the last change
    number("late"),
    text("state"),  # paid or refunded
    number("v"),  # of the hold
    Index(None, "room", "round"),
)

refunds = Table(  # payments that got nothing
    "refunds",
    metadata,
    text("hold", key=True),
    text("payment", key=True),
    text("room"),
    text("round"),
    text("viewer"),
    number("qty"),
    text("why"),
    number("paid_at"),
    number("at"),
    Index(None, "room", "round"),
)

sessions = Table(  # of viewers, each finished
    "sessions",
    metadata,
    text("room", key=True),
    text("stream", key=True),
    text("viewer", key=True),
    number("start", key=True),
    number("ends"),
    number("watch"),  # ms that he was here, of those between start and end
    number("event"),  # 1: he left; 0: still here when the stream ended
    text("why"),
    text("source"),
    number("rtt"),  # ms
    text("fact"),
    Index(None, "room", "start"),
)

unread = Table(
    "unread",
    metadata,
    text("fact", key=True),
    text("what"),
    text("body"),  # JSON: the fact as it came
    text("why"),
)
