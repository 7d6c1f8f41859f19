"""Dockerfile, .dockerignore and compose.yaml as data."""

import json
import re
import shlex
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<sign>[?-])(?P<more>[^}]*))?\}")


class Step(NamedTuple):
    """One instruction, and the number of the stage it stands in."""

    stage: int
    verb: str
    said: str

    @property
    def words(self) -> list[str]:
        """Without the options of the instruction itself."""
        return [word for word in shlex.split(self.said) if not word.startswith("--")]

    @property
    def exec_form(self) -> list[str] | None:
        found = re.search(r"\[.*\]$", self.said)
        return [str(word) for word in json.loads(found[0])] if found else None


def dockerfile() -> list[Step]:
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text("utf-8"))
    steps: list[Step] = []
    stage = -1
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            verb, _, said = line.partition(" ")
            stage += verb == "FROM"
            steps.append(Step(stage, verb, said.strip()))
    return steps


def last(verb: str) -> Step:
    """What is in force when the image runs."""
    final = max(step.stage for step in dockerfile())
    return [step for step in dockerfile() if step.verb == verb and step.stage == final][-1]


def environment() -> dict[str, str]:
    return dict(word.split("=", 1) for word in last("ENV").words)


def copied() -> list[Path]:
    """What the build takes from the project."""
    steps = [step for step in dockerfile() if step.verb == "COPY" and "--from" not in step.said]
    return [ROOT / name for step in steps for name in step.words[:-1]]


def ignored(path: Path) -> bool:
    """As .dockerignore has it: the last line that fits decides."""
    name, out = path.relative_to(ROOT).as_posix(), False
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.strip().removeprefix("!").removeprefix("**/")
        if pattern and not line.startswith("#"):
            parts = (name, *name.split("/")) if line.startswith("**/") else (name, name.split("/")[0])
            if any(fnmatch(part, pattern) for part in parts):
                out = not line.startswith("!")
    return out


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    return found


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def nodes() -> dict[str, dict[str, Any]]:
    return {name: one for name, one in services().items() if name.startswith("liveroom")}


class Unset(Exception):
    """A variable that must be set is not."""


def put_in(text: str, environ: Mapping[str, str]) -> str:
    """Variables as `docker compose` puts them in. Raises Unset with what the file says of it."""

    def value(found: re.Match[str]) -> str:
        if given := environ.get(found["name"]):
            return given
        if found["sign"] == "?":
            raise Unset(f"{found['name']}: {found['more']}")
        return found["more"] or ""

    return VARIABLE.sub(value, text)
