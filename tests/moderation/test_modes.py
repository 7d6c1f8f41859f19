"""How a chat is: its modes, its rate, its words; who is exempt; and that every node and newcomer knows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis

from tests.house import Guest, House, Node, Plant, guests, join, make_room, retried, token
from tests.moderation.test_bans import DEAF, SOON, code, until

OPEN = {"mode": "open", "slow_seconds": 0, "stream_delay_ms": 0}

async def setting(host: Guest, *others: Guest, **settings: Any) -> dict[str, Any]:
    reply = await host.ask("chat.settings", **settings)
    assert reply["t"] == "ok", reply
    return [await one.hear("chat.settings", seq=reply["seq"]) for one in (host, *others)][-1]


async def snapshot_settings(node: Node, room: str) -> Any:
    async with guests(join(node, room)) as (guest,):
        return guest.welcome["snapshot"]["settings"]


def test_modes_change_for_everybody_and_for_who_comes_later(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "host"), join(there, room), join(there, room, "moderator")) as (
            host,
            ann,
            mo,
        ):
            assert ann.welcome["snapshot"]["settings"] == OPEN
            told = await setting(host, ann, mode="muted")
            assert (told["mode"], told["slow_seconds"]) == ("muted", 0)
            refused = await ann.say("hello")
            assert (refused["code"], refused["retryable"]) == ("ROOM_MUTED", False)
            assert code(await mo.say("staff may")) == "ok"
            assert [await snapshot_settings(node, room) for node in pair] == [{**OPEN, "mode": "muted"}] * 2
            await setting(host, ann, mode="open")
            assert code(await ann.say("hello")) == "ok"
            assert await snapshot_settings(there, room) == OPEN

    asyncio.run(show())


def test_slow_mode_says_when_to_come_again_on_whichever_node(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "host"), join(here, room, sub="ann"), join(there, room, sub="bob")) as (
            host,
            ann,
            bob,
        ):
            await setting(host, ann, bob, mode="slow", slow_seconds=600)
            assert [code(await ann.say(text)) for text in ("one", "two")] == ["ok", "SLOW_MODE"]
            refused = await ann.say("two")
            assert refused["retryable"] is True
            assert 500_000 < refused["retry_after_ms"] <= 600_000
            assert code(await bob.say("mine")) == "ok"
            assert [code(await host.say(text)) for text in ("a", "b")] == ["ok", "ok"]
            await bob.hear("chat.message", text="one")
            async with guests(join(there, room, sub="ann")) as (ann_there,):
                assert code(await ann_there.say("three")) == "SLOW_MODE"
            await setting(host, ann, mode="slow", slow_seconds=1)
            await asyncio.sleep(1.1)
            assert code(await ann.say("two")) == "ok"

    asyncio.run(show())


def test_a_comment_that_slow_mode_accepted_is_answered_the_same_again(pair: list[Node]):
    async def show():
        room = make_room(pair[0])
        async with guests(join(pair[0], room, "host"), join(pair[0], room)) as (host, ann):
            await setting(host, ann, mode="slow", slow_seconds=60)
            first, again = [await ann.say("one", idem="k") for _ in range(2)]
            assert first["id"] == again["id"]

    asyncio.run(show())


def test_members_speak_from_their_level_on(pair: list[Node]):
    async def show():
        room = make_room(pair[0])
        async with guests(
            join(pair[0], room, "host"),
            join(pair[1], room, claims={"level": 2}),
            join(pair[1], room, claims={"level": 3}),
            join(pair[1], room),
        ) as (host, two, three, none):
            told = await setting(host, two, three, none, mode="members", level=3)
            assert told["level"] == 3
            assert code(await three.say("hi")) == code(await host.say("welcome")) == "ok"
            for outside in (two, none):
                refused = await outside.say("hi")
                assert (refused["code"], refused["params"]) == ("MEMBERS_ONLY", {"level": 3})

    asyncio.run(show())


def test_a_room_has_its_own_rate_until_it_is_taken_back(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "host"), join(there, room)) as (host, ann):
            told = await setting(host, ann, mode="open", rate=20)
            assert told["rate"] == 20
            for n in range(12):
                assert code(await retried_fast(ann, f"line {n}")) == "ok"
            assert "rate" in await setting(host, ann, mode="slow", slow_seconds=1)  # left out, it stays
            assert "rate" not in await setting(host, ann, mode="open", rate=0)
            said = [code(await ann.say(f"more {n}")) for n in range(6)]
            assert said.count("RATE_LIMITED") >= 2

    async def retried_fast(guest: Guest, text: str) -> dict[str, Any]:
        said = await guest.say(text)
        if said.get("code") == "RATE_LIMITED":
            assert said["retry_after_ms"] <= 50
            await asyncio.sleep(0.06)
            said = await guest.say(text)
        return said

    asyncio.run(show())


def test_an_entry_counts_although_the_chat_does_not_take_it(pair: list[Node]):
    async def show():
        room = make_room(pair[0])
        async with guests(
            join(pair[0], room, "host"), join(pair[0], room, sub="ann"), join(pair[0], room, sub="eve")
        ) as (
            host,
            ann,
            eve,
        ):
            await setting(host, ann, mode="muted")
            await host.ask("lottery.open", prize="cup", winners=1, keyword="luck", seconds=60)
            await ann.hear("lottery.opened")
            said = await ann.say("luck")
            assert (said["t"], said["shown"], said["why"], said["receipt"]["n"]) == ("ok", False, "ROOM_MUTED", 1)
            await host.ask("chat.mute", viewer="eve", seconds=60)
            await eve.hear("chat.muted")
            assert code(await eve.say("luck")) == "MUTED"  # who is muted himself is refused before
            assert "luck" not in host.texts()

    asyncio.run(show())


def test_words_are_matched_after_entries_and_kept_from_the_room(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "host"), join(there, room)) as (host, ann):
            await setting(host, ann, mode="open", words=["rude"])
            assert "words" not in await setting(host, ann, mode="open")
            for _ in range(30):
                if code(await ann.say("quite rude")) == "WORD_BLOCKED":
                    break
                await asyncio.sleep(1.1)
            refused = await ann.say("as rude")
            assert (refused["code"], refused["retryable"]) == ("WORD_BLOCKED", False)
            assert "rude" not in str(refused)
            assert [code(await ann.say(text)) for text in ("kind", "kinder", "kindest")] == [
                "ok"
            ] * 3  # nothing was spent
            assert code(await host.say("do not be rude")) == "ok"
            await host.ask("lottery.open", prize="cup", winners=1, keyword="rude luck", seconds=60)
            await ann.hear("lottery.opened")
            await asyncio.sleep(1.1)
            said = await ann.say("rude luck")
            assert (said["shown"], said["why"], said["receipt"]["n"]) == (False, "WORD_BLOCKED", 1)
            await setting(host, ann, mode="open", words=[])
            await until(lambda: "rude" not in str(host.welcome))
            assert "rude" not in str([one for one in ann.heard if one["t"] == "chat.settings"])

    asyncio.run(show())


def test_the_operators_list_holds_in_every_room_for_its_locale_and_is_read_again(house: House):
    async def show():
        words = house.data.parent / "words.txt"
        words.write_text("nasty\n[de]\nfrech\n", "utf-8")
        node = house.node(word_list=words, chat_rate=50, chat_burst=50)
        room = make_room(node)
        async with guests(join(node, room, claims={"locale": "de"}), join(node, room, claims={"locale": "en"})) as (
            ann,
            bob,
        ):
            assert [code(await one.say("how n4sty")) for one in (ann, bob)] == ["WORD_BLOCKED"] * 2
            assert [code(await one.say("ganz frech")) for one in (ann, bob)] == ["WORD_BLOCKED", "ok"]
            words.write_text("awful\n", "utf-8")
            for n in range(100):
                if code(await ann.say(f"how awful {n}")) == "WORD_BLOCKED":
                    break
                await asyncio.sleep(0.1)
            assert code(await ann.say("so awful")) == "WORD_BLOCKED"
            assert code(await ann.say("how nasty")) == "ok"
            assert "nasty" not in node.said

    asyncio.run(show())


def test_a_word_list_that_is_none_is_one_line_at_the_start(house: House):
    with pytest.raises(AssertionError) as error:
        house.node(word_list=house.data / "nowhere")
    assert "liveroom: cannot read the word list" in str(error.value)
    assert "Traceback" not in str(error.value)


def test_a_deaf_node_takes_up_a_mode_and_one_that_forgot_gets_it_back(plant: Plant):
    house = plant(DEAF)

    async def show():
        here, there = house.node(), house.node()
        room = make_room(here)
        async with guests(join(here, room, "host"), join(there, room)) as (host, ann):
            await host.ask("chat.settings", mode="members", level=5, rate=2)
            await ann.hear("chat.settings", 6)
            assert code(await ann.say("me?")) == "MEMBERS_ONLY"
            redis.Redis(unix_socket_path=house.redis_socket, socket_timeout=5).flushall()
            await ann.hear("room.reset")
            assert code(await retried(lambda: ann.say("me?"))) == "MEMBERS_ONLY"
            await asyncio.sleep(1.5)
            assert await snapshot_settings(there, room) == {**OPEN, "mode": "members", "level": 5, "rate": 2}
            assert (await retried(lambda: host.ask("chat.settings", mode="open")))["t"] == "ok"
            assert (await ann.hear("chat.settings", SOON, mode="open"))["rate"] == 2

    asyncio.run(show())


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "mode"),
        ({"mode": "closed"}, "mode"),
        ({"mode": "slow", "slow_seconds": 0}, "slow_seconds"),
        ({"mode": "slow", "slow_seconds": 3601}, "slow_seconds"),
        ({"mode": "members", "level": 0}, "level"),
        ({"mode": "open", "rate": -1}, "rate"),
        ({"mode": "open", "rate": 1e-310}, "rate"),
        ({"mode": "open", "rate": 0.0099}, "rate"),
        ({"mode": "open", "rate": "1"}, "rate"),
        ({"mode": "open", "words": "rude"}, "words"),
        ({"mode": "open", "words": [""]}, "words[0]"),
        ({"mode": "open", "words": ["fine", "x"]}, "words"),  # one letter is in nearly every comment
        ({"mode": "open", "words": ["x"] * 201}, "words"),
        ({"mode": "open", "stream_delay_ms": 5}, "stream_delay_ms"),
    ],
)
def test_bad_settings_are_named(pair: list[Node], fields: dict[str, Any], field: str):
    room = make_room(pair[0])
    status, said = pair[0].http(
        "POST", f"/v1/rooms/{room}/commands", {"t": "chat.settings", **fields}, token(room, "host")
    )
    assert (status, said["code"], said["params"]["field"].replace("[...]", "[0]")) == (400, "BAD_MESSAGE", field)


def test_only_a_host_sets_the_chat(pair: list[Node]):
    room = make_room(pair[0])
    said = {"t": "chat.settings", "mode": "muted"}
    status, refused = pair[0].http("POST", f"/v1/rooms/{room}/commands", said, token(room, "moderator"))
    assert (status, refused["code"], refused["params"]) == (403, "NOT_ALLOWED", {"needs": "host"})


def test_settings_and_pins_outlive_the_server(house: House):
    async def show():
        node = house.node()
        room = make_room(node)
        async with guests(join(node, room, "host")) as (host,):
            await setting(host, mode="muted")
            pinned = await host.ask("chat.pin", id=(await host.say("look"))["id"], seconds=600)
            assert code(pinned) == "ok"
        node.stop()
        later = house.node()
        assert await snapshot_settings(later, room) == {**OPEN, "mode": "muted"}
        async with guests(join(later, room)) as (guest,):
            assert [one["comment"]["text"] for one in guest.welcome["snapshot"]["pinned"]] == ["look"]

    asyncio.run(show())


def test_another_text_under_an_old_key_is_judged_like_any_other(pair: list[Node]):
    async def show():
        room = make_room(pair[0])
        async with guests(join(pair[0], room, "host"), join(pair[0], room)) as (host, ann):
            assert code(await ann.ask("chat.say", text="hello", idem="y")) == "ok"
            await setting(host, ann, mode="muted")
            assert code(await ann.ask("chat.say", text="not now", idem="y")) == "ROOM_MUTED"
            assert code(await ann.ask("chat.say", text="hello", idem="y")) == "ok"

    asyncio.run(show())
