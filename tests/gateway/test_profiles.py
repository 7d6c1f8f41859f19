"""Weak networks over real sockets: three profiles, chosen or imposed, and what is lost in none of them."""

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.test_handshake import silence
from tests.house import Guest, House, Node, guests, join, make_room

LEAN = ["lite", "min"]


@pytest.fixture(autouse=True)
def quiet(node: Node) -> Iterator[None]:
    with silence(node):
        yield


async def notices(host: Guest, texts: list[str]) -> None:
    for text in texts:
        await host.ask("room.notice", text=text)


def seen(guest: Guest, kind: str = "room.notice") -> list[Any]:
    return [one["text"] for one in guest.heard if one["t"] == kind]


@pytest.mark.parametrize("profile", LEAN)
@pytest.mark.parametrize("when", ["in the hello", "later"])
def test_who_asks_for_little_gets_every_ledger_event_and_few_comments_or_none(node: Node, profile: str, when: str):
    async def show() -> None:
        room = make_room(node)
        at_once = {"profile": profile} if when == "in the hello" else {}
        crowd = [join(node, room, "host"), join(node, room, sub="full"), join(node, room, sub="lean", **at_once)]
        async with guests(*crowd) as (host, full, lean):
            if when == "later":
                assert await lean.ask("profile.set", profile=profile) == {"t": "ok", "cid": 1}
            before = len(lean.heard)
            words = [f"words {n}" for n in range(5)]
            for n in range(5):
                await host.say(words[n])
                await notices(host, [f"notice {n}"])
            await full.ask("like.add", n=5)
            for guest in (full, lean):
                await guest.hear("room.notice", text="notice 4")
                await guest.hear("like.total")
            if profile == "lite":
                await lean.hear("chat.message", text="words 4")
            assert full.texts() == words
            assert lean.texts() == (words if profile == "lite" else [])
            assert seen(lean) == [f"notice {n}" for n in range(5)]
            assert lean.ledger() == full.ledger() == [1, 2, 3, 4, 5]
            assert not [one for one in lean.heard[before:] if one["t"] == "room.joined"]
            await lean.ask("profile.set", profile="full")
            await host.say("all again")
            await lean.hear("chat.message", text="all again")

    asyncio.run(show())


def test_a_loud_second_is_the_same_five_comments_for_all_of_lite_on_all_nodes(house: House):
    here, there = house.node(), house.node()

    async def show() -> None:
        room = make_room(here)
        lite = [join(node, room, sub=f"l{n}", profile="lite") for n, node in enumerate((here, here, there, there))]
        crowd = [join(here if n % 2 else there, room, sub=f"v{n}", profile="min") for n in range(8)]
        async with guests(*lite) as everybody, guests(*crowd) as speakers:
            await asyncio.sleep(1.5)
            for turn in range(3):
                await asyncio.gather(*(one.say(f"{turn} of {one.welcome['viewer']['id']}") for one in speakers))
                await asyncio.sleep(1)
            await asyncio.sleep(2.5)
            shown = [guest.texts() for guest in everybody]
            assert 5 <= len(shown[0]) < 24
            assert shown[0] == shown[1] == shown[2] == shown[3]
            sampled = [one for one in everybody[0].heard if one["t"] == "chat.sampled"]
            assert sum(one["total"] - one["shown"] for one in sampled) == 24 - len(shown[0])

    asyncio.run(show())


@pytest.mark.parametrize(("before", "then"), [*itertools.product(LEAN, LEAN), ("full", "min"), ("min", "full")])
def test_who_comes_back_with_another_profile_gets_what_he_missed_once(node: Node, before: str, then: str):
    async def show() -> None:
        room = make_room(node)
        async with guests(join(node, room, "host")) as (host,):
            ann = await join(node, room, sub="ann", profile=before)
            await notices(host, ["1", "2", "3"])
            await ann.hear("room.notice", seq=1)
            known = max(ann.ledger())
            ann.drop()
            await notices(host, ["4", "5"])
            resume = {"epoch": ann.welcome["epoch"], "seq": known}
            async with guests(join(node, room, sub="ann", profile=then, resume=resume)) as (again,):
                assert again.welcome["recovered"] is True
                await notices(host, ["6", "7"])
                await again.hear("room.notice", seq=7)
                assert again.ledger() == list(range(known + 1, 8))

    asyncio.run(show())


@pytest.mark.parametrize("profile", ["full", *LEAN])
def test_a_profile_may_be_changed_at_any_moment_and_no_event_is_lost_or_doubled(node: Node, profile: str):
    async def show() -> None:
        room = make_room(node)
        async with guests(join(node, room, "host"), join(node, room, profile=profile)) as (host, ann):
            others = itertools.cycle(["min", "full", "lite", "min", "lite", "full"])
            for n in range(20):
                await asyncio.gather(notices(host, [f"{n}"]), ann.ask("profile.set", profile=next(others)))
            await ann.hear("room.notice", text="19")
            assert ann.ledger() == list(range(1, 21))

    asyncio.run(show())


def test_private_messages_do_not_wait_for_the_tick(node: Node):
    async def show() -> None:
        room = make_room(node)
        async with guests(join(node, room, "host"), join(node, room, sub="ann", profile="min")) as (host, ann):
            await notices(host, ["1", "2"])
            await host.say("@ann look", mentions=["ann"])
            await ann.hear("chat.mentioned")
            kinds = [one["t"] for one in ann.heard]
            assert seen(ann) == ["1", "2"]
            assert kinds.index("chat.mentioned") > kinds.index("room.notice")

    asyncio.run(show())


@pytest.mark.parametrize("profile", ["", "FULL", 1, None, ["lite"]])
def test_an_unknown_profile_is_bad_message_and_changes_nothing(node: Node, profile: object):
    async def show() -> None:
        async with guests(join(node, make_room(node), "host")) as (host,):
            refused = await host.ask("profile.set", profile=profile)
            assert (refused["code"], refused["params"]["field"]) == ("BAD_MESSAGE", "profile")
            await host.say("as before")
            await host.hear("chat.message", text="as before")

    asyncio.run(show())
