"""The life of a process: look at Redis, start a node, serve, drain, end."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import structlog
import uvicorn
import uvloop
from msgspec.structs import replace

from liveroom.gateway.front import front_of
from liveroom.gateway.server import PortTaken, Server, listen
from liveroom.gateway.viewer import Viewer
from liveroom.ledger.engine import LedgerTrouble, ledger_url, open_ledger
from liveroom.logs import begin_logs, log_surprise
from liveroom.node import Node, lasting
from liveroom.settings import Settings, without_password
from liveroom.store import scripts
from liveroom.store.embedded import Embedded, NoServer, die_with_parent
from liveroom.store.keys import SHARDS
from liveroom.store.outbox import agree_on_ledger
from liveroom.store.server import WeakServer, client, inspect
from liveroom.wordfile import BadWords, WordFile

log = structlog.get_logger()

SELDOM = (50_000, 20, 50)  # garbage collections: a full one looks at every viewer and stops the tick meanwhile
SWITCH_SECONDS = 0.0005  # how long a thread that draws a lottery may keep the room waiting each time
FEW_FILES = 10_000
LEAVE_SECONDS = 5  # for requests that are being answered when the node stops
DEMO = ("demo", "Demo")


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
