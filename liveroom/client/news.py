"""What of all that comes in is news: each ledger event once and in order, each comment once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from liveroom.client.closes import Lost
from liveroom.client.link import Message

REMEMBERED_COMMENTS = 2_000


class Place(NamedTuple):
    """Where a viewer is in a room's ledger."""

    epoch: str
    seq: int


class News:
    """Where one viewer is in the ledger, and the comments he knows."""

    def __init__(self, place: Place | None) -> None:
        self.place = place
        self.comments: OrderedDict[str, None] = OrderedDict()
        self.rules: dict[str, Callable[[Message], bool]] = {
            "welcome": self.begins,
            "room.reset": self.begins,
            "beat": self.beats,
            "chat.message": self.is_new_comment,
        }

    def is_new(self, message: Message) -> bool:
        """Raises Lost on a gap in the ledger."""
        return self.rules.get(message.get("t", ""), self.is_next)(message)

    def is_next(self, message: Message) -> bool:
        """Everything without a number is news; a ledger event is when it is the next one."""
        if self.place is None or (seq := message.get("seq")) is None:
            return True
        if seq > self.place.seq + 1:
            raise Lost
        if seq <= self.place.seq:
            return False
        self.place = Place(self.place.epoch, seq)
        return True

    def begins(self, message: Message) -> bool:
        self.place = Place(message["epoch"], message["seq"])
        for comment in (message.get("snapshot") or {}).get("chat", ()):
            self.is_new_comment(comment)
        return True

    def beats(self, message: Message) -> bool:
        if self.place and message["seq"] > self.place.seq:
            raise Lost
        return False

    def is_new_comment(self, message: Message) -> bool:
        if message["id"] in self.comments:
            return False
        self.comments[message["id"]] = None
        if len(self.comments) > REMEMBERED_COMMENTS:
            self.comments.popitem(last=False)
        return True
