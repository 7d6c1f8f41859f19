"""A show on three nodes with people who come and go as planned, and what the host is told of it."""

import asyncio
import contextlib
import time
from typing import Any, NamedTuple

import numpy as np
import pytest

from liveroom.retention import Curve, stay_curve
from liveroom.sessions import Connections, Recording, Sessions, sessions_of
from tests.audience.watching import GRACE_SECONDS, LEASE_SECONDS, NEAR, ask, left, open_node, report_when, seconds
from tests.house import Guest, House, Node, guests, join, make_room, token

pytestmark = pytest.mark.timeout(150)


class Visit(NamedTuple):
    viewer: str
    came: float
    went: float | None = None


class Diary:
    """Who was where, from when to when, as the test did it."""

    def __init__(self, room: str) -> None:
        self.room = room
        self.visits: list[Visit] = []
        self.inside: dict[str, tuple[Guest, int]] = {}

    async def comes(self, who: str, node: Node, **how: Any) -> Guest:
        """``who``: the viewer, and behind a slash his device."""
        viewer, _, device = who.partition("/")
        claims = {"device": device} if device else None
        guest = await join(node, self.room, sub=viewer, claims=claims, **how)
        self.inside[who] = guest, len(self.visits)
        self.visits.append(Visit(viewer, seconds()))
        return guest

    async def goes(self, who: str) -> None:
        guest, n = self.inside.pop(who)
        self.ends(n)
        await guest.leave()

    def ends(self, n: int) -> None:
        self.visits[n] = self.visits[n]._replace(went=seconds())

    def is_lost(self, who: str) -> None:
        guest, n = self.inside.pop(who)
        self.ends(n)
        guest.drop()

    def sessions(self, start: float, end: float) -> Sessions:
        names = sorted({one.viewer for one in self.visits})
        viewer = np.array([names.index(one.viewer) for one in self.visits])
        came = np.array([max(one.came, start) for one in self.visits])
        went = np.array([np.inf if one.went is None else one.went for one in self.visits])
        stayed = np.zeros(len(viewer), bool)
        return sessions_of(Connections(viewer, came, went, stayed), Recording(start, end, GRACE_SECONDS))


@contextlib.asynccontextmanager
async def opened(house: House, count: int, **settings: object) -> Any:
    nodes = [await asyncio.to_thread(open_node, house, **settings) for _ in range(count)]
    yield nodes, make_room(nodes[0])


def curve(found: Sessions) -> Curve:
    return stay_curve(found.entry, found.span, found.event)


def recorded(house: House, room: str, want: int) -> list[tuple[Any, ...]]:
    """The finished sessions in the ledger: viewer, start, ends, event, why, watch."""
    asked = "select viewer, start, ends, event, why, watch from sessions where room = ? order by start, viewer"
    deadline = time.monotonic() + 20
    while len(rows := house.recorded(asked, room)) < want and time.monotonic() < deadline:
        time.sleep(0.1)
    return rows


