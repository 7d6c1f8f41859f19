"""`liveroom top`: how the nodes and the rooms do, in a terminal, from what every node tells Prometheus anyway."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from liveroom.remote import Server, Trouble
from liveroom.watch import printable, unedited

MOST_ROOMS = 20
PIPE_WIDTH = 160
QUIT = b"qQ"
UNKNOWN = "–"

Samples = Mapping[str, Sequence[tuple[Mapping[str, str], float]]]


class Look(NamedTuple):
    """What one node told at one moment; nothing, and why, where it told nothing."""

    at: float
    samples: Samples
    why: str = ""

    def sum(self, name: str, **labels: str) -> float:
        found = self.samples.get(f"liveroom_{name}", ())
        return sum(value for given, value in found if labels.items() <= given.items())

    def buckets(self, name: str, **labels: str) -> dict[float, float]:
        found = self.samples.get(f"liveroom_{name}_bucket", ())
        return {float(given["le"]): value for given, value in found if labels.items() <= given.items()}


class Pair(NamedTuple):
    """Two looks at one node: what happened between them."""

    before: Look
    now: Look

    @property
    def known(self) -> bool:
        return bool(self.before.samples and self.now.samples) and self.now.at > self.before.at

    def rate(self, name: str, **labels: str) -> float | None:
        """A second. After a restart the counters begin at nothing."""
        if not self.known:
            return None
        new = self.now.sum(name, **labels) - self.before.sum(name, **labels)
        return max(0.0, new) / (self.now.at - self.before.at)

    def p99(self, name: str, **labels: str) -> float | None:
        """The bound in seconds that 99 of 100 kept to; None where nothing was measured."""
        if not self.known:
            return None
        was, now = self.before.buckets(name, **labels), self.now.buckets(name, **labels)
        return quantile(0.99, {bound: count - was.get(bound, 0) for bound, count in now.items()})


def quantile(part: float, buckets: Mapping[float, float]) -> float | None:
    """The smallest bound of a cumulative histogram with so large a part below it."""
    total = max(buckets.values(), default=0)
    return next((bound for bound in sorted(buckets) if buckets[bound] >= part * total), None) if total > 0 else None


def look(server: Server) -> Look:
    """Ask one node."""
    at = time.monotonic()
    try:
        status, body = server.fetch("GET", "/metrics", server.settings.metrics_token)
    except Trouble as why:
        return Look(at, {}, printable(str(why).partition(": start")[0]))
    if status != 200:
        return Look(at, {}, f"{server.url} {REFUSALS.get(status, f'answers {status} at /metrics')}")
    samples = read_samples(body.decode(errors="replace"))
    return Look(at, samples, "" if samples else f"{server.url} is no liveroom")


REFUSALS = {
    403: "tells this machine only: set LIVEROOM_METRICS_TOKEN to its metrics_token",
    404: "has metrics = off",
}


def read_samples(text: str) -> Samples:
    """By name; nothing where it is no text of Prometheus."""
    found: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((sample.labels, sample.value))
    except ValueError:
        return {}
    return found


# --- what is shown -------------------------------------------------------------------------------


def number(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def millis(seconds: float | None) -> str:
    if seconds is None:
        return UNKNOWN
    return "> 2.5 s" if seconds == float("inf") else f"≤ {seconds * 1000:g} ms"


def state(pair: Pair) -> str:
    if pair.now.sum("draining"):
        return "draining"
    return "ready" if pair.now.sum("ready") else "not ready"


# The most important first: a narrow terminal has no place for the last.
COLUMNS: dict[str, Callable[[Pair], str]] = {
    "state": state,
    "viewers": lambda pair: number(pair.now.sum("viewers")),
    "comments/s": lambda pair: number(pair.rate("comments_total")),
    "tick late": lambda pair: millis(pair.p99("tick_late_seconds")),
    "Redis": lambda pair: millis(pair.p99("redis_seconds", server="truth", call="ping")),
    "rooms": lambda pair: number(pair.now.sum("rooms")),
    "told/s": lambda pair: number(pair.rate("deliveries_total")),
    "facts wait": lambda pair: number(pair.now.sum("ledger_lag_facts")),
    "joins/s": lambda pair: number(pair.rate("joins_total")),
    "refused/s": lambda pair: number(pair.rate("refusals_total")),
    "too slow": lambda pair: number(pair.now.sum("closes_total", code="4001")),
    "errors": lambda pair: number(pair.now.sum("log_lines_total", level="error")),
}
GAP = 2


def table_of_nodes(pairs: Mapping[str, Pair], width: int) -> Table:
    """As many columns as there is place for; late and Redis are what 99 of 100 kept to."""
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    places = [url.partition("://")[2] for url in pairs]
    columns = {"node": places} | {name: [cell(pair, show) for pair in pairs.values()] for name, show in COLUMNS.items()}
    for name, cells in columns.items():
        width -= max(map(len, [name, *cells])) + GAP
        if width < -GAP:
            break
        table.add_column(name, justify="left" if name in ("node", "state") else "right", no_wrap=True)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*(Text(text) for text in row[: len(table.columns)]))
    return table


def cell(pair: Pair, show: Callable[[Pair], str]) -> str:
    return show(pair) if pair.now.samples else "?"


def table_of_rooms(rooms: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("room", "title", "state", box=None, pad_edge=False, header_style="bold")
    for name in ("viewers", "likes"):
        table.add_column(name, justify="right")
    fullest = sorted(rooms, key=lambda room: (-int(room.get("viewers", 0)), str(room.get("id"))))
    for room in fullest[:MOST_ROOMS]:
        words = [Text(printable(str(room.get(name, "")))) for name in ("id", "title", "state")]
        table.add_row(*words, *(Text(number(room.get(name))) for name in ("viewers", "likes")))
    return table


class Overview:
    """The nodes and rooms as they were last seen."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self.servers = servers
        self.pairs: dict[str, Pair] = {}
        self.rooms: Sequence[Mapping[str, Any]] = ()
        self.note = ""  # why there are no rooms

    def refresh(self) -> None:
        with ThreadPoolExecutor(len(self.servers)) as threads:
            looks = list(threads.map(look, self.servers))
        for server, now in zip(self.servers, looks, strict=True):
            before = self.pairs.get(server.url)
            self.pairs[server.url] = Pair(before.now if before else now, now)
        self.read_rooms()

    def read_rooms(self) -> None:
        """From the first node that answers: nodes on one Redis say the same."""
        self.rooms, self.note = (), "no rooms: no node answers"
        for server in self.servers:
            try:
                reply = server.call("GET", "/v1/rooms", server.token_for("top", "*", "service"))
            except Trouble as why:
                self.note = f"no rooms: {why}"
                continue
            if reply.good and isinstance(reply.body, dict):
                self.rooms, self.note = reply.body["rooms"], ""
                return
            self.note = f"no rooms: {reply.complaint}"

    @property
    def answered(self) -> bool:
        return any(pair.now.samples for pair in self.pairs.values())

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        yield table_of_nodes(self.pairs, options.max_width)
        yield from (Text(pair.now.why, "red") for pair in self.pairs.values() if pair.now.why)
        yield Text()
        yield Text(printable(self.note), "yellow") if self.note else table_of_rooms(self.rooms)
        if len(self.rooms) > MOST_ROOMS:
            yield Text(f"and {len(self.rooms) - MOST_ROOMS} more rooms", "dim")


