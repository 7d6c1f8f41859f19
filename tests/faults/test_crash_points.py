"""A node that dies at the worst moments of a round: what was acknowledged counts once, and the round ends elsewhere."""

import asyncio
import contextlib
import json
import time
from typing import Any

import pytest

from liveroom.verify_draw import checks, read_proof
from tests.house import Guest, House, Node, guests, join, make_room, token

SLOW = 20  # seconds for what takes two: a bell is leased for two


async def taken_part(viewer: Guest, kind: str, **fields: Any) -> bool:
    """Whether he was told that it counts; a node that dies tells nothing."""
    with contextlib.suppress(TimeoutError, AssertionError, OSError):
        return bool((await viewer.ask(kind, 3, **fields))["t"] == "ok")
    return False


def is_dead(node: Node) -> bool:
    with contextlib.suppress(Exception):
        node.process.wait(SLOW)
    return node.process.poll() is not None


@pytest.mark.parametrize("point", ["after_lua", "before_reply"])
def test_an_entry_whose_reply_was_lost_is_in_the_draw_once_and_is_answered_when_it_is_sent_again(
    house: House, point: str
):
    async def show() -> None:
        lives = house.node()
        dies = await asyncio.to_thread(house.node, crash_at=point)
        room = make_room(lives)
        async with guests(join(lives, room, "host")) as (host,):
            id_ = (await host.ask("lottery.open", prize="cup", winners=1, seconds=300))["id"]
            here = [await join(lives, room, sub=f"v{n}") for n in range(5)]
            there = [await join(dies, room, sub=f"w{n}") for n in range(5)]
            told = await asyncio.gather(*(taken_part(one, "lottery.enter", id=id_) for one in (*here, *there)))
            assert told == [True] * 5 + [False] * 5
            assert await asyncio.to_thread(is_dead, dies)
            again = [await join(lives, room, sub=f"w{n}") for n in range(5)]
            receipts = [(await one.ask("lottery.enter", id=id_))["receipt"] for one in (*here, *again)]
            assert (await host.ask("lottery.close", id=id_))["t"] == "ok"
            await host.hear("lottery.drawn", SLOW)
            proof = lives.http("GET", f"/v1/rooms/{room}/rounds/{id_}/proof")[1]
            assert len(proof["entries"]) == 10
            assert {one["tag"] for one in proof["entries"]} == {one["tag"] for one in receipts}
            rows = await asyncio.to_thread(house.entries_recorded, id_, 10)
            assert [n for n, _, _ in rows] == list(range(1, 11))
            assert len({viewer for _, viewer, _ in rows}) == 10
            for one in (*here, *again):
                await one.leave()

    asyncio.run(show())


@pytest.mark.parametrize("point", ["before_close", "after_close", "before_freeze", "before_settle", "after_settle"])
def test_a_draw_goes_on_elsewhere_when_the_node_that_does_it_dies(house: House, point: str):
    async def show() -> None:
        dies = house.node(crash_at=point)
        room = make_room(dies)
        host, ann = await join(dies, room, "host"), await join(dies, room, sub="ann")
        id_ = (await host.ask("lottery.open", prize="cup", winners=1, seconds=2))["id"]
        receipt = (await ann.ask("lottery.enter", id=id_))["receipt"]
        assert await asyncio.to_thread(is_dead, dies)  # at its own bell: no other node is there yet
        lives = await asyncio.to_thread(house.node)
        async with guests(join(lives, room, "host"), join(lives, room, sub="ann")) as (late, again):
            done = await settled(lives, room, id_)
            assert done["state"] == "settled"
            assert done["result"]["winners"][0]["viewer"] == "ann"
            status, proof = lives.http("GET", f"/v1/rooms/{room}/rounds/{id_}/proof")
            assert status == 200
            assert [one["tag"] for one in proof["entries"]] == [receipt["tag"]]
            assert all(agrees for _, agrees in checks(read_proof(json.dumps(proof))))
            letters = [m for m in (*again.welcome["snapshot"]["inbox"], *again.heard) if m["t"] == "lottery.won"]
            assert len({m["inbox"] for m in letters}) == 1
            drawn = await asyncio.to_thread(house.times_told, id_, "lottery.drawn")
            assert drawn == 1
            assert late.closed is None
        for one in (host, ann):
            one.reader.cancel()

    asyncio.run(show())


@pytest.mark.parametrize("point", ["before_settle", "after_settle"])
def test_a_quiz_is_revealed_once_when_the_node_that_does_it_dies(house: House, point: str):
    async def show() -> None:
        dies = house.node(crash_at=point)
        room = make_room(dies)
        host, ann = await join(dies, room, "host"), await join(dies, room, sub="ann")
        id_ = (await host.ask("quiz.open", question="?", choices=["a", "b"], right=1, seconds=2))["id"]
        assert (await ann.ask("quiz.answer", id=id_, choice=1))["t"] == "ok"
        assert await asyncio.to_thread(is_dead, dies)
        lives = await asyncio.to_thread(house.node)
        async with guests(join(lives, room, sub="ann")) as (again,):
            done = await settled(lives, room, id_, "revealed")
            assert done["result"]["counts"] == [0, 1]
            status, mine = lives.http("GET", f"/v1/rooms/{room}/rounds/{id_}", token=token(room, sub="ann"))
            assert (status, mine["mine"]["choice"], mine["mine"]["result"]["correct"]) == (200, 1, True)
            assert [row[1:] for row in await asyncio.to_thread(house.entries_recorded, id_, 1)] == [("ann", "1")]
            assert await asyncio.to_thread(house.times_told, id_, "quiz.revealed") == 1
            assert again.closed is None
        for one in (host, ann):
            one.reader.cancel()

    asyncio.run(show())


async def settled(node: Node, room: str, round_id: str, state: str = "settled") -> dict[str, Any]:
    deadline = time.monotonic() + SLOW
    while True:
        _, told = await asyncio.to_thread(node.http, "GET", f"/v1/rooms/{room}/rounds/{round_id}", None, token(room))
        if told.get("state") == state or time.monotonic() > deadline:
            return dict(told)
        await asyncio.sleep(0.1)
