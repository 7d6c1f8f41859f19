"""JSON schemas of all that goes over the wire, each under one name, made from the Structs of the server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct, inspect

from gameplay import play
from gameplay.play import Command, Event
from liveroom.http.calls import CALLS, DEV, Call
from liveroom.menu import tag
from liveroom.protocol import COMMANDS, EVENTS, ErrorReply, Hello

Schema = dict[str, Any]
Kind = type[Any]

REF = "#/components/schemas/"
NUMBERED = {"seq": {"type": "integer", "minimum": 1}, "ts": {"type": "integer", "description": "epoch milliseconds"}}
CID = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}


def camel(name: str) -> str:
    return "".join(part.title() for part in name.replace(".", "_").split("_"))


def name_of(kind: Kind) -> str:
    """The name of a type in all documents; a command and an event may have one tag."""
    if issubclass(kind, Command):
        return f"{camel(tag(kind))}Command"
    if issubclass(kind, Event):
        return f"{camel(tag(kind))}Event"
    return str(kind.__name__)


def ok_name(command: type[Command]) -> str:
    """The name of what a command is answered."""
    answer = command.answer
    if issubclass(answer, Event):
        return name_of(answer)
    return "Ok" if answer is play.Nothing else f"{answer.__name__}Ok"


def ref(name: str) -> Schema:
    return {"$ref": REF + name}


def refs_in(part: Any) -> list[str]:
    """The names of the types that a part of a document refers to."""
    if isinstance(part, list):
        return [name for one in part for name in refs_in(one)]
    if not isinstance(part, dict):
        return []
    own = [part["$ref"].rpartition("/")[2]] if isinstance(part.get("$ref"), str) else []
    return own + [name for one in part.values() for name in refs_in(one)]


def schemas() -> dict[str, Schema]:
    """Every type by its name."""
    found: dict[str, Schema] = {}
    kinds: list[Kind] = [Hello, ErrorReply, *COMMANDS, *EVENTS, *bodies((*CALLS, *DEV))]
    for kind in kinds:
        add(found, name_of(kind), made(kind))
    for command in COMMANDS:
        if not issubclass(command.answer, Event):
            add(found, ok_name(command), {ok_name(command): ok(command.answer), **parts_of(command.answer)})
    return found


def bodies(calls: Iterable[Call]) -> list[Kind]:
    kinds = [kind for call in calls for kind in (call.body, call.answer, *call.also.values())]
    return [kind for kind in dict.fromkeys(kinds) if kind not in (None, Command)]


def add(found: dict[str, Schema], name: str, new: Mapping[str, Schema]) -> None:
    """One name means one thing."""
    for each, schema in new.items():
        if found.setdefault(each, schema) != schema:
            raise ValueError(f"two types are called {each}, the second in {name}: rename one")


def made(kind: Kind) -> dict[str, Schema]:
    """The schema of a Struct and of those in it, by name."""
    found = plain(kind)
    schema = found[name_of(kind)]
    if issubclass(kind, Event):
        schema = told(kind, schema)
    for field in fields_of(kind):
        if shape := shape_in(field.type):
            schema["properties"][field.encode_name] = ref(name_of(shape))
            found |= made(shape)
    return found


def parts_of(kind: Kind) -> dict[str, Schema]:
    """The types within a type."""
    return {name: schema for name, schema in made(kind).items() if name != name_of(kind)}


def plain(kind: Kind) -> dict[str, Schema]:
    """As msgspec sees it, under our names. Events within others are left out: they have their own."""
    _, components = msgspec.json.schema_components((kind,), ref_template=REF + "{name}")
    kinds = {one.__name__: one for one in structs_in(inspect.type_info(kind))}
    names = {name: name_of(kinds[name]) if name in kinds else name for name in components}
    return {
        names[name]: tidy(schema, names)
        for name, schema in components.items()
        if kinds.get(name) is kind or kinds.get(name) not in EVENTS
    }


def structs_in(info: inspect.Type) -> Iterator[Kind]:
    """The Structs that a type is made of."""
    match info:
        case inspect.StructType(cls=kind, fields=fields):
            yield kind
            inner = [field.type for field in fields]
        case inspect.UnionType(types=types) | inspect.TupleType(item_types=types):
            inner = list(types)
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item) | inspect.Metadata(type=item):
            inner = [item]
        case inspect.DictType(value_type=item):
            inner = [item]
        case _:
            inner = []
    for one in inner:
        yield from structs_in(one)


def tidy(schema: Any, names: Mapping[str, str]) -> Any:
    """Without what says nothing, or what only Python's `$` needs."""
    if isinstance(schema, list | tuple):
        return [tidy(one, names) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: tidy(value, names) for key, value in schema.items() if key != "title" or not isinstance(value, str)}
    if "$ref" in found:
        found["$ref"] = REF + names[found["$ref"].removeprefix(REF)]
    if isinstance(found.get("pattern"), str):
        found["pattern"] = found["pattern"].removesuffix(r"(?!\n)")
    if isinstance(found.get("description"), str):
        found["description"] = " ".join(found["description"].replace("``", "`").split())
    if found.get("required") == []:
        del found["required"]
    return found


def told(kind: Kind, schema: Schema) -> Schema:
    """An event as viewers see it: with what the server fills in."""
    if kind.delivery == "ledger":
        t, *others = schema["properties"].items()
        schema["properties"] = dict([t, *NUMBERED.items(), *others])
    filled = [name for name in schema["properties"] if name in filled_in(kind) or is_numbered(kind, name)]
    for name in filled:
        schema["properties"][name].pop("default", None)
    schema["required"] = [name for name in schema["properties"] if name in {*schema["required"], *filled}]
    return schema


def is_numbered(kind: Kind, name: str) -> bool:
    return kind.delivery == "ledger" and name in NUMBERED


def filled_in(kind: Kind) -> set[str]:
    """The fields of the vocabulary's own events: `id`, `ver`, `inbox`, the times."""
    bases = [base for base in kind.__mro__ if base.__module__ == play.__name__ and issubclass(base, Struct)]
    return {name for base in bases for name in base.__struct_fields__}


def ok(answer: Kind) -> Schema:
    """The reply to a command: `cid` is there whenever the command had one."""
    schema = plain(answer)[name_of(answer)]
    return {
        **({"description": schema["description"]} if "description" in schema else {}),
        "type": "object",
        "properties": {"t": {"enum": ["ok"]}, "cid": CID, **schema["properties"]},
        "required": ["t", *schema.get("required", ())],
    }


def fields_of(kind: Kind) -> tuple[inspect.Field, ...]:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return info.fields


def shape_in(kind: inspect.Type) -> Kind | None:
    """The type that bytes which are JSON already have."""
    if isinstance(kind, inspect.Metadata) and kind.extra:
        shape: Kind | None = kind.extra.get("shape")
        return shape
    return None
