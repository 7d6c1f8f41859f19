"""What somebody who joins is shown of a room: put together from bytes that are JSON already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Raw, ValidationError, convert, json

from gameplay.moderation import OPEN, Manners
from liveroom.room import Room
from liveroom.wall import Pin, next_up_json, rounds_json

CHAT_SHOWN = 50
PIN = "pin "  # before the id, as a name on the board


def board_json(board: Mapping[str, bytes]) -> bytes:
    """The shared truth: the same bytes for everybody, until the next ledger event."""
    notice = board.get("notice", b"null")
    return b'"notice":%b,"settings":%b' % (notice, json.encode(settings(board)))


def settings(board: Mapping[str, bytes]) -> dict[str, Any]:
    """How the chat is, as everybody may know."""
    told: dict[str, Any] = json.decode(board.get("settings", b"{}"))
    known = {name: value for name, value in told.items() if name not in ("t", "seq", "ts")}
    return {"mode": OPEN.mode, "slow_seconds": OPEN.slow_seconds, **known, "stream_delay_ms": 0}


def manners(board: Mapping[str, bytes]) -> Manners:
    """How the chat is, with the words that are blocked in it."""
    words = json.decode(board.get("words", b"[]"), type=tuple[str, ...])
    try:
        return convert({**settings(board), "words": words}, Manners)
    except ValidationError:  # of a newer version
        return Manners(words=words)


def pins(board: Mapping[str, bytes]) -> tuple[Pin, ...]:
    """What is pinned, by the id of the comment."""
    return tuple(json.decode(board[name], type=Pin) for name in sorted(board) if name.startswith(PIN))


def pinned_json(room: Room, now: float) -> bytes:
    """What is pinned now; pins run out by themselves."""
    those = [one for one in room.board.pins if now < one.until and not room.erased.hides(one.comment)]
    return b",".join(json.encode(one) for one in those)


def snapshot(
    room: Room, mine: Mapping[str, bytes] | None = None, inbox: Iterable[bytes] = (), now: float = 0
) -> Raw:
    """The snapshot of a welcome, complete as of what the room's viewers were told; ``mine`` is his part by round."""
    newest, pinned = list(room.chat)[-CHAT_SHOWN:], pinned_json(room, now)
    board, wall = room.board.shown, room.board.rounds.values()
    return Raw(
        b'{"chat":[%b],"pinned":[%b],%b,"rounds":[%b],"next_up":%b,"inbox":[%b]}'
        % (b",".join(newest), pinned, board, rounds_json(wall, mine or {}), next_up_json(wall), b",".join(inbox))
    )
