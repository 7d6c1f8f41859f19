"""permessage-deflate, with the client of the library `websockets` as the judge of what is sent."""

import asyncio
import contextlib
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from liveroom.protocol import JSON, MSGPACK
from tests.gateway.test_handshake import BINARY, CONT, TEXT, Wire, frame, hello, say, silence, upgrade
from tests.house import House, Node, guests, join, make_room, token

OFFER = "Sec-WebSocket-Extensions: permessage-deflate"
DECODE: dict[str, Callable[[Any], Any]] = {JSON: json.loads, MSGPACK: msgspec.msgpack.decode}
ENCODE: dict[str, Callable[[Any], Any]] = {JSON: json.dumps, MSGPACK: msgspec.msgpack.encode}


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node that compresses."""
    house = House(tmp_path_factory.mktemp("tight") / "data")
    try:
        yield house.node(compression="on", lite_ms=200, min_ms=400)
    finally:
        house.stop()


@pytest.fixture(autouse=True)
def quiet(tight: Node) -> Iterator[None]:
    with silence(tight):
        yield


def squeezed(payload: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-15)
    return (squeeze.compress(payload) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]


@contextlib.contextmanager
def agreed(node: Node, room: str, *headers: str) -> Iterator[Wire]:
    """A socket on which compression was agreed, and nothing said yet."""
    with Wire(node, upgrade(node, room, OFFER, *headers)) as wire:
        status, head = wire.head()
        assert status == 101
        assert "permessage-deflate; server_no_context_takeover; client_no_context_takeover" in head
        yield wire


def raw_frame(wire: Wire) -> tuple[int, bytes]:
    """First byte and payload of the next frame, as it is on the wire."""
    first, size = wire.take(2) or b"\0\0"
    if size > 125:
        size = int.from_bytes(wire.take(2 if size == 126 else 8) or b"")
    return first, wire.take(size) or b""


async def seat(node: Node, room: str, subprotocol: str, sub: str, **fields: Any) -> ClientConnection:
    socket = await connect(
        f"ws{node.url.removeprefix('http')}/v1/rooms/{room}/ws",
        subprotocols=[Subprotocol(subprotocol)],
        compression="deflate",
        proxy=None,
    )
    await socket.send(ENCODE[subprotocol]({"t": "hello", "token": token(room, sub=sub), **fields}))
    return socket


async def until(socket: ClientConnection, subprotocol: str, text: str) -> list[dict[str, Any]]:
    """All messages up to this notice."""
    heard: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        while not heard or heard[-1].get("text") != text:
            said = DECODE[subprotocol](await socket.recv())
            for one in said if isinstance(said, list) else [said]:
                heard.append(one)
                if one.get("text") == text and one["t"] == "room.notice":
                    break
    return heard


@pytest.mark.parametrize("profile", ["full", "lite", "min"])
@pytest.mark.parametrize("subprotocol", [JSON, MSGPACK])
def test_a_library_reads_all_that_is_said_in_every_profile(tight: Node, subprotocol: str, profile: str):
    async def show() -> None:
        room = make_room(tight)
        async with guests(join(tight, room, "host")) as (host,):
            for n in range(15):
                await host.say(f"spoken before {n}")
            await host.hear("chat.message", text="spoken before 14")
            socket = await seat(tight, room, subprotocol, "ann", profile=profile)
            welcome = DECODE[subprotocol](await socket.recv())
            (extension,) = socket.protocol.extensions
            assert extension.name == "permessage-deflate"
            for n in range(15):
                notice = f"notice {n} ".ljust(200, "茶")
                await asyncio.gather(host.say(f"words {n}"), host.ask("room.notice", text=notice))
            await host.ask("room.notice", text="end")
            await asyncio.sleep(1)  # comments of lite come by the second
            await host.ask("room.notice", text="really")
            heard = await until(socket, subprotocol, "really")
            assert [one["text"] for one in welcome["snapshot"]["chat"]] == [f"spoken before {n}" for n in range(15)]
            assert [one["seq"] for one in heard if one["t"] == "room.notice"] == list(range(1, 18))
            if profile != "min":
                assert {f"words {n}" for n in range(15)} <= {one["text"] for one in heard if one["t"] == "chat.message"}
            await socket.send(ENCODE[subprotocol]({"t": "time.ping", "cid": 1, "c0": 5}))
            async with asyncio.timeout(10):
                while True:
                    said = DECODE[subprotocol](await socket.recv())
                    if isinstance(said, dict) and said.get("cid") == 1:
                        break
            assert (said["t"], said["c0"]) == ("time.pong", 5)
            await socket.close()

    asyncio.run(show())


def test_who_agreed_and_who_did_not_share_a_room(tight: Node):
    async def show() -> None:
        room = make_room(tight)
        sockets = [await seat(tight, room, one, f"{one} {n}") for one in (JSON, MSGPACK) for n in range(2)]
        async with guests(join(tight, room, "host"), join(tight, room)) as (host, plain):
            for n in range(5):
                await host.ask("room.notice", text=f"{n}".ljust(300, "茶"))
            await host.ask("room.notice", text="end")
            await plain.hear("room.notice", text="end")
            heard = [await until(one, one.subprotocol or "", "end") for one in sockets]
            told = [[one["text"] for one in said if one["t"] == "room.notice"] for said in heard]
            assert all(one == [f"{n}".ljust(300, "茶") for n in range(5)] + ["end"] for one in told)
        for socket in sockets:
            await socket.close()

    asyncio.run(show())


def test_what_is_small_stays_as_it_is_and_each_large_frame_can_be_read_alone(tight: Node):
    room = make_room(tight)
    with agreed(tight, room) as wire, Wire(tight, upgrade(tight, room)) as host:
        host.head()
        host.send(hello(token(room, "host")))
        host.hear("welcome")
        wire.send(hello(token(room)))
        raw_frame(wire)  # the welcome
        texts = ["x" * 10, *(f"{n} ".ljust(390, "茶") for n in range(3))]
        for n, text in enumerate(texts):
            host.send(say({"t": "room.notice", "text": text, "cid": n}))
            host.reply(n)
        found: list[dict[str, Any]] = []
        while texts[-1] not in [one.get("text") for one in found]:
            first, payload = raw_frame(wire)
            assert first in (0x81, 0xC1, 0x89)
            if first == 0xC1:
                plain = zlib.decompressobj(wbits=-12).decompress(payload + b"\x00\x00\xff\xff")
                assert len(payload) < 0.9 * len(plain)
                assert len(plain) >= 128
                payload = plain
            if first != 0x89:
                said = json.loads(payload)
                news = said if isinstance(said, list) else [said]
                assert first == 0xC1 or not {one.get("text") for one in news} & set(texts[1:])
                assert first == 0x81 or len(payload) >= 128
                found += news
        assert [one["text"] for one in found if one["t"] == "room.notice"] == texts


@pytest.mark.parametrize("bits", [8, 9, 11])
def test_an_offer_of_a_small_window_is_declined(tight: Node, bits: int):
    with Wire(tight, upgrade(tight, "demo", f"{OFFER}; server_max_window_bits={bits}")) as wire:
        status, head = wire.head()
        assert (status, "extensions" in head.lower()) == (101, False)
        wire.send(hello(token()))
        assert wire.hear("welcome")["recovered"] is False


@pytest.mark.parametrize("bits", [12, 15])
def test_a_window_that_is_large_enough_is_agreed(tight: Node, bits: int):
    with Wire(tight, upgrade(tight, "demo", f"{OFFER}; server_max_window_bits={bits}; client_max_window_bits")) as wire:
        status, head = wire.head()
        assert (status, f"server_max_window_bits={bits}" in head) == (101, True)
        assert "client_max_window_bits" not in head


@pytest.mark.parametrize("offer", ["x-y", "permessage-deflate; x", "permessage-deflate; server_max_window_bits=99"])
def test_what_is_no_offer_is_no_obstacle(tight: Node, offer: str):
    with Wire(tight, upgrade(tight, "demo", f"Sec-WebSocket-Extensions: {offer}")) as wire:
        status, head = wire.head()
        assert (status, "extensions" in head.lower()) == (101, False)


def test_a_client_may_compress_or_not(tight: Node):
    room = make_room(tight)
    with agreed(tight, room) as wire:
        wire.send(frame(squeezed(json.dumps({"t": "hello", "token": token(room)}).encode()), rsv=0x40))
        raw_frame(wire)
        for n, rsv in enumerate((0x40, 0, 0x40)):
            ping = json.dumps({"t": "time.ping", "c0": n, "cid": n}).encode()
            body = squeezed(ping) if rsv else ping
            wire.send(frame(body[:9], rsv=rsv, fin=False), frame(body[9:], CONT))
            while (said := json.loads(raw_frame(wire)[1])).get("cid") != n:
                pass
            assert said["c0"] == n


@pytest.mark.parametrize(
    ("said", "code"),
    [
        pytest.param(frame(squeezed(b" " * 4097), rsv=0x40), 1009, id="a byte too much"),
        pytest.param(frame(squeezed(b" " * 3_000_000), rsv=0x40), 1009, id="a bomb"),
        pytest.param(
            frame(squeezed(b" " * 9000)[:8], rsv=0x40, fin=False) + frame(squeezed(b" " * 9000)[8:], CONT),
            1009,
            id="a bomb in parts",
        ),
        pytest.param(frame(b"\xff" * 20, rsv=0x40), 1002, id="no deflate"),
        pytest.param(frame(squeezed(b"\xff{}"), rsv=0x40), 1007, id="no text"),
        pytest.param(frame(squeezed(b"{"), rsv=0x40), 4501, id="no message"),
        pytest.param(frame(squeezed(b"\x80"), BINARY, rsv=0x40), 4501, id="the wrong kind"),
        pytest.param(frame(squeezed(b"{}"), 0x9, rsv=0x40), 1002, id="a compressed ping"),
        pytest.param(frame(b"{", TEXT, fin=False) + frame(squeezed(b"}"), CONT, rsv=0x40), 1002, id="a compressed end"),
    ],
)
def test_bad_compressed_frames_get_a_close_code(tight: Node, said: bytes, code: int):
    with agreed(tight, "demo") as wire:
        wire.send(hello(token()), said)
        first, payload = raw_frame(wire)
        while first != 0x88:
            first, payload = raw_frame(wire)
            assert first, "the end came without a close frame"
        assert struct.unpack("!H", payload[:2]) == (code,)
