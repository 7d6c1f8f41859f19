"""Mentions: whoever is named or answered finds it, wherever he is, whatever the room is shown, until he reads it."""

import asyncio
from typing import Any

import redis.asyncio

from liveroom.store import scripts
from tests.house import Guest, House, Node, Plant, guests, join, make_room, retried, token

Loud = tuple[House, Node, Node]
Message = dict[str, Any]


def told(guest: Guest) -> list[Message]:
    """What he was told of mentions, in his welcome and since."""
    found = [*guest.welcome.get("snapshot", {}).get("inbox", []), *guest.heard]
    return [one for one in found if one["t"] == "chat.mentioned"]


def texts(guest: Guest) -> list[str]:
    return [one["text"] for one in told(guest)]


async def echo(guest: Guest) -> None:
    """Whatever was told to the room before is heard here by now."""
    await guest.ask("time.ping", c0=0)


async def found_by(node: Node, room: str, sub: str) -> list[Message]:
    async with guests(join(node, room, sub=sub)) as (guest,):
        return list(guest.welcome["snapshot"]["inbox"])


def test_whom_a_comment_names_is_told_though_nobody_was_shown_it(loud: Loud) -> None:
    async def show() -> None:
        room = make_room(loud[1])
        async with guests(join(loud[1], room, sub="ann"), join(loud[2], room, sub="bob")) as (ann, bob):
            said = [await ann.say(f"look {n}", mentions=["bob"]) for n in range(12)]
            await bob.hear("chat.mentioned", text="look 11")
            assert texts(bob) == [f"look {n}" for n in range(12)]
            assert len(bob.texts()) < 12
            first = told(bob)[0]
            inbox = f"m_{said[0]['id']}"
            assert first == {"t": "chat.mentioned", "by": "ann", "id": said[0]["id"], "text": "look 0", "inbox": inbox}
            assert told(ann) == []

    asyncio.run(show())


def test_who_is_away_finds_it_at_each_connect_until_he_says_that_he_has_read_it(loud: Loud) -> None:
    async def show() -> None:
        room = make_room(loud[1])
        async with guests(join(loud[1], room, sub="ann")) as (ann,):
            said = await ann.say("where are you?", mentions=["bob"])
            for node in loud[1:]:
                assert [one["id"] for one in await found_by(node, room, "bob")] == [said["id"]]
            assert await found_by(loud[1], room, "eve") == []
            resume = {"epoch": ann.welcome["epoch"], "seq": ann.welcome["seq"]}
            async with guests(join(loud[2], room, sub="bob", resume=resume)) as (bob,):
                assert bob.welcome["recovered"]
                letter = await bob.hear("chat.mentioned")
                for _ in "twice":
                    assert (await bob.ask("inbox.ack", ids=[letter["inbox"]]))["t"] == "ok"
                assert len(told(bob)) == 1
            for node in loud[1:]:
                assert await found_by(node, room, "bob") == []

    asyncio.run(show())


def test_who_is_answered_is_told_of_which_comment(loud: Loud) -> None:
    async def show() -> None:
        room = make_room(loud[1])
        async with guests(join(loud[2], room, "host", "h"), join(loud[1], room, sub="bob")) as (host, bob):
            asked = await bob.say("how much is it?")
            await host.hear("chat.message")
            await bob.leave()
            said = await host.say("nine", reply_to=asked["id"])
            (letter,) = await found_by(loud[1], room, "bob")
            assert (letter["of"], letter["by"], letter["id"]) == (asked["id"], "h", said["id"])

    asyncio.run(show())


def test_a_host_finds_who_asked_for_him(loud: Loud) -> None:
    async def show() -> None:
        room = make_room(loud[1])
        async with guests(join(loud[1], room, sub="ann")) as (ann,):
            await ann.say("@h help", mentions=["h"])
            async with guests(join(loud[2], room, "host", "h")) as (host,):
                assert texts(host) == ["@h help"]

    asyncio.run(show())


def test_nobody_is_told_that_he_names_himself(loud: Loud) -> None:
    async def show() -> None:
        room = make_room(loud[1])
        async with guests(join(loud[1], room, sub="ann")) as (ann,):
            own = await ann.say("me", mentions=["ann"])
            await ann.say("me too", reply_to=own["id"])
            await echo(ann)
            assert told(ann) == []
        assert await found_by(loud[1], room, "ann") == []

    asyncio.run(show())


