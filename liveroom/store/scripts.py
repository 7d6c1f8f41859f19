"""The Lua verbs: read once from ``lua/``, called by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import NoScriptError

FENCED: Final = -1
GONE: Final = -2
LATE: Final = -3

Word = str | bytes | int | float


class Fenced(Exception):
    """The server was started anew since this node last looked: recover the room, then call again."""


class NoRoom(Exception):
    """The server knows no such room."""


def read_sources() -> dict[str, str]:
    """Name to full source: a verb with the shared parts that its ``uses`` line names in front."""
    found = {
        file.name.removesuffix(".lua"): file.read_text("utf-8")
        for file in files("liveroom.store").joinpath("lua").iterdir()
        if file.name.endswith(".lua")
    }
    return {name: with_shared(text, found) for name, text in found.items() if not name.startswith("_")}


def with_shared(text: str, found: dict[str, str]) -> str:
    uses = re.search(r"^-- uses  (.+)$", text, re.MULTILINE)
    shared = [found["_" + name.strip()] for name in uses[1].split(",")] if uses else []
    return "\n".join([*shared, text])


SOURCES: Final = read_sources()
DIGESTS: Final = {name: sha1(text.encode(), usedforsecurity=False).hexdigest() for name, text in SOURCES.items()}


async def load(redis: Redis) -> None:
    """Make the server know all verbs: at the start, and after it forgot them."""
    async with redis.pipeline(transaction=False) as pipeline:
        for text in SOURCES.values():
            pipeline.script_load(text)
        await pipeline.execute()


async def call(redis: Redis, name: str, keys: Sequence[str], args: Sequence[Word]) -> Any:
    """One verb. Raises Fenced and NoRoom where the answer says so, redis-py's errors where there is none."""
    try:
        answer = await redis.evalsha(DIGESTS[name], len(keys), *keys, *args)
    except NoScriptError:
        await load(redis)
        answer = await redis.evalsha(DIGESTS[name], len(keys), *keys, *args)
    return checked(answer)


def queue(pipeline: Pipeline, name: str, keys: Sequence[str], args: Sequence[Word]) -> None:
    """The same in a pipeline, whose answers come from ``run``."""
    pipeline.evalsha(DIGESTS[name], len(keys), *keys, *args)


def checked(answer: Any) -> Any:
    if isinstance(answer, list) and answer and answer[0] in (FENCED, GONE) and len(answer) == 1:
        raise Fenced if answer[0] == FENCED else NoRoom
    return answer


Call = tuple[str, Sequence[str], Sequence[Word]]


async def run(redis: Redis, calls: Sequence[Call]) -> list[Any]:
    """Many verbs as one pipeline: an answer each, which may be an exception."""
    answers = await run_once(redis, calls)
    again = [n for n, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
    if again:
        await load(redis)
        for n, answer in zip(again, await run_once(redis, [calls[n] for n in again]), strict=True):
            answers[n] = answer
    return answers


async def run_once(redis: Redis, calls: Sequence[Call]) -> list[Any]:
    async with redis.pipeline(transaction=False) as pipeline:
        for name, keys, args in calls:
            queue(pipeline, name, keys, args)
        return await pipeline.execute(raise_on_error=False)