async def evening(house: House, a: Node, b: Node, c: Node, room: str) -> tuple[Diary, Any]:
    """The whole show; gives the diary and the last report."""
    diary = Diary(room)
    ann = await diary.comes("ann", a, source="share")
    async with guests(join(a, room, "host", "h1"), join(b, room, "host", "h2")) as (host, other):
        await report_when(a, room, lambda said: said["sessions"] == 1)
        assert (await host.ask("stream.stop"))["t"] == "ok"  # the one that began with ann
        assert (await host.ask("stream.stop"))["code"] == "NO_STREAM"
        begun, twin = [await one.ask("stream.start", title="Evening", idem="begin") for one in (host, host)]
        assert begun["t"] == "ok"
        assert twin["id"] == begun["id"]
        start = (await ann.hear("stream.started", title="Evening"))["ts"] / 1000
        assert abs(start - seconds()) < 5
        again = await other.ask("stream.start", title="Mine")
        assert (again["code"], again["params"]["id"]) == ("STREAM_RUNNING", begun["id"])
        assert (await ann.ask("stream.start"))["code"] == (await ann.ask("retention.watch"))["code"] == "NOT_ALLOWED"

        assert (await host.ask("retention.watch", on=True))["on"] is True
        for who, node in (("bob", a), ("cem/d1", a), ("cem/d2", b), ("eve", b), ("dee", a), ("fay", b), ("hal", c)):
            await diary.comes(who, node)
            if who == "eve":
                await diary.goes(who)
        assert (await diary.inside["fay"][0].ask("presence.set", visible=False))["t"] == "ok"
        await asyncio.sleep(1.5)
        await diary.goes("dee")
        await diary.goes("bob")
        await asyncio.sleep(0.4)
        await diary.comes("bob", b)
        await asyncio.sleep(1.6)
        await diary.comes("dee", b)
        await diary.goes("fay")
        await diary.goes("cem/d1")
        await asyncio.sleep(3)
        diary.is_lost("hal")
        await asyncio.to_thread(c.kill)
        said = await report_when(a, room, lambda said: left(said) == 4)
        assert said["stream"] == {"id": begun["id"], "title": "Evening", "live": True, "implicit": False}
        assert said["online"]["now"] == 4  # ann, bob, cem, dee
        assert said["stay"]["n"] == 8

        await host.hear("retention.live")
        await asyncio.sleep(2)  # so that dee, who is back, stays clearly longer than hal did
        assert (await host.ask("retention.watch", on=False))["on"] is False
        await asyncio.sleep(0.5)
        told = sum(one["t"] == "retention.live" for one in host.heard)
        assert (await host.ask("stream.stop"))["id"] == begun["id"]
        end = seconds()
        assert (await host.ask("stream.stop"))["code"] == "NO_STREAM"
        await asyncio.sleep(4.5)
        assert sum(one["t"] == "retention.live" for one in host.heard) == told
        for one in (other, *(guest for guest, _ in diary.inside.values())):
            assert not [said for said in one.heard if said["t"] == "retention.live"]
        said = await report_when(a, room, lambda said: said["stream"]["id"] == begun["id"])
        for guest, _ in diary.inside.values():
            await guest.leave()
        return diary, (said, start, end)


def test_a_show(house: House):
    async def show() -> None:
        async with opened(house, 3) as ((a, b, c), room):
            assert (await ask(a, room))[0] == 404
            diary, (said, start, end) = await evening(house, a, b, c, room)
            known = diary.sessions(start, end)
            exact = curve(known)
            points = said["stay"]["curve"]

            # eve, dee, fay, hal left; who was there when it ended did not
            assert [point["n"] for point in points] == exact.n.tolist() == [8, 7, 6, 5]
            assert [point["s"] for point in points] == pytest.approx(exact.s.tolist())
            for point, t in zip(points[:3], exact.t.tolist()[:3], strict=True):
                assert point["t"] == pytest.approx(t, abs=NEAR)
            # A killed node was heard of for the last time a third of its lease before, at most.
            assert exact.t[3] - LEASE_SECONDS / 3 - 2 * NEAR <= points[3]["t"] <= exact.t[3] + NEAR
            assert (said["uv"], said["sessions"]) == (7, 8)
            assert said["stay"]["median"] == points[3]["t"]  # half of them are left
            assert said["stay"]["bounce"] == 2 / 8
            assert said["reasons"] == {"close": 2, "background": 1, "node_lost": 1}
            assert said["stream"]["live"] is False
            assert (said["stream"]["title"], said["stream"]["implicit"]) == ("Evening", False)
            assert (said["sources"], said["sources_hidden"], said["sources_differ"]) == ({}, 2, None)
            assert said["online"]["curve"][0]["viewers"] in (0, 1)
            assert said["watch"]["total"] == pytest.approx(float(known.watch.sum()), abs=8 * NEAR + LEASE_SECONDS / 3)

            assert [(await ask(a, room, role))[0] for role in ("viewer", "host")] == [403, 200]
            elsewhere = await asyncio.to_thread(
                a.http, "GET", f"/v1/rooms/{room}/retention", None, token("another", "host")
            )
            assert elsewhere[0] == 403

            rows = await asyncio.to_thread(recorded, house, room, 9)
            of_show = [row for row in rows if row[1] >= (start - 0.01) * 1000]
            assert sorted((row[0], row[3], row[4]) for row in of_show) == [
                *[(name, 0, "stream_end") for name in ("ann", "bob", "cem")],
                ("dee", 0, "stream_end"),
                ("dee", 1, "close"),
                *[("eve", 1, "close"), ("fay", 1, "background"), ("hal", 1, "node_lost")],
            ]
            assert sum(row[5] for row in of_show) == said["watch"]["total"] * 1000
            assert not {row[0] for row in rows} & {"h1", "h2"}

    asyncio.run(show())