def test_said_again_it_is_told_once_also_when_it_was_read_meanwhile(loud: Loud) -> None:
    async def show() -> None:
        room = make_room(loud[1])
        async with guests(
            join(loud[1], room, sub="ann"), join(loud[2], room, sub="ann"), join(loud[2], room, sub="bob")
        ) as (ann, elsewhere, bob):
            first = await ann.say("one", idem="k", mentions=["bob"])
            letter = await bob.hear("chat.mentioned")
            await bob.ask("inbox.ack", ids=[letter["inbox"]])
            for again in (ann, elsewhere, ann):
                assert (await again.say("one", idem="k", mentions=["bob"]))["id"] == first["id"]
            await ann.say("two", mentions=["bob"])
            await bob.hear("chat.mentioned", text="two")
            assert texts(bob) == ["one", "two"]
            assert [one["text"] for one in await found_by(loud[1], room, "bob")] == ["two"]

    asyncio.run(show())


def test_the_newest_fifty_are_kept(loud: Loud) -> None:
    async def show() -> None:
        room = make_room(loud[1])
        async with guests(join(loud[1], room, sub="ann")) as (ann,):
            await asyncio.gather(*(ann.say(f"{n}", mentions=["bob"]) for n in range(59)))
            await ann.say("last", mentions=["bob"])
        kept = await found_by(loud[2], room, "bob")
        assert (len(kept), kept[-1]["text"]) == (50, "last")
        assert sorted(kept, key=lambda one: str(one["id"])) == kept

    asyncio.run(show())


def test_who_comes_and_goes_misses_none(loud: Loud) -> None:
    async def show() -> None:
        room, heard = make_room(loud[1]), []

        async def talk(ann: Guest) -> None:
            for n in range(60):
                await ann.say(f"{n}", mentions=["bob"])

        async with guests(join(loud[1], room, sub="ann")) as (ann,):
            talking = asyncio.create_task(talk(ann))
            while not talking.done():
                async with guests(join(loud[2], room, sub="bob")) as (bob,):
                    await echo(bob)
                    await asyncio.sleep(0.02)
                    if ids := [one["inbox"] for one in told(bob)]:
                        await bob.ask("inbox.ack", ids=ids)
                    heard += texts(bob)
            await talking
            heard += [one["text"] for one in await found_by(loud[2], room, "bob")]
        assert {int(one) for one in heard} == set(range(60))

    asyncio.run(show())


def test_who_is_named_while_he_sits_down_is_told_at_once(plant: Plant) -> None:
    """Between reading his inbox and letting him in there is time for a mention."""
    line = "        if any(part.mail > room.mail for part in parts.values()):\n"
    house = plant(("liveroom/door.py", line, "        await asyncio.sleep(1)\n" + line))

    async def show() -> None:
        node = house.node()
        room = make_room(node)
        async with guests(join(node, room, sub="ann")) as (ann,):
            coming = asyncio.create_task(join(node, room, sub="bob"))
            await asyncio.sleep(0.5)
            await ann.say("come in", mentions=["bob"])
            async with guests(coming) as (bob,):
                assert bob.welcome["snapshot"]["inbox"] == []
                assert (await bob.hear("chat.mentioned"))["text"] == "come in"

    asyncio.run(show())


def test_only_who_was_never_there_is_a_stranger(loud: Loud) -> None:
    async def show() -> None:
        room = make_room(loud[1])
        async with guests(join(loud[1], room, sub="ann"), join(loud[2], room, sub="bob")) as (ann, bob):
            await bob.say("I was here")
            await bob.leave()
            async with guests(join(loud[2], room, sub="eve")):
                await ann.say("you all", mentions=["bob", "eve", "nobody"])
        async with redis.asyncio.Redis(unix_socket_path=loud[0].redis_socket) as server:
            (key,) = [one async for one in server.scan_iter(f"*:r:{room}:strangers")]
            kept: list[Any] = await server.zrange(key, 0, -1)
            assert [one.split()[1] for one in kept] == [b"nobody"]

    asyncio.run(show())