# --- the command ---------------------------------------------------------------------------------


def quits_within(seconds: float, terminal: int | None) -> bool:
    """Wait; tell whether somebody pressed q."""
    if terminal is None:
        time.sleep(seconds)
        return False
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            pressed = os.read(terminal, 64)
            if not pressed or any(key in pressed for key in QUIT):
                return True
    return False


def run_top(servers: Sequence[Server], every_s: float, limit_s: float | None) -> bool:
    """Show until q, Ctrl-C or the limit; into a pipe once, or until the limit. Tells whether any node answered."""
    terminal = sys.stdin.fileno() if sys.stdin.isatty() and sys.stdout.isatty() else None
    overview = Overview(servers)
    with ExitStack() as drawn:
        if terminal is not None:
            drawn.enter_context(unedited(terminal))
            console = Console(highlight=False)
            live = drawn.enter_context(Live(overview, console=console, screen=True, auto_refresh=False))
            show: Callable[[], None] = live.refresh
        else:
            console = Console(highlight=False, width=PIPE_WIDTH)
            show = lambda: console.print(overview)  # noqa: E731
        with suppress(KeyboardInterrupt):
            follow(overview, show, every_s, limit_s, terminal)
    return overview.answered


def follow(
    overview: Overview, show: Callable[[], None], every_s: float, limit_s: float | None, terminal: int | None
) -> None:
    """Look again and again. Rates need two looks, so a pipe is shown nothing before the second."""
    began = time.monotonic()
    overview.refresh()
    if terminal is not None:
        show()
    while not quits_within(every_s, terminal):
        overview.refresh()
        show()
        if (terminal is None and limit_s is None) or (limit_s is not None and time.monotonic() - began >= limit_s):
            return
