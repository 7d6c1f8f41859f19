"""Servers of our own to play to: nodes that share one data folder, with times as short as the show is fast."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from loadtest.crowd.__main__ import stop, wait_for_url
from loadtest.servers import undisturbed

GRACE_S, DEAD_S, PING_S = 60.0, 45.0, 20.0  # what the server has where nothing else is said
FASTEST = 20.0  # a server looks at each socket once a second, so nobody silent is noticed sooner


class House(NamedTuple):
    """Where to play: the nodes of one server, the secret that tokens are signed with, the grace that it has."""

    urls: tuple[str, ...]
    secret: str
    grace_s: float


def settings(speed: float) -> dict[str, str]:
    times = {"GRACE_SECONDS": GRACE_S, "DEAD_SECONDS": DEAD_S, "PING_SECONDS": PING_S}
    return {f"LIVEROOM_{name}": f"{seconds / speed:g}" for name, seconds in times.items()}


@contextmanager
def house(nodes: int, speed: float) -> Iterator[House]:
    """Ended whatever happens; raises SystemExit where a node does not start."""
    with tempfile.TemporaryDirectory(prefix="audience-") as folder, ExitStack() as ends:
        data = Path(folder) / "data"
        environ = {name: value for name, value in os.environ.items() if not name.startswith("LIVEROOM_")}
        urls = [ends.enter_context(node(data, n, environ | settings(speed))) for n in range(nodes)]
        yield House(tuple(urls), (data / "secret").read_text("utf-8").strip(), GRACE_S / speed)


@contextmanager
def node(data: Path, number: int, environ: Mapping[str, str]) -> Iterator[str]:
    """Its URL; with what it said where it did not end well."""
    log = data.with_name(f"node-{number}.log")
    command = [sys.executable, "-m", "liveroom", "run", "--dev", "--port", "0", "--data", str(data)]
    with log.open("wb") as out:
        server = subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield wait_for_url(server, log)
    finally:
        with undisturbed():
            if stop(server):
                print(f"A node ended with {server.returncode}:\n{log.read_text(errors='replace')[-4000:]}")
