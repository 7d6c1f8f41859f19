"""A sale while answers get lost, nodes and the server die, freeze and forget: nobody loses what he was told he has.

Every test ends with the accounts: free, held and sold are the stock, and the ledger says what Redis says.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import redis

from tests.faults import test_stalled_disk as stalled
from tests.faults.proxy import way_to
from tests.faults.test_stalled_disk import STALL_SECONDS, Disk
from tests.house import Guest, House, Node, guests, join, make_room, retried, token
from tests.sales.accounts import accounts

SLOW = 20  # seconds for what takes two
slow = pytest.mark.slow
slow_sync, disk = stalled.slow_sync, stalled.disk  # the same stalling disk

Said = dict[str, Any]
Client = Callable[[], redis.Redis]


async def opened(host: Guest, stock: int, **fields: Any) -> str:
    said = await host.ask("sale.open", item="mug", price=9900, stock=stock, **{"hold_seconds": 600, **fields})
    assert said["t"] == "ok", said
    return str(said["id"])


async def claim(viewer: Guest, sale: str, *, again: bool = False, within: float = 10) -> Said:
    more = {"again": True} if again else {}
    return await viewer.ask("sale.claim", within, id=sale, idem=f"i-{viewer.welcome['viewer']['id']}", **more)


async def claim_or_die(viewer: Guest, sale: str) -> Said:
    """Nothing, where the node died before it answered."""
    with contextlib.suppress(TimeoutError, AssertionError, OSError):
        return await claim(viewer, sale, within=3)
    return {}


async def claim_at_last(viewer: Guest, sale: str) -> Said:
    return await retried(lambda: claim(viewer, sale, again=True))


def alike(said: Iterable[Said]) -> list[Said]:
    """Different answers, whatever they answer."""
    bare = [{name: one for name, one in answer.items() if name != "cid"} for answer in said]
    return [one for n, one in enumerate(bare) if one not in bare[:n]]


def pay(node: Node, room: str, hold: str, payment: str = "p1") -> tuple[int, Said]:
    """The shop's word that it was paid; 0 where the node died."""
    with contextlib.suppress(OSError):
        body = {"payment_id": payment, "paid_at": 1}
        return node.http("POST", f"/v1/rooms/{room}/holds/{hold}/confirm", body, token(room, "service"))
    return 0, {}


async def told(node: Node, room: str, hold: str, payment: str = "p1") -> tuple[int, Said]:
    """What a shop does: again, until it is told."""
    for _ in range(40):
        status, said = await asyncio.to_thread(pay, node, room, hold, payment)
        if status not in (0, 503):
            return status, said
        await asyncio.sleep(0.25)
    raise AssertionError(said)


async def paid(node: Node, room: str, hold: str, payment: str = "p1") -> Said:
    status, said = await told(node, room, hold, payment)
    assert status == 200, said
    return said


def seen(node: Node, room: str, sale: str) -> Said:
    return dict(node.http("GET", f"/v1/rooms/{room}/rounds/{sale}", token=token(room))[1])


async def counts(node: Node, room: str, sale: str) -> dict[str, int]:
    """A sale's numbers, as soon as Redis answers."""
    deadline = time.monotonic() + SLOW
    while "counts" not in (now := await asyncio.to_thread(seen, node, room, sale)):
        assert time.monotonic() < deadline, now
        await asyncio.sleep(0.05)
    return dict(now["counts"])


async def counted(node: Node, room: str, sale: str, left: int, held: int, sold: int) -> None:
    """Wait until a sale's numbers are these."""
    deadline = time.monotonic() + SLOW
    while (now := seen(node, room, sale).get("counts")) != {"left": left, "held": held, "sold": sold}:
        assert time.monotonic() < deadline, now
        await asyncio.sleep(0.05)


async def resumed(host: Guest, sale: str) -> None:
    """The host goes on, as soon as that is possible; from his `ok` on the sale is open."""
    for _ in range(20):
        said = await host.ask("sale.resume", id=sale)
        if said["t"] == "ok":
            return
        assert said["code"] in ("TRY_LATER", "NO_SUCH_ROUND"), said
        await asyncio.sleep(0.5)
    raise AssertionError(said)


async def dead(node: Node) -> None:
    assert await asyncio.to_thread(node.process.wait, SLOW) == -signal.SIGKILL


