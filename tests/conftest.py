from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import planting
from tests.contracts import wire
from tests.house import House, Node, Plant

LOG_TAIL = 4000

pytest_plugins = ["tests.plugin_skips"]

settings.register_profile("busy", deadline=None)  # how long an example takes says more of the machine than of the code
settings.load_profile("busy")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what the nodes said."""
    report = yield
    if report.failed:
        report.sections += [(f"log of {node.log.name}", node.said[-LOG_TAIL:]) for node in Node.running]
    return report


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One node on an embedded server, shared by all tests that break nothing: each takes a room of its own."""
    house = House(tmp_path_factory.mktemp("house") / "data")
    try:
        yield house.node()
    finally:
        house.stop()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """An empty house of one's own, to start nodes in and to kill them."""
    house = House(tmp_path / "data")
    try:
        yield house
    finally:
        house.stop()


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, house: House) -> Plant:
    """A house whose nodes run a copy of the package with something changed in it."""

    def planted(*edits: planting.Edit) -> House:
        planting.plant(tmp_path, edits, "liveroom", "gameplay")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setenv("PYTHONSAFEPATH", "1")  # else the folder that the tests run in comes first
        monkeypatch.setattr(wire, "wrong", lambda *_: "")  # what is planted may break the contract before it is found
        return house

    return planted
