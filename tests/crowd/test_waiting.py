"""Questions that wait: gathered on all nodes, told to the staff alone, cleared everywhere when one is answered."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import redis.asyncio

from gameplay.questions import NEWEST
from liveroom.protocol import encode
from liveroom.store import scripts
from liveroom.store.questions import Questions
from tests.house import Guest, House, Node, guests, join, make_room, token

Loud = tuple[House, Node, Node]
Message = dict[str, Any]


async def listed(node: Node, room: str, role: str = "moderator") -> list[Message]:
    status, body = await asyncio.to_thread(node.http, "GET", f"/v1/rooms/{room}/questions", None, token(room, role))
    assert status == 200, body
    assert all(one["waiting_ms"] == max(0, body["now"] - one["asked"]) for one in body["questions"])
    return list(body["questions"])


async def until(node: Node, room: str, true: Callable[[list[Message]], bool]) -> list[Message]:
    """What is listed, once that is true of it."""
    for _ in range(200):
        if true(found := await listed(node, room)):
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(found)


async def told(host: Guest, true: Callable[[list[Message]], bool]) -> Message:
    """The first telling of which that is true, after those heard already."""
    return await host.wait(lambda m: m["t"] == "questions.live" and true(m["questions"]))


def sums(found: list[Message]) -> dict[str, tuple[int, int]]:
    return {one["text"]: (one["times"], one["viewers"]) for one in found}


def test_questions_of_both_nodes_wait_together_for_the_staff_of_both(loud: Loud) -> None:
    async def show() -> None:
        room = make_room(loud[1])
        coming = join(loud[1], room, sub="ann"), join(loud[2], room, sub="bob"), join(loud[1], room, "host", "h")
        async with guests(*coming, join(loud[2], room, "moderator", "m")) as (ann, bob, host, moderator):
            first = await ann.say("多少钱")
            await bob.say("主播 这个多少钱啊")
            await bob.say("真好看")
            await bob.say("how much is it")
            await ann.say("多少钱呀")
            want = {"多少钱": (3, 2), "how much is it": (1, 1)}
            for node in loud[1:]:
                found = await until(node, room, lambda found: sums(found) == want)
                assert (found[0]["id"], found[0]["from"], len(found[0]["ids"])) == (first["id"], "ann", 3)
            for staff in (host, moderator):
                heard = await told(staff, lambda found: sums(found) == want)
                assert [one["id"] for one in heard["questions"]] == [one["id"] for one in found]
            async with guests(join(loud[2], room, "host", "h2")) as (late,):
                await told(late, lambda found: sums(found) == want)
            assert not [one for guest in (ann, bob) for one in guest.heard if one["t"] == "questions.live"]

    asyncio.run(show())


def test_viewers_may_not_ask_what_waits(loud: Loud) -> None:
    room = make_room(loud[1])
    path = f"/v1/rooms/{room}/questions"
    for role, status in (("viewer", 403), ("moderator", 200), ("host", 200), ("service", 200)):
        assert loud[2].http("GET", path, None, token(room, role))[0] == status
    assert loud[1].http("GET", path, None, token("another", "host"))[0] == 403
    assert loud[1].http("GET", path)[0] == 401
    status, body = loud[1].http("GET", "/v1/rooms/nowhere/questions", None, token("nowhere", "host"))
    assert (status, body["code"]) == (404, "NO_SUCH_ROOM")


def test_a_question_that_nobody_was_shown_waits_too_and_whoever_asked_is_told_the_answer(loud: Loud) -> None:
    async def show() -> None:
        room = make_room(loud[1])
        async with guests(join(loud[1], room, sub="ann"), join(loud[2], room, "host", "h")) as (ann, host):
            said = {n: (await ann.say(f"{n}号多少钱"))["id"] for n in range(12)}
            found = await until(loud[2], room, lambda found: len(found) == 12)
            assert {one["id"] for one in found} == set(said.values())
            shown = {one["id"] for one in host.heard if one["t"] == "chat.message"}
            unseen = next(id_ for id_ in said.values() if id_ not in shown)
            await host.say("nine", reply_to=unseen)
            assert (await ann.hear("chat.mentioned"))["of"] == unseen
            await until(loud[1], room, lambda found: unseen not in [one["id"] for one in found])

    asyncio.run(show())


def test_an_answer_clears_all_that_ask_the_same_on_both_nodes(loud: Loud) -> None:
    async def show() -> None:
        room = make_room(loud[1])
        coming = join(loud[1], room, sub="ann"), join(loud[2], room, sub="bob"), join(loud[1], room, "host", "h")
        async with guests(*coming, join(loud[2], room, "moderator", "m")) as (ann, bob, host, moderator):
            await ann.say("有没有适合油皮的粉底液")
            other = await bob.say("有没有适合油皮用的粉底液")
            await ann.say("包邮吗")
            await told(host, lambda found: sums(found) == {"有没有适合油皮的粉底液": (2, 2), "包邮吗": (1, 1)})
            await told(moderator, lambda found: len(found) == 2)
            await ann.say("不知道", reply_to=other["id"])  # no viewer clears anything
            await host.say("在左下角", reply_to=other["id"])
            for node in loud[1:]:
                assert sums(await listed(node, room)) == {"包邮吗": (1, 1)}
            for staff in (host, moderator):
                await told(staff, lambda found: sums(found) == {"包邮吗": (1, 1)})
            await moderator.say("包邮", reply_to=(await listed(loud[1], room))[0]["id"])
            for staff in (host, moderator):
                await told(staff, lambda found: not found)

    asyncio.run(show())


def test_what_the_staff_asks_and_what_enters_a_round_is_no_question(loud: Loud) -> None:
    async def show() -> None:
        room = make_room(loud[1])
        async with guests(join(loud[1], room, sub="ann"), join(loud[1], room, "host", "h")) as (ann, host):
            await host.say("who wants one?")
            await host.ask("lottery.open", prize="cup", winners=1, keyword="要不要", seconds=60)
            await ann.hear("lottery.opened")
            assert "receipt" in await ann.say("要不要")
            await ann.say("几点下播")
            assert sums(await until(loud[2], room, bool)) == {"几点下播": (1, 1)}

    asyncio.run(show())


def test_said_again_it_was_asked_once(loud: Loud) -> None:
    async def show() -> None:
        room = make_room(loud[1])
        async with guests(join(loud[1], room, sub="ann"), join(loud[2], room, sub="ann")) as (ann, elsewhere):
            for one in (ann, elsewhere, ann):
                await one.say("包邮吗", idem="k")
            await ann.say("几点下播")
            found = await until(loud[2], room, lambda found: len(found) == 2)
            assert sums(found) == {"包邮吗": (1, 1), "几点下播": (1, 1)}

    asyncio.run(show())


# --- bounds, by the scripts alone ---


class Sheet:
    """The questions of a made-up room on the server of the house."""

    def __init__(self, server: redis.asyncio.Redis, room: str) -> None:
        self.server = server
        self.names = [f"{{00}}:r:{room}:questions", f"{{00}}:r:{room}:asked"]
        self.number = 0

    async def ask(self, *asks: tuple[str, str, str, int], most: int = 300, again: bool = False, now: int = 9000) -> int:
        """Each: fingerprint, id, viewer, and when."""
        self.number += not again
        args: list[Any] = ["n1", self.number, now, 5000, most, NEWEST]
        for name, id_, viewer, at in asks:
            args += [name, encode([[id_, viewer, viewer, f"text of {id_}", at]])]
        (ver,) = await scripts.call(self.server, "ask", self.names, args)
        return int(ver)

    async def unask(self, **gone: list[str]) -> int:
        lists = {"answered": [], "ids": [], "viewers": [], **gone}
        return int(await scripts.call(self.server, "unask", self.names, [9000, encode(lists)]))

    async def kept(self) -> dict[str, Any]:
        found: Any = await self.server.hgetall(self.names[0])
        rows = {name.decode(): json.loads(row) for name, row in found.items() if name != b"ver" and name[:2] != b"n:"}
        ranked: list[Any] = await self.server.zrange(self.names[1], 0, -1)
        assert {one.decode() for one in ranked} == rows.keys()
        return rows


def written(loud: Loud, what: Any) -> None:
    async def show() -> None:
        async with redis.asyncio.Redis(unix_socket_path=loud[0].redis_socket) as server:
            await what(Sheet(server, token()[-9:]))

    asyncio.run(show())


def test_a_batch_is_noted_once(loud: Loud) -> None:
    async def show(sheet: Sheet) -> None:
        ver = await sheet.ask(("a", "c1", "ann", 8000))
        assert await sheet.ask(("a", "c1", "ann", 8000), again=True) == ver
        assert (await sheet.kept())["a"]["times"] == 1
        assert await sheet.ask(("a", "c2", "ann", 8000)) > ver
        assert [(await sheet.kept())["a"][name] for name in ("times", "viewers")] == [2, 1]

    written(loud, show)


def test_the_oldest_that_one_viewer_asked_goes_first_and_then_the_oldest(loud: Loud) -> None:
    async def show(sheet: Sheet) -> None:
        await sheet.ask(("a", "c1", "ann", 8000), ("a", "c2", "bob", 8001), ("b", "c3", "ann", 8002))
        await sheet.ask(("c", "c4", "ann", 8003), most=3)
        await sheet.ask(("d", "c5", "ann", 8004), most=3)
        assert (await sheet.kept()).keys() == {"a", "c", "d"}
        await sheet.ask(("c", "c6", "bob", 8005), ("d", "c7", "bob", 8006), ("e", "c8", "ann", 8007), most=3)
        assert (await sheet.kept()).keys() == {"c", "d", "e"}

    written(loud, show)


def test_nothing_waits_longer_than_it_may(loud: Loud) -> None:
    async def show(sheet: Sheet) -> None:
        await sheet.ask(("a", "c1", "ann", 1000), ("b", "c2", "ann", 1000), ("b", "c3", "bob", 1000))
        await sheet.ask(("c", "c4", "ann", 8000))
        assert (await sheet.kept()).keys() == {"c"}
        assert 0 < await sheet.server.pttl(sheet.names[0]) <= 5000

    written(loud, show)


def test_only_the_newest_who_asked_are_named(loud: Loud) -> None:
    async def show(sheet: Sheet) -> None:
        for n in range(NEWEST + 5):
            await sheet.ask(("a", f"c{n:02}", f"v{n}", 8000))
        kept = (await sheet.kept())["a"]
        assert (kept["times"], kept["first"][0]) == (NEWEST + 5, "c00")
        assert [one[0] for one in kept["askers"]] == [f"c{n:02}" for n in range(5, NEWEST + 5)]

    written(loud, show)


def test_who_asked_first_is_the_first_whichever_node_is_heard_first(loud: Loud) -> None:
    async def show(sheet: Sheet) -> None:
        await sheet.ask(("a", "c2", "bob", 8002))
        await sheet.ask(("a", "c1", "ann", 8001), ("a", "c3", "eve", 8003))
        kept = (await sheet.kept())["a"]
        assert (kept["first"][0], [one[0] for one in kept["askers"]]) == ("c1", ["c1", "c2", "c3"])
        assert kept["last"] == 8003

    written(loud, show)


def test_a_deleted_comment_asks_nothing_and_the_next_speaks_for_its_question(loud: Loud) -> None:
    async def show(sheet: Sheet) -> None:
        await sheet.ask(("a", "c1", "ann", 8000), ("a", "c2", "bob", 8001), ("a", "c3", "ann", 8002))
        await sheet.ask(("b", "c4", "eve", 8003))
        assert await sheet.unask(ids=["c1", "c9"]) == 1
        kept = (await sheet.kept())["a"]
        assert kept["first"] == ["c2", "bob", "bob", "text of c2", 8001]
        assert (kept["times"], kept["viewers"]) == (2, 2)
        assert await sheet.unask(viewers=["bob", "eve"]) == 2
        (kept,) = (await sheet.kept()).values()
        assert (kept["first"][0], kept["times"], kept["viewers"]) == ("c3", 1, 1)
        assert await sheet.unask(answered=["a", "z"]) == 1
        assert await sheet.kept() == {}

    written(loud, show)


def test_a_deleted_comment_leaves_the_list_of_every_node(loud: Loud) -> None:
    async def show() -> None:
        room = make_room(loud[1])
        async with guests(join(loud[1], room, sub="ann"), join(loud[2], room, sub="bob")) as (ann, bob):
            one = await ann.say("包邮吗")
            await bob.say("包邮吗")
            await bob.say("几点下播")
            await until(loud[1], room, lambda found: sums(found) == {"包邮吗": (2, 2), "几点下播": (1, 1)})
            async with redis.asyncio.Redis(unix_socket_path=loud[0].redis_socket) as server:
                there = Questions(server, 16, "n9", 1, lambda: 0)
                await there.forget(room, [one["id"]])
                assert sums(await listed(loud[2], room)) == {"包邮吗": (1, 1), "几点下播": (1, 1)}
                await there.forget(room, viewers=["bob"])
                assert await listed(loud[2], room) == []

    asyncio.run(show())


def test_no_more_than_three_hundred_wait(loud: Loud) -> None:
    async def show() -> None:
        room = make_room(loud[1])
        async with guests(join(loud[1], room, sub="ann")) as (ann,):
            await asyncio.gather(*(ann.say(f"{n}号多少钱") for n in range(400)))
            await ann.say("最后一个是几号")
            found = await until(loud[2], room, lambda found: "最后一个是几号" in sums(found))
            assert len(found) == 300

    asyncio.run(show())
