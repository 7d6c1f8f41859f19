"""Viewers who only sit there: memory for each, and how many the server lets in per second."""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loadtest import page
from loadtest.contestants import PEERS_PYTHON, Contestant, contestants
from loadtest.drain import Crowd, Viewer
from loadtest.frames import upgrade
from loadtest.servers import Cores, Unfit, prepared, served

NOTE = """\
Joins: from the first connect to the last viewer's welcome (a peer's: 101), with a bounded number in flight. A peer
checks no token and sends no snapshot. RSS: the server's resident memory after the last join has settled, less that
before the first, divided by the viewers; kernel socket buffers are not in it. CPU is the server's during the joins."""


@dataclass(frozen=True)
class Idle:
    """What one crowd of idle viewers cost."""

    contestant: str
    viewers: int
    joined_in: float
    rss_before: int
    rss_after: int
    cpu: float
    cpu_idle: float

    def row(self) -> list[str]:
        each = (self.rss_after - self.rss_before) / self.viewers
        return [
            self.contestant,
            f"{self.viewers:,}",
            page.figure(self.viewers / self.joined_in),
            page.figure(1e6 * self.cpu / self.viewers),
            f"{each:.2f}",
            f"{self.rss_before:,}",
            f"{self.rss_after:,}",
            f"{self.cpu_idle:.1%}",
        ]


HEAD = "contestant|viewers|joins/s|CPU-µs per join|RSS KiB per viewer|RSS KiB before|after|CPU idle"


def fill(contestant: Contestant, cores: Cores, chosen: argparse.Namespace) -> Idle:
    with served(contestant, cores) as server:
        hello = contestant.greeter(server.data)
        viewers = [Viewer(hello(f"v{i}", "viewer")) for i in range(chosen.viewers)]
        with Crowd(server.port, upgrade(server.port, contestant.path, contestant.subprotocol)) as crowd:
            rss, cpu = server.resident_kib(), server.cpu()
            joined_in = crowd.join(viewers, at_once=chosen.at_once, seconds=chosen.seconds)
            cpu = server.cpu() - cpu
            if crowd.seated < chosen.viewers:
                raise Unfit(f"only {crowd.seated} came in within {joined_in:.0f} s ({dict(crowd.gone)})")
            idle = sit(crowd, server.cpu, chosen.settle)
            return Idle(contestant.name, chosen.viewers, joined_in, rss, server.resident_kib(), cpu, idle)


def sit(crowd: Crowd, cpu: Callable[[], float], seconds: float) -> float:
    """Reads whatever comes for a while; returns the share of a core the server used meanwhile."""
    started, used = time.monotonic(), cpu()
    while time.monotonic() - started < seconds:
        crowd.turn(0.1)
    if crowd.gone:
        raise Unfit(f"idle viewers were cut: {dict(crowd.gone)}")
    return (cpu() - used) / (time.monotonic() - started)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench_idle", description=__doc__)
    parser.add_argument("--only", type=lambda text: text.split(","), help="contestants, by name, comma-separated")
    parser.add_argument("--viewers", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=200, help="joins in flight")
    parser.add_argument("--seconds", type=float, default=120, help="for all to come in")
    parser.add_argument("--settle", type=float, default=10, help="seconds of sitting before memory is read")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON)
    parser.add_argument("--page", type=Path, default=page.today("idle"))
    return parser.parse_args()


def main(chosen: argparse.Namespace) -> None:
    cores, everyone = Cores.here(), contestants(chosen.peers_python)
    rows: list[list[str]] = []
    absent: list[str] = []
    for _ in range(chosen.repetitions):
        for name in chosen.only or everyone:
            try:
                rows.append(fill(everyone[name], cores, chosen).row())
            except (Unfit, OSError) as why:
                absent.append(f"{name}: {why}")
    left_out = "## Left out\n\n" + "\n".join(f"* {line}" for line in dict.fromkeys(absent)) if absent else ""
    page.write(chosen.page, f"Idle viewers, {time.strftime('%Y-%m-%d')}", [page.table(HEAD, rows), NOTE, left_out])
    print(chosen.page.read_text())


if __name__ == "__main__":
    with prepared():
        main(options())
