"""What was costly to make is made once, and kept for those who ask next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Memory(Generic[Value]):
    """The values asked for last, by name, while they are fresh. Whoever asks while one is made waits for that one."""

    def __init__(self, most: int, seconds: float = inf) -> None:
        self.most = most
        self.seconds = seconds
        self.kept: dict[str, tuple[float, asyncio.Future[Value]]] = {}  # with the time at which it was begun

    def forget(self, name: str) -> None:
        self.kept.pop(name, None)

    async def get(self, name: str, make: Callable[[], Awaitable[Value]]) -> Value:
        now = asyncio.get_running_loop().time()
        for old in [one for one, (began, value) in self.kept.items() if self.spent(value, now - began)]:
            del self.kept[old]
        found = self.kept.pop(name, None)
        began, value = found or (now, asyncio.ensure_future(make()))
        self.kept[name] = began, value  # the newest is the last
        while len(self.kept) > self.most:
            del self.kept[next(iter(self.kept))]
        return await asyncio.shield(value)

    def spent(self, value: asyncio.Future[Value], age: float) -> bool:
        """Nobody asks for it again: it is too old, or could not be made."""
        return value.done() and (age >= self.seconds or value.cancelled() or value.exception() is not None)