def test_everybody_who_is_there_when_a_stream_ends_stayed(house: House):
    async def show() -> None:
        async with opened(house, 1) as ((a,), room):
            people = [join(a, room, sub=f"v{n}") for n in range(12)]
            async with guests(join(a, room, "host"), *people) as (host, *_):
                await report_when(a, room, lambda said: said["sessions"] == 12)
                await host.ask("stream.start")
                await asyncio.sleep(2)
                await host.ask("stream.stop")
            # They all go at once when it is over.
            await asyncio.sleep(GRACE_SECONDS + 2)
            said = await report_when(a, room, lambda said: not said["stream"]["live"])
            assert (said["stay"]["curve"], said["stay"]["n"], said["reasons"]) == ([], 12, {})
            rows = await asyncio.to_thread(recorded, house, room, 24)
            assert [(row[3], row[4]) for row in rows] == [(0, "stream_end")] * 24

    asyncio.run(show())


def test_a_room_that_closes_is_nobodys_departure(house: House):
    async def show() -> None:
        async with opened(house, 1) as ((a,), room):
            people = [await join(a, room, sub=f"v{n}") for n in range(3)]
            await asyncio.sleep(1)
            status, _ = await asyncio.to_thread(a.http, "POST", f"/v1/rooms/{room}/close", None, token(room, "service"))
            assert status == 200
            for one in people:
                await one.closing()
            await asyncio.sleep(GRACE_SECONDS + 2)
            rows = await asyncio.to_thread(recorded, house, room, 3)
            assert [(row[3], row[4]) for row in rows] == [(0, "stream_end")] * 3

    asyncio.run(show())


def test_a_host_who_leaves_is_told_nothing_when_he_comes_back(house: House):
    async def show() -> None:
        async with (
            opened(house, 1) as ((a,), room),
            guests(join(a, room, "host", "h1"), join(a, room, sub="ann")) as (host, _),
        ):
            await host.ask("retention.watch", on=True)
            live = await host.hear("retention.live")
            assert (live["uv"], live["online"]["now"]) == (1, 1)
            await host.leave()
            await asyncio.sleep(2.5)
            async with guests(join(a, room, "host", "h1")) as (back,):
                await asyncio.sleep(4.5)
                assert not [one for one in back.heard if one["t"] == "retention.live"]

    asyncio.run(show())


def test_who_stays_after_a_stream_attends_the_one_that_then_begins_by_itself(house: House):
    async def show() -> None:
        async with (
            opened(house, 1) as ((a,), room),
            guests(join(a, room, "host"), join(a, room, sub="ann"), join(a, room, sub="bob")) as (host, _, bob),
        ):
            await host.ask("stream.start")
            await report_when(a, room, lambda said: said["sessions"] == 2)
            await host.ask("stream.stop")
            await bob.leave()
            said = await report_when(a, room, lambda said: not said["stream"]["live"])
            assert said["stay"]["n"] == 2
            async with guests(join(a, room, sub="cem")):
                said = await report_when(a, room, lambda said: said["stream"]["live"] and said["sessions"] == 2)
                assert said["stream"]["implicit"]
                assert said["online"]["now"] == 2
                path = f"/v1/rooms/{room}/retention"
                over = await asyncio.to_thread(a.http, "GET", f"{path}?stream=last", None, token(room, "host"))
                assert (over[1]["stream"]["live"], over[1]["stay"]["n"]) == (False, 2)
                assert (await asyncio.to_thread(a.http, "GET", f"{path}?stream=2", None, token(room, "host")))[0] == 400

    asyncio.run(show())
