"""A real server does over HTTP what docs/openapi.yaml says of it, whatever it is asked."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, GenerationMode, openapi
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contracts import wire
from tests.house import House, Node, guests, join, make_room, token

ROOT = Path(__file__).parents[2]
DOCUMENT = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text("utf-8"))
DOCUMENT["components"]["schemas"] = wire.closed(DOCUMENT["components"]["schemas"])
READ: list[Any] = list(openapi.from_dict(DOCUMENT).get_all_operations())
OPERATIONS: dict[str, APIOperation[Any, Any, Any, Any]] = {one.ok().label: one.ok() for one in READ}
# So nothing can be wrong with what they are asked.
ASKS_NOTHING = {"GET /livez", "GET /metrics", "GET /readyz", "GET /v1/rooms"}
CHECKS = [
    *(status_code_conformance, content_type_conformance),
    *(response_headers_conformance, response_schema_conformance),
]
ROLES = ("service", "service", "host", "moderator", "viewer", "")
GOOD, BAD = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
FEW, MANY = 12, 400  # requests of a kind
numbers = itertools.count(1)


class Stage(NamedTuple):
    """A server with a room in which something has happened."""

    node: Node
    known: dict[str, list[str]]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    house = House(tmp_path_factory.mktemp("house") / "data")
    try:
        node = house.node()
        room = make_room(node)
        rounds, holds = asyncio.run(a_show(node, room))
        yield Stage(node, {"room": [room, room, room, "demo"], "id": rounds, "hold": holds})
    finally:
        house.stop()


async def a_show(node: Node, room: str) -> tuple[list[str], list[str]]:
    """A draw, a quiz that is revealed, a sale with holds, in a stream: their rounds and holds."""
    async with guests(join(node, room, "host"), *(join(node, room) for _ in range(3))) as (host, *viewers):
        await host.ask("stream.start", title="A show")
        lottery = (await host.ask("lottery.open", prize="cup", winners=1))["id"]
        quiz = (await host.ask("quiz.open", question="?", choices=["a", "b"], right=0))["id"]
        sale = (await host.ask("sale.open", item="mug", price=5, stock=500, per_viewer=9, seconds=600))["id"]
        holds = []
        for viewer in viewers:
            await viewer.ask("lottery.enter", id=lottery)
            await viewer.ask("quiz.answer", id=quiz, choice=0)
            holds += [(await viewer.ask("sale.claim", id=sale, idem=f"i{n}"))["hold"] for n in range(9)]
            await viewer.say("so pretty")
        for kind, round_id, over in (("lottery", lottery, "settled"), ("quiz", quiz, "revealed")):
            await host.ask(f"{kind}.close", id=round_id)
            await host.hear(f"{kind}.{over}")
        count = (await host.ask("count.open", keyword="tea", seconds=600))["id"]
    return [lottery, quiz, sale, count], holds


def somewhere(case: Any, stage: Stage, draw: Any) -> None:
    """Mostly where something is to be found."""
    places = case.path_parameters or {}
    said = case.body if isinstance(case.body, dict) else {}
    for name, those in stage.known.items():
        for part in (places, said):
            if name in part and isinstance(part[name], str) and draw(st.integers(0, 5)):
                part[name] = draw(st.sampled_from(those))
    if case.path.endswith("/close") and places["room"] in stage.known["room"]:
        places["room"] = make_room(stage.node)


def whole(said: Any) -> Any:
    """For JSON Schema 2.0 is an integer too."""
    if isinstance(said, dict):
        return {name: whole(one) for name, one in said.items()}
    if isinstance(said, list):
        return [whole(one) for one in said]
    return int(said) if isinstance(said, float) and said.is_integer() else said


def headers(case: Any, draw: Any) -> dict[str, str]:
    """Each asks as somebody else, so that nobody is too fast."""
    role = draw(st.sampled_from(ROLES))
    room = draw(st.sampled_from(["*", "*", (case.path_parameters or {}).get("room", "demo")]))
    return {"Authorization": f"Bearer {token(str(room), role, f'h{next(numbers)}')}"} if role else {}


def hold_against(stage: Stage, label: str, mode: GenerationMode, examples: int) -> None:
    """Ask what the document allows, or what it does not, and look at every answer."""

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[label].as_strategy(generation_mode=mode), data=st.data())
    def ask(case: Any, data: Any) -> None:
        somewhere(case, stage, data.draw)
        if mode is GOOD:
            case.body = whole(case.body)
        response = case.call(base_url=stage.node.url, headers=headers(case, data.draw), session=session)
        case.validate_response(response, checks=CHECKS)
        if response.status_code != 503:  # where much is asked at once
            case.validate_response(response, checks=[not_a_server_error])

    before = len(stage.node.said)
    with requests.Session() as session:
        ask()
    assert "Traceback" not in stage.node.said[before:]


@pytest.mark.parametrize("label", OPERATIONS)
def test_good_requests_are_answered_as_published(stage: Stage, label: str):
    hold_against(stage, label, GOOD, FEW * 10 if label.endswith("commands") else FEW)


@pytest.mark.parametrize("label", [label for label in OPERATIONS if label not in ASKS_NOTHING])
def test_bad_requests_are_answered_as_published(stage: Stage, label: str):
    hold_against(stage, label, BAD, FEW)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("label", OPERATIONS)
def test_many_requests_are_answered_as_published(stage: Stage, label: str):
    hold_against(stage, label, GOOD, MANY * 5 if label.endswith("commands") else MANY)
    if label not in ASKS_NOTHING:
        hold_against(stage, label, BAD, MANY)
