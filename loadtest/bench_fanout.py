"""S1 in NATIVE mode: one hot room, liveroom beside the peers, and a page with the figures.

Takes about twenty-five minutes; `--quick` less than ten, `--long` about an hour.
"""

import argparse
import time
from pathlib import Path

from msgspec import MsgspecError

from loadtest import page, plot
from loadtest.contestants import PEERS_PYTHON, Contestant, contestants
from loadtest.outcome import Outcome, highest, outcome
from loadtest.rush import Trial, rush
from loadtest.servers import Cores, Unfit, prepared, served

LADDER = [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100]
LADDER += [120, 150, 200, 250, 300, 400, 500, 600, 800, 1000, 1200, 1500, 2000]
SEARCH_WARM, SEARCH_MEASURED = 2, 4
USUAL = {"warm": 5.0, "measured": 20.0, "repetitions": 3, "attempts": 1}
LONG = {"warm": 10.0, "measured": 60.0, "repetitions": 5, "attempts": 2}
QUICK = {"warm": 3.0, "measured": 10.0, "repetitions": 1, "attempts": 1}


class Bench:
    """One call of the script: its options, and what came of it so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.cores = Cores.here()
        everyone = contestants(options.peers_python)
        self.contestants = [everyone[name] for name in options.only or everyone]
        self.outcomes: list[Outcome] = []
        self.searched: list[str] = []
        self.absent: list[str] = []
        self.path: Path = options.page

    def run(self) -> None:
        self.contestants = [one for one in self.contestants if self.starts(one)]
        offered = {
            (viewers, one.name): rate
            for viewers in self.options.viewers
            for one in self.contestants
            if (rate := self.rate_for(one, viewers))
        }
        for repetition in range(self.options.repetitions):
            for viewers in self.options.viewers:
                for one in self.contestants:
                    if rate := offered.get((viewers, one.name)):
                        offered[viewers, one.name] = self.measure(one, viewers, rate, may_step_down=not repetition)
                        self.write()
        self.write()

    def starts(self, one: Contestant) -> bool:
        try:
            with served(one, self.cores):
                return True
        except Unfit as why:
            self.leave_out(f"{one.name}: {why}")
            return False

    def rate_for(self, one: Contestant, viewers: int) -> int | None:
        """liveroom's is given; a peer's is searched."""
        if one.answers:
            return int(self.options.offered)

        def carries(rate: int) -> bool:
            trial = self.trial(one, viewers, rate, SEARCH_WARM, SEARCH_MEASURED)
            attempts = (self.attempt(one, trial) for _ in range(self.options.attempts))
            return any(found.carried for found in attempts if found)

        found = highest(self.options.peer_rates, carries)
        self.searched.append(f"{one.name}, {viewers:,} viewers: {f'{found:,}/s' if found else 'carried none'}")
        if found is None:
            self.leave_out(f"{one.name} at {viewers:,} viewers: carried no rate of the search")
        return found

    def measure(self, one: Contestant, viewers: int, rate: int, *, may_step_down: bool) -> int:
        """A full run. The first of a peer may show that the short search was too kind: then a lower rate is taken."""
        while True:
            found = self.attempt(one, self.trial(one, viewers, rate, self.options.warm, self.options.measured))
            lower = [slower for slower in self.options.peer_rates if slower < rate]
            if found and not found.carried and may_step_down and not one.answers and lower:
                self.searched.append(f"{one.name}, {viewers:,} viewers: {rate:,}/s not carried in a full run")
                rate = lower[-1]
                continue
            if found:
                self.outcomes.append(found)
            return rate

    def trial(self, one: Contestant, viewers: int, rate: int, warm: float, measured: float) -> Trial:
        likes = self.options.likes if one.likes else 0
        return Trial(viewers, rate, likes, warm, measured, self.options.probes)

    def attempt(self, one: Contestant, trial: Trial) -> Outcome | None:
        try:
            with served(one, self.cores) as server:
                found = outcome(rush(trial, server), one.name)
        except (Unfit, OSError, MsgspecError, ValueError) as why:
            self.leave_out(f"{one.name} at {trial.viewers:,} viewers, {trial.comments:,}/s: {why}")
            return None
        print(
            f"{time.strftime('%H:%M:%S')} {one.name}, {trial.viewers:,} viewers, {trial.comments:,}/s:"
            f" {page.figure(found.deliveries)} deliveries/s, p99 {page.figure(found.p99)} ms, lost {found.lost},"
            f" {page.figure(found.us_per_delivery)} µs per delivery, CPU server {found.server_cpu:.0%}"
            f" helpers {found.helpers_cpu:.0%} client {found.client_cpu:.0%}"
            f" {found.refused or ''} {found.gone or ''}{'' if found.carried else ' – not carried'}",
            flush=True,
        )
        return found

    def leave_out(self, why: str) -> None:
        print(why, flush=True)
        if why not in self.absent:
            self.absent.append(why)

    def write(self) -> None:
        """After every run, so that a broken-off bench leaves a page."""
        picture = self.path.with_suffix(".png")
        drawn = bool(self.outcomes) and plot.draw(picture, self.outcomes)
        lists = (("Search", self.searched), ("Left out", self.absent))
        page.write(
            self.path,
            f"S1 hot room, NATIVE mode, {time.strftime('%Y-%m-%d')}",
            [
                page.summary(self.outcomes),
                f"![deliveries per second and p99]({picture.name})" if drawn else "",
                page.ratios(self.outcomes),
                page.NOTES.format(after=Trial.after),
                *(f"## {title}\n\n" + "\n".join(f"* {line}" for line in lines) for title, lines in lists if lines),
                "## Every run\n\n" + page.every_run(self.outcomes),
            ],
        )
        print(f"page: {self.path.name}", flush=True)


def numbers(text: str) -> list[int]:
    return sorted(int(word) for word in text.split(","))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench_fanout", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="3 s warm-up, 10 s measured, one repetition, one attempt")
    parser.add_argument("--long", action="store_true", help="10 s warm-up, 60 s measured, five repetitions")
    parser.add_argument("--only", type=lambda text: text.split(","), help="contestants, by name, comma-separated")
    parser.add_argument("--viewers", type=numbers, default=[1000, 8000])
    parser.add_argument("--offered", type=int, default=1000, help="comments per second for liveroom")
    parser.add_argument("--likes", type=int, default=500, help="likes per second for liveroom")
    parser.add_argument("--peer-rates", type=numbers, default=LADDER, help="what a peer's search may choose from")
    parser.add_argument("--probes", type=int, default=100)
    parser.add_argument("--warm", type=float)
    parser.add_argument("--measured", type=float)
    parser.add_argument("--repetitions", type=int)
    parser.add_argument("--attempts", type=int, help="at a rate of the search, before it counts as not carried")
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON, help="interpreter of the peers' environment")
    parser.add_argument("--page", type=Path)
    chosen = parser.parse_args()
    for name, value in (QUICK if chosen.quick else LONG if chosen.long else USUAL).items():
        if getattr(chosen, name) is None:
            setattr(chosen, name, value)
    chosen.page = chosen.page or page.today("fanout-quick" if chosen.quick else "fanout")
    return chosen


if __name__ == "__main__":
    with prepared():
        Bench(options()).run()
