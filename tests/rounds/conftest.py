from collections.abc import Iterator

import pytest

from tests.house import House, Node


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Node]]:
    """Two nodes of one house, where people may talk as fast as they like: each test takes a room of its own."""
    house = House(tmp_path_factory.mktemp("pair") / "data")
    talk = {"chat_rate": 1000, "chat_burst": 1000}
    try:
        yield house.node(**talk), house.node(**talk)
    finally:
        house.stop()
