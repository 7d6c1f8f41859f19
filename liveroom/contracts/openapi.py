"""The HTTP side as an OpenAPI 3.1 document."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec

from gameplay.play import Code, Command
from liveroom import __version__
from liveroom.contracts.examples import example
from liveroom.contracts.schemas import Schema, name_of, ok_name, ref, refs_in, schemas, tidy
from liveroom.http.calls import CALLS, DEV, Call, Parameter, refusals
from liveroom.menu import tag
from liveroom.protocol import COMMANDS, ERRORS, OF_CONNECTION, RoomId

ABOUT = (
    "What a shop's back end and its pages ask of liveroom over HTTP. Commands are those of the WebSocket; refusals "
    "are its error replies, with the status of their code; a path or method that is not here is refused with "
    "UNKNOWN_COMMAND and status 404 or 405. docs/protocol.md is the same contract for reading."
)
OVER_HTTP = [kind for kind in COMMANDS if kind not in OF_CONNECTION]
PLACES: dict[str, Any] = {"room": RoomId, "id": str, "hold": str}
SECONDS = {"description": "Seconds to wait, where it is known.", "schema": {"type": "integer", "minimum": 1}}
RETRY = {"Retry-After": SECONDS}


def openapi() -> Schema:
    types = schemas()
    paths: dict[str, Any] = {}
    for call in (*CALLS, *DEV):
        paths.setdefault(call.path, {})[call.method.lower()] = operation(call, types)
    paths["/metrics"] = {"get": metrics()}
    bearer = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "See docs/protocol.md, Tokens."}
    return {
        "openapi": "3.1.0",
        "info": {"title": "liveroom", "version": __version__, "description": ABOUT, "license": license_of()},
        "servers": [{"url": "/", "description": "Any node."}],
        "paths": paths,
        "components": {"securitySchemes": {"token": bearer}, "schemas": used(types | commands(), paths)},
    }


def metrics() -> Schema:
    """Not JSON, and told to whom the operator allows it, so no call as the others are."""
    said = {"content": {"text/plain": {"schema": {"type": "string"}}}}
    return {
        "operationId": "metrics",
        "summary": "What the node counts, for Prometheus; absent where the setting metrics is off.",
        "responses": {"200": {"description": "OK", **said}, "403": {"description": "For this machine only.", **said}},
    }


def license_of() -> Schema:
    return {"name": "Apache-2.0", "identifier": "Apache-2.0"}


def commands() -> dict[str, Schema]:
    """What may be said over HTTP, and what that is answered."""
    mapping = {tag(kind): ref(name_of(kind))["$ref"] for kind in OVER_HTTP}
    answers = dict.fromkeys(ok_name(kind) for kind in OVER_HTTP)
    return {
        "Command": {
            "oneOf": [ref(name_of(kind)) for kind in OVER_HTTP],
            "discriminator": {"propertyName": "t", "mapping": mapping},
        },
        "CommandAnswer": {"anyOf": [ref(name) for name in answers]},
    }


def operation(call: Call, types: dict[str, Schema]) -> Schema:
    about: Schema = {"operationId": call.name, "summary": call.about}
    if call.who:
        about |= {"security": [{"token": []}], "x-needs": call.who.value}
    if asked := parameters(call):
        about["parameters"] = asked
    if call.body:
        content = body(call.body, types)
        about["requestBody"] = {"required": True, "content": {"application/json": content}}
    return {**about, "responses": responses(call, types)}


def parameters(call: Call) -> list[Schema]:
    places = tuple(Parameter(name, PLACES[name], "") for name in re.findall(r"\{(\w+)\}", call.path))
    rows = [("path", places), ("query", call.query), ("header", call.headers)]
    return [parameter(where, one) for where, those in rows for one in those]


def parameter(where: str, one: Parameter) -> Schema:
    schema = msgspec.json.schema(one.type)
    (schema,) = schema.get("$defs", {"": schema}).values()
    found: Schema = {"name": one.name, "in": where, "required": where == "path", "schema": tidy(schema, {})}
    return {**found, "description": one.about} if one.about else found


def body(kind: Any, types: dict[str, Schema]) -> Schema:
    if kind is Command:
        said = {tag(one): {"value": example(name_of(one), types)} for one in OVER_HTTP}
        return {"schema": ref("Command"), "examples": said}
    return {"schema": ref(name_of(kind)), "example": example(name_of(kind), types)}


def responses(call: Call, types: dict[str, Schema]) -> Schema:
    """Answers and refusals by status."""
    found: dict[int, list[Schema]] = {}
    for status, kind in {200: call.answer, **call.also}.items():
        found.setdefault(status, []).append(ref("CommandAnswer" if kind is Command else name_of(kind)))
    codes = refusals(call)
    for status in dict.fromkeys(ERRORS[code].http for code in codes):
        found.setdefault(status, []).append(refused(code for code in codes if ERRORS[code].http == status))
    return {str(status): response(status, kinds, codes) for status, kinds in sorted(found.items())}


def refused(codes: Iterable[Code]) -> Schema:
    return {**ref("ErrorReply"), "properties": {"code": {"enum": [code.value for code in codes]}}}


def response(status: int, kinds: list[Schema], codes: tuple[Code, ...]) -> Schema:
    why = [code.value for code in codes if ERRORS[code].http == status]
    schema = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    found: Schema = {"description": ", ".join(why) or HTTPStatus(status).phrase}
    found["content"] = {"application/json": {"schema": schema}}
    return {**found, "headers": RETRY} if status in (429, 503) else found


def used(types: dict[str, Schema], paths: Any) -> dict[str, Schema]:
    """The types that HTTP speaks of, and those in them."""
    found: dict[str, Schema] = {}
    waiting = refs_in(paths)
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = types[name]
            waiting += refs_in(types[name])
    return {name: found[name] for name in types if name in found}
