"""The only place where the objects of a node meet."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
import uvicorn
import uvloop
from msgspec.structs import replace
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from gameplay.moderation import Sanction
from gameplay.play import Refusal
from liveroom.audience import Audience
from liveroom.chronicle import Chronicle
from liveroom.commands import Desk
from liveroom.door import Door
from liveroom.drawkeys import DrawKeys
from liveroom.entrance import Entrance
from liveroom.gateway.front import front_of
from liveroom.gateway.gateway import Gateway
from liveroom.gateway.server import PortTaken, Server, listen
from liveroom.gateway.viewer import Viewer
from liveroom.http import dev, metrics
from liveroom.http.api import Api
from liveroom.hub import Hub
from liveroom.ids import Ids, base36
from liveroom.judge import Judge
from liveroom.ledger.archive import Archive
from liveroom.ledger.engine import LedgerTrouble, ledger_url, open_ledger
from liveroom.ledger.recorder import Recorder
from liveroom.logs import begin_logs, log_surprise
from liveroom.matching import Matcher
from liveroom.menu import BELLS
from liveroom.metrics import Parts, exposition
from liveroom.moderation import Moderation
from liveroom.prompter import Prompter
from liveroom.rebuild import Rebuilder
from liveroom.referee import Referee
from liveroom.review import Review
from liveroom.room import Limits, Room
from liveroom.settings import Settings, without_password
from liveroom.store import scripts
from liveroom.store.attendance import Attendance
from liveroom.store.bells import Bells
from liveroom.store.chat import Chat
from liveroom.store.clock import Clock
from liveroom.store.crowd import Crowd
from liveroom.store.durable import Durability
from liveroom.store.embedded import Embedded, NoServer, die_with_parent
from liveroom.store.feed import Feed, remembered
from liveroom.store.gather import Gatherer
from liveroom.store.inboxes import Inboxes
from liveroom.store.keys import SHARDS
from liveroom.store.likes import Likes
from liveroom.store.mail import Mail
from liveroom.store.outbox import Outbox, agree_on_ledger
from liveroom.store.presence import Presence
from liveroom.store.questions import Questions
from liveroom.store.reports import Reports
from liveroom.store.rooms import Rooms
from liveroom.store.rounds import Entered, Gate, Place, Rounds, Row
from liveroom.store.sales import Sales, Shelf, buyers
from liveroom.store.sanctions import Docket
from liveroom.store.server import WeakServer, client, inspect
from liveroom.store.warden import Warden
from liveroom.till import Till
from liveroom.tokens import Tokens
from liveroom.wordfile import BadWords, WordFile

log = structlog.get_logger()

SELDOM = (50_000, 20, 50)  # garbage collections: a full one looks at every viewer and stops the tick meanwhile
SWITCH_SECONDS = 0.0005  # how long a thread that draws a lottery may keep the room waiting each time
FEW_FILES = 10_000
AGAIN_SECONDS = 1
RECORDER_LEASE_MS = 5000
LAST_FACTS_SECONDS = 3
LAST_FLUSHES = 20  # of likes, when the node stops: each takes 500 viewers of a room
EARS_SECONDS = 3
LEAVE_SECONDS = 5  # for requests that are being answered when the node stops
FORGET_SECONDS = 60  # people who left are forgotten after that
DEMO = ("demo", "Demo")


class Node:
    """One process: its rooms, its viewers, and what it knows of Redis."""

    def __init__(
        self,
        settings: Settings,
        urls: tuple[str, str],
        engine: AsyncEngine,
        tasks: asyncio.TaskGroup,
        words: WordFile | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        truth, live = urls
        wait, shards = settings.redis_seconds, settings.shards
        self.settings = settings
        self.tasks = tasks
        self.name = base36(secrets.randbelow(36**6), 6)
        self.ids = Ids(self.name)
        self.clock = Clock()
        self.live_clock = self.clock if live == truth else Clock()
        self.truth = client(truth, wait)
        self.live = client(live, wait)
        writer = self.writer = client(live, wait, connections=1)
        limits = Limits(**{name: getattr(settings, name) for name in Limits.__struct_fields__})
        self.hub = Hub(limits, loop, self.clock.now_ms)
        self.archive = Archive(engine)
        boxes = [self.truth] if live == truth else [self.truth, self.live]  # sessions are counted beside the crowd
        self.recorders = [Recorder(engine, Outbox(one, shards, self.name, RECORDER_LEASE_MS)) for one in boxes]
        self.records = False  # the facts of this Redis go to this ledger
        known = remembered(self.hub), self.archive.room
        self.rooms = Rooms(self.truth, shards, settings.resume_events, *known, self.rebuild)
        self.crowd = Crowd(
            writer,
            self.clock,
            self.live_clock,
            shards,
            self.name,
            deaf=self.deaf,
            budget=settings.crowd_budget,
            seconds=wait,
            history=settings.history,
        )
        self.likes = Likes(self.live, shards, self.name, wait)
        crash = crasher(settings)
        self.rounds = Rounds(self.rooms, self.live, settings.offer_seconds)
        inboxes = Inboxes(self.rooms, self.live)
        keys = DrawKeys(settings.draw_key or settings.secret)
        self.gatherer = Gatherer(self.enter, wait, self.spawn, crash)
        durability = Durability(self.truth, relaxed=settings.durability == "relaxed", seconds=wait)
        sales = Sales(self.rounds, durability, changed=self.remember, wanted=self.rebuild)
        docket = Docket(self.rooms)
        self.patient: set[asyncio.Task[None]] = set()  # what tries again and again, and must not outlive the node
        self.mail = Mail(inboxes, wait, self.spawn_patient)
        self.questions = Questions(self.live, shards, self.name, wait, self.clock.now_ms)
        self.prompter = Prompter(self.hub, self.questions, wait, self.clock.now_ms)
        self.rebuilder = Rebuilder(sales, docket, self.archive, self.clock, self.ids, self.spawn_patient)
        self.till = Till(
            sales,
            durability,
            self.clock,
            self.ids,
            seconds=wait,
            spawn=self.spawn,
            crash=crash,
        )
        self.entrance = Entrance(self.rounds, self.gatherer, keys, self.spawn)
        self.chronicle = Chronicle(self.rounds, inboxes, self.archive, keys)
        self.referee = Referee(
            self.rounds,
            self.clock,
            self.ids,
            keys,
            archive=self.archive,
            durability=durability,
            currency=settings.currency,
            spawn=self.spawn,
            crash=crash,
        )
        self.bells = Bells(self.truth, shards, wait, self.clock.now_ms, self.ring)
        new_id = lambda: self.ids.new(self.live_clock.now_ms())  # noqa: E731
        grace_ms = int(settings.grace_seconds * 1000)
        self.attendance = Attendance(
            self.live,
            shards,
            self.name,
            grace_ms=grace_ms,
            seconds=wait,
            new_id=new_id,
            server_ms=self.live_clock.now_ms,
        )
        self.audience = Audience(
            self.hub, self.rooms, self.attendance, self.ids, self.live_clock.now_ms, self.spawn
        )
        self.presence = Presence(
            self.live,
            shards,
            self.name,
            grace_ms=grace_ms,
            new_id=new_id,
            lease=settings.lease_seconds,
            seconds=wait,
            now=loop.time,
            server_ms=self.live_clock.now_ms,
        )
        self.presence.lapsed = self.audience.here_still
        self.warden = Warden(self.hub, docket, self.banned)
        self.feed = Feed(
            self.hub,
            self.rooms,
            self.rounds,
            inboxes,
            self.live,
            self.clock,
            self.live_clock,
            node=self.name,
            urls=urls,
            seconds=wait,
            hold_seconds=settings.hold_seconds,
            spawn=self.spawn,
            seated=self.seated,
            stirred=self.till.latches.stirred,
            begun_anew=self.rebuilder.begun_anew,
            began=self.audience.began,
            warden=self.warden,
            erased=self.crowd.erase,
        )
        self.door = Door(
            self.hub,
            self.feed,
            self.presence,
            self.crowd,
            self.chronicle,
            self.attendance,
            docket,
            heartbeat_ms=settings.heartbeat_ms,
            connections=settings.connections,
            window_ms=settings.window_ms,
            spawn=self.spawn,
        )
        chat, reports = Chat(self.rooms, self.live), Reports(self.live, shards)
        self.moderation = Moderation(docket, chat, reports, self.questions, self.ids, self.spawn)
        self.desk = Desk(
            settings,
            self.clock,
            self.ids,
            self.rooms,
            self.live,
            self.crowd,
            self.likes,
            self.entrance,
            {**self.referee.verbs, **self.till.verbs, **self.audience.verbs, **self.moderation.verbs},
            self.attendance,
            Judge(settings, Matcher(words)),
            Review(settings, self.clock.now_ms),
            chat,
            self.mail,
            self.questions,
            self.spawn,
        )
        self.tokens = Tokens(settings)
        self.gateway = Gateway(settings, self.clock, self.tokens, self.door, self.desk)
        self.embedded: Embedded | None = None

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Everything that waits has this node as its parent; a surprise is logged once, here."""
        return self.tasks.create_task(surprised(work))

    def spawn_patient(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """The same for what waits for a server to come back: it ends with the node."""
        task = self.spawn(work)
        self.patient.add(task)
        task.add_done_callback(self.patient.discard)
        return task

    async def enter(self, gate: Gate, rows: list[Row]) -> list[tuple[Place, Entered]] | Refusal:
        """Entries that were gathered."""
        entered = await self.rounds.enter(gate, self.ids.new(self.clock.now_ms()), rows)
        return entered if isinstance(entered, Refusal) else [(place, entered) for place in entered.places]

    def ring(self, room: str, round_id: str, what: str) -> None:
        """A bell is due."""
        (self.till if what in BELLS else self.referee).ring(room, round_id, what)

    def rebuild(self, room: str) -> None:
        """The sales of a room must be rebuilt."""
        self.rebuilder.wanted(room)

    def remember(self, shelf: Shelf, holds: Sequence[bytes]) -> None:
        """Holds were changed by this node."""
        self.rebuilder.remember(shelf, holds)
        for viewer in buyers(holds):
            self.attendance.acted(shelf.room, viewer, "heavy")

    def deaf(self) -> bool:
        """What was published now would not come back to this node's own viewers."""
        return not self.feed.crowd_ear.hearing

    def seated(self, room: Room, node: str, viewer: str, homes: int, device: str) -> None:
        if node != self.name:
            self.door.seated(room, viewer, homes, device)

    def banned(self, room: Room, ban: Sanction) -> None:
        """Somebody may no longer be in a room."""
        self.door.banned(room, ban)

    async def listening(self) -> None:
        """Wait a little until both subscriptions stand."""
        for _ in range(EARS_SECONDS * 100):
            if self.feed.truth_ear.hearing and self.feed.crowd_ear.hearing:
                return
            await asyncio.sleep(0.01)

    def start(self) -> list[asyncio.Task[None]]:
        """The tasks that run as long as the node does."""
        works = (
            self.crowd.run,
            self.likes.run,
            self.presence.run,
            self.presence.ring,
            self.attendance.run,
            self.attendance.sweep,
            self.audience.run,
            self.questions.run,
            self.prompter.run,
            self.bells.run,
            self.feed.run,
            self.feed.truth_ear.run,
            self.feed.crowd_ear.run,
            self.feed.tell_likes,
            self.gateway.sweep,
            self.seconds,
            *([recorder.run for recorder in self.recorders] if self.records else []),
        )
        return [self.tasks.create_task(lasting(work)) for work in works]

    async def seconds(self) -> None:
        """What is done once a second for all rooms."""
        while True:
            await asyncio.sleep(1)
            totals = {room.info.id: room.counted for room in self.hub.rooms.values()}
            for room in list(self.hub.rooms.values()):
                self.hub.second(room)
                self.hub.forget(room, FORGET_SECONDS)
            try:
                await self.crowd.second(totals)
                self.feed.let_go(lambda room: room.info.id not in self.door.busy)
            except (RedisError, OSError, TimeoutError):
                continue

    async def aclose(self) -> None:
        with suppress(RedisError, OSError, TimeoutError):
            await self.mail.finish()
            await self.questions.flush()
            await self.attendance.flush()
            await self.crowd.save()
            for _ in range(LAST_FLUSHES):
                if self.likes.gathered or self.likes.unanswered:
                    await self.likes.flush()
            if self.records:
                async with asyncio.timeout(LAST_FACTS_SECONDS):
                    for recorder in self.recorders:
                        await recorder.finish()
        for redis in (self.truth, self.live, self.writer):
            await redis.aclose()
        await self.archive.engine.dispose()

    def parts(self, ready: Callable[[], bool], leaving: Callable[[], bool]) -> Parts:
        """What `/metrics` tells of."""
        return Parts(
            self.hub,
            self.gateway,
            self.door,
            self.crowd,
            self.feed,
            self.clock,
            self.live_clock,
            self.gatherer.took,
            self.till.gatherer.took,
            self.recorders,
            self.records,
            self.embedded,
            ready,
            leaving,
        )

    def web(self, server: list[Server]) -> Starlette:
        """The HTTP application; ``server`` will hold the server, which knows whether it is leaving."""
        leaving = lambda: self.gateway.draining or (bool(server) and server[0].left)  # noqa: E731
        parts = self.hub, self.rooms, self.feed, self.desk, self.chronicle
        asks = self.till, self.audience, self.prompter, self.moderation
        api = Api(self.tokens, self.clock, *parts, *asks, self.ids, leaving, self.gateway.heard)
        pages = dev.routes(self.settings, lambda: self.clock.now_ms() / 1000, self.till) if self.settings.dev else []
        cors = Middleware(
            CORSMiddleware,
            allow_origins=list(self.settings.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
            expose_headers=["Retry-After"],
        )
        told = metrics.routes(self.settings, exposition(self.parts(lambda: not api.unready(), leaving)))
        return Starlette(routes=[*api.routes(), *told, *pages], middleware=[cors])


def crasher(settings: Settings) -> Callable[[str], None]:
    """For tests of what happens when a node dies: kills this process at the named point, as the kernel would."""

    def crash(point: str) -> None:
        if settings.dev and point == settings.crash_at:
            os.kill(os.getpid(), signal.SIGKILL)

    return crash


async def lasting(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run for as long as the node does: what fails is logged and begun again."""
    while True:
        await surprised(work())
        await asyncio.sleep(AGAIN_SECONDS)


async def surprised(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end; log what nobody expected instead of taking the node down with it."""
    try:
        await work
    except Exception:
        log.exception("a task of the node failed", task=getattr(work, "__qualname__", "?"))


def serve(settings: Settings, *, show: bool = False) -> int:
    """Run a node in this process until it is told to stop. Gives the exit code."""
    begin_logs(settings.log_format, settings.log_level)
    raise_file_limit()
    embedded: Embedded | None = None
    listener: socket.socket | None = None
    try:
        listener = listen(settings.host, settings.port, reuse_port=settings.reuse_port)
        words = WordFile(Path(settings.word_list)) if settings.word_list else None
        if not settings.redis:
            embedded = Embedded(Path(settings.data))
            embedded.start()
            settings = replace(settings, redis=embedded.url)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(live(settings, listener, embedded, words, show))
    except (NoServer, WeakServer, PortTaken, LedgerTrouble, BadWords) as error:
        sys.stderr.write(f"liveroom: {error}\n")
        return 2
    finally:
        if listener is not None:
            listener.close()
        if embedded is not None:
            embedded.stop()
    return 0


async def live(
    settings: Settings, listener: socket.socket, embedded: Embedded | None, words: WordFile | None, show: bool
) -> None:
    """The life of a node: check Redis, start the tasks, serve, drain, end."""
    urls = (settings.redis, settings.live_redis or settings.redis)
    for url in dict.fromkeys(urls):
        report = await inspect(url)
        if embedded is None:
            for well, line in report.remarks:
                (log.info if well else log.warning)(line, redis=without_password(url))
    await agree_on_shards(urls[0], settings)
    engine = await open_ledger(ledger_url(settings.ledger, Path(settings.data)))
    url = base_url(listener)
    asyncio.get_running_loop().set_exception_handler(log_surprise)
    async with asyncio.TaskGroup() as tasks:
        node = Node(settings, urls, engine, tasks, words)
        node.embedded = embedded
        await prepare(node)
        running = node.start()
        if embedded is not None:
            running.append(tasks.create_task(lasting(embedded.keep)))
        if words is not None:
            running.append(tasks.create_task(lasting(words.keep)))
        known: list[Server] = []
        config = uvicorn.Config(
            node.web(known),
            http=front_of(node.gateway),
            ws=Viewer,
            log_config=None,
            access_log=False,
            lifespan="off",
            root_path=settings.root_path,
            server_header=False,
            timeout_graceful_shutdown=LEAVE_SECONDS,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies) or None,
        )
        server = Server(config, node.gateway.drain)
        known.append(server)
        actor = start_show(settings, url) if show else None
        await node.listening()
        announce(settings, url)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*SELDOM)
        sys.setswitchinterval(SWITCH_SECONDS)
        try:
            await server.serve(sockets=[listener])
        finally:
            stop_show(actor)
            await ended([*running, *node.patient])
            await node.aclose()


async def ended(running: list[asyncio.Task[None]]) -> None:
    """Cancel, and again: a library may take a cancellation for a time-out of its own and swallow it."""
    waiting = set(running)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=0.5)


