"""Facts wait in Redis until the one node that has the lease on their shard says that they are recorded."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from liveroom.ledger.engine import open_ledger
from liveroom.ledger.queries import Ledger
from liveroom.ledger.recorder import Recorder
from liveroom.store import keys, scripts
from liveroom.store.embedded import Embedded
from liveroom.store.outbox import MOST_BYTES, Outbox, agree_on_ledger
from liveroom.store.server import client
from tests.ledger.outbox import created, entered, entry

SHARDS = 16
LEASE_MS = 10_000

Work = Callable[[Redis], Awaitable[Any]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    embedded = Embedded(tmp_path_factory.mktemp("outbox") / "data")
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture
def on(server: Embedded) -> Callable[[Work], None]:
    """Do something with an empty server."""

    async def work_on(work: Work) -> None:
        redis = client(server.url, 2)
        try:
            await redis.flushall()
            await work(redis)
        finally:
            await redis.aclose()

    return lambda work: asyncio.run(work_on(work))


On = Callable[[Work], None]


def outbox(redis: Redis, node: str = "n1", lease_ms: int = LEASE_MS) -> Outbox:
    return Outbox(redis, SHARDS, node, lease_ms)


async def put(redis: Redis, shard: int, count: int, size: int = 1) -> list[Any]:
    """Facts on one shard; their places in the stream."""
    async with redis.pipeline(transaction=False) as pipeline:
        for n in range(count):
            pipeline.xadd(keys.outbox(shard), {"id": f"{shard}-{n}", "x": "x" * size})
        return await pipeline.execute()


def ids(taken: Any) -> dict[int, list[bytes]]:
    return {shard: [fact[b"id"] for _, fact in facts] for shard, facts in taken.items()}


def test_the_oldest_facts_of_all_shards_are_taken_and_stay(on: On):
    async def work(redis: Redis) -> None:
        first, *_ = await put(redis, 3, 5)
        await put(redis, 15, 1)
        box = outbox(redis)
        for _ in range(2):
            taken = await box.take(3)
            assert ids(taken) == {3: [b"3-0", b"3-1", b"3-2"], 15: [b"15-0"]}
            assert taken[3][0] == (first, {b"id": b"3-0", b"x": b"x"})
            assert box.waiting == 6

    on(work)


def test_what_is_done_is_gone_and_the_rest_comes_next(on: On):
    async def work(redis: Redis) -> None:
        await put(redis, 3, 5)
        box = outbox(redis)
        taken = await box.take(3)
        await box.done({shard: [place for place, _ in facts] for shard, facts in taken.items()})
        assert ids(await box.take(3)) == {3: [b"3-3", b"3-4"]}
        assert box.waiting == 2

    on(work)


def test_an_empty_outbox_gives_nothing(on: On):
    async def work(redis: Redis) -> None:
        box = outbox(redis)
        assert await box.take(500) == {}
        await box.done({})
        assert box.waiting == 0

    on(work)


def test_one_node_has_a_shard_at_a_time(on: On):
    async def work(redis: Redis) -> None:
        places = await put(redis, 3, 2)
        one, other = outbox(redis, "n1"), outbox(redis, "n2")
        assert ids(await one.take(9)) == {3: [b"3-0", b"3-1"]}
        assert (await other.take(9), other.waiting) == ({}, 0)
        await other.done({3: places})
        assert await redis.xlen(keys.outbox(3)) == 2

    on(work)


def test_a_silent_nodes_shards_go_to_the_next(on: On):
    async def work(redis: Redis) -> None:
        places = await put(redis, 3, 2)
        one, other = outbox(redis, "n1", 80), outbox(redis, "n2", 5000)
        await one.take(9)
        await asyncio.sleep(0.1)
        assert ids(await other.take(9)) == {3: [b"3-0", b"3-1"]}
        assert await one.take(9) == {}
        await one.done({3: places})
        assert await redis.xlen(keys.outbox(3)) == 2
        await other.done({3: places})
        assert await redis.xlen(keys.outbox(3)) == 0

    on(work)


def test_who_takes_in_time_keeps_the_lease(on: On):
    async def work(redis: Redis) -> None:
        one, other = outbox(redis, "n1", 300), outbox(redis, "n2", 300)
        await put(redis, 3, 1)
        for _ in range(8):
            assert ids(await one.take(9)) == {3: [b"3-0"]}
            assert await other.take(9) == {}
            await asyncio.sleep(0.05)

    on(work)


def test_an_idle_server_has_nothing_to_write(on: On):
    async def work(redis: Redis) -> None:
        box = outbox(redis)
        await box.take(9)
        before = await redis.info("persistence")
        for _ in range(10):
            await box.take(9)
        after = await redis.info("persistence")
        assert after["rdb_changes_since_last_save"] == before["rdb_changes_since_last_save"]

    on(work)


def test_big_facts_are_taken_a_few_at_a_time_and_a_huge_one_alone(on: On):
    async def work(redis: Redis) -> None:
        await put(redis, 3, 9, MOST_BYTES // 3)
        await put(redis, 4, 2, MOST_BYTES * 2)
        assert {shard: len(facts) for shard, facts in (await outbox(redis).take(500)).items()} == {3: 3, 4: 1}

    on(work)


def test_a_server_that_forgot_its_scripts_is_told_them_again(on: On):
    async def work(redis: Redis) -> None:
        await scripts.load(redis)
        places = await put(redis, 3, 1)
        await redis.script_flush()
        box = outbox(redis)
        assert ids(await box.take(9)) == {3: [b"3-0"]}
        await redis.script_flush()
        await box.done({3: places})
        assert await redis.xlen(keys.outbox(3)) == 0

    on(work)


def test_without_a_server_nothing_comes_and_nothing_raises(tmp_path: Path):
    async def work() -> None:
        redis = client(f"unix://{tmp_path}/none", 1)
        box = outbox(redis)
        assert await box.take(9) == {}
        await box.done({3: [b"1-0"]})
        await redis.aclose()

    asyncio.run(work())


def test_facts_go_to_one_ledger(on: On):
    async def work(redis: Redis) -> None:
        assert await agree_on_ledger(redis, "ours")
        assert await agree_on_ledger(redis, "ours")
        with capture_logs() as logs:
            assert not await agree_on_ledger(redis, "theirs")
        assert [(line["log_level"], line["expected"], line["found"]) for line in logs] == [
            ("warning", "ours", "theirs")
        ]

    on(work)


def test_what_waits_gets_into_the_ledger(on: On, tmp_path: Path):
    async def work(redis: Redis) -> None:
        async with redis.pipeline(transaction=False) as pipeline:
            for one in (created(), *(entered([entry(n)]) for n in range(1, 1200))):
                pipeline.xadd(keys.outbox(0), dict(one.items()))
            await pipeline.execute()
        engine = await open_ledger(f"sqlite:///{tmp_path}/ledger.db")
        recorder = Recorder(engine, outbox(redis))
        await recorder.finish()
        assert (recorder.lag, await redis.xlen(keys.outbox(0))) == (0, 0)
        assert [row.n async for row in Ledger(engine).entries_of("r_1")] == list(range(1, 1200))
        await engine.dispose()

    on(work)
