"""A room from a viewer's side: join, talk, like, leave, come back."""

import asyncio

from tests.house import guests, join, make_room, token


def test_viewers_see_each_other(node):
    async def show():
        room = make_room(node, "Tea")
        async with guests(join(node, room, claims={"name": "Ann"}), join(node, room, claims={"name": "Bob"})) as (
            ann,
            bob,
        ):
            assert ann.welcome["room"] == {"id": room, "title": "Tea", "viewers": 1, "likes": 0}
            said = await ann.say(" hello\u202e 你好 ")
            shown = await bob.hear("chat.message")
            assert shown["id"] == said["id"]
            assert (shown["text"], shown["name"], shown["role"]) == ("hello 你好", "Ann", "viewer")
            assert (await bob.hear("room.stats", viewers=2))["likes"] == 0

    asyncio.run(show())


def test_a_late_joiner_is_shown_what_was_said(node):
    async def show():
        room = make_room(node)
        async with guests(join(node, room), join(node, room, "host", "h1")) as (ann, host):
            for text in ("one", "two", "three"):
                await ann.say(text)
            await host.ask("room.notice", text="sale at eight")
            await ann.hear("room.notice", text="sale at eight")
            async with guests(join(node, room)) as (late,):
                snapshot = late.welcome["snapshot"]
                assert [one["text"] for one in snapshot["chat"]] == ["one", "two", "three"]
                assert snapshot["notice"]["text"] == "sale at eight"
                assert late.welcome["seq"] == snapshot["notice"]["seq"] == 1
                assert late.welcome["recovered"] is False
                assert late.ledger() == []

    asyncio.run(show())


def test_who_comes_back_in_time_gets_what_he_missed_once_and_in_order(node):
    async def show():
        room = make_room(node)
        async with guests(join(node, room, "host", "h1"), join(node, room, sub="ann")) as (host, ann):
            await host.ask("room.notice", text="first")
            first = await ann.hear("room.notice")
            ann.drop()
            for n in range(5):
                await host.ask("room.notice", text=f"missed {n}")
            resume = {"epoch": ann.welcome["epoch"], "seq": first["seq"]}
            async with guests(join(node, room, sub="ann", resume=resume)) as (again,):
                assert again.welcome["recovered"] is True
                assert "snapshot" not in again.welcome
                assert again.welcome["seq"] == 1
                await host.ask("room.notice", text="live")
                await again.hear("room.notice", text="live")
                assert again.ledger() == [2, 3, 4, 5, 6, 7]

    asyncio.run(show())


def test_a_resume_that_cannot_be_met_gets_a_snapshot(node):
    async def show():
        room = make_room(node)
        async with guests(join(node, room, "host", "h1")) as (host,):
            await host.ask("room.notice", text="here")
            epoch = host.welcome["epoch"]
            for resume in ({"epoch": epoch, "seq": 99}, {"epoch": "other", "seq": 0}):
                async with guests(join(node, room, resume=resume)) as (back,):
                    assert back.welcome["recovered"] is False
                    assert back.welcome["snapshot"]["notice"]["text"] == "here"
                    assert back.welcome["seq"] == 1

    asyncio.run(show())


def test_likes_add_up(node):
    async def show():
        room = make_room(node)
        async with guests(join(node, room), join(node, room)) as (ann, bob):
            assert (await ann.ask("like.add", n=30))["counted"] == 30
            assert (await ann.ask("like.add", n=50))["counted"] == 30
            refused = await ann.ask("like.add", n=50)
            assert refused.get("counted", 0) <= 2 or refused["code"] == "RATE_LIMITED"
            assert (await bob.ask("like.add", n=7))["counted"] == 7
            total = await bob.wait(lambda m: m["t"] == "like.total" and m["total"] >= 67)
            assert total["ver"] >= 1

    asyncio.run(show())


