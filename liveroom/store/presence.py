"""Who is where: the viewers of this node, noted in Redis under a lease that a dead node does not renew.

Level over edge: ``wanted`` says who is here, ``noted`` what Redis was told; each
call of the script closes the difference, whatever came between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from liveroom.protocol import encode
from liveroom.store import keys, scripts
from liveroom.store.keys import Keys, keys_of

PERIOD = 0.1
LAPSED = -5
MOST_AT_ONCE = 4000  # viewers in one call: Lua takes no more than some thousand
RING_MS = 2000
RING_PERIOD = 0.2
MOST_BELLS = 100


class Here:
    """The viewers of one room on this node."""

    __slots__ = ("changed", "homes", "lock", "noted", "renewed", "viewers", "wanted")

    def __init__(self) -> None:
        self.wanted: dict[str, int] = {}  # connections of each viewer
        self.noted: set[str] = set()
        self.changed: set[str] = set()
        self.homes: dict[str, int] = {}  # nodes where each noted viewer is
        self.viewers = 0
        self.renewed = 0.0
        self.lock = asyncio.Lock()


class Presence:
    """Keeps the seats in Redis as they are here, and strikes off those of nodes that fell silent."""

    def __init__(
        self,
        redis: Redis,
        shards: int,
        node: str,
        *,
        lease: float,
        seconds: float,
        grace_ms: int,
        new_id: Callable[[], str],
        now: Callable[[], float],
        server_ms: Callable[[], float],
    ) -> None:
        self.redis = redis
        self.shards = shards
        self.node = node
        self.lease = lease
        self.grace_ms = grace_ms  # how long one may be away without having left
        self.new_id = new_id
        self.seconds = seconds
        self.now = now  # monotonic seconds
        self.server_ms = server_ms  # the clock of the server
        self.rooms: dict[str, Here] = {}
        self.lapsed: Callable[[str], None] = lambda _: None  # our viewers were struck off: they are here all the same

    def came(self, room: str, viewer: str) -> None:
        here = self.rooms.setdefault(room, Here())
        here.wanted[viewer] = here.wanted.get(viewer, 0) + 1
        here.changed.add(viewer)

    def left(self, room: str, viewer: str) -> None:
        here = self.rooms[room]
        here.wanted[viewer] -= 1
        if not here.wanted[viewer]:
            del here.wanted[viewer]
            here.changed.add(viewer)

    def viewers(self, room: str) -> int:
        """Distinct viewers of a room on all nodes, as of the last call."""
        return self.rooms[room].viewers if room in self.rooms else 0

    def homes(self, room: str, viewer: str) -> int:
        """Nodes where a viewer of ours is, as far as we were told."""
        return self.rooms[room].homes.get(viewer, 1) if room in self.rooms else 1

    def told(self, room: str, viewer: str, homes: int) -> None:
        """Another node says so."""
        if room in self.rooms and viewer in self.rooms[room].homes:
            self.rooms[room].homes[viewer] = homes

    async def note(self, room: str) -> None:
        """Tell Redis who came and left.

        Raises redis-py's errors and TimeoutError; what was not noted is noted by the next call.
        """
        here = self.rooms.setdefault(room, Here())
        async with here.lock, asyncio.timeout(self.seconds):
            while here.changed or self.now() - here.renewed > self.lease / 3:
                await self.note_some(keys_of(room, self.shards), here)

    async def note_some(self, at: Keys, here: Here) -> None:
        changed = list(here.changed)[:MOST_AT_ONCE]
        coming = [viewer for viewer in changed if viewer in here.wanted and viewer not in here.noted]
        # Also who was never noted: a script whose answer was late may have noted him all the same.
        leaving = [viewer for viewer in changed if viewer not in here.wanted]
        names = [at.seats, at.here(self.node), keys.leases(at.shard), at.heard]
        lease, known = int(self.lease * 1000), int(bool(here.noted))
        not_after = int(self.server_ms() + self.seconds * 1000)
        args: list[scripts.Word] = [f"{at.room}|{self.node}", lease, known, not_after, len(coming), *coming, *leaving]
        here.changed.difference_update(changed)
        try:
            answer: Any = await scripts.call(self.redis, "seat", names, args)
        except BaseException:
            here.changed.update(changed)
            raise
        if answer[0] == scripts.LATE:
            here.changed.update(changed)
            raise TimeoutError
        here.renewed = self.now()
        if answer[0] == LAPSED:
            here.noted.clear()
            here.changed = set(here.wanted)
            self.lapsed(at.room)
            return
        here.noted.update(coming)
        here.noted.difference_update(leaving)
        here.viewers = answer[0]
        for viewer, homes in zip(coming, answer[1:], strict=True):
            here.homes[viewer] = homes
        for viewer in leaving:
            here.homes.pop(viewer, None)

    async def tell_seat(self, room: str, viewer: str, homes: int, device: str) -> None:
        """Tell the other nodes on how many of them a viewer now is, and from which device he came."""
        blob = encode({"node": self.node, "seat": (viewer, homes, device)})
        with suppress(RedisError, OSError, TimeoutError):
            await self.redis.publish(keys_of(room, self.shards).crowd, blob)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            for room, here in list(self.rooms.items()):
                if not here.wanted and not here.noted and not here.changed and not here.lock.locked():
                    del self.rooms[room]
                elif here.changed or (here.noted and self.now() - here.renewed > self.lease / 3):
                    try:
                        await self.note(room)
                    except (RedisError, OSError, TimeoutError):
                        await asyncio.sleep(PERIOD)

    async def ring(self) -> None:
        """Hear the lapsed leases of all shards, whoever holds their rooms, and strike off the silent nodes."""
        while True:
            await asyncio.sleep(RING_PERIOD)
            calls: list[scripts.Call] = [("ring", [keys.leases(n)], [RING_MS, MOST_BELLS]) for n in range(self.shards)]
            try:
                async with asyncio.timeout(self.seconds):
                    due = [
                        bell.decode()
                        for bells in await scripts.run(self.redis, calls)
                        if isinstance(bells, list)
                        for bell in bells[1:]
                    ]
                    await scripts.run(self.redis, [self.lapse(bell) for bell in due])
            except (RedisError, OSError, TimeoutError):
                continue

    def lapse(self, bell: str) -> scripts.Call:
        room, _, node = bell.partition("|")
        at = keys_of(room, self.shards)
        names = [at.seats, at.here(node), keys.leases(at.shard), at.heard, *at.roll_keys()]
        return "lapse", names, [bell, RING_MS, self.grace_ms, self.new_id()]
