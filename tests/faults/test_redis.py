"""What viewers notice when the server behind the room dies, freezes, forgets, or drops a connection."""

import asyncio
import os
import signal
import time

from tests.house import guests, join, make_room, retried


def test_a_killed_valkey_comes_back_and_nothing_told_is_lost(house, valkey):
    async def show():
        node = house.node()
        room = make_room(node)
        async with guests(join(node, room, sub="ann"), join(node, room, "host", "h")) as (ann, host):
            for n in range(20):
                await host.ask("room.notice", text=str(n))
            os.kill(valkey().info()["process_id"], signal.SIGKILL)
            refused = await ann.say("anyone?", within=3)
            assert refused.get("code", "TRY_LATER") == "TRY_LATER"
            await asyncio.to_thread(node.wait_until, "/readyz", 200)
            assert (await retried(lambda: host.ask("room.notice", text="back")))["seq"] == 21
            await ann.hear("room.notice", text="back")
            assert ann.ledger() == list(range(1, 22))
            assert not [m for m in ann.heard if m["t"] == "room.reset"]
            await retried(lambda: ann.say("all well"))
            await host.hear("chat.message", text="all well")
        assert "Traceback" not in node.said

    asyncio.run(show())


def test_a_frozen_valkey_refuses_comments_in_time_and_closes_nobody(house, valkey):
    async def show():
        node = house.node()
        room = make_room(node)
        pid = valkey().info()["process_id"]
        async with guests(join(node, room, sub="ann"), join(node, room, sub="bob")) as (ann, bob):
            await ann.say("before")
            os.kill(pid, signal.SIGSTOP)
            try:
                for n in range(3):
                    start = time.monotonic()
                    refused = await ann.say(f"frozen {n}")
                    assert (refused["code"], refused["retryable"]) == ("TRY_LATER", True)
                    assert time.monotonic() - start < 3
                await asyncio.to_thread(node.wait_until, "/readyz", 503)
                assert node.http("GET", "/livez")[0] == 200
            finally:
                os.kill(pid, signal.SIGCONT)
            await asyncio.to_thread(node.wait_until, "/readyz", 200)
            await retried(lambda: ann.say("after"))
            await bob.hear("chat.message", text="after")
            assert bob.texts() == ["before", "after"]  # who was told "try later" was not shown after all
            assert (ann.closed, bob.closed) == (None, None)

    asyncio.run(show())


def test_a_server_that_forgot_everything_starts_a_new_epoch(house, valkey):
    async def show():
        node = house.node()
        room = make_room(node)
        async with guests(join(node, room, sub="ann"), join(node, room, "host", "h")) as (ann, host):
            await host.ask("room.notice", text="old")
            await ann.say("hello")
            await ann.hear("chat.message")
            valkey().flushall()
            reset = await ann.hear("room.reset")
            assert reset["epoch"] != ann.welcome["epoch"]
            assert reset["seq"] == 0
            assert [one["text"] for one in reset["snapshot"]["chat"]] == ["hello"]
            assert (await retried(lambda: host.ask("room.notice", text="new")))["seq"] == 1
            await ann.hear("room.notice", text="new")
            async with guests(join(node, room, resume={"epoch": ann.welcome["epoch"], "seq": 1})) as (back,):
                assert back.welcome["recovered"] is False
                assert back.welcome["epoch"] == reset["epoch"]
            await ann.hear("room.stats", viewers=1)
        assert "Traceback" not in node.said

    asyncio.run(show())


def test_an_event_lost_by_pubsub_is_read_from_the_log(house, valkey):
    async def show():
        node = house.node()
        room = make_room(node)
        async with guests(join(node, room, sub="ann"), join(node, room, "host", "h")) as (ann, host):
            for n in range(5):
                valkey().execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                await host.ask("room.notice", text=str(n))
            await ann.hear("room.notice", text="4", seconds=9)
            assert ann.ledger() == [1, 2, 3, 4, 5]
            await retried(lambda: ann.say("the crowd's channel is heard again"))
            await host.hear("chat.message")

    asyncio.run(show())
