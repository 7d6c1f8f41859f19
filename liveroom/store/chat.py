"""How a room's chat is, as Redis keeps it."""

from __future__ import annotations

from msgspec import UNSET

from gameplay.moderation import Settings, told
from gameplay.play import Refusal
from liveroom.protocol import encode
from liveroom.store.orders import Order, obeyed
from liveroom.store.rooms import Rooms
from liveroom.store.scripts import Word


class Chat:
    """The verbs on a chat. Raises redis-py's errors and TimeoutError where Redis does not answer."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms

    async def set(self, order: Order, settings: Settings) -> bytes | Refusal:
        """What the command is answered, as JSON."""
        at = self.rooms.keys(order.room)
        rate: Word = "" if settings.rate is UNSET else settings.rate
        words: Word = "" if settings.words is UNSET else encode(settings.words)
        args: list[Word] = [encode(told(settings)), rate, words, self.rooms.log_length]
        return await obeyed(self.rooms, "set_chat", order, [at.log, at.board], args)
