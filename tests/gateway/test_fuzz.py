"""A hundred thousand frames of nonsense against one running node, and nobody else notices."""

import contextlib
import itertools
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from liveroom.protocol import COMMANDS, MSGPACK, AuthRefresh
from tests.gateway.test_handshake import BINARY, CLOSE, CONT, PING, PONG, TEXT, Wire, frame, say, seated, upgrade
from tests.gateway.test_limits import codes, megabytes
from tests.house import House, Node, make_room, token

FRAMES = 100_000
EXAMPLES = 100
RUNS = 20  # sockets in each example
FRAMES_A_RUN = FRAMES // EXAMPLES // RUNS
ROOMS = 8

SURVIVED = [kind for kind in COMMANDS if kind is not AuthRefresh]  # a bad token closes
PLAUSIBLE: list[Any] = [1, 50, 3.5, "a", "full", "min", "lite", "look, 茶!", "0mwplcmgk02e", ["u1"], []]
NAMES = sorted({name for kind in COMMANDS for name in kind.__struct_fields__} | {"t", "token", "resume", "seq", ""})
NASTY: list[Any] = [None, True, 0, -1, 2**53, 2**64 - 1, 1.5, 1e308, "", "\u0000", "\u202e", "😀" * 200, [], {}, [[]]]

scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.text(max_size=30))
numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.one_of(scalars, numbers, st.sampled_from(NASTY)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=6,
)
messages = st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=8)), values, max_size=5)
blobs = st.binary(max_size=60)


class Luck(NamedTuple):
    """What Hypothesis draws for one example; ``seed`` puts it together in a thousand ways."""

    messages: list[dict[str, Any]]
    values: list[Any]
    blobs: list[bytes]
    seed: int


lucks = st.builds(
    Luck,
    st.lists(messages, min_size=3, max_size=12),
    st.lists(values, min_size=3, max_size=12),
    st.lists(blobs, min_size=3, max_size=12),
    st.integers(0, 2**64 - 1),
)


class Noise:
    """Frames, good ones and bad ones."""

    def __init__(self, luck: Luck, packed: bool) -> None:
        self.luck = luck
        self.random = random.Random(luck.seed)
        self.packed = packed
        self.kind = BINARY if packed else TEXT

    def message(self) -> Any:
        """Something that parses: a command with some of its fields wrong, or anything at all."""
        dice = self.random
        if dice.random() < 0.1:
            return dice.choice(self.luck.values)
        said = dict(dice.choice(self.luck.messages)) if dice.random() < 0.5 else {}
        if dice.random() < 0.8:
            kind = dice.choice(SURVIVED)
            said["t"] = str(kind.__struct_config__.tag)
            for name in kind.__struct_fields__:
                if name in ("cid", "idem") and dice.random() < 0.9:
                    continue
                if dice.random() < 0.6:
                    said[name] = dice.choice(PLAUSIBLE)
                elif dice.random() < 0.3:
                    said[name] = dice.choice(self.luck.values)
        if dice.random() < 0.3:
            said["cid"] = dice.randrange(2**53)
        if dice.random() < 0.001:
            said["t"] = dice.choice(("hello", "auth.refresh"))
        return said

    def encoded(self, message: Any) -> bytes:
        text = msgspec.msgpack.encode(message) if self.packed else json.dumps(message).encode()
        return text if len(text) <= 4096 else b"\x90" if self.packed else b"[]"

    def good(self) -> bytes:
        """A frame, or several, that a socket survives, whatever is said."""
        dice = self.random
        payload = self.encoded(self.message() if dice.random() < 0.8 else [self.message() for _ in range(3)])
        if dice.random() < 0.8:
            return frame(payload, self.kind)
        if dice.random() < 0.5:
            return frame(dice.choice(self.luck.blobs), dice.choice((PING, PONG))) + frame(payload, self.kind)
        cut = dice.randrange(len(payload))
        between = frame(dice.choice(self.luck.blobs), PING)
        return frame(payload[:cut], self.kind, fin=False) + between + frame(payload[cut:], CONT)

    def bad(self) -> bytes:
        """Bytes of which nobody knows what becomes of them."""
        dice = self.random
        blob = dice.choice(self.luck.blobs)
        payload = bytearray(self.encoded(self.message()) or b"x")
        match dice.randrange(10):
            case 0:
                return dice.randbytes(dice.randrange(1, 200))
            case 1:
                return dice.randbytes(2) + dice.randbytes(dice.randrange(14)) + blob
            case 2:
                return frame(blob, self.kind)
            case 3:
                return frame(blob, dice.randrange(16), rsv=dice.choice((0, 0, 0x10, 0x20, 0x40, 0x70)))
            case 4:
                return frame(blob, dice.randrange(16), fin=False, mask=dice.random() < 0.5)
            case 5:
                return frame(blob, self.kind, length=dice.choice((4097, 2**16, 2**32, 2**63, 2**64 - 1)))
            case 6:
                return frame(struct.pack("!H", dice.randrange(65536)) + blob, CLOSE)
            case 7:
                payload[dice.randrange(len(payload))] ^= 1 << dice.randrange(8)
                return frame(bytes(payload), self.kind)
            case 8:
                return frame(bytes(payload[: dice.randrange(len(payload))]), self.kind)
            case _:
                return frame(b"[" * dice.randrange(4097), self.kind)


