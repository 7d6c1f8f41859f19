"""A room's chat as Redis keeps it: how it is, what is pinned and deleted, and what was said in it."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import UNSET, Raw
from redis.asyncio import Redis

from gameplay.danmaku import Pinned
from gameplay.moderation import ON_A_HOST, Delete, Deleted, Settings, Unpinned, told
from gameplay.play import Code, Refusal
from liveroom.comments import find
from liveroom.protocol import encode
from liveroom.room import Room
from liveroom.store.orders import REFUSALS, Order, obeyed
from liveroom.store.rooms import Rooms
from liveroom.store.scripts import Word
from liveroom.wall import Pin

MOST_PINS = 10
TRIES, TRY_SECONDS = 3, 0.1  # for a comment that was said this moment
TOO_MANY_PINS = Refusal(Code.NOT_ALLOWED, {"max": MOST_PINS}, f"at most {MOST_PINS} comments are pinned: unpin one")


class Chat:
    """The verbs on a chat. Raises redis-py's errors and TimeoutError where Redis does not answer."""

    def __init__(self, rooms: Rooms, live: Redis) -> None:
        self.rooms = rooms
        self.live = live

    async def set(self, order: Order, settings: Settings) -> bytes | Refusal:
        """What the command is answered, as JSON."""
        at = self.rooms.keys(order.room)
        rate: Word = "" if settings.rate is UNSET else settings.rate
        words: Word = "" if settings.words is UNSET else encode(settings.words)
        args: list[Word] = [encode(told(settings)), rate, words, self.rooms.log_length]
        return await obeyed(self.rooms, "set_chat", order, [at.log, at.board], args)

    async def delete(self, order: Order, command: Delete) -> bytes | Refusal:
        at = self.rooms.keys(order.room)
        viewer = "" if command.viewer is UNSET else command.viewer
        ids = () if command.ids is UNSET else command.ids
        args: list[Word] = [encode(Deleted(command.ids, command.viewer)), self.rooms.log_length, viewer, *ids]
        names = [at.log, at.board, at.staff]
        return await obeyed(self.rooms, "delete_comments", order, names, args, {**REFUSALS, -6: ON_A_HOST})

    async def pin(self, order: Order, id_: str, comment: Raw, until: int) -> bytes | Refusal:
        return await self.change_pin(order, id_, encode(Pinned(comment, until)), encode(Pin(comment, until)))

    async def unpin(self, order: Order, id_: str) -> bytes | Refusal:
        return await self.change_pin(order, id_, encode(Unpinned(id_)), b"")

    async def change_pin(self, order: Order, id_: str, event: bytes, pin: bytes) -> bytes | Refusal:
        at = self.rooms.keys(order.room)
        args: list[Word] = [event, self.rooms.log_length, id_, pin, MOST_PINS]
        return await obeyed(self.rooms, "pin_comment", order, [at.log, at.board], args, {**REFUSALS, -7: TOO_MANY_PINS})

    async def comment(self, room: Room, id_: str) -> Raw | None:
        """A comment that is still kept somewhere, or on its way to this node, and was not deleted."""
        found = self.comment_here(room, id_) or await self.comment_kept(room, id_)
        for _ in range(TRIES):
            if found is not None:
                break
            await asyncio.sleep(TRY_SECONDS)
            found = self.comment_here(room, id_)
        return None if found is None or room.erased.hides(found) else found

    async def comment_kept(self, room: Room, id_: str) -> Raw | None:
        kept: Any = await self.live.lrange(self.rooms.keys(room.info.id).chat, 0, -1)
        return find(map(Raw, kept), id_)

    def comment_here(self, room: Room, id_: str) -> Raw | None:
        """A comment that this node knows."""
        return find(reversed(room.chat), id_) or find((one.comment for one in room.board.pins), id_)

    async def forget(self, room: Room) -> None:
        """Take what was deleted out of what is kept for nodes to come."""
        key = self.rooms.keys(room.info.id).chat
        kept: Any = await self.live.lrange(key, 0, -1)
        async with self.live.pipeline(transaction=False) as pipeline:
            for one in kept:
                if room.erased.hides(one):
                    pipeline.lrem(key, 1, one)
            await pipeline.execute()
