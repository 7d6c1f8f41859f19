"""A recorded chat said again by real viewers over WebSocket, and the account of what became of each comment."""

from __future__ import annotations

import asyncio
import itertools
import random
import resource
import signal
import ssl
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from websockets.frames import Frame, Opcode
from websockets.utils import accept_key, generate_key

from liveroom.client import After, Closed, Message, Unreachable, after, closed, pause_s, socket_url, unpacked
from liveroom.remote import Server, Trouble, trouble
from liveroom.replay_files import Broken, Comment, closed_gaps, read, window

PROBES = 10  # viewers that read everything; the others decode replies only
JOINS_PER_SECOND = 1000
JOIN_SECONDS = 30
REPLY_SECONDS = 10
DRAIN_SECONDS = 5
SHOWN_FAULTS = 5
SPARE_FILES = 100
MOST_HEAD = 16 * 1024

TEXT, CLOSE, PING = 0x81, 0x88, 0x89  # the first byte of a whole frame


def split_frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole frames a server sent, as first byte and payload, and the rest."""
    frames, at, end = [], 0, len(data)
    while end - at >= 2:
        start, length = at + 2, data[at + 1]
        if length > 125:
            start += 2 if length == 126 else 8
            length = int.from_bytes(data[at + 2 : start]) if start <= end else end
        if start + length > end:
            break
        frames.append((data[at], data[start : start + length]))
        at = start + length
    return frames, data[at:]


def masked(opcode: Opcode, payload: bytes) -> bytes:
    return Frame(opcode, payload).serialize(mask=True)


class Line(asyncio.Protocol):
    """The cheapest connection that keeps to the protocol: hands over messages as bytes and ends with a code."""

    def __init__(self, address: str, hello: bytes, heard: Callable[[bytes], None]) -> None:
        self.address = urlsplit(address)
        self.hello = hello
        self.heard = heard
        self.key = generate_key()
        self.rest = b""
        self.upgraded = False
        self.code = 1006
        self.transport: asyncio.Transport
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self.transport.write(
            f"GET {self.address.path} HTTP/1.1\r\nHost: {self.address.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {self.key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: liveroom.v1.json\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        if self.rest:
            data = self.rest + data
        if not self.upgraded:
            data = self.upgrade(data)
        if not self.upgraded:
            return
        frames, self.rest = split_frames(data)
        for kind, payload in frames:
            if kind == TEXT:
                self.heard(payload)
            else:
                self.control(kind, payload)

    def upgrade(self, data: bytes) -> bytes:
        """What follows the answer to the handshake, once it is whole."""
        head, found, rest = data.partition(b"\r\n\r\n")
        if found and head.startswith(b"HTTP/1.1 101") and accept_key(self.key).encode() in head:
            self.upgraded = True
            self.tell(self.hello)
        elif found or len(head) > MOST_HEAD:
            status = head.split(b" ", 2)[1:2]
            self.code = int(status[0]) if status and status[0].isdigit() else 1006
            self.transport.abort()
        else:
            self.rest = head
        return rest

    def control(self, kind: int, payload: bytes) -> None:
        if kind == PING:
            self.transport.write(masked(Opcode.PONG, payload))
        elif kind == CLOSE:
            self.code = int.from_bytes(payload[:2]) if len(payload) > 1 else 1005
            self.leave(payload[:2])

    def tell(self, payload: bytes) -> None:
        self.transport.write(masked(Opcode.TEXT, payload))

    def leave(self, code: bytes = b"\x03\xe8") -> None:
        if not self.transport.is_closing():
            self.transport.write(masked(Opcode.CLOSE, code))
            self.transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(self.code)


@dataclass
class Probe:
    """What one viewer that reads everything saw; ``tag`` begins the ids of our own viewers."""

    tag: str
    seen: dict[str, float] = field(default_factory=dict)  # id of our comment -> when
    sampled: int = 0
    foreign: int = 0
    visits: int = 0

    def take(self, message: Message) -> None:
        if message["t"] == "chat.sampled":
            self.sampled += message["total"] - message["shown"]
        elif message["t"] == "chat.message":
            if message["from"].startswith(self.tag):
                self.seen.setdefault(message["id"], time.perf_counter())
            else:
                self.foreign += 1


@dataclass
class Account:
    """What was sent and what became of it; times in seconds of one clock."""

    probes: list[Probe] = field(default_factory=list)
    sent: int = 0
    waiting: dict[int, tuple[float, int]] = field(default_factory=dict)  # cid -> when, by whom
    accepted: dict[str, float] = field(default_factory=dict)  # id -> when it was sent
    unshown: int = 0  # entries of a lottery that are not shown
    refused: Counter[str] = field(default_factory=Counter)
    cut: int = 0  # sent over a connection that ended before the reply
    away: int = 0  # not sent: the viewer was not connected
    late_s: float = 0.0
    cids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def send(self, who: int) -> int:
        cid = next(self.cids)
        self.sent += 1
        self.waiting[cid] = time.perf_counter(), who
        return cid

    def answered(self, reply: Message) -> None:
        when, _ = self.waiting.pop(reply["cid"], (None, None))
        if when is None:
            return
        if reply["t"] != "ok":
            self.refused[reply.get("code", "?")] += 1
        elif reply.get("shown") is False:
            self.unshown += 1
        else:
            self.accepted[reply["id"]] = when

    def lost(self, who: int) -> None:
        gone = [cid for cid, (_, sender) in self.waiting.items() if sender == who]
        for cid in gone:
            del self.waiting[cid]
        self.cut += len(gone)

    def begin(self) -> None:
        """Forget what the probes saw while the others were still joining."""
        for probe in self.probes:
            probe.sampled = probe.foreign = 0

    @property
    def unanswered(self) -> int:
        return self.cut + len(self.waiting)

    def delivered(self, probe: Probe) -> int:
        return len(self.accepted.keys() & probe.seen.keys())

    def missing(self, probe: Probe) -> int:
        """Accepted comments that this probe was neither shown nor told of; below 0: others' were sampled too."""
        return len(self.accepted) - self.delivered(probe) - probe.sampled

    def agrees(self, probe: Probe) -> bool:
        """With other people's comments in the room nobody can tell whose were sampled: then none may be missing."""
        missing = self.missing(probe)
        return missing == 0 or (missing < 0 and probe.foreign > 0)

    @property
    def all_answered(self) -> bool:
        return self.sent == len(self.accepted) + self.unshown + self.refused.total()

    @property
    def good(self) -> bool:
        return self.all_answered and all(map(self.agrees, self.probes))

    def latencies_ms(self) -> list[float]:
        pairs = ((probe.seen[i], self.accepted[i]) for probe in self.probes for i in probe.seen.keys() & self.accepted)
        return sorted((seen - sent) * 1000 for seen, sent in pairs)


