"""Who is told how the audience is, since when and until when: hosts who asked, as long as they are here."""

import asyncio
import json
from typing import Any

import pytest

from gameplay.play import Role
from liveroom.audience import POINTS, fewer, thinned
from tests.audience.balcony import Balcony, Sit, heard, until
from tests.house import Node, guests, join, make_room, token


def pushing(what: Any) -> Any:
    """The balcony, while it tells those who asked."""

    async def show(balcony: Balcony) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("liveroom.audience.LIVE_SECONDS", 0.05)
            running = asyncio.create_task(balcony.audience.run())
            try:
                await what(balcony)
                assert not running.done()
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    return show


async def two_more(host: Any) -> None:
    so_far = len(heard(host))
    await until(lambda: len(heard(host)) >= so_far + 2)


def test_only_who_asked_is_told_and_only_until_he_says_no(sit: Sit):
    async def show(balcony: Balcony) -> None:
        first, second, third = (balcony.host(name) for name in ("h1", "h2", "h3"))
        assert balcony.asks("h1", on=True) == {"t": "ok", "cid": 1, "on": True}
        await two_more(first)
        assert heard(second) == heard(third) == []
        balcony.asks("h2", on=True)
        balcony.asks("h2", on=True)  # twice is once
        await two_more(second)
        assert balcony.asks("h1", on=False) == {"t": "ok", "cid": 1, "on": False}
        told = len(heard(first))
        await two_more(second)
        assert len(heard(first)) == told
        balcony.asks("h1", on=True)
        await two_more(first)
        assert heard(third) == []

    sit(pushing(show))


def test_who_says_no_while_the_numbers_are_made_is_not_told_them(sit: Sit):
    async def show(balcony: Balcony) -> None:
        hosts = [balcony.watching(name) for name in ("h1", "h2")]
        push = asyncio.create_task(balcony.push())
        await asyncio.sleep(0)  # it waits for Redis
        balcony.asks("h1", on=False)
        await push
        assert [len(heard(host)) for host in hosts] == [0, 1]

    sit(show)


def test_who_leaves_while_the_numbers_are_made_is_nobodys_trouble(sit: Sit):
    async def show(balcony: Balcony) -> None:
        hosts = [balcony.watching(name) for name in ("h1", "h2")]
        push = asyncio.create_task(balcony.push())
        await asyncio.sleep(0)
        balcony.scene.hub.leave(balcony.room, hosts[0])
        await push
        assert [len(heard(host)) for host in hosts] == [0, 1]

    sit(show)


def test_who_leaves_and_comes_back_asks_again(sit: Sit):
    async def show(balcony: Balcony) -> None:
        first, second = (balcony.watching(name) for name in ("h1", "h2"))
        await two_more(first)
        balcony.scene.hub.leave(balcony.room, first)
        await two_more(second)
        back = balcony.host("h1")
        await two_more(second)
        assert heard(back) == []
        balcony.asks("h1", on=True)
        await two_more(back)

    sit(pushing(show))


def test_all_his_devices_are_told_and_one_may_go(sit: Sit):
    async def show(balcony: Balcony) -> None:
        phone, desk = balcony.watching("h1"), balcony.host("h1")
        await two_more(phone)
        await two_more(desk)
        balcony.scene.hub.leave(balcony.room, phone)
        told = len(heard(phone))
        await two_more(desk)
        assert len(heard(phone)) == told

    sit(pushing(show))


def test_who_is_no_host_any_more_is_not_told_and_his_tab_as_a_viewer_never(sit: Sit):
    async def show(balcony: Balcony) -> None:
        first, second = (balcony.watching(name) for name in ("h1", "h2"))
        tab = balcony.scene.guest("h1")
        await two_more(first)
        first.role = Role.MODERATOR
        told = len(heard(first))
        await two_more(second)
        assert (len(heard(first)), heard(tab)) == (told, [])
        await until(lambda: balcony.audience.watching == {balcony.room.info.id: {"h2"}})

    sit(pushing(show))


def test_where_nobody_who_asked_is_left_nothing_is_kept(sit: Sit):
    async def show(balcony: Balcony) -> None:
        host = balcony.watching("h1")
        await two_more(host)
        balcony.scene.hub.leave(balcony.room, host)
        await until(lambda: not balcony.audience.watching and not balcony.audience.hinted)
        balcony.watching("h1")
        balcony.asks("h1", on=False)
        await until(lambda: not balcony.audience.watching)

    sit(pushing(show))


def test_where_nobody_has_been_there_is_nothing_to_tell(sit: Sit):
    async def show(balcony: Balcony) -> None:
        await balcony.stage.redis.flushall()
        host = balcony.watching("h1")
        await balcony.push()
        assert host.heard() == []

    sit(show)


