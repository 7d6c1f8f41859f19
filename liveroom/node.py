"""One node: the only place where its objects meet."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import structlog
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.middleware import Middleware

from gameplay.moderation import Sanction
from gameplay.play import Refusal
from liveroom.audience import Audience
from liveroom.chronicle import Chronicle
from liveroom.commands import Desk
from liveroom.comments import Erased
from liveroom.door import Door
from liveroom.drawkeys import DrawKeys
from liveroom.entrance import Entrance
from liveroom.gateway.gateway import Gateway
from liveroom.gateway.origin import Cors
from liveroom.gateway.server import Server
from liveroom.http import dev, metrics
from liveroom.http.api import Api, no_such_call
from liveroom.hub import Hub
from liveroom.ids import Ids, base36
from liveroom.judge import Judge
from liveroom.ledger.archive import Archive
from liveroom.ledger.recorder import Recorder
from liveroom.matching import Matcher
from liveroom.menu import BELLS
from liveroom.metrics import Parts, exposition
from liveroom.moderation import Moderation
from liveroom.prompter import Prompter
from liveroom.rebuild import Rebuilder
from liveroom.referee import Referee
from liveroom.review import Review
from liveroom.room import Limits, Room
from liveroom.settings import Settings
from liveroom.speech import Speech
from liveroom.store.attendance import Attendance
from liveroom.store.bells import Bells
from liveroom.store.chat import Chat
from liveroom.store.clock import Clock
from liveroom.store.crowd import Crowd
from liveroom.store.durable import Durability
from liveroom.store.embedded import Embedded
from liveroom.store.feed import Feed, remembered
from liveroom.store.gather import Gatherer
from liveroom.store.inboxes import Inboxes
from liveroom.store.likes import Likes
from liveroom.store.mail import Mail
from liveroom.store.outbox import Outbox
from liveroom.store.presence import Presence
from liveroom.store.questions import Questions
from liveroom.store.reports import Reports
from liveroom.store.rooms import Rooms
from liveroom.store.rounds import Entered, Gate, Place, Rounds, Row
from liveroom.store.sales import Sales, Shelf, buyers
from liveroom.store.sanctions import Docket
from liveroom.store.server import client
from liveroom.store.warden import Warden
from liveroom.till import Till
from liveroom.tokens import Tokens
from liveroom.wordfile import WordFile

log = structlog.get_logger()

AGAIN_SECONDS = 1
RECORDER_LEASE_MS = 5000
LAST_FACTS_SECONDS = 3
LAST_FLUSHES = 20  # of likes, when the node stops: each takes 500 viewers of a room
EARS_SECONDS = 3
FORGET_SECONDS = 60  # people who left are forgotten after that


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
        self.settings = settings
        self.urls = urls
        self.tasks = tasks
        self.wait, self.shards = settings.redis_seconds, settings.shards
        self.name = base36(secrets.randbelow(36**6), 6)
        self.ids = Ids(self.name)
        self.crash = crasher(settings)
        self.patient: set[asyncio.Task[None]] = set()  # what tries again and again, and must not outlive the node
        self.embedded: Embedded | None = None
        self.reach_servers()
        self.keep_books(engine)
        self.hear_the_crowd()
        self.count_who_attends()
        self.play()
        self.sell()
        self.moderate()
        self.read_along()
        self.let_in()
        self.obey(words)

    def reach_servers(self) -> None:
        truth, live = self.urls
        self.clock = Clock()
        self.live_clock = self.clock if live == truth else Clock()
        self.truth, self.live = client(truth, self.wait), client(live, self.wait)
        self.writer = client(live, self.wait, connections=1)

    def keep_books(self, engine: AsyncEngine) -> None:
        """The rooms of this node, their truth in Redis, and the ledger."""
        settings, same = self.settings, self.urls[0] == self.urls[1]
        limits = Limits(**{name: getattr(settings, name) for name in Limits.__struct_fields__})
        self.hub = Hub(limits, asyncio.get_running_loop(), self.clock.now_ms)
        self.archive = Archive(engine)
        boxes = [self.truth] if same else [self.truth, self.live]  # sessions are counted beside the crowd
        self.recorders = [Recorder(engine, Outbox(one, self.shards, self.name, RECORDER_LEASE_MS)) for one in boxes]
        self.records = False  # the facts of this Redis go to this ledger
        known = remembered(self.hub), self.archive.room
        self.rooms = Rooms(self.truth, self.shards, settings.resume_events, *known, self.rebuild)
        self.docket = Docket(self.rooms)

    def hear_the_crowd(self) -> None:
        """Comments, likes, what is told to one alone, questions."""
        self.crowd = Crowd(
            self.writer,
            self.clock,
            self.live_clock,
            self.shards,
            self.name,
            deaf=self.deaf,
            erased=self.erased,
            budget=self.settings.crowd_budget,
            seconds=self.wait,
            history=self.settings.history,
        )
        self.likes = Likes(self.live, self.shards, self.name, self.wait)
        self.inboxes = Inboxes(self.rooms, self.live)
        self.mail = Mail(self.inboxes, self.wait, self.spawn_patient)
        self.questions = Questions(self.live, self.shards, self.name, self.wait, self.clock.now_ms)
        self.prompter = Prompter(self.hub, self.questions, self.wait, self.clock.now_ms)

    def count_who_attends(self) -> None:
        grace_ms = int(self.settings.grace_seconds * 1000)
        new_id = lambda: self.ids.new(self.live_clock.now_ms())  # noqa: E731
        self.attendance = Attendance(
            self.live,
            self.shards,
            self.name,
            grace_ms=grace_ms,
            seconds=self.wait,
            new_id=new_id,
            server_ms=self.live_clock.now_ms,
        )
        self.audience = Audience(
            self.hub, self.rooms, self.attendance, self.ids, self.live_clock.now_ms, self.spawn
        )
        self.presence = Presence(
            self.live,
            self.shards,
            self.name,
            grace_ms=grace_ms,
            new_id=new_id,
            lease=self.settings.lease_seconds,
            seconds=self.wait,
            now=asyncio.get_running_loop().time,
            server_ms=self.live_clock.now_ms,
        )
        self.presence.lapsed = self.audience.here_still

    def play(self) -> None:
        """Rounds."""
        self.rounds = Rounds(self.rooms, self.live, self.settings.offer_seconds)
        self.durability = Durability(self.truth, relaxed=self.settings.durability == "relaxed", seconds=self.wait)
        keys = DrawKeys(self.settings.draw_key or self.settings.secret)
        self.gatherer = Gatherer(self.enter, self.wait, self.spawn, self.crash)
        self.entrance = Entrance(self.rounds, self.gatherer, keys, self.attendance.watched, self.spawn)
        self.chronicle = Chronicle(self.rounds, self.inboxes, self.archive, keys)
        self.referee = Referee(
            self.rounds,
            self.clock,
            self.ids,
            keys,
            archive=self.archive,
            durability=self.durability,
            currency=self.settings.currency,
            spawn=self.spawn,
            crash=self.crash,
        )
        self.bells = Bells(self.truth, self.shards, self.wait, self.clock.now_ms, self.ring)

    def sell(self) -> None:
        sales = Sales(self.rounds, self.durability, changed=self.remember, wanted=self.rebuild)
        self.rebuilder = Rebuilder(sales, self.docket, self.archive, self.clock, self.ids, self.spawn_patient)
        self.till = Till(
            sales,
            self.durability,
            self.clock,
            self.ids,
            seconds=self.wait,
            spawn=self.spawn,
            crash=self.crash,
        )

    def moderate(self) -> None:
        self.warden = Warden(self.hub, self.docket, self.banned)
        self.chat = Chat(self.rooms, self.live)
        reports = Reports(self.live, self.shards)
        self.moderation = Moderation(
            self.docket, self.chat, reports, self.questions, self.inboxes, self.ids, self.spawn
        )

    def read_along(self) -> None:
        """What all nodes tell."""
        self.feed = Feed(
            self.hub,
            self.rooms,
            self.rounds,
            self.inboxes,
            self.live,
            self.clock,
            self.live_clock,
            node=self.name,
            urls=self.urls,
            seconds=self.wait,
            hold_seconds=self.settings.hold_seconds,
            spawn=self.spawn,
            seated=self.seated,
            stirred=self.till.latches.stirred,
            begun_anew=self.rebuilder.begun_anew,
            began=self.audience.began,
            warden=self.warden,
        )

    def let_in(self) -> None:
        self.tokens = Tokens(self.settings)
        self.door = Door(
            self.hub,
            self.feed,
            self.presence,
            self.crowd,
            self.chronicle,
            self.attendance,
            self.docket,
            heartbeat_ms=self.settings.heartbeat_ms,
            connections=self.settings.connections,
            window_ms=self.settings.window_ms,
            spawn=self.spawn,
        )

    def obey(self, words: WordFile | None) -> None:
        speech = Speech(
            self.settings,
            self.ids,
            self.rooms,
            self.live,
            self.crowd,
            self.entrance,
            Judge(self.settings, Matcher(words)),
            Review(self.settings, self.clock.now_ms),
            self.chat,
            self.mail,
            self.questions,
            self.spawn,
        )
        self.desk = Desk(
            self.clock,
            self.ids,
            self.rooms,
            self.live,
            self.likes,
            self.attendance,
            self.mail,
            speech.verbs
            | self.entrance.verbs
            | self.referee.verbs
            | self.till.verbs
            | self.audience.verbs
            | self.moderation.verbs,
            self.spawn,
        )
        self.gateway = Gateway(self.settings, self.clock, self.tokens, self.door, self.desk)

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

    def erased(self, room: str) -> Erased:
        """What was deleted of a room lately."""
        held = self.hub.rooms.get(room)
        return held.erased if held else Erased()

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
            Cors,
            dev=self.settings.dev,
            allow_origins=list(self.settings.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
            expose_headers=["Retry-After"],
        )
        told = metrics.routes(self.settings, exposition(self.parts(lambda: not api.unready(), leaving)))
        unknown = {404: no_such_call, 405: no_such_call}
        return Starlette(routes=[*api.routes(), *told, *pages], middleware=[cors], exception_handlers=unknown)


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
