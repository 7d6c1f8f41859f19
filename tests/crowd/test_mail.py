"""Mentions on their way to the inboxes, where Redis is away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

import pytest

from liveroom.store import mail
from liveroom.store.inboxes import Inboxes, Mention
from liveroom.store.mail import Mail

MANY = 3 * mail.MOST_AT_ONCE


class Away:
    """Inboxes that never answer."""

    async def post(self, room: str, mentions: list[Mention]) -> None:
        raise TimeoutError


@pytest.mark.parametrize("patience", [0.0, 60.0])
def test_nobody_waits_for_ever_however_many_mention_somebody(monkeypatch: pytest.MonkeyPatch, patience: float) -> None:
    monkeypatch.setattr(mail, "PATIENCE_SECONDS", patience)

    async def show() -> None:
        tasks: list[asyncio.Task[None]] = []

        def spawn(work: Coroutine[Any, Any, None]) -> None:
            tasks.append(asyncio.create_task(work))

        post = Mail(cast(Inboxes, Away()), 1, spawn)
        mention = cast(Mention, None)
        async with asyncio.timeout(20):
            await asyncio.gather(*(post.post("demo", mention) for _ in range(MANY)))
        for task in tasks:
            task.cancel()

    asyncio.run(show())
