"""Whatever a viewer sends gets its code: the socket is closed, or the message is answered and the socket stays."""

import asyncio
import contextlib
import json
import secrets
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, OKPKey, RSAKey

from liveroom.protocol import MSGPACK
from liveroom.settings import Settings
from liveroom.tokens import BadToken, Tokens
from tests.gateway.test_handshake import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Message,
    Wire,
    frame,
    hello,
    knocked,
    say,
    seated,
    settles,
    signed,
    silence,
    upgrade,
)
from tests.house import SECRET, House, Node, guests, join, make_room, token

PING_ME = {"t": "time.ping", "c0": 0}


@pytest.fixture(autouse=True)
def quiet(node: Node) -> Iterator[None]:
    with silence(node):
        yield


def packed(message: object) -> bytes:
    return frame(msgspec.msgpack.encode(message), BINARY)


def seated_packed(node: Node, room: str) -> Wire:
    wire = Wire(node, upgrade(node, room, f"Sec-WebSocket-Protocol: {MSGPACK}"))
    assert wire.head()[0] == 101
    wire.send(packed({"t": "hello", "token": token(room)}))
    wire.hear("welcome")
    return wire


# --- frames that are no messages ---


def test_a_binary_frame_on_json_is_4501(node: Node):
    for payload in (b"{}", json.dumps(PING_ME).encode(), b"", msgspec.msgpack.encode(PING_ME)):
        with seated(node, "demo") as wire:
            wire.send(frame(payload, BINARY))
            assert wire.ends() == 4501
    with knocked(node, "demo", frame(json.dumps({"t": "hello", "token": token()}).encode(), BINARY)) as wire:
        assert wire.ends() == 4501
    with seated(node, "demo") as wire:
        wire.send(frame(b"{", BINARY, fin=False))
        assert wire.ends() == 4501


def test_a_text_frame_on_messagepack_is_4501(node: Node):
    with seated_packed(node, "demo") as wire:
        wire.send(say(PING_ME))
        assert wire.ends() == 4501


@pytest.mark.parametrize(
    "text",
    [
        b"hello",
        b"",
        b" ",
        b"{",
        b"}",
        b"[1,",
        b"[,]",
        b'{"t":"time.ping","c0":NaN}',
        b'{"t":"time.ping","c0":Infinity}',
        b'{"t":"time.ping","c0":-Infinity}',
        b'{"t":"time.ping","c0":01}',
        b"{'t':'time.ping','c0':1}",
        b'{"t":"time.ping","c0":1,}',
        b'{"t":"time.ping","c0":1}{"t":"time.ping","c0":2}',
        b'{"t":"chat.say","text":"a\nb"}',
        b'{"t":"chat.say","text":"\\ud83d"}',
        b'{"t":"chat.say","text":"a\\ude00\\ud83d"}',
        b'{"t":"chat.say","text":"\\x41"}',
        b"\xef\xbb\xbf" + b'{"t":"time.ping","c0":1}',
        b"\x00",
    ],
)
def test_text_that_is_not_json_is_4501(node: Node, text: bytes):
    with seated(node, "demo") as wire:
        wire.send(frame(text))
        assert wire.ends() == 4501
        assert text not in wire.reason or len(text) < 2


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 1000 + b"]" * 1000,
        b"[" * 4096,
        b'{"t":"chat.say","text":' + b"[" * 1000 + b"]" * 1000 + b"}",
        b'{"t":"chat.say","text":"x","more":' + b"[" * 1000 + b"]" * 1000 + b"}",
        b'{"t":"nope","more":' + b"[" * 1000 + b"]" * 1000 + b"}",
        b"[" + b'{"t":"time.ping","c0":' + b"[" * 1000 + b"]" * 1000 + b"}]",
    ],
)
def test_json_a_thousand_deep_is_4501(node: Node, text: bytes):
    with seated(node, "demo") as wire:
        wire.send(frame(text))
        assert wire.ends() == 4501


@pytest.mark.parametrize(
    "packed_",
    [
        b"",
        b"\xc1",
        b"\x81",
        b"\x81\xa1t",
        b"\xdf\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xffx",
        b"\x91" * 1000 + b"\xc0",
        b"\x81\xa1t" * 1000 + b"\xc0",
        b"\x82\xa1t\xa8chat.say\xa4text\xa1\xff",
        msgspec.msgpack.encode(PING_ME) + b"\x00",
    ],
)
def test_bytes_that_are_not_messagepack_are_4501(node: Node, packed_: bytes):
    with seated_packed(node, "demo") as wire:
        wire.send(frame(packed_, BINARY))
        assert wire.ends() == 4501