# --- an answer that gets lost ---


@pytest.mark.parametrize(
    ("times", "again"),
    [
        (2, False),
        (100, True),
        *(pytest.param(*one, marks=slow) for one in ((2, True), (7, False), (7, True), (100, False))),
    ],
)
def test_a_claim_whose_answer_was_cut_off_is_answered_as_before_however_often_it_is_sent_again(
    house: House, times: int, again: bool
) -> None:
    async def show() -> None:
        one, two = house.node(), await asyncio.to_thread(house.node)
        room = make_room(one)
        async with way_to(one) as way, guests(join(one, room, "host"), join(two, room, sub="bob")) as (host, bob):
            sale = await opened(host, 2)
            ann = await join(way.node, room, sub="ann")
            way.lose()
            await ann.send({"t": "sale.claim", "cid": 1, "id": sale, "idem": "i-ann"})
            await counted(two, room, sale, 1, 1, 0)
            ann.drop()
            way.cut()
            assert (await claim(bob, sale))["t"] == "ok"  # sold out: now a latch may answer
            assert (await claim(bob, sale))["t"] == "ok"
            async with guests(join(two, room, sub="ann"), join(one, room, sub="ann")) as sockets:
                asked = zip(range(times), itertools.cycle(sockets), strict=False)
                said = await asyncio.gather(*(claim(socket, sale, again=again) for _, socket in asked))
            held = [one for one in said if one["t"] == "ok"]
            assert {one.get("code") for one in said if one["t"] != "ok"} <= {"RATE_LIMITED"}
            assert len(held) >= min(times, 5)
            assert len(alike(held)) == 1
        books = (await accounts(house, room))[sale]
        assert books.numbers == (2, 0, 2, 0)
        assert {hold for hold, one in books.records.items() if one.viewer == "ann"} == {held[0]["hold"]}

    asyncio.run(show())


@pytest.mark.parametrize("times", [2, 100])
def test_a_payment_whose_answer_was_cut_off_is_one_order_however_often_it_is_said_again(
    house: House, times: int
) -> None:
    async def show() -> None:
        one, two = house.node(), await asyncio.to_thread(house.node)
        room = make_room(one)
        async with way_to(one) as way, guests(join(one, room, "host"), join(two, room, sub="ann")) as (host, ann):
            sale = await opened(host, 2)
            hold = (await claim(ann, sale))["hold"]
            way.lose()
            lost = asyncio.create_task(asyncio.to_thread(pay, way.node, room, hold))
            await counted(two, room, sale, 1, 0, 1)
            way.cut()
            assert await lost == (0, {})
            nodes = zip(range(times), itertools.cycle((two, one)), strict=False)
            said = await asyncio.gather(*(asyncio.to_thread(pay, node, room, hold) for _, node in nodes))
            assert {status for status, _ in said} == {200}
            assert len(alike(body for _, body in said)) == 1
            assert (await ann.hear("sale.confirmed"))["order"] == said[0][1]["order"]
            assert len([m for m in ann.heard if m["t"] == "sale.confirmed"]) == 1
        books = (await accounts(house, room))[sale]
        assert books.numbers == (2, 1, 0, 1)
        assert [order.id for order in books.orders] == [said[0][1]["order"]]

    asyncio.run(show())


# --- a node that dies ---


async def two_nodes(house: House, point: str, *, server_dies: bool = False) -> tuple[Node, Node]:
    """One that lives and one that will die at this point; the server is run by the one that was there first."""
    first = await asyncio.to_thread(house.node, **({"crash_at": point} if server_dies else {}))
    second = await asyncio.to_thread(house.node, **({} if server_dies else {"crash_at": point}))
    return (second, first) if server_dies else (first, second)


