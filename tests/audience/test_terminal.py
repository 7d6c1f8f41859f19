"""`liveroom watch --as host` over a real server: a line of the audience now and then, whatever becomes of the room."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.audience.watching import open_node, report_when
from tests.house import SECRET, Guest, House, Node, Plant, guests, join, make_room

pytestmark = pytest.mark.timeout(120)

OFTEN = (
    ("liveroom/watch.py", "AUDIENCE_SECONDS = 10", "AUDIENCE_SECONDS = 0.2"),
    ("liveroom/audience.py", "LIVE_SECONDS = 2.0", "LIVE_SECONDS = 0.5"),
)
STAY = r"(–|(more than )?\d+:\d\d)"
BARS = "[▁▂▃▄▅▆▇█]"


@pytest.fixture
def eager(plant: Plant) -> House:
    """A house where lines of the audience come more often than a person would read them."""
    return plant(*OFTEN)


class Terminal:
    """The command, and the lines it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def prints(self, pattern: str, within: float = 30) -> str:
        """The next line that is exactly this."""
        assert self.process.stdout
        try:
            async with asyncio.timeout(within):
                while line := (await self.process.stdout.readline()).decode().rstrip("\n"):
                    self.lines.append(line)
                    if re.fullmatch(pattern, line):
                        return line
        except TimeoutError:
            pass
        raise AssertionError(f"no line {pattern!r} in {self.lines}")

    async def stop(self) -> int:
        """As by Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        self.lines += (await self.process.communicate())[0].decode().splitlines()
        return self.process.returncode or 0


@asynccontextmanager
async def watch(node: Node, room: str, role: str = "host") -> AsyncIterator[Terminal]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "liveroom", "watch", room, "--as", role, "--url", node.url),
        env={**os.environ, "LIVEROOM_SECRET": SECRET},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Terminal(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def audience(viewers: str, uv: int, stay: str = STAY) -> str:
    return f"{viewers} · UV {uv} · median stay {stay} · {BARS}+"


def test_a_host_reads_how_the_audience_is_from_nobody_to_the_end(eager: House):
    async def show() -> None:
        node = await asyncio.to_thread(open_node, eager)
        room = make_room(node)
        async with watch(node, room) as terminal, guests(join(node, room, "host", "h1")) as (host,):
            await terminal.prints("Test: you are Terminal")
            await host.ask("stream.start", title="Evening")
            await terminal.prints("the stream begins: Evening")
            await terminal.prints(audience("0 viewers", 0, "–"))
            ann = await join(node, room, sub="ann")
            await terminal.prints(audience("1 viewer", 1, r"more than \d+:\d\d"))
            bob = await join(node, room, sub="bob")
            await terminal.prints(audience("2 viewers", 2, r"more than \d+:\d\d"))
            await ann.leave()
            await terminal.prints(audience("1 viewer", 2, r"\d+:\d\d"))  # half of them left
            await host.ask("stream.stop")
            await terminal.prints("the stream is over")
            over = await terminal.prints(audience("the stream is over", 2, r"\d+:\d\d"))
            assert over == await terminal.prints(audience("the stream is over", 2))
            await bob.leave()
            await host.ask("stream.start")
            await terminal.prints("the stream begins")
            await terminal.prints(audience("0 viewers", 0, "–"))
            assert await terminal.stop() == 0
            assert not [line for line in terminal.lines if "rror" in line]

    asyncio.run(show())


def test_where_nobody_has_been_there_is_no_line_until_somebody_comes(eager: House):
    async def show() -> None:
        node = await asyncio.to_thread(open_node, eager)
        room = make_room(node)
        async with watch(node, room) as terminal, guests(join(node, room, "host", "h1")) as (host,):
            await terminal.prints("Test: you are Terminal")
            assert (await host.ask("retention.watch"))["t"] == "ok"
            await host.ask("room.notice", text="nobody yet")
            await terminal.prints("notice: nobody yet")
            async with guests(join(node, room, sub="ann")):
                await terminal.prints(audience("1 viewer", 1))
            assert not [line for line in terminal.lines[:-1] if "UV" in line]
            assert await terminal.stop() == 0

    asyncio.run(show())


def test_a_host_goes_on_reading_when_the_server_is_back(eager: House):
    async def show() -> None:
        node = await asyncio.to_thread(open_node, eager)
        room = make_room(node)
        async with watch(node, room) as terminal:
            ann = await join(node, room, sub="ann")
            await terminal.prints(audience("1 viewer", 1))
            node = await restarted(eager, node)
            await ann.closing()
            await terminal.prints("Test: you are Terminal")
            async with guests(*(join(node, room, sub=name) for name in ("bob", "cem"))):
                await report_when(node, room, lambda said: said["uv"] == 3)
                await terminal.prints(audience(r"\d viewers?", 3))
                assert await terminal.stop() == 0

    asyncio.run(show())


async def restarted(house: House, node: Node) -> Node:
    """Another process at the same address, of the same data."""
    port = str(node.address[1])
    await asyncio.to_thread(node.stop)
    return await asyncio.to_thread(open_node, house, "--port", port)


def test_who_is_no_host_reads_no_numbers(eager: House):
    async def show() -> None:
        node = await asyncio.to_thread(open_node, eager)
        room = make_room(node)
        people = [join(node, room, "host", "h1"), join(node, room, sub="ann")]
        async with watch(node, room, "viewer") as terminal, guests(*people) as (host, _):
            await terminal.prints("Test: you are Terminal")
            await host.ask("retention.watch")
            await heard_twice(host)
            await host.ask("room.notice", text="over")
            await terminal.prints("notice: over")
            assert await terminal.stop() == 0
            assert not [line for line in terminal.lines if "UV" in line or "NOT_ALLOWED" in line]

    asyncio.run(show())


async def heard_twice(host: Guest) -> None:
    await host.wait(lambda _: sum(one["t"] == "retention.live" for one in host.heard) > 1)