class Player:
    """One viewer of the replay: joins, says its part, and comes back after a cut."""

    def __init__(self, number: int, address: str, token: str, account: Account, probe: Probe | None) -> None:
        self.number, self.address, self.account, self.probe = number, address, account, probe
        self.hello = msgspec.json.encode({"t": "hello", "token": token})
        self.line: Line | None = None
        self.seated = False
        self.final: Exception | None = None

    async def stay(self) -> None:
        for attempt in itertools.count():
            code = await self.visit()
            if after(code) in (After.STOP, After.NEW_TOKEN):
                self.final = closed(code)
                return
            await asyncio.sleep(pause_s(attempt))

    async def visit(self) -> int:
        """One connection; the code that ended it."""
        where = urlsplit(self.address)
        secure = ssl.create_default_context() if where.scheme == "wss" else None
        port = where.port or (443 if secure else 80)
        try:
            _, self.line = await asyncio.get_running_loop().create_connection(
                lambda: Line(self.address, self.hello, self.heard), where.hostname or "", port, ssl=secure
            )
        except OSError as error:
            self.final = Unreachable(str(error))
            return 1006
        self.final = None
        try:
            return await self.line.ended
        finally:
            self.seated = False
            self.account.lost(self.number)
            self.line.leave()

    def heard(self, payload: bytes) -> None:
        # A quotation mark inside a text is escaped, so this finds replies only.
        if self.probe or not self.seated or b'"cid"' in payload:
            for message in unpacked(msgspec.json.decode(payload)):
                self.take(message)

    def take(self, message: Message) -> None:
        if "cid" in message:
            self.account.answered(message)
        elif message["t"] == "welcome":
            self.seated = True
            if self.probe:
                self.probe.visits += 1
        elif self.probe:
            self.probe.take(message)

    def say(self, text: str) -> None:
        if not (self.seated and self.line):
            self.account.away += 1
            return
        cid = self.account.send(self.number)
        self.line.tell(msgspec.json.encode({"t": "chat.say", "cid": cid, "text": text}))


