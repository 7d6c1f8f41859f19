"""Each document is whole: its references lead somewhere, its examples are good, and it leaves out no message."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import yaml

from docs.generate import documents
from gameplay import play
from gameplay.play import Command, Event
from liveroom.client import after
from liveroom.contracts.page import filled
from liveroom.contracts.schemas import name_of, ok_name
from liveroom.menu import tag
from liveroom.protocol import CLOSES, COMMANDS, ERRORS, EVENTS, Close, Hello, read_one
from liveroom.protocol import JSON_CODEC as JSON

MADE = documents()
SOCKET = yaml.safe_load(MADE["docs/asyncapi.yaml"])
HTTP = yaml.safe_load(MADE["docs/openapi.yaml"])
PAGE, TYPES = MADE["docs/protocol.md"], MADE["web/sdk/src/protocol.ts"]
MESSAGES = SOCKET["components"]["messages"]
SPOKEN: list[Any] = [*COMMANDS, *EVENTS]
NAMES = [tag(kind) for kind in SPOKEN]


def kinds_below(kind: type) -> Iterator[type]:
    below: list[type] = kind.__subclasses__()
    for one in below:
        yield from (one, *kinds_below(one))


def parts_of(document: Any) -> Iterator[Any]:
    yield document
    inner: Iterable[Any] = ()
    if isinstance(document, dict | list):
        inner = document.values() if isinstance(document, dict) else document
    for one in inner:
        yield from parts_of(one)


def follow(document: Any, ref: str) -> Any:
    assert ref.startswith("#/")
    for part in ref[2:].replace("~1", "/").split("/"):
        document = document[part]
    return document


@pytest.mark.parametrize(("base", "listed"), [(Command, COMMANDS), (Event, EVENTS)])
def test_every_message_is_in_its_table(base: type, listed: tuple[type, ...]):
    ours = {one for one in kinds_below(base) if one.__module__.startswith(("gameplay", "liveroom"))}
    spoken = {one for one in ours if getattr(one, "__struct_config__").tag not in (None, one.__name__)}  # noqa: B009
    assert spoken == set(listed)
    assert len(listed) == len({name_of(kind) for kind in listed})


@pytest.mark.parametrize("document", [SOCKET, HTTP], ids=["asyncapi", "openapi"])
def test_every_reference_leads_somewhere(document: Any):
    refs = [part["$ref"] for part in parts_of(document) if isinstance(part, dict) and "$ref" in part]
    assert len(refs) > 100
    for ref in refs:
        assert follow(document, ref)


@pytest.mark.parametrize("document", [SOCKET, HTTP], ids=["asyncapi", "openapi"])
def test_every_type_is_a_json_schema_that_is_used(document: Any):
    refs = {part["$ref"] for part in parts_of(document) if isinstance(part, dict) and "$ref" in part}
    for name, schema in document["components"]["schemas"].items():
        jsonschema_rs.meta.validate(schema)
        if document is HTTP:
            assert f"#/components/schemas/{name}" in refs


def test_every_message_has_an_example_that_is_good():
    for name, message in MESSAGES.items():
        schema = {**message["payload"], "components": SOCKET["components"]}
        for example in message["examples"]:
            assert jsonschema_rs.is_valid(schema, example["payload"]), (name, example)


@pytest.mark.parametrize("kind", [Hello, *COMMANDS], ids=name_of)
def test_the_server_understands_the_example_of_each_command(kind: Any):
    (example,) = MESSAGES[name_of(kind)]["examples"]
    assert type(read_one(JSON.encode(example["payload"]), JSON)) is kind


@pytest.mark.parametrize("kind", EVENTS, ids=name_of)
def test_the_example_of_each_event_is_one(kind: Any):
    (example,) = MESSAGES[name_of(kind)]["examples"]
    assert type(msgspec.json.decode(JSON.encode(example["payload"]), type=kind)) is kind


def test_what_is_told_of_the_ledger_is_numbered_and_letters_have_an_inbox():
    for kind in EVENTS:
        schema = SOCKET["components"]["schemas"][name_of(kind)]
        assert ({"seq", "ts"} <= set(schema["required"])) == (kind.delivery == "ledger"), kind
        assert ("inbox" in schema["required"]) == issubclass(kind, play.Letter), kind


def test_every_command_has_an_operation_with_its_answer():
    assert len(SOCKET["operations"]) == len(COMMANDS) + 2  # hello, and what the room tells
    for kind in COMMANDS:
        operation = SOCKET["operations"][name_of(kind)]
        assert operation["x-needs"] == kind.needs
        replies = [ref["$ref"].rpartition("/")[2] for ref in operation["reply"]["messages"]]
        assert replies == [ok_name(kind), "ErrorReply"]
    told = {ref["$ref"].rpartition("/")[2] for ref in SOCKET["operations"]["tell"]["messages"]}
    assert told == {name_of(kind) for kind in EVENTS}


def test_the_document_has_the_form_of_asyncapi():
    assert SOCKET["asyncapi"] == "3.0.0"
    assert SOCKET.keys() >= {"info", "channels", "operations", "components"}
    (channel,) = SOCKET["channels"].values()
    assert set(re.findall(r"\{(\w+)\}", channel["address"])) == channel["parameters"].keys()
    assert channel["messages"] == {name: {"$ref": f"#/components/messages/{name}"} for name in MESSAGES}
    for name, operation in SOCKET["operations"].items():
        assert operation["action"] == ("send" if name == "tell" else "receive")
        assert follow(SOCKET, operation["channel"]["$ref"]) is channel
        for one in [*operation["messages"], *operation.get("reply", {}).get("messages", [])]:
            assert one["$ref"].startswith("#/channels/room/messages/")


def test_every_call_says_what_it_answers_and_who_may():
    for path, calls in HTTP["paths"].items():
        for call in calls.values():
            assert "200" in call["responses"]
            assert ("401" in call["responses"]) == ("security" in call) == ("x-needs" in call)
            places = [one["name"] for one in call.get("parameters", ()) if one["in"] == "path"]
            assert places == re.findall(r"\{(\w+)\}", path)


@pytest.mark.parametrize("text", [PAGE, TYPES], ids=["page", "types"])
def test_no_message_and_no_code_is_left_out(text: str):
    for name in (*NAMES, *ERRORS, *(str(int(close)) for close in Close)):
        assert re.search(rf"[`\"\s|]{re.escape(name)}[`\":\s|]", text), name


def test_the_page_has_every_call():
    for path, calls in HTTP["paths"].items():
        for method in calls:
            assert f"`{method.upper()} {path}`" in PAGE


def test_a_new_play_is_on_the_page_before_anybody_wrote_of_it():
    def page(prose: str) -> str:
        return filled(prose, {"errors": "codes"}, ["quiz", "guess"], " and ".join)

    assert page("a\n\n{{of quiz}}\n\n{{more}}\n\nb\n") == "a\n\nquiz\n\n#### Guess\n\nguess\n\nb\n"
    assert page("a\n\n{{of quiz guess}}\n\n{{more}}\n\n{{errors}}\n") == "a\n\nquiz and guess\n\ncodes\n"


def test_types_are_told_apart_by_t_and_nothing_is_named_that_is_not_there():
    made = re.findall(r"^(?:export )?(?:interface|type) (\w+)", TYPES, re.M)
    assert len(made) == len(set(made))
    for kind in SPOKEN:
        assert f'export interface {name_of(kind)} {{\n  t: "{tag(kind)}";\n' in TYPES
    code = re.sub(r"/\*.*?\*/|//[^\n]*|\"[^\"]*\"", "", TYPES, flags=re.S)
    named = set(re.findall(r"(?:[:|<,]|\bextends) *\(?([A-Z]\w+)", code))
    assert named - {"Record", "C", "P"} <= set(made)
    assert code.count("{") == code.count("}")


def test_every_close_code_says_what_the_client_does():
    assert CLOSES.keys() == set(Close)
    for close, ending in CLOSES.items():
        assert after(close) is ending.after
