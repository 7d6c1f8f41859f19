"""Several nodes on one data folder, and what is left when one of them dies."""

import asyncio

import pytest

from tests.house import guests, join, make_room, retried, token


def test_viewers_on_two_nodes_see_each_other(house):
    async def show():
        one, two = house.node(), house.node()
        room = make_room(one)
        async with guests(join(one, room, sub="ann"), join(two, room, sub="bob")) as (ann, bob):
            await ann.say("from one")
            await bob.say("from two")
            for guest in (ann, bob):
                await guest.hear("chat.message", text="from one")
                await guest.hear("chat.message", text="from two")
                await guest.hear("room.stats", viewers=2)
            assert (await ann.ask("like.add", n=5))["counted"] == 5
            await bob.hear("like.total", total=5)
            async with guests(join(two, room, sub="eve")) as (eve,):
                await asyncio.sleep(1.2)  # the history is saved once a second
                assert {one["text"] for one in eve.welcome["snapshot"]["chat"]} == {"from one", "from two"}

    asyncio.run(show())


def test_who_is_cut_off_resumes_on_the_other_node(house):
    async def show():
        one, two = house.node(), house.node()
        room = make_room(one)
        async with guests(join(one, room, "host", "h"), join(one, room, sub="ann")) as (host, ann):
            await host.ask("room.notice", text="0")
            seen = await ann.hear("room.notice")
            ann.drop()
            for n in range(1, 30):
                await host.ask("room.notice", text=str(n))
            resume = {"epoch": ann.welcome["epoch"], "seq": seen["seq"]}
            async with guests(join(two, room, sub="ann", resume=resume)) as (again,):
                assert again.welcome["recovered"] is True
                await host.ask("room.notice", text="last")
                await again.hear("room.notice", text="last")
                assert again.ledger() == list(range(2, 32))

    asyncio.run(show())


@pytest.mark.parametrize("setting", [{"resume_seconds": 0.5}, {"resume_events": 3}])
def test_beyond_the_window_he_gets_a_snapshot(house, setting):
    async def show():
        one, two = house.node(**setting), house.node(**setting)
        room = make_room(one)
        async with guests(join(one, room, "host", "h")) as (host,):
            for n in range(6):
                await host.ask("room.notice", text=str(n))
            await asyncio.sleep(0.6)
            async with guests(join(two, room, resume={"epoch": host.welcome["epoch"], "seq": 1})) as (back,):
                assert back.welcome["recovered"] is False
                assert back.welcome["seq"] == 6
                assert back.welcome["snapshot"]["notice"]["text"] == "5"

    asyncio.run(show())


def test_a_killed_node_takes_nothing_with_it(house, until):
    async def show():
        first, second = house.node(lease_seconds=1), house.node(lease_seconds=1)  # the first runs Valkey
        room = make_room(first)
        coming = join(first, room, sub="ann"), join(second, room, sub="bob"), join(second, room, "host", "h")
        async with guests(*coming) as (
            ann, bob, host,
        ):  # fmt: skip
            await host.ask("room.notice", text="before")
            before = await ann.hear("room.notice")
            if bob.welcome["room"]["viewers"] < 2:
                await bob.hear("room.stats", viewers=2)
            first.kill()
            assert await ann.closing() == 1006
            await asyncio.to_thread(second.wait_until, "/readyz", 200)
            told = await retried(lambda: host.ask("room.notice", text="after"))
            assert (await bob.hear("room.notice", text="after"))["seq"] == told["seq"] == before["seq"] + 1
            resume = {"epoch": ann.welcome["epoch"], "seq": before["seq"]}
            async with guests(join(second, room, sub="ann", resume=resume)) as (again,):
                assert again.welcome["recovered"] is True
                await again.hear("room.notice", text="after")
            await asyncio.to_thread(until, lambda: viewers(second, room) == 1)
            assert bob.closed is None

    asyncio.run(show())


def test_a_stopped_node_says_goodbye(house):
    async def show():
        one, two = house.node(drain_seconds=1), house.node()
        room = make_room(one)
        async with guests(join(one, room, sub="ann"), join(two, room, sub="bob")) as (ann, bob):
            assert await asyncio.to_thread(one.stop) == 0
            assert (await ann.hear("bye"))["retry_after_ms"] <= 1000
            assert await ann.closing() == 4000
            assert bob.closed is None
            await asyncio.to_thread(two.wait_until, "/readyz", 200)
            async with guests(join(two, room, sub="ann")) as (again,):
                assert (await retried(lambda: again.say("back")))["t"] == "ok"
                await bob.hear("chat.message", text="back")
        assert "Traceback" not in one.said + two.said

    asyncio.run(show())


def test_the_same_device_on_another_node_replaces_the_older_connection(house):
    async def show():
        one, two = house.node(), house.node()
        room = make_room(one)
        phone = {"device": "phone"}
        async with guests(join(one, room, sub="ann", claims=phone), join(two, room, sub="ann", claims=phone)) as (
            old,
            new,
        ):
            assert await old.closing() == 4503
            await new.say("here")
            assert viewers(two, room) == 1

    asyncio.run(show())


def viewers(node, room):
    return node.http("GET", f"/v1/rooms/{room}", token=token(room))[1].get("viewers")  # none: try later
