"""A command on its way: who gives it, in which room, when, and how he is answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from hashlib import blake2b
from typing import Any, Protocol

from msgspec import UNSET, Struct, json
from redis.exceptions import RedisError

from gameplay.play import Code, Command, Refusal, Role
from liveroom.ids import Ids
from liveroom.protocol import encode, refusal_reply
from liveroom.room import Person, Room
from liveroom.store.orders import Order
from liveroom.store.rooms import TRY_LATER, By, Rooms

LATEST_MS = 2000  # a command older than that is not done any more

Fields = dict[str, Any]
Answer = Callable[[bytes], None]
Done = Fields | Refusal


class Actor(Protocol):
    """Who asks: a viewer's socket, or the caller of an HTTP request."""

    viewer: str
    name: str
    role: Role
    person: Person
    level: int
    locale: str
    device: str
    rtt_ms: float  # of his connection, as the server measured it; 0: not known

    @property
    def staff(self) -> bool: ...


class Caller(Struct, gc=False):
    """An actor without a socket."""

    viewer: str
    name: str
    role: Role
    person: Person
    level: int = 0
    locale: str = ""
    device: str = ""
    rtt_ms: float = 0

    @property
    def staff(self) -> bool:
        return self.role is not Role.VIEWER


class Asked(Struct, gc=False):
    """A command, who gave it where and when (room time in ms), and how he is answered."""

    actor: Actor
    room: Room
    command: Command
    at: float
    answer: Answer
    refusals: Counter[Code] | None = None  # counted there
    always: bool = False  # HTTP: an `ok` also without a `cid`
    also: list[Asked] = []  # the same, sent again while this is being done: answered alike
    answers: str | None = None  # whose comment it answers, as far as that is known: found, not asked for
    over: Callable[[], None] | None = None  # called when it is answered
    noted: Callable[[], None] | None = None  # called when it was done

    @property
    def by(self) -> By:
        """Who it was, for the record."""
        return By(self.actor.viewer, self.actor.role, encode(self.command))

    def done(self, fields: Fields) -> None:
        if self.noted:
            self.noted()
        for one in self.everybody():
            one.reply(fields)

    def refused(self, refusal: Refusal) -> None:
        for one in self.everybody():
            if one.refusals is not None:
                one.refusals[refusal.code] += 1
            one.answer(encode(refusal_reply(refusal, one.command.cid)))

    def everybody(self) -> list[Asked]:
        if self.over:
            self.over()
        return [self, *self.also]

    def reply(self, fields: Fields) -> None:
        """Without a `cid` nobody waits for an `ok`."""
        if self.command.cid is not UNSET:
            self.answer(encode({"t": "ok", "cid": self.command.cid, **fields}))
        elif self.always:
            self.answer(encode({"t": "ok", **fields}))

    def end(self, done: Done) -> None:
        if isinstance(done, Refusal):
            self.refused(done)
        else:
            self.done(done)


def digest(command: Command) -> str:
    """A hash of what a command asks for, whatever its `cid`."""
    said = json.decode(encode(command))
    for name in ("cid", "idem"):
        said.pop(name, None)
    return blake2b(json.encode(said, order="sorted"), digest_size=8).hexdigest()


def once_key(rooms: Rooms, asked: Asked) -> str:
    """The key that remembers this intention; the kind of command is part of what it is compared by."""
    return rooms.keys(asked.room.info.id).once(asked.actor.viewer, str(asked.command.idem))


def order_of(asked: Asked, rooms: Rooms, ids: Ids) -> Order:
    """The command as its script takes it."""
    again = asked.command.idem is not UNSET
    return Order(
        asked.room.info.id,
        asked.by,
        ids.new(asked.at),
        once_key(rooms, asked) if again else "",
        digest(asked.command) if again else "",
        asked.at + LATEST_MS,
    )


def fields(answer: bytes | Refusal) -> Done:
    """The reply to a command, from what its script says."""
    return answer if isinstance(answer, Refusal) else json.decode(answer)


def later(
    spawn: Callable[[Coroutine[Any, Any, None]], object], verb: Callable[[Asked], Coroutine[Any, Any, Done]]
) -> Callable[[Asked], None]:
    """A verb that waits for Redis; it is answered whatever happens."""

    async def done(asked: Asked) -> None:
        try:
            asked.end(await verb(asked))
        except (RedisError, OSError, TimeoutError):
            asked.refused(TRY_LATER)
        except Exception:
            asked.refused(Refusal(Code.INTERNAL, message="an error of the server; it is logged there"))
            raise

    def begin(asked: Asked) -> None:
        spawn(done(asked))

    return begin


def wrong_state(state: str, ver: int) -> Refusal:
    return Refusal(Code.ROUND_STATE, {"state": state, "ver": ver}, f"the round is {state}")
