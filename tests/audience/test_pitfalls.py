"""The mistakes that are easily made while people come and go, made possible here: none of them is in the numbers."""

import asyncio
import os
import signal
from typing import Any

import pytest

from tests.audience.test_show import opened
from tests.audience.watching import NEAR, left, report_when, seconds
from tests.house import Guest, House, guests, join

pytestmark = pytest.mark.timeout(120)

SILENCE: dict[str, object] = {"dead_seconds": 4, "ping_seconds": 1}  # a ping may go two seconds apart


def falls_silent(guest: Guest) -> None:
    """His connection stays open, but nothing is read from it, and no ping is answered."""
    guest.socket.transport.pause_reading()


async def gone(guest: Guest) -> None:
    guest.reader.cancel()
    guest.socket.transport.abort()


def spans(report: Any) -> list[float]:
    return [point["t"] for point in report["stay"]["curve"]]


def test_who_falls_silent_left_when_he_was_last_heard_of(house: House):
    async def show() -> None:
        async with opened(house, 1, **SILENCE) as ((a,), room), guests(join(a, room, sub="bob")):
            ann, came = await join(a, room, sub="ann"), seconds()
            await asyncio.sleep(2.2)
            await ann.ask("time.ping", c0=1)
            heard = seconds()
            falls_silent(ann)
            said = await report_when(a, room, lambda said: left(said) == 1)
            noticed = seconds()
            assert said["reasons"] == {"ping_timeout": 1}
            assert spans(said) == pytest.approx([heard - came], abs=NEAR)
            assert noticed - heard > 4
            await gone(ann)

    asyncio.run(show())


def test_who_is_out_of_sight_and_falls_silent_is_in_the_background(house: House):
    async def show() -> None:
        async with opened(house, 1, **SILENCE) as ((a,), room), guests(join(a, room, sub="bob")):
            ann = await join(a, room, sub="ann")
            await ann.ask("presence.set", visible=False)
            falls_silent(ann)
            said = await report_when(a, room, lambda said: left(said) == 1)
            assert said["reasons"] == {"background": 1}
            await gone(ann)

    asyncio.run(show())


def test_a_device_that_died_earlier_does_not_shorten_the_stay(house: House):
    """He goes on with the other device and leaves there; the dead one is noticed after that."""

    async def show() -> None:
        async with opened(house, 1, **SILENCE) as ((a,), room), guests(join(a, room, sub="bob")):
            phone, came = await join(a, room, sub="ann"), seconds()
            desk = await join(a, room, sub="ann")
            await phone.ask("time.ping", c0=1)
            falls_silent(phone)
            await asyncio.sleep(2.5)
            went = seconds()
            await desk.leave()
            said = await report_when(a, room, lambda said: left(said) == 1)
            assert spans(said) == pytest.approx([went - came], abs=NEAR)
            assert said["reasons"] == {"close": 1}
            await gone(phone)

    asyncio.run(show())


def test_a_storm_of_reconnects_is_no_departure(house: House):
    """All connections of a node break at once; everybody is back on the other one within the grace."""

    async def show() -> None:
        async with opened(house, 2, grace_seconds=5) as ((a, b), room):
            inside = [await join(a, room, sub=f"v{n}") for n in range(20)]
            await asyncio.sleep(1)
            for one in inside:
                one.drop()
            await asyncio.sleep(0.5)
            async with guests(*(join(b, room, sub=f"v{n}") for n in range(20))):
                await asyncio.sleep(7)
                said = await report_when(a, room, lambda said: said["online"]["now"] == 20)
                assert (said["uv"], said["sessions"], said["reasons"]) == (20, 20, {})
                assert said["stay"]["curve"] == said["provisional"] == []

    asyncio.run(show())