@pytest.mark.parametrize(
    ("point", "server_dies"),
    [
        ("after_lua", False),
        ("before_reply", True),
        pytest.param("after_lua", True, marks=slow),
        pytest.param("before_reply", False, marks=slow),
    ],
)
def test_who_claimed_at_a_node_that_died_has_his_hold_elsewhere(house: House, point: str, server_dies: bool) -> None:
    async def show() -> None:
        lives, dies = await two_nodes(house, point, server_dies=server_dies)
        room = make_room(lives)
        async with guests(join(lives, room, "host")) as (host,):
            sale = await opened(host, 10)
            here = [await join(lives, room, sub=f"v{n}") for n in range(5)]
            there = [await join(dies, room, sub=f"w{n}") for n in range(5)]
            told = [await claim(one, sale) for one in here]
            assert {one["t"] for one in told} == {"ok"}
            assert await asyncio.gather(*(claim_or_die(one, sale) for one in there)) == [{}] * 5
            await dead(dies)
            await asyncio.to_thread(lives.wait_until, "/readyz", 200)
            assert (await counts(lives, room, sale))["held"] > 5
            again = [await join(lives, room, sub=f"w{n}") for n in range(5)]
            late = [await claim_at_last(one, sale) for one in again]
            assert {one["t"] for one in late} == {"ok"}
            for viewer, first in zip((*here, *again), (*told, *late), strict=True):
                assert alike([await claim_at_last(viewer, sale), first])[1:] == []
            for one in (*here, *again):
                await one.leave()
        books = (await accounts(house, room))[sale]
        assert books.numbers == (10, 0, 10, 0)
        assert books.records.keys() == {one["hold"] for one in (*told, *late)}
        assert "Traceback" not in lives.said

    asyncio.run(show())


@pytest.mark.parametrize(
    ("point", "server_dies"),
    [
        ("after_lua", True),
        ("before_reply", False),
        pytest.param("after_lua", False, marks=slow),
        pytest.param("before_reply", True, marks=slow),
    ],
)
def test_a_payment_that_was_said_to_a_node_that_died_is_one_order(house: House, point: str, server_dies: bool) -> None:
    async def show() -> None:
        lives, dies = await two_nodes(house, point, server_dies=server_dies)
        room = make_room(lives)
        async with guests(join(lives, room, "host"), join(lives, room, sub="ann")) as (host, ann):
            sale = await opened(host, 3)
            hold = (await claim(ann, sale))["hold"]
            assert await asyncio.to_thread(pay, dies, room, hold) == (0, {})
            await dead(dies)
            order = await paid(lives, room, hold)
            assert order["state"] == "sold"
            assert await paid(lives, room, hold) == order
            assert (await told(lives, room, hold, "p2"))[0] == 409
            assert (await ann.hear("sale.confirmed", SLOW))["order"] == order["order"]
        books = (await accounts(house, room))[sale]
        assert books.numbers == (3, 2, 0, 1)
        assert [one.id for one in books.orders] == [order["order"]]
        assert "Traceback" not in lives.said

    asyncio.run(show())


@pytest.mark.parametrize("point", ["after_lua", pytest.param("before_reply", marks=slow)])
def test_holds_that_run_out_while_the_node_dies_are_free_once(house: House, point: str) -> None:
    async def show() -> None:
        first = house.node()
        room = make_room(first)
        host = await join(first, room, "host")
        sale = await opened(host, 5, hold_seconds=4)
        viewers = [await join(first, room, sub=f"v{n}") for n in range(3)]
        holds = [(await claim(one, sale))["hold"] for one in viewers]
        dies = await asyncio.to_thread(house.node, crash_at=point)
        first.kill()  # and with it the server, which is started again: only this node can ring the bell
        await dead(dies)
        lives = await asyncio.to_thread(house.node)
        await counted(lives, room, sale, 5, 0, 0)
        async with guests(*(join(lives, room, sub=f"v{n}") for n in range(3))) as again:
            for viewer, hold in zip(again, holds, strict=True):
                letters = [m for m in (*viewer.welcome["snapshot"]["inbox"], *viewer.heard) if m.get("hold") == hold]
                assert [(m["t"], m["why"]) for m in letters] == [("sale.released", "expired")]
                assert (await retried(lambda v=viewer: v.ask("sale.claim", id=sale, idem="another")))["t"] == "ok"  # type: ignore[misc]
        books = (await accounts(house, room))[sale]
        assert books.numbers == (5, 2, 3, 0)
        assert [(books.records[hold].state, books.records[hold].v) for hold in holds] == [("expired", 2)] * 3
        for one in (host, *viewers):
            one.reader.cancel()

    asyncio.run(show())


