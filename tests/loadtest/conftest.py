"""`make load` in small: a server of its own, a few users, one verdict."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.planting import ROOT, Edit, plant

Load = Callable[..., tuple[int, str]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Exit code and output of a run; with edits the server is a copy of the package that has them."""

    def run(*edits: Edit, users: int = 30, seconds: int = 8) -> tuple[int, str]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("LIVEROOM_")}
        environ |= {"TMPDIR": str(tmp_path), "PYTHONPATH": str(tmp_path if edits else ROOT)}
        if edits:
            plant(tmp_path, edits, "liveroom", "gameplay", "loadtest")
        command = [sys.executable, "-m", "loadtest.crowd", "--users", str(users), "--seconds", str(seconds)]
        command += ["--profile", "hurry"]
        done = subprocess.run(
            command,
            cwd=tmp_path if edits else ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    return run


def failed(output: str) -> set[str]:
    """The checks that failed."""
    return {found[1] for found in re.finditer(r"^FAILED  (.*?)  +\d", output, re.M)}
