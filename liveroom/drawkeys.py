"""Secrets of the draws: made from one key of the server, so that they outlive the loss of Redis."""

from __future__ import annotations

import hashlib
import hmac

from gameplay.fairdraw import tag_of


class DrawKeys:
    """Seeds and tags, the same on every node that has the key."""

    def __init__(self, key: str) -> None:
        self.key = key.encode()

    def seed(self, draw: str) -> bytes:
        return hmac.digest(self.key, b"lr/seed/v1\0" + draw.encode(), hashlib.sha256)

    def tag(self, room: str, draw: str, viewer: str) -> str:
        """The viewer's name in the public proof of this draw."""
        return tag_of(hmac.digest(self.key, b"lr/room/v1\0" + room.encode(), hashlib.sha256), draw, viewer)