@pytest.mark.parametrize(
    "point",
    [
        "before_close",
        "after_settle",
        pytest.param("after_close", marks=slow),
        pytest.param("before_settle", marks=slow),
    ],
)
def test_a_sale_ends_once_when_the_node_that_closes_it_dies(house: House, point: str) -> None:
    async def show() -> None:
        dies = house.node(crash_at=point)
        room = make_room(dies)
        host, ann, bob = [await join(dies, room, role, sub) for role, sub in
                          (("host", "h"), ("viewer", "ann"), ("viewer", "bob"))]  # fmt: skip
        sale = await opened(host, 5, seconds=2, hold_seconds=1)
        hold = (await claim(ann, sale))["hold"]
        order = await paid(dies, room, hold)
        assert (await claim(bob, sale))["t"] == "ok"
        await dead(dies)
        lives = await asyncio.to_thread(house.node)
        await counted(lives, room, sale, 4, 0, 1)
        async with guests(join(lives, room, sub="cem")) as (cem,):
            for _ in range(200):
                if seen(lives, room, sale)["state"] == "closed" and not live(lives, room):
                    break
                await asyncio.sleep(0.1)
            assert seen(lives, room, sale)["state"] == "closed"
            assert live(lives, room) == []
            assert (await claim_at_last(cem, sale))["code"] == "ROUND_CLOSED"
            assert await paid(lives, room, hold) == order
        assert await asyncio.to_thread(house.times_told, sale, "sale.closed") == 1
        books = (await accounts(house, room))[sale]
        assert books.numbers == (5, 4, 0, 1)
        for one in (host, ann, bob):
            one.reader.cancel()

    asyncio.run(show())


def live(node: Node, room: str) -> list[Said]:
    """What hangs on the wall."""
    return list(node.http("GET", f"/v1/rooms/{room}", token=token(room))[1]["rounds"])


# --- a disk that stalls, and a server that dies meanwhile ---


async def rush_on(
    disk: Disk, node: Node, room: str, sale: str, viewers: list[Guest], holds: list[str], *, dies: bool = False
) -> Said:
    """Claims and payments until the server is dead: which holds were told, and which orders.

    With ``dies`` the node is dead too, a moment before, so that nothing that it remembers helps.
    """

    async def shop() -> list[str]:
        told = []
        for hold in holds:
            status, said = await asyncio.to_thread(pay, node, room, hold)
            told += [said["hold"]] if status == 200 else []
            await asyncio.sleep(STALL_SECONDS / len(holds) / 2)
        return told

    async def buy(n: int, viewer: Guest) -> str:
        await asyncio.sleep(n * STALL_SECONDS / len(viewers))
        return str((await claim_or_die(viewer, sale)).get("hold", ""))

    async def die() -> None:
        await asyncio.sleep(STALL_SECONDS)
        if dies:
            node.kill()
        await asyncio.to_thread(disk.die_on_a_stalled_disk, 0)

    disk.flag.touch()
    held, sold, _ = await asyncio.gather(
        asyncio.gather(*(buy(n, viewer) for n, viewer in enumerate(viewers))), shop(), die()
    )
    return {"held": [one for one in held if one], "sold": sold}


@pytest.mark.parametrize(
    ("policy", "durability"),
    [
        ("always", "strict"),
        ("everysec", "strict"),
        pytest.param(
            *("everysec", "relaxed"), marks=pytest.mark.xfail(reason="so it loses what was acknowledged, as it says")
        ),
    ],
)
def test_no_hold_and_no_order_is_lost_although_the_server_and_the_node_died_on_a_stalled_disk(
    house: House, disk: Disk, policy: str, durability: str
) -> None:
    async def show() -> None:
        if durability == "relaxed":
            know_no_waitaof(disk)
        node = await asyncio.to_thread(house.node, "--redis", disk.url, durability=durability)
        room = make_room(node)
        host = await join(node, room, "host")
        viewers = [await join(node, room, sub=f"v{n}") for n in range(130)]
        sale = await opened(host, 200)
        first = [(await claim(one, sale))["hold"] for one in viewers[:10]]
        await asyncio.sleep(1)  # the ledger knows the sale
        with locked(house):
            told = await rush_on(disk, node, room, sale, viewers[10:], first, dies=True)
        await asyncio.to_thread(disk.start)
        again = await asyncio.to_thread(house.node, "--redis", disk.url, durability=durability)
        async with guests(join(again, room, "host")) as (late,):
            if policy != "always":
                await wait_for_state(again, room, sale, "paused")
                await resumed(late, sale)
        records = (await accounts(house, room, disk.url))[sale].records
        assert {*first, *told["held"]} - records.keys() == set()
        assert {hold for hold in told["sold"] if records[hold].state != "sold"} == set()
        for one in (host, *viewers):
            one.reader.cancel()
        await asyncio.to_thread(again.stop)

    asyncio.run(show())


