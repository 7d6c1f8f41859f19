"""Streams are begun and ended once for each intention, and what is refused changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.audience.watching import ask, open_node, report_when
from tests.house import Guest, House, Node, Plant, guests, join, make_room, retried, token

MISMATCH = "IDEMPOTENCY_MISMATCH"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """Two nodes of one house; each test takes a room of its own."""
    house = House(tmp_path_factory.mktemp("streams") / "data")
    try:
        yield [open_node(house), open_node(house)]
    finally:
        house.stop()


async def told(host: Guest) -> list[tuple[str, str]]:
    """Which streams the room was told of, up to now."""
    text = f"mark {len(host.heard)}"
    await retried(lambda: host.ask("room.notice", text=text))
    await host.hear("room.notice", text=text)
    return [(m["t"], m["id"]) for m in host.heard if m["t"] in ("stream.started", "stream.stopped")]


async def of_now(node: Node, room: str) -> dict[str, Any]:
    status, said = await ask(node, room)
    assert status == 200
    return dict(said["stream"])


def test_a_stream_that_is_stopped_twice_by_one_intention_is_stopped_once(pair: list[Node]):
    async def show() -> None:
        room = make_room(pair[0])
        async with guests(join(pair[0], room, "host", "h"), join(pair[1], room, "host", "h")) as hosts:
            begun = [await one.ask("stream.start", title="Evening", idem="b") for one in (*hosts, *hosts)]
            ended = [await one.ask("stream.stop", idem="e") for one in (*hosts, *hosts)]
            (id_,) = {one["id"] for one in begun + ended}
            assert await told(hosts[0]) == [("stream.started", id_), ("stream.stopped", id_)]
            assert (await hosts[0].ask("stream.stop", idem="f"))["code"] == "NO_STREAM"

    asyncio.run(show())


def test_at_the_same_moment_too(pair: list[Node]):
    async def show() -> None:
        room = make_room(pair[0])
        async with guests(join(pair[0], room, "host", "h"), join(pair[1], room, "host", "h")) as hosts:
            for turn in ("one", "two", "three"):
                begun = await asyncio.gather(*(one.ask("stream.start", title=turn, idem=f"b {turn}") for one in hosts))
                ended = await asyncio.gather(*(one.ask("stream.stop", idem=f"e {turn}") for one in hosts))
                assert len({one["id"] for one in begun + ended}) == 1
            assert [what for what, _ in await told(hosts[0])] == ["stream.started", "stream.stopped"] * 3

    asyncio.run(show())


OTHERS = [("stream.start", {"title": "B"}), ("stream.stop", {}), ("room.notice", {"text": "x"})]


@pytest.mark.parametrize("other", OTHERS)
def test_a_key_that_was_used_for_something_else_begins_and_ends_nothing(pair: list[Node], other: Any):
    async def show() -> None:
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "host", "h")) as (host,):
            kind, fields = other
            first = await host.ask("stream.start", title="A", idem="a")
            await host.ask(kind, **fields, idem="k")  # done, or refused: it was used
            before = await told(host), await of_now(there, room)
            for verb, more in (("stream.start", {"title": "C"}), ("stream.stop", {})):
                if verb != kind:
                    assert (await host.ask(verb, **more, idem="k"))["code"] == MISMATCH
            assert (await host.ask("stream.start", title="C", idem="a"))["code"] == MISMATCH
            assert (await host.ask("stream.stop", idem="a"))["code"] == MISMATCH
            status, said = await asyncio.to_thread(
                there.http,
                "POST",
                f"/v1/rooms/{room}/commands",
                {"t": "stream.stop", "idem": "a"},
                token(room, "host", "h"),
            )
            assert (status, said["code"]) == (409, MISMATCH)
            assert (await told(host), (await of_now(there, room))["id"]) == (before[0], before[1]["id"])
            assert before[1]["id"] == first["id"]

    asyncio.run(show())


def test_what_began_a_stream_long_ago_begins_no_other(pair: list[Node]):
    async def show() -> None:
        room = make_room(pair[0])
        async with guests(join(pair[0], room, "host", "h")) as (host,):
            first = await host.ask("stream.start", title="A", idem="a")
            await host.ask("stream.stop", idem="a stop")
            await host.ask("stream.start", title="B", idem="b")
            await host.ask("stream.stop", idem="b stop")
            before = await told(host)
            assert (await host.ask("stream.start", title="A", idem="a"))["id"] == first["id"]
            assert (await host.ask("stream.stop", idem="a stop"))["id"] == first["id"]
            assert await told(host) == before
            assert (await host.ask("stream.stop"))["code"] == "NO_STREAM"

    asyncio.run(show())


def test_what_a_node_began_and_could_not_tell_is_told_when_it_is_sent_again(plant: Plant, tmp_path: Path):
    mark = tmp_path / "died"
    dies = f"""        import os, pathlib
        if title == "dies" and not pathlib.Path({str(mark)!r}).exists():
            pathlib.Path({str(mark)!r}).touch()
            os.kill(os.getpid(), 9)
        if state == 1:
