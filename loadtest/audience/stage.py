"""A plan played over real sockets: everybody comes and goes when it is time, and it is noted when that was."""

from __future__ import annotations

import asyncio
import json
import math
import urllib.error
import urllib.request
from collections import Counter
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import numpy as np
from websockets.exceptions import ConnectionClosed

from liveroom.client import CUT, Closed, Message, Unanswered, Unreachable, socket_url
from liveroom.client import Viewer as Guest
from liveroom.client.link import Link
from liveroom.sessions import Recording
from loadtest.audience.nodes import House
from loadtest.audience.plan import Plan, Visit, Visits
from loadtest.audience.scenario import MINUTE, Giveaway
from loadtest.audience.verdict import Kept, Report
from loadtest.contestants import token

WELCOME_SECONDS = 10.0
BETWEEN_SECONDS = 0.7  # the stream ends well between two starts of a bucket: noise does not decide what is in it
LATEST_SECONDS = 0.5  # before the end nobody sets out: who came behind it would begin a stream by himself
HEARD_SECONDS = 0.05  # a frame is surely heard before the connection breaks
SILENT_SPARE = 3.0  # seconds that somebody silent stays behind the time at which he should be noticed
ASKED_AT = (0.3, 0.5, 0.7, 0.9)  # parts of the show, at which the report is asked for while it runs
LAST_SECONDS = 30.0  # so long the last report is waited for
LOOK_SECONDS = 1.5  # a report is made once a second at most


