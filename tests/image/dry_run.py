"""Do what the Dockerfile and compose.yaml say, without Docker: in a folder, with a fresh environment, on free ports."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liveroom.store.embedded import find_binary
from tests.image.recipe import ROOT, Step, copied, dockerfile, environment, ignored, last, nodes, put_in, services

PATIENCE_SECONDS = 30
NOT_HERE = ("useradd",)  # what would change this machine


class Failed(Exception):
    """A step did not work; what it said."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Image:
    """The file system of the image, all stages in one folder; absolute paths of the recipe lie below it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workdir = root
        self.left_out: list[str] = []

    def inside(self, path: str) -> Path:
        return self.root / path.lstrip("/") if path.startswith("/") else self.workdir / path

    def moved(self, text: str) -> str:
        """The text with the paths that the image makes, where they are here."""
        for made in ("/opt/liveroom", environment()["LIVEROOM_DATA"]):
            text = text.replace(made, str(self.inside(made)))
        return text

    def build(self) -> None:
        for step in dockerfile():
            if step.verb == "WORKDIR":
                self.workdir = self.inside(step.said)
                self.workdir.mkdir(parents=True, exist_ok=True)
            elif step.verb == "COPY" and "--from" not in step.said:  # all stages are one folder here
                self.copy(step)
            elif step.verb == "RUN":
                self.run(step)

    def copy(self, step: Step) -> None:
        *sources, target = step.words
        for source in (ROOT / name for name in sources):
            into = self.inside(target) / (source.name if target.endswith("/") else "")
            if source.is_dir():
                shutil.copytree(source, into, ignore=lambda at, names: [n for n in names if ignored(Path(at) / n)])
            else:
                shutil.copy(source, into)

    def run(self, step: Step) -> None:
        if any(word in step.said for word in NOT_HERE):
            self.left_out.append(step.said)
            return
        command = self.moved(step.said)
        if command.startswith("python "):
            command = f"{sys.executable} {command.removeprefix('python ')}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LIVEROOM_"))}
        done = subprocess.run(
            ["sh", "-c", command], cwd=self.workdir, env=clean, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Failed(f"RUN {step.said}: exit {done.returncode}\n{done.stdout}{done.stderr}")


class Container:
    """A process that was started as its service says."""

    def __init__(self, command: list[str], environ: Mapping[str, str], folder: Path, log: Path) -> None:
        self.environ = {**environ, "HOME": str(folder)}
        self.folder = folder
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                command, cwd=folder, env=self.environ, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )

    def answers(self, command: list[str]) -> bool:
        done = subprocess.run(command, cwd=self.folder, env=self.environ, capture_output=True, check=False)
        return done.returncode == 0

    def wait_until_healthy(self, command: list[str]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.answers(command):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"never healthy: {self.log.read_text()}")
            time.sleep(0.1)

    def stop(self, seconds: float) -> int:
        """The exit code, after SIGTERM and within what compose allows."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed(f"did not stop within {seconds:g} s: {self.log.read_text()}") from None


class Composed:
    """The nodes of compose.yaml and their Redis, from an image that was built."""

    def __init__(self, image: Image, secrets: Mapping[str, str]) -> None:
        self.image = image
        self.secrets = secrets
        self.running: dict[str, Container] = {}
        self.ports = {name: free_port() for name in [*nodes(), "redis"]}

    def start(self) -> None:
        program, *options = services()["redis"]["command"]
        assert program == "redis-server"
        here = ["--port", str(self.ports["redis"]), "--bind", "127.0.0.1"]
        folder = self.image.root / "redis"
        folder.mkdir()
        plain = {"PATH": os.environ["PATH"]}
        redis = Container([find_binary(), *options, *here], plain, folder, self.image.root / "redis.log")
        self.running["redis"] = redis
        for name in nodes():
            self.running[name] = self.start_node(name)
        for name in nodes():
            self.running[name].wait_until_healthy(self.health())

    def start_node(self, name: str) -> Container:
        environ = {key: self.image.moved(value) for key, value in environment().items()}
        environ |= {key: put_in(str(value), self.secrets) for key, value in nodes()[name]["environment"].items()}
        environ |= {"LIVEROOM_HOST": "127.0.0.1", "LIVEROOM_PORT": str(self.ports[name])}
        environ["LIVEROOM_REDIS"] = environ["LIVEROOM_REDIS"].replace("redis:6379", f"127.0.0.1:{self.ports['redis']}")
        entry, words = last("ENTRYPOINT").exec_form, last("CMD").exec_form
        assert entry
        assert words
        program = shutil.which(entry[0], path=environ["PATH"])
        if not program or not program.startswith(str(self.image.root)):
            raise Failed(f"{entry[0]} is not in the image")
        data = self.image.inside(environment()["LIVEROOM_DATA"])
        return Container([program, *entry[1:], *words], environ, data, self.image.root / f"{name}.log")

    def health(self) -> list[str]:
        """As HEALTHCHECK asks, with the Python of the image."""
        command = last("HEALTHCHECK").exec_form
        assert command
        return [str(self.image.inside("/opt/liveroom/bin") / command[0]), *command[1:]]

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def get(self, name: str, path: str, token: str, body: Any = None) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {token}"}
        with urllib.request.urlopen(urllib.request.Request(self.url(name) + path, body, headers), timeout=10) as answer:
            return answer.status, answer.read()

    def stop(self) -> dict[str, int]:
        """Exit codes; Redis is the last to go."""
        codes = {}
        for name in [*(one for one in self.running if one != "redis"), "redis"]:
            if name in self.running:
                grace = services()[name].get("stop_grace_period", "10s")
                codes[name] = self.running[name].stop(float(grace.removesuffix("s")))
        return codes


def fresh(root: Path) -> Image:
    assert all(path.exists() for path in copied())
    image = Image(root)
    image.build()
    return image
