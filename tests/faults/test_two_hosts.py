"""Two hosts press close at the same moment on two nodes: one draw, equal everywhere."""

import asyncio

import pytest

from tests.house import House, guests, join, make_room


@pytest.mark.timeout(300)
@pytest.mark.parametrize("times", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_two_hosts_close_at_once_and_there_is_one_draw(house: House, times: int):
    async def show() -> None:
        here = house.node()
        there = await asyncio.to_thread(house.node)
        room = make_room(here)
        crowd = [join(here if n % 2 else there, room, sub=f"v{n}") for n in range(4)]
        async with guests(join(here, room, "host", "h1"), join(there, room, "host", "h2"), *crowd) as inside:
            one, other, *viewers = inside
            for n in range(times):
                id_ = (await one.ask("lottery.open", prize=f"cup {n}", winners=2, seconds=300))["id"]
                for viewer in viewers:
                    assert (await viewer.ask("lottery.enter", id=id_))["receipt"]
                replies = await asyncio.gather(
                    one.ask("lottery.close", id=id_), other.ask("lottery.close", id=id_)
                )
                assert {reply["t"] for reply in replies} == {"ok"}
                drawn = [await guest.hear("lottery.drawn", id=id_) for guest in inside]
                assert all(event == drawn[0] for event in drawn)
                await one.hear("lottery.settled", id=id_)
                await asyncio.sleep(0.1)  # a host may ask 20 times a second
            for guest in inside:
                for kind in ("lottery.frozen", "lottery.drawn", "lottery.settled"):
                    assert len([m for m in guest.heard if m["t"] == kind]) == times
                assert guest.ledger() == list(range(1, 4 * times + 1))

    asyncio.run(show())
