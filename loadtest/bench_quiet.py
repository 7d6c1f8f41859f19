"""A quiet room: ten viewers, one comment per second. What does the tick cost when nothing is to be merged?"""

import argparse
import time
from pathlib import Path

from msgspec import MsgspecError

from loadtest import page
from loadtest.contestants import PEERS_PYTHON, contestants
from loadtest.outcome import Outcome, outcome
from loadtest.rush import Trial, rush
from loadtest.servers import Cores, Unfit, prepared, served

NOTE = "Latency counts from the moment a comment was due to the moment another viewer had parsed it."


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench_quiet", description=__doc__)
    parser.add_argument("--only", type=lambda text: text.split(","), help="contestants, by name, comma-separated")
    parser.add_argument("--viewers", type=int, default=10)
    parser.add_argument("--comments", type=int, default=1, help="per second")
    parser.add_argument("--warm", type=float, default=3)
    parser.add_argument("--measured", type=float, default=20)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON)
    parser.add_argument("--page", type=Path, default=page.today("quiet"))
    return parser.parse_args()


def main(chosen: argparse.Namespace) -> None:
    cores, everyone = Cores.here(), contestants(chosen.peers_python)
    trial = Trial(chosen.viewers, chosen.comments, warm=chosen.warm, measured=chosen.measured)
    outcomes: list[Outcome] = []
    absent: list[str] = []
    for _ in range(chosen.repetitions):
        for name in chosen.only or everyone:
            try:
                with served(everyone[name], cores) as server:
                    outcomes.append(outcome(rush(trial, server), name))
            except (Unfit, OSError, MsgspecError, ValueError) as why:
                absent.append(f"{name}: {why}")
    left_out = "## Left out\n\n" + "\n".join(f"* {line}" for line in dict.fromkeys(absent)) if absent else ""
    title = f"Quiet room, {time.strftime('%Y-%m-%d')}"
    page.write(chosen.page, title, [page.every_run(outcomes), NOTE, left_out])
    print(chosen.page.read_text())


if __name__ == "__main__":
    with prepared():
        main(options())
