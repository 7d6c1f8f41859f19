"""The WebSocket side as an AsyncAPI 3.0 document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gameplay.play import Command, Event
from liveroom import __version__
from liveroom.contracts.examples import example
from liveroom.contracts.schemas import Kind, Schema, name_of, ok_name, ref, schemas
from liveroom.menu import tag
from liveroom.protocol import CLOSES, COMMANDS, ERRORS, EVENTS, JSON, MSGPACK, OF_CONNECTION, ErrorReply, Hello

ADDRESS = "/v1/rooms/{room}/ws"
ABOUT = (
    "Rooms of a live show: comments, likes, rounds and sales. docs/protocol.md is the same contract for reading, and "
    "says what holds beyond the shapes of messages. Every frame is one message or an array of them."
)
ON_CHANNEL = "#/channels/room/messages/"


def asyncapi() -> Schema:
    types = schemas()
    kinds: list[Kind] = [Hello, *COMMANDS, *EVENTS, ErrorReply]
    replies = [name for name in dict.fromkeys(map(ok_name, COMMANDS)) if name not in map(name_of, EVENTS)]
    spoken = {
        **{name_of(kind): message(kind, types) for kind in kinds},
        **{name: reply(name, types) for name in replies},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "liveroom", "version": __version__, "description": ABOUT, "license": {"name": "Apache-2.0"}},
        "defaultContentType": "application/json",
        "servers": {"node": {"host": "localhost:8000", "protocol": "ws", "description": "Any node of the house."}},
        "channels": {"room": channel(spoken)},
        "operations": {name_of(kind): said(kind) for kind in kinds[: len(COMMANDS) + 1]} | {"tell": tell()},
        "components": {"messages": spoken, "schemas": types},
        "x-errors": {code.value: meaning(code) for code in ERRORS},
        "x-closes": {int(close): {"why": ending.why, "then": ending.after.value} for close, ending in CLOSES.items()},
    }


def channel(spoken: Mapping[str, Any]) -> Schema:
    return {
        "address": ADDRESS,
        "title": "One viewer's socket to a room",
        "servers": [{"$ref": "#/servers/node"}],
        "parameters": {"room": {"description": "Id of the room: ^[A-Za-z0-9_-]{1,64}$"}},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in spoken},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
        "x-subprotocols": [JSON, MSGPACK],
    }


def message(kind: Kind, types: Mapping[str, Schema]) -> Schema:
    name = name_of(kind)
    about: Schema = {"name": tag(kind), "title": tag(kind), "contentType": "application/json", "payload": ref(name)}
    if text := types[name].get("description"):
        about["summary"] = text
    if issubclass(kind, Event):
        about["tags"] = [{"name": kind.delivery}]
    return {**about, "examples": [{"payload": example(name, types)}]}


def reply(name: str, types: Mapping[str, Schema]) -> Schema:
    about = {"name": "ok", "title": name, "contentType": "application/json", "payload": ref(name)}
    return {**about, "examples": [{"payload": example(name, types)}]}


def said(kind: Kind) -> Schema:
    """What a client says, as an operation of the server: it receives it, and answers."""
    room = {"$ref": "#/channels/room"}
    about = {"action": "receive", "channel": room, "title": tag(kind), "messages": [on_channel(name_of(kind))]}
    if not issubclass(kind, Command):
        return {**about, "reply": {"channel": room, "messages": [on_channel("WelcomeEvent")]}}
    answers = [on_channel(ok_name(kind)), on_channel(name_of(ErrorReply))]
    more: Schema = {"x-needs": kind.needs.value}
    if kind in OF_CONNECTION:
        more["x-only-on-a-socket"] = True
    return {**about, "reply": {"channel": room, "messages": answers}, **more}


def tell() -> Schema:
    return {
        "action": "send",
        "channel": {"$ref": "#/channels/room"},
        "title": "What the room tells",
        "messages": [on_channel(name_of(kind)) for kind in EVENTS],
    }


def on_channel(name: str) -> Schema:
    return {"$ref": ON_CHANNEL + name}


def meaning(code: Any) -> Schema:
    means = ERRORS[code]
    return {"http": means.http, "retryable": means.retryable, "params": list(means.params.__struct_fields__)}
