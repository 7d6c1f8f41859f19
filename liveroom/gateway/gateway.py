"""All viewers' sockets of this node: how they are made, swept once a second, and sent away."""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections import deque

from liveroom.commands import Desk
from liveroom.counts import LATE, Heard, Spread
from liveroom.door import Door
from liveroom.gateway.deflate import SharedDeflate
from liveroom.gateway.viewer import Viewer
from liveroom.settings import Settings
from liveroom.store.clock import Clock
from liveroom.tokens import BadToken, Claims, Tokens

SPOKES = 10  # the sweep's second is cut into so many turns
BATCH = 200  # viewers sent away at once
PATH = re.compile(r"/v1/rooms/([A-Za-z0-9_-]{1,64})/ws")


class Gateway:
    """What a viewer's socket needs of the world, and the wheel that brings it time."""

    def __init__(self, settings: Settings, clock: Clock, tokens: Tokens, door: Door, desk: Desk) -> None:
        self.settings = settings
        self.clock = clock
        self.tokens = tokens
        self.door = door
        self.desk = desk
        self.loop = asyncio.get_running_loop()
        self.quiet = logging.getLogger("liveroom.websockets")
        self.quiet.setLevel(logging.CRITICAL)
        self.extensions = [SharedDeflate()] if settings.compression == "on" else None
        self.wheels: deque[set[Viewer]] = deque(set() for _ in range(SPOKES))
        self.connections: set[Viewer] = set()
        self.draining = False
        self.heard = Heard()
        self.told = door.hub.told
        self.late = Spread(LATE)  # a turn of the wheel, in seconds: the loop was busy with something else

    def viewer(self) -> Viewer:
        self.wheels.rotate(1)
        return Viewer(self, self.wheels[0])

    def room_of(self, path: str) -> str | None:
        found = PATH.fullmatch(path.removeprefix(self.settings.root_path))
        return found[1] if found else None

    def read_token(self, token: str, room: str) -> Claims:
        """The claims of a token that is good for this room. Raises BadToken."""
        claims = self.tokens.read(token, self.clock.now_ms() / 1000)
        if claims.room not in (room, "*"):
            raise BadToken("the token is for another room")
        return claims

    def jitter(self) -> float:
        return random.uniform(0.85, 1.15)

    async def sweep(self) -> None:
        """Look at every viewer once a second, a tenth of them at a time."""
        spokes = list(self.wheels)
        while True:
            for wheel in spokes:
                due = self.loop.time() + 1 / SPOKES
                await asyncio.sleep(1 / SPOKES)
                now, room_s = self.loop.time(), self.clock.now_ms() / 1000
                self.late.note(max(0.0, now - due))
                for viewer in list(wheel):
                    viewer.sweep(now, room_s)

    async def drain(self) -> None:
        """Send everybody away, staggered, each with a word on when to come back."""
        await asyncio.sleep(self.settings.unready_seconds)
        self.draining = True
        seconds = self.settings.drain_seconds
        viewers = list(self.connections)
        batches = [viewers[n : n + BATCH] for n in range(0, len(viewers), BATCH)]
        for batch in batches:
            for viewer in batch:
                viewer.bye(random.randint(0, int(seconds * 1000)))
            await asyncio.sleep(min(0.1, seconds / len(batches)))
        for _ in range(20):
            if not self.connections:
                return
            await asyncio.sleep(0.05)
        for viewer in list(self.connections):
            viewer.transport.abort()
