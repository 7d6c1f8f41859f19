"""A plan straight into the store is told as it is; with a fault planted on the way the verdict is red."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from liveroom.store import scripts
from liveroom.store.attendance import Attendance
from loadtest.audience.plan import Plan, plan_of
from loadtest.audience.scenario import evening
from loadtest.audience.store import Filling, Make, fill, store, turned_clock
from loadtest.audience.verdict import STORE, verdict

PLAN = plan_of(evening(1500, 40), seed=2)
# With few viewers each that falls silent and returns is more than a share: see Bounds.
BOUNDS = STORE._replace(curve=0.02, ends=0.004, live_curve=0.02, online=0.02, watch=0.01)


async def judged(plan: Plan, make: Make) -> set[str]:
    async with store() as redis:
        filling = Filling(redis, plan, "show", make)
        live = [await filling.live_at(part * plan.scenario.seconds) for part in (0.5, 1.0)]
        await filling.stop()
        checks = verdict(await filling.report(), live, filling.truth(), BOUNDS)
    return {check.name for check in checks if not check.good}


def red(make: Make) -> set[str]:
    return asyncio.run(judged(PLAN, make))


def test_a_plan_is_told_as_it_is() -> None:
    assert red(Attendance) == set()


class Forgetful(Attendance):
    """Drops every twentieth leave."""

    dropped = 0

    def left(self, *about: Any) -> None:
        Forgetful.dropped += 1
        if Forgetful.dropped % 20:
            super().left(*about)


def test_a_leave_that_is_dropped_is_noticed() -> None:
    assert red(Forgetful) >= {"stay curve at the ends of cells", "departures, by how", "viewers at once", "watch time"}


class Late(Attendance):
    """Takes the moment at which it notices for the end."""

    def left(self, room: str, viewer: str, why: str, ago_s: float, rtt_ms: float) -> None:
        super().left(room, viewer, why, 0.0, rtt_ms)


def test_the_noticing_time_as_the_end_is_noticed() -> None:
    assert red(Late) >= {"stay curve at the ends of cells", "watch time"}


class Doubling(Attendance):
    """Counts two devices as two viewers."""

    def came(self, room: str, viewer: str, source: str, at_ms: float | None = None, *, vouched: bool = False) -> None:
        super().came(room, f"{viewer}@{self.node}", source, at_ms, vouched=vouched)

    def left(self, room: str, viewer: str, why: str, ago_s: float, rtt_ms: float) -> None:
        super().left(room, f"{viewer}@{self.node}", why, ago_s, rtt_ms)


def test_somebody_on_two_nodes_counted_twice_is_noticed() -> None:
    assert red(Doubling) >= {"sessions", "departures, by how"}


class Hasty(Attendance):
    """Has no patience: who is away has left."""

    def __init__(self, *about: Any, grace_ms: int, **more: Any) -> None:
        super().__init__(*about, grace_ms=1000, **more)


def test_a_reconnect_counted_as_leaving_is_noticed() -> None:
    assert red(Hasty) >= {"sessions", "departures, by how"}


def test_fill_leaves_a_stream_that_runs() -> None:
    async def filled() -> dict[str, Any]:
        async with store() as redis:
            return await (await fill(redis, plan_of(evening(200, 20), seed=1))).report()

    said = asyncio.run(filled())
    assert said["online"]["now"] > 20
    assert said["sessions"] >= 200 * 0.8


def test_the_clock_is_turned_only_meanwhile() -> None:
    kept = dict(scripts.SOURCES), dict(scripts.DIGESTS)
    with turned_clock():
        assert not any('"TIME"' in scripts.SOURCES[name] for name in ("attend", "sweep", "stream"))
        assert scripts.DIGESTS["attend"] != kept[1]["attend"]
    assert kept == (scripts.SOURCES, scripts.DIGESTS)


def test_what_the_store_refuses_is_an_error() -> None:
    async def refused() -> None:
        async with store() as redis:
            filling = Filling(redis, PLAN, "show")
            await redis.config_set("maxmemory", 1)
            await filling.up_to(10)

    with pytest.raises(Exception, match=r"refused|OOM|maxmemory"):
        asyncio.run(refused())
