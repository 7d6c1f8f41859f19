"""Word lists: comments per second that one core folds and reads, how long a list takes to load, and what it weighs."""

import argparse
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from msgspec import json

from gameplay.wordlist import WordList, blocked, read_list, views
from loadtest import page
from loadtest.servers import ROOT

CORPORA = ROOT / "tests" / "moderation"
ONSETS = [*"bcdfghklmnprstvw", "st", "tr", "ch", "br", "cl", "sh"]
VOWELS = [*"aeiouy", "ai", "ea", "ou"]

NOTE = """\
CPU time of one core; each comment is folded and read anew, nothing is cached. Ordinary: the comments of
`tests/moderation/ordinary.txt`; dressed: those of `evasions.jsonl`; long: 200 characters each. *Compared* is the share
of ordinary comments in which some entry's key was found, so that letters were looked at; *held*, the share that holds
an entry. The entries are made up: half of them Latin words of two to five syllables, some of them phrases, half Chinese
of two to six of the characters of the comments. Load is from lines to a list that can be used; memory is what a
fresh process grew by."""

HEAD = "entries|load s|memory MiB|ordinary/s|compared|held|dressed/s|long/s|folding alone, ordinary/s"


@dataclass(frozen=True)
class Texts:
    ordinary: list[str]
    dressed: list[str]
    long: list[str]


def texts() -> Texts:
    lines = (CORPORA / "ordinary.txt").read_text("utf-8").splitlines()
    ordinary = [line for line in lines if not line.startswith("# ")]
    dressed: list[str] = [json.decode(line)["text"] for line in (CORPORA / "evasions.jsonl").read_bytes().splitlines()]
    everything = " ".join(ordinary)
    return Texts(ordinary, dressed, [everything[at : at + 200] for at in range(0, len(everything) - 200, 200)])


def entry(luck: random.Random, han: Sequence[str]) -> str:
    if luck.random() < 0.5:
        return "".join(luck.choices(han, k=luck.choices(range(2, 7), (1, 4, 6, 4, 2))[0]))
    return " ".join(word(luck) for _ in range(1 if luck.random() < 0.7 else 2))


def word(luck: random.Random) -> str:
    return "".join(luck.choice(ONSETS) + luck.choice(VOWELS) for _ in range(luck.randint(2, 5)))


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def per_second(does: Callable[[str], object], comments: Sequence[str], seconds: float) -> float:
    """Over so many seconds of CPU, the comments one after the other, from the first again after the last."""
    done, started = 0, time.process_time()
    while (spent := time.process_time() - started) < seconds:
        for comment in comments:
            does(comment)
        done += len(comments)
    return done / spent


def measured(size: int, seconds: float, read: Texts) -> list[str]:
    luck = random.Random(size)
    han = sorted({char for char in "".join(read.ordinary) if "\u4e00" <= char <= "\u9fff"})
    lines = [entry(luck, han) for _ in range(size)]
    before, started = resident_mib(), time.process_time()
    words = read_list(lines, "made up")
    load, memory = time.process_time() - started, resident_mib() - before

    def look(comment: str) -> object:
        return blocked(comment, (words,))

    compared = sum(is_compared(words, comment) for comment in read.ordinary) / len(read.ordinary)
    held = sum(look(comment) is not None for comment in read.ordinary) / len(read.ordinary)
    rates = [per_second(look, comments, seconds) for comments in (read.ordinary, read.dressed, read.long)]
    ordinary, dressed, long = map(page.figure, rates)
    alone = page.figure(per_second(views, read.ordinary, seconds))
    return [
        f"{words.size:,}", f"{load:.2f}", f"{memory:.0f}",
        ordinary, f"{compared:.1%}", f"{held:.1%}", dressed, long, alone,
    ]  # fmt: skip


def is_compared(words: WordList, comment: str) -> bool:
    return any(True for view in views(comment) for _ in words.automaton.iter(view.key))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench_moderation", description=__doc__)
    parser.add_argument("--entries", type=lambda text: [int(n) for n in text.split(",")], default=[10_000, 100_000])
    parser.add_argument("--seconds", type=float, default=3, help="of CPU for each figure")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--page", type=Path, default=page.today("moderation"))
    return parser.parse_args()


def main(chosen: argparse.Namespace) -> None:
    read = texts()
    sizes = [size for _ in range(chosen.repetitions) for size in chosen.entries]
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as anew:
        rows = [anew.submit(measured, size, chosen.seconds, read).result() for size in sizes]
    page.write(chosen.page, f"Word lists, {time.strftime('%Y-%m-%d')}", [page.table(HEAD, rows), NOTE])
    print(chosen.page.read_text())


if __name__ == "__main__":
    main(options())
