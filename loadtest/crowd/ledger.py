"""What the ledger has of a room, read as an operator would: with the `liveroom` commands, once all has arrived."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from loadtest.crowd.notes import Notes
from loadtest.crowd.verdict import Ledger, recorded

DRAIN_SECONDS = 20.0
PAUSE_SECONDS = 0.5
COMMAND_SECONDS = 60.0


def liveroom(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "liveroom", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)


def exported(room: str, what: str, data: Path) -> list[dict[str, Any]]:
    """Nothing, where that cannot be exported: then what was acknowledged is missing, and the verdict says so."""
    done = liveroom("export", room, "--what", what, "--format", "jsonl", "--data", str(data))
    return [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else []


def read(room: str, data: Path, sales: bool) -> Ledger:
    entries = exported(room, "entries", data)
    return Ledger(entries, exported(room, "holds", data), exported(room, "orders", data)) if sales else Ledger(entries)


def read_when_drained(
    notes: Notes,
    sales: bool,
    read: Callable[[], Ledger],
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Ledger:
    """As soon as everything acknowledged is there; after a while what is there then."""
    until = now() + DRAIN_SECONDS
    while True:
        ledger = read()
        if not any(check.wrong for check in recorded(notes, ledger, sales)) or now() > until:
            return ledger
        sleep(PAUSE_SECONDS)


def reconcile(room: str, data: Path) -> tuple[int, str]:
    done = liveroom("reconcile", room, "--data", str(data))
    return done.returncode, last_words(done.stdout, done.stderr)


def last_words(*texts: str) -> str:
    said: Sequence[str] = [line for text in texts for line in text.strip().splitlines()]
    return said[-1] if said else "it said nothing"
