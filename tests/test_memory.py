"""What is kept for those who ask next: made once for all who wait, and forgotten when it is too old."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from liveroom.memory import Memory


def thought(what: Callable[[list[str]], Coroutine[Any, Any, None]]) -> list[str]:
    """What was made."""
    made: list[str] = []
    asyncio.run(what(made))
    return made


def making(made: list[str], name: str) -> Callable[[], Coroutine[Any, Any, str]]:
    async def make() -> str:
        made.append(name)
        await asyncio.sleep(0.01)
        return name

    return make


def test_who_asks_while_it_is_made_waits_for_that_one_however_old_it_may_be():
    async def show(made: list[str]) -> None:
        memory: Memory[str] = Memory(5, 1e-9)
        assert await asyncio.gather(*(memory.get("a", making(made, "a")) for _ in range(3))) == ["a"] * 3

    assert thought(show) == ["a"]


def test_what_is_too_old_is_made_anew_and_takes_no_place():
    async def show(made: list[str]) -> None:
        memory: Memory[str] = Memory(5, 1e-9)
        for name in "aabc":
            await memory.get(name, making(made, name))
        assert list(memory.kept) == ["c"]

    assert thought(show) == ["a", "a", "b", "c"]


def test_what_never_grows_old_is_kept_for_those_who_asked_last():
    async def show(made: list[str]) -> None:
        memory: Memory[str] = Memory(2)
        for name in "abaca":
            await memory.get(name, making(made, name))
        assert list(memory.kept) == ["c", "a"]

    assert thought(show) == ["a", "b", "c"]


def test_what_could_not_be_made_is_tried_again():
    async def show(made: list[str]) -> None:
        memory: Memory[str] = Memory(2)

        async def fail() -> str:
            raise OSError("no answer")

        with pytest.raises(OSError, match="no answer"):
            await memory.get("a", fail)
        assert await memory.get("a", making(made, "a")) == "a"

    assert thought(show) == ["a"]
