"""The generated files say what the types say: after a change of a message, `make docs` writes them anew."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs.generate import documents, stale
from tests import planting

ROOT = Path(__file__).parents[2]
FRESH = "tests/contracts/test_fresh.py::test_what_is_generated_is_fresh"
RENAMED = {
    "a field of an event": ("gameplay/likes.py", "    delta: int\n", "    change: int\n"),
    "a field of a command": ("gameplay/likes.py", "    n: Annotated", "    number: Annotated"),
    "a field of an answer": ("gameplay/sale.py", "    place: int\n", "    spot: int\n"),
    "a field over HTTP": ("liveroom/http/calls.py", "    payment_id: ", "    payment: "),
    "a message": ("gameplay/quiz.py", 'tag="quiz.revealed"', 'tag="quiz.shown"'),
    "a bound": ("gameplay/likes.py", "le=50", "le=49"),
    "who may": ("liveroom/protocol.py", "    needs = Role.HOST\n    answer = Numbered", "    answer = Numbered"),
    "a close code": ("liveroom/protocol.py", "BANNED = 4502", "BANNED = 4505"),
    "a status": ("liveroom/protocol.py", "Code.BAD_TOKEN: Meaning(401)", "Code.BAD_TOKEN: Meaning(403)"),
    "a path": ("liveroom/http/calls.py", '"/v1/rooms/{room}/holds/{hold}"', '"/v1/rooms/{room}/hold/{hold}"'),
    "nothing": ("gameplay/likes.py", "le=50", "le=50"),
}


def test_what_is_generated_is_fresh():
    assert not stale(ROOT), "run `make docs` and commit what it writes"


@pytest.mark.parametrize("what", RENAMED)
def test_a_change_of_the_contract_is_noticed(tmp_path: Path, what: str):
    planting.plant(tmp_path, (RENAMED[what],), "gameplay", "liveroom", "docs", "web")
    (tmp_path / "tests/contracts").mkdir(parents=True)
    shutil.copy(ROOT / FRESH.partition("::")[0], tmp_path / "tests/contracts")
    shutil.copy(ROOT / "tests/planting.py", tmp_path / "tests")
    without = [f"-pno:{name}" for name in ("cacheprovider", "valkey", "locust", "schemathesis")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *without, "--import-mode=importlib", "--rootdir", str(tmp_path), FRESH],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("1 passed" if what == "nothing" else "run `make docs`") in done.stdout, done.stdout + done.stderr


def test_it_is_generated_the_same_each_time():
    assert documents() == documents()
