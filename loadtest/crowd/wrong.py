"""Frames that no client should send, and what docs/protocol.md says becomes of them."""

from typing import Any, NamedTuple

PROTOCOL_ERROR, BAD_UTF8, TOO_BIG = 4501, 1007, 1009
MOST = 4 * 1024  # bytes of a client's frame


class Fatal(NamedTuple):
    """A frame that ends the connection."""

    name: str
    data: bytes
    code: int
    text: bool = True
    early: bool = False  # sent instead of `hello`


class Refused(NamedTuple):
    """A command that is answered with an error."""

    name: str
    command: dict[str, Any]
    code: str


HELLO = b'{"t":"hello","token":"x"}'
PING = b'{"t":"time.ping","c0":1}'

FATAL = (
    Fatal("bad JSON", b'{"t":"chat.say","text":', PROTOCOL_ERROR),
    Fatal("no JSON at all", b"hello?", PROTOCOL_ERROR),
    Fatal("an empty frame", b"", PROTOCOL_ERROR),
    Fatal("binary on a JSON socket", PING, PROTOCOL_ERROR, text=False),
    Fatal("bad UTF-8", b'{"t":"chat.say","text":"\xff\xfe"}', BAD_UTF8),
    Fatal("too big", b'{"t":"chat.say","text":"' + b"a" * MOST + b'"}', TOO_BIG),
    Fatal("hello twice", HELLO, PROTOCOL_ERROR),
    Fatal("a command before hello", PING, PROTOCOL_ERROR, early=True),
    Fatal("bad JSON before hello", b"{", PROTOCOL_ERROR, early=True),
)

REFUSED = (
    Refused("an unknown command", {"t": "chat.shout", "text": "hello"}, "UNKNOWN_COMMAND"),
    Refused("an unknown field", {"t": "chat.say", "text": "hello", "colour": "red"}, "BAD_MESSAGE"),
    Refused("a missing field", {"t": "chat.say"}, "BAD_MESSAGE"),
    Refused("a wrong type", {"t": "chat.say", "text": 5}, "BAD_MESSAGE"),
    Refused("too many mentions", {"t": "chat.say", "text": "hello", "mentions": list("abcdef")}, "BAD_MESSAGE"),
    Refused("likes out of bounds", {"t": "like.add", "n": 51}, "BAD_MESSAGE"),
    Refused("seconds below zero", {"t": "chat.mute", "viewer": "somebody", "seconds": -1}, "BAD_MESSAGE"),
    Refused("no text", {"t": "chat.say", "text": " \u200b "}, "TEXT_EMPTY"),
    Refused("too long a text", {"t": "chat.say", "text": "a" * 101}, "TEXT_TOO_LONG"),
    Refused("a moderator's command", {"t": "chat.ban", "viewer": "somebody"}, "NOT_ALLOWED"),
    Refused("a moderator's deletion", {"t": "chat.delete", "viewer": "somebody"}, "NOT_ALLOWED"),
    Refused("a host's command", {"t": "chat.settings", "mode": "muted"}, "NOT_ALLOWED"),
    Refused("a host's round", {"t": "lottery.open", "prize": "all", "winners": 1, "seconds": 60}, "NOT_ALLOWED"),
)