def load(file: Path, start: float, end: float | None) -> tuple[list[Comment], list[Broken]]:
    """The comments between two moments, and the lines that cannot be read. Raises Trouble."""
    broken: list[Broken] = []

    def whole() -> Any:
        for one in read(file.read_bytes()):
            if isinstance(one, Comment):
                yield one
            else:
                broken.append(one)

    try:
        comments = list(window(closed_gaps(whole()), start, end))
    except (OSError, EOFError, zlib.error) as error:
        raise Trouble(f"{file} cannot be read: {error}") from None
    return comments, broken


def troupe(server: Server, token: str | None, room: str, viewers: int, account: Account) -> list[Player]:
    """So many players, the first ones probes."""
    if token and viewers > 5:
        raise Trouble("one token is one viewer with at most 5 connections: give --data instead, or --viewers 5")
    tag = f"replay-{random.randrange(16**6):06x}-"
    address, ttl_s = socket_url(server.url, room), server.settings.token_hours * 3600
    account.probes = [Probe(tag) for _ in range(min(PROBES, viewers))]
    return [
        Player(
            number,
            address,
            token or server.mint(f"{tag}{number}", room, name=f"viewer {number}", ttl_s=ttl_s),
            account,
            account.probes[number] if number < PROBES else None,
        )
        for number in range(viewers)
    ]


