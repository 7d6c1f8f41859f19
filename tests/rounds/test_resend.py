"""A comment that enters a round and is sent again: one intention, one entry, one answer."""

import asyncio
from typing import Any

import pytest

from tests.house import Guest, Node, guests, join, make_room


async def end_of(host: Guest, id_: str) -> dict[str, Any]:
    assert (await host.ask("count.close", id=id_))["t"] == "ok"
    return await host.hear("count.closed", id=id_)


def without_cid(reply: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in reply.items() if name != "cid"}


def test_sent_twice_at_once_it_counts_once(node: Node):
    async def show() -> None:
        room = make_room(node)
        async with guests(join(node, room, "host"), join(node, room, sub="ann")) as (host, ann):
            id_ = (await host.ask("count.open", keyword="tea", seconds=60))["id"]
            await ann.hear("count.opened")
            said = await asyncio.gather(*(ann.say("tea", idem="x") for _ in range(5)))
            assert all(without_cid(one) == without_cid(said[0]) for one in said)
            assert said[0]["t"] == "ok"
            assert (await end_of(host, id_))["times"] == 1

    asyncio.run(show())


def test_sent_again_behind_the_end_it_is_answered_with_its_receipt(node: Node):
    async def show() -> None:
        room = make_room(node)
        async with guests(join(node, room, "host"), join(node, room, sub="ann")) as (host, ann):
            id_ = (await host.ask("lottery.open", prize="cup", winners=1, keyword="tea", seconds=60))["id"]
            await ann.hear("lottery.opened")
            first = await ann.say("tea", idem="x")
            assert first["receipt"]["n"] == 1
            assert (await host.ask("lottery.close", id=id_))["t"] == "ok"
            await ann.hear("lottery.settled")
            assert without_cid(await ann.say("tea", idem="x")) == without_cid(first)

    asyncio.run(show())


def test_sent_again_after_it_was_not_shown_it_is_not_shown_and_not_counted_again(node: Node):
    async def show() -> None:
        room = make_room(node)
        async with guests(join(node, room, "host"), join(node, room, sub="ann")) as (host, ann):
            id_ = (await host.ask("count.open", keyword="tea", seconds=60))["id"]
            await ann.hear("count.opened")
            for n in range(3):
                assert (await ann.say(f"words {n}"))["t"] == "ok"
            first = await ann.say("tea", idem="x")
            assert (first["shown"], first["why"]) == (False, "RATE_LIMITED")
            await asyncio.sleep(2)  # by now she may speak again
            assert without_cid(await ann.say("tea", idem="x")) == without_cid(first)
            assert "tea" not in ann.texts()
            assert (await end_of(host, id_))["times"] == 1

    asyncio.run(show())


@pytest.mark.parametrize("also", ["while it is under way", "later"])
def test_the_key_of_another_comment_is_refused(node: Node, also: str):
    async def show() -> None:
        room = make_room(node)
        async with guests(join(node, room, "host"), join(node, room, sub="ann")) as (host, ann):
            id_ = (await host.ask("count.open", keyword="tea", seconds=60))["id"]
            await ann.hear("count.opened")
            said = [ann.say("tea", idem="x"), ann.say("TEA", idem="x")]
            codes = [await one for one in said] if also == "later" else list(await asyncio.gather(*said))
            assert [one.get("code") for one in codes] == [None, "IDEMPOTENCY_MISMATCH"]
            assert (await end_of(host, id_))["times"] == 1

    asyncio.run(show())
