"""The server that a command is about: how to reach it, imported late because a client makes `--help` slow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from liveroom.remote import Server


def server(url: str | None, token: str | None, data: Path | None) -> Server:
    from liveroom.remote import Server

    return Server(url, token, data)


def room_path(room: str) -> str:
    return f"/v1/rooms/{quote(room, safe='')}"