def test_two_devices_are_one_viewer(house: House):
    async def show() -> None:
        async with opened(house, 2) as ((a, b), room), guests(join(a, room, sub="bob")):
            came = seconds()
            devices = [await join(node, room, sub="ann") for node in (a, a, b)]
            said = await report_when(a, room, lambda said: said["sessions"] == 2)
            assert (said["uv"], said["online"]["now"]) == (2, 2)
            for one in devices[:2]:
                await one.leave()
            await asyncio.sleep(3)
            went = seconds()
            await devices[2].leave()
            said = await report_when(a, room, lambda said: left(said) == 1)
            assert spans(said) == pytest.approx([went - came], abs=NEAR)
            assert (said["uv"], said["sessions"]) == (2, 2)
            assert said["watch"]["total"] == pytest.approx(went - came, abs=NEAR)

    asyncio.run(show())


@pytest.mark.parametrize("first", ["viewer", "host"])
def test_a_host_who_also_watches_is_a_viewer_as_long_as_he_does(house: House, first: str):
    async def show() -> None:
        async with opened(house, 1) as ((a,), room), guests(join(a, room, sub="bob")):
            await report_when(a, room, lambda said: said["sessions"] == 1)
            second = "host" if first == "viewer" else "viewer"
            tabs = {role: await join(a, room, role, "boss") for role in (first, second)}
            await report_when(a, room, lambda said: said["sessions"] == said["online"]["now"] == 2)
            await tabs["viewer"].leave()
            said = await report_when(a, room, lambda said: left(said) == 1)
            assert (said["online"]["now"], said["reasons"]) == (1, {"close": 1})
            await tabs["host"].leave()

    asyncio.run(show())


def test_whoever_watches_beside_his_console_attends_a_stream_from_its_beginning(house: House):
    async def show() -> None:
        async with opened(house, 1) as ((a,), room):
            async with guests(join(a, room, "host", "boss"), join(a, room, sub="boss")) as (host, _):
                await host.ask("stream.start")
                await report_when(a, room, lambda said: not said["stream"]["implicit"] and said["sessions"] == 1)
            said = await report_when(a, room, lambda said: left(said) == 1)
            assert said["online"]["now"] == 0

    asyncio.run(show())


def test_where_a_token_names_the_source_the_page_does_not(house: House):
    async def show() -> None:
        async with opened(house, 1) as ((a,), room):
            coming = [join(a, room, source=f"x{n}", claims={"source": "shop"}) for n in range(11)]
            async with guests(*coming, *(join(a, room, source="page") for _ in range(10))):
                said = await report_when(a, room, lambda said: sum(one["n"] for one in said["sources"].values()) == 21)
                assert {name: one["n"] for name, one in said["sources"].items()} == {"shop": 11, "page": 10}

    asyncio.run(show())


def test_a_node_that_did_not_answer_for_a_while_has_its_viewers_still(house: House):
    """Its lease lapsed, nobody left: an outage is nobody's departure."""

    async def show() -> None:
        async with (
            opened(house, 2, grace_seconds=30) as ((a, b), room),
            guests(join(a, room, sub="ann"), join(b, room, sub="bob")) as (ann, bob),
        ):
            await report_when(a, room, lambda said: said["online"]["now"] == 2)
            os.kill(b.process.pid, signal.SIGSTOP)
            try:
                await report_when(a, room, lambda said: said["online"]["now"] == 1)  # as far as anybody can tell
            finally:
                os.kill(b.process.pid, signal.SIGCONT)
            assert (await bob.ask("time.ping", c0=1))["t"] != "error"
            assert ann.closed is bob.closed is None
            said = await report_when(a, room, lambda said: said["online"]["now"] == 2)
            assert (said["sessions"], said["reasons"], said["provisional"]) == (2, {}, [])

    asyncio.run(show())


def test_a_node_that_is_stopped_for_a_new_version_is_no_departure(house: House):
    async def show() -> None:
        async with opened(house, 2, grace_seconds=8) as ((a, b), room), guests(join(a, room, sub="ann")):
            bob = await join(b, room, sub="bob")
            await asyncio.sleep(1)
            stopped = asyncio.create_task(asyncio.to_thread(b.stop))
            await bob.closing()
            async with guests(join(a, room, sub="bob")):
                await stopped
                await asyncio.sleep(10)
                said = await report_when(a, room, lambda said: said["online"]["now"] == 2)
                assert (said["sessions"], said["reasons"], said["stay"]["curve"]) == (2, {}, [])

    asyncio.run(show())
