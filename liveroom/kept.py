"""A round as it is kept, in Redis and in the ledger: fields of text, and what its rules see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, json

from gameplay.play import Entry, OpenRound, Played
from liveroom.menu import ROUNDS

OPENINGS: dict[str, Any] = {play.kind: json.Decoder(kind) for kind, play in ROUNDS.items()}
read_entry = json.Decoder(Entry).decode


class Kept(Struct, frozen=True):
    """A round: what its rules see, and what is not theirs."""

    kind: str
    played: Played[Any]
    by: str
    counts: bytes  # JSON, as is the next
    result: bytes


def as_kept(room: str, round_id: str, fields: Mapping[str, bytes], entries: int, viewers: int) -> Kept:
    """From the fields of ``_round.lua``."""
    kind = fields["kind"].decode()
    opens: OpenRound = OPENINGS[kind].decode(fields["command"])
    play = ROUNDS[type(opens)]
    opened_at = int(fields["opened_at"])
    numbers = [name for name, first in play.counters(opens).items() if isinstance(first, int)]
    told = play.opened if opened_at else play.announced
    played: Played[Any] = Played(
        id=round_id,
        room=room,
        state=fields["state"].decode(),
        ver=int(fields["ver"]),
        opens=opens,
        opened=json.decode(fields["opened"], type=told, strict=False),
        opens_at=int(fields["opens_at"]),
        opened_at=opened_at,
        closes_at=int(fields["closes_at"]),
        entered=entries,
        viewers=viewers,
        kept=json.decode(fields["kept"]),
        rev=int(fields.get("rev", 0)),
        numbers={name: int(fields[name]) for name in numbers if name in fields},
    )
    return Kept(kind, played, fields["by"].decode(), fields.get("counts", b"{}"), fields.get("result", b"null"))