async def agree_on_shards(url: str, settings: Settings) -> None:
    """The number of shards is part of every key: it is written once. Raises WeakServer where it is another."""
    redis = client(url, settings.redis_seconds)
    kept = await redis.set(SHARDS, settings.shards, nx=True, get=True)
    await redis.aclose()
    if kept is not None and int(kept) != settings.shards:
        raise WeakServer(f"this data was written with shards = {int(kept)}; set shards to that and start again")


async def prepare(node: Node) -> None:
    """What must stand before the first viewer: the verbs, the clock, the demo room."""
    await scripts.load(node.truth)
    await scripts.load(node.live)
    await node.clock.probe(node.truth)
    await node.live_clock.probe(node.live)
    node.records = await agree_on_ledger(node.truth, await node.archive.ledger.identity())
    node.feed.fresh = True
    if node.settings.dev:
        await node.rooms.create(*DEMO, "", node.ids.new(node.clock.now_ms()))


def base_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{host}:{port}"


def announce(settings: Settings, url: str) -> None:
    """Say what to open and what to type; and leave the address where the tools look for it."""
    if not settings.dev:
        log.info("serving", url=url)
        return
    data = Path(settings.data)
    data.mkdir(parents=True, exist_ok=True)
    (data / "url").write_text(url)
    more = "" if data == Path("./.liveroom") else f" --data {settings.data}"
    command = ".venv/bin/liveroom" if ".venv" in sys.executable else "liveroom"
    sys.stdout.write(
        f"liveroom is live.\n"
        f"  watch it       {url}/?room=demo\n"
        f"  be the host    {url}/?room=demo&role=host\n"
        f"  in a terminal  {command} watch demo{more}\n"
        f"  say something  {command} send demo room.notice text=hello{more}\n"
        f"  draw lots      {command} send demo lottery.open prize=cup winners=3 keyword=想要 seconds=60{more}\n"
        f"  sell a little  {command} send demo sale.open item=mug price=9900 stock=5 seconds=120{more}\n"
        f"Ctrl-C stops it.\n"
    )
    sys.stdout.flush()


def start_show(settings: Settings, url: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "liveroom.show", "--url", url, "--data", settings.data, "--room", DEMO[0]]
    guard = die_with_parent if sys.platform == "linux" else None
    environ = os.environ | ({"LIVEROOM_SECRET": settings.secret} if settings.secret else {})
    return subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, start_new_session=True, preexec_fn=guard)


def stop_show(actor: subprocess.Popen[bytes] | None) -> None:
    if actor is None:
        return
    actor.send_signal(signal.SIGTERM)
    try:
        actor.wait(3)
    except subprocess.TimeoutExpired:
        actor.kill()
        actor.wait()


def raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < FEW_FILES:
        log.warning("few open files are allowed: each viewer needs one; raise the hard limit (ulimit -Hn)", limit=hard)
