"""Weak networks over real sockets: three profiles, chosen or imposed, and what is lost in none of them."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.test_handshake import Wire, say, seated, settles, silence
from tests.gateway.test_limits import megabytes
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
            await host.hear("room.notice", text="2")
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


async def loud(hosts: list[Guest], turns: int) -> int:
    """Half a megabyte of notices and more; how many they are."""
    for turn in range(turns):
        for host in hosts:
            for n in range(14):
                await host.send({"t": "room.notice", "text": f"{turn} {n} ".ljust(400, "茶")})
        await hosts[0].ask("time.ping", c0=0)
        await asyncio.sleep(0.7)
    return turns * 14 * len(hosts)


def test_who_does_not_keep_up_is_told_less_and_after_a_calm_more_again(house: House):
    settings = {"slow_bytes": 16 * 1024, "cut_bytes": 8_000_000, "stalled_sweeps": 60}
    node = house.node(**settings, step_down_sweeps=1, calm_sweeps=2)
    room = make_room(node)

    async def show(slow: Wire) -> tuple[int, float]:
        crowd = [join(node, room, "host", f"h{n}") for n in range(8)]
        async with guests(join(node, room, sub="reader"), *crowd) as (reader, *hosts):
            told, began = await loud(hosts, 6), time.monotonic()
            await reader.ask("time.ping", c0=0)
            lag = time.monotonic() - began
            await reader.hear("room.notice", seq=told)
            await asyncio.to_thread(slow.hear, "profile.changed", profile="full", why="calm")
            await hosts[0].say("all again")
            await asyncio.to_thread(slow.hear, "chat.message", text="all again")
        return told, lag

    with seated(node, room, sub="slow", buffer=4096) as slow:
        told, lag = asyncio.run(show(slow))
        changes = [(one["profile"], one["why"]) for one in slow.heard if one["t"] == "profile.changed"]
        assert changes == [("lite", "slow"), ("min", "slow"), ("lite", "calm"), ("full", "calm")]
        assert [one["seq"] for one in slow.heard if one["t"] == "room.notice"] == list(range(1, told + 1))
        assert lag < 1
    assert "Traceback" not in node.said


def test_who_asked_for_another_profile_keeps_it(house: House):
    node = house.node(slow_bytes=16 * 1024, cut_bytes=8_000_000, stalled_sweeps=60, step_down_sweeps=1, calm_sweeps=1)
    room = make_room(node)

    async def show(slow: Wire) -> None:
        async with guests(*(join(node, room, "host", f"h{n}") for n in range(8))) as hosts:
            await loud(hosts, 4)
            await asyncio.to_thread(slow.hear, "profile.changed", profile="lite", why="slow")
            slow.send(say({"t": "profile.set", "profile": "min", "cid": 1}))
            await asyncio.to_thread(slow.reply, 1)
            await asyncio.sleep(3.5)
            await hosts[0].ask("room.notice", text="end")
            await asyncio.to_thread(slow.hear, "room.notice", text="end")

    with seated(node, room, sub="slow", buffer=4096) as slow:
        asyncio.run(show(slow))
        behind = [one["t"] for one in slow.heard]
        assert "profile.changed" not in behind[behind.index("ok") :]


def test_one_who_stops_reading_is_told_less_then_cut_while_nobody_waits_and_little_is_held(house: House):
    node = house.node(stalled_sweeps=5, step_down_sweeps=1, close_seconds=0.5)
    room = make_room(node)

    async def show() -> float:
        crowd = [join(node, room, "host", f"h{n}") for n in range(8)]
        async with guests(join(node, room, sub="reader"), *crowd) as (reader, *hosts):
            before, worst = megabytes(node), 0.0
            for _ in range(12):
                await loud(hosts, 1)
                began = time.monotonic()
                await reader.ask("time.ping", c0=0)
                worst = max(worst, time.monotonic() - began)
            assert megabytes(node) - before < 16
            assert reader.ledger() == list(range(1, len(reader.ledger()) + 1))
            await asyncio.to_thread(settles, node, room, 1)
        return worst

    with seated(node, room, sub="stuck", buffer=4096) as stuck:
        assert asyncio.run(show()) < 1
        assert stuck.ends() in (4001, 1006)
        seqs = [one["seq"] for one in stuck.heard if one["t"] == "room.notice"]
        assert seqs == list(range(1, len(seqs) + 1))
    assert "Traceback" not in node.said
