"""The play that the documentation builds is a play: its code runs, and its test is green."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```python\n(.*?)^```", re.M | re.S)


def test_the_play_of_the_page_on_new_plays_works(tmp_path: Path):
    *play, test = FENCE.findall((ROOT / "docs/new-play.md").read_text("utf-8"))
    for folder in ("gameplay", "tests/gameplay", "liveroom"):
        (tmp_path / "tree" / folder).mkdir(parents=True)
        for file in (ROOT / folder).iterdir():
            if file.name != "__pycache__":
                (tmp_path / "tree" / folder / file.name).symlink_to(file)
    (tmp_path / "tree/gameplay/guess.py").write_text("\n\n".join(play), "utf-8")
    (tmp_path / "tree/tests/gameplay/test_guess.py").write_text(test, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"]
    done = subprocess.run(
        [*command, "-p", "no:valkey", "-p", "no:locust", "tests/gameplay/test_guess.py"],
        cwd=tmp_path / "tree",
        env={"PYTHONPATH": str(tmp_path / "tree"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    lint = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), "gameplay/guess.py"]
    checked = subprocess.run(lint, cwd=tmp_path / "tree", capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
