"""A node's till without its sockets: everything from the command to the answer is real, with connections of its own.

As a program it is a contestant of ``loadtest/bench_sale.py``: it makes claims on a sale and prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop
from msgspec import json

from gameplay.play import Played, Reading, Refusal, Role
from gameplay.sale import PLAY, Claim, Open
from liveroom.asked import Asked, Caller
from liveroom.hub import Hub
from liveroom.ids import Ids
from liveroom.room import Limits, Person, Room, RoomInfo
from liveroom.store import scripts
from liveroom.store.clock import Clock
from liveroom.store.durable import Durability
from liveroom.store.embedded import answers, find_binary
from liveroom.store.rooms import By, Rooms
from liveroom.store.rounds import NO_KEY, Rounds
from liveroom.store.sales import Sales, Shelf, Verdict, Wish
from liveroom.store.server import client
from liveroom.till import Till

ROOM = "rush"
SHARDS = 16
BREATH = 200  # claims that are made before others get a turn
TOO_LATE = -3  # answered by the script, but not decided
CHANCES = 50  # to get a definite answer


class Stack:
    """``seconds``: how long an answer of Redis is waited for. ``calls`` and ``decided`` count what Redis was asked."""

    def __init__(self, url: str, name: str, seconds: float = 1, selling: type[Sales] = Sales) -> None:
        self.redis = client(url, seconds)
        self.clock, self.ids = Clock(), Ids(name)
        self.rooms = Rooms(self.redis, SHARDS, 1000, lambda _: None, nothing_recorded)
        self.rounds = Rounds(self.rooms, self.redis)
        self.durability = Durability(self.redis, relaxed=False, seconds=seconds)
        self.sales = selling(self.rounds, self.durability, changed=lambda *_: None, wanted=lambda _: None)
        self.tasks: set[asyncio.Task[None]] = set()
        self.till = Till(
            self.sales,
            self.durability,
            self.clock,
            self.ids,
            seconds=seconds,
            spawn=self.spawn,
            crash=lambda _: None,
        )
        self.till.gatherer.call = self.counted
        self.calls = self.decided = 0
        self.hub = Hub(Limits(), asyncio.get_running_loop(), self.clock.now_ms)
        self.room = Room(RoomInfo(ROOM, "Rush", "CNY", "open", 0), "", 0, Limits())

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def counted(self, shelf: Shelf, wishes: list[Wish]) -> Sequence[Verdict] | Refusal:
        verdicts = await self.till.hand_in(shelf, wishes)
        if not isinstance(verdicts, Refusal):
            self.calls += 1
            self.decided += sum(verdict.how != TOO_LATE for verdict in verdicts)
        return verdicts

    async def begin(self) -> None:
        await scripts.load(self.redis)
        await self.clock.probe(self.redis)
        await self.rooms.create(ROOM, "Rush", "CNY", self.ids.new(self.clock.now_ms()))

    async def open(self, stock: int) -> str:
        """A sale that is open for an hour; its id."""
        new, now = self.ids.new(self.clock.now_ms()), self.clock.now()
        opens = Open(item="mug", price=9900, stock=stock, currency="CNY", seconds=3600, hold_seconds=3600)
        ends = now + opens.seconds * 1000
        played = Played(f"r_{new}", ROOM, "", 0, opens, None, opens_at=now, opened_at=0, closes_at=ends)
        move = PLAY.begin(played, Reading(now=now, seed=b""))
        by = By("ann", Role.HOST, b"{}")
        opened = await self.rounds.open(played, move, new, by, keyword="", once=NO_KEY, not_after=now + 2000)
        assert isinstance(opened, str), opened
        return opened

    def claim(self, sale: str, viewer: str, idem: str, answer: Callable[[bytes], None], *, again: bool) -> None:
        command = Claim(id=sale, idem=idem, again=again, cid=1)
        caller = Caller(viewer, viewer, Role.VIEWER, Person([]))
        self.till.claim(Asked(caller, self.room, command, self.clock.now_ms(), answer))

    async def end(self) -> None:
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=5)
        await self.redis.aclose()


async def nothing_recorded(_: str) -> None:
    """There is no ledger here."""


def await_socket(path: Path) -> None:
    while not answers(path):
        time.sleep(0.01)


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[str]:
    """A server that writes to disk before it answers, as the embedded one; its address."""
    path = folder / "v.sock"
    options = {"port": "0", "unixsocket": str(path), "dir": str(folder), "save": "", "appendonly": "yes"}
    options |= {"appendfsync": "always", "loglevel": "warning", "logfile": str(folder / "log")}
    words = [word for name, text in options.items() for word in (f"--{name}", text)]
    process = subprocess.Popen([find_binary(), *words], stdin=subprocess.DEVNULL)  # noqa: ASYNC220
    try:
        await asyncio.to_thread(await_socket, path)
        yield f"unix://{path}"
    finally:
        process.kill()
        process.wait()


class Crowd:
    """Viewers who claim and claim again at any of the stacks, until each claim has a definite answer."""

    def __init__(self, stacks: Sequence[Stack], sale: str, luck: random.Random) -> None:
        self.stacks = stacks
        self.sale = sale
        self.luck = luck
        self.told: dict[str, list[dict[str, Any]]] = {}
        self.refused: Counter[str] = Counter()  # answers that were not definite
        self.open = 0
        self.done = asyncio.Event()

    def claim(self, viewer: str, *, again: bool, tried: int = 0, then: Callable[[], None] | None = None) -> None:
        """``then`` is called when it has its definite answer."""
        self.open += 1

        def answer(body: bytes) -> None:
            said = json.decode(body)
            if said.get("code") == "TRY_LATER" and tried < CHANCES:
                unknown = "unknown" in said["params"]
                self.refused["unknown" if unknown else "later"] += 1
                after = said["retry_after_ms"] / 1000 * (tried + 1 + self.luck.random())
                asyncio.get_running_loop().call_later(after, once_more, again or unknown)
                return
            self.told.setdefault(viewer, []).append(said)
            if then:
                then()
            self.landed()

        def once_more(again: bool) -> None:
            """What was surely not done is not marked."""
            self.claim(viewer, again=again, tried=tried + 1, then=then)
            self.landed()

        self.luck.choice(self.stacks).claim(self.sale, viewer, f"i{viewer}", answer, again=again)

    def landed(self) -> None:
        self.open -= 1
        if not self.open:
            self.done.set()


async def offered(url: str, name: str, sale: str, viewers: range, begins: float, seconds: float) -> dict[str, Any]:
    """One node's share of a rush: its viewers claim within so many seconds, and twice again when they are answered."""
    stack = Stack(url, name)
    await stack.begin()
    crowd, luck = Crowd([stack], sale, random.Random(name)), list(viewers)
    random.Random(name).shuffle(luck)

    def come(viewer: str) -> None:
        crowd.claim(viewer, again=False, then=lambda: once_more(viewer, 2))

    def once_more(viewer: str, times: int) -> None:
        if times:
            crowd.claim(viewer, again=True, then=lambda: once_more(viewer, times - 1))

    await asyncio.sleep(begins - time.time())
    start, came = time.monotonic(), 0
    while came < len(luck):
        due = min(len(luck), int((time.monotonic() - start) / seconds * len(luck)) + 1)
        for n in luck[came : min(due, came + BREATH)]:
            come(f"v{n}")
        came = min(due, came + BREATH)
        await asyncio.sleep(0 if came < due else 0.001)
    offer = time.monotonic() - start
    await asyncio.wait_for(crowd.done.wait(), 120)
    wall, total = time.monotonic() - start, sum(map(len, crowd.told.values()))
    await stack.end()
    return {
        "holds": sum("hold" in said[0] for said in crowd.told.values()),
        "unequal": sum(any(one != said[0] for one in said) for said in crowd.told.values()),
        "answers": total + sum(crowd.refused.values()),
        "later": crowd.refused.total(),
        "decided": stack.decided,
        "calls": stack.calls,
        "offered_in": offer,
        "answered_in": wall,
    }


