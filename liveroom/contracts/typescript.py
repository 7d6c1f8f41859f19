"""The messages as TypeScript: unions that are told apart by `t`, and the tables of codes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from liveroom.contracts.schemas import REF, Kind, Schema, name_of, ok_name, plain, schemas
from liveroom.menu import tag
from liveroom.protocol import CLOSES, COMMANDS, ERRORS, EVENTS, JSON, MOST_IN, MSGPACK

HEAD = """\
// The wire contract of liveroom, version 1. Generated from the server's types by `make docs`: do not edit.
// A message is told apart by `t`. Ignore a `t` that is not here, and fields that are not here.
"""
SIMPLE = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
REFUSED = """\
interface Refused<C extends Code, P> {
  t: "error";
  cid?: number;
  code: C;
  retryable: boolean;
  retry_after_ms?: number;
  params: P;
  message: string; // for logs
}
"""


def typescript() -> str:
    types = schemas()
    own = [declared(name, schema) for name, schema in types.items() if name != "ErrorReply"]
    return "\n".join([HEAD, *own, REFUSED, *unions(), *tables()])


def declared(name: str, schema: Schema) -> str:
    about = f"/** {schema['description']} */\n" if "description" in schema else ""
    if "enum" in schema:
        return about + union(name, map(json.dumps, schema["enum"]))
    if "properties" not in schema:
        return f"{about}export type {name} = {type_of(schema)};\n"
    return f"{about}export interface {name} {{\n{fields(schema)}}}\n"


def fields(schema: Schema) -> str:
    needed = schema.get("required", ())
    rows = ((name, "" if name in needed else "?", one) for name, one in schema["properties"].items())
    return "".join(f"  {name}{mark}: {type_of(one)};{remark(one)}\n" for name, mark, one in rows)


def type_of(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].removeprefix(REF))
    if "enum" in schema:
        return either(json.dumps(one) for one in schema["enum"])
    if "anyOf" in schema:
        return either(map(type_of, schema["anyOf"]))
    kind = schema.get("type")
    if kind == "array":
        inner = type_of(schema["items"])
        return f"({inner})[]" if " " in inner else f"{inner}[]"
    if kind == "object":
        more = schema.get("additionalProperties")
        return f"Record<string, {type_of(more) if isinstance(more, dict) else 'unknown'}>"
    return SIMPLE[kind] if isinstance(kind, str) else "unknown"


def either(types: Iterable[str]) -> str:
    return " | ".join(dict.fromkeys(types))


def remark(schema: Schema) -> str:
    """Bounds and defaults, which types do not say."""
    low, high = bounds(schema)
    parts = [f"{low}…{high}" if low is not None else f"at most {high}"] if high is not None else []
    if schema.get("default") is not None:
        parts.append(f"left out: {json.dumps(schema['default'])}")
    return f" // {'; '.join(parts)}" if parts else ""


def bounds(schema: Schema) -> tuple[Any, Any]:
    """Of a number, a text in code points, or a list."""
    names = {"integer": ("minimum", "maximum"), "string": ("minLength", "maxLength"), "array": ("minItems", "maxItems")}
    low, high = names.get(schema.get("type", ""), ("", ""))
    return schema.get(low), schema.get(high) if schema.get(high) != 2**53 - 1 else None


def unions() -> list[str]:
    replies = [name for name in dict.fromkeys(map(ok_name, COMMANDS)) if name not in map(name_of, EVENTS)]
    return [
        union("Command", map(name_of, COMMANDS)),
        union("RoomEvent", map(name_of, EVENTS)),
        union("OkReply", replies),
        union("ErrorReply", (f'Refused<"{code}", {params(ERRORS[code].params)}>' for code in ERRORS)),
        union("ClientMessage", ["Hello", "Command"]),
        union("ServerMessage", ["RoomEvent", "OkReply", "ErrorReply"]),
        "/** What each command is answered, where it is not an error. */",
        "export interface Answers {\n" + "".join(f'  "{tag(one)}": {ok_name(one)};\n' for one in COMMANDS) + "}\n",
    ]


def union(name: str, those: Iterable[str]) -> str:
    return f"export type {name} =\n" + "\n".join(f"  | {one}" for one in those) + ";\n"


def params(kind: Kind) -> str:
    schema = plain(kind)[name_of(kind)]
    needed = schema.get("required", ())
    rows = [f"{name}{'' if name in needed else '?'}: {type_of(one)}" for name, one in schema["properties"].items()]
    return f"{{ {'; '.join(rows)} }}" if rows else "Record<string, never>"


def tables() -> list[str]:
    errors = {code: f"{{ http: {one.http}, retryable: {json.dumps(one.retryable)} }}" for code, one in ERRORS.items()}
    closes = {str(int(one)): json.dumps(ending.after.value) for one, ending in CLOSES.items()}
    needs = {f'"{tag(one)}"': f'"{one.needs}"' for one in COMMANDS}
    delivery = {f'"{tag(one)}"': f'"{one.delivery}"' for one in EVENTS}
    return [
        f'export const SUBPROTOCOLS = ["{JSON}", "{MSGPACK}"] as const;',
        f"export const MOST_BYTES = {MOST_IN}; // of a frame that a client sends\n",
        table("What each code means over HTTP, and whether to try again.", "ERRORS", errors),
        table("What each close code asks of a client.", "CLOSES", closes),
        table("The least role that may give a command.", "NEEDS", needs),
        table("How an event is delivered.", "DELIVERY", delivery),
    ]


def table(about: str, name: str, rows: dict[Any, str]) -> str:
    inner = "".join(f"  {key}: {value},\n" for key, value in rows.items())
    return f"/** {about} */\nexport const {name} = {{\n{inner}}} as const;\n"