def test_a_deleted_comment_is_in_no_inbox_here_or_elsewhere(loud: Loud) -> None:
    async def show() -> None:
        room, names = make_room(loud[1]), ["bob", "ann bob", "cy"]
        async with guests(
            join(loud[1], room, "moderator"), join(loud[2], room, sub="eve"), join(loud[1], room, sub="ann")
        ) as (mo, eve, ann):
            kept = [(await ann.say("hello", mentions=["bob"]))["id"]]
            said = [(await eve.say(f"you fool {n}", mentions=names))["id"] for n in range(3)]
            await mo.ask("chat.delete", ids=said[:2])
            for node in loud[1:]:
                assert [one["id"] for one in await found_by(node, room, "bob")] == [*kept, said[2]]
            await mo.ask("chat.delete", viewer="eve")
            for node in loud[1:]:
                assert [one["id"] for one in await found_by(node, room, "bob")] == kept
            async with redis.asyncio.Redis(unix_socket_path=loud[0].redis_socket) as server:
                keys = [key async for key in server.scan_iter(f"*:r:{room}:inbox:*")]
                assert [key.rpartition(b":")[2] for key in keys] == [b"bob"]
                assert await server.hlen(keys[0]) == 1
            assert (await eve.say("sorry", mentions=["bob"]))["t"] == "ok"
            assert texts_of(await found_by(loud[1], room, "bob")) == ["hello", "sorry"]

    asyncio.run(show())


def texts_of(letters: list[Message]) -> list[str]:
    return [one["text"] for one in letters]


def test_a_letter_that_comes_behind_the_deletion_of_its_comment_is_shown_to_nobody(loud: Loud) -> None:
    """As by a node that has not heard of it yet."""

    async def show() -> None:
        room = make_room(loud[1])
        async with guests(
            join(loud[1], room, "moderator"), join(loud[2], room, sub="eve"), join(loud[2], room, sub="cy")
        ) as (mo, eve, cy):
            resume = {"epoch": eve.welcome["epoch"], "seq": eve.welcome["seq"]}
            await eve.say("you fool", mentions=["bob"])
            async with redis.asyncio.Redis(unix_socket_path=loud[0].redis_socket) as server:
                (key,) = [one async for one in server.scan_iter(f"*:r:{room}:inbox:bob")]
                letters: Any = await server.hgetall(key)
                await mo.ask("chat.delete", viewer="eve")
                assert not await server.exists(key)
                await server.hset(key, mapping=letters)
                await server.sadd(key.replace(b"inbox:bob", b"inboxes"), "bob")
            await cy.hear("chat.deleted")
            for node in loud[1:]:
                assert await found_by(node, room, "bob") == []
            async with guests(join(loud[2], room, sub="bob", resume=resume)) as (bob,):
                assert bob.welcome["recovered"]
                await echo(bob)
                assert told(bob) == []

    asyncio.run(show())


def test_who_is_mentioned_can_report_what_the_room_was_not_shown(loud: Loud) -> None:
    async def show() -> None:
        room = make_room(loud[1])
        async with guests(join(loud[1], room, sub="ann"), join(loud[2], room, sub="bob")) as (ann, bob):
            said = [(await ann.say(f"you fool {n}", mentions=["bob"]))["id"] for n in range(6)]
            await bob.hear("chat.mentioned", id=said[-1])
            hidden = next(one for one in said if one not in [m["id"] for m in bob.heard if m["t"] == "chat.message"])
            assert (await bob.ask("chat.report", id=hidden, why="rude"))["t"] == "ok"
            assert (await ann.ask("chat.report", id=hidden, why="rude"))["code"] == "NO_SUCH_COMMENT"
            (one,) = loud[1].http("GET", f"/v1/rooms/{room}/reports", token=token(room, "moderator"))[1]["reports"]
            assert (one["comment"]["id"], one["comment"]["from"], one["by"][0]["viewer"]) == (hidden, "ann", "bob")
            assert abs(one["comment"]["ts"] - bob.welcome["now"]) < 60_000
            async with guests(join(loud[1], room, "moderator")) as (mo,):
                await mo.ask("chat.delete", ids=[hidden])
            assert loud[1].http("GET", f"/v1/rooms/{room}/reports", token=token(room, "host"))[1]["reports"] == []
            assert (await bob.ask("chat.report", id=hidden, why="rude"))["code"] == "NO_SUCH_COMMENT"

    asyncio.run(show())


