"""One subscribed connection, which knows when it was deaf.

Pub/sub is only the fast path: what was published while the connection was down is
gone. So nothing is re-subscribed silently here: after each (re)connection the
owner is told, and reads what it may have missed.

The connection is a bare ``asyncio.Protocol`` over hiredis' parser: what arrives is
heard in the turn of the loop in which it arrives, also when the loop is busy
writing to thousands of viewers and a task would have to wait for its turn.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, cast

import hiredis
import structlog
from redis.asyncio.connection import SSLConnection, parse_url

from liveroom.store.keys import IDLE

log = structlog.get_logger()

PING_SECONDS = 1.0
SILENCE_SECONDS = 3.0
PAUSE_SECONDS = 0.2


class Line(asyncio.Protocol):
    """One connection's life: ``lost`` is done when it ends."""

    def __init__(self, hear: Callable[[Any], None]) -> None:
        loop = asyncio.get_running_loop()
        self.hear = hear
        self.loop = loop
        self.reader = hiredis.Reader()
        self.lost: asyncio.Future[None] = loop.create_future()
        self.heard_at = loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.loop.time()
        self.reader.feed(data)
        while (message := self.reader.gets()) is not False:
            self.hear(message)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    def send(self, *words: str) -> None:
        if not self.transport.is_closing():
            self.transport.write(hiredis.pack_command(words))  # type: ignore[arg-type]


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
        self.missing: set[str] = set()  # wanted at the connection and not confirmed yet
        self.line: Line | None = None
        self.hearing = False  # connected, and all that is wanted is confirmed
        self.deaf_said = False
        self.mends = 0

    async def subscribe(self, channel: str) -> None:
        """Returns when the server has confirmed. Raises TimeoutError where it does not answer."""
        confirmed = self.wanted.get(channel)
        if confirmed is None or confirmed.cancelled():
            confirmed = self.wanted[channel] = asyncio.get_running_loop().create_future()
            self.send("SUBSCRIBE", channel)
        async with asyncio.timeout(self.seconds):
            await asyncio.shield(confirmed)

    def unsubscribe(self, channel: str) -> None:
        if self.wanted.pop(channel, None):
            self.send("UNSUBSCRIBE", channel)

    def send(self, *words: str) -> None:
        """Without a connection nothing is sent: the next one subscribes to all that is wanted."""
        if self.line is not None:
            self.line.send(*words)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.ping())
            while True:
                try:
                    await self.listen()
                except (OSError, TimeoutError) as error:
                    self.complain(str(error) or "timeout")
                    await asyncio.sleep(PAUSE_SECONDS)

    async def listen(self) -> None:
        """One connection's life. Raises OSError or TimeoutError where there is none."""
        async with asyncio.timeout(self.seconds):
            line = await connect(self.url, self.hear)
        self.missing = {IDLE, *self.wanted}
        self.line = line
        try:
            line.send("SUBSCRIBE", IDLE, *self.wanted)
            await asyncio.shield(line.lost)
        finally:
            self.line, self.hearing = None, False
            line.transport.abort()

    def hear(self, message: Any) -> None:
        match message:
            case [b"message", bytes(channel), bytes(body)]:
                self.heard(channel.decode(), body)
            case [b"subscribe", bytes(channel), _]:
                self.confirm(channel.decode())
            case hiredis.ReplyError():
                self.complain(str(message))
                self.hang_up()

    def complain(self, why: str) -> None:
        """Once for each time that we go deaf."""
        if not self.deaf_said:
            self.deaf_said = True
            log.warning("cannot subscribe to Redis; trying again", why=why)

    def confirm(self, channel: str) -> None:
        if (confirmed := self.wanted.get(channel)) and not confirmed.done():
            confirmed.set_result(None)
        if channel in self.missing:
            self.missing.discard(channel)
            if not self.missing:
                self.hearing = True
                self.deaf_said = False
                self.mends += 1
                self.mended()

    async def ping(self) -> None:
        """A connection that says nothing although it is pinged is dead, whatever TCP believes."""
        while True:
            await asyncio.sleep(PING_SECONDS)
            if self.line is not None and self.line.loop.time() - self.line.heard_at > SILENCE_SECONDS:
                self.hang_up()
            self.send("PING")

    def hang_up(self) -> None:
        if self.line is not None:
            self.line.transport.abort()


def secured(at: dict[str, Any]) -> ssl.SSLContext:
    """TLS as redis-py would do it for the same URL."""
    context = ssl.create_default_context(cafile=at.get("ssl_ca_certs"), capath=at.get("ssl_ca_path"))
    if "ssl_certfile" in at:
        context.load_cert_chain(at["ssl_certfile"], at.get("ssl_keyfile"), at.get("ssl_password"))
    if at.get("ssl_check_hostname") is False or at.get("ssl_cert_reqs") in ("none", "optional"):
        context.check_hostname = False
    if at.get("ssl_cert_reqs") == "none":
        context.verify_mode = ssl.CERT_NONE
    return context


async def connect(url: str, hear: Callable[[Any], None]) -> Line:
    """Connect and authenticate as the URL says. Raises OSError."""
    at: dict[str, Any] = dict(parse_url(url))
    loop = asyncio.get_running_loop()
    if "path" in at:
        _, line = await loop.create_unix_connection(lambda: Line(hear), at["path"])
    else:
        secure = secured(at) if at.get("connection_class") is SSLConnection else None
        where = at.get("host", "localhost"), at.get("port", 6379)
        _, line = await loop.create_connection(lambda: Line(hear), *where, ssl=secure)
    if "password" in at:
        user = [at["username"]] if "username" in at else []
        line.send("AUTH", *user, at["password"])
    return line