async def enter(players: Sequence[Player], tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
    """All join at a steady rate, until each is in or has given up."""
    stays = []
    for player in players:
        stays.append(tasks.create_task(player.stay()))
        await asyncio.sleep(1 / JOINS_PER_SECOND)
    await until(lambda: all(player.seated or player.final for player in players), JOIN_SECONDS)
    return stays


async def until(true: Callable[[], bool], seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not true():  # noqa: ASYNC110 - a level, not an edge: many things change it
                await asyncio.sleep(0.05)


async def perform(
    comments: Sequence[Comment], players: Sequence[Player], speed: float, limit_s: float | None, said: Callable[[], Any]
) -> None:
    """Say everything when it is due: a recorded viewer always speaks through the same player."""
    account, began, origin = players[0].account, time.perf_counter(), comments[0].at
    for one in comments:
        due = (one.at - origin) / speed
        if limit_s is not None and due > limit_s:
            return
        ahead = began + due - time.perf_counter()
        account.late_s = max(account.late_s, -ahead)
        await asyncio.sleep(max(0, ahead))
        players[zlib.crc32(one.viewer.encode()) % len(players)].say(one.text)
        said()


async def replay(
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
            account.begin()
            total = sum(1 for one in comments if limit_s is None or one.at - comments[0].at <= limit_s * speed)
            bar = progress.add_task("comments", total=total)
            playing = tasks.create_task(
                perform(comments, players, speed, limit_s, lambda: progress.advance(bar)), name="perform"
            )
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, playing.cancel)
            await asyncio.wait([playing])
            await until(lambda: not account.waiting, REPLY_SECONDS)
            await until(lambda: not any(map(account.missing, account.probes)), DRAIN_SECONDS)
        for stay in stays:
            stay.cancel()
    if not inside:
        raise next((player.final for player in players if player.final), Unreachable("no welcome came"))


def report(account: Account, console: Console) -> None:
    """The table, and whether it adds up."""
    table = Table(title="replay", show_header=False)
    for name, value in rows(account):
        table.add_row(name, value)
    console.print(table)
    for line in verdict(account):
        console.print(line, soft_wrap=True)


def rows(account: Account) -> list[tuple[str, str]]:
    latencies = account.latencies_ms()
    return [
        ("sent", str(account.sent)),
        ("accepted", str(len(account.accepted))),
        *([("accepted as entry, not shown", str(account.unshown))] if account.unshown else []),
        ("refused", str(account.refused.total())),
        *((f"  {code}", str(count)) for code, count in account.refused.most_common()),
        ("unanswered", str(account.unanswered)),
        *([("not sent, viewer away", str(account.away))] if account.away else []),
        ("delivered", spread([account.delivered(probe) for probe in account.probes])),
        ("sampled", spread([probe.sampled for probe in account.probes])),
        ("latency p50", percentile(latencies, 0.5)),
        ("latency p99", percentile(latencies, 0.99)),
    ]


def spread(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}, by probe"


def percentile(ordered: Sequence[float], part: float) -> str:
    return f"{ordered[min(len(ordered) - 1, int(len(ordered) * part))]:.1f} ms" if ordered else "none seen"


def verdict(account: Account) -> list[str]:
    probes = len(account.probes)
    wrong = [f"{n} ({account.missing(p):+d})" for n, p in enumerate(account.probes) if not account.agrees(p)]
    unclear = sum(account.missing(probe) != 0 for probe in account.probes) - len(wrong)
    foreign = max(probe.foreign for probe in account.probes)
    lines = [
        f"sent = accepted + refused: {'yes' if account.all_answered else f'NO, {account.unanswered} unanswered'}",
        f"accepted = delivered + sampled for each of {probes} probes: "
        + (f"NO, missing by probe: {', '.join(wrong)}" if wrong else "not exactly" if unclear else "yes"),
    ]
    if foreign:
        lines.append(
            f"others spoke too ({foreign} comments heard): `sampled` counts theirs with ours, so it may be too high"
        )
    if away := [str(n) for n, probe in enumerate(account.probes) if probe.visits != 1]:
        lines.append(f"probes that were cut off or never in, and so missed something: {', '.join(away)}")
    if account.late_s > 1:
        lines.append(f"this machine fell behind the recording by up to {account.late_s:.1f} s")
    return lines


def more_files(wanted: int) -> None:
    """Raise the limit of open files. Raises Trouble when that does not suffice."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = wanted + SPARE_FILES
    if hard != resource.RLIM_INFINITY and hard < enough:
        raise Trouble(f"{wanted} viewers need {enough} open files, the limit is {hard}: raise it (ulimit -n), or fewer")
    if soft < enough:
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))


def run_replay(
    server: Server,
    file: Path,
    room: str,
    *,
    speed: float,
    viewers: int,
    start: float,
    end: float | None,
    limit_s: float | None,
) -> bool:
    """Everything the command does; whether the account adds up. Raises Trouble."""
    import uvloop

    console, errors = Console(), Console(stderr=True)
    comments, broken = load(file, start, end)
    for fault in broken[:SHOWN_FAULTS]:
        errors.print(f"{file.name}, line {fault.line}: {fault.why}", markup=False, highlight=False, soft_wrap=True)
    if broken:
        errors.print(f"{len(broken)} broken lines are left out", soft_wrap=True)
    if not comments:
        raise Trouble(f"{file} has no comment to replay in that time")
    more_files(viewers)
    account = Account()
    players = troupe(server, server.token, room, viewers, account)
    bars = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    try:
        with Progress(*bars, console=errors) as progress, asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            loop.run(replay(comments, players, speed, limit_s, progress))
    except (Closed, Unreachable) as error:
        raise trouble(error, server.url, room) from None
    report(account, console)
    return account.good
