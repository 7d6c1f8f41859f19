"""A sale under load: what a decision costs Redis, and how long a viewer waits for his answer.

The rush has 50,000 viewers, more than there are sockets for here. So it is driven through two nodes' tills without
theirs (`tests/sales/stack.py`, two processes): from the command to the answer all else is real. Beside it, in the same
run and on the same server, each claim is a call of its own. Latencies are those of real sockets on two real nodes.
"""

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import redis

from loadtest import page
from loadtest.contestants import contestants, liveroom_command, token
from loadtest.drain import Crowd, Viewer
from loadtest.frames import frame, upgrade
from loadtest.rush import Metronome
from loadtest.servers import ROOT, Cores, Server, Unfit, await_ready, prepared, start, stop, undisturbed

STACK = [sys.executable, "-m", "tests.sales.stack"]
TIMES = 5.0  # as many decisions for the same CPU as with a call for each click
DECISIONS = 100_000  # for a second of Redis' CPU
GATHERED, ONE_BY_ONE = "gathered", "one EVALSHA per click"
IN_STOCK, LATCHED, ASKED = "in stock", "sold out", "sold out, `again`"
FAIR_START = 4  # seconds for a process to be there
PATIENCE = 10  # seconds for the last answers

NOTE = """\
* The rush: the given number of viewers claim within one second, half at each of two tills; each claim is sent twice
  more with `again`, when it is answered. Two processes with a node's real parts behind the socket and connections of
  their own, for 50,000 sockets do not fit into this machine. Where they took longer than a second to make the claims,
  the table says so. Valkey writes to disk before it answers (`appendfsync always`). Nothing is pinned.
* A decision is a claim that Redis decided; what a node refused by its latch is an answer, but no decision. Who is
  told to try later (too many wait, or it took too long) claims again after that time, and is counted again. CPU is
  Valkey's own, user and system, all threads, from `INFO cpu` before and after.
* One EVALSHA per click: the same script and arguments, one claim to a call, one call at a time on each of many
  connections, no latch; a fifth of the viewers and of the stock, so that as many of them get something.
* Latency: real sockets, half of them on each of two nodes, open loop; from the moment a claim was due to the moment
  its answer was parsed. In stock: each claim gets a unit, which is on disk before the answer. Sold out: the node may
  refuse by its latch; with `again` it may not, and asks Redis each time. Nothing is pinned: nodes, Valkey and viewers
  share all cores."""


# --- what a decision costs ---


@dataclass(frozen=True)
class Decided:
    """One run of a way to decide. CPU in seconds, times in seconds."""

    way: str
    stock: int
    holds: int
    unequal: int
    answers: int
    decided: int
    calls: int
    later: int
    offered_in: float
    answered_in: float
    cpu: float

    @property
    def per_cpu(self) -> float:
        return self.decided / self.cpu

    @property
    def answers_per_cpu(self) -> float:
        return self.answers / self.cpu


