"""One connection to a room, opened, told and heard in messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Self
from urllib.parse import quote, urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from liveroom.client.closes import CUT, Closed, Unreachable, after, closed
from liveroom.protocol import After

Message = dict[str, Any]

OPEN_SECONDS = 10


class Codec(NamedTuple):
    """How messages are written, and whether in text frames."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    text: bool


CODECS = {
    "json": Codec(msgspec.json.encode, msgspec.json.decode, text=True),
    "msgpack": Codec(msgspec.msgpack.encode, msgspec.msgpack.decode, text=False),
}


def socket_url(url: str, room: str) -> str:
    return f"ws{url.rstrip('/').removeprefix('http')}/v1/rooms/{quote(room, safe='')}/ws"


def is_loopback(url: str) -> bool:
    return (urlsplit(url).hostname or "") in ("localhost", "127.0.0.1", "::1")


def unpacked(frame: Any) -> list[Message]:
    """A frame is one message or an array of them."""
    return [m for m in (frame if isinstance(frame, list) else [frame]) if isinstance(m, dict)]


async def connected(address: str, subprotocol: str) -> ClientConnection:
    """Raises Closed where another try is no use, else Unreachable."""
    try:
        return await connect(
            address,
            subprotocols=[Subprotocol(f"liveroom.v1.{subprotocol}")],
            compression="deflate",  # as far as the server wants it
            open_timeout=OPEN_SECONDS,
            ping_interval=None,  # the server pings, and beats
            close_timeout=1,
            proxy=None if is_loopback(address) else True,
        )
    except InvalidStatus as refusal:
        status = refusal.response.status_code
        if after(status) is After.STOP:
            raise Closed(status, "the handshake was refused") from None
        raise Unreachable(f"{address} answers {status}") from None
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise Unreachable(f"{address}: {error}") from None


class Link:
    """An open connection. Telling and hearing raise Closed when it has ended, hearing DecodeError on nonsense."""

    def __init__(self, socket: ClientConnection, codec: Codec) -> None:
        self.socket = socket
        self.codec = codec

    @classmethod
    async def open(cls, address: str, subprotocol: str) -> Self:
        """Raises Closed or Unreachable."""
        return cls(await connected(address, subprotocol), CODECS[subprotocol])

    async def tell(self, message: Message) -> None:
        try:
            await self.socket.send(self.codec.encode(message), text=self.codec.text)
        except ConnectionClosed as end:
            raise told_by(end) from None

    async def hear(self) -> list[Message]:
        try:
            frame = await self.socket.recv()
        except ConnectionClosed as end:
            raise told_by(end) from None
        return unpacked(self.codec.decode(frame.encode() if isinstance(frame, str) else frame))

    async def close(self) -> None:
        await self.socket.close()


def told_by(end: ConnectionClosed) -> Closed:
    """What the server's close frame said, if there was one."""
    return closed(end.rcvd.code, end.rcvd.reason) if end.rcvd else closed(CUT)