class Stage:
    """One show. Times that are noted are seconds since the stream began, by our clock."""

    def __init__(self, house: House, room: str, plan: Plan, speed: float) -> None:
        self.house, self.room, self.plan, self.speed = house, room, plan, speed
        self.joined = np.full(len(plan.visits.viewer), np.nan)
        self.left = np.full(len(plan.visits.viewer), np.inf)
        self.begun = self.ended = math.nan
        self.begun_ms = 0.0  # by the room's clock
        self.stream = ""
        self.over = asyncio.Event()
        self.latest = 0.0  # behind the plan
        self.live: list[Report] = []
        self.said: Report = {}
        self.pushed: list[int] = []  # how many were here, as the host was told
        self.faults: Counter[str] = Counter()

    def now(self) -> float:
        return asyncio.get_running_loop().time() - self.begun

    def token(self, who: str, role: str = "viewer") -> str:
        return token(self.house.secret.encode(), who, role, room=self.room)

    async def until(self, planned_s: float) -> None:
        """A moment of the plan, which may be the end."""
        if math.isfinite(planned_s):
            await asyncio.sleep(max(0.0, planned_s / self.speed - self.now()))
        else:
            await self.over.wait()

    def kept(self, planned_s: float) -> float:
        """Now, when something was done that was due then."""
        at = self.now()
        self.latest = max(self.latest, at - planned_s / self.speed)
        return at

    # -- the host --

    async def play(self) -> None:
        url = self.house.urls[0]
        async with Guest(url, self.room, self.token("host", "host"), ping_seconds=0) as host:
            self.stream = (await self.command(host, "stream.start", title="Audience")).get("id", "")
            self.begun = asyncio.get_running_loop().time()
            self.begun_ms = (await host.ask({"t": "time.ping", "c0": 0}))["s2"]
            await self.command(host, "retention.watch", on=True)
            async with asyncio.TaskGroup() as tasks:
                for n, visit in enumerate(self.plan.each()):
                    tasks.create_task(self.attend(n, visit))
                for giveaway in self.plan.scenario.giveaways:
                    tasks.create_task(self.announce(host, giveaway))
                for part in ASKED_AT:
                    tasks.create_task(self.ask_live(part))
                tasks.create_task(self.stop(host))
            self.said = await self.last_report()
            if self.said["stream"]["id"] != self.stream:
                self.faults["another stream began behind the show"] += 1
            self.count_pushes(host)

    async def command(self, host: Guest, kind: str, **fields: Any) -> Message:
        try:
            reply: Message = await host.ask({"t": kind, **fields})
        except (Closed, Unanswered) as error:
            reply = {"code": str(error)}
        if reply.get("t") != "ok":
            self.faults[f"{kind}: {reply.get('code')}"] += 1
        return reply

    async def announce(self, host: Guest, giveaway: Giveaway) -> None:
        await self.until(giveaway.announced_min * MINUTE)
        drawn_s = giveaway.drawn_min * MINUTE / self.speed
        await self.command(host, "play.announce", what=giveaway.what, at=int(self.begun_ms + drawn_s * 1000))

    async def stop(self, host: Guest) -> None:
        await self.until(self.plan.scenario.seconds)
        await asyncio.sleep(BETWEEN_SECONDS)
        await self.command(host, "stream.stop")
        self.ended = self.now()
        self.over.set()

    def count_pushes(self, host: Guest) -> None:
        while not host.pushed.empty():
            message = host.pushed.get_nowait()
            if message is not None and message["t"] == "retention.live":
                self.pushed.append(message["online"]["now"])

    # -- viewers --

    async def attend(self, n: int, visit: Visit) -> None:
        await self.until(visit.joined)
        if self.now() > self.plan.scenario.seconds / self.speed - LATEST_SECONDS:
            return
        try:
            link = await self.enter(visit)
        except (Closed, Unreachable, TimeoutError) as error:
            self.faults[f"a join that failed: {error!r}"] += 1
            return
        self.joined[n] = self.kept(visit.joined)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(drain(link))
            try:
                await self.until(visit.left)
                if reading.done():
                    self.faults[f"a connection that the server ended with {link.socket.close_code or CUT}"] += 1
                if math.isfinite(visit.left):
                    self.left[n] = self.kept(visit.left)
                await self.leave(link, visit.how, reading)
            finally:
                reading.cancel()
                link.socket.transport.abort()

    async def enter(self, visit: Visit) -> Link:
        """Raises Closed, Unreachable or TimeoutError."""
        url = self.house.urls[visit.node % len(self.house.urls)]
        async with asyncio.timeout(WELCOME_SECONDS):
            link = await Link.open(socket_url(url, self.room), "json")
            try:
                await link.tell({"t": "hello", "token": self.token(f"v{visit.viewer}"), "source": visit.source})
                await link.hear()
            except BaseException:
                link.socket.transport.abort()
                raise
        return link

    async def leave(self, link: Link, how: str, reading: asyncio.Task[None]) -> None:
        """The last that is heard of him is now: a frame, or the close."""
        if how == "conn_error":
            await last_word(link)
            await asyncio.sleep(HEARD_SECONDS)
            link.socket.transport.abort()
        elif how == "ping_timeout":
            await last_word(link)
            reading.cancel()
            link.socket.transport.pause_reading()
            await self.stay_silent()
        else:
            with suppress(Closed):
                if how == "background":
                    await link.tell({"t": "presence.set", "visible": False})
                await link.close()

    async def stay_silent(self) -> None:
        """Until the server has noticed that nothing is heard any more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.plan.scenario.noticed_s / self.speed + SILENT_SPARE):
                await self.over.wait()

    # -- what the server says --

    async def ask_live(self, part: float) -> None:
        await self.until(part * self.plan.scenario.seconds)
        self.live.append(await self.report())

    async def report(self) -> Report:
        url = self.house.urls[len(self.live) % len(self.house.urls)]
        return await asyncio.to_thread(ask, url, self.room, self.token("host", "host"))

    async def last_report(self) -> Report:
        """When it does not change any more."""
        await asyncio.sleep(self.house.grace_s + LOOK_SECONDS)
        said = await self.report()
        deadline = self.now() + LAST_SECONDS
        while self.now() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
            before, said = said, await self.report()
            if before == said:
                break
        return said

    # -- what was true --

    def visits(self) -> Visits:
        """As they were; who was not let in never came."""
        came = np.isfinite(self.joined)
        rows = self.plan.visits._replace(joined=self.joined, left=self.left)
        return Visits._make(column[came] for column in rows)

    def kept_so_far(self) -> Kept:
        acts = int(np.isfinite(self.joined).sum() + np.isfinite(self.left).sum())
        spare_s = (1 - self.plan.scenario.reconnects.cut_away[1]) * self.house.grace_s
        faults = [f"{count} × {what}" for what, count in sorted(self.faults.items())]
        return Kept(acts, self.latest, spare_s, faults, self.pushed)

    def recording(self) -> Recording:
        return Recording(0.0, self.ended, self.house.grace_s)


async def last_word(link: Link) -> None:
    with suppress(ConnectionClosed):
        await link.socket.ping()


async def drain(link: Link) -> None:
    """Whoever does not read is cut off."""
    with suppress(ConnectionClosed):
        async for _ in link.socket:
            pass


def ask(url: str, room: str, host: str) -> Report:
    """Raises OSError."""
    address = f"{url.rstrip('/')}/v1/rooms/{quote(room, safe='')}/retention"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {host}"})
    with urllib.request.urlopen(request, timeout=WELCOME_SECONDS) as answer:
        said: Report = json.loads(answer.read())
    return said