@contextmanager
def redis_served() -> Iterator[str]:
    """A Valkey that writes to disk before it answers; its address."""
    with tempfile.TemporaryDirectory(prefix="liveroom-bench-") as folder:
        process = subprocess.Popen([*STACK, "serve", folder], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise Unfit("no Valkey to ask")
            yield json.loads(line)["url"]
        finally:
            with undisturbed():
                process.communicate(timeout=10)


def used(server: redis.Redis) -> float:
    info = server.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def stack(*words: object) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([*STACK, *map(str, words)], cwd=ROOT, stdout=subprocess.PIPE)


def said(process: "subprocess.Popen[bytes]", seconds: float = 120) -> dict[str, float]:
    out, _ = process.communicate(timeout=seconds)
    if process.returncode:
        raise Unfit(f"a till ended with {process.returncode}")
    got: dict[str, float] = json.loads(out)
    return got


def both(way: str, stock: int, shares: Iterable[dict[str, float]], cpu: float) -> Decided:
    """What two processes did, as one."""
    one, two = shares
    names = ("holds", "unequal", "answers", "decided", "calls", "later")
    holds, unequal, answers, decided, calls, later = (int(one.get(name, 0) + two.get(name, 0)) for name in names)
    offered, answered = (max(one.get(name, 0), two.get(name, 0)) for name in ("offered_in", "answered_in"))
    return Decided(way, stock, holds, unequal, answers, decided, calls, later, offered, answered, cpu)


def decide(url: str, way: str, viewers: int, stock: int, connections: int) -> Decided:
    server = redis.Redis.from_url(url)
    sale = said(stack("open", url, stock))["sale"]
    half, begins = viewers // 2, time.time() + FAIR_START
    shares = [("node-a", 0, half), ("node-b", half, viewers - half)]
    if way == GATHERED:
        running = [stack("rush", url, name, sale, first, count, begins, 1) for name, first, count in shares]
    else:
        end = connections, begins
        running = [stack("clicks", url, name, sale, first, count, *end) for name, first, count in shares]
    time.sleep(max(0, begins - 0.1 - time.time()))
    before = used(server)
    told = [said(process) for process in running]
    done = both(way, stock, told, used(server) - before)
    server.close()
    if (done.holds, done.unequal) != (stock, 0):
        raise Unfit(f"{way}: {done.holds} holds of a stock of {stock}, {done.unequal} viewers with unequal answers")
    return done


# --- how long an answer takes ---


class Told(msgspec.Struct):
    """As much of a server's message as is looked at."""

    t: str = ""
    cid: int = -1
    code: str = ""


told = msgspec.json.Decoder(list[Told] | Told)


@dataclass
class Answers:
    """When each claim was due, and how late its answer came, in ms; ``codes`` counts what was answered."""

    due: list[int] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)

    def begin(self) -> None:
        self.due, self.late, self.codes = [], [], Counter()

    def listen(self, payload: memoryview) -> None:
        now = time.monotonic_ns()
        got = told.decode(payload)
        for message in got if isinstance(got, list) else [got]:
            if message.cid >= 0:
                self.late.append((now - self.due[message.cid]) / 1e6)
                self.codes[message.code or message.t] += 1


@dataclass(frozen=True)
class Waited:
    """One case of an open loop."""

    case: str
    rate: int
    p50: float
    p99: float
    worst: float
    others: dict[str, int]  # answers that are not what the case is about
    nodes_us: float
    redis_us: float


