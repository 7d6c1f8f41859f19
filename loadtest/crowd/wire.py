"""One WebSocket for one user: the sans-I/O client of `websockets` on a plain socket, cooperative under gevent."""

import socket
import ssl
import threading
from contextlib import suppress
from urllib.parse import quote

import msgspec
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidState
from websockets.frames import DATA_OPCODES, Frame
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

CUT = 1006  # RFC 6455: the connection ended without a close frame
READ = 64 * 1024
PATIENCE_SECONDS = 10.0
SUBPROTOCOL = Subprotocol("liveroom.v1.json")


def address(url: str, room: str) -> str:
    return f"ws{url.rstrip('/').removeprefix('http')}/v1/rooms/{quote(room, safe='')}/ws"


class Ended(Exception):
    """The connection is over; `code` is the close code, or the HTTP status of a refused handshake."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"closed with {code}{': ' if reason else ''}{reason}")
        self.code = code


class Wire:
    """An open connection. One greenlet hears; any may tell."""

    def __init__(self, address: str) -> None:
        """Raises Ended or OSError."""
        uri = parse_uri(address)
        self.protocol = ClientProtocol(uri, subprotocols=[SUBPROTOCOL])
        self.sock = socket.create_connection((uri.host, uri.port), PATIENCE_SECONDS)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if uri.secure:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=uri.host)
        self.sending = threading.Lock()
        self.frames: list[bytes] = []
        self.status = 0  # of the handshake
        self.protocol.send_request(self.protocol.connect())
        self.shake_hands()

    def shake_hands(self) -> None:
        self.flush()
        while self.protocol.state is State.CONNECTING and not self.protocol.handshake_exc:
            self.read()
        if self.protocol.handshake_exc:
            self.sock.close()
            raise Ended(self.status)
        self.sock.settimeout(None)

    def tell(self, message: object) -> None:
        """Raises Ended."""
        self.put(msgspec.json.encode(message))

    def put(self, data: bytes, *, text: bool = True) -> None:
        """A frame as it is. Raises Ended."""
        try:
            (self.protocol.send_text if text else self.protocol.send_binary)(data)
            self.flush()
        except (OSError, InvalidState):
            raise self.ended() from None

    def hear(self) -> list[bytes]:
        """The payloads that came, at least one. Raises Ended."""
        while not self.frames:
            self.read()
        heard, self.frames = self.frames, []
        return heard

    def read(self) -> None:
        """One recv, and what is to be answered to it."""
        try:
            data = self.sock.recv(READ)
            if data:
                self.protocol.receive_data(data)
            else:
                self.protocol.receive_eof()
            self.flush()
        except OSError:
            raise self.ended() from None
        for event in self.protocol.events_received():
            if isinstance(event, Response):
                self.status = event.status_code
            elif isinstance(event, Frame) and event.opcode in DATA_OPCODES:
                self.frames.append(bytes(event.data))
        if not data and not self.frames:
            raise self.ended()

    def flush(self) -> None:
        with self.sending:
            for data in self.protocol.data_to_send():
                if data:
                    self.sock.sendall(data)

    def ended(self) -> Ended:
        self.sock.close()
        said = self.protocol.close_rcvd
        return Ended(said.code, said.reason) if said else Ended(CUT)

    def close(self) -> None:
        """Politely."""
        with suppress(OSError, InvalidState):
            self.protocol.send_close(1000)
            self.flush()
        self.drop()

    def drop(self) -> None:
        """As a lost network would; whoever still hears is told that it ended."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
