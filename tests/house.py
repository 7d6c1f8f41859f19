"""A private liveroom for tests: nodes as real processes, viewers as real sockets, one data folder."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from liveroom.tokens import mint
from tests.contracts import wire

SECRET = "a secret of the tests, long enough for HS256"
START_SECONDS = 20.0

numbers = itertools.count(1)


class Node:
    """One `liveroom run` process."""

    running: ClassVar[set[Node]] = set()  # those of the test, and the shared one

    def __init__(self, data: Path, *flags: str, **settings: object) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("LIVEROOM_")}
        environ |= {f"LIVEROOM_{name.upper()}": str(value) for name, value in settings.items()}
        environ["LIVEROOM_SECRET"] = SECRET
        self.log = data.parent / f"{data.name}-node-{next(numbers)}.log"
        command = [sys.executable, "-m", "liveroom", "run", "--dev", "--port", "0", "--data", str(data), *flags]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        self.running.add(self)
        self.url = self.wait_for_url()

    def wait_for_url(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if found := re.search(r"http://127\.0\.0\.1:\d+", self.log.read_text()):
                return found[0]
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"the node did not start:\n{self.log.read_text()}")

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    def kill(self) -> None:
        """As the kernel would: no goodbye."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """As an operator would; gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    @property
    def said(self) -> str:
        return self.log.read_text()

    def http(self, method: str, path: str, body: object = None, token: str = "", **headers: str) -> tuple[int, Any]:
        """Status and JSON (or text) of one request."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method, headers=headers)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, as_json(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, as_json(error.read())

    def wait_until(self, path: str, status: int, seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while True:
            got, body = self.http("GET", path)
            if got == status:
                return
            assert time.monotonic() < deadline, f"{path} is still {got}: {body}"
            time.sleep(0.05)


class House:
    """A data folder and the nodes that share it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.nodes: list[Node] = []

    def node(self, *flags: str, **settings: object) -> Node:
        node = Node(self.data, *flags, **settings)
        self.nodes.append(node)
        return node

    def stop(self) -> None:
        try:
            for node in self.nodes:
                node.stop()
                Node.running.discard(node)
        finally:
            if (self.data / "socket").exists():  # a killed node leaves its socket's folder
                shutil.rmtree(Path(self.redis_socket).parent, ignore_errors=True)

    def recorded(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """What the ledger of the data folder says now."""
        with contextlib.closing(sqlite3.connect(f"file:{self.data / 'ledger.db'}?mode=ro", uri=True)) as ledger:
            return ledger.execute(question, values).fetchall()

    def entries_recorded(self, round_id: str, want: int, seconds: float = 20) -> list[tuple[int, str, str]]:
        """Number, viewer and word of each entry of a round, once so many are in the ledger."""
        deadline = time.monotonic() + seconds
        while True:
            rows = self.recorded("select n, viewer, word from entries where round = ? order by n", round_id)
            if len(rows) >= want or time.monotonic() > deadline:
                return [(n, viewer, word) for n, viewer, word in rows]
            time.sleep(0.1)

    def times_told(self, round_id: str, kind: str, seconds: float = 20) -> int:
        """How often the ledger says that a room was told this of a round; waited for until it is once."""
        deadline = time.monotonic() + seconds
        while True:
            asked = "select count(*) from events where kind = ? and body like ?"
            ((count,),) = self.recorded(asked, kind, f"%{round_id}%")
            if count or time.monotonic() > deadline:
                return int(count)
            time.sleep(0.1)

    @property
    def redis_socket(self) -> str:
        return (self.data / "socket").read_text()


Plant = Callable[..., House]  # see the fixture `plant`


def as_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


def token(room: str = "demo", role: str = "viewer", sub: str = "", **claims: Any) -> str:
    now = claims.pop("now_s", time.time())
    ttl = claims.pop("ttl_s", 3600)
    named = {name: claims.pop(name) for name in ("name", "audience", "issuer") if name in claims}
    sub = sub or f"u{next(numbers)}"
    return mint(SECRET, sub=sub, room=room, role=role, ttl_s=ttl, now_s=now, extra=tuple(claims.items()), **named)


def make_room(node: Node, title: str = "Test") -> str:
    """A fresh open room; its id."""
    room = f"room-{next(numbers)}"
    status, _ = node.http("POST", "/v1/rooms", {"id": room, "title": title}, token("*", "service"))
    assert status == 201
    return room


class Guest:
    """One viewer's socket with everything it ever heard, in order."""

    def __init__(self, socket: ClientConnection, welcome: dict[str, Any]) -> None:
        self.socket = socket
        self.welcome = welcome
        self.heard: list[dict[str, Any]] = []
        self.wrong = [fault for one in [welcome] if (fault := wire.wrong(one))]  # against the published contract
        self.cids = itertools.count(1)
        self.news = asyncio.Event()
        self.closed: int | None = None
        self.reader = asyncio.create_task(self.read())

    async def read(self) -> None:
        try:
            async for frame in self.socket:
                said = json.loads(frame)
                told = said if isinstance(said, list) else [said]
                self.heard += told
                self.wrong += filter(None, map(wire.wrong, told))
                self.news.set()
        except ConnectionClosed:
            pass
        # Outside a `finally`: a cancelled reader has not learnt how the socket ended.
        self.closed = self.socket.close_code
        self.news.set()

    async def wait(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 10) -> dict[str, Any]:
        """The first message heard, or to be heard, that is wanted."""
        async with asyncio.timeout(seconds):
            while True:
                self.news.clear()
                assert not self.wrong, self.wrong
                if found := next((one for one in self.heard if wanted(one)), None):
                    return found
                assert self.closed is None, f"closed with {self.closed} before that came: {self.heard[-5:]}"
                await self.news.wait()

    async def hear(self, kind: str, seconds: float = 10, **fields: Any) -> dict[str, Any]:
        return await self.wait(lambda m: m["t"] == kind and fields.items() <= m.items(), seconds)

    async def closing(self, seconds: float = 10) -> int | None:
        """The close code, once it comes."""
        async with asyncio.timeout(seconds):
            while self.closed is None:
                self.news.clear()
                await self.news.wait()
        return self.closed

    async def send(self, message: object) -> None:
        await self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def ask(self, kind: str, within: float = 10, **fields: Any) -> dict[str, Any]:
        """Send a command and give its reply, `ok` or `error`."""
        cid = next(self.cids)
        await self.send({"t": kind, "cid": cid, **fields})
        reply = await self.wait(lambda m: m.get("cid") == cid, within)
        assert not (fault := wire.wrong(reply, kind)), fault
        return reply

    async def say(self, text: str, **fields: Any) -> dict[str, Any]:
        return await self.ask("chat.say", text=text, **fields)

    def texts(self) -> list[str]:
        """All comments shown so far."""
        return [m["text"] for m in self.heard if m["t"] == "chat.message"]

    def ledger(self) -> list[int]:
        """The numbers of all ledger events so far."""
        return [m["seq"] for m in self.heard if "seq" in m and m["t"] not in ("beat", "welcome", "room.reset", "ok")]

    async def leave(self) -> None:
        self.reader.cancel()
        await self.socket.close()

    def drop(self) -> None:
        """As a dead network would: no close frame."""
        self.reader.cancel()
        self.socket.transport.abort()


async def open_socket(node: Node, room: str, subprotocol: str = "", **options: Any) -> ClientConnection:
    offered = [Subprotocol(subprotocol)] if subprotocol else None
    return await connect(
        f"ws{node.url.removeprefix('http')}/v1/rooms/{room}/ws",
        subprotocols=offered,
        proxy=None,
        compression=None,
        **options,
    )


async def join(
    node: Node, room: str, role: str = "viewer", sub: str = "", *, claims: Any = None, **hello: Any
) -> Guest:
    """A welcomed guest; what came behind the welcome in its frame is kept."""
    socket = await open_socket(node, room)
    secret = hello.pop("token", None) or token(room, role, sub, **(claims or {}))
    await socket.send(json.dumps({"t": "hello", "token": secret, **hello}))
    async with asyncio.timeout(10):
        welcome = json.loads(await socket.recv())
    assert welcome["t"] == "welcome", welcome
    return Guest(socket, welcome)


@contextlib.asynccontextmanager
async def guests(*coming: Any) -> Any:
    """Let several in and see them out."""
    inside = [await one for one in coming]
    try:
        yield inside
    finally:
        for one in inside:
            await one.leave()


async def retried(ask: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """What a client does with TRY_LATER."""
    for _ in range(20):
        said = await ask()
        if said.get("code") != "TRY_LATER":
            return said
        await asyncio.sleep(0.5)
    raise AssertionError(said)
