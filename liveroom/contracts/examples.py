"""An example of everything: the least that its schema asks for, in words that say something."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from liveroom.contracts.schemas import REF, Schema

ROUND, HOLD, WHEN = "r_0mwq9bhes00043tefo7", "h_0mwq9bhes00043tefo7_0mwq9c1aa00053tefo7", 1763640000123
COMMENT = "0mwq9c1aa00053tefo7"
OF_A_COMMENT = (
    *("ChatReplyCommand", "ChatPinCommand", "ChatUnpinCommand", "ChatReportCommand", "ChatDismissCommand"),
    *("ChatMessageEvent", "ChatUnpinnedEvent", "ChatMentionedEvent", "comment"),
)
# By the name of a field, or of two; where the type is another, the type's own example is taken.
SAID: dict[str, Any] = {
    **{"id": ROUND, "hold": HOLD, "order": f"o{HOLD[1:]}", "inbox": f"{ROUND}.won"},
    **{"room.id": "demo", "NewRoom.id": "demo", "RoomAbout.id": "demo"},
    **{"viewer": "u1", "from": "u1", "by": "u2", "sub": "u1", "viewer.id": "u1", "name": "Ann", "role": "viewer"},
    **{"text": "so pretty", "title": "Demo", "token": "eyJhbGciOi…", "room": "demo", "epoch": "k3f9", "seq": 1842},
    **{"prize": "cup", "item": "mug", "keyword": "want", "question": "How many sizes?", "choices": "three"},
    **{"reason": "a mistake", "what": "a lottery", "rules": "Press Enter before the bell.", "currency": "EUR"},
    **{"price": 1990, "stock": 100, "c0": WHEN, "payment_id": "pay-1", "state": "open"},
    **{"code": "RATE_LIMITED", "message": "too fast; try again later", "retryable": True, "heartbeat_ms": 15000},
    **dict.fromkeys(["ts", "now", "at", "s1", "s2", "start", "created", "paid_at", "opens_at", "opened_at"], WHEN),
    **{f"{one}.id": COMMENT for one in OF_A_COMMENT},
    **{"ids": COMMENT, "words": "rude", "mode": "slow", "slow_seconds": 10, "why": "expired"},
    **dict.fromkeys(["closes_at", "closed_at", "until"], WHEN + 60_000),
}
OF_TYPE: dict[str, Any] = {"string": "x", "integer": 1, "number": 1.5, "boolean": True, "object": {}, "null": None}
IS: dict[str, Any] = {"string": str, "integer": int, "number": (int, float), "boolean": bool}


def example(name: str, schemas: Mapping[str, Schema]) -> Any:
    """An example of the type of this name; a command has a `cid` too."""
    found = value(schemas[name], schemas, name)
    return {**found, "cid": 17} if "cid" in schemas[name].get("properties", {}) else found


def value(schema: Schema, schemas: Mapping[str, Schema], field: str = "") -> Any:
    if "$ref" in schema:
        return value(schemas[schema["$ref"].removeprefix(REF)], schemas, field)
    if "enum" in schema:
        said = known(field)
        return said if said in schema["enum"] else schema["enum"][0]
    if "anyOf" in schema:
        return value(schema["anyOf"][0], schemas, field)
    if "properties" in schema:
        parts = {name: f"{last(field)}.{name}" for name in schema.get("required", ())}
        return {name: value(schema["properties"][name], schemas, path) for name, path in parts.items()}
    if schema.get("type") == "array":
        return [value(schema["items"], schemas, field)] * max(1, schema.get("minItems", 1))
    return simple(schema, field)


def last(field: str) -> str:
    return field.rpartition(".")[2]


def known(field: str) -> Any:
    return SAID.get(field, SAID.get(last(field)))


def simple(schema: Schema, field: str) -> Any:
    kind = schema.get("type", "object")
    said = known(field)
    if kind in IS and isinstance(said, IS[kind]):
        return said
    return max(1, schema.get("minimum", 1)) if kind == "integer" else OF_TYPE[kind]
