"""Bans and mutes as Redis keeps them: imposed, lifted, read whole or for those who come in, and put back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import DecodeError, Raw, json

from gameplay.moderation import ON_A_HOST, OPEN, Kind, Sanction, Sanctions, Stand, as_told, name_of
from gameplay.play import Code, Refusal, Role
from liveroom.protocol import encode
from liveroom.store.orders import REFUSALS, Order, obeyed
from liveroom.store.rooms import Rooms
from liveroom.store.scripts import Word

MOST = 20_000  # of a room
AT_ONCE = 500  # put back with one call
TOO_MANY = Refusal(Code.TRY_LATER, {}, "the room has too many bans and mutes: lift some", retryable=False)
SANCTION_REFUSALS = {**REFUSALS, -6: ON_A_HOST, -7: TOO_MANY}

read_sanction = json.Decoder(Sanction).decode


class Docket:
    """The verbs on bans and mutes. Raises redis-py's errors and TimeoutError where Redis does not answer."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms

    async def impose(self, order: Order, sanction: Sanction) -> bytes | Refusal:
        """What the command is answered, as JSON."""
        answer = encode({"until": sanction.until or None})
        return await self.change(order, sanction.kind, sanction.viewer, encode(sanction), sanction.until, answer)

    async def lift(self, order: Order, kind: Kind, viewer: str) -> bytes | Refusal:
        return await self.change(order, kind, viewer, b"", 0, b"{}")

    async def change(
        self, order: Order, kind: Kind, viewer: str, sanction: bytes, until: int, answer: bytes
    ) -> bytes | Refusal:
        at, name = self.rooms.keys(order.room), name_of(kind, viewer)
        told = encode({"name": name, "sanction": Raw(sanction or b"null")})[1:-1]
        args: list[Word] = [viewer, name, sanction, until, told, answer, MOST]
        names = [at.sanctions, at.sanction_ends, at.staff]
        return await obeyed(self.rooms, "sanction", order, names, args, SANCTION_REFUSALS)

    async def read(self, room: str) -> tuple[int, dict[str, Sanction]]:
        """All of a room, and the ``ctl`` they are as of."""
        at = self.rooms.keys(room)
        async with self.rooms.redis.pipeline(transaction=True) as pipeline:
            pipeline.hget(at.meta, "ctl")
            pipeline.hgetall(at.sanctions)
            ctl, rows = await pipeline.execute()
        return int(ctl or 0), as_sanctions(rows)

    async def look_up(
        self, room: str, viewers: Sequence[str], staff: Mapping[str, Role]
    ) -> tuple[dict[str, Sanction], set[str]]:
        """The bans of those who want in, and who of them is noted as staff; who comes as such is noted."""
        at, names = self.rooms.keys(room), [name_of("ban", one) for one in viewers]
        async with self.rooms.redis.pipeline(transaction=False) as pipeline:
            if staff:
                pipeline.hset(at.staff, mapping={viewer: str(role) for viewer, role in staff.items()})
            pipeline.hmget(at.sanctions, names)
            pipeline.hmget(at.staff, viewers)
            *_, rows, roles = await pipeline.execute()
        bans = as_sanctions({name.encode(): row for name, row in zip(names, rows, strict=True) if row})
        return bans, {viewer for viewer, role in zip(viewers, roles, strict=True) if role}

    async def dismiss(self, room: str, viewers: Iterable[str]) -> None:
        """They are staff no more."""
        await self.rooms.redis.hdel(self.rooms.keys(room).staff, *viewers)

    async def note_staff(self, room: str, viewer: str, role: Role) -> None:
        """He is staff still."""
        await self.rooms.redis.hset(self.rooms.keys(room).staff, viewer, str(role))

    async def restore(self, room: str, stand: Stand) -> None:
        """Put back what the server has lost, as far as it is not there by now. Raises NoRoom."""
        at, those, manners = self.rooms.keys(room), list(stand.sanctions.values()), stand.manners
        names = [at.meta, at.sanctions, at.sanction_ends, at.board]
        settings = b"" if manners == OPEN else encode(as_told(manners))
        for start in range(0, max(1, len(those)), AT_ONCE):
            args: list[Word] = [settings, manners.rate, encode(manners.words)]
            for one in those[start : start + AT_ONCE]:
                args += [name_of(one.kind, one.viewer), encode(one), one.until]
            await self.rooms.fenced("restore_moderation", room, names, args)


def as_sanctions(rows: Mapping[bytes, bytes]) -> dict[str, Sanction]:
    """One that cannot be read, of a newer version, is left out."""
    found: dict[str, Sanction] = {}
    for name, row in rows.items():
        try:
            found[name.decode()] = read_sanction(row)
        except DecodeError:
            continue
    return found


def told_of(sanctions: Sanctions, kind: Kind, now: float) -> list[dict[str, Any]]:
    """Those of a kind that hold now, for the staff, newest first."""
    those = [one for one in sanctions.values() if one.kind == kind and (not one.until or now < one.until)]
    return [
        {"viewer": one.viewer, "until": one.until or None, "at": one.at, "by": one.by, "reason": one.reason}
        | ({"shadow": True} if one.shadow else {})
        for one in sorted(those, key=lambda one: (-one.at, one.viewer))
    ]