def test_the_room_is_told_of_those_it_knows_and_of_nothing_else_that_is_called_a_mention(loud: Loud) -> None:
    async def show() -> None:
        here, there, room = loud[1], loud[2], make_room(loud[1])
        async with guests(
            join(here, room, sub="ann"),
            join(here, room, sub="here"),
            join(there, room, sub="you are there"),
            join(there, room, "host", "silent host"),
            join(there, room, "moderator"),
            join(there, room, sub="gone"),
        ) as (ann, _, there_too, _, mo, gone):
            await gone.say("bye")
            await gone.leave()
            known = ["here", "you are there", "silent host", "gone"]
            for text, names, seen in (
                ("one", ["here"], ["here"]),
                ("two", [*known, "buy at shop.example"], known),
                ("three", ["nobody", "no one"], None),
            ):
                said = await mo.say(text, mentions=names)  # the room is shown all that the staff say
                assert (await ann.hear("chat.message", id=said["id"])).get("mentions") == seen
            assert texts(there_too) == ["two"]
            assert texts_of(await found_by(here, room, "nobody")) == ["three"]

    asyncio.run(show())


def test_what_cannot_be_a_viewer_is_no_mention(loud: Loud) -> None:
    async def show() -> None:
        room = make_room(loud[1])
        async with guests(join(loud[1], room)) as (ann,):
            for name in ("\u202eabc", "a\nb", "\u200b", "好" * 22, "a\u3000b"):
                refused = await ann.say("nice", mentions=["bob", name])
                assert (refused["code"], refused["params"]["field"]) == ("BAD_MESSAGE", "mentions")
            assert (await ann.say("nice", mentions=["好" * 21, "a b"]))["t"] == "ok"

    asyncio.run(show())


def test_a_mention_of_an_acknowledged_comment_outlives_the_node(house: House) -> None:
    async def show() -> None:
        other, node = house.node(), house.node()
        room = make_room(node)
        async with guests(join(node, room, sub="ann")) as (ann,):
            said = await ann.say("before the end", mentions=["bob"])
            node.kill()
            assert [one["id"] for one in await found_by(other, room, "bob")] == [said["id"]]

    asyncio.run(show())


def test_a_mention_lost_by_pubsub_is_told_all_the_same_and_once(plant: Plant) -> None:
    """Of two mentions nodes hear none, and those behind them not until they are read."""
    line = "        if event.letters:\n"
    deaf = "        if event.letters and event.mail in (1, 2):\n            return None\n"
    house = plant(("liveroom/store/feed.py", line, deaf + line))

    async def show() -> None:
        node, other = house.node(chat_rate=1000, chat_burst=1000), house.node()
        room = make_room(node)
        async with guests(join(node, room, sub="ann"), join(other, room, sub="bob")) as (ann, bob):
            await ann.say("0", mentions=["bob"])
            await bob.hear("chat.mentioned", text="0")  # nothing follows: found by the check
            for n in range(1, 6):
                await ann.say(f"{n}", mentions=["bob"])
            await bob.hear("chat.mentioned", text="5")
            assert texts(bob) == [f"{n}" for n in range(6)]

    asyncio.run(show())


def test_where_redis_fails_the_comment_is_answered_and_the_mention_written_later(plant: Plant) -> None:
    once = '''        self.failed = getattr(self, "failed", 0) + 1
        if self.failed < 3:
            raise OSError("planted")
        at = self.rooms.keys(room)
        unknown ='''
    house = plant(("liveroom/store/inboxes.py", "        at = self.rooms.keys(room)\n        unknown =", once))

    async def show() -> None:
        node = house.node()
        room = make_room(node)
        async with guests(join(node, room, sub="ann"), join(node, room, sub="bob")) as (ann, bob):
            assert (await ann.say("hello", mentions=["bob"]))["t"] == "ok"
            assert (await bob.hear("chat.mentioned"))["text"] == "hello"

    asyncio.run(show())


def test_mentions_survive_a_server_that_forgot_everything_from_then_on(house: House) -> None:
    async def show() -> None:
        node = house.node(chat_rate=1000, chat_burst=1000)
        room = make_room(node)
        async with guests(join(node, room, sub="ann"), join(node, room, sub="bob")) as (ann, bob):
            for n in range(3):
                await ann.say(f"before {n}", mentions=["bob"])
            await bob.hear("chat.mentioned", text="before 2")
            async with redis.asyncio.Redis(unix_socket_path=house.redis_socket) as server:
                await server.flushall()
            await bob.hear("room.reset")
            await retried(lambda: ann.say("after", mentions=["bob"]))
            await bob.hear("chat.mentioned", text="after")
            assert [one["text"] for one in await found_by(node, room, "bob")] == ["after"]

    asyncio.run(show())


