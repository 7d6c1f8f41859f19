"""A real Prometheus on loopback that scrapes nodes of the tests as `deploy/prometheus.yml` says."""

import json
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.house import Node
from tests.observability.scraping import until

DEPLOY = Path(__file__).parents[2] / "deploy"
TOKEN = "the-token-of-prometheus"


def program(name: str) -> str:
    found = shutil.which(name)
    if not found:
        pytest.skip("needs prometheus: install prometheus")
    return found


def promtool(*words: str, said: str | None = None) -> str:
    """What promtool answers; it must be content."""
    done = subprocess.run([program("promtool"), *words], input=said, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def configured(folder: Path, *nodes: str) -> Path:
    """The configuration that is delivered, for these nodes and a test that is in a hurry."""
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text("utf-8"))
    config["global"] = dict.fromkeys(config["global"], "1s")
    config["rule_files"] = [str(DEPLOY / name) for name in config["rule_files"]]
    (scrape,) = config["scrape_configs"]
    (folder / "metrics_token").write_text(TOKEN)
    scrape["authorization"]["credentials_file"] = str(folder / "metrics_token")
    scrape["static_configs"] = [{"targets": list(nodes)}]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


class Prometheus:
    """What a running Prometheus answers."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **query: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[Any]:
        try:
            found: list[Any] = self.get("query", query=expression)["result"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{expression}: {error.read().decode()}") from None
        return found

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=10):
                return True
        except OSError:
            return False


@contextmanager
def scraping(folder: Path, *nodes: Node) -> Iterator[Prometheus]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{probe.getsockname()[1]}"
    config = configured(folder, *(node.url.removeprefix("http://") for node in nodes))
    words = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={where}"]
    log = (folder / "prometheus.log").open("wb")
    process = subprocess.Popen([program("prometheus"), *words], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        prometheus = Prometheus(f"http://{where}")
        until(lambda: process.poll() is not None or prometheus.ready())
        assert process.poll() is None, (folder / "prometheus.log").read_text()
        yield prometheus
    finally:
        process.terminate()
        process.wait(20)
        log.close()
