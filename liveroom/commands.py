"""What becomes of a command, however it came: checked here, then done, then answered."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from msgspec import UNSET
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gameplay.danmaku import Say
from gameplay.likes import Like
from gameplay.moderation import BANNED, binding
from gameplay.play import Code, Command, Refusal
from gameplay.sale import Claim
from gameplay.text import shown
from liveroom.asked import Actor, Asked, Done, digest, fields, once_key, order_of
from liveroom.ids import Ids
from liveroom.limits import LIKES, OTHER, STAFF, Bucket, full, too_fast
from liveroom.menu import ENTERS
from liveroom.protocol import LONGEST_NOTICE, InboxAck, Notice, Pong, RoomNotice, ShareAdd, TimePing, encode
from liveroom.room import Room
from liveroom.store.attendance import Attendance
from liveroom.store.clock import Clock
from liveroom.store.likes import Likes
from liveroom.store.mail import Mail
from liveroom.store.orders import tell
from liveroom.store.rooms import MISMATCH, REMEMBER_SECONDS, TRY_LATER, Rooms

# How much a viewer takes part; a paid order is the third kind.
DEEDS = dict.fromkeys([Say, Like, ShareAdd], "light") | dict.fromkeys([*ENTERS, Claim], "medium")
PENDING_SECONDS = 5  # a like that was begun and not counted may be sent again after that


class Desk:
    """Obeys commands. Synchronous where nothing has to be waited for; the rest is spawned."""

    def __init__(
        self,
        clock: Clock,
        ids: Ids,
        rooms: Rooms,
        live: Redis,
        likes: Likes,
        attendance: Attendance,
        mail: Mail,
        more: Mapping[type[Command], Callable[[Asked], None]],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.clock = clock
        self.ids = ids
        self.rooms = rooms
        self.live = live
        self.likes = likes
        self.attendance = attendance
        self.mail = mail
        self.spawn = spawn
        self.verbs: dict[type[Command], Callable[[Asked], None]] = {
            Like: self.like,
            TimePing: self.ping,
            RoomNotice: self.notice,
            InboxAck: self.acknowledge,
            **more,
        }

    def obey(self, asked: Asked) -> None:
        """Every command is answered, now or later, once."""
        command, actor = asked.command, asked.actor
        if not actor.role.may(command.needs):
            return asked.refused(Refusal(Code.NOT_ALLOWED, {"needs": command.needs}, f"only for a {command.needs}"))
        if binding(asked.room.sanctions, "ban", actor.viewer, actor.role, asked.at):
            return asked.refused(BANNED)
        verb = self.verbs.get(type(command))
        if verb is None:
            return asked.refused(Refusal(Code.UNKNOWN_COMMAND, message="this command needs a WebSocket"))
        if wait := self.too_fast(actor, command, asked.at / 1000):
            return asked.refused(too_fast(wait))
        if (deed := DEEDS.get(type(command))) and not actor.staff:
            asked.noted = partial(self.attendance.acted, asked.room.info.id, actor.viewer, deed)
        return verb(asked)

    def too_fast(self, actor: Actor, command: Command, now: float) -> float:
        """Seconds to wait; comments and likes of viewers have buckets of their own."""
        person = actor.person
        if actor.staff:
            rate = STAFF
        elif isinstance(command, Say | Like):
            return 0
        else:
            rate = OTHER.shared(person.homes)
        return person.act(rate, now)

    # -- likes --

    def like(self, asked: Asked) -> None:
        command, actor, now = asked.command, asked.actor, asked.at / 1000
        assert isinstance(command, Like)
        if command.idem is not UNSET:
            self.spawn(self.like_once(asked, command))
            return
        asked.end(self.count(actor, asked.room, command.n, now))

    def count(self, actor: Actor, room: Room, n: int, now: float) -> Done:
        rate = LIKES.shared(actor.person.homes)
        if actor.person.likes is None:
            actor.person.likes = full(rate, now)
        bucket: Bucket = actor.person.likes
        counted = bucket.most(rate, now, n)
        if not counted:
            return too_fast(bucket.wait(rate, now))
        self.likes.add(room.info.id, actor.viewer, counted)
        return {"counted": counted}

    async def like_once(self, asked: Asked, command: Like) -> None:
        """A resend counts nothing; it is told what the first one was told."""
        key, mine = once_key(self.rooms, asked), digest(command)
        try:
            fresh = await self.live.set(key, f"{mine} ", nx=True, ex=PENDING_SECONDS)
            if not fresh:
                theirs, _, counted = bytes(await self.live.get(key) or b"").decode().partition(" ")  # type: ignore[arg-type]
                if theirs == mine and not counted:
                    return asked.refused(TRY_LATER)  # the first one is being counted, or was lost
                return asked.end({"counted": int(counted)} if theirs == mine else MISMATCH)
            done = self.count(asked.actor, asked.room, command.n, asked.at / 1000)
            if isinstance(done, Refusal):
                await self.live.delete(key)
            else:
                await self.live.set(key, f"{mine} {done['counted']}", ex=REMEMBER_SECONDS)
            return asked.end(done)
        except (RedisError, OSError, TimeoutError):
            return asked.refused(TRY_LATER)

    # -- the room --

    def ping(self, asked: Asked) -> None:
        command = asked.command
        assert isinstance(command, TimePing)
        asked.answer(encode(Pong(command.c0, int(asked.at), self.clock.now(), command.cid)))

    def notice(self, asked: Asked) -> None:
        command = asked.command
        assert isinstance(command, RoomNotice)
        text = shown(command.text)
        if not text:
            return asked.refused(Refusal(Code.TEXT_EMPTY, message="the notice is empty"))
        if len(text) > LONGEST_NOTICE:
            return asked.refused(Refusal(Code.TEXT_TOO_LONG, {"max": LONGEST_NOTICE}, "the notice is too long"))
        self.spawn(self.tell(asked, encode(Notice(text, asked.actor.viewer)), keep="notice"))
        return None

    async def tell(self, asked: Asked, event: bytes, keep: str) -> None:
        """A ledger event, numbered and published by the script that remembers it."""
        try:
            told = await tell(self.rooms, order_of(asked, self.rooms, self.ids), event, keep)
        except (RedisError, OSError, TimeoutError):
            return asked.refused(TRY_LATER)
        return asked.end(fields(told))

    def acknowledge(self, asked: Asked) -> None:
        self.spawn(self.take_letters(asked))

    async def take_letters(self, asked: Asked) -> None:
        """Letters that were read are not sent again."""
        command = asked.command
        assert isinstance(command, InboxAck)
        try:
            await self.mail.inboxes.acknowledge(asked.room.info.id, asked.actor.viewer, command.ids)
        except (RedisError, OSError, TimeoutError):
            return asked.refused(TRY_LATER)
        return asked.done({})