def test_invalid_utf8_is_1007(node: Node):
    for text in (b"\xff", b'{"t":"chat.say","text":"\xc3"}', b'"\xed\xa0\xbd"', b'"\xc0\x80"', b'"\xf4\x90\x80\x80"'):
        with seated(node, "demo") as wire:
            wire.send(frame(text))
            assert wire.ends() == 1007
    with seated(node, "demo") as wire:
        wire.send(frame(b'"\xe8\x8c', fin=False), frame(b'"', CONT))
        assert wire.ends() == 1007


# --- sizes and fragments ---


def test_4_kib_are_read_and_one_byte_more_is_1009(node: Node):
    ping = json.dumps(PING_ME | {"cid": 1}).encode()
    with seated(node, "demo") as wire:
        wire.send(frame(ping.ljust(4096)))
        assert wire.reply(1)["t"] == "time.pong"
        wire.send(frame(ping.ljust(4097)))
        assert wire.ends() == 1009


def test_a_frame_that_only_announces_too_much_is_1009_at_once(node: Node):
    for length in (4097, 65536, 2**31, 2**40, 2**63, 2**64 - 1):
        for opcode in (TEXT, BINARY):
            with seated(node, "demo") as wire:
                wire.send(frame(b"", opcode, length=length))
                assert wire.ends() in (1009, 1002)


def test_a_message_may_come_in_fragments_with_a_ping_between(node: Node):
    text = json.dumps(PING_ME | {"cid": 1, "idem": "茶"}, ensure_ascii=False).encode()
    for size in (1, 7, len(text) - 1):
        parts = [text[n : n + size] for n in range(0, len(text), size)]
        with seated(node, "demo") as wire:
            wire.send(frame(parts[0], fin=False), frame(b"still here?", PING))
            wire.send(*(frame(part, CONT, fin=False) for part in parts[1:]), frame(b"x", PONG), frame(b"", CONT))
            assert wire.frame() == (PONG, b"still here?") or wire.frame() == (PONG, b"still here?")
            assert wire.reply(1)["t"] == "time.pong"


def test_an_unfinished_message_holds_up_nothing_but_itself(node: Node):
    room = make_room(node)
    with seated(node, room, sub="half") as half, seated(node, room, sub="whole") as whole:
        half.send(frame(b'{"t":"time.ping",', fin=False))
        whole.send(say({"t": "chat.say", "text": "meanwhile", "cid": 1}))
        assert half.hear("chat.message")["text"] == "meanwhile"
        half.send(frame(b'"c0":1,"cid":2}', CONT))
        assert half.reply(2)["t"] == "time.pong"


def test_fragments_of_over_4_kib_in_sum_are_1009(node: Node):
    for sizes in ((4096, 1), (2048, 2048, 1), [100] * 41):
        with seated(node, "demo") as wire:
            wire.send(frame(b" " * sizes[0], fin=False))
            for size in sizes[1:]:
                wire.send(frame(b" " * size, CONT, fin=False))
            assert wire.ends() == 1009


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(frame(b"{}", mask=False), id="unmasked"),
        pytest.param(frame(b"", PING, mask=False), id="unmasked ping"),
        pytest.param(frame(b"{}", rsv=0x40), id="compressed, not agreed"),
        pytest.param(frame(b"{}", rsv=0x20), id="reserved bit 2"),
        pytest.param(frame(b"{}", rsv=0x10), id="reserved bit 3"),
        pytest.param(frame(b"", PING, rsv=0x40), id="reserved bit in a ping"),
        *(pytest.param(frame(b"", opcode), id=f"opcode {opcode}") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
        pytest.param(frame(b"x" * 126, PING), id="long ping"),
        pytest.param(frame(b"x" * 126, PONG), id="long pong"),
        pytest.param(frame(b"x" * 126, CLOSE), id="long close"),
        pytest.param(frame(b"", PING, fin=False), id="ping in fragments"),
        pytest.param(frame(b"", CLOSE, fin=False), id="close in fragments"),
        pytest.param(frame(b"{}", CONT), id="continues nothing"),
        pytest.param(frame(b"{", fin=False) + frame(b"}"), id="a message inside a message"),
        pytest.param(frame(b"{", fin=False) + frame(b"}", BINARY), id="another kind inside a message"),
        pytest.param(frame(b"\x03", CLOSE), id="half a close code"),
        *(
            pytest.param(frame(struct.pack("!H", code), CLOSE), id=f"close code {code}")
            for code in (0, 999, 1004, 1005, 1006, 1015, 1100, 2999, 5000, 65535)
        ),
    ],
)
def test_what_rfc_6455_forbids_is_1002(node: Node, said: bytes):
    with seated(node, "demo") as wire:
        wire.send(said)
        assert wire.ends() == 1002
        wire.rest()


