"""The outbox: where facts wait in Redis until the ledger has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from liveroom.store import keys, scripts
from liveroom.store.scripts import Call

log = structlog.get_logger()

MOST_BYTES = 256 * 1024  # of one shard at a time: the server does nothing else meanwhile

Fact = Mapping[bytes, bytes]


class Outbox:
    """All shards' facts; those of a shard are given to the one node that has its lease.

    Nothing raises where Redis does not answer: facts that were not removed are given again.
    """

    def __init__(self, redis: Redis, shards: int, node: str, lease_ms: int) -> None:
        self.redis = redis
        self.shards = shards
        self.node = node
        self.lease_ms = lease_ms
        self.waiting = 0  # facts at the last look, in the shards whose lease is ours

    async def take(self, count: int) -> Mapping[int, Sequence[tuple[bytes, Fact]]]:
        """The oldest facts of each shard whose lease is ours; they stay where they are."""
        answers = await self.ask("take_facts", dict.fromkeys(range(self.shards), (self.lease_ms, count, MOST_BYTES)))
        ours = {shard: answer for shard, answer in answers.items() if answer}
        self.waiting = sum(answer[0] for answer in ours.values())
        return {shard: [as_fact(row) for row in rows] for shard, (_, *rows) in ours.items() if rows}

    async def done(self, places: Mapping[int, Sequence[bytes]]) -> None:
        """Forget facts that the ledger has."""
        await self.ask("drop_facts", places)

    async def ask(self, verb: str, args: Mapping[int, Sequence[scripts.Word]]) -> dict[int, Any]:
        """One verb for each shard in one pipeline: the good answers."""
        try:
            answers = await scripts.run(self.redis, [self.call(verb, shard, some) for shard, some in args.items()])
        except (RedisError, OSError, TimeoutError):
            return {}
        return {shard: answer for shard, answer in zip(args, answers, strict=True) if not isinstance(answer, Exception)}

    def call(self, verb: str, shard: int, args: Sequence[scripts.Word]) -> Call:
        return verb, [keys.recorder(shard), keys.outbox(shard)], [self.node, *args]


def as_fact(row: Any) -> tuple[bytes, Fact]:
    place, words = row
    return place, dict(zip(words[::2], words[1::2], strict=True))


async def agree_on_ledger(redis: Redis, ledger: str) -> bool:
    """Facts go to one ledger: tell whether it is this one, and warn if not. Raises redis-py's errors."""
    kept: Any = await redis.set(keys.LEDGER, ledger, nx=True, get=True)
    if kept is None or kept.decode() == ledger:
        return True
    log.warning(
        "this node records nothing: facts go to another ledger than its own; mend the setting ledger,"
        f" or, to begin a new one, stop all nodes and delete the key {keys.LEDGER}",
        expected=kept.decode(),
        found=ledger,
    )
    return False
