"""What a node tells Prometheus, as the tests read it."""

import time
from collections.abc import Callable, Mapping

from prometheus_client.parser import text_string_to_metric_families

from tests.house import Node

Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    """Every value by its name and its labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Scrape:
    """One answer of `/metrics`."""

    def __init__(self, node: Node) -> None:
        status, body = node.http("GET", "/metrics")
        assert status == 200, body
        self.text: str = body
        self.samples = samples(body)

    def __call__(self, name: str, **labels: str) -> float:
        return self.samples[f"liveroom_{name}", tuple(sorted((key.rstrip("_"), one) for key, one in labels.items()))]

    def since(self, before: "Scrape", name: str, **labels: str) -> float:
        return self(name, **labels) - before(name, **labels)


def until(holds: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)
