"""Keeps what this node knows of a room's bans and mutes as Redis has it, and acts on what changes.

Pub/sub brings a change at once, with its number, ``ctl``. A number that was missed is noticed when the heads of the
rooms are read, once a second; then all are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import DecodeError, Raw

from gameplay.moderation import Muted, Sanction, Stand
from liveroom.hub import Hub
from liveroom.protocol import encode
from liveroom.room import Private, Room
from liveroom.store.sanctions import Docket, read_sanction


class Warden:
    """``banned`` is told of everybody who is banned from a room, to show him out of it here."""

    def __init__(self, hub: Hub, docket: Docket, banned: Callable[[Room, Sanction], None]) -> None:
        self.hub = hub
        self.docket = docket
        self.banned = banned

    def heard(self, room: Room, ctl: int, name: str, body: Raw) -> bool:
        """A change that was published; False if others were missed before it, so that all must be read."""
        if ctl > room.ctl + 1:
            return False
        try:
            sanction = None if bytes(body) == b"null" else read_sanction(body)
        except DecodeError:
            return False
        if ctl == room.ctl + 1:
            room.ctl = ctl
            self.put(room, name, sanction)
        return True

    async def read(self, room: Room) -> None:
        """Read them all."""
        ctl, now = await self.docket.read(room.info.id)
        self.know(room, ctl, now)

    def know(self, room: Room, ctl: int, now: Mapping[str, Sanction]) -> None:
        room.ctl = ctl
        for name in [name for name in room.sanctions if name not in now]:
            self.put(room, name, None)
        for name, sanction in now.items():
            if room.sanctions.get(name) != sanction:
                self.put(room, name, sanction)

    async def remind(self, room: Room) -> None:
        """The server may have lost what this node knows. Raises NoRoom."""
        await self.docket.restore(room.info.id, Stand(room.manners, room.sanctions))

    def put(self, room: Room, name: str, sanction: Sanction | None) -> None:
        before = room.sanctions.pop(name, None)
        if sanction is not None:
            room.sanctions[name] = sanction
        latest = sanction or before
        if sanction is not None and sanction.kind == "ban":
            self.banned(room, sanction)
        elif latest is not None and latest.kind == "mute":
            self.tell(room, latest.viewer, before, sanction)

    def tell(self, room: Room, viewer: str, before: Sanction | None, now: Sanction | None) -> None:
        """Tell a viewer of his mute, unless he is not to notice it."""
        openly = [one for one in (before, now) if one is not None and not one.shadow]
        if openly:
            until = now.until if now is not None and not now.shadow else 0
            self.hub.whisper(room, Private(viewer, room.seq, encode(Muted(until))))
