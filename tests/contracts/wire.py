"""What came over the wire against the schemas that are published: nothing more, nothing less, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs
import msgspec

from gameplay.play import Code
from liveroom.contracts.schemas import Schema, name_of, ok_name, schemas
from liveroom.menu import tag
from liveroom.protocol import COMMANDS, ERRORS, EVENTS

TYPES = schemas()
TOLD = {tag(kind): name_of(kind) for kind in EVENTS}
ANSWERS = {tag(kind): ok_name(kind) for kind in COMMANDS}


def strict(part: Any) -> Any:
    """The same, where what is not named may not be there."""
    if isinstance(part, list):
        return [strict(one) for one in part]
    if not isinstance(part, dict):
        return part
    closed = {name: strict(one) for name, one in part.items()}
    return {"additionalProperties": False, **closed} if isinstance(part.get("properties"), dict) else closed


def closed(types: Mapping[str, Schema]) -> Any:
    """Strict schemas; of an error the code decides about the params."""
    return {name: strict(schema) for name, schema in types.items()}


@cache
def validator(name: str) -> Any:
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": closed(TYPES)}}
    return jsonschema_rs.validator_for(schema)


@cache
def params_of(code: str) -> Any:
    return jsonschema_rs.validator_for(strict(msgspec.json.schema(ERRORS[Code(code)].params)))


def faults(checks: Any, part: Any) -> list[tuple[str, Any]]:
    return [(error.message, error.instance_path) for error in checks.iter_errors(part)]


def wrong(message: Any, command: str = "") -> str:
    """What the contract does not say of a message, or of the reply to a command; empty where it says it all."""
    kind = message["t"]
    if kind == "ok" and not command:
        return ""
    name = {"ok": ANSWERS.get(command, ""), "error": "ErrorReply"}.get(kind) or TOLD.get(kind)
    if name is None:
        return f"no such event: {message}"
    found = faults(validator(name), message)
    if not found and kind == "error":
        found = faults(params_of(message["code"]), message["params"])
    return f"{found} in {message}" if found else ""
