"""Commands under way, and the reply that each waits for."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from liveroom.client.link import Message


class Unanswered(Exception):
    """No reply came; whether the command took effect is not known. Send it again with the same ``idem``."""


class Replies:
    """The commands of one viewer that wait, by ``cid``."""

    def __init__(self) -> None:
        self.cids = itertools.count(1)
        self.waiting: dict[int, asyncio.Future[Message]] = {}

    @contextmanager
    def expected(self) -> Iterator[tuple[int, asyncio.Future[Message]]]:
        """A new cid, and its reply to wait for inside the block."""
        cid = next(self.cids)
        self.waiting[cid] = asyncio.get_running_loop().create_future()
        try:
            yield cid, self.waiting[cid]
        finally:
            del self.waiting[cid]

    def take(self, message: Message) -> None:
        reply = self.waiting.get(message["cid"])
        if reply and not reply.done():
            reply.set_result(message)

    def cut_off(self) -> None:
        for reply in self.waiting.values():
            if not reply.done():
                reply.set_exception(Unanswered("the connection ended before the reply"))
