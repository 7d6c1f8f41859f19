"""A short run is good; on a server with a fault planted in it the verdict says which promise is broken."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import SECRET, House
from tests.loadtest.conftest import Load, failed
from tests.planting import ROOT

pytestmark = pytest.mark.timeout(180)


def test_a_short_run_is_good(load: Load) -> None:
    code, output = load()
    assert (failed(output), code) == (set(), 0), output
    assert "good" in output.splitlines()


HAS_HOST = 'any(str(one.role) == "host" for one in room.seats)'  # true on one of the nodes


@pytest.mark.slow
@pytest.mark.parametrize("where", ["True", HAS_HOST], ids=["everywhere", "on one node"])
def test_a_dropped_comment_is_noticed(load: Load, where: str) -> None:
    drops = (
        "liveroom/hub.py",
        "room.tick.comments.extend(comments)",
        f"room.tick.comments.extend(comments[room.total == 0 and {where} :])",
    )
    code, output = load(drops)
    assert "each comment is shown or counted" in failed(output), output
    assert code == 1


@pytest.mark.slow
def test_an_event_that_one_viewer_is_not_told_is_noticed(load: Load) -> None:
    skips = (
        "liveroom/writer.py",
        "        for seat in seats:\n",
        "        quiz = any(b'quiz.opened' in bytes(one) for one in frames.essential)\n"
        "        for seat in seats[quiz:]:\n",
    )
    code, output = load(skips)
    assert "no event is lost or comes twice" in failed(output), output
    assert code == 1


@pytest.mark.slow
def test_a_unit_that_is_freed_twice_is_noticed(load: Load) -> None:
    frees = ("liveroom/store/lua/_sale.lua", "- hold.qty, book.free + hold.qty", "- hold.qty, book.free + 2 * hold.qty")
    code, output = load(frees)
    assert "left + held + sold = stock" in failed(output), output  # whether it is also sold is a matter of luck
    assert code == 1


@pytest.mark.slow
def test_entries_that_are_not_written_down_are_noticed(load: Load) -> None:
    """With what stands between the script and the ledger silently left out."""
    loses = (
        "liveroom/ledger/facts.py",
        "read_entries = json.Decoder(list[Entry]).decode",
        "read_entries = lambda text: []",
    )
    code, output = load(loses)
    assert "entries and answers are recorded" in failed(output), output
    assert code == 1


@pytest.mark.slow
def test_a_claim_that_forgets_its_key_is_noticed(load: Load) -> None:
    forgets = (
        "liveroom/store/lua/sell.lua",
        'local before = wish.word ~= "" and redis.call("HGET", at.idems, key)',
        "local before = nil",
    )
    code, output = load(forgets)
    assert "a resend gets the same reply" in failed(output), output
    assert code == 1


PLANTED = {
    "a ban that holds on one node only": (
        "who is banned stays out",
        (
            "liveroom/door.py",
            "        await self.turn_away(",
            f"        if {HAS_HOST}:\n            await self.turn_away(",
        ),
        ("liveroom/door.py", "if ban.binds(", f"if {HAS_HOST} and ban.binds("),
        (
            "liveroom/commands.py",
            'if binding(asked.room.sanctions, "ban"',
            'if False and binding(asked.room.sanctions, "ban"',
        ),
    ),
    "a banned viewer who comes back": (
        "who is banned stays out",
        ("liveroom/door.py", "        await self.turn_away(room, joiners)\n", ""),
    ),
    "a ban that shows nobody out": (
        "who is banned stays out",
        ("liveroom/door.py", "if ban.binds(", "if False and ban.binds("),
    ),
    "a mute that is forgotten": (
        "the muted and banned are silent",
        (
            "liveroom/speech.py",
            'return binding(asked.room.sanctions, "mute"',
            'return None and binding(asked.room.sanctions, "mute"',
        ),
    ),
    "a word list that is not asked": (
        "no listed word is shown",
        ("liveroom/judge.py", "None if asked.actor.staff else self.match(", "None if True else self.match("),
    ),
    "a word list that is looked up as it is written": (
        "no listed word is shown",
        ("liveroom/judge.py", "self.match(text, asked", "self.match(text if text.isascii() else '', asked"),
    ),
    "a limit that lets floods through": (
        "floods are held back",
        (
            "liveroom/judge.py",
            "return too_fast(wait) if wait else None",
            "return too_fast(wait) if wait > 4 else None",
        ),
    ),
    "one limit for all": (
        "the well-behaved notice nothing",
        (
            "liveroom/judge.py",
            "person.chat = full(rate, now / 1000)",
            'person.chat = self.__dict__.setdefault("one", full(rate, now / 1000))',
        ),
    ),
    "a deletion that nodes do not remember": (
        "what is deleted stays gone",
        ("liveroom/comments.py", "return id_ in self.ids or ", "return "),
    ),
    "a wrong frame that is forgiven": (
        "wrong frames are named",
        ("liveroom/protocol.py", "MOST_IN = 4 * 1024", "MOST_IN = 8 * 1024"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", PLANTED)
def test_a_fault_in_moderation_is_noticed(load: Load, fault: str) -> None:
    check, *edits = PLANTED[fault]
    code, output = load(*edits)
    assert check in failed(output), output
    assert code == 1


@pytest.mark.slow
def test_users_of_two_processes_get_one_verdict(house: House, tmp_path: Path) -> None:
    node = house.node()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    locust = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtest" / "locustfile.py"), "--loglevel", "WARNING"]
    locust += ["--profile-file", str(ROOT / "loadtest" / "profiles" / "hurry.toml"), "--data", str(house.data)]
    alone = ["--headless", "--only-summary", "--users", "30", "--spawn-rate", "30", "--run-time", "60"]
    master = ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", "2"]
    worker = ["--worker", "--master-host", "127.0.0.1", "--master-port", port]
    environ = {**os.environ, "LIVEROOM_SECRET": SECRET, "PYTHONPATH": str(ROOT)}
    said = tmp_path / "master.log"
    with said.open("wb") as out:
        everybody = [
            subprocess.Popen([*locust, *words], env=environ, stdout=log, stderr=subprocess.STDOUT)
            for words, log in (
                ([*master, *alone, "--host", node.url, "--show-seconds", "8"], out),
                (worker, subprocess.DEVNULL),
                (worker, subprocess.DEVNULL),
            )
        ]
        try:
            codes = [one.wait(120) for one in everybody]
        finally:
            for one in everybody:
                one.kill()
    output = said.read_text()
    assert (failed(output), codes) == (set(), [0, 0, 0]), output
    assert re.search(r"nothing failed +30 users", output)