def test_of_a_room_that_is_watched_for_long_one_report_is_kept(sit: Sit):
    async def show(balcony: Balcony) -> None:
        host = balcony.watching("h1")
        for _ in range(20):
            await balcony.stage.wait(1_000)
            await balcony.push()
        assert len(heard(host)) == 20
        assert len(balcony.audience.reports.kept) == 1

    sit(show)


# over the wire


@pytest.mark.parametrize("role", ["viewer", "moderator"])
def test_who_is_no_host_is_refused(node: Node, role: str):
    async def show() -> None:
        room = make_room(node)
        async with guests(join(node, room, role, "ann"), join(node, room, "host", "h1")) as (ann, host):
            for on in (True, False):
                no = await ann.ask("retention.watch", on=on)
                assert (no["code"], no["params"]) == ("NOT_ALLOWED", {"needs": "host"})
            assert (await host.ask("stream.start"))["t"] == (await host.ask("retention.watch"))["t"] == "ok"
            await host.hear("rhythm.hint", level="fine")
            assert not [one for one in ann.heard if one["t"] in ("retention.live", "rhythm.hint")]

    asyncio.run(show())


def test_two_hosts_hear_the_same_numbers_that_http_tells(node: Node):
    async def show() -> None:
        room = make_room(node)
        people = [join(node, room, "host", "h1"), join(node, room, "host", "h2"), join(node, room, sub="ann")]
        async with guests(*people) as (first, second, ann):
            for host in (first, second):
                assert (await host.ask("retention.watch", on=True))["on"] is True
            said = await second.wait(lambda one: one["t"] == "retention.live" and one["uv"])
            await first.wait(lambda one: one == said)
            path, as_host = f"/v1/rooms/{room}/retention", token(room, "host")
            status, full = await asyncio.to_thread(node.http, "GET", path, None, as_host)
            assert (status, full["uv"], full["online"]["now"]) == (200, 1, 1)
            assert said.keys() == full.keys() | {"t"}
            assert not [one for one in ann.heard if one["t"] == "retention.live"]
            no = await asyncio.to_thread(
                node.http, "POST", f"/v1/rooms/{room}/commands", {"t": "retention.watch"}, token(room)
            )
            assert (no[0], no[1]["code"]) == (403, "NOT_ALLOWED")

    asyncio.run(show())


# not more than a screen shows


@pytest.mark.parametrize("n", [0, 1, 2, POINTS - 1, POINTS, POINTS + 1, 2 * POINTS - 1, 2 * POINTS + 1, 99_999])
def test_a_long_curve_has_fewer_points_and_its_ends_and_none_twice(n: int):
    points = list(range(n))
    told = fewer(points)
    assert len(told) <= POINTS
    assert told == sorted(set(told))
    assert told[:1] + told[-1:] == points[:1] + points[-1:]
    if n <= POINTS:
        assert told == points


def test_only_curves_are_thinned_and_those_of_the_sources_are_left_to_http():
    points = [{"t": n} for n in range(1000)]
    moves = [{"t": 10 * n, "viewers": n, "joins": 3, "leaves": 2} for n in range(1000)]
    report: dict[str, Any] = {
        **{"uv": 7, "sources": {"share": {"n": 4, "curve": points}}, "provisional": points},
        **{"stay": {"n": 7, "curve": points}, "online": {"now": 3, "curve": moves}},
        "cohorts": [{"t": 300 * n, "n": 20, "present": [1.0] * (600 - n)} for n in range(599)] + [{"present": None}],
        "interaction": {"light": {"viewers": 5, "share": 0.5, "minutes": [{"t": 60 * n, "n": 1} for n in range(3000)]}},
    }
    told = thinned(report)
    assert told["stay"]["curve"] == told["provisional"] == fewer(points)
    online = told["online"]["curve"]
    assert [one["viewers"] for one in online] == fewer([one["viewers"] for one in moves])
    assert [sum(one[move] for one in online) for move in ("joins", "leaves")] == [3000, 2000]
    assert (told["uv"], told["stay"]["n"], told["online"]["now"]) == (7, 7, 3)
    assert told["sources"] == {"share": {"n": 4, "curve": []}}
    assert (len(told["cohorts"]), told["cohorts"][-1]) == (26, {"present": None})
    assert told["interaction"]["light"]["minutes"][-1] == {"t": 60 * 2999, "n": 1}
    assert len(json.dumps(told)) < 64_000  # however long the stream is
    assert len(report["stay"]["curve"]) == len(report["online"]["curve"]) == 1000
