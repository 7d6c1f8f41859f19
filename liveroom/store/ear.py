"""One subscribed connection, which knows when it was deaf.

Pub/sub is only the fast path: what was published while the connection was down is
gone. So nothing is re-subscribed silently here: after each (re)connection the
owner is told, and reads what it may have missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from redis.asyncio.connection import Connection
from redis.exceptions import RedisError

from liveroom.store.keys import IDLE
from liveroom.store.server import lone_connection

PING_SECONDS = 1.0
SILENCE_SECONDS = 3.0
PAUSE_SECONDS = 0.2


class Ear:
    """Hears the channels it was asked to; ``heard(channel, message)`` and ``mended()`` are called in order."""

    def __init__(
        self, url: str, seconds: float, heard: Callable[[str, bytes], None], mended: Callable[[], None]
    ) -> None:
        self.url = url
        self.seconds = seconds
        self.heard = heard
        self.mended = mended
        self.wanted: dict[str, asyncio.Future[None]] = {}
        self.connection: Connection | None = None
        self.hearing = False  # connected, and all that is wanted is confirmed
        self.mends = 0

    async def subscribe(self, channel: str) -> None:
        """Returns when the server has confirmed. Raises TimeoutError where it does not answer."""
        confirmed = self.wanted.get(channel)
        if confirmed is None or confirmed.cancelled():
            confirmed = self.wanted[channel] = asyncio.get_running_loop().create_future()
            await self.send("SUBSCRIBE", channel)
        async with asyncio.timeout(self.seconds):
            await asyncio.shield(confirmed)

    async def unsubscribe(self, channel: str) -> None:
        if self.wanted.pop(channel, None):
            await self.send("UNSUBSCRIBE", channel)

    async def send(self, *words: str) -> None:
        """Without a connection nothing is sent: the next one subscribes to all that is wanted."""
        if self.connection is not None:
            try:
                await self.connection.send_command(*words)
            except (RedisError, OSError):
                await self.hang_up()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.ping())
            while True:
                try:
                    await self.listen()
                except (RedisError, OSError, TimeoutError):
                    await self.hang_up()
                    await asyncio.sleep(PAUSE_SECONDS)

    async def listen(self) -> None:
        """One connection's life. Raises when it ends, or says nothing although it is pinged."""
        connection = lone_connection(self.url, self.seconds)
        async with asyncio.timeout(self.seconds):
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command("SUBSCRIBE", IDLE, *self.wanted)
        self.connection = connection
        missing = set(self.wanted)
        while message := await connection.read_response(timeout=SILENCE_SECONDS):
            if not self.hear(message, missing):
                self.hearing = True
                self.mends += 1
                self.mended()
        raise TimeoutError

    async def ping(self) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            await self.send("PING")

    def hear(self, message: list[bytes | int], missing: set[str]) -> bool:
        """False at the one moment when all that was wanted at the connection is confirmed."""
        match message:
            case [b"message", bytes(channel), bytes(body)]:
                self.heard(channel.decode(), body)
            case [b"subscribe", bytes(channel), _]:
                name = channel.decode()
                if (confirmed := self.wanted.get(name)) and not confirmed.done():
                    confirmed.set_result(None)
                if name == IDLE or name in missing:
                    missing.discard(name)
                    return bool(missing)
        return True

    async def hang_up(self) -> None:
        connection, self.connection, self.hearing = self.connection, None, False
        if connection is not None:
            await connection.disconnect(nowait=True)