# --- bounds, by the script alone ---


class Box:
    """The keys of a made-up room on the server of the house."""

    def __init__(self, server: redis.asyncio.Redis, room: str) -> None:
        self.server = server
        self.at = f"{{00}}:r:{room}:"

    async def post(self, *letters: tuple[str, str, int], most: int = 50, room: int = 100, strangers: int = 100) -> int:
        names = [self.at + name for name in ("meta", "inboxes", "mail", "strangers", "inbox:")]
        run = (await self.server.info("server"))["run_id"]
        await self.server.hset(names[0], mapping={"run": run, "epoch": "e"})
        rows = [word for viewer, id_, strange in letters for word in (viewer, id_, '{"t":"x"}', strange)]
        args = [self.at + "told", 60, most, room, strangers, *rows]
        (newest,) = await scripts.call(self.server, "post", names, args)
        return int(newest)

    async def inboxes(self) -> dict[str, list[str]]:
        named: Any = await self.server.smembers(self.at + "inboxes")
        viewers = [one.decode() for one in named]
        found: list[Any] = [await self.server.hkeys(f"{self.at}inbox:{viewer}") for viewer in viewers]
        return {viewer: sorted(id_.decode() for id_ in ids) for viewer, ids in zip(viewers, found, strict=True)}


def boxed(loud: Loud, what: Any) -> None:
    async def show() -> None:
        async with redis.asyncio.Redis(unix_socket_path=loud[0].redis_socket) as server:
            await what(Box(server, token()[-9:]))

    asyncio.run(show())


def test_a_letter_is_posted_and_numbered_once(loud: Loud) -> None:
    async def show(box: Box) -> None:
        assert await box.post(("a", "m_1", 0), ("b", "m_1", 0)) == 2
        assert await box.post(("a", "m_1", 0), ("b", "m_1", 0)) == 2
        assert await box.post(("a", "m_2", 0)) == 3
        assert await box.inboxes() == {"a": ["m_1", "m_2"], "b": ["m_1"]}

    boxed(loud, show)


def test_made_up_viewers_push_out_each_other_and_nobody_else(loud: Loud) -> None:
    async def show(box: Box) -> None:
        await box.post(("ann", "m_0", 0))
        for n in range(1, 8):
            await box.post((f"nobody {n}", f"m_{n}", 1), strangers=3)
        assert await box.inboxes() == {"ann": ["m_0"], **{f"nobody {n}": [f"m_{n}"] for n in (5, 6, 7)}}

    boxed(loud, show)


def test_deleted_comments_are_looked_for_page_by_page_and_posted_no_more(loud: Loud) -> None:
    async def show(box: Box) -> None:
        said = [("ann", f"m_{n}", 0) for n in range(5)] + [("ann bob", "m_9", 0)]
        await box.post(*said)
        names = [box.at + name for name in ("mail", "inboxes", "inbox:")]
        behind, pages = 0, 0
        while behind := await scripts.call(box.server, "unpost", names, [behind, 2, "", "m_0", "m_3", "m_9"]):
            pages += 1
        assert pages == 3
        await box.post(*said)
        assert await box.inboxes() == {"ann": ["m_1", "m_2", "m_4"]}

    boxed(loud, show)


def test_a_room_keeps_no_more_than_its_most(loud: Loud) -> None:
    async def show(box: Box) -> None:
        for n in range(9):
            await box.post((f"v{n % 5}", f"m_{n}", n % 2), room=4)
        assert await box.inboxes() == {"v0": ["m_5"], "v1": ["m_6"], "v2": ["m_7"], "v3": ["m_8"]}
        assert await box.server.zcard(box.at + "mail") == 4

    boxed(loud, show)


def test_prizes_are_not_pushed_out_by_mentions(loud: Loud) -> None:
    async def show(box: Box) -> None:
        await box.server.hset(box.at + "inbox:ann", "r_1.won", "e 1 {}")
        for n in range(5):
            await box.post(("ann", f"m_{n}", 0), most=2)
        assert await box.inboxes() == {"ann": ["m_3", "m_4", "r_1.won"]}

    boxed(loud, show)
