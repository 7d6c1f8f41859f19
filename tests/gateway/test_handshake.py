"""From the first byte of a connection to the welcome: HTTP that wants to become a viewer's socket, byte by byte."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from liveroom.protocol import JSON, MSGPACK
from tests.house import SECRET, House, Node, guests, join, make_room, open_socket, token

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
KEY = "dGhlIHNhbXBsZSBub25jZQ=="

Message = dict[str, Any]


def frame(
    payload: bytes = b"", opcode: int = TEXT, *, fin: bool = True, rsv: int = 0, mask: bool = True, length: int = -1
) -> bytes:
    """A client's frame, right or wrong in whatever way; masked with zeros, so that it can be read in a dump."""
    size = len(payload) if length < 0 else length
    first, bit = (0x80 if fin else 0) | rsv | opcode, 0x80 if mask else 0
    if size < 126:
        head = struct.pack("!BB", first, bit | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    return head + (bytes(4) if mask else b"") + payload


def say(message: object) -> bytes:
    return frame(json.dumps(message).encode())


def hello(secret: str, **fields: Any) -> bytes:
    return say({"t": "hello", "token": secret, **fields})


def upgrade(node: Node, room: str, *headers: str, path: str = "", method: str = "GET", version: str = "1.1") -> bytes:
    """The request that asks to become a socket; ``headers`` are whole lines, more or instead."""
    lines = {
        "host": "Host: {}:{}".format(*node.address),
        "upgrade": "Upgrade: websocket",
        "connection": "Connection: Upgrade",
        "sec-websocket-version": "Sec-WebSocket-Version: 13",
        "sec-websocket-key": f"Sec-WebSocket-Key: {KEY}",
    }
    more = [line for line in headers if line.split(":")[0].lower() not in lines]
    lines |= {line.split(":")[0].lower(): line for line in headers if line not in more}
    first = f"{method} {path or f'/v1/rooms/{room}/ws'} HTTP/{version}"
    return "\r\n".join([first, *(line for line in lines.values() if line.split(": ")[1]), *more, "", ""]).encode()


def signed(claims: Message, header: Message | None = None, secret: str = SECRET) -> str:
    """A token as a careless shop would make it: JSON.stringify and an HMAC, nothing checked."""
    said = {"sub": "u1", "room": "*", "role": "viewer", "exp": time.time() + 3600, "aud": "liveroom", "iss": "liveroom"}
    parts = [json.dumps(header or {"alg": "HS256"}).encode(), json.dumps(said | claims).encode()]
    head = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    mac = hmac.digest(secret.encode(), head.encode(), hashlib.sha256)
    return f"{head}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


class Wire:
    """A TCP connection that says exactly what it is told to, and reads what a server may send."""

    def __init__(self, node: Node, *parts: bytes, buffer: int = 0) -> None:
        self.socket = socket.socket()
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(10)
        self.socket.connect(node.address)
        self.unread = b""
        self.heard: list[Message] = []
        self.closed: int | None = None
        self.reason = b""
        self.send(*parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def read(self) -> bool:
        """Some more bytes; False at the end."""
        try:
            got = self.socket.recv(65536)
        except ConnectionError:
            got = b""
        self.unread += got
        return bool(got)

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        while self.read():
            pass
        return self.unread

    def head(self) -> tuple[int, str]:
        """Status and headers of an HTTP answer; (0, "") if there was none."""
        while b"\r\n\r\n" not in self.unread:
            if not self.read():
                return 0, ""
        head, _, self.unread = self.unread.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 "), head
        return int(head.split()[1]), head.decode()

    def take(self, count: int) -> bytes | None:
        while len(self.unread) < count:
            if not self.read():
                return None
        taken, self.unread = self.unread[:count], self.unread[count:]
        return taken

    def frame(self) -> tuple[int, bytes] | None:
        """Opcode and payload of the next frame; None at the end."""
        head = self.take(2)
        if head is None:
            return None
        assert head[0] & 0xF0 == 0x80, f"fragmented, or reserved bits: {head!r}{self.unread[:80]!r}"
        assert head[1] < 128, "servers do not mask"
        more = {126: 2, 127: 8}.get(head[1], 0)
        size = int.from_bytes(self.take(more) or b"") if more else head[1]
        payload = self.take(size)
        return None if payload is None else (head[0] & 0xF, payload)

    def listen(self) -> list[Message]:
        """The messages of the next data frame, kept in ``heard`` too; notes how the connection ended."""
        while (got := self.frame()) is not None:
            opcode, payload = got
            if opcode == CLOSE:
                self.closed, self.reason = int.from_bytes(payload[:2]), payload[2:]
                return []
            if opcode == PING:
                self.send(frame(payload, PONG))
            if opcode in (TEXT, BINARY):
                said = json.loads(payload) if opcode == TEXT else msgspec.msgpack.decode(payload)
                messages = said if isinstance(said, list) else [said]
                self.heard += messages
                return messages
        self.closed = 1006
        return []

    def hear(self, kind: str, **fields: Any) -> Message:
        """The next message of a kind that is not heard yet."""
        while self.closed is None:
            if found := [one for one in self.listen() if one["t"] == kind and fields.items() <= one.items()]:
                return found[0]
        raise AssertionError(f"closed with {self.closed} {self.reason!r} before {kind} {fields}: {self.heard[-3:]}")

    def reply(self, cid: int) -> Message:
        while self.closed is None:
            if found := [one for one in self.listen() if one.get("cid") == cid]:
                return found[0]
        raise AssertionError(f"closed with {self.closed} {self.reason!r} before the reply {cid}")

    def ends(self) -> int:
        """The close code, once it comes; 1006 if the end came without one."""
        while self.closed is None:
            self.listen()
        return self.closed

    def lives(self) -> None:
        """Fails unless the socket still answers."""
        self.send(say({"t": "time.ping", "c0": 0, "cid": 4711}))
        assert self.reply(4711)["t"] in ("time.pong", "error")


def seated(node: Node, room: str, role: str = "viewer", sub: str = "", *, buffer: int = 0, **claims: Any) -> Wire:
    """A welcomed viewer."""
    wire = Wire(node, upgrade(node, room), hello(token(room, role, sub, **claims)), buffer=buffer)
    assert wire.head()[0] == 101
    wire.hear("welcome")
    return wire


@contextlib.contextmanager
def silence(node: Node) -> Iterator[None]:
    """Nothing that a client does is an error of the server."""
    before = len(node.said)
    yield
    news = node.said[before:]
    assert "Traceback" not in news, news
    assert "error" not in news, news


@pytest.fixture(autouse=True)
def quiet(node: Node) -> Iterator[None]:
    with silence(node):
        yield


@pytest.fixture(scope="module")
def brisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node with little patience."""
    house = House(tmp_path_factory.mktemp("brisk") / "data")
    try:
        node = house.node(
            header_start_seconds=0.5,
            header_seconds=1,
            hello_seconds=1,
            close_seconds=0.5,
            origins="https://shop.example,http://localhost:5173",
        )
        with silence(node):
            yield node
    finally:
        house.stop()


# --- subprotocols ---


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([], None),
        ([JSON], JSON),
        ([MSGPACK], MSGPACK),
        (["graphql-ws", MSGPACK], MSGPACK),
        ([MSGPACK, JSON], MSGPACK),
        (["other", JSON, MSGPACK], JSON),
    ],
)
def test_the_first_subprotocol_that_is_known_is_spoken(node: Node, offered: list[str], chosen: str | None):
    async def show() -> None:
        url = f"ws{node.url.removeprefix('http')}/v1/rooms/demo/ws"
        async with connect(url, subprotocols=[Subprotocol(one) for one in offered] or None, proxy=None) as wire:
            assert wire.subprotocol == chosen
            said = {"t": "hello", "token": token()}
            await wire.send(msgspec.msgpack.encode(said) if chosen == MSGPACK else json.dumps(said))
            assert isinstance(await wire.recv(), bytes if chosen == MSGPACK else str)

    asyncio.run(show())


@pytest.mark.parametrize("offered", ["graphql-ws", "liveroom.v2.json", "LIVEROOM.V1.JSON", "a, b", "json, msgpack"])
def test_only_unknown_subprotocols_are_http_400(node: Node, offered: str):
    with Wire(node, upgrade(node, "demo", f"Sec-WebSocket-Protocol: {offered}")) as wire:
        status, head = wire.head()
        assert status == 400
        assert "\r\nConnection: close" in head
        assert offered not in head
        assert JSON in wire.rest().decode()


def test_compression_is_declined(node: Node):
    with Wire(node, upgrade(node, "demo", "Sec-WebSocket-Extensions: permessage-deflate")) as wire:
        status, head = wire.head()
        assert status == 101
        assert "extensions" not in head.lower()


def test_messagepack_and_json_viewers_share_a_room(node: Node):
    async def show() -> None:
        room = make_room(node)
        async with guests(join(node, room, sub="ann")) as (ann,), await open_socket(node, room, MSGPACK) as bob:

            async def hear(kind: str) -> Message:
                while True:
                    frame = await bob.recv()
                    assert isinstance(frame, bytes)
                    said = msgspec.msgpack.decode(frame)
                    for one in said if isinstance(said, list) else [said]:
                        if one["t"] == kind:
                            return dict(one)

            await bob.send(msgspec.msgpack.encode({"t": "hello", "token": token(room, sub="bob")}))
            welcome = await hear("welcome")
            assert welcome["viewer"] == {"id": "bob", "name": "bob", "role": "viewer"}
            assert welcome["snapshot"]["settings"]["mode"] == "open"
            await ann.say("from 茶 to msgpack")
            assert (await hear("chat.message"))["text"] == "from 茶 to msgpack"
            await bob.send(msgspec.msgpack.encode([{"t": "chat.say", "cid": 1, "text": "and back"}]))
            assert (await ann.hear("chat.message", **{"from": "bob"}))["text"] == "and back"
            await bob.send(msgspec.msgpack.encode({"t": "time.ping", "cid": 2, "c0": 1.5}))
            assert (await hear("time.pong"))["c0"] == 1.5

    asyncio.run(show())


# --- origins ---


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://shop.example", 101),
        ("http://localhost:5173", 101),
        ("http://localhost:9999", 101),  # --dev
        ("http://127.0.0.1", 101),  # --dev
        ("https://evil.example", 403),
        ("http://shop.example", 403),
        ("https://shop.example.evil.example", 403),
        ("null", 403),
        ("file://", 403),
        ("http://localhost.evil.example", 403),
        ("http://localhost@evil.example", 403),
        ("http://[::1", 403),
        ("\u00e9", 403),
        ("", 403),
    ],
)
def test_a_browser_comes_from_an_allowed_origin_or_not_at_all(brisk: Node, origin: str, status: int):
    with Wire(brisk, upgrade(brisk, "demo", f"Origin: {origin}")) as wire:
        assert wire.head()[0] == status


def test_no_origin_is_no_browser(brisk: Node):
    with Wire(brisk, upgrade(brisk, "demo")) as wire:
        assert wire.head()[0] == 101


def test_two_origins_are_none_that_is_allowed(brisk: Node):
    with Wire(brisk, upgrade(brisk, "demo", "Origin: https://shop.example", "Origin: https://evil.example")) as wire:
        assert wire.head()[0] == 403


# --- the request ---


@pytest.mark.parametrize(
    "path",
    [
        "/v1/rooms/../ws",
        "/v1/rooms/..%2f..%2fetc/ws",
        "/v1/rooms/%2e%2e/ws",
        "/v1/rooms/a%0a/ws",
        "/v1/rooms/a%0d%0aSet-Cookie:%20x/ws",
        "/v1/rooms/a%00/ws",
        "/v1/rooms/a%20b/ws",
        "/v1/rooms/%e8%8c%b6/ws",
        "/v1/rooms/{00}:x/ws",
        "/v1/rooms/*/ws",
        "/v1/rooms//ws",
        "/v1/rooms/demo/ws/",
        "/v1/rooms/demo/WS",
        f"/v1/rooms/{'a' * 65}/ws",
        "/v2/rooms/demo/ws",
        "/",
        "/livez",
        "/dev/token",
    ],
)
def test_a_path_that_is_no_room_is_404(node: Node, path: str):
    with Wire(node, upgrade(node, "", path=path)) as wire:
        status, head = wire.head()
        assert status == 404
        assert "set-cookie" not in head.lower()


def test_the_longest_room_id_and_a_query_are_fine(node: Node):
    with Wire(node, upgrade(node, "", path=f"/v1/rooms/{'a' * 64}/ws?x=/../%00")) as wire:
        assert wire.head()[0] == 101


@pytest.mark.parametrize(
    "change",
    [
        {"headers": ["Sec-WebSocket-Version: 8"]},
        {"headers": ["Sec-WebSocket-Version: "]},
        {"headers": ["Sec-WebSocket-Key: "]},
        {"headers": ["Sec-WebSocket-Key: short"]},
        {"headers": ["sec-websocket-key2: x", "Sec-WebSocket-Key: !!!!"]},
        {"method": "POST"},
        {"method": "PUT"},
        {"version": "1.0"},
    ],
)
def test_a_wrong_handshake_is_refused_with_4xx_or_505(node: Node, change: dict[str, Any]):
    headers = change.pop("headers", [])
    with Wire(node, upgrade(node, "demo", *headers, **change)) as wire:
        status, _ = wire.head()
        assert 400 <= status < 500 or status == 505
        wire.rest()


@pytest.mark.parametrize(
    "request_",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /livez HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
        b"GET /livez HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/rooms HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/rooms HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /v1/rooms HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_400_and_closed(node: Node, request_: bytes):
    with Wire(node, request_) as wire:
        assert wire.head()[0] == 400
        wire.rest()


def test_two_lengths_of_one_body_smuggle_nothing(node: Node):
    hidden = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"POST /v1/rooms HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Wire(node, head, b"0\r\n\r\n", hidden) as wire:
        answer = wire.rest()
        assert answer.startswith(b"HTTP/1.1 400")
        assert answer.count(b"HTTP/1.1 ") == 1


def test_pipelined_requests_are_answered_in_order(node: Node):
    with Wire(node, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/nowhere HTTP/1.1\r\nHost: x\r\n\r\n") as wire:
        assert wire.head()[0] == 200
        while b"HTTP/1.1 404" not in wire.unread:
            assert wire.read()
        assert wire.unread.index(b'"live"') < wire.unread.index(b"HTTP/1.1 404")


@pytest.mark.parametrize("path", ["/livez", "/v1/rooms/demo/ws"])
@pytest.mark.parametrize("pieces", [1, 3, 40])
def test_more_than_16_kib_of_headers_are_431(node: Node, path: str, pieces: int):
    request = upgrade(node, "", *[f"X-{n}: {'a' * 1000}" for n in range(20)], path=path)
    size = len(request) // pieces + 1
    with Wire(node) as wire:
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(request), size):
                wire.send(request[start : start + size])
                if pieces > 1:
                    time.sleep(0.01)
        assert wire.head()[0] == 431
        wire.rest()


def test_15_kib_of_headers_are_fine(node: Node):
    with Wire(node, upgrade(node, "demo", *[f"X-{n}: {'a' * 1000}" for n in range(15)])) as wire:
        assert wire.head()[0] == 101


CHUNKED = b"POST /v1/rooms HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
FRAMINGS: dict[str, tuple[bytes, bytes]] = {  # what is said, what then goes on
    "trailers": (b"2\r\n{}\r\n0\r\n", b"X: " + b"y" * 20 + b"\r\n"),
    "a trailer's name": (b"0\r\n", b"y" * 25),
    "a trailer's value": (b"0\r\nX: ", b"y" * 25),
    "an extension of a chunk": (b"2;", b"y" * 25),
    "chunks of one byte": (b"", b"1\r\n \r\n" * 5),
}


@pytest.mark.parametrize(("said", "more"), FRAMINGS.values(), ids=FRAMINGS)
@pytest.mark.parametrize("answered", [True, False])
def test_what_frames_a_body_may_have_16_kib_too(node: Node, said: bytes, more: bytes, answered: bool):
    with Wire(node, CHUNKED if answered else CHUNKED[:-2]) as wire:
        if answered:  # without a token no body is waited for
            assert wire.head()[0] == 401
        wire.send(b"" if answered else b"Authorization: Bearer %b\r\n\r\n" % token("*", "service").encode())
        with contextlib.suppress(ConnectionError):
            wire.send(said)
            for _ in range(10):
                wire.send(more * 200)
                time.sleep(0.01)
        wire.socket.settimeout(3)  # less than a silent connection is kept
        assert answered or wire.head()[0] == 431
        assert wire.rest().count(b"HTTP/1.1 ") == 0


def test_a_body_of_a_few_chunks_with_extensions_and_trailers_is_read(node: Node):
    head = CHUNKED.replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer %b\r\n\r\n" % token("*", "service").encode())
    with Wire(node, head, b'7;by=me\r\n{"id":1\r\n', b"1\r\n}\r\n" b"0\r\nX-Sum: 1\r\n\r\n") as wire:
        assert wire.head()[0] == 400
        while b"BAD_MESSAGE" not in wire.unread:
            assert wire.read()
        wire.unread = b""
        wire.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert wire.head()[0] == 200


def test_a_trailer_is_no_header(node: Node):
    trailer = b"Authorization: Bearer %b\r\n" % token("*", "service").encode()
    with Wire(node, CHUNKED, b'15\r\n{"id":"x","title":""}\r\n0\r\n', trailer, b"\r\n") as wire:
        assert wire.head()[0] == 401


# --- bytes behind the request ---


def test_a_hello_in_the_same_packet_as_the_request_is_not_lost(node: Node):
    with Wire(node, upgrade(node, "demo"), hello(token()), say({"t": "time.ping", "c0": 0})[:3]) as wire:
        assert wire.head()[0] == 101
        assert wire.hear("welcome")["room"]["id"] == "demo"


def test_a_hello_behind_a_request_that_came_in_pieces_is_not_lost(node: Node):
    whole = upgrade(node, "demo") + hello(token())
    behind = whole.index(b"\r\n\r\n") + 4
    for cut in (1, 20, behind - 1, behind, behind + 1, behind + 3, len(whole) - 1):
        with Wire(node, whole[:cut]) as wire:
            time.sleep(0.02)
            wire.send(whole[cut:])
            assert wire.head()[0] == 101
            wire.hear("welcome")


def test_a_frame_may_come_byte_by_byte(node: Node):
    with Wire(node, upgrade(node, "demo")) as wire:
        assert wire.head()[0] == 101
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in hello(token()):
            wire.send(bytes([byte]))
        wire.hear("welcome")


def test_a_request_pipelined_before_the_upgrade_is_not_answered_inside_the_socket(node: Node):
    slow = f"GET /v1/rooms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token('*', 'service')}\r\n\r\n".encode()
    with Wire(node, slow, upgrade(node, "demo"), hello(token())) as wire:
        wire.socket.settimeout(1)
        with contextlib.suppress(TimeoutError):
            wire.rest()
        _, _, behind = wire.unread.partition(b"HTTP/1.1 101")
        assert b"HTTP/1.1 " not in behind


# --- patience ---


def held(node: Node, *said: bytes, drip: bytes = b"", most: float = 6) -> float:
    """Seconds until the server ends a connection that goes on like this."""
    began = time.monotonic()
    with Wire(node, *said) as wire:
        wire.socket.settimeout(0.1)
        while (taken := time.monotonic() - began) < most:
            try:
                if not wire.read():
                    break
            except TimeoutError:
                with contextlib.suppress(ConnectionError):
                    wire.send(drip)
    return taken


HALVES: dict[str, tuple[float, bytes, bytes]] = {  # how long it may take, what is said, what then drips
    "nothing": (0.5, b"", b""),
    "half a header": (1, b"GET /livez HTTP/1.1\r\nHo", b""),
    "one byte": (1, b"G", b""),
    "a drip": (1, b"GET /livez HTTP/1.1\r\nX: ", b"a"),
    "a drip behind a good request": (1.5, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /", b"a"),
    "new lines behind an answer": (1, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n"),
    "the end of a body behind its answer": (1, b"POST /v1/rooms HTTP/1.1\r\nContent-Length: 2\r\n\r\n", b"\r\n"),
    "half an upgrade": (1, b"GET /v1/rooms/demo/ws HTTP/1.1\r\nUpgrade: websocket\r\n", b""),
}


def test_half_a_header_is_waited_for_a_little(brisk: Node):
    with ThreadPoolExecutor(len(HALVES)) as pool:
        taken = pool.map(lambda half: held(brisk, half[1], drip=half[2], most=5), HALVES.values())
        for (name, (patience, _, _)), seconds in zip(HALVES.items(), taken, strict=True):
            assert seconds < 3 * patience, name


def test_a_body_that_does_not_come_is_not_waited_for_for_ever(brisk: Node):
    head = f"POST /v1/rooms HTTP/1.1\r\nAuthorization: Bearer {token('*', 'service')}\r\nContent-Length: 9\r\n\r\n"
    assert held(brisk, head.encode(), most=3) < 3


PAGES = b"GET /rounds.js HTTP/1.1\r\nHost: x\r\n\r\n" * 9  # more than the kernel takes for a small window


def test_who_reads_nothing_of_his_answers_is_cut(brisk: Node):
    with Wire(brisk, PAGES, buffer=4096) as wire:
        time.sleep(5)
        assert wire.rest().count(b"HTTP/1.1 200") < 9


INSTEAD_OF_HELLO: dict[str, tuple[bytes, bytes]] = {  # what is said, what then drips
    "nothing": (b"", b""),
    "pings": (frame(b"", PING), frame(b"", PING)),
    "an unfinished message": (frame(b"{", TEXT, fin=False), frame(b" ", CONT, fin=False)),
    "an unfinished frame": (frame(b"", TEXT, length=100), b" "),
    "empty arrays": (say([]), say([])),
    "bad hellos": (say({"t": "hello"}), say({"t": "hello"})),
}


def closed_with(node: Node, first: bytes, drip: bytes, most: float) -> int | None:
    """The close code of a viewer who goes on like this; None if there was none in time."""
    deadline = time.monotonic() + most
    with Wire(node, upgrade(node, "demo"), first) as wire:
        wire.head()
        wire.socket.settimeout(0.1)
        while wire.closed is None and time.monotonic() < deadline:
            try:
                wire.listen()
            except TimeoutError:
                wire.send(drip)
        return wire.closed


def test_no_hello_in_time_is_4408(brisk: Node):
    with ThreadPoolExecutor(len(INSTEAD_OF_HELLO)) as pool:
        codes = pool.map(lambda said: closed_with(brisk, said[0], said[1], 5), INSTEAD_OF_HELLO.values())
        assert dict(zip(INSTEAD_OF_HELLO, codes, strict=True)) == dict.fromkeys(INSTEAD_OF_HELLO, 4408)


def test_hundreds_of_half_open_handshakes_keep_nobody_out(brisk: Node):
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(Wire(brisk, b"GET /v1/rooms/demo/ws HTTP/1.1\r\nX: ")) for _ in range(400)]
        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            for wire in pool.map(lambda n: seated(brisk, "demo", sub=f"quick{n}"), range(40)):
                wire.socket.close()
        assert time.monotonic() - began < 3
        for wire in slow:
            wire.rest()
        assert time.monotonic() - began < 5


# --- what comes before the welcome ---


def knocked(node: Node, room: str, *said: bytes) -> Wire:
    wire = Wire(node, upgrade(node, room), *said)
    assert wire.head()[0] == 101
    return wire


EARLY: list[Callable[[str], bytes]] = [
    lambda good: say({"t": "chat.say", "text": "x", "cid": 1}),
    lambda good: say([{"t": "time.ping", "c0": 1}, {"t": "hello", "token": good}]),
    lambda good: say([{"t": "hello", "token": good}, {"t": "time.ping", "c0": 1}]),
    lambda good: hello(good) + say({"t": "profile.set", "profile": "min"}),
    lambda good: hello(good) + hello(good),
    lambda good: say([{"t": "hello", "token": good}] * 2),
    lambda good: say({"t": "auth.refresh", "token": good}),
]


@pytest.mark.parametrize("early", EARLY)
def test_a_command_before_the_welcome_is_4501(node: Node, early: Callable[[str], bytes]):
    with knocked(node, "demo", early(token())) as wire:
        assert wire.ends() == 4501


def test_a_second_hello_is_4501(node: Node):
    with seated(node, "demo") as wire:
        wire.send(hello(token()))
        assert wire.ends() == 4501


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"t": "hello"}, "token"),
        ({"t": "hello", "token": 5}, "token"),
        ({"t": "hello", "token": None}, "token"),
        ({"t": "hello", "token": "x", "cid": 1}, "cid"),
        ({"t": "hello", "token": "x", "more": 1}, "more"),
        ({"t": "hello", "token": "x", "profile": "huge"}, "profile"),
        ({"t": "hello", "token": "x", "source": "Tik Tok"}, "source"),
        ({"t": "hello", "token": "x", "source": "a" * 33}, "source"),
        ({"t": "hello", "token": "x", "source": "tiktok\n"}, "source"),
        ({"t": "hello", "token": "x", "resume": {"epoch": "e"}}, "resume"),
        ({"t": "hello", "token": "x", "resume": {"epoch": "e", "seq": -1}}, "resume.seq"),
        ({"t": "hello", "token": "x", "resume": {"epoch": "e", "seq": 2**53}}, "resume.seq"),
        ({"t": "hello", "token": "x", "resume": {"epoch": "e", "seq": 1.5}}, "resume.seq"),
        ({"t": "hello", "token": "x", "resume": {"epoch": "e" * 65, "seq": 1}}, "resume.epoch"),
        ({"t": "hello", "token": "x", "resume": [1]}, "resume"),
    ],
)
def test_a_malformed_hello_is_answered_and_may_be_mended(node: Node, message: Message, field: str):
    with knocked(node, "demo", say(message)) as wire:
        error = wire.hear("error")
        assert (error["code"], error["retryable"]) == ("BAD_MESSAGE", False)
        assert field in (error["params"]["field"], f"{error['params']['field']}.seq")
        wire.send(hello(token(), source="tiktok", profile="lite"))
        wire.hear("welcome")


def test_an_unknown_room_is_4504_only_for_who_has_a_good_token(node: Node):
    with knocked(node, "nowhere", hello(token("nowhere"))) as wire:
        assert wire.ends() == 4504
    with knocked(node, "nowhere", hello(token("*", "service"))) as wire:
        assert wire.ends() == 4504
    for bad in (token("demo"), token("nowhere", ttl_s=-3600), "nonsense"):
        with knocked(node, "nowhere", hello(bad)) as wire:
            assert wire.ends() == 4500


def test_a_closed_room_is_4504_only_for_who_has_a_good_token(node: Node):
    room = make_room(node)
    assert node.http("POST", f"/v1/rooms/{room}/close", token=token(room, "host"))[0] == 200
    with knocked(node, room, hello(token(room))) as wire:
        assert wire.ends() == 4504
    with knocked(node, room, hello(token("demo"))) as wire:
        assert wire.ends() == 4500


# --- coming and going in the same moment ---


def viewers(node: Node, room: str) -> int:
    return int(node.http("GET", f"/v1/rooms/{room}", token=token(room))[1]["viewers"])


def settles(node: Node, room: str, expected: int, seconds: float = 3) -> None:
    deadline = time.monotonic() + seconds
    while (got := viewers(node, room)) != expected:
        assert time.monotonic() < deadline, f"{got} viewers, not {expected}"
        time.sleep(0.05)


LEAVINGS: dict[str, Callable[[Wire], None]] = {
    "the network goes": lambda wire: wire.socket.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    ),
    "it hangs up": lambda wire: None,
    "it says goodbye": lambda wire: wire.send(frame(struct.pack("!H", 1000), CLOSE)),
    "it says nonsense": lambda wire: wire.send(frame(b"nonsense")),
    "it sends no more": lambda wire: wire.socket.shutdown(socket.SHUT_WR),
}


@pytest.mark.parametrize("leave", LEAVINGS.values(), ids=LEAVINGS)
def test_who_leaves_while_he_is_let_in_is_not_counted(node: Node, leave: Callable[[Wire], None]):
    room = make_room(node)
    for n in range(30):
        with Wire(node, upgrade(node, room), hello(token(room, sub=f"v{n}"))) as wire:
            time.sleep((0, 0.001, 0.02)[n % 3])
            with contextlib.suppress(ConnectionError):
                leave(wire)
    settles(node, room, 0)
    with seated(node, room):
        settles(node, room, 1)


def test_a_name_cut_in_the_middle_of_an_emoji_keeps_nobody_out(node: Node):
    room = make_room(node)
    wires = [knocked(node, room) for _ in range(6)]
    for n, wire in enumerate(wires):
        wire.send(hello(signed({"sub": f"v{n}", "room": room, "name": "Ann \ud83d" if n == 2 else "Bob"})))
    for n, wire in enumerate(wires):
        if n != 2:
            wire.hear("welcome")
        wire.socket.close()
    settles(node, room, 0)


def test_a_name_cut_in_the_middle_of_an_emoji_is_let_in_or_refused(node: Node):
    with knocked(node, "demo", hello(signed({"name": "Ann \ud83d"}))) as wire:
        while wire.closed is None and not wire.heard:
            wire.listen()
        assert wire.closed == 4500 or wire.heard[0]["t"] == "welcome"


@pytest.mark.parametrize("sub", ["a b c", "密" * 21, "a:b|c{00}*", "é😀", '"\\', "x" * 64])
def test_a_viewer_id_may_be_any_printable_text_of_64_bytes(node: Node, sub: str):
    room = make_room(node)
    with seated(node, room, sub=sub) as wire:
        assert wire.heard[0]["viewer"]["id"] == sub
        wire.send(say({"t": "chat.say", "text": "here", "cid": 1}))
        assert wire.hear("chat.message")["from"] == sub
        settles(node, room, 1)
    settles(node, room, 0)
