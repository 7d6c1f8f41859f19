"""One POST over HTTP/1.1, on a connection of its own; the caller says how long it is waited for."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, NamedTuple
from urllib.parse import SplitResult

import httptools

LOOKUPS = ThreadPoolExecutor(2, "lookup")
MOST_BYTES = 64 * 1024  # of an answer


class BadAnswer(OSError):
    """What came back is no answer, or too much of one."""


class Answer(NamedTuple):
    status: int
    body: bytes


class Incoming:
    """An answer as it comes in."""

    def __init__(self) -> None:
        self.body = b""
        self.whole = False
        self.parser = httptools.HttpResponseParser(self)

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.whole = True

    def feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise BadAnswer(str(error)) from None
        if len(self.body) > MOST_BYTES:
            raise BadAnswer("the answer is too long")


@cache
def trusted() -> ssl.SSLContext:
    """Made once: to read all the certificates of the system takes long."""
    return ssl.create_default_context()


async def post(url: SplitResult, headers: Mapping[str, str], body: bytes) -> Answer:
    """Raises OSError where there is no answer; redirects are not followed."""
    secure = url.scheme == "https"
    port = url.port or (443 if secure else 80)
    address = await address_of(url.hostname or "", port)
    more: dict[str, Any] = {"ssl": trusted(), "server_hostname": url.hostname} if secure else {}
    reader, writer = await asyncio.open_connection(address, port, **more)
    try:
        writer.write(request(url, headers, body))
        return await answer(reader)
    finally:
        writer.transport.abort()


async def address_of(host: str, port: int) -> str:
    """Looked up by threads of our own: a name server that hangs holds up nothing else."""
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(LOOKUPS, partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM))
    return str(found[0][4][0])


def request(url: SplitResult, headers: Mapping[str, str], body: bytes) -> bytes:
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    fields = {"Host": url.netloc.rpartition("@")[2], "Content-Type": "application/json", "Connection": "close"}
    fields |= {"Content-Length": str(len(body)), **headers}
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + body


async def answer(reader: asyncio.StreamReader) -> Answer:
    incoming, size = Incoming(), 0
    while not incoming.whole:
        data = await reader.read(16 * 1024)
        size += len(data)
        if size > 2 * MOST_BYTES:
            raise BadAnswer("the answer is too long")
        incoming.feed(data)
        if not data:
            break
    if not incoming.whole:
        raise BadAnswer("the answer breaks off")
    return Answer(incoming.parser.get_status_code(), incoming.body)
