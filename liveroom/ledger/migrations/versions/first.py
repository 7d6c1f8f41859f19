"""All tables, and the name by which nodes know that they share one ledger."""

from __future__ import annotations

from uuid import uuid4

from alembic import op

from liveroom.ledger.migrations.making import index, numbers, table, text

revision = "0001"
down_revision = None


def upgrade() -> None:
    about = table("about", "identity", text("identity"))
    op.bulk_insert(about, [{"identity": str(uuid4())}])
    table("rooms", "id", text("id", "title", "currency", "state"), numbers("created", "closed"))
    table("events", "fact", text("fact", "room", "epoch", "kind", "actor", "body"), numbers("seq", "ts"))
    index("events", "room", "ts")
    words = text("fact", "room", "round", "actor", "role", "kind", "body")
    table("commands", "fact", words, numbers("at", "ver_before", "ver_after"))
    index("commands", "room", "at")
    words = text("id", "room", "kind", "state", "by", "command", "opened", "kept")
    table("rounds", "id", words, numbers("ver", "opens_at", "opened_at", "closes_at"))
    index("rounds", "room", "opens_at")
    words = text("round", "fact", "room", "kind", "viewer", "name", "tag", "word")
    table("entries", "round n", words, numbers("n", "credit", "at"))
    index("entries", "room", "round", "n")
    words = text("round", "viewer", "room", "name", "tag", "prize", "state")
    table("winners", "round viewer", words, numbers("place", "at"))
    index("winners", "room")
    index("winners", "viewer", "at")
    index("winners", "at")
    table("unread", "fact", text("fact", "what", "body", "why"))
