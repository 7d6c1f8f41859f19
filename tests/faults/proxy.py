"""A way to a node on which what the node says can get lost: it is done, but nobody hears of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from copy import copy

from tests.house import Node


class Way:
    """``node`` is the node behind it, at the address of this end."""

    def __init__(self, node: Node) -> None:
        self.behind = node
        self.node = copy(node)
        self.losing = False
        self.writers: set[asyncio.StreamWriter] = set()

    def lose(self) -> None:
        """From now on the node is asked, but not heard."""
        self.losing = True

    def cut(self) -> None:
        """As a dead network would: all connections end at once."""
        for writer in self.writers:
            writer.transport.abort()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, there = await asyncio.open_connection(*self.behind.address)
        self.writers |= {writer, there}
        await asyncio.gather(self.pipe(reader, there), self.pipe(back, writer, back=True))
        self.writers -= {writer, there}

    async def pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if not (back and self.losing):
                    writer.write(data)
                    await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def way_to(node: Node) -> AsyncIterator[Way]:
    way = Way(node)
    server = await asyncio.start_server(way.connected, "127.0.0.1", 0)
    way.node.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield way
    finally:
        way.cut()
        server.close()