@contextlib.contextmanager
def locked(house: House) -> Iterator[None]:
    """Nobody else writes to the ledger, so that what is acknowledged meanwhile is in Redis alone."""
    with contextlib.closing(sqlite3.connect(house.data / "ledger.db", isolation_level=None)) as ledger:
        ledger.execute("begin immediate")
        yield


def know_no_waitaof(disk: Disk) -> None:
    """As a server from before Redis 7.2, until it is started again: there is nothing that could be waited for."""
    redis.Redis.from_url(disk.url).execute_command("ACL", "SETUSER", "default", "-waitaof")


@pytest.mark.parametrize("policy", ["everysec"])
def test_a_server_that_lost_the_newest_is_told_it_by_the_node_and_the_sale_waits_for_the_host(
    house: House, disk: Disk, policy: str
) -> None:
    async def show() -> None:
        know_no_waitaof(disk)
        node = await asyncio.to_thread(house.node, "--redis", disk.url, durability="relaxed")
        room = make_room(node)
        crowd = [join(node, room, sub=f"v{n}") for n in range(60)]
        async with guests(join(node, room, "host"), *crowd) as (host, *viewers):
            sale = await opened(host, 200)
            first = [(await claim(one, sale))["hold"] for one in viewers[:10]]
            told = await rush_on(disk, node, room, sale, viewers[10:], first)
            await asyncio.to_thread(disk.start)
            await asyncio.to_thread(node.wait_until, "/readyz", 200)
            reset = await host.hear("room.reset", SLOW)
            assert reset["epoch"] != host.welcome["epoch"]
            codes = {(await claim_or_die(one, sale)).get("code") for one in viewers[50:]}
            assert codes <= {"TRY_LATER", "SALE_PAUSED", None}
            await wait_for_state(node, room, sale, "paused")
            await resumed(host, sale)
            said = [await claim_at_last(one, sale) for one in viewers]
            assert {one.get("code", "ok") for one in said} == {"ok"}
            records = (await accounts(house, room, disk.url))[sale].records
            assert {*first, *told["held"]} - records.keys() == set()
            assert {hold for hold in told["sold"] if records[hold].state != "sold"} == set()
            assert len(records) == 60
        assert "Traceback" not in node.said

    asyncio.run(show())


@pytest.mark.parametrize("policy", ["everysec"])
def test_a_host_who_is_told_that_the_sale_goes_on_sees_it_go_on(house: House, disk: Disk, policy: str) -> None:
    async def show() -> None:
        node = await asyncio.to_thread(house.node, "--redis", disk.url)
        room = make_room(node)
        crowd = [join(node, room, sub=f"v{n}") for n in range(20)]
        async with guests(join(node, room, "host"), *crowd) as (host, *viewers):
            sale = await opened(host, 30)
            assert (await claim(viewers[0], sale))["t"] == "ok"
            await asyncio.sleep(1)
            disk.process.kill()
            disk.process.wait()
            await asyncio.to_thread(disk.start)
            await resumed(host, sale)
            seen_before = len(host.heard)
            for viewer in viewers[1:]:
                assert (await claim_at_last(viewer, sale)).get("code", "ok") == "ok"
                await asyncio.sleep(0.2)
            assert [m["t"] for m in host.heard[seen_before:] if m["t"] == "sale.paused"] == []
        assert (await accounts(house, room, disk.url))[sale].numbers == (30, 10, 20, 0)

    asyncio.run(show())


@pytest.mark.parametrize("policy", ["everysec"])
def test_a_sale_that_the_ledger_has_not_heard_of_yet_can_be_resumed_too(house: House, disk: Disk, policy: str) -> None:
    async def show() -> None:
        node = await asyncio.to_thread(house.node, "--redis", disk.url)
        room = make_room(node)
        async with guests(join(node, room, "host"), join(node, room, sub="ann")) as (host, ann):
            with locked(house):
                sale = await opened(host, 5)
                disk.process.kill()
                disk.process.wait()
                await asyncio.to_thread(disk.start)
                await host.hear("room.reset", SLOW)
                await asyncio.sleep(1)  # whatever is rebuilt is rebuilt
                await resumed(host, sale)
                assert (await claim_at_last(ann, sale)).get("code", "ok") == "ok"
        assert (await accounts(house, room, disk.url))[sale].numbers == (5, 4, 1, 0)

    asyncio.run(show())


