"""Bans and mutes: who may impose them on whom, on which nodes they hold, and how long."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
import redis

from liveroom.store.keys import keys_of
from tests.house import Guest, House, Node, Plant, guests, join, make_room, open_socket, retried, token

SOON = 6  # seconds: three times what is promised

DEAF = (  # this node hears nothing of what is published on the truth's channel, although its connection stands
    "liveroom/store/feed.py",
    "if room is None:\n            return  # being taken up",
    "if True:\n            return  # being taken up",
)
NEVER_READS = ("liveroom/store/feed.py", "if head.ctl != room.ctl:", "if False:")
NEVER_ASKS = ("liveroom/door.py", "        await self.turn_away(room, joiners)\n", "")


def code(reply: dict[str, Any]) -> str:
    return str(reply.get("code", reply["t"]))


async def knock(node: Node, room: str, sub: str, role: str = "viewer") -> int | None:
    """The close code of somebody who comes, or None where he is welcomed."""
    socket = await open_socket(node, room)
    try:
        await socket.send(json.dumps({"t": "hello", "token": token(room, role, sub)}))
        with contextlib.suppress(Exception):
            async with asyncio.timeout(SOON):
                assert json.loads(await socket.recv())["t"] == "welcome"
                return None
        return socket.close_code
    finally:
        await socket.close()


async def until(true: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    for _ in range(200):
        if true():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it did not come true")


def test_a_ban_closes_on_every_node_and_on_reconnect_until_it_is_lifted(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(
            join(here, room, "moderator", "mo"),
            join(there, room, sub="eve"),
            join(here, room, sub="eve"),
            join(there, room, sub="bob"),
        ) as (mo, eve, eve_here, bob):
            banned = await mo.ask("chat.ban", viewer="eve", reason="spam")
            assert (banned["t"], banned["until"]) == ("ok", None)
            assert await eve.closing(SOON) == 4502
            assert await eve_here.closing(SOON) == 4502
            assert [await knock(node, room, "eve") for node in pair] == [4502, 4502]
            assert await knock(there, make_room(here), "eve") is None
            assert code(await bob.say("still here")) == "ok"
            assert code(await mo.ask("chat.unban", viewer="eve")) == "ok"
            assert [await knock(node, room, "eve") for node in pair] == [None, None]

    asyncio.run(show())


def test_a_ban_ends_by_itself(pair: list[Node]):
    async def show():
        room = make_room(pair[0])
        async with guests(join(pair[0], room, "host", "h")) as (host,):
            assert (await host.ask("chat.ban", viewer="eve", seconds=1))["until"] > host.welcome["now"]
            assert await knock(pair[1], room, "eve") == 4502
            await asyncio.sleep(1.2)
            assert await knock(pair[1], room, "eve") is None

    asyncio.run(show())


@pytest.mark.parametrize("verb", ["chat.ban", "chat.mute"])
def test_a_node_that_hears_nothing_published_learns_it_all_the_same(plant: Plant, verb: str):
    house = plant(DEAF)

    async def show():
        here, there = house.node(), house.node()
        room = make_room(here)
        async with guests(join(here, room, "moderator"), join(there, room, sub="eve")) as (mo, eve):
            await mo.ask(verb, viewer="eve", seconds=60)
            if verb == "chat.ban":
                assert await eve.closing(SOON) == 4502
                assert await knock(there, room, "eve") == 4502
            else:
                await eve.hear("chat.muted", SOON)
                assert code(await eve.say("hello?")) == "MUTED"
                await mo.ask("chat.unmute", viewer="eve")
                await eve.hear("chat.muted", SOON, until=0)
                assert code(await eve.say("hello!")) == "ok"

    asyncio.run(show())


def test_a_ban_holds_although_subscriptions_are_cut_again_and_again(house: House):
    async def show():
        here, there = house.node(), house.node()
        room = make_room(here)
        valkey = redis.Redis(unix_socket_path=house.redis_socket, socket_timeout=5)
        async with guests(join(here, room, "moderator"), join(there, room, sub="eve")) as (mo, eve):

            async def cut() -> None:
                while True:
                    await asyncio.to_thread(valkey.execute_command, "CLIENT", "KILL", "TYPE", "pubsub")
                    await asyncio.sleep(0.02)

            cutting = asyncio.create_task(cut())
            try:
                await asyncio.sleep(0.1)
                assert code(await mo.ask("chat.ban", viewer="eve")) == "ok"
                assert await eve.closing(SOON) == 4502
                assert await knock(there, room, "eve") == 4502
            finally:
                cutting.cancel()
                await asyncio.gather(cutting, return_exceptions=True)

    asyncio.run(show())


def test_without_the_look_once_a_second_a_deaf_node_would_let_him_stay(plant: Plant):
    house = plant(DEAF, NEVER_READS, NEVER_ASKS)

    async def show():
        here, there = house.node(), house.node()
        room = make_room(here)
        async with guests(join(here, room, "moderator"), join(there, room, sub="eve")) as (mo, eve):
            await mo.ask("chat.ban", viewer="eve")
            with pytest.raises(TimeoutError):
                await eve.closing(3)

    asyncio.run(show())


def test_who_is_muted_hears_so_and_is_heard_by_nobody(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(
            join(here, room, "moderator", "mo"), join(there, room, sub="eve"), join(there, room, sub="bob")
        ) as (mo, eve, bob):
            until = (await mo.ask("chat.mute", viewer="eve", seconds=60))["until"]
            await eve.hear("chat.muted", until=until)
            refused = await eve.say("me?")
            assert (refused["code"], refused["params"], refused["retryable"]) == ("MUTED", {"until": until}, False)
            assert code(await eve.ask("like.add", n=1)) == "ok"
            async with guests(join(here, room, sub="eve")) as (again,):
                await again.hear("chat.muted", until=until)
                assert code(await again.say("me?")) == "MUTED"
            await mo.ask("chat.unmute", viewer="eve")
            await eve.hear("chat.muted", until=0)
            assert code(await eve.say("thanks")) == "ok"
            await bob.hear("chat.message", text="thanks")
            assert bob.texts() == ["thanks"]
            assert not [one for one in bob.heard if one["t"] == "chat.muted"]

    asyncio.run(show())


def test_a_mute_ends_by_itself(pair: list[Node]):
    async def show():
        room = make_room(pair[0])
        async with guests(join(pair[0], room, "host"), join(pair[1], room, sub="eve")) as (host, eve):
            await host.ask("chat.mute", viewer="eve", seconds=1)
            await eve.hear("chat.muted")
            assert code(await eve.say("early")) == "MUTED"
            await asyncio.sleep(1.2)
            assert code(await eve.say("late")) == "ok"

    asyncio.run(show())


VERBS = ["chat.ban", "chat.unban", "chat.mute", "chat.unmute"]


def asking(verb: str, viewer: str) -> dict[str, Any]:
    return {"viewer": viewer, **({"seconds": 60} if verb == "chat.mute" else {})}


@pytest.mark.parametrize("verb", VERBS)
def test_a_viewer_moderates_nobody_and_nobody_moderates_himself(pair: list[Node], verb: str):
    async def show():
        room = make_room(pair[0])
        async with guests(
            join(pair[0], room, sub="ann"), join(pair[0], room, "moderator", "mo"), join(pair[1], room, "host", "h")
        ) as (ann, mo, host):
            refused = await ann.ask(verb, **asking(verb, "bob"))
            assert (refused["code"], refused["params"]) == ("NOT_ALLOWED", {"needs": "moderator"})
            for one, sub in ((mo, "mo"), (host, "h")):
                refused = await one.ask(verb, **asking(verb, sub))
                assert (refused["code"], refused["message"]) == ("NOT_ALLOWED", "nobody moderates himself")

    asyncio.run(show())


@pytest.mark.parametrize("verb", VERBS)
def test_a_moderator_cannot_act_on_a_host_of_any_node(pair: list[Node], verb: str):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "moderator", "mo"), join(there, room, "host", "h")) as (mo, host):
            refused = await mo.ask(verb, **asking(verb, "h"))
            assert (refused["code"], refused["params"]) == ("NOT_ALLOWED", {"needs": "host"})
            assert code(await host.say("mine")) == "ok"

    asyncio.run(show())


def test_who_was_a_host_and_comes_as_a_viewer_is_moderated_like_one(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "moderator"), join(there, room, "host", "h")) as (mo, host):
            assert code(await mo.ask("chat.mute", viewer="h", seconds=60)) == "NOT_ALLOWED"
            await host.leave()
            assert code(await mo.ask("chat.mute", viewer="h", seconds=60)) == "NOT_ALLOWED"
            async with guests(join(there, room, sub="h")) as (former,):
                assert code(await former.say("rude")) == "ok"
                assert code(await mo.ask("chat.delete", viewer="h")) == "ok"
                assert code(await mo.ask("chat.mute", viewer="h", seconds=60)) == "ok"
                await former.hear("chat.muted")
                assert code(await mo.ask("chat.ban", viewer="h")) == "ok"
                assert await former.closing(SOON) == 4502

    asyncio.run(show())


@pytest.mark.parametrize("second", [0, 1])
def test_a_host_who_comes_a_second_time_as_a_viewer_stays_a_host(moderated: House, second: int):
    async def show():
        here, there = moderated.nodes
        room = make_room(here)
        valkey = redis.Redis(unix_socket_path=moderated.redis_socket, socket_timeout=5)
        async with guests(
            join(here, room, "moderator"),
            join(there, room, "host", "h"),
            join(moderated.nodes[second], room, sub="h"),
        ) as (mo, *_):
            await until(lambda: bool(valkey.hexists(keys_of(room, 16).staff, "h")))
            for verb, fields in (("chat.mute", {"seconds": 60}), ("chat.delete", {}), ("chat.ban", {})):
                assert code(await mo.ask(verb, viewer="h", **fields)) == "NOT_ALLOWED"

    asyncio.run(show())


def test_what_a_moderator_imposed_before_does_not_bind_a_host(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "moderator", "mo"), join(here, room, "host", "h2")) as (mo, other):
            assert code(await mo.ask("chat.ban", viewer="h")) == "ok"
            assert await knock(there, room, "h", "viewer") == 4502
            assert await knock(there, room, "h", "host") is None
            assert code(await other.ask("chat.ban", viewer="h")) == "ok"
            assert await knock(there, room, "h", "host") == 4502

    asyncio.run(show())


def test_a_moderator_who_is_banned_commands_nothing_also_over_http(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "host"), join(there, room, "moderator", "mo")) as (host, mo):
            await host.ask("chat.ban", viewer="mo")
            assert await mo.closing(SOON) == 4502
        unban = {"t": "chat.unban", "viewer": "mo2"}
        status, said = await asyncio.to_thread(
            there.http, "POST", f"/v1/rooms/{room}/commands", unban, token(room, "moderator", "mo")
        )
        assert (status, said["code"]) == (403, "NOT_ALLOWED")

    asyncio.run(show())


def test_a_token_moderates_its_own_room_alone(pair: list[Node]):
    one, other = make_room(pair[0]), make_room(pair[0])
    ban = {"t": "chat.ban", "viewer": "eve"}
    status, said = pair[0].http("POST", f"/v1/rooms/{other}/commands", ban, token(one, "moderator"))
    assert (status, said["code"]) == (403, "NOT_ALLOWED")
    assert pair[0].http("POST", f"/v1/rooms/{one}/commands", ban, token(one, "moderator"))[0] == 200
    assert asyncio.run(knock(pair[0], other, "eve")) is None


@pytest.mark.parametrize(
    ("verb", "fields", "field"),
    [
        ("chat.mute", {"viewer": "eve"}, "seconds"),
        ("chat.mute", {"viewer": "eve", "seconds": -1}, "seconds"),
        ("chat.mute", {"viewer": "eve", "seconds": 0}, "seconds"),
        ("chat.mute", {"viewer": "eve", "seconds": 86401}, "seconds"),
        ("chat.mute", {"viewer": "eve", "seconds": 1.5}, "seconds"),
        ("chat.mute", {"viewer": "eve", "seconds": "60"}, "seconds"),
        ("chat.mute", {"viewer": "", "seconds": 60}, "viewer"),
        ("chat.mute", {"viewer": "x" * 65, "seconds": 60}, "viewer"),
        ("chat.mute", {"seconds": 60}, "viewer"),
        ("chat.ban", {}, "viewer"),
        ("chat.ban", {"viewer": "eve", "seconds": 0}, "seconds"),
        ("chat.ban", {"viewer": "eve", "seconds": None}, "seconds"),
        ("chat.ban", {"viewer": "eve", "reason": "x" * 201}, "reason"),
        ("chat.ban", {"viewer": ["eve"]}, "viewer"),
        ("chat.unban", {"viewer": "eve", "seconds": 5}, "seconds"),
    ],
)
def test_bad_input_is_named(pair: list[Node], verb: str, fields: dict[str, Any], field: str):
    async def show():
        room = make_room(pair[0])
        async with guests(join(pair[0], room, "moderator")) as (mo,):
            refused = await mo.ask(verb, **fields)
            assert (refused["code"], refused["params"]["field"]) == ("BAD_MESSAGE", field)
            assert mo.closed is None

    asyncio.run(show())


def test_who_is_not_banned_may_be_unbanned_and_ids_are_only_names(pair: list[Node]):
    async def show():
        room = make_room(pair[0])
        async with guests(join(pair[0], room, "moderator"), join(pair[1], room, sub="bob")) as (mo, bob):
            assert code(await mo.ask("chat.unban", viewer="nobody")) == "ok"
            for odd in ("ban bob", "a b", "*", "密|室", "{00}", "mute eve"):
                assert code(await mo.ask("chat.ban", viewer=odd)) == "ok"
                assert code(await mo.ask("chat.mute", viewer=odd, seconds=9)) == "ok"
            assert await knock(pair[1], room, "a b") == 4502
            assert code(await bob.say("untouched")) == "ok"

    asyncio.run(show())


def test_a_ban_sent_twice_is_one_and_another_command_under_its_key_is_none(pair: list[Node]):
    async def show():
        room = make_room(pair[0])
        async with guests(join(pair[0], room, "moderator", "mo"), join(pair[1], room, "moderator", "mo")) as (a, b):
            first = await a.ask("chat.ban", viewer="eve", seconds=600, idem="k")
            again = await b.ask("chat.ban", viewer="eve", seconds=600, idem="k")
            assert first["until"] == again["until"]
            other = await b.ask("chat.ban", viewer="bob", seconds=600, idem="k")
            assert other["code"] == "IDEMPOTENCY_MISMATCH"
            assert await knock(pair[0], room, "bob") is None

    asyncio.run(show())


def test_a_ban_outlives_a_killed_server_and_one_that_forgot_everything(house: House):
    async def show():
        node = house.node()
        room = make_room(node)
        valkey = redis.Redis(unix_socket_path=house.redis_socket, socket_timeout=5)
        async with guests(join(node, room, "host"), join(node, room, sub="bob")) as (host, bob):
            await host.ask("chat.ban", viewer="eve")
            await host.ask("chat.mute", viewer="bob", seconds=600)
            with contextlib.suppress(redis.ConnectionError):
                valkey.shutdown(nosave=True)
            await asyncio.to_thread(node.wait_until, "/readyz", 200)
            assert (await retried(lambda: host.ask("room.notice", text="back")))["t"] == "ok"
            assert await knock(node, room, "eve") == 4502
            valkey.flushall()
            await bob.hear("room.reset")
            await told_again(host, bob)
            assert await knock(node, room, "eve") == 4502

    async def told_again(host: Guest, bob: Guest) -> None:
        assert (await retried(lambda: host.ask("room.notice", text="anew")))["t"] == "ok"
        assert code(await retried(lambda: bob.say("me?"))) == "MUTED"

    asyncio.run(show())


def test_a_node_that_knew_nothing_of_a_ban_has_it_from_the_ledger(house: House):
    async def show():
        node = house.node()
        room = make_room(node)
        for said in (
            {"t": "chat.ban", "viewer": "eve"},
            {"t": "chat.ban", "viewer": "bob"},
            {"t": "chat.unban", "viewer": "bob"},
        ):
            assert node.http("POST", f"/v1/rooms/{room}/commands", said, token(room, "host"))[0] == 200
        await until(lambda: house.recorded("select count(*) from commands") == [(3,)])
        node.stop()
        other = house.node()
        redis.Redis(unix_socket_path=house.redis_socket, socket_timeout=5).flushall()
        async with guests(join(other, room, sub="ann")) as (ann,):
            for _ in range(100):
                if await knock(other, room, "eve") == 4502:
                    break
                await asyncio.sleep(0.2)
            assert await knock(other, room, "eve") == 4502
            assert await knock(other, room, "bob") is None
            assert code(await ann.say("fine")) == "ok"

    asyncio.run(show())


def test_who_is_banned_before_the_draw_does_not_win(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "host"), join(there, room, sub="eve")) as (host, eve):
            lottery = (await host.ask("lottery.open", prize="cup", winners=1, seconds=60))["id"]
            await eve.hear("lottery.opened")
            assert (await eve.ask("lottery.enter", id=lottery))["receipt"]["n"] == 1
            await host.ask("chat.ban", viewer="eve")
            await host.ask("lottery.close", id=lottery)
            assert [one["viewer"] for one in (await host.hear("lottery.drawn"))["winners"]] == ["eve"]
            replaced = await host.hear("lottery.replaced")
            assert (replaced["why"], replaced["winners"]) == ("banned", [])
            assert (await host.hear("lottery.settled"))["winners_total"] == 0

    asyncio.run(show())


def test_who_is_banned_is_told_nothing_over_http_either(pair: list[Node]):
    async def show():
        room = make_room(pair[0])
        async with guests(join(pair[0], room, "host")) as (host,):
            calls = [("GET", f"/v1/rooms/{room}/{what}") for what in ("bans", "reports", "questions")]
            of_hosts = ("GET", f"/v1/rooms/{room}/retention"), ("POST", f"/v1/rooms/{room}/close")
            await host.ask("stream.start", title="evening")

            async def asked(role: str, sub: str, *calls: tuple[str, str]) -> list[int]:
                key = token(room, role, sub=sub)
                return [(await asyncio.to_thread(pair[1].http, *call, None, key))[0] for call in calls]

            assert await asked("moderator", "mo", *calls) == [200] * 3
            assert await asked("host", "co", *calls, of_hosts[0]) == [200] * 4
            for viewer in ("mo", "co"):
                assert code(await host.ask("chat.ban", viewer=viewer)) == "ok"
            assert await asked("moderator", "mo", *calls) == [403] * 3
            assert await asked("host", "co", *calls, *of_hosts) == [403] * 5
            state = (await asyncio.to_thread(pair[1].http, "GET", f"/v1/rooms/{room}", None, token(room)))[1]["state"]
            assert (state, await asked("host", "another", of_hosts[1])) == ("open", [200])

    asyncio.run(show())