def test_a_close_reason_that_is_not_utf8_is_1007(node: Node):
    with seated(node, "demo") as wire:
        wire.send(frame(struct.pack("!H", 1000) + b"\xff", CLOSE))
        assert wire.ends() == 1007


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1011, 3000, 4000, 4501, 4999])
def test_a_goodbye_is_answered_in_kind(node: Node, code: int):
    with seated(node, "demo") as wire:
        wire.send(frame(struct.pack("!H", code) + "茶".encode(), CLOSE))
        assert wire.ends() == code
        wire.rest()
    with seated(node, "demo") as wire:
        wire.send(frame(b"", CLOSE), say(PING_ME | {"cid": 1}))
        wire.ends()
        assert not [one for one in wire.heard if one.get("cid") == 1]


# --- messages that are no good commands ---

BAD: list[tuple[Any, str, str | None]] = [
    # unknown
    ({"t": "nope"}, "UNKNOWN_COMMAND", None),
    ({"t": ""}, "UNKNOWN_COMMAND", None),
    ({"t": "CHAT.SAY", "text": "x"}, "UNKNOWN_COMMAND", None),
    ({"t": "chat.message", "text": "x"}, "UNKNOWN_COMMAND", None),
    ({"t": "welcome"}, "UNKNOWN_COMMAND", None),
    ({"t": "ok"}, "UNKNOWN_COMMAND", None),
    ({"t": "__class__"}, "UNKNOWN_COMMAND", None),
    ({"t": "x" * 3000}, "UNKNOWN_COMMAND", None),
    # no object
    (None, "BAD_MESSAGE", None),
    (5, "BAD_MESSAGE", None),
    ("hello", "BAD_MESSAGE", None),
    (True, "BAD_MESSAGE", None),
    ([[]], "BAD_MESSAGE", None),
    ([[PING_ME]], "BAD_MESSAGE", None),
    # no t
    ({}, "BAD_MESSAGE", "t"),
    ({"text": "x"}, "BAD_MESSAGE", "t"),
    ({"t": 5}, "BAD_MESSAGE", "t"),
    ({"t": None}, "BAD_MESSAGE", "t"),
    ({"t": ["chat.say"], "text": "x"}, "BAD_MESSAGE", "t"),
    ({"t": {"chat.say": 1}}, "BAD_MESSAGE", "t"),
    # missing
    ({"t": "chat.say"}, "BAD_MESSAGE", "text"),
    ({"t": "like.add"}, "BAD_MESSAGE", "n"),
    ({"t": "time.ping"}, "BAD_MESSAGE", "c0"),
    ({"t": "profile.set"}, "BAD_MESSAGE", "profile"),
    ({"t": "auth.refresh"}, "BAD_MESSAGE", "token"),
    ({"t": "room.notice"}, "BAD_MESSAGE", "text"),
    # unknown field
    ({"t": "chat.say", "text": "x", "colour": "red"}, "BAD_MESSAGE", "colour"),
    ({"t": "chat.say", "text": "x", "from": "host"}, "BAD_MESSAGE", "from"),
    ({"t": "chat.say", "text": "x", "seq": 1}, "BAD_MESSAGE", "seq"),
    ({"t": "time.ping", "c0": 1, "": 1}, "BAD_MESSAGE", None),
    ({"t": "time.ping", "c0": 1, "a`b": 1}, "BAD_MESSAGE", None),
    # wrong type
    ({"t": "chat.say", "text": 5}, "BAD_MESSAGE", "text"),
    ({"t": "chat.say", "text": None}, "BAD_MESSAGE", "text"),
    ({"t": "chat.say", "text": ["x"]}, "BAD_MESSAGE", "text"),
    ({"t": "chat.say", "text": {}}, "BAD_MESSAGE", "text"),
    ({"t": "chat.say", "text": "x", "mentions": "ann"}, "BAD_MESSAGE", "mentions"),
    ({"t": "chat.say", "text": "x", "mentions": {"ann": 1}}, "BAD_MESSAGE", "mentions"),
    ({"t": "chat.say", "text": "x", "mentions": [5]}, "BAD_MESSAGE", "mentions"),
    ({"t": "chat.say", "text": "x", "reply_to": 5}, "BAD_MESSAGE", "reply_to"),
    ({"t": "like.add", "n": "5"}, "BAD_MESSAGE", "n"),
    ({"t": "like.add", "n": True}, "BAD_MESSAGE", "n"),
    ({"t": "like.add", "n": 1.5}, "BAD_MESSAGE", "n"),
    ({"t": "time.ping", "c0": "1"}, "BAD_MESSAGE", "c0"),
    ({"t": "history.get", "limit": "all"}, "BAD_MESSAGE", "limit"),
    ({"t": "history.get", "before": 5}, "BAD_MESSAGE", "before"),
    # out of bounds
    ({"t": "like.add", "n": 0}, "BAD_MESSAGE", "n"),
    ({"t": "like.add", "n": -1}, "BAD_MESSAGE", "n"),
    ({"t": "like.add", "n": 51}, "BAD_MESSAGE", "n"),
    ({"t": "like.add", "n": 10**30}, "BAD_MESSAGE", "n"),
    ({"t": "history.get", "limit": 0}, "BAD_MESSAGE", "limit"),
    ({"t": "history.get", "limit": 101}, "BAD_MESSAGE", "limit"),
    ({"t": "history.get", "before": "x" * 200}, "BAD_MESSAGE", "before"),
    ({"t": "profile.set", "profile": "huge"}, "BAD_MESSAGE", "profile"),
    ({"t": "chat.say", "text": "x", "mentions": list("abcdef")}, "BAD_MESSAGE", "mentions"),
    ({"t": "chat.say", "text": "x", "mentions": [""]}, "BAD_MESSAGE", "mentions"),
    ({"t": "chat.say", "text": "x", "mentions": ["a" * 65]}, "BAD_MESSAGE", "mentions"),
    ({"t": "chat.say", "text": "x", "reply_to": "../../etc"}, "BAD_MESSAGE", "reply_to"),
    ({"t": "chat.say", "text": "x", "reply_to": ""}, "BAD_MESSAGE", "reply_to"),
    ({"t": "chat.say", "text": "x", "idem": ""}, "BAD_MESSAGE", "idem"),
    ({"t": "chat.say", "text": "x", "idem": "a" * 65}, "BAD_MESSAGE", "idem"),
    ({"t": "chat.say", "text": "x", "idem": 5}, "BAD_MESSAGE", "idem"),
]


