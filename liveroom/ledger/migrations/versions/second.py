"""What is held, sold and to be given back of flash sales."""

from __future__ import annotations

from liveroom.ledger.migrations.making import index, numbers, table, text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    words = text("hold", "room", "round", "viewer", "name", "state", "idem", "order_id", "payment", "why")
    table("holds", "hold", words, numbers("qty", "until", "made", "at", "v", "rank", "paid_at", "late"))
    index("holds", "round", "made")
    index("holds", "room", "round")
    words = text("id", "hold", "room", "round", "viewer", "name", "item", "currency", "payment", "state")
    table("orders", "id", words, numbers("qty", "price", "rank", "paid_at", "at", "late", "v"))
    index("orders", "room", "round")
    words = text("hold", "payment", "room", "round", "viewer", "why")
    table("refunds", "hold payment", words, numbers("qty", "paid_at", "at"))
    index("refunds", "room", "round")
