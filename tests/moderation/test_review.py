"""The review hook: it is asked with a signature, and where it does not answer well the fallback decides; shadows."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import redis

from liveroom import signing
from liveroom.cli.setup import with_secret
from liveroom.settings import Settings, SettingsError, told
from liveroom.store.keys import keys_of
from tests.house import SECRET, House, Node, Plant, guests, join, make_room
from tests.moderation.test_bans import code, until
from tests.moderation.test_modes import setting

KEY = b"a key of the review, 32 bytes ok"
REVIEW_SECRET = "whsec_" + base64.b64encode(KEY).decode()

OK = "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}"
ANSWERS = {  # by the text that is asked about
    "fine": '{"allow":true,"more":1}',
    "bad": '{"allow":false}',
    "rubbish": "yes",
    "halved": '{"allow":',
    "list": "[]",
    "empty": "",
    "yes": '{"allow":"true"}',
    "deep": "[" * 3000,
}
RAW = {
    "500": "HTTP/1.1 500 Oops\r\nContent-Length: 14\r\n\r\n" + '{"allow":true}',
    "moved": "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    "noise": "\x00\x01\x02 not http\r\n\r\n",
    "short": 'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"allow":true}',
    "nothing": "",
    "upgraded": "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    "chunked": 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ne\r\n{"allow":true}\r\n0\r\n\r\n',
}
GOOD = ("fine", "chunked")
UNUSABLE = ("500", "rubbish", "halved", "list", "empty", "yes", "deep", "moved", "noise", "short", "upgraded")


class Hook(NamedTuple):
    """A server that reviews as ``ANSWERS`` and ``RAW`` say, hangs at "hang" and drips at "drip"."""

    url: str
    asked: list[tuple[dict[str, str], bytes]]


async def review(hook: Hook, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])}
        body = await reader.readexactly(int(headers["content-length"]))
        hook.asked.append((headers, body))
        await say(json.loads(body)["data"]["text"].split()[0], writer)
    writer.close()


async def say(word: str, writer: asyncio.StreamWriter) -> None:
    if word == "hang":
        await asyncio.sleep(60)
    while word in ("drip", "flood"):
        writer.write(b"HTTP/1.1 200 OK\r\nX: " if word == "drip" else b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000)
        await writer.drain()
        await asyncio.sleep(0.05)
    writer.write((RAW[word] if word in RAW else OK.format(len(ANSWERS[word]), ANSWERS[word])).encode())
    await writer.drain()


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    loop, found = asyncio.new_event_loop(), Hook("", [])
    server = loop.run_until_complete(asyncio.start_server(lambda *ends: review(found, *ends), "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    port = server.sockets[0].getsockname()[1]
    yield Hook(f"http://127.0.0.1:{port}/review?x=1", found.asked)
    server.close()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory, hook: Hook) -> Iterator[dict[str, Node]]:
    """A node for each fallback."""
    house = House(tmp_path_factory.mktemp("reviewed") / "data")
    common = {"review_url": hook.url, "review_secret": REVIEW_SECRET, "review_seconds": 0.7, "chat_rate": 100}
    try:
        yield {
            fallback: house.node(review_fallback=fallback, review_at_once=4, chat_burst=100, **common)
            for fallback in ("allow", "deny")
        }
    finally:
        house.stop()


def test_a_review_is_asked_for_with_a_signature_and_decides(reviewed: dict[str, Node], hook: Hook):
    async def show():
        node = reviewed["deny"]
        room = make_room(node)
        async with guests(join(node, room, sub="ann", claims={"locale": "de"}), join(node, room, "host")) as (
            ann,
            host,
        ):
            hook.asked.clear()
            assert code(await ann.say("fine 茶")) == "ok"
            ((headers, body),) = hook.asked
            asked = json.loads(body)
            assert (asked["type"], asked["data"]["text"], asked["data"]["viewer"]) == (
                "comment.review",
                "fine 茶",
                "ann",
            )
            assert (asked["data"]["room"], asked["data"]["locale"]) == (room, "de")
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            wanted = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
            assert headers["webhook-signature"] == f"v1,{wanted}"
            assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
            refused = await ann.say("bad")
            assert (refused["code"], refused["params"]) == ("WORD_BLOCKED", {"why": "review"})
            assert code(await ann.say("bad")) == "WORD_BLOCKED"  # and is no duplicate: it was not said
            assert code(await ann.say("chunked")) == "ok"
            assert code(await host.say("bad")) == "ok"  # nobody reviews the staff
            await host.hear("chat.message", text="chunked")
            await host.hear("chat.message", text="bad")
            assert sorted(host.texts()) == ["bad", "chunked", "fine 茶"]

    asyncio.run(show())


@pytest.mark.parametrize("word", [*UNUSABLE, "nothing", "hang", "drip", "flood"])
def test_what_is_no_answer_leaves_it_to_the_fallback(reviewed: dict[str, Node], word: str):
    async def show():
        for fallback, wanted in (("allow", "ok"), ("deny", "TRY_LATER")):
            node = reviewed[fallback]
            room = make_room(node)
            async with guests(join(node, room), join(node, room)) as (ann, bob):
                assert code(await ann.say(f"{word} it", within=5)) == wanted
                assert code(await bob.say("fine")) == "ok"
                await bob.hear("chat.message", text="fine")
                assert (f"{word} it" in bob.texts()) == (wanted == "ok")

    asyncio.run(show())


def test_an_entry_that_the_review_keeps_back_counts(reviewed: dict[str, Node]):
    async def show():
        node = reviewed["allow"]
        room = make_room(node)
        async with guests(join(node, room, "host"), join(node, room)) as (host, ann):
            await host.ask("lottery.open", prize="cup", winners=1, keyword="bad", seconds=60)
            await ann.hear("lottery.opened")
            said = await ann.say("bad", idem="k")
            assert (said["shown"], said["why"], said["receipt"]["n"]) == (False, "WORD_BLOCKED", 1)
            assert (await ann.say("bad", idem="k"))["receipt"] == said["receipt"]

    asyncio.run(show())


def test_more_comments_than_may_wait_are_left_to_the_fallback_at_once(reviewed: dict[str, Node], hook: Hook):
    async def show():
        node = reviewed["deny"]
        room = make_room(node)
        async with guests(join(node, room)) as (ann,):
            hook.asked.clear()
            said = await asyncio.gather(*(ann.say(f"hang {n}") for n in range(20)))
            assert {code(one) for one in said} == {"TRY_LATER"}
            assert len(hook.asked) == 4
            assert code(await ann.say("fine")) == "ok"

    asyncio.run(show())


def test_a_comment_sent_again_while_it_is_reviewed_is_said_once(reviewed: dict[str, Node]):
    async def show():
        node = reviewed["allow"]
        room = make_room(node)
        async with guests(join(node, room), join(node, room)) as (ann, bob):
            first, again = await asyncio.gather(*(ann.say("fine twice", idem="k") for _ in range(2)))
            assert first["id"] == again["id"]
            await ann.say("fine end")
            await bob.hear("chat.message", text="fine end")
            assert bob.texts().count("fine twice") == 1

    asyncio.run(show())


def test_nobody_listening_is_no_answer(house: House):
    async def show():
        node = house.node(review_url="http://127.0.0.1:9/", review_secret="x", review_fallback="allow")
        room = make_room(node)
        async with guests(join(node, room)) as (ann,):
            assert code(await ann.say("hello")) == "ok"
        assert node.said.count("review hook does not answer") == 1

    asyncio.run(show())


@pytest.mark.parametrize(
    ("url", "secret", "why"),
    [
        ("ftp://a/", "s", "review_url"),
        ("http://", "s", "review_url"),
        ("http://a:99999/", "s", "review_url"),
        ("http://a/\r\nX: y", "s", "review_url"),
        ("http://a/", "", "review_secret"),
        ("http://a/", "whsec_!", "base64"),
    ],
)
def test_a_hook_that_cannot_be_asked_is_one_line_at_the_start(url: str, secret: str, why: str, tmp_path: Path):
    with pytest.raises(SettingsError) as error:
        with_secret(Settings(secret=SECRET, data=str(tmp_path), review_url=url, review_secret=secret))
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_the_secret_of_the_review_is_not_told():
    assert told(Settings(review_secret="hush"))["review_secret"] == "set"
    assert told(Settings())["review_secret"] == ""


def test_a_signature_is_that_of_standard_webhooks():
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    signed = signing.headers(signing.key_of(secret), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_is_deleted_while_it_is_reviewed_is_kept_for_nobody(reviewed: dict[str, Node], hook: Hook):
    async def show():
        node = reviewed["allow"]
        room = make_room(node)
        valkey = redis.Redis(unix_socket_path=(node.log.parent / "data/socket").read_text(), socket_timeout=5)
        async with guests(join(node, room, "moderator"), join(node, room, sub="eve"), join(node, room)) as (mo, *two):
            hook.asked.clear()
            late = asyncio.create_task(two[0].say("hang on"))
            await until(lambda: bool(hook.asked))
            assert code(await mo.ask("chat.delete", viewer="eve")) == "ok"
            assert code(await late) == "ok"
            await two[1].say("fine")
            await until(lambda: valkey.llen(keys_of(room, 16).chat) > 0)
            assert [json.loads(one)["text"] for one in valkey.lrange(keys_of(room, 16).chat, 0, -1)] == ["fine"]
            assert two[1].texts() == ["fine"]

    asyncio.run(show())


# --- shadows ---


def test_who_is_muted_in_the_shadow_notices_nothing_and_nobody_hears_him(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "host"), join(there, room, sub="eve"), join(there, room, sub="bob")) as (
            host,
            eve,
            bob,
        ):
            await host.ask("chat.mute", viewer="eve", seconds=60, shadow=True)
            await host.ask("chat.mute", viewer="bob", seconds=60)
            await bob.hear("chat.muted")  # so the other is known there too
            first = await eve.say("spam", idem="k", mentions=["bob"])
            assert (first["t"], len(first["id"])) == ("ok", 19)
            assert (await eve.say("spam", idem="k"))["code"] == "IDEMPOTENCY_MISMATCH"
            assert (await eve.say("spam", idem="k", mentions=["bob"]))["id"] == first["id"]
            assert code(await eve.say("spam")) == "DUPLICATE"
            await host.ask("lottery.open", prize="cup", winners=1, keyword="luck", seconds=60)
            await eve.hear("lottery.opened")
            assert (await eve.say("luck"))["receipt"]["n"] == 1
            await host.ask("chat.unmute", viewer="eve")
            await host.ask("chat.unmute", viewer="bob")
            await bob.hear("chat.muted", until=0)
            await eve.say("heard")
            await bob.hear("chat.message", text="heard")
            await host.hear("chat.message", text="heard")
            assert bob.texts() == host.texts() == ["heard"]
            assert not [one for one in eve.heard if one["t"] == "chat.muted"]
            assert not [one for one in bob.heard if one["t"] == "chat.mentioned"]

    asyncio.run(show())


def test_who_is_muted_in_the_shadow_finds_no_difference(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "host"), join(there, room, sub="eve"), join(there, room, sub="bob")) as (
            host,
            eve,
            bob,
        ):
            await host.ask("chat.mute", viewer="eve", seconds=60, shadow=True)
            await host.ask("chat.mute", viewer="bob", seconds=1)
            await bob.hear("chat.muted")
            eligible = {"all_of": [{"commented": 2}]}
            cup = (await host.ask("lottery.open", prize="cup", winners=1, seconds=60, eligible=eligible))["id"]
            await asyncio.sleep(1)
            answers = []
            for guest in (eve, bob):
                await guest.hear("lottery.opened")
                lines = [await guest.say(text) for text in ("hello", "hello you", "hello", "hello all")]
                more = [await guest.ask("chat.report", id=lines[0]["id"], why="x")]
                more.append(await guest.ask("lottery.enter", id=cup))
                answers.append([(code(one), sorted(one)) for one in (*lines, *more)])
            assert answers[0] == answers[1]
            assert [one for one, _ in answers[0]] == ["ok", "ok", "DUPLICATE", "ok", "NO_SUCH_COMMENT", "ok"]
            await asyncio.sleep(1.2)
            assert host.texts() == eve.texts() == ["hello", "hello you", "hello all"]
            assert not [one for one in eve.heard if one["t"] == "chat.sampled"]

    asyncio.run(show())


def test_without_redis_who_is_muted_in_the_shadow_is_told_so_too(plant: Plant):
    house = plant(("liveroom/store/crowd.py", "        if self.deaf():\n", "        if True:\n"))

    async def show():
        node = house.node()
        room = make_room(node)
        async with guests(join(node, room, "host"), join(node, room, sub="eve"), join(node, room)) as (host, eve, bob):
            await host.ask("chat.mute", viewer="eve", seconds=60, shadow=True)
            for fields in ({}, {"idem": "k"}):
                assert [code(await one.say("hello", **fields)) for one in (bob, eve)] == ["TRY_LATER"] * 2

    asyncio.run(show())


def test_the_review_is_asked_also_about_who_is_muted_in_the_shadow(reviewed: dict[str, Node], hook: Hook):
    async def show():
        node = reviewed["deny"]
        room = make_room(node)
        async with guests(join(node, room, "host"), join(node, room, sub="eve"), join(node, room)) as (host, eve, bob):
            await host.ask("chat.mute", viewer="eve", seconds=60, shadow=True)
            for text, wanted in (("fine", "ok"), ("bad", "WORD_BLOCKED"), ("rubbish", "TRY_LATER")):
                assert [code(await one.say(text)) for one in (bob, eve)] == [wanted] * 2
            await bob.hear("chat.message", text="fine")
            assert [one["from"] for one in bob.heard if one["t"] == "chat.message"] == [bob.welcome["viewer"]["id"]]

    asyncio.run(show())


def test_blocked_words_may_be_kept_in_the_shadow_too(house: House):
    async def show():
        node = house.node(shadow_blocked=True)
        room = make_room(node)
        async with guests(join(node, room, "host"), join(node, room), join(node, room)) as (host, ann, bob):
            await setting(host, ann, mode="open", words=["rude"])
            await asyncio.sleep(0.5)
            assert "id" in await ann.say("how rude")
            assert code(await ann.say("how rude")) == "DUPLICATE"
            await ann.say("how nice")
            await bob.hear("chat.message", text="how nice")
            assert bob.texts() == ["how nice"]

    asyncio.run(show())


def test_the_check_that_the_page_shows_is_right():
    page = (Path(__file__).parents[2] / "docs/moderating.md").read_text("utf-8")
    shown: dict[str, Callable[..., bool]] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], shown)
    headers = signing.headers(KEY, "m1", 1763640000, b"{}")
    assert shown["is_ours"](KEY, headers, b"{}")
    assert not shown["is_ours"](KEY, headers, b"{ }")
    assert not shown["is_ours"](b"another", headers, b"{}")
