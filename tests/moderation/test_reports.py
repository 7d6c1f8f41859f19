"""Reports of viewers wait for the staff, in a queue with an end; the staff see who is banned and why."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
import redis.asyncio
from msgspec import Raw

from liveroom.store import reports
from liveroom.store.keys import keys_of
from tests.house import Guest, House, Node, guests, join, make_room, token
from tests.moderation.test_bans import SOON, code, until
from tests.moderation.test_comments import LONG_AGO, said


def get(node: Node, room: str, what: str, role: str = "moderator", sub: str = "") -> tuple[int, Any]:
    return node.http("GET", f"/v1/rooms/{room}/{what}", token=token(room, role, sub))


def counted(staff: Guest) -> list[dict[str, Any]]:
    return [one for one in staff.heard if one["t"] == "chat.reports"]


def test_a_reported_comment_waits_until_the_staff_deal_with_it(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(
            join(here, room, "moderator"),
            join(there, room, sub="eve"),
            join(there, room, sub="ann"),
            join(here, room, sub="bob"),
        ) as (mo, eve, ann, bob):
            bad, worse, fine = [await said(eve, text) for text in ("bad", "worse", "fine")]
            await bob.hear("chat.message", id=fine)
            for guest, line, why in ((ann, bad, "spam"), (bob, bad, "rude"), (ann, worse, "rude"), (bob, fine, "no")):
                assert code(await guest.ask("chat.report", id=line, why=why)) == "ok"
            assert code(await ann.ask("chat.report", id=bad, why="again")) == "ok"
            await mo.hear("chat.reports", SOON, open=3)
            found = (await asyncio.to_thread(get, there, room, "reports"))[1]["reports"]
            assert [(one["comment"]["text"], one["n"]) for one in found] == [("bad", 2), ("worse", 1), ("fine", 1)]
            assert found[0]["by"] == [{"viewer": "ann", "why": "spam"}, {"viewer": "bob", "why": "rude"}]
            await mo.ask("chat.dismiss", id=fine)
            await mo.ask("chat.delete", ids=[bad])
            await mo.hear("chat.reports", SOON, open=1)
            async with guests(join(there, room, "host")) as (host,):
                await host.hear("chat.reports", SOON, open=1)
            await mo.ask("chat.delete", viewer="eve")
            await mo.hear("chat.reports", SOON, open=0)
            assert not [one for guest in (eve, ann, bob) for one in guest.heard if one["t"] == "chat.reports"]

    asyncio.run(show())


def test_how_many_wait_has_a_version_that_rises_also_when_the_server_forgets_them(moderated: House):
    async def show():
        here, there = moderated.nodes
        room = make_room(here)
        live = redis.asyncio.Redis(unix_socket_path=moderated.redis_socket)
        at = keys_of(room, 16)
        async with guests(
            join(here, room, "moderator"), join(there, room, "host"), join(there, room, sub="eve"), join(here, room)
        ) as (mo, host, eve, ann):
            lines = [await said(eve, text) for text in ("bad", "worse", "worst")]
            opens: list[int] = []

            async def both_hear(waiting: int) -> None:
                opens.append(waiting)
                for staff in (mo, host):
                    await until(lambda: [one["open"] for one in counted(staff)] == opens)  # noqa: B023

            for line, forgets in zip(lines, (True, False, False), strict=True):
                await ann.hear("chat.message", id=line)
                assert code(await ann.ask("chat.report", id=line, why="spam")) == "ok"
                await both_hear(1)
                if forgets:
                    await live.delete(at.reports, at.report_queue)
                else:
                    await mo.ask("chat.dismiss", id=line)
                await both_hear(0)
            for staff in (mo, host):
                told = [one["ver"] for one in counted(staff)]
                assert all(before < after for before, after in pairwise(told)), told
        await live.aclose()

    asyncio.run(show())


def test_the_queue_has_an_end_and_the_oldest_gives_way(moderated: House):
    async def show():
        live = redis.asyncio.Redis(unix_socket_path=moderated.redis_socket)
        queue, room, most = reports.Reports(live, 16), make_room(moderated.nodes[0]), reports.MOST
        ids = [f"line{n:06}" for n in range(most + 5)]
        for id_ in ids:
            await queue.add(room, id_, Raw(f'{{"id":"{id_}"}}'.encode()), "ann", "why")
        found = get(moderated.nodes[0], room, "reports")[1]["reports"]
        assert [one["comment"]["id"] for one in found] == ids[-most:]
        await queue.drop(room, ids)
        assert (await queue.read(room), await live.zcard(keys_of(room, 16).report_queue)) == ([], 0)
        await live.aclose()

    asyncio.run(show())


def test_of_one_comment_so_many_reports_are_kept(pair: list[Node]):
    async def show():
        room = make_room(pair[0])
        crowd = reports.MOST_OF_ONE + 3
        async with guests(join(pair[0], room, "host"), *(join(pair[0], room) for _ in range(crowd))) as (host, *those):
            line = await said(host, "controversial")
            for one in those:
                await one.hear("chat.message", id=line)
                assert code(await one.ask("chat.report", id=line, why="x" * 200)) == "ok"
            (found,) = get(pair[0], room, "reports")[1]["reports"]
            assert (found["n"], len(found["by"])) == (reports.MOST_OF_ONE, reports.MOST_OF_ONE)

    asyncio.run(show())


def test_nobody_reports_himself_or_what_nobody_said(pair: list[Node]):
    async def show():
        room = make_room(pair[0])
        async with guests(join(pair[0], room)) as (ann,):
            line = await said(ann, "mine")
            assert code(await ann.ask("chat.report", id=line, why="x")) == "NO_SUCH_COMMENT"
            assert code(await ann.ask("chat.report", id=LONG_AGO, why="x")) == "NO_SUCH_COMMENT"
            assert code(await ann.ask("chat.dismiss", id=line)) == "NOT_ALLOWED"
            for fields in ({"id": line}, {"id": line, "why": ""}, {"id": line, "why": "x" * 201}, {"why": "x"}):
                assert code(await ann.ask("chat.report", **fields)) == "BAD_MESSAGE"

    asyncio.run(show())


def test_the_staff_see_who_is_banned_until_when_by_whom_and_why(pair: list[Node]):
    async def show():
        here, there = pair
        room = make_room(here)
        async with guests(join(here, room, "moderator", "mo"), join(there, room, "host", "h")) as (mo, host):
            await mo.ask("chat.ban", viewer="eve", reason="spam")
            await mo.ask("chat.mute", viewer="ann", seconds=1)
            await asyncio.sleep(1.1)
            until = (await host.ask("chat.ban", viewer="bob", seconds=60))["until"]
            await host.ask("chat.mute", viewer="leo", seconds=60, reason="loud")
            for node in pair:
                status, found = await asyncio.to_thread(get, node, room, "bans")
                assert status == 200
                bob, eve = found["bans"]
                assert (eve["viewer"], eve["until"], eve["by"], eve["reason"]) == ("eve", None, "mo", "spam")
                assert (bob["viewer"], bob["until"], bob["by"], bob["reason"]) == ("bob", until, "h", "")
                assert [(one["viewer"], one["reason"]) for one in found["mutes"]] == [("leo", "loud")]
            await host.ask("chat.ban", viewer="mo")
            assert get(there, room, "bans", "moderator", "mo")[0] == 403

    asyncio.run(show())


@pytest.mark.parametrize("what", ["bans", "reports"])
def test_only_the_staff_of_the_room_see_these(pair: list[Node], what: str):
    room = make_room(pair[0])
    assert get(pair[0], room, what, "viewer")[0] == 403
    assert pair[0].http("GET", f"/v1/rooms/{room}/{what}", token=token("other", "host"))[0] == 403
    assert pair[0].http("GET", f"/v1/rooms/{room}/{what}")[0] == 401
    assert get(pair[0], "nowhere", what, "host")[0] == 404
    assert get(pair[0], room, what, "service")[0] == 200
