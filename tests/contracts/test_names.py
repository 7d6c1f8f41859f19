"""What is generated may say more than the design page of the protocol; it renames nothing and leaves nothing out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contracts.names import Names, names_of, read

ROOT = Path(__file__).parents[2]
DESIGN = ROOT.parent / "shared/design/protocol.md"

# What the page has and the server does not, yet. Take away here what is built.
NOT_YET = {
    "GET /v1/streams/{id}/review",
}


@pytest.fixture(scope="module")
def design() -> Names:
    if not DESIGN.exists():
        pytest.skip("needs the design pages beside the checkout")
    return read(DESIGN)


@pytest.fixture(scope="module")
def socket() -> Any:
    return yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def http() -> Any:
    return yaml.safe_load((ROOT / "docs/openapi.yaml").read_text("utf-8"))


def target(document: Any, ref: str) -> Any:
    found = document
    for part in ref.removeprefix("#/").split("/"):
        found = found[part]
    return target(document, found["$ref"]) if found.keys() == {"$ref"} else found


def fields_by_name(socket: Any) -> dict[str, set[str]]:
    """A command and an event may have one name."""
    found: dict[str, set[str]] = {}
    for message in socket["components"]["messages"].values():
        found.setdefault(message["name"], set()).update(target(socket, message["payload"]["$ref"])["properties"])
    return found


def answers_by_name(socket: Any) -> dict[str, set[str]]:
    found = {}
    for operation in socket["operations"].values():
        if "reply" in operation:
            ok = target(socket, operation["reply"]["messages"][0]["$ref"])
            found[operation["title"]] = set(target(socket, ok["payload"]["$ref"])["properties"])
    return found


def missing(design: Names, socket: Any, http: Any) -> Iterator[str]:
    fields, answers = fields_by_name(socket), answers_by_name(socket)
    for name, asked in design.messages.items():
        yield from [name] if name not in fields else [f"{name}: {one}" for one in asked - fields[name]]
    for name, asked in design.answers.items():
        yield from (f"{name} → ok: {one}" for one in asked - answers.get(name, set()) if name in fields)
    for example in design.examples:
        message = next(one for one in socket["components"]["messages"].values() if one["name"] == example["t"])
        yield from lacks(example, message["payload"], socket, example["t"])
    yield from (f"close {code}" for code in design.closes - {int(code) for code in socket["x-closes"]})
    paths = {f"{method.upper()} {path}" for path, calls in http["paths"].items() for method in calls}
    yield from design.paths - paths


def lacks(example: Any, schema: Any, document: Any, where: str) -> Iterator[str]:
    """Names in an example that its schema does not have, where the schema names any."""
    schema = target(document, schema["$ref"]) if "$ref" in schema else schema
    if isinstance(example, list) and "items" in schema:
        for one in example:
            yield from lacks(one, schema["items"], document, where)
    if not isinstance(example, dict) or "properties" not in schema:
        return
    for name, value in example.items():
        if name in schema["properties"]:
            yield from lacks(value, schema["properties"][name], document, f"{where}.{name}")
        else:
            yield f"{where}: {name}"


def test_nothing_of_the_design_is_renamed_or_left_out(design: Names, socket: Any, http: Any):
    lost = set(missing(design, socket, http))
    assert not lost - NOT_YET, "renamed or left out"
    assert not NOT_YET - lost, "built: take it away from NOT_YET"


def test_errors_mean_what_the_design_says(design: Names, socket: Any):
    told = socket["x-errors"]
    assert not design.errors.keys() - told.keys()
    for code, (http, retryable, params) in design.errors.items():
        row = [one for one, said in design.errors.items() if said == (http, retryable, params)]
        assert (told[code]["http"], told[code]["retryable"]) == (http, retryable), code
        assert params <= {param for one in row for param in told[one]["params"]}, code


def test_what_the_page_is_read_for_is_found(design: Names):
    assert len(design.messages) > 80
    assert design.messages["lottery.frozen"] == {"n", "root"}
    assert design.messages["sale.open"] >= {"item", "price", "currency", "hold_seconds"}
    assert design.answers["sale.claim"] == {"hold", "until"}
    assert len(design.errors) > 35
    assert len(design.closes) == 13
    assert "POST /v1/rooms/{room}/holds/{hold}/cancel" in design.paths
    assert [one["t"] for one in design.examples] == ["hello", "welcome"]


PAGE = """
## 1 Connecting
`{"t":"hello","token":"…","knows":{"epoch":"k3f9"}}`
## 4 Commands
`like.give {n}` → `ok {counted}` · `like.add {number}` → `ok {count}` · `quiz.opened {question}/unveiled`
## 5 Errors
| code | HTTP | retryable | params |
|---|---|---|---|
| BAD_MESSAGE | 400 | no | field |

**Close codes.** 4499 enough.
## 8 HTTP
| | who | body |
|---|---|---|
| POST /v1/rooms/{room}/open | host | |
"""


def test_what_was_renamed_or_left_out_is_named(socket: Any, http: Any):
    assert set(missing(names_of(PAGE), socket, http)) == {
        "hello: knows",
        "like.give",
        "like.add: number",
        "like.add → ok: count",
        "quiz.unveiled",
        "close 4499",
        "POST /v1/rooms/{room}/open",
    }
