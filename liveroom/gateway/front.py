"""The first bytes of every connection: HTTP with deadlines, until it turns out to be a viewer's socket."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from websockets.datastructures import Headers
from websockets.http11 import Request

if TYPE_CHECKING:
    from liveroom.gateway.gateway import Gateway

MOST_HEADER_BYTES = 16 * 1024
MOST_PIPELINED = 8  # requests that wait for the answer to an earlier one
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Front(HttpToolsProtocol):
    """uvicorn's HTTP, with what it leaves open closed.

    A connection has ``header_start_seconds`` to say its first byte and
    ``header_seconds`` to end its headers, which have a size, and again for the body;
    what frames the body (the sizes of chunks, trailers) has that size too, and trailers are dropped;
    few requests may wait for an earlier answer; who reads nothing of his answers is cut;
    bytes behind an upgrade request are handed on; and nothing of this object outlives the upgrade.
    """

    gateway: Gateway

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self.framing_bytes = 0  # of the message under way: all but its body
        self.body_bytes = 0  # of what was received last
        self.under_way = self.reading_head = self.ended = self.refusing = False
        self.deadline: asyncio.TimerHandle | None = None
        self.look_again: asyncio.TimerHandle | None = None  # whether an answer is being read
        self.expect_within(self.gateway.settings.header_start_seconds)

    def expect_within(self, seconds: float) -> None:
        self.expect_nothing()
        self.deadline = self.loop.call_later(seconds, self.too_late)

    def expect_nothing(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None

    def too_late(self) -> None:
        self.deadline = None
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        if self.refusing:
            return None
        self._unset_keepalive_if_required()
        self.ended, self.body_bytes = False, 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                return self.become_viewer(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            return self.refuse(BAD_REQUEST)
        if not self.under_way:
            return self.expect_more()
        if not self.ended:  # so all of it was of one message
            self.framing_bytes += len(data) - self.body_bytes
            if self.framing_bytes > MOST_HEADER_BYTES:
                self.refuse(b"" if self.is_answered() and not self.reading_head else TOO_LARGE)
        return None

    def expect_more(self) -> None:
        """What came ended the wait for another request, but is none: the end of a body behind its answer, or CRLF."""
        if self.deadline is None and self.is_answered() and not self.refusing:
            self.expect_within(self.gateway.settings.header_seconds)

    def is_answered(self) -> bool:
        """Nothing that was asked up to now waits for its answer."""
        return self.cycle is None or self.cycle.response_complete

    def refuse(self, answer: bytes) -> None:
        """Say why, and hear no more."""
        self.expect_nothing()
        if not self.refusing:
            self.refusing = True
            self.transport.write(answer)
            self.transport.close()

    def on_message_begin(self) -> None:
        self.framing_bytes = 0
        self.under_way = self.reading_head = True
        self.expect_within(self.gateway.settings.header_seconds)
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.reading_head:  # else it is a trailer
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self.reading_head = False
        self.expect_within(self.gateway.settings.header_seconds)  # for the body
        if self.refusing:
            return
        if sum(len(name) + len(value) + 4 for name, value in self.headers) + len(self.url) > MOST_HEADER_BYTES:
            self.refuse(TOO_LARGE)
        elif len(self.pipeline) >= MOST_PIPELINED:
            self.refuse(BAD_REQUEST)
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)
        if not self.refusing:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self.under_way, self.ended = False, True
        self.expect_nothing()
        if not self.refusing:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.look_for_reader()
        if self.pipeline and not self.transport.is_closing():
            self.flow.pause_reading()  # until the last of what was sent at once is answered

    def look_for_reader(self, before: float = inf) -> None:
        """Cut who leaves what waits for him, ``before`` bytes at the last look: a close would wait for ever."""
        left = self.transport.get_write_buffer_size()
        if left >= before:
            self.transport.abort()
        elif left:
            self.stop_looking()
            self.look_again = self.loop.call_later(self.gateway.settings.header_seconds, self.look_for_reader, left)

    def stop_looking(self) -> None:
        if self.look_again is not None:
            self.look_again.cancel()
            self.look_again = None

    def become_viewer(self, leftover: bytes) -> None:
        """Hand the transport over, with the request as the WebSocket handshake wants it."""
        self.expect_nothing()
        self.stop_looking()
        if self.refusing:
            return
        if not self.is_answered():
            return self.refuse(BAD_REQUEST)  # an answer is still to be written
        self.connections.discard(self)
        headers = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers)
        version = f"HTTP/{self.parser.get_http_version()}"
        request = Request(self.url.decode("latin-1"), headers, method=self.scope["method"], protocol=version)
        viewer = self.gateway.viewer()
        self.transport.set_protocol(viewer)
        viewer.connection_made(self.transport)
        viewer.shake_hands(request)
        if leftover:
            viewer.data_received(leftover)
        self.let_go()

    def let_go(self) -> None:
        """Cut the references by which parser, transport and this object keep each other alive."""
        nothing: Any = None
        self.parser = self.transport = self.flow = self.scope = self.headers = nothing

    def connection_lost(self, exc: Exception | None) -> None:
        self.expect_nothing()
        self.stop_looking()
        super().connection_lost(exc)


def front_of(gateway: Gateway) -> type[Front]:
    """The class that uvicorn makes an object of for each connection."""
    return type("Front", (Front,), {"gateway": gateway})
