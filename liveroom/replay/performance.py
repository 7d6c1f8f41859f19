"""The replay itself: everybody joins, everything is said when it is due, and the last replies are awaited."""

from __future__ import annotations

import asyncio
import random
import signal
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress

from rich.progress import Progress

from liveroom.client import Unreachable, socket_url
from liveroom.remote import Server, Trouble
from liveroom.replay.account import Account
from liveroom.replay.formats import Comment
from liveroom.replay.player import Player

PROBES = 10  # viewers that read everything; the others decode replies only
MOST_OF_ONE = 5  # connections of one viewer in one room
JOINS_PER_SECOND = 1000
JOIN_SECONDS = 30
REPLY_SECONDS = 10
DRAIN_SECONDS = 5


def troupe(server: Server, room: str, viewers: int, account: Account) -> list[Player]:
    """So many players, the first ones probes. Raises Trouble."""
    if server.token and viewers > MOST_OF_ONE:
        raise Trouble(
            f"one token is one viewer with at most {MOST_OF_ONE} connections: "
            f"give --data instead, or --viewers {MOST_OF_ONE}"
        )
    tag = f"replay-{random.randrange(16**6):06x}-"
    address, ttl_s = socket_url(server.url, room), server.settings.token_hours * 3600
    return [
        Player(
            number,
            address,
            server.token or server.mint(f"{tag}{number}", room, name=f"viewer {number}", ttl_s=ttl_s),
            account,
            account.probe() if number < PROBES else None,
        )
        for number in range(viewers)
    ]


async def perform(
    comments: Sequence[Comment], players: Sequence[Player], speed: float, limit_s: float | None, progress: Progress
) -> None:
    """From the first join to the last reply. Raises the reason when nobody gets in."""
    account = players[0].account
    joining = progress.add_task(f"{len(players)} viewers join", total=None)
    async with asyncio.TaskGroup() as tasks:
        stays = await enter(players, tasks)
        inside = sum(player.seated for player in players)
        progress.remove_task(joining)
        if inside:
            progress.console.print(f"{inside} of {len(players)} viewers are in")
            for probe in account.probes:
                probe.forget()
            speaking = tasks.create_task(speak(comments, players, speed, limit_s, progress))
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, speaking.cancel)
            await asyncio.wait([speaking])
            await until(lambda: not account.waiting, REPLY_SECONDS)
            await until(lambda: not any(map(account.surplus, account.probes)), DRAIN_SECONDS)
        for stay in stays:
            stay.cancel()
    if not inside:
        raise next((player.failure for player in players if player.failure), Unreachable("no welcome came"))


async def enter(players: Sequence[Player], tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
    """All join at a steady rate, until each is in or has given up."""
    stays = []
    for player in players:
        stays.append(tasks.create_task(player.stay()))
        await asyncio.sleep(1 / JOINS_PER_SECOND)
    await until(lambda: all(player.seated or player.failure for player in players), JOIN_SECONDS)
    return stays


async def speak(
    comments: Sequence[Comment], players: Sequence[Player], speed: float, limit_s: float | None, progress: Progress
) -> None:
    """Say everything when it is due: a recorded viewer always speaks through the same player."""
    account, began, origin = players[0].account, time.perf_counter(), comments[0].at
    part = [one for one in comments if limit_s is None or one.at - origin <= limit_s * speed]
    bar = progress.add_task("comments", total=len(part))
    for one in part:
        ahead_s = began + (one.at - origin) / speed - time.perf_counter()
        account.late_s = max(account.late_s, -ahead_s)
        await asyncio.sleep(max(0, ahead_s))
        players[zlib.crc32(one.viewer.encode()) % len(players)].say(one.text)
        progress.advance(bar)


async def until(true: Callable[[], bool], seconds: float) -> None:
    """Or until so long has passed: then the account says what is missing."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not true():  # noqa: ASYNC110 - a level, not an edge: many things change it
                await asyncio.sleep(0.05)
