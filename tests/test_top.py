"""`liveroom top` shows how nodes and rooms do, in a terminal until q is pressed, into a pipe once."""

import contextlib
import io
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

import pytest
from rich.console import Console

from liveroom.top import COLUMNS, Look, Overview, Pair, quantile, read_samples, table_of_nodes
from tests.house import SECRET, House, Node, make_room
from tests.observability.scraping import Scrape

COMMAND = [sys.executable, "-m", "liveroom", "top", "--every", "0.3"]
NOBODY = "http://127.0.0.1:1"


def environ() -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LIVEROOM_")}
    return {**clean, "LIVEROOM_SECRET": SECRET, "TERM": "xterm", "NO_PROXY": "*"}


def top(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *words]
    return subprocess.run(command, env=environ() | more, capture_output=True, text=True, check=False, timeout=30)


def test_a_pipe_is_shown_nodes_and_rooms_once_in_plain_text(house: House):
    node = house.node()
    room = make_room(node, "A \x1b[31mred title")
    done = top("--url", node.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    head, line = done.stdout.splitlines()[:2]
    for name in ("node", "viewers", "comments/s", "tick late", "Redis", "facts wait", "errors"):
        assert name in head
    assert re.match(rf"{re.escape(node.url[7:])} +ready +\d", line)
    assert re.search(rf"^{room} +A +\[31mred title +open +0 +0$", done.stdout, re.M)


def test_it_goes_on_for_as_long_as_it_is_told(node: Node):
    assert top("--url", node.url, "--limit", "0.8").stdout.count("comments/s") >= 2


def test_a_node_that_is_away_is_said_and_the_others_are_shown(node: Node):
    done = top("--url", NOBODY, "--url", node.url)
    assert done.returncode == 0
    assert "127.0.0.1:1" in done.stdout
    assert re.search(rf"no server at {NOBODY} \(.+\)", done.stdout)
    assert re.search(r"^demo +Demo +open", done.stdout, re.M)


def test_nobody_there_is_a_failure():
    done = top("--url", NOBODY)
    assert (done.returncode, done.stderr) == (1, "")
    assert "no rooms: no server" in done.stdout


def test_what_a_node_does_not_tell_is_said(house: House):
    shut, guarded = house.node(metrics="off"), house.node(metrics_token="0123456789abcdef", metrics="loopback")
    assert f"{shut.url} has metrics = off" in top("--url", shut.url).stdout
    assert "ready" in top("--url", guarded.url, LIVEROOM_METRICS_TOKEN="0123456789abcdef").stdout
    other = top("--url", guarded.url, LIVEROOM_SECRET="the secret of another server, 32 bytes")
    assert "no rooms: BAD_TOKEN" in other.stdout
    assert "ready" in other.stdout


@contextlib.contextmanager
def in_a_terminal(node: Node) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    command = [*COMMAND, "--url", node.url]
    process = subprocess.Popen(
        command, env=environ(), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    try:
        yield ours, process
        assert termios.tcgetattr(theirs)[3] == before[3], "the terminal is as it was"
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


def read_until(ours: int, wanted: str, seconds: float = 15) -> str:
    said, deadline = "", time.monotonic() + seconds
    while wanted not in said:
        assert select.select([ours], [], [], max(0, deadline - time.monotonic()))[0], said
        said += os.read(ours, 65536).decode(errors="replace")
    return said


@pytest.mark.parametrize("how", ["q", "interrupt"])
def test_a_terminal_is_shown_it_again_and_again_until_somebody_has_seen_enough(node: Node, how: str):
    with in_a_terminal(node) as (ours, process):
        assert "ready" in read_until(ours, "demo")
        read_until(ours, "demo")
        if how == "q":
            os.write(ours, b"xq")
        else:
            process.send_signal(2)
        assert wait(ours, process) == 0


def wait(ours: int, process: subprocess.Popen[bytes]) -> int:
    """Somebody must read what a terminal is told, or nothing goes on."""
    deadline = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < deadline:
        if select.select([ours], [], [], 0.05)[0]:
            os.read(ours, 65536)
    return process.wait(1)


# --- what is made of numbers ---


def told(at: float, **values: float) -> Look:
    return Look(at, {f"liveroom_{name}": [({}, value)] for name, value in values.items()})


def test_a_rate_is_what_happened_between_two_looks():
    assert Pair(told(10, joins_total=5), told(12, joins_total=11)).rate("joins_total") == 3


def test_a_node_that_was_started_anew_has_no_negative_rate():
    assert Pair(told(10, joins_total=500), told(12, joins_total=1)).rate("joins_total") == 0


def test_one_look_is_no_rate():
    only = told(10, joins_total=5)
    assert Pair(only, only).rate("joins_total") is None
    assert Pair(Look(9, {}, "away"), only).rate("joins_total") is None


@pytest.mark.parametrize(
    ("buckets", "found"),
    [
        ({0.1: 0, 0.2: 0, float("inf"): 0}, None),
        ({0.1: 99, 0.2: 100, float("inf"): 100}, 0.1),
        ({0.1: 98, 0.2: 100, float("inf"): 100}, 0.2),
        ({0.1: 0, 0.2: 0, float("inf"): 1}, float("inf")),
        ({}, None),
    ],
)
def test_99_of_100_keep_to_the_quantile(buckets: dict[float, float], found: float | None):
    assert quantile(0.99, buckets) == found


def test_what_a_real_node_tells_is_read(node: Node):
    samples = read_samples(Scrape(node).text)
    look = Look(1, samples)
    assert look.sum("ready") == 1
    assert look.buckets("redis_seconds", server="truth", call="ping")[float("inf")] > 0
    assert read_samples("<html>") == {}


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_narrow_terminal_has_the_first_columns(width: int):
    console = Console(width=width, file=io.StringIO())
    pair = Pair(told(1, viewers=1), told(2, viewers=12_345, ready=1))
    console.print(table_of_nodes({"http://10.0.0.1:8000": pair}, width))
    head, line = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    names = [name for name in COLUMNS if name in head]
    assert names == list(COLUMNS)[: len(names)]
    assert len(names) == {40: 2, 80: 7, 200: len(COLUMNS)}[width]
    assert "12,345" in line


def test_of_many_rooms_the_fullest_are_shown():
    rooms = [{"id": f"r{n}", "title": "T", "state": "open", "viewers": n, "likes": 0} for n in range(30)]
    overview = Overview([])
    overview.rooms = rooms
    console = Console(width=100, file=io.StringIO())
    console.print(overview)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert said.index("r29") < said.index("r28")
    assert "r9 " not in said
    assert "and 10 more rooms" in said
