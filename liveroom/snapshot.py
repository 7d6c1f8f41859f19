"""What somebody who joins is shown of a room: put together from bytes that are JSON already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Raw

from liveroom.room import Room
from liveroom.wall import next_up_json, rounds_json

CHAT_SHOWN = 50
SETTINGS = b'{"mode":"open","slow_seconds":0,"stream_delay_ms":0}'


def board_json(board: Mapping[str, bytes]) -> bytes:
    """The shared truth: the same bytes for everybody, until the next ledger event."""
    notice = board.get("notice", b"null")
    return b'"pinned":[],"notice":%b,"settings":%b' % (notice, SETTINGS)


def snapshot(room: Room, mine: Mapping[str, bytes] | None = None, inbox: Iterable[bytes] = ()) -> Raw:
    """The snapshot of a welcome, complete as of what the room's viewers were told; ``mine`` is his part by round."""
    newest = list(room.chat)[-CHAT_SHOWN:]
    board, wall = room.board.shown, room.board.rounds.values()
    return Raw(
        b'{"chat":[%b],%b,"rounds":[%b],"next_up":%b,"inbox":[%b]}'
        % (b",".join(newest), board, rounds_json(wall, mine or {}), next_up_json(wall), b",".join(inbox))
    )