@pytest.mark.parametrize(("message", "code", "field"), BAD)
def test_a_bad_command_is_answered_and_the_socket_stays(node: Node, message: Any, code: str, field: str | None):
    room = make_room(node)
    with seated(node, room) as json_, seated_packed(node, room) as msgpack:
        cid = isinstance(message, dict)
        said = message | {"cid": 7} if cid else message
        huge = len(json.dumps(said)) > 4000 or "1000000000" in json.dumps(said)  # no 64-bit number
        for wire, sent in ((json_, say(said)), (msgpack, b"" if huge else packed(said))):
            if not sent:
                continue
            wire.send(sent)
            error = wire.hear("error")
            assert (error["code"], error["retryable"]) == (code, False)
            assert error.get("cid") == (7 if cid else None)
            assert isinstance(error["message"], str)
            if field is not None:
                assert error["params"]["field"].partition("[")[0] == field
        json_.lives()


@pytest.mark.parametrize("cid", [-1, 2**53, 2**63, 2**64, 10**300, 1.5, "1", None, True, [1], {}, "x" * 3000])
def test_a_bad_cid_is_not_given_back(node: Node, cid: Any):
    with seated(node, "demo") as wire:
        wire.send(say(PING_ME | {"cid": cid}))
        error = wire.hear("error")
        assert (error["code"], error["params"]["field"]) == ("BAD_MESSAGE", "cid")
        assert "cid" not in error
        wire.send(say({"t": "nope", "cid": cid}))
        error = wire.hear("error")
        assert error["code"] == "UNKNOWN_COMMAND"
        assert "cid" not in error


@pytest.mark.parametrize("cid", [0, 1, 2**53 - 1])
def test_a_good_cid_is_given_back(node: Node, cid: int):
    with seated(node, "demo") as wire:
        wire.send(say(PING_ME | {"cid": cid}))
        assert wire.reply(cid)["t"] == "time.pong"


@pytest.mark.parametrize("c0", [0, -1, 1.5, -0.0, 2**53, 2**63, 2**64 - 1, 1e308, 5e-324])
def test_any_number_comes_back_from_a_ping(node: Node, c0: float):
    with seated(node, "demo") as json_, seated_packed(node, "demo") as msgpack:
        json_.send(say({"t": "time.ping", "c0": c0, "cid": 1}))
        assert json_.reply(1)["c0"] == c0
        msgpack.send(packed({"t": "time.ping", "c0": c0, "cid": 1}))
        assert msgpack.reply(1)["c0"] == c0


