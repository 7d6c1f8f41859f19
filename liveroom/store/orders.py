"""A command of the staff as its script takes it: what all of them have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from gameplay.play import Refusal
from liveroom.store import keys
from liveroom.store.rooms import (
    CLOSED,
    MISMATCH,
    NO_SUCH_ROOM,
    REMEMBER_SECONDS,
    ROOM_CLOSED,
    TRY_LATER,
    By,
    Rooms,
)
from liveroom.store.scripts import LATE, NoRoom, Word

REFUSALS = {LATE: TRY_LATER, CLOSED: ROOM_CLOSED}


class Order(Struct, frozen=True):
    """Who commands it where, the id of its fact, its idempotency key if it has one, and until when it may be done."""

    room: str
    by: By
    fact: str
    once: str
    digest: str
    not_after: float


async def answered(rooms: Rooms, order: Order) -> bytes | None:
    """What the same command was answered before, if it has an idempotency key."""
    kept: Any = await rooms.redis.get(order.once) if order.once else None
    digest, _, answer = (kept or b"").partition(b" ")
    return answer if answer and digest == order.digest.encode() else None


async def begun(rooms: Rooms, order: Order) -> bytes | Refusal | None:
    """For a command that changes something before its script is called: what it was answered, if it was done before.

    From now on its idempotency key is its own.
    """
    if not order.once or await rooms.redis.set(order.once, f"{order.digest} ", nx=True, ex=REMEMBER_SECONDS):
        return None
    kept: Any = await rooms.redis.get(order.once)
    digest, _, answer = (kept or b"").partition(b" ")
    return answer or None if digest in (b"", order.digest.encode()) else MISMATCH


async def tell(rooms: Rooms, order: Order, event: bytes, keep: str, answer: bytes = b"") -> bytes | Refusal:
    """Tell the room a ledger event, and hang it on the board under the name ``keep``, if there is one.

    What is answered, as JSON; where nothing is said, the number of the event.
    """
    at = rooms.keys(order.room)
    return await obeyed(rooms, "tell_room", order, [at.log, at.board], [event, rooms.log_length, keep, answer])


async def obeyed(
    rooms: Rooms,
    name: str,
    order: Order,
    names: Sequence[str],
    args: Sequence[Word],
    refusals: Mapping[int, Refusal] = REFUSALS,
) -> bytes | Refusal:
    """Call the script of a command: what it is answered, as JSON, now or when it was sent before."""
    at = rooms.keys(order.room)
    shared = [at.meta, at.info, keys.outbox(at.shard), order.once or at.once("", "")]
    said: list[Word] = [at.channel, order.fact, order.room, order.by.actor, order.by.role, order.by.command]
    said += [order.digest, int(order.not_after), REMEMBER_SECONDS]
    try:
        answer = await rooms.fenced(name, order.room, [*shared, *names], [*said, *args])
    except NoRoom:
        return NO_SUCH_ROOM
    match answer:
        case [0 | 1, said_before]:
            return bytes(said_before) or MISMATCH
        case [code]:
            return refusals[code]
    raise AssertionError(answer)
