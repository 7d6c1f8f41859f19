"""Secrets of the draws: made from one key of the server, so that they outlive the loss of Redis."""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

from gameplay.fairdraw import tag_of


class DrawKeys:
    """Seeds and tags, the same on every node that has the key."""

    def __init__(self, key: str) -> None:
        self.key = key.encode()
        self.of_room = lru_cache(1024)(self.room_key)

    def seed(self, draw: str) -> bytes:
        return hmac.digest(self.key, b"lr/seed/v1\0" + draw.encode(), hashlib.sha256)

    def tag(self, room: str, draw: str, viewer: str) -> str:
        """The viewer's name in the public proof of this draw."""
        return tag_of(self.of_room(room), draw, viewer)

    def room_key(self, room: str) -> bytes:
        return hmac.digest(self.key, b"lr/room/v1\0" + room.encode(), hashlib.sha256)
