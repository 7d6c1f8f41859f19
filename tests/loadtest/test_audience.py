"""`make audience` in small: a short show is told as it was; a server with a fault planted in it is found out."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest.audience.__main__ import read_options
from tests.house import SECRET, House
from tests.loadtest.conftest import failed
from tests.planting import ROOT, Edit, plant

pytestmark = pytest.mark.timeout(180)

DOOR = "liveroom/door.py"
SHORT = ("--viewers", "150", "--seconds", "20")
Show = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def show(tmp_path: Path) -> Show:
    """A run under way; with edits the server is a copy of the package that has them."""

    def begun(*words: str, edits: tuple[Edit, ...] = (), secret: str = "") -> subprocess.Popen[str]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("LIVEROOM_")}
        environ |= {"TMPDIR": str(tmp_path), "PYTHONPATH": str(tmp_path if edits else ROOT)}
        environ |= {"LIVEROOM_SECRET": secret} if secret else {}
        if edits:
            plant(tmp_path, edits, "liveroom", "gameplay", "loadtest")
        return subprocess.Popen(
            [sys.executable, "-m", "loadtest.audience", *words],
            cwd=tmp_path if edits else ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return begun


def ended(run: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        output, _ = run.communicate(timeout=150)
    finally:
        run.kill()
    return run.returncode, output


def left_running(folder: Path) -> list[str]:
    """Processes that were started in this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words:
            found.append(words)
    return found


def test_a_short_show_is_told_as_it_was(show: Show, tmp_path: Path) -> None:
    code, output = ended(show(*SHORT))
    assert (failed(output), code) == (set(), 0), output
    assert "good" in output.splitlines()
    assert len(re.findall(r"^ok ", output, re.M)) == 11
    assert (left_running(tmp_path), list(tmp_path.iterdir())) == ([], [])


def test_a_show_in_the_store_is_told_as_it_was(show: Show, tmp_path: Path) -> None:
    code, output = ended(show("--store", "--viewers", "20000"))
    assert (failed(output), code) == (set(), 0), output
    assert (left_running(tmp_path), list(tmp_path.iterdir())) == ([], [])


@pytest.mark.parametrize("words", [SHORT, ("--store",)], ids=["sockets", "store"])
def test_an_interrupt_leaves_nothing_behind(show: Show, tmp_path: Path, words: tuple[str, ...]) -> None:
    run = show(*words)
    assert run.stdout is not None
    assert "viewers" in run.stdout.readline()
    run.send_signal(signal.SIGINT)
    code, output = ended(run)
    assert (code, "Traceback" in output) == (130, False), output
    assert (left_running(tmp_path), list(tmp_path.iterdir())) == ([], [])


@pytest.mark.slow
def test_a_server_that_runs_is_played_to(show: Show, house: House) -> None:
    settings = {"grace_seconds": 3, "dead_seconds": 2.5, "ping_seconds": 1}
    urls = [word for _ in range(2) for word in ("--url", house.node(**settings).url)]
    words = (*SHORT, *urls, "--grace-seconds", "3", "--speed", "15")
    code, output = ended(show(*words, secret=SECRET))
    assert (failed(output), code) == (set(), 0), output


@pytest.mark.slow
def test_a_leave_that_is_dropped_is_noticed(show: Show) -> None:
    drops = (
        DOOR,
        "            self.attendance.left(room, seat.viewer,",
        '            seat.viewer.endswith("7") or self.attendance.left(room, seat.viewer,',
    )
    code, output = ended(show(*SHORT, edits=(drops,)))
    assert {"departures, by how", "viewers at once", "watch time"} <= failed(output), output
    assert code == 1


@pytest.mark.slow
def test_the_noticing_time_as_the_end_is_noticed(show: Show) -> None:
    notices = (DOOR, "asyncio.get_running_loop().time() - person.heard)", "0.0)")
    code, output = ended(show(*SHORT, edits=(notices,)))
    assert "watch time" in failed(output), output
    assert code == 1


@pytest.mark.slow
def test_a_join_that_is_told_for_each_device_is_noticed(show: Show) -> None:
    """As if each seat were a viewer of his own."""
    doubles = (
        (DOOR, "came(room.info.id, joiner.viewer,", "came(room.info.id, f'{joiner.viewer}@{id(self)}',"),
        (DOOR, "attendance.left(room, seat.viewer,", "attendance.left(room, f'{seat.viewer}@{id(self)}',"),
    )
    code, output = ended(show(*SHORT, edits=doubles))
    assert "sessions" in failed(output), output
    assert code == 1


@pytest.mark.parametrize(
    "words", [("--viewers", "-1"), ("--seconds", "0"), ("--speed", "-2"), ("--speed", "21")], ids=" ".join
)
def test_what_cannot_be_played_is_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        read_options(words)
    assert end.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_a_secret_that_nobody_knows_is_asked_for(show: Show) -> None:
    code, output = ended(show("--url", "http://127.0.0.1:1"))
    assert (code, "LIVEROOM_SECRET" in output) == (1, True)
