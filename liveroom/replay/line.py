"""The cheapest connection that keeps to the protocol, so that one machine has room for thousands."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Self, cast
from urllib.parse import urlsplit

from websockets.frames import Frame, Opcode
from websockets.utils import accept_key, generate_key

from liveroom.client import CUT

MOST_HEAD = 16 * 1024
TEXT, CLOSE, PING = 0x81, 0x88, 0x89  # the first byte of a whole frame
NO_CODE = 1005  # RFC 6455: the close frame named none


def split_frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole frames a server sent, as first byte and payload, and the rest."""
    frames, at, end = [], 0, len(data)
    while end - at >= 2:
        start, length = at + 2, data[at + 1]
        if length > 125:
            start += 2 if length == 126 else 8
            length = int.from_bytes(data[at + 2 : start]) if start <= end else end
        if start + length > end:
            break
        frames.append((data[at], data[start : start + length]))
        at = start + length
    return frames, data[at:]


def status(head: bytes) -> int:
    """The HTTP status of a refused handshake."""
    words = head.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else CUT


def masked(opcode: Opcode, payload: bytes) -> bytes:
    return Frame(opcode, payload).serialize(mask=True)


class Line(asyncio.Protocol):
    """Hands over messages as bytes and ends with a code."""

    def __init__(self, address: str, hello: bytes, heard: Callable[[bytes], None]) -> None:
        self.address = urlsplit(address)
        self.hello = hello
        self.heard = heard
        self.key = generate_key()
        self.rest = b""
        self.upgraded = False
        self.code = CUT
        self.transport: asyncio.Transport
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, address: str, hello: bytes, heard: Callable[[bytes], None]) -> Self:
        """Raises OSError."""
        where = urlsplit(address)
        secure = ssl.create_default_context() if where.scheme == "wss" else None
        port = where.port or (443 if secure else 80)
        _, line = await asyncio.get_running_loop().create_connection(
            lambda: cls(address, hello, heard), where.hostname or "", port, ssl=secure
        )
        return line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self.transport.write(
            f"GET {self.address.path} HTTP/1.1\r\nHost: {self.address.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {self.key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: liveroom.v1.json\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        if self.rest:
            data = self.rest + data
        if not self.upgraded:
            data = self.upgrade(data)
        if not self.upgraded:
            return
        frames, self.rest = split_frames(data)
        for kind, payload in frames:
            if kind == TEXT:
                self.heard(payload)
            else:
                self.control(kind, payload)

    def upgrade(self, data: bytes) -> bytes:
        """What follows the answer to the handshake, once it is whole."""
        head, found, rest = data.partition(b"\r\n\r\n")
        if found and head.startswith(b"HTTP/1.1 101") and accept_key(self.key).encode() in head:
            self.upgraded = True
            self.tell(self.hello)
        elif found or len(head) > MOST_HEAD:
            self.code = status(head)
            self.transport.abort()
        else:
            self.rest = head
        return rest

    def control(self, kind: int, payload: bytes) -> None:
        if kind == PING:
            self.transport.write(masked(Opcode.PONG, payload))
        elif kind == CLOSE:
            self.code = int.from_bytes(payload[:2]) if len(payload) > 1 else NO_CODE
            self.leave(payload[:2])

    def tell(self, payload: bytes) -> None:
        self.transport.write(masked(Opcode.TEXT, payload))

    def leave(self, code: bytes = b"\x03\xe8") -> None:
        if not self.transport.is_closing():
            self.transport.write(masked(Opcode.CLOSE, code))
            self.transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(self.code)