@pytest.mark.parametrize("policy", ["everysec"])
def test_a_node_that_waits_to_rebuild_a_sale_ends_when_it_is_told_to(house: House, disk: Disk, policy: str) -> None:
    async def show() -> None:
        node = await asyncio.to_thread(house.node, "--redis", disk.url)
        room = make_room(node)
        async with guests(join(node, room, "host"), join(node, room, sub="ann")) as (host, ann):
            sale = await opened(host, 5)
            hold = (await claim(ann, sale))["hold"]
            await asyncio.sleep(1)
        node.kill()
        again = await asyncio.to_thread(house.node, "--redis", disk.url)
        disk.process.kill()
        disk.process.wait()
        await asyncio.to_thread(disk.start)
        host = await join(again, room, "host")
        await wait_for_state(again, room, sale, "paused")
        disk.process.kill()  # while the sale is being rebuilt
        disk.process.wait()
        start = time.monotonic()
        assert await asyncio.to_thread(again.stop) == 0
        assert time.monotonic() - start < 12
        host.reader.cancel()
        await asyncio.to_thread(disk.start)
        last = await asyncio.to_thread(house.node, "--redis", disk.url)
        assert (await paid(last, room, hold))["state"] == "sold"
        async with guests(join(last, room, "host")):
            await wait_for_state(last, room, sale, "paused")
        assert (await accounts(house, room, disk.url))[sale].numbers == (5, 4, 0, 1)
        await asyncio.to_thread(last.stop)

    asyncio.run(show())


async def wait_for_state(node: Node, room: str, sale: str, state: str) -> None:
    deadline = time.monotonic() + SLOW
    while (now := seen(node, room, sale).get("state")) != state:
        assert time.monotonic() < deadline, now
        await asyncio.sleep(0.05)


# --- a server that may lose what it acknowledges ---

WEAK = [("appendonly", "no"), ("maxmemory-policy", "allkeys-lru")]


@pytest.mark.parametrize(("option", "value"), WEAK)
def test_a_weak_server_sells_nothing(house: House, valkey: Client, option: str, value: str) -> None:
    async def show() -> None:
        node = house.node()
        valkey().config_set(option, value)
        room = make_room(node)
        async with guests(join(node, room, "host")) as (host,):
            said = await host.ask("sale.open", item="mug", price=1, stock=5)
            assert (said["code"], said["retryable"]) == ("WEAK_DURABILITY", False)
            assert live(node, room) == []
            assert (await host.ask("quiz.open", question="?", choices=["a", "b"], right=1))["t"] == "ok"
        assert await accounts(house, room) == {}

    asyncio.run(show())


@slow
@pytest.mark.parametrize(("option", "value"), WEAK)
def test_a_server_that_becomes_weak_stops_selling(house: House, valkey: Client, option: str, value: str) -> None:
    async def show() -> None:
        node = house.node()
        room = make_room(node)
        async with guests(join(node, room, "host"), join(node, room, sub="ann"), join(node, room, sub="bob")) as (
            host, ann, bob,
        ):  # fmt: skip
            sale = await opened(host, 5)
            assert (await claim(ann, sale))["t"] == "ok"
            valkey().config_set(option, value)
            await asyncio.sleep(6)  # the node looks every five seconds
            assert (await claim(bob, sale))["code"] == "WEAK_DURABILITY"
            valkey().config_set(option, {"appendonly": "yes"}.get(option, "noeviction"))
            await asyncio.sleep(6)
            assert (await claim(bob, sale))["t"] == "ok"
        assert (await accounts(house, room))[sale].numbers == (5, 3, 2, 0)

    asyncio.run(show())


