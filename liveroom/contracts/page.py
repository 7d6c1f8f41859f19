"""The contract as a page for people: prose from `page.md`, with the tables of messages, codes and calls put in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from gameplay.danmaku import MOST_GRAPHEMES
from gameplay.play import Command
from liveroom.contracts.schemas import REF, Schema, name_of, ok_name, plain, refs_in, schemas
from liveroom.contracts.typescript import bounds
from liveroom.http.calls import CALLS, DEV, Call, refusals
from liveroom.menu import tag
from liveroom.protocol import CLOSES, COMMANDS, ERRORS, EVENTS, LONGEST_NOTICE, OF_CONNECTION
from liveroom.tokens import Claims

SAID_ONCE = ("t", "cid", "idem")  # of every command
OF_EVENTS = {"ledger": ("t", "seq", "ts")}
WORDS = {"string": "text", "integer": "integer", "number": "number", "boolean": "true or false", "null": "null"}
LINKS = {name_of(kind): f"`{tag(kind)}`" for kind in EVENTS} | {"Code": "[code](#errors)"}
GAP = re.compile(r"\{\{([\w ]+)\}\}")


def page() -> str:
    types = schemas()
    parts = {"hello": fields(types["Hello"], ("t",)), "types": inner_types(types), "claims": claims()}
    parts |= {"errors": errors(), "closes": closes(), "calls": calls(CALLS, types), "dev": calls(DEV, types)}
    parts |= {"graphemes": str(MOST_GRAPHEMES), "notice": str(LONGEST_NOTICE)}
    prose = files("liveroom.contracts").joinpath("page.md").read_text("utf-8")
    return filled(prose, parts, nouns(), lambda those: messages_of(those, types))


def filled(prose: str, parts: Mapping[str, str], about: Iterable[str], told: Callable[[Sequence[str]], str]) -> str:
    """The prose with the parts put in: `{{of lottery quiz}}` are the messages of both.

    Those of a new play, for which it has no place yet, go where it says `{{more}}`.
    """
    placed = {noun for gap in GAP.findall(prose) for noun in gap.split()[1:]}
    more = [f"#### {noun.title()}\n\n{told([noun])}" for noun in about if noun not in placed]

    def part(gap: re.Match[str]) -> str:
        name, *those = gap[1].split()
        return told(those) if name == "of" else "\n\n".join(more) if name == "more" else parts[name]

    return re.sub(r"\n{3,}", "\n\n", GAP.sub(part, prose))


def nouns() -> list[str]:
    """What messages are about; those without a noun are about the connection."""
    kinds: list[Any] = [*COMMANDS, *EVENTS]
    return list(dict.fromkeys(noun_of(kind) for kind in kinds))


def noun_of(kind: Any) -> str:
    noun, dot, _ = tag(kind).partition(".")
    return noun if dot else "connection"


def messages_of(those: Sequence[str], types: dict[str, Schema]) -> str:
    said = [command_row(kind, types) for kind in COMMANDS if noun_of(kind) in those]
    told = [event_row(kind, types) for kind in EVENTS if noun_of(kind) in those]
    commands = table("command", "who", "fields", "`ok`", rows=said) if said else ""
    events = table("event", "class", "fields", rows=told) if told else ""
    return "\n".join(part for part in (commands, events) if part).rstrip("\n")


def command_row(kind: type[Command], types: dict[str, Schema]) -> list[str]:
    name = name_of(kind)
    only = " (not over HTTP)" if kind in OF_CONNECTION else ""
    return [named(tag(kind), types[name]), kind.needs + only, fields(types[name], SAID_ONCE), answer(kind, types)]


def event_row(kind: Any, types: dict[str, Schema]) -> list[str]:
    schema = types[name_of(kind)]
    return [named(tag(kind), schema), kind.delivery, fields(schema, OF_EVENTS.get(kind.delivery, ("t",)))]


def answer(kind: type[Command], types: dict[str, Schema]) -> str:
    name = ok_name(kind)
    if name == "Ok":
        return "–"
    about = types[name].get("description", "")
    instead = f"`{types[name]['properties']['t']['enum'][0]}` instead<br>" if not name.endswith("Ok") else ""
    return instead + fields(types[name], SAID_ONCE) + (f"<br>{about}" if about and not instead else "")


def named(name: str, schema: Schema) -> str:
    return f"`{name}`" + (f"<br>{schema['description']}" if "description" in schema else "")


def fields(schema: Schema, without: Iterable[str]) -> str:
    """Each field with its type and bounds; `?`: it may be left out."""
    needed = schema.get("required", ())
    shown = [(name, one) for name, one in schema["properties"].items() if name not in without]
    rows = (f"`{name}`{'' if name in needed else '?'} {described(one)}" for name, one in shown)
    return "<br>".join(rows) or "–"


def described(schema: Schema) -> str:
    default = schema.get("default")
    left_out = f", left out: `{json.dumps(default, ensure_ascii=False)}`" if default not in (None, "", []) else ""
    return kind_of(schema) + left_out


def kind_of(schema: Schema) -> str:
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(REF)
        return LINKS.get(name, f"[{name}](#types-within-messages)")
    if "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(kind_of, schema["anyOf"])))
    if schema.get("type") == "array":
        return f"list{extent(schema)} of {kind_of(schema['items'])}"
    if schema.get("type") in WORDS:
        form = f" `{schema['pattern']}`" if "pattern" in schema else ""
        return WORDS[schema["type"]] + extent(schema) + form.replace("|", "\\|")
    return "object"


def extent(schema: Schema) -> str:
    low, high = bounds(schema)
    if low is None and high is None:
        return ""
    return f" {low}…{high}" if low is not None and high is not None else f" ≤ {high}" if low is None else f" ≥ {low}"


def inner_types(types: dict[str, Schema]) -> str:
    """What messages and answers are made of."""
    inner = {name for schema in types.values() for name in refs_in(schema)}
    rows = [[named(name, types[name]), inner_fields(types[name])] for name in types if name in inner - {*LINKS}]
    return table("type", "fields", rows=rows).rstrip("\n")


def inner_fields(schema: Schema) -> str:
    return fields(schema, ()) if "properties" in schema else kind_of(schema)


def claims() -> str:
    return fields(plain(Claims)["Claims"], ())


def errors() -> str:
    params = {code: inner_fields(plain(one.params)[name_of(one.params)]) for code, one in ERRORS.items()}
    rows = [
        [f"`{code}`", str(one.http), "yes" if one.retryable else "no", params[code]] for code, one in ERRORS.items()
    ]
    return table("code", "HTTP", "retryable", "params", rows=rows).rstrip("\n")


def closes() -> str:
    rows = [[str(int(close)), ending.why, ending.after.value] for close, ending in CLOSES.items()]
    return table("code", "why", "the client", rows=rows).rstrip("\n")


def calls(those: Iterable[Call], types: dict[str, Schema]) -> str:
    head = ("call", "who", "sent", "answered", "refused with")
    return table(*head, rows=[call_row(call, types) for call in those]).rstrip("\n")


def call_row(call: Call, types: dict[str, Schema]) -> list[str]:
    who = f"{call.who}{', for `*`' if call.whose == 'all' else ''}" if call.who else "anybody"
    sent = "a command" if call.body is Command else fields(types[name_of(call.body)], ()) if call.body else "–"
    extra = [f"header `{one.name}`? {one.about}" for one in call.headers]
    extra += [f"query `{one.name}`? {one.about}" for one in call.query]
    back = "its reply" if call.answer is Command else fields(types[name_of(call.answer)], ())
    also = "".join(f"<br>also with status {status}" for status in call.also)
    why = "any code" if call.body is Command else ", ".join(f"`{code}`" for code in refusals(call)) or "–"
    said = "<br>".join([one for one in (sent, *extra) if one != "–"] or ["–"])
    return [f"`{call.method} {call.path}`<br>{call.about}", who, said, back + also, why]


def table(*head: str, rows: Iterable[list[str]]) -> str:
    lines = [list(head), ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