@pytest.mark.parametrize("c0", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_cannot_say_break_nothing_in_messagepack(node: Node, c0: float):
    with seated_packed(node, "demo") as wire:
        wire.send(packed({"t": "time.ping", "c0": c0, "cid": 1}))
        assert wire.reply(1)["t"] in ("time.pong", "error")


@pytest.mark.parametrize(
    "said",
    [
        {"t": b"chat.say", "text": "x", "cid": 1},
        {"t": "chat.say", "text": b"x", "cid": 1},
        {"t": "chat.say", "text": msgspec.msgpack.Ext(1, b"x"), "cid": 1},
        {5: "x", "t": "time.ping", "c0": 1, "cid": 1},
        {"t": "time.ping", "c0": None, "cid": 1},
        msgspec.msgpack.Ext(-1, bytes(4)),
        b"bytes",
    ],
)
def test_what_only_messagepack_can_say_is_answered(node: Node, said: Any):
    with seated_packed(node, "demo") as wire:
        wire.send(packed(said))
        assert wire.hear("error")["code"] == "BAD_MESSAGE"
        wire.send(packed(PING_ME | {"cid": 2}))
        assert wire.reply(2)["t"] == "time.pong"


def test_a_key_said_twice_is_answered_once(node: Node):
    with seated(node, "demo") as wire:
        for number, text in enumerate(
            (
                b'{"t":"time.ping","t":"room.notice","text":"x","c0":1,"cid":%d}',
                b'{"t":"room.notice","t":"time.ping","text":"x","c0":1,"cid":%d}',
                b'{"t":"time.ping","c0":1,"c0":2,"cid":%d}',
                b'{"t":"time.ping","cid":99,"c0":1,"cid":%d}',
            )
        ):
            wire.send(frame(text % number))
            answer = wire.reply(number)
            assert answer["t"] in ("error", "time.pong")
            assert answer.get("code", "BAD_MESSAGE") in ("BAD_MESSAGE", "NOT_ALLOWED")
        wire.lives()
        assert not [one for one in wire.heard if one["t"] == "room.notice"]


def test_each_command_of_an_array_is_answered(node: Node):
    with seated(node, make_room(node)) as wire:
        wire.send(
            say(
                [
                    PING_ME | {"cid": 1},
                    {"t": "nope", "cid": 2},
                    {"t": "like.add", "n": 99, "cid": 3},
                    5,
                    {"t": "room.notice", "text": "x", "cid": 4},
                    {"t": "like.add", "n": 2, "cid": 5},
                ]
            )
        )
        while sum(one["t"] in ("time.pong", "error", "ok") for one in wire.heard) < 6:
            wire.listen()
        answers = [(one.get("cid"), one.get("code", one["t"])) for one in wire.heard if one["t"] != "like.total"]
        assert [one for one in answers if one[1] not in ("welcome", "room.joined", "room.stats", "beat")] == [
            (1, "time.pong"),
            (2, "UNKNOWN_COMMAND"),
            (3, "BAD_MESSAGE"),
            (None, "BAD_MESSAGE"),
            (4, "NOT_ALLOWED"),
            (5, "ok"),
        ]


def test_an_empty_array_says_nothing(node: Node):
    with seated(node, "demo") as wire:
        wire.send(say([]), frame(b" \n[ ] "))
        wire.lives()
        assert not [one for one in wire.heard if one["t"] == "error"]


def test_replies_never_repeat_the_text_of_a_comment(node: Node):
    canary = f"canary{secrets.token_hex(8)}"
    with seated(node, "demo") as wire:
        bad: list[Message] = [
            {"t": "chat.say", "text": canary * 30},
            {"t": "chat.say", "text": canary, "reply_to": canary + "!"},
            {"t": "chat.say", "text": [canary]},
            {"t": "chat.say", "text": {canary: canary}},
            {"t": "chat.say", "text": canary, "idem": canary * 10},
            {"t": "chat.say", "text": canary, "mentions": [canary] * 6},
            {"t": "nope", "text": canary},
            {"t": "room.notice", "text": canary},
            {"text": canary},
        ]
        for number, message in enumerate(bad):
            wire.send(say(message | {"cid": number}))
            assert canary not in json.dumps(wire.reply(number))


# --- what a command may say and may not ---


@pytest.mark.parametrize("text", ["", " ", "\t\r\n", "\u0000\u0007\u001b", "\u202e\u2066", " \u2028 "])
def test_a_text_with_nothing_to_see_is_text_empty(node: Node, text: str):
    with seated(node, "demo") as wire:
        wire.send(say({"t": "chat.say", "text": text, "cid": 1}))
        error = wire.reply(1)
        assert (error["code"], error["retryable"]) == ("TEXT_EMPTY", False)


@pytest.mark.parametrize("text", ["a" * 101, "茶" * 101, "👩‍👩‍👧" * 101, "a" + "\u0301" * 30, "x" * 3000])
def test_a_text_too_long_says_how_long_it_may_be(node: Node, text: str):
    with seated(node, "demo") as wire:
        wire.send(frame(json.dumps({"t": "chat.say", "text": text, "cid": 1}, ensure_ascii=False).encode()))
        error = wire.reply(1)
        assert (error["code"], error["params"]["max"]) == ("TEXT_TOO_LONG", 100)


def test_control_and_bidi_characters_reach_nobody(node: Node):
    with seated(node, make_room(node)) as wire:
        wire.send(say({"t": "chat.say", "text": " a\u0000\u001b[31m\u202eb\u2067c\r\nd\u0085e\u2028f ", "cid": 1}))
        shown = wire.hear("chat.message")["text"]
        assert shown.replace(" ", "") == "a[31mbcdef"


def test_markup_is_text(node: Node):
    text = """<script>alert("1")</script> ' -- \\ ${7*7} %s {0}"""
    with seated(node, make_room(node)) as wire:
        wire.send(say({"t": "chat.say", "text": text}))
        assert wire.hear("chat.message")["text"] == text


def test_a_name_shows_no_control_and_bidi_characters(node: Node):
    with seated(node, make_room(node), name="a\nb\u202ec") as wire:
        wire.send(say({"t": "chat.say", "text": "x"}))
        assert not set(wire.hear("chat.message")["name"]) & set("\n\u202e")


@pytest.mark.parametrize("role", ["viewer", "moderator"])
def test_a_host_command_by_somebody_else_is_not_allowed(node: Node, role: str):
    room = make_room(node)
    with seated(node, room, "host") as host, seated(node, room, role) as wire:
        wire.send(say({"t": "room.notice", "text": "free money", "cid": 1}))
        error = wire.reply(1)
        assert (error["code"], error["params"], error["retryable"]) == ("NOT_ALLOWED", {"needs": "host"}, False)
        host.lives()
        wire.lives()
        assert not [one for one in host.heard if one["t"] == "room.notice"]


@pytest.mark.parametrize("first", ["chat.say", "like.add", "room.notice"])
@pytest.mark.parametrize("second", ["chat.say", "like.add", "room.notice"])
def test_one_intention_is_one_command_of_one_kind(node: Node, first: str, second: str):
    fields: dict[str, Message] = {"chat.say": {"text": "x"}, "like.add": {"n": 2}, "room.notice": {"text": "x"}}
    with seated(node, make_room(node), "host") as wire:
        wire.socket.settimeout(2)
        wire.send(say({"t": first, "cid": 1, "idem": "same", **fields[first]}))
        assert wire.reply(1)["t"] == "ok"
        wire.send(say({"t": second, "cid": 2, "idem": "same", **fields[second]}))
        assert wire.reply(2).get("code") == (None if first == second else "IDEMPOTENCY_MISMATCH")


@pytest.mark.parametrize("idem", ["a b", "a\nb", "*", "{00}:meta", "a:b", "密" * 64, '"', "\u0000"])
def test_an_idempotency_key_may_be_any_text(node: Node, idem: str):
    with seated(node, make_room(node)) as wire:
        for cid in (1, 2):
            wire.send(say({"t": "chat.say", "text": "once", "cid": cid, "idem": idem}))
            assert wire.reply(cid)["t"] == "ok"
        wire.lives()
        assert sum(one["t"] == "chat.message" for one in wire.heard) <= 1


def test_no_two_viewers_share_an_intention(node: Node):
    room = make_room(node)
    with seated(node, room, sub="a:b") as one, seated(node, room, sub="a") as other:
        one.send(say({"t": "chat.say", "text": "mine", "cid": 1, "idem": "c"}))
        mine = one.reply(1)
        other.send(say({"t": "chat.say", "text": "mine", "cid": 1, "idem": "b:c"}))
        assert other.reply(1)["id"] != mine["id"]


# --- tokens ---


@pytest.fixture(scope="module")
def rsa() -> RSAKey:
    return RSAKey.generate_key(2048)


def crafted(header: Message, **claims: Any) -> str:
    return signed(claims, header)


NOW = int(time.time())

BAD_TOKENS: dict[str, Any] = {
    "empty": "",
    "nonsense": "nonsense",
    "dots": "..",
    "five parts": "a.b.c.d.e",
    "not ascii": "密.密.密",
    "expired": signed({"exp": NOW - 31}),
    "expired long ago": signed({"exp": 0}),
    "for too long": signed({"exp": NOW + 25 * 3600}),
    "not yet": signed({"nbf": NOW + 600}),
    "from the future": signed({"iat": NOW + 600}),
    "never expires": signed({"exp": float("inf")}),
    "expires at no time": signed({"exp": float("nan")}),
    "expires as text": signed({"exp": str(NOW + 600)}),
    "another room": signed({"room": "other"}),
    "a room like it": signed({"room": "demo2"}),
    "a room pattern": signed({"room": "d*"}),
    "no room": signed({"room": ""}),
    "rooms": signed({"room": ["demo"]}),
    "another audience": signed({"aud": "others"}),
    "no audience": signed({"aud": None}),
    "a number as audience": signed({"aud": 5}),
    "an audience in part": signed({"aud": "liveroom2"}),
    "another issuer": signed({"iss": "others"}),
    "issuers": signed({"iss": ["liveroom"]}),
    "no subject": signed({"sub": ""}),
    "a subject with a newline": signed({"sub": "a\nb"}),
    "a subject of 65 bytes": signed({"sub": "x" * 65}),
    "a subject of 66 bytes": signed({"sub": "密" * 22}),
    "half an emoji as subject": signed({"sub": "\ud83d"}),
    "an unknown role": signed({"role": "king"}),
    "roles": signed({"role": ["host"]}),
    "half an emoji as role": signed({"role": "\ud83d"}),
    "a long name": signed({"name": "x" * 41}),
    "a source with a newline": signed({"source": "tiktok\n"}),
    "another secret": signed({}, secret="another secret of the tests, long enough"),
    "no secret": signed({}, secret=""),
    "none": crafted({"alg": "none"}),
    "None": crafted({"alg": "None"}),
    "no algorithm": crafted({"typ": "JWT"}),
    "HS512": crafted({"alg": "HS512"}),
    "HS384": crafted({"alg": "HS384"}),
    "RS256": crafted({"alg": "RS256"}),
    "algorithms": crafted({"alg": ["HS256"]}),
    "critical": crafted({"alg": "HS256", "crit": ["exp"]}),
    "critical and unknown": crafted({"alg": "HS256", "crit": ["x"], "x": 1}),
    "unsigned": signed({}).rpartition(".")[0] + ".",
    "half a signature": signed({})[:-20],
    "the none of old": "eyJhbGciOiJub25lIn0." + signed({}).split(".")[1] + ".",
}


@pytest.mark.parametrize("bad", BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_a_bad_token_is_4500_and_http_401(node: Node, bad: str):
    with knocked(node, "demo", hello(bad)) as wire:
        wire.listen()
        assert wire.closed == 4500
        assert wire.reason.decode().isprintable()
    if bad.isascii() and not bad.startswith("."):
        status, error = node.http("GET", "/v1/rooms/demo", token=bad)
        assert (status, error["code"]) in ((401, "BAD_TOKEN"), (403, "NOT_ALLOWED"))


def test_a_close_reason_is_whole_utf8_and_nothing_of_the_token(node: Node):
    with knocked(node, "demo", hello(signed({"role": "密" * 60}))) as wire:
        assert wire.ends() == 4500
        assert "密" not in wire.reason.decode()


def test_a_token_signed_with_somebody_elses_rsa_key_is_4500(node: Node, rsa: RSAKey):
    claims = {"sub": "u1", "room": "*", "role": "host", "exp": NOW + 600, "aud": "liveroom", "iss": "liveroom"}
    bad = jwt.encode({"alg": "RS256"}, claims, rsa, algorithms=["RS256"])
    with knocked(node, "demo", hello(bad)) as wire:
        assert wire.ends() == 4500


def test_a_public_key_is_no_secret(tmp_path: Path, rsa: RSAKey):
    """The swap: the JWKS is public, so a token signed by HMAC with the public key must be worth nothing."""
    good = OKPKey.generate_key("Ed25519", {"kid": "e"}, private=True)
    rsa_ = RSAKey.import_key(rsa.as_dict(private=True), {"kid": "r"})
    keys = KeySet([rsa_, good]).as_dict(private=False)
    (tmp_path / "jwks.json").write_text(json.dumps(keys))
    tokens = Tokens(Settings(jwks=str(tmp_path / "jwks.json")))
    claims = {"sub": "u1", "room": "demo", "role": "host", "exp": NOW + 600, "aud": "liveroom", "iss": "liveroom"}
    assert tokens.read(jwt.encode({"alg": "RS256", "kid": "r"}, claims, rsa_, algorithms=["RS256"]), NOW).sub == "u1"
    for public in (rsa_.as_pem(private=False), json.dumps(keys["keys"][0]).encode(), b""):
        for header in ({"alg": "HS256", "kid": "r"}, {"alg": "HS256"}, {"alg": "HS256", "kid": "e"}):
            key = public.decode() if isinstance(public, bytes) else public
            with pytest.raises(BadToken):
                tokens.read(signed(claims, header, secret=key), NOW)
    with pytest.raises(BadToken):
        tokens.read(jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET)), NOW)


