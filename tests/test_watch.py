"""A room as the terminal shows it: what is printed of a sale, what a slash does, and what somebody who joins reads."""

import asyncio
import io
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from rich.console import Console

from liveroom import watch
from liveroom.client import Viewer
from liveroom.remote import Reply, Server
from liveroom.watch import Screen, comment, show_all
from tests.house import SECRET, Node, guests, join, make_room, token

MUG = {"item": "Mug", "price": 990, "currency": "EUR", "stock": 1}
FOR_SALE = "Mug, 9.90 EUR. Claim before it is gone: 1 in stock, one each. Held for 120 s; then pay. (/claim takes one)"
SOLD_OUT = "sold out (/wait waits for one that comes back)"
HELD = "1 held for you: /pay buys, before the time is up"


class Reader:
    """Somebody at a terminal."""

    def __init__(self, server: Server, room: str, token: str) -> None:
        self.paper = io.StringIO()
        self.viewer = Viewer(server.url, room, token, ping_seconds=0)
        self.screen = Screen(Console(file=self.paper, highlight=False), self.viewer, self.pay)
        self.server, self.room, self.token = server, room, token
        self.read: Counter[str] = Counter()

    def pay(self, hold: str) -> Reply:
        return self.server.call("POST", "/dev/pay", self.token, {"room": self.room, "hold": hold})

    @property
    def lines(self) -> list[str]:
        return self.paper.getvalue().splitlines()

    @property
    def numbers(self) -> list[str]:
        return [line for line in self.lines if "UV" in line]

    async def types(self, text: str) -> None:
        await comment(self.viewer, self.screen, text)

    async def until(self, true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not true():
            assert time.monotonic() < deadline, self.lines
            await asyncio.sleep(0.01)

    async def reads(self, *wanted: str) -> None:
        """Each of these is printed once more than he has read it."""
        self.read.update(wanted)
        await self.until(lambda: self.read <= Counter(self.lines))


@asynccontextmanager
async def reader(node: Node, room: str, sub: str, role: str = "viewer") -> AsyncIterator[Reader]:
    one = Reader(Server(node.url, None, None), room, token(room, role, sub, name=sub))
    async with one.viewer:
        showing = asyncio.create_task(show_all(one.viewer, one.screen))
        try:
            yield one
        finally:
            showing.cancel()


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("LIVEROOM_SECRET", SECRET)


def test_what_is_claimed_is_held_and_what_is_let_go_is_offered_and_paid(node: Node):
    async def show() -> None:
        room = make_room(node)
        async with (
            guests(join(node, room, "host", "h1")) as (host,),
            reader(node, room, "ann") as ann,
            reader(node, room, "bob") as bob,
        ):
            sold = (await host.ask("sale.open", **MUG))["id"]
            await ann.reads(FOR_SALE)
            await ann.types("/pay")
            await ann.reads("nothing is held for you")
            await ann.types("/claim")
            await ann.reads(HELD, SOLD_OUT)
            await bob.reads(FOR_SALE, SOLD_OUT)
            await bob.types("/claim")
            await bob.reads("SALE_SOLD_OUT: sold out")
            await bob.types("/wait")
            await bob.reads("you wait, number 1 in line")
            await ann.viewer.ask({"t": "sale.cancel", "hold": ann.screen.holds[0]})
            await ann.reads("1 not held for you any more: cancelled")
            await bob.reads("one is kept for you, not for long (/claim takes it)")
            await bob.types("/claim")
            await bob.reads(HELD)
            assert len(bob.screen.holds) == 1
            await bob.types("/pay")
            await bob.until(lambda: re.search("^yours: order .*, number 1$", bob.paper.getvalue(), re.MULTILINE))
            assert ann.screen.holds == bob.screen.holds == []
            await host.ask("sale.close", id=sold)
            await ann.reads("the sale is closed; what is held can still be paid")

    asyncio.run(show())


def test_who_joins_reads_how_a_sale_stands_and_what_is_his(node: Node):
    async def show() -> None:
        room = make_room(node)
        async with guests(join(node, room, "host", "h1"), join(node, room, sub="ann")) as (host, ann):
            id_ = (await host.ask("sale.open", **MUG))["id"]
            assert (await ann.ask("sale.claim", id=id_, idem="i"))["t"] == "ok"
            await host.hear("sale.sold_out")
            async with reader(node, room, "bob") as bob, reader(node, room, "ann") as again:
                await bob.reads(FOR_SALE, SOLD_OUT)
                await bob.types("/wait")
                await bob.reads("you wait, number 1 in line")
                await again.reads(FOR_SALE, SOLD_OUT, HELD)
                assert len(again.screen.holds) == 1
            await host.ask("sale.pause", id=id_)
            async with reader(node, room, "cem") as cem:
                await cem.reads(FOR_SALE, "the sale is paused")
                await host.ask("sale.resume", id=id_)
                await cem.reads("the sale goes on")

    asyncio.run(show())


def test_the_numbers_of_the_audience_are_printed_now_and_then_and_not_as_they_come(
    node: Node, monkeypatch: pytest.MonkeyPatch
):
    async def show() -> None:
        room = make_room(node)
        async with reader(node, room, "h1", "host") as host, guests(join(node, room, sub="ann")):
            monkeypatch.setattr(watch, "AUDIENCE_SECONDS", 3600)
            async with telling(host):
                await host.until(lambda: host.screen.audience and host.screen.audience["online"]["now"])
                assert host.numbers == []
            monkeypatch.setattr(watch, "AUDIENCE_SECONDS", 0)
            async with telling(host):
                await host.until(lambda: host.numbers)
                assert host.numbers[0].startswith("1 viewer · UV 1 · median stay more than ")

    asyncio.run(show())


@asynccontextmanager
async def telling(host: Reader) -> AsyncIterator[None]:
    task = asyncio.create_task(watch.numbers(host.viewer, host.screen))
    try:
        yield
    finally:
        task.cancel()


def test_what_is_announced_is_printed(node: Node):
    async def show() -> None:
        room = make_room(node)
        async with guests(join(node, room, "host", "h1")) as (host,), reader(node, room, "ann") as ann:
            begun = await host.ask("stream.start", title="Evening")
            await ann.reads("the stream begins: Evening")
            at = (await host.hear("stream.started", id=begun["id"]))["ts"]
            await host.ask("play.announce", what="the great draw", at=at)
            await ann.reads("in 0:00: the great draw")
            await host.ask("stream.stop")
            await ann.reads("the stream is over")

    asyncio.run(show())
