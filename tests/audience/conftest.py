import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from liveroom.store import scripts
from liveroom.store.embedded import Embedded
from liveroom.store.server import client
from loadtest.audience.store import turned_clock
from tests.audience.balcony import Balcony, Sit
from tests.audience.roll import Stage


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose scripts read the time from a key; its address."""
    embedded = Embedded(tmp_path_factory.mktemp("turned") / "data")
    embedded.start()
    try:
        with turned_clock():
            yield embedded.url
    finally:
        embedded.stop()


@pytest.fixture
def sit(turned: str, monkeypatch: pytest.MonkeyPatch) -> Sit:
    """Sit on the balcony of a stage where a stream has just begun; each report is a fresh one."""
    monkeypatch.setattr("liveroom.audience.FRESH_SECONDS", 1e-9)

    async def show(what: Callable[[Balcony], Awaitable[None]]) -> None:
        redis = client(turned, 5)
        try:
            await redis.flushall()
            await scripts.load(redis)
            stage = Stage(redis)
            await stage.wait(0)
            await stage.start()
            await what(Balcony(stage))
        finally:
            await redis.aclose()

    return lambda what: asyncio.run(show(what))