def test_a_closed_room_says_so_and_stays_closed(node):
    async def show():
        room = make_room(node)
        host = token(room, "host")
        async with guests(join(node, room)) as (ann,):
            assert node.http("POST", f"/v1/rooms/{room}/close", token=host)[0] == 200
            await ann.hear("room.closed")
            assert await ann.closing() == 4504
        assert node.http("POST", f"/v1/rooms/{room}/close", token=host)[0] == 200
        status, body = node.http("POST", f"/v1/rooms/{room}/commands", {"t": "room.notice", "text": "x"}, host)
        assert (status, body["code"]) == (409, "ROOM_CLOSED")
        status, body = node.http("GET", f"/v1/rooms/{room}", token=host)
        assert body["state"] == "closed"

    asyncio.run(show())


def test_a_mentioned_viewer_is_told_in_private(node):
    async def show():
        room = make_room(node)
        async with guests(
            join(node, room, sub="ann"), join(node, room, sub="bob"), join(node, room, sub="eve")
        ) as crowd:
            ann, bob, eve = crowd
            said = await ann.say("@bob look", mentions=["bob"])
            told = await bob.hear("chat.mentioned")
            assert (told["by"], told["id"], told["text"]) == ("ann", said["id"], "@bob look")
            answer = await bob.say("yes", reply_to=said["id"])
            assert (await ann.hear("chat.mentioned"))["of"] == said["id"]
            assert (await eve.hear("chat.message", id=answer["id"]))["reply_to"] == said["id"]
            assert not [one for one in eve.heard if one["t"] == "chat.mentioned"]

    asyncio.run(show())


def test_an_intention_sent_twice_is_done_once(node):
    async def show():
        room = make_room(node)
        async with guests(join(node, room), join(node, room, "host", "h1")) as (ann, host):
            first = await ann.say("buy it", idem="a")
            assert (await ann.say("buy it", idem="a"))["id"] == first["id"]
            assert (await ann.say("sell it", idem="a"))["code"] == "IDEMPOTENCY_MISMATCH"
            counted = await ann.ask("like.add", n=3, idem="b")
            assert (await ann.ask("like.add", n=3, idem="b"))["counted"] == counted["counted"] == 3
            one, two = [await host.ask("room.notice", text="now", idem="c") for _ in range(2)]
            assert one["seq"] == two["seq"]
            assert (await host.ask("room.notice", text="later", idem="c"))["code"] == "IDEMPOTENCY_MISMATCH"
            await host.ask("room.notice", text="end")
            await ann.hear("room.notice", text="end")
            assert ann.texts() == ["buy it"]
            assert ann.ledger() == [1, 2]

    asyncio.run(show())


def test_who_is_named_in_a_comment_that_is_refused_is_told_nothing(node):
    async def show():
        room = make_room(node)
        async with guests(join(node, room, sub="ann"), join(node, room, sub="bob")) as (ann, bob):
            assert (await ann.say("hello", idem="k", mentions=["bob"]))["t"] == "ok"
            assert (await bob.hear("chat.mentioned"))["text"] == "hello"
            refused = [await ann.say(f"again {n}", idem="k", mentions=["bob"]) for n in range(6)]
            assert {one["code"] for one in refused} <= {"IDEMPOTENCY_MISMATCH", "RATE_LIMITED"}
            await ann.say("hello", idem="k", mentions=["bob"])
            async with guests(join(node, room, "host", "h")) as (host,):
                await host.say("@bob last", mentions=["bob"])
                await bob.hear("chat.mentioned", text="@bob last")
            assert [one["text"] for one in bob.heard if one["t"] == "chat.mentioned"] == ["hello", "@bob last"]

    asyncio.run(show())


def test_events_that_come_while_the_log_is_looked_at_reset_nobody(node):
    async def show():
        room = make_room(node)
        async with guests(join(node, room), *(join(node, room, "host", f"h{n}") for n in range(4))) as (ann, *hosts):
            for n in range(15):
                await asyncio.gather(
                    *(host.ask("room.notice", text=f"{n} {host.welcome['viewer']['id']}") for host in hosts)
                )
            await ann.wait(lambda m: m.get("seq") == 60)
            assert ann.ledger() == list(range(1, 61))
            assert not [one for one in ann.heard if one["t"] == "room.reset"]

    asyncio.run(show())