@dataclass
class Shop:
    """Two nodes on one data folder, and viewers on both."""

    nodes: list[Server]
    secret: bytes
    crowds: list[Crowd]
    viewers: list[list[Viewer]]
    buyer: Viewer  # on the first node
    answers: Answers

    def turn(self, wait: float) -> None:
        for crowd in self.crowds:
            crowd.turn(wait / len(self.crowds))

    def told(self, **command: object) -> str:
        """What a host does; the id of the sale."""
        return str(self.asked("POST", "/v1/rooms/demo/commands", command)["id"])

    def asked(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.nodes[0].port, timeout=10)
        headers = {"Authorization": f"Bearer {token(self.secret, 'host', 'host')}"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        connection.close()
        if answer.status != 200:
            raise Unfit(f"the host was refused: {said}")
        return said

    def opened(self, stock: int) -> str:
        sale = {"item": "mug", "price": 9900, "stock": stock, "seconds": 3600, "hold_seconds": 3600}
        return self.told(t="sale.open", **sale)

    def sold_out(self) -> str:
        """A sale whose only unit is gone, and the nodes had time to learn of it."""
        sale = self.opened(1)
        self.answers.begin()
        self.claim(0, self.buyer, 0, time.monotonic_ns(), sale)
        until = time.monotonic() + 1
        while time.monotonic() < until or not self.answers.late:
            self.turn(0.01)
        return sale

    def end(self, sales: Iterable[str]) -> None:
        """Call them off, and wait until nothing of them is held."""
        for sale in sales:
            self.told(t="sale.cancel_all", id=sale, reason="the end")
        until = time.monotonic() + 60
        while self.asked("GET", "/v1/rooms/demo")["rounds"]:
            if time.monotonic() > until:
                raise Unfit("the sales did not end")
            rest = time.monotonic() + 0.5
            while time.monotonic() < rest:
                self.turn(0.01)

    def claim(self, number: int, viewer: Viewer, node: int, due: int, sale: str, **more: object) -> None:
        self.answers.due.append(due)
        claim = {"t": "sale.claim", "cid": number, "id": sale, "idem": f"i{number}", **more}
        self.crowds[node].send(viewer, frame(json.dumps(claim).encode()))

    def cpu(self) -> tuple[float, float]:
        return sum(node.cpu() for node in self.nodes), sum(node.helpers_cpu() for node in self.nodes)


@contextmanager
def shop(viewers: int) -> Iterator[Shop]:
    everywhere = Cores.here().server | Cores.here().others
    cores = Cores(everywhere, everywhere)
    with tempfile.TemporaryDirectory(prefix="liveroom-bench-") as folder, ExitStack() as nodes:
        house = Path(folder) / "house"
        liveroom = replace(contestants()["liveroom"], command=lambda port, _: liveroom_command(port, house))
        running = []
        for name in ("one", "two"):
            (Path(folder) / name).mkdir()
            server = start(liveroom, cores, Path(folder) / name)
            nodes.callback(stopped, server)
            await_ready(server)
            server.adopt()
            running.append(server)
        secret, answers = (house / "secret").read_text("utf-8").strip().encode(), Answers()
        crowds, inside = [], []
        for n, server in enumerate(running):
            crowd = nodes.enter_context(
                Crowd(server.port, upgrade(server.port, "/v1/rooms/demo/ws", "liveroom.v1.json"))
            )
            here = [Viewer(hello(secret, f"v{one}"), answers.listen) for one in range(n, viewers, len(running))]
            crowd.join(here)
            if crowd.seated < len(here):
                raise Unfit(f"only {crowd.seated} of {len(here)} viewers came in ({dict(crowd.gone)})")
            crowds.append(crowd)
            inside.append(here)
        buyer = Viewer(hello(secret, "buyer"), answers.listen)
        crowds[0].join([buyer])
        yield Shop(running, secret, crowds, inside, buyer, answers)


def stopped(server: Server) -> None:
    with undisturbed():
        stop(server)


def hello(secret: bytes, viewer: str) -> bytes:
    return json.dumps({"t": "hello", "token": token(secret, viewer, "viewer")}).encode()


def wait(on: Shop, case: str, rate: int, seconds: int) -> Waited:
    """Everybody claims again and again, evenly; in stock each time in another sale, so that nobody has too much."""
    viewers = [one for pair in zip(*on.viewers, strict=True) for one in pair]
    total, nodes = rate * seconds, len(on.crowds)
    times = -(-total // len(viewers))
    sales = [on.opened(len(viewers)) for _ in range(times)] if case == IN_STOCK else [on.sold_out()] * times
    on.answers.begin()
    before, more = on.cpu(), {"again": True} if case == ASKED else {}
    clock = Metronome(time.monotonic_ns() + 200_000_000, rate, total)
    end = clock.start + (seconds + PATIENCE) * 10**9
    while len(on.answers.late) < total:
        now = time.monotonic_ns()
        if now > end:
            raise Unfit(f"{case}: {total - len(on.answers.late)} of {total} claims at {rate}/s were not answered")
        for number, due in clock.due(now):
            n = number % len(viewers)
            on.claim(number, viewers[n], n % nodes, due, sales[number // len(viewers)], **more)
        on.turn(min(clock.wait(now), 0.002))
    late, after = sorted(on.answers.late), on.cpu()
    on.end(dict.fromkeys(sales))
    wanted = "ok" if case == IN_STOCK else "SALE_SOLD_OUT"
    others = {code: count for code, count in on.answers.codes.items() if code != wanted}
    node_us, redis_us = (1e6 * (then - first) / total for then, first in zip(after, before, strict=True))
    return Waited(case, rate, late[total // 2], late[total * 99 // 100], late[-1], others, node_us, redis_us)


# --- the page ---


def of(way: str, runs: list[Decided]) -> list[Decided]:
    return [one for one in runs if one.way == way]


def decided_table(runs: list[Decided]) -> str:
    head = (
        "|claims offered in s|answers|told to try later|decided by Redis|claims to a call|"
        "decisions per Redis CPU-second|answers per Redis CPU-second|all answered after s|holds|runs"
    )
    rows = [
        [
            way,
            page.median(run.offered_in or None for run in some),
            page.median(run.answers for run in some),
            page.ranged(run.later for run in some),
            page.ranged(run.decided for run in some),
            page.ranged(run.decided / run.calls for run in some),
            page.ranged(run.per_cpu for run in some),
            page.ranged(run.answers_per_cpu for run in some),
            page.ranged(run.answered_in for run in some),
            page.ranged(run.holds for run in some),
            str(len(some)),
        ]
        for way in (GATHERED, ONE_BY_ONE)
        if (some := of(way, runs))
    ]
    return page.table(head, rows)


def waited_table(runs: list[Waited]) -> str:
    head = "claims|offered/s|p50 ms|p99 ms|max ms|nodes' CPU-µs per claim|Valkey CPU-µs per claim|other answers|runs"
    groups: dict[tuple[str, int], list[Waited]] = {}
    for run in runs:
        groups.setdefault((run.case, run.rate), []).append(run)
    rows = [
        [
            case,
            f"{rate:,}",
            page.ranged(run.p50 for run in some),
            page.ranged(run.p99 for run in some),
            page.ranged(run.worst for run in some),
            page.median(run.nodes_us for run in some),
            page.median(run.redis_us for run in some),
            counted([run.others for run in some]) or "–",
            str(len(some)),
        ]
        for (case, rate), some in groups.items()
    ]
    return page.table(head, rows)


def counted(codes: list[dict[str, int]]) -> str:
    found: Counter[str] = Counter()
    for one in codes:
        found.update(one)
    return ", ".join(f"{code} {count:,}" for code, count in found.items())


def verdict(runs: list[Decided]) -> str:
    """What was to be shown, and whether it was."""
    gathered, single = (median(run.per_cpu for run in of(way, runs)) for way in (GATHERED, ONE_BY_ONE))
    some = of(GATHERED, runs)
    ratio = gathered / single
    lines = [
        (f"{page.figure(gathered)} decisions per Redis CPU-second", f"at least {DECISIONS:,}", gathered >= DECISIONS),
        (f"{ratio:.1f} times those of one call per click", f"at least {TIMES:.0f}", ratio >= TIMES),
        (f"{some[0].holds:,} holds of a stock of {some[0].stock:,} in every run", "exactly those", True),
    ]
    return "\n".join(f"* {'Met' if well else '**Missed**'}: {what}; wanted: {goal}." for what, goal, well in lines)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench_sale", description=__doc__)
    parser.add_argument("--claims", type=int, default=50_000, help="viewers who claim within a second")
    parser.add_argument("--stock", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=25, help="of each process that sends a call per click")
    parser.add_argument("--viewers", type=int, default=2000, help="on real sockets")
    parser.add_argument("--rates", type=int, nargs="+", default=[2000, 4000], help="claims per second on them")
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--page", type=Path, default=page.today("sale"))
    return parser.parse_args()


def decisions(chosen: argparse.Namespace) -> Iterator[Decided]:
    """One after the other on one server: what slows the machine down for a while slows both down."""
    with redis_served() as url:
        yield decide(url, GATHERED, chosen.claims, chosen.stock, 0)
        yield decide(url, ONE_BY_ONE, chosen.claims // 5, chosen.stock // 5, chosen.connections)


def waits(chosen: argparse.Namespace) -> Iterator[Waited]:
    with shop(chosen.viewers) as on:
        for rate in chosen.rates:
            for case in (IN_STOCK, LATCHED, ASKED):
                yield wait(on, case, rate, chosen.seconds)


def main(chosen: argparse.Namespace) -> None:
    decided: list[Decided] = []
    waited: list[Waited] = []
    for n in range(chosen.repetitions):
        decided += decisions(chosen)
        waited += waits(chosen)
        print(f"run {n + 1}: {[round(one.per_cpu) for one in decided[-2:]]}", file=sys.stderr)
    parts = ["## Decisions", decided_table(decided), verdict(decided), "## Waiting", waited_table(waited), NOTE]
    page.write(chosen.page, f"A sale, {time.strftime('%Y-%m-%d')}", parts)
    print(chosen.page.read_text())


if __name__ == "__main__":
    with prepared():
        main(options())
