"""What somebody who joins is shown of a room: put together from bytes that are JSON already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Raw

from liveroom.room import Room

CHAT_SHOWN = 50
SETTINGS = b'{"mode":"open","slow_seconds":0,"stream_delay_ms":0}'


def board_json(board: Mapping[str, bytes]) -> bytes:
    """The shared truth: the same bytes for everybody, until the next ledger event."""
    notice = board.get("notice", b"null")
    return b'"pinned":[],"notice":%b,"settings":%b,"rounds":[],"next_up":null' % (notice, SETTINGS)


def snapshot(room: Room, board: bytes, inbox: Iterable[bytes] = ()) -> Raw:
    """The snapshot of a welcome, complete as of what the room's viewers were told."""
    newest = list(room.chat)[-CHAT_SHOWN:]
    return Raw(b'{"chat":[%b],%b,"inbox":[%b]}' % (b",".join(newest), board, b",".join(inbox)))