@pytest.mark.parametrize(("option", "value"), WEAK)
def test_a_weak_server_sells_where_that_is_allowed_and_every_answer_says_so(
    house: House, valkey: Client, option: str, value: str
) -> None:
    async def show() -> None:
        node = house.node(durability="relaxed")
        valkey().config_set(option, value)
        room = make_room(node)
        async with guests(join(node, room, "host"), join(node, room, sub="ann")) as (host, ann):
            said = await host.ask("sale.open", item="mug", price=1, stock=1)
            held = [await claim(ann, said["id"]) for _ in range(2)]
            assert [one["durability"] for one in (said, *held)] == ["relaxed"] * 3
            assert (await paid(node, room, held[0]["hold"]))["durability"] == "relaxed"
        assert (await accounts(house, room))[said["id"]].numbers == (1, 0, 0, 1)

    asyncio.run(show())


def test_a_good_server_says_nothing_of_it_even_where_a_weak_one_is_allowed(house: House) -> None:
    async def show() -> None:
        node = house.node(durability="relaxed")
        room = make_room(node)
        async with guests(join(node, room, "host"), join(node, room, sub="ann")) as (host, ann):
            said = await host.ask("sale.open", item="mug", price=1, stock=1)
            assert "durability" not in said
            assert "durability" not in await claim(ann, said["id"])
        assert (await accounts(house, room))[said["id"]].numbers == (1, 0, 1, 0)

    asyncio.run(show())


# --- a server that forgets everything ---


@pytest.mark.parametrize("trial", [0, *(pytest.param(n, marks=slow) for n in range(1, 6))])
def test_a_sale_outlives_a_server_that_forgets_everything(house: House, valkey: Client, trial: int) -> None:
    """The last holds and orders are acknowledged at the very moment; the ledger has not heard of them."""

    async def show() -> None:
        nodes = [house.node(), await asyncio.to_thread(house.node)]
        room = make_room(nodes[0])
        crowd = [join(nodes[n % 2], room, sub=f"v{n}") for n in range(40)]
        async with guests(join(nodes[0], room, "host"), *crowd) as (host, *viewers):
            sale = await opened(host, 30)
            told = [await claim(one, sale) for one in viewers[:10]]
            orders = [await paid(nodes[n % 2], room, told[n]["hold"]) for n in range(4)]
            await asyncio.sleep(0.5)
            told += await asyncio.gather(*(claim(one, sale) for one in viewers[10:20]))
            orders += [await paid(nodes[n % 2], room, told[n]["hold"]) for n in (4, 10)]
            assert {one["t"] for one in told} == {"ok"}
            await asyncio.sleep(trial * 0.05)
            valkey().flushall()
            refused = await asyncio.gather(*(until_paused(one, sale) for one in viewers[20:30]))
            assert set().union(*refused) <= {"TRY_LATER", "SALE_PAUSED"}
            await resumed(host, sale)
            for n, order in enumerate(orders):
                assert (await paid(nodes[(n + 1) % 2], room, order["hold"])) == order
            for viewer, first in zip(viewers[:20], told, strict=True):
                now = await claim_at_last(viewer, sale)
                assert now["hold"] == first["hold"], (now, first)
                assert now["until"] == first["until"]
            late = [await claim_at_last(one, sale) for one in viewers[20:]]
            codes = [one.get("code", "ok") for one in late]
            assert sorted(codes) == ["SALE_SOLD_OUT"] * 10 + ["ok"] * 10
            for one in (*told, *late):
                if one["t"] == "ok":
                    await paid(nodes[0], room, one["hold"])
            books = (await accounts(house, room))[sale]
            assert books.numbers == (30, 0, 0, 30)
            assert {one["order"] for one in orders} <= {order.id for order in books.orders}
            assert len({order.id for order in books.orders}) == 30
        assert (await asyncio.to_thread(reconcile, house, room)) == 0
        assert "Traceback" not in nodes[0].said + nodes[1].said

    asyncio.run(show())


async def until_paused(viewer: Guest, sale: str) -> set[str]:
    """Why a viewer is refused, until he is told that the sale is paused."""
    codes = set[str]()
    while "SALE_PAUSED" not in codes and len(codes) < 100:
        said = await claim(viewer, sale)
        codes.add(said.get("code", f"{said['t']}: {said}"))
        if said["t"] == "ok":
            break
        await asyncio.sleep(0.15)
    return codes


