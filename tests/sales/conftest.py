from collections.abc import Iterator

import pytest

from tests.house import House, Node


@pytest.fixture(scope="session")
def stalls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with two nodes, where offers last long: each test takes a room of its own."""
    house = House(tmp_path_factory.mktemp("stalls") / "data")
    try:
        house.node(offer_seconds=600)
        house.node(offer_seconds=600)
        yield house
    finally:
        house.stop()


@pytest.fixture
def pair(stalls: House) -> list[Node]:
    return list(stalls.nodes)