"""
    house: House = plant(("liveroom/audience.py", "        if state == 1:\n", dies))

    async def show() -> None:
        here, there = await asyncio.to_thread(open_node, house), await asyncio.to_thread(open_node, house)
        room = make_room(here)
        async with guests(join(here, room, "host", "h"), join(there, room, "host", "h")) as (host, again):
            await host.send({"t": "stream.start", "title": "dies", "cid": 1, "idem": "k"})
            await host.closing()
            assert mark.exists()
            assert await told(again) == []
            ask = lambda: again.ask("stream.start", title="dies", idem="k")  # noqa: E731
            begun = await retried(ask)
            assert await told(again) == [("stream.started", begun["id"])]
            assert (await retried(ask))["id"] == begun["id"]

    asyncio.run(show())


def test_a_room_that_is_closed_ends_its_stream_and_whoever_was_here_has_not_left(pair: list[Node]):
    async def show() -> None:
        here, there = pair
        room = make_room(here)
        people = join(here, room, "host", "h"), join(there, room, sub="ann"), join(here, room, sub="bob")
        async with guests(*people) as (host, ann, _):
            assert (await host.ask("stream.start", title="Evening"))["t"] == "ok"
            await report_when(here, room, lambda said: said["online"]["now"] == 2)
            await close(there, room)
            assert not (await of_now(here, room))["live"]
            await ann.closing()
            assert [m["t"] for m in ann.heard if m["t"].startswith("stream.")] == ["stream.started"]
            said = await report_when(here, room, lambda said: said["watch"]["total"] > 0)
            assert (said["sessions"], said["reasons"], said["stay"]["curve"]) == (2, {}, [])
            assert said["online"]["now"] == 0

    asyncio.run(show())


async def close(node: Node, room: str) -> None:
    assert (await asyncio.to_thread(node.http, "POST", f"/v1/rooms/{room}/close", {}, token(room, "host")))[0] == 200


def test_where_the_node_that_closes_a_room_dies_another_ends_its_stream(plant: Plant):
    house: House = plant(
        ("liveroom/audience.py", "await self.attendance.close(room)", "__import__('os').abort()"),
        ("liveroom/store/lua/_attend.lua", "local LOOK_MS = 60000", "local LOOK_MS = 500"),
    )

    async def show() -> None:
        here, there = await asyncio.to_thread(open_node, house), await asyncio.to_thread(open_node, house)
        room = make_room(there)
        async with guests(join(there, room, "host", "h"), join(there, room, sub="ann")) as (host, _):
            await host.ask("stream.start")
            await report_when(there, room, lambda said: said["online"]["now"] == 1)
            with pytest.raises((OSError, HTTPException)):
                await close(here, room)
            said = await report_when(there, room, lambda said: not said["stream"]["live"])
            assert (said["sessions"], said["reasons"]) == (1, {})

    asyncio.run(show())


def test_the_room_hears_once_that_a_forgotten_stream_is_over(plant: Plant):
    house: House = plant(("liveroom/store/attendance.py", "FORGOTTEN_MS = 6 * 3600 * 1000", "FORGOTTEN_MS = 500"))

    async def show() -> None:
        nodes = [await asyncio.to_thread(open_node, house) for _ in range(2)]
        room = make_room(nodes[0])
        async with guests(join(nodes[0], room, "host", "h")) as (host,):
            begun = await host.ask("stream.start", title="Evening")
            await host.hear("stream.stopped", id=begun["id"])
            await asyncio.sleep(3)
            assert [what for what, _ in await told(host)] == ["stream.started", "stream.stopped"]
            assert not (await of_now(nodes[1], room))["live"]
            assert (await host.ask("stream.stop"))["code"] == "NO_STREAM"

    asyncio.run(show())
