"""One POST over HTTP/1.1, on a connection of its own; the caller says how long it is waited for."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import SplitResult

import httptools

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
        except httptools.HttpParserError as error:
            raise BadAnswer(str(error)) from None
        if len(self.body) > MOST_BYTES:
            raise BadAnswer("the answer is too long")


async def post(url: SplitResult, headers: Mapping[str, str], body: bytes) -> Answer:
    """Raises OSError where there is no answer; redirects are not followed."""
    secure = url.scheme == "https"
    port = url.port or (443 if secure else 80)
    context = ssl.create_default_context() if secure else None
    reader, writer = await asyncio.open_connection(url.hostname, port, ssl=context)
    try:
        writer.write(request(url, headers, body))
        return await answer(reader)
    finally:
        writer.transport.abort()


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