def reconcile(house: House, room: str) -> int:
    command = [sys.executable, "-m", "liveroom", "reconcile", room, "--data", str(house.data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    print(done.stdout, done.stderr)
    return done.returncode


@pytest.mark.parametrize("hold_seconds", [0.2, pytest.param(30, marks=slow)])  # that a room without viewers is kept
def test_the_shop_is_paid_after_all_is_forgotten_and_nobody_is_there(
    house: House, valkey: Client, hold_seconds: float
) -> None:
    async def show() -> None:
        nodes = [house.node(hold_seconds=hold_seconds)]
        nodes.append(await asyncio.to_thread(house.node, hold_seconds=hold_seconds))
        room = make_room(nodes[0])
        async with guests(join(nodes[0], room, "host"), join(nodes[1], room, sub="ann")) as (host, ann):
            sale = await opened(host, 3)
            hold = (await claim(ann, sale))["hold"]
        await asyncio.sleep(2.5)
        valkey().flushall()
        order = await paid(nodes[1], room, hold)
        assert (order["state"], order["hold"]) == ("sold", hold)
        assert await paid(nodes[0], room, hold) == order
        async with guests(join(nodes[1], room, "host"), join(nodes[0], room, sub="bob")) as (host, bob):
            assert seen(nodes[0], room, sale)["state"] == "paused"
            await resumed(host, sale)
            assert (await claim_at_last(bob, sale))["t"] == "ok"
        assert (await accounts(house, room))[sale].numbers == (3, 1, 1, 1)
        assert (await asyncio.to_thread(reconcile, house, room)) == 0
        assert "Traceback" not in nodes[0].said + nodes[1].said

    asyncio.run(show())


# --- a server that freezes ---


def test_claims_on_a_frozen_server_are_refused_in_time_and_not_done_when_it_wakes_late(
    house: House, valkey: Client
) -> None:
    async def show() -> None:
        nodes = [house.node(), await asyncio.to_thread(house.node)]
        room = make_room(nodes[0])
        crowd = [join(nodes[n % 2], room, sub=f"v{n}") for n in range(21)]
        async with guests(join(nodes[0], room, "host"), *crowd) as (host, *viewers):
            sale = await opened(host, 21)
            paying = (await claim(viewers[20], sale))["hold"]
            pid = valkey().info()["process_id"]
            os.kill(pid, signal.SIGSTOP)
            frozen = time.monotonic()
            try:
                early = await refused_in_time(viewers[:10], sale)
                shop = await asyncio.to_thread(pay, nodes[1], room, paying)
                assert (shop[0], shop[1]["code"]) == (503, "TRY_LATER")
                await asyncio.sleep(max(0, 2.3 - time.monotonic() + frozen))
                late = asyncio.create_task(refused_or_held(viewers[10:20], sale))
                await asyncio.sleep(max(0, 3 - time.monotonic() + frozen))
            finally:
                os.kill(pid, signal.SIGCONT)
            assert {one["code"] for one in early} == {"TRY_LATER"}
            assert all(one["params"]["unknown"] for one in early)
            await late
            for node in nodes:
                await asyncio.to_thread(node.wait_until, "/readyz", 200)
            at = nodes[0]
            parts = [
                at.http("GET", f"/v1/rooms/{room}/rounds/{sale}", token=token(room, sub=f"v{n}"))[1].get("mine")
                for n in range(10)
            ]
            assert parts == [None] * 10  # they were older than two seconds when it woke
            for viewer in viewers[:20]:
                said = [await claim_at_last(viewer, sale) for _ in range(2)]
                assert said[0]["t"] == "ok"
                assert len(alike(said)) == 1
            order = await paid(nodes[0], room, paying)
            assert await paid(nodes[1], room, paying) == order
        books = (await accounts(house, room))[sale]
        assert books.numbers == (21, 0, 20, 1)
        assert len(books.records) == 21
        assert "Traceback" not in nodes[0].said + nodes[1].said

    asyncio.run(show())


async def refused_in_time(viewers: list[Guest], sale: str) -> list[Said]:
    start = time.monotonic()
    said = await asyncio.gather(*(claim(one, sale) for one in viewers))
    assert time.monotonic() - start < 3  # a second, with slack
    return said


async def refused_or_held(viewers: list[Guest], sale: str) -> None:
    for said in await asyncio.gather(*(claim(one, sale) for one in viewers)):
        assert said["t"] == "ok" or said["code"] == "TRY_LATER"
