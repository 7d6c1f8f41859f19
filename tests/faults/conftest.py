import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.house import House

Until = Callable[..., None]


@pytest.fixture
def until() -> Until:
    """Wait for something to become true."""

    def wait(true: Callable[[], Any], seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, "it did not come true"
            time.sleep(0.05)

    return wait


@pytest.fixture
def valkey(house: House) -> Callable[[], redis.Redis]:
    """A client of the house's embedded server."""
    return lambda: redis.Redis(unix_socket_path=house.redis_socket, socket_timeout=5)