async def one_by_one(url: str, name: str, sale: str, viewers: range, connections: int, begins: float) -> dict[str, Any]:
    """The same claims, each with a call of its own, over many connections, and twice again."""
    stack = Stack(url, name, 5)
    await stack.begin()
    clients = [client(url, 5, connections=1) for _ in range(connections)]
    shelf, numbers, holds, unequal = Shelf(ROOM, sale), iter(viewers), 0, 0

    async def clicks(redis: Any) -> None:
        nonlocal holds, unequal
        sales = Sales(Rounds(Rooms(redis, SHARDS, 1000, lambda _: None, nothing_recorded), redis), stack.durability,
                      changed=lambda *_: None, wanted=lambda _: None)  # fmt: skip
        for n in numbers:
            said = []
            for _ in range(3):
                now = stack.clock.now_ms()
                hold = f"h{sale.removeprefix('r')}_{stack.ids.new(now)}"
                wish = Wish("claim", now, f"v{n}", f"v{n}", hold, 1, f"iv{n}")
                verdicts = await sales.sell(shelf, stack.ids.new(now), [wish])
                assert not isinstance(verdicts, Refusal), verdicts
                said.append((verdicts[0].how in (0, 1), verdicts[0].said))
            holds += said[0][0]
            unequal += any(one != said[0] for one in said)

    await asyncio.sleep(begins - time.time())
    start = time.monotonic()
    await asyncio.gather(*map(clicks, clients))
    wall = time.monotonic() - start
    for redis in clients:
        await redis.aclose()
    await stack.end()
    total = 3 * len(viewers)
    return {"holds": holds, "unequal": unequal, "answers": total, "decided": total, "calls": total, "answered_in": wall}


async def opened(url: str, stock: int) -> dict[str, Any]:
    stack = Stack(url, "opener")
    await stack.begin()
    sale = await stack.open(stock)
    await stack.end()
    return {"sale": sale}


async def serving(folder: str) -> dict[str, Any]:
    """Says where the server is, and runs it until nobody wants it any more."""
    async with server(Path(folder)) as url:
        print(json.encode({"url": url}).decode(), flush=True)
        await asyncio.to_thread(sys.stdin.read)
    return {}


def main(what: str, url: str, *words: str) -> None:
    works: dict[str, Callable[[], Coroutine[Any, Any, dict[str, Any]]]] = {
        "serve": lambda: serving(url),
        "open": lambda: opened(url, int(words[0])),
        "rush": lambda: offered(url, words[0], words[1], span(words[2], words[3]), float(words[4]), float(words[5])),
        "clicks": lambda: one_by_one(url, words[0], words[1], span(words[2], words[3]), int(words[4]), float(words[5])),
    }
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.encode(runner.run(works[what]())).decode())


def span(first: str, count: str) -> range:
    return range(int(first), int(first) + int(count))


if __name__ == "__main__":
    main(*sys.argv[1:])
