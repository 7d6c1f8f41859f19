"""What the audience's numbers cost: to note who comes and goes, and to ask for the curves of a big room."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from itertools import count, pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

from msgspec import json, structs
from redis.asyncio import Redis

from liveroom.live_report import live_report
from liveroom.store.attendance import LATE_MS, Attendance
from liveroom.store.keys import keys_of
from loadtest import page
from loadtest.audience.plan import plan_of
from loadtest.audience.scenario import Scenario, Source, evening
from loadtest.audience.store import CLOCK, EPOCH_MS, SHARDS, Filling, store
from loadtest.audience.verdict import STORE, verdict
from loadtest.crowd.verdict import line

NOTE = """\
Noting: the node's side is the CPU of a process that does nothing else (noting, gathering, encoding, redis-py), the
server's that of the embedded Valkey, for viewers who are noted so many at a time with one call. A node makes one call
for each room in which somebody came or went, every 100 ms.

Asking: from the request to Redis to the report as JSON; the first question is left out. In a server the part behind
Redis runs beside the rooms, in a thread, at most once a second for a room.

The audience is simulated (`loadtest/audience`): twelve sources, bursts of newcomers, leaving by age, reconnects, two
devices, two nodes; noted through the same code and scripts as a server's, on a clock that the simulation turns. The
lines of the verdict compare what is said with the curve computed from the simulated connections themselves."""

NOTED = "noted|at a time|node µs per viewer|Redis µs per viewer"
ASKED = "show|viewers|finished|here|fields|Redis ms|report ms|JSON ms|all, median|worst"


class Step(NamedTuple):
    """Times of one question, in ms."""

    redis: float
    report: float
    json: float

    def row(self) -> list[str]:
        return [f"{each:.2f}" for each in self]


async def noting(viewers: int, at_a_time: int) -> list[list[str]]:
    ids = count(1)
    async with store() as redis:
        await redis.set(CLOCK, EPOCH_MS + 1000)
        node = Attendance(
            redis,
            SHARDS,
            "bench",
            grace_ms=60_000,
            seconds=30,
            new_id=lambda: f"n{next(ids)}",
            server_ms=lambda: EPOCH_MS + 1000,
        )
        names = [f"viewer{n}" for n in range(viewers)]
        come = await noted(redis, node, names, at_a_time, lambda one: node.came("room", one, "share"))
        go = await noted(redis, node, names, at_a_time, lambda one: node.left("room", one, "close", 0, 30))
        return [["joins", f"{at_a_time:,}", *come], ["leaves", f"{at_a_time:,}", *go]]


async def noted(
    redis: Redis, node: Attendance, names: list[str], at_a_time: int, note: Callable[[str], None]
) -> list[str]:
    server, here = await server_cpu(redis), time.process_time()
    for start in range(0, len(names), at_a_time):
        for name in names[start : start + at_a_time]:
            note(name)
        await node.flush()
    here = time.process_time() - here
    server = await server_cpu(redis) - server
    return [f"{1e6 * seconds / len(names):.2f}" for seconds in (here, server)]


async def server_cpu(redis: Redis) -> float:
    said = await redis.info("cpu")
    return float(said["used_cpu_user"] + said["used_cpu_sys"])


def show(viewers: int, minutes: float) -> Scenario:
    sources = tuple(Source(f"source{n}", 1 + n % 4) for n in range(9))  # and those of its bursts
    return structs.replace(evening(viewers, minutes), sources=sources)


async def asking(viewers: int, minutes: float, times: int) -> tuple[list[str], list[str]]:
    """A row of the table, and what a verdict says of the curves."""
    scenario = show(viewers, minutes)
    async with store() as redis:
        filling = Filling(redis, plan_of(scenario, seed=1), "room")
        await filling.up_to(scenario.seconds)
        steps = [await ask(filling) for _ in range(times)]
        here = await redis.hlen(keys_of("room", SHARDS).sessions)
        counters = await redis.hlen(keys_of("room", SHARDS).cells("room-stream"))
        live = await filling.report()
        await filling.stop()
        checks = verdict(await filling.report(), [live], filling.truth(), STORE)
    sums = [sum(one) for one in steps[1:]]
    typical = Step(*map(median, zip(*steps[1:], strict=True)))
    counts = [f"{n:,}" for n in (live["uv"], live["sessions"] - here, here, counters)]
    row = [f"{minutes:g} min", *counts, *typical.row(), f"{median(sums):.2f}", f"{max(sums):.2f}"]
    return row, [line(check) for check in checks]


async def ask(filling: Filling) -> Step:
    node, times = filling.nodes[0], [time.perf_counter()]
    fields, distinct = await node.counted(filling.room, f"{filling.room}-stream")
    times.append(time.perf_counter())
    report = live_report(fields, distinct, EPOCH_MS, filling.now_ms, node.grace_ms + LATE_MS)
    times.append(time.perf_counter())
    json.encode(report)
    times.append(time.perf_counter())
    return Step(*(1000 * (after - before) for before, after in pairwise(times)))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench_retention", description=__doc__)
    parser.add_argument("--noted", type=int, default=100_000, help="viewers who come and go")
    parser.add_argument("--viewers", type=int, default=1_100_000, help="of the big room")
    parser.add_argument("--minutes", type=lambda text: [float(one) for one in text.split(",")], default=[60, 180])
    parser.add_argument("--times", type=int, default=51, help="questions asked")
    parser.add_argument("--page", type=Path, default=page.today("retention"))
    return parser.parse_args()


async def main(chosen: argparse.Namespace) -> None:
    noted_rows = [row for at_a_time in (10, 100, 1000) for row in await noting(chosen.noted, at_a_time)]
    asked_rows, said = [], []
    for minutes in chosen.minutes:
        row, lines = await asking(chosen.viewers, minutes, chosen.times)
        asked_rows.append(row)
        said += [f"* {minutes:g} min: {one}" for one in lines]
    parts = [page.table(NOTED, noted_rows), page.table(ASKED, asked_rows), "\n".join(said), NOTE]
    page.write(chosen.page, f"The audience's numbers, {time.strftime('%Y-%m-%d')}", parts)
    print(chosen.page.read_text())


if __name__ == "__main__":
    asyncio.run(main(options()))
