from collections.abc import Iterator

import pytest

from tests.house import House, Node


@pytest.fixture(scope="session")
def moderated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with two nodes: each test takes a room of its own."""
    house = House(tmp_path_factory.mktemp("moderated") / "data")
    try:
        house.node()
        house.node()
        yield house
    finally:
        house.stop()


@pytest.fixture
def pair(moderated: House) -> list[Node]:
    return list(moderated.nodes)
