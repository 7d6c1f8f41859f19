"""Who watched which stream, and for how long."""

from __future__ import annotations

from liveroom.ledger.migrations.making import index, numbers, table, text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    words = text("room", "stream", "viewer", "why", "source", "fact")
    table("sessions", "room stream viewer start", words, numbers("start", "ends", "watch", "event", "rtt"))
    index("sessions", "room", "start")