def run(node: Node, room: str, noise: Noise, sub: str) -> None:
    """One socket: nonsense to the end, most of it such that the socket survives until there."""
    dice = noise.random
    protocol = [f"Sec-WebSocket-Protocol: {MSGPACK}"] if noise.packed else []
    hello = frame(noise.encoded({"t": "hello", "token": token(room, sub=sub)}), noise.kind)
    said = [noise.good() for _ in range(FRAMES_A_RUN - 2)] + [noise.bad()]
    with Wire(node, upgrade(node, room, *protocol)) as wire, contextlib.suppress(OSError):
        if dice.random() < 0.9:
            wire.send(hello)
            while b"welcome" not in wire.unread and wire.read():
                pass
        for start in range(0, len(said), 10):
            wire.send(*said[start : start + 10])
        wire.socket.shutdown(socket.SHUT_WR)
        wire.rest()


def requests(node: Node, luck: Luck) -> None:
    """What is no WebSocket, and perhaps no HTTP."""
    dice = random.Random(luck.seed)
    good = bytearray(upgrade(node, "demo", "Origin: http://localhost"))
    for _ in range(3):
        good[dice.randrange(len(good))] = dice.randrange(256)
    for said in (bytes(good), dice.randbytes(300), dice.choice(luck.blobs) + b"\r\n\r\n"):
        with Wire(node, said) as wire, contextlib.suppress(OSError):
            wire.socket.shutdown(socket.SHUT_WR)
            wire.rest()


class Bystander(threading.Thread):
    """A viewer in another room, and a host who talks to him all the time."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node
        self.stop = threading.Event()
        self.said: list[str] = []
        self.heard: list[str] = []
        self.codes: list[str] = []
        self.worst = 0.0

    def run(self) -> None:
        room = make_room(self.node)
        with seated(self.node, room, "host") as host, seated(self.node, room) as viewer:
            for n in itertools.count():
                if self.stop.is_set():
                    break
                began = time.monotonic()
                self.said.append(f"comment {n}")
                self.codes += codes(host, {"t": "chat.say", "text": f"comment {n}"})
                self.heard.append(viewer.hear("chat.message")["text"])
                self.worst = max(self.worst, time.monotonic() - began)
                time.sleep(0.06)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    house = House(tmp_path_factory.mktemp("fuzz") / "data")
    try:
        yield house.node()
    finally:
        house.stop()


def test_a_hundred_thousand_frames_of_nonsense_raise_nothing(node: Node):
    bystander = Bystander(node)
    bystander.start()
    rooms = [make_room(node) for _ in range(ROOMS)]
    sockets = itertools.count()
    before = megabytes(node)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # a server that has seen so much cannot be asked for a smaller example
        suppress_health_check=list(HealthCheck),
    )
    @given(lucks)
    def attack(luck: Luck) -> None:
        for number in range(RUNS):
            noise = Noise(luck._replace(seed=luck.seed + number), packed=number % 2 == 1)
            run(node, rooms[number % ROOMS], noise, f"v{next(sockets) % 97}")
        requests(node, luck)
        assert "Traceback" not in node.said, (luck, node.said)

    try:
        attack()
    finally:
        bystander.stop.set()
        bystander.join()
    assert next(sockets) * FRAMES_A_RUN >= FRAMES
    assert bystander.heard == bystander.said
    assert set(bystander.codes) == {"ok"}
    assert bystander.worst < 1
    assert megabytes(node) - before < 30
    for name in ("Traceback", "error", "Exception"):
        assert name not in node.said
    with seated(node, rooms[0], sub="afterwards") as wire:
        wire.send(say({"t": "chat.say", "text": "and what was that?", "cid": 1}))
        assert wire.reply(1)["t"] == "ok"
    assert node.process.poll() is None
