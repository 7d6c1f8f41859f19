"""Comments that are deleted, pinned and answered by the staff: what everybody sees of it, now and later."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis

from liveroom.store.keys import keys_of
from tests.house import Guest, House, Node, Plant, guests, join, make_room, token
from tests.moderation.test_bans import DEAF, SOON, code, until

LONG_AGO = "00000000000aaaaaaa"  # an id that nobody has

KEPT_SHORT = {"history": 3}


async def said(guest: Guest, text: str) -> str:
    reply = await guest.say(text)
    assert reply["t"] == "ok", reply
    await guest.hear("chat.message", id=reply["id"])
    return str(reply["id"])


async def chat_of(node: Node, room: str) -> list[str]:
    async with guests(join(node, room)) as (guest,):
        return [one["text"] for one in guest.welcome["snapshot"]["chat"]]


async def pins_of(node: Node, room: str) -> list[Any]:
    async with guests(join(node, room)) as (guest,):
        return [one["comment"]["text"] for one in guest.welcome["snapshot"]["pinned"]]


async def history_of(guest: Guest) -> list[str]:
    return [one["text"] for one in (await guest.ask("history.get"))["comments"]]


# --- deleted ---


def test_a_deleted_comment_is_gone_everywhere_and_for_who_comes_later(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "moderator"), join(there, room, sub="ann"), join(here, room, sub="bob")) as (
            mo,
            ann,
            bob,
        ):
            bad, good = await said(ann, "bad"), await said(bob, "good")
            await mo.hear("chat.message", id=bad)
            seq = (await mo.ask("chat.delete", ids=[bad]))["seq"]
            for guest in (mo, ann, bob):
                told = await guest.hear("chat.deleted", SOON)
                assert (told["ids"], told["seq"], "viewer" in told) == ([bad], seq, False)
                assert await history_of(guest) == ["good"]
            assert [await chat_of(node, room) for node in pair] == [["good"]] * 2
            assert code(await mo.ask("chat.pin", id=bad, seconds=60)) == "NO_SUCH_COMMENT"
            assert code(await mo.ask("chat.pin", id=good, seconds=60)) == "ok"
            assert code(await mo.ask("chat.delete", ids=[bad])) == "ok"

    asyncio.run(show())


def test_all_of_a_viewers_comments_are_deleted_and_what_he_says_next_is_not(moderated: House):
    pair = moderated.nodes

    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "moderator"), join(there, room, sub="eve"), join(here, room, sub="bob")) as (
            mo,
            eve,
            bob,
        ):
            await said(eve, "one")
            await said(bob, "mine")
            pinned = await said(eve, "two")
            await mo.ask("chat.pin", id=pinned, seconds=60)
            await mo.ask("chat.delete", viewer="eve")
            told = await bob.hear("chat.deleted", SOON)
            assert (told["viewer"], "ids" in told) == ("eve", False)
            assert [await pins_of(node, room) for node in pair] == [[], []]
            valkey = redis.Redis(unix_socket_path=moderated.redis_socket, socket_timeout=5)
            assert not valkey.hlen(keys_of(room, 16).board)
            await eve.hear("chat.deleted")
            await said(eve, "three")
            await bob.hear("chat.message", text="three")
            assert [await chat_of(node, room) for node in pair] == [["mine", "three"]] * 2

    asyncio.run(show())


def test_what_was_deleted_stays_deleted_on_a_node_that_starts_later(house: House):
    async def show():
        here, there = house.node(), house.node()
        room = make_room(here)
        async with guests(join(here, room, "moderator"), join(there, room)) as (mo, ann):
            bad, key = await said(ann, "bad"), keys_of(room, 16).chat
            valkey = redis.Redis(unix_socket_path=house.redis_socket, socket_timeout=5)
            await until(lambda: valkey.llen(key) == 1)
            (kept,) = valkey.lrange(key, 0, -1)
            await mo.ask("chat.delete", ids=[bad])
            assert valkey.llen(key) == 0
            await said(ann, "good")
            await until(lambda: valkey.llen(key) == 1)
            valkey.rpush(key, kept)  # as a node does that has not heard of it yet
            assert await chat_of(house.node(), room) == ["good"]

    asyncio.run(show())


def test_a_deaf_node_deletes_too(plant: Plant):
    house = plant(DEAF)

    async def show():
        here, there = house.node(), house.node()
        room = make_room(here)
        async with guests(join(here, room, "moderator"), join(there, room)) as (mo, ann):
            bad = await said(ann, "bad")
            await mo.ask("chat.delete", ids=[bad])
            await ann.hear("chat.deleted", SOON)
            assert await history_of(ann) == []

    asyncio.run(show())


def test_a_moderator_deletes_no_hosts_comments_and_nobody_all_of_his_own(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "moderator", "mo"), join(there, room, "host", "h")) as (mo, host):
            line = await said(host, "mine")
            await mo.hear("chat.message", id=line)
            for fields in ({"ids": [line]}, {"viewer": "h"}):
                assert code(await mo.ask("chat.delete", **fields)) == "NOT_ALLOWED"
            assert code(await mo.ask("chat.delete", viewer="mo")) == "NOT_ALLOWED"
            assert code(await host.ask("chat.delete", ids=[line])) == "ok"

    asyncio.run(show())


def test_what_was_deleted_or_said_by_who_is_banned_waits_for_no_answer(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(
            join(here, room, "moderator"),
            join(there, room, sub="ann"),
            join(there, room, sub="bob"),
            join(here, room, sub="eve"),
        ) as (mo, ann, bob, eve):
            line = await said(ann, "what does it cost?")
            await said(bob, "how long is shipping?")
            await said(eve, "which colour is it?")
            await until(lambda: len(waiting(here, room)) == 3)
            await mo.ask("chat.delete", ids=[line])
            assert len(waiting(here, room)) == 2
            await mo.ask("chat.delete", viewer="bob")
            assert waiting(here, room) == ["which colour is it?"]
            await mo.ask("chat.ban", viewer="eve")
            assert waiting(here, room) == []

    asyncio.run(show())


def waiting(node: Node, room: str) -> list[str]:
    found = node.http("GET", f"/v1/rooms/{room}/questions", token=token(room, "host"))[1]["questions"]
    return [one["text"] for one in found]


# --- pinned ---


def test_a_pin_is_shown_until_its_time_on_every_node(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "moderator"), join(there, room, sub="ann")) as (mo, ann):
            line = await said(ann, "look")
            await mo.hear("chat.message", id=line)
            await mo.ask("chat.pin", id=line, seconds=2)
            told = await ann.hear("chat.pinned")
            assert (told["comment"]["id"], told["comment"]["from"], told["comment"]["text"]) == (line, "ann", "look")
            assert told["ts"] < told["until"] <= told["ts"] + 2000
            assert [await pins_of(node, room) for node in pair] == [["look"]] * 2
            await asyncio.sleep(2.1)
            assert [await pins_of(node, room) for node in pair] == [[], []]
            assert not [one for one in ann.heard if one["t"] == "chat.unpinned"]

    asyncio.run(show())


def test_what_was_said_this_moment_elsewhere_can_be_pinned(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "host"), join(there, room)) as (host, ann):
            for n in range(3):
                line = (await ann.say(f"line {n}"))["id"]
                assert code(await host.ask("chat.pin", id=line, seconds=60)) == "ok"

    asyncio.run(show())


def test_a_pin_is_taken_away_once_and_by_the_deletion_of_its_comment(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "host"), join(there, room)) as (host, ann):
            one, two = await said(ann, "one"), await said(ann, "two")
            for line in (one, two):
                assert code(await host.ask("chat.pin", id=line, seconds=60)) == "ok"
            assert code(await host.ask("chat.unpin", id=one)) == "ok"
            await ann.hear("chat.unpinned", id=one)
            assert code(await host.ask("chat.unpin", id=one)) == "ok"
            assert await pins_of(there, room) == ["two"]
            first = await host.ask("chat.pin", id=two, seconds=90, idem="k")
            await host.ask("chat.delete", ids=[two])
            assert (await host.ask("chat.pin", id=two, seconds=90, idem="k"))["seq"] == first["seq"]
            assert code(await host.ask("chat.pin", id=two, seconds=91, idem="k")) == "NO_SUCH_COMMENT"
            assert [await pins_of(node, room) for node in pair] == [[], []]
            assert len([one for one in ann.heard if one["t"] == "chat.unpinned"]) == 1

    asyncio.run(show())


def test_a_room_has_ten_pins_at_most(pair: list[Node]):
    async def show():
        room = make_room(pair[0])
        async with guests(join(pair[0], room, "host")) as (host,):
            lines = [await said(host, f"line {n}") for n in range(11)]
            for line in lines[1:]:
                await host.ask("chat.pin", id=line, seconds=1)
            await asyncio.sleep(1.1)  # what has run out takes no place
            codes = [code(await host.ask("chat.pin", id=line, seconds=60)) for line in lines]
            assert codes == ["ok"] * 10 + ["NOT_ALLOWED"]
            assert code(await host.ask("chat.pin", id=lines[0], seconds=90)) == "ok"  # again is no further one
            assert code(await host.ask("chat.unpin", id=lines[5])) == "ok"
            assert code(await host.ask("chat.pin", id=lines[10], seconds=60)) == "ok"

    asyncio.run(show())


# --- answered ---


def test_a_reply_is_a_comment_and_its_author_is_told(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(
            join(here, room, "moderator", "mo"), join(there, room, sub="ann"), join(there, room, sub="bob")
        ) as (mo, ann, bob):
            line = await said(ann, "how long?")
            await mo.hear("chat.message", id=line)
            answer = await mo.ask("chat.reply", id=line, text="two days", idem="k")
            shown = await bob.hear("chat.message", id=answer["id"])
            assert (shown["reply_to"], shown["text"], shown["role"], shown["from"]) == (
                line,
                "two days",
                "moderator",
                "mo",
            )
            told = await ann.hear("chat.mentioned")
            assert (told["by"], told["of"], told["id"], told["text"]) == ("mo", line, answer["id"], "two days")
            assert (await mo.ask("chat.reply", id=line, text="two days", idem="k"))["id"] == answer["id"]
            assert code(await mo.ask("chat.reply", id=line, text=" ")) == "TEXT_EMPTY"
            assert code(await mo.ask("chat.reply", id=line, text="x" * 101)) == "TEXT_TOO_LONG"
            assert code(await ann.ask("chat.reply", id=line, text="me too")) == "NOT_ALLOWED"
            assert not [one for one in bob.heard if one["t"] == "chat.mentioned"]

    asyncio.run(show())


def test_the_staff_answer_many_questions_alike_but_each_once(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "moderator"), join(there, room), join(there, room)) as (mo, ann, bob):
            asked = [await said(ann, text) for text in ("does it ship to France?", "is it waterproof?")]
            await until(lambda: len(waiting(here, room)) == 2)
            for line in asked:
                assert code(await mo.ask("chat.reply", id=line, text="yes")) == "ok"
            assert waiting(here, room) == []
            assert code(await mo.ask("chat.reply", id=asked[0], text="Yes")) == "DUPLICATE"
            assert [code(await mo.say("yes")) for _ in range(2)] == ["ok", "DUPLICATE"]
            assert code(await bob.say("me too", reply_to=asked[0])) == "ok"
            assert code(await bob.say("me too", reply_to=asked[1])) == "DUPLICATE"
            first = await mo.ask("chat.reply", id=asked[1], text="no", idem="k")
            assert (await mo.ask("chat.reply", id=asked[1], text="no", idem="k"))["id"] == first["id"]

    asyncio.run(show())


def test_what_scrolled_out_is_answered_as_long_as_it_is_pinned_or_waits_and_no_longer(house: House):
    async def show():
        node = house.node(**KEPT_SHORT)
        room = make_room(node)
        async with guests(join(node, room, "host", "h"), join(node, room, sub="ann")) as (host, ann):
            line, other, question = [await said(ann, text) for text in ("two left", "anyone", "what does it cost?")]
            await host.ask("chat.pin", id=line, seconds=60)
            for n in range(4):
                await said(host, f"line {n}")
            await asyncio.sleep(1.5)  # kept for other nodes once a second, as many as here
            assert code(await host.ask("chat.reply", id=line, text="two days")) == "ok"
            assert (await ann.hear("chat.mentioned"))["of"] == line
            assert code(await host.ask("chat.reply", id=other, text="yes")) == "NO_SUCH_COMMENT"
            assert code(await host.ask("chat.pin", id=other, seconds=60)) == "NO_SUCH_COMMENT"
            ten = await host.ask("chat.reply", id=question, text="ten", idem="t")
            assert code(ten) == "ok"  # it still waits for an answer
            assert (await ann.hear("chat.mentioned", text="ten"))["of"] == question
            again = await host.ask("chat.reply", id=question, text="ten", idem="t")
            assert (again["t"], again.get("id")) == ("ok", ten["id"])  # and waits no more
            other_text = await host.ask("chat.reply", id=question, text="nine", idem="t")
            assert other_text["code"] == "IDEMPOTENCY_MISMATCH"
            assert code(await host.ask("chat.reply", id=question, text="ten", idem="new")) == "NO_SUCH_COMMENT"
            assert [one["text"] for one in ann.heard if one["t"] == "chat.mentioned"] == ["two days", "ten"]
            await host.ask("chat.delete", ids=[line])
            assert code(await host.ask("chat.reply", id=line, text="three")) == "NO_SUCH_COMMENT"

    asyncio.run(show())


def test_what_a_host_said_is_his_as_long_as_anything_of_it_is_kept(house: House):
    async def show():
        node = house.node(**KEPT_SHORT)
        room = make_room(node)
        async with guests(join(node, room, "host", "h"), join(node, room, "moderator")) as (host, mo):
            line = await said(host, "two left")
            await host.ask("chat.pin", id=line, seconds=60)
            for n in range(4):
                await said(host, f"line {n}")
            assert line not in [one["id"] for one in (await mo.ask("history.get"))["comments"]]
            assert code(await mo.ask("chat.delete", ids=[line])) == "NOT_ALLOWED"
            assert await pins_of(node, room) == ["two left"]
            assert code(await host.ask("chat.delete", ids=[line])) == "ok"
            assert await pins_of(node, room) == []

    asyncio.run(show())


# --- bad input ---


@pytest.mark.parametrize(
    ("verb", "fields", "wanted"),
    [
        ("chat.delete", {}, "ids"),
        ("chat.delete", {"ids": [LONG_AGO], "viewer": "eve"}, "ids"),
        ("chat.delete", {"ids": []}, "ids"),
        ("chat.delete", {"ids": [LONG_AGO] * 101}, "ids"),
        ("chat.delete", {"ids": LONG_AGO}, "ids"),
        ("chat.delete", {"ids": ["*"]}, "ids[0]"),
        ("chat.delete", {"viewer": 5}, "viewer"),
        ("chat.pin", {"id": LONG_AGO}, "seconds"),
        ("chat.pin", {"id": LONG_AGO, "seconds": 0}, "seconds"),
        ("chat.pin", {"id": LONG_AGO, "seconds": -5}, "seconds"),
        ("chat.pin", {"id": LONG_AGO, "seconds": 86401}, "seconds"),
        ("chat.pin", {"id": "no id", "seconds": 5}, "id"),
        ("chat.unpin", {}, "id"),
        ("chat.reply", {"id": LONG_AGO}, "text"),
        ("chat.reply", {"text": "yes"}, "id"),
    ],
)
def test_bad_input_is_named(pair: list[Node], verb: str, fields: dict[str, Any], wanted: str):
    room = make_room(pair[0])
    status, said = pair[0].http("POST", f"/v1/rooms/{room}/commands", {"t": verb, **fields}, token(room, "host"))
    assert (status, said["code"]) == (400, "BAD_MESSAGE"), said
    assert said["params"]["field"] == wanted


def test_what_nobody_said_is_no_comment(pair: list[Node]):
    room = make_room(pair[0])
    for fields in ({"t": "chat.pin", "seconds": 5}, {"t": "chat.reply", "text": "yes"}):
        status, said = pair[0].http(
            "POST", f"/v1/rooms/{room}/commands", {**fields, "id": LONG_AGO}, token(room, "host")
        )
        assert (status, said["code"]) == (404, "NO_SUCH_COMMENT")
