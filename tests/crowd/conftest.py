from collections.abc import Iterator

import pytest

from tests.house import House, Node

Pair = tuple[Node, Node]


@pytest.fixture(scope="session")
def loud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Node, Node]]:
    """Two nodes of one house, where people may talk as fast as they like and nearly nothing is shown."""
    house = House(tmp_path_factory.mktemp("loud") / "data")
    talk = {"chat_rate": 1000, "chat_burst": 1000, "crowd_budget": 1}
    try:
        yield house, house.node(**talk), house.node(**talk)
    finally:
        house.stop()
