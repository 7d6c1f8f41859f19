"""What was costly to make is made once, and kept for those who ask next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Memory(Generic[Value]):
    """The values asked for last, by name. Whoever asks while one is being made waits for that one."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.kept: dict[str, asyncio.Future[Value]] = {}

    def forget(self, name: str) -> None:
        self.kept.pop(name, None)

    async def get(self, name: str, make: Callable[[], Awaitable[Value]]) -> Value:
        found = self.kept.pop(name, None)
        if found is None or (found.done() and (found.cancelled() or found.exception())):
            found = asyncio.ensure_future(make())
        self.kept[name] = found  # the newest is the last
        while len(self.kept) > self.most:
            del self.kept[next(iter(self.kept))]
        return await asyncio.shield(found)