def test_a_token_of_8_kb_is_too_big_for_a_frame_and_nothing_for_http(node: Node):
    big = signed({"padding": "x" * 6000})
    assert len(big) > 8000
    with knocked(node, "demo", hello(big)) as wire:
        assert wire.ends() == 1009
    assert node.http("GET", "/v1/rooms/demo", token=signed({"padding": "x" * 6000}, secret="wrong" * 8))[0] == 401


def test_a_bad_refresh_is_4500(node: Node):
    for bad in ("nonsense", token("other", sub="ann"), token("demo", sub="bob"), token("demo", "host", sub="ann")):
        with seated(node, "demo", sub="ann") as wire:
            wire.send(say({"t": "auth.refresh", "token": bad, "cid": 1}))
            assert wire.ends() == 4500


def test_a_token_is_in_no_log_and_in_no_frame(house: House):
    canary = f"canary{secrets.token_hex(8)}"
    node = house.node()
    room = make_room(node)
    good = signed({"room": room, "sub": "ann", "jti": canary})
    parts = [part for part in good.split(".") if len(part) > 30] + [canary]
    bad = [good[:-5], signed({"room": "other", "jti": canary}), signed({"role": canary}), signed({"aud": canary})]
    bad += [signed({"iss": canary}), signed({"exp": canary}), signed({canary: canary, "sub": ""}), canary]
    parts += [part for one in bad for part in one.split(".") if len(part) > 50]
    heard = bytearray()
    with seated(node, room, sub="bob") as bob, contextlib.ExitStack() as stack:
        wires = []
        for one in [good, *bad]:
            for said in (hello(one), say({"t": one}), say({"t": "hello", "token": [one]}), frame(one.encode())):
                wires.append(Wire(node, upgrade(node, room), said, say({"t": "auth.refresh", "token": one})))
                stack.enter_context(wires[-1])
            for path in (f"/v1/rooms/{room}", f"/v1/rooms/{room}/commands", f"/v1/rooms/{room}?token={one}"):
                heard += json.dumps(node.http("GET", path, token=one)[1]).encode()
            wires.append(Wire(node, upgrade(node, room, f"Authorization: Bearer {one}", f"Cookie: {one}")))
            stack.enter_context(wires[-1])
        bob.lives()
        heard += json.dumps(bob.heard).encode()
        for wire in wires:
            wire.socket.settimeout(0.01)
            with contextlib.suppress(TimeoutError):
                wire.rest()
            heard += wire.unread
    house.stop()
    for part in parts:
        assert part not in node.said
        assert part.encode() not in heard, part
    assert "Traceback" not in node.said


# --- others notice nothing ---


def test_a_room_full_of_nonsense_disturbs_nobody(node: Node):
    endings = [frame(b"\xff"), frame(b"["), frame(b"x" * 5000), frame(b"", 3), b"\xff" * 50]

    async def show() -> None:
        room = make_room(node)
        async with guests(join(node, room, sub="ann"), join(node, room, sub="bob")) as (ann, bob):
            for number, (message, _, _) in enumerate(BAD):
                with seated(node, room, sub=f"mallory{number % 4}") as wire:
                    wire.send(say(message))
                    wire.send(endings[number % len(endings)])
                    await asyncio.to_thread(wire.ends)
            await ann.say("still here")
            await bob.hear("chat.message", text="still here")
            for one in (ann, bob):
                assert {m["t"] for m in one.heard} <= {"chat.message", "room.joined", "room.stats", "beat", "ok"}
                assert one.closed is None
        await asyncio.to_thread(settles, node, room, 0)

    asyncio.run(show())
