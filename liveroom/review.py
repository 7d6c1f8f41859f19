"""The review hook: a server of the operator's that is asked about each comment before the room sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import structlog
from msgspec import DecodeError, Struct, json

from gameplay.danmaku import Message
from gameplay.play import Code, Refusal
from liveroom import signing
from liveroom.asked import Asked
from liveroom.callout import post
from liveroom.protocol import encode
from liveroom.settings import Settings

log = structlog.get_logger()

TOLD_EVERY_S = 60  # that the hook does not answer

DENIED = Refusal(Code.WORD_BLOCKED, {"why": "review"}, "the review does not allow it")
UNREVIEWED = Refusal(Code.TRY_LATER, message="comments cannot be reviewed now; try again", retry_after_ms=1000)


class Verdict(Struct, frozen=True):
    """What the hook answers, whatever else it says."""

    allow: bool


class Review:
    """Asks the hook, if there is one. Where it does not answer well and in time, the fallback decides."""

    def __init__(self, settings: Settings, now_ms: Callable[[], float]) -> None:
        self.url = urlsplit(settings.review_url)
        self.on = bool(settings.review_url)
        self.key = signing.key_of(settings.review_secret) if self.on else b""
        self.seconds = settings.review_seconds
        self.most = settings.review_at_once
        self.fallback = None if settings.review_fallback == "allow" else UNREVIEWED
        self.now_ms = now_ms
        self.asking = 0
        self.complained = -float("inf")

    async def judge(self, asked: Asked, message: Message) -> Refusal | None:
        """Why a comment may not be said."""
        if self.asking >= self.most:
            return self.fail("too many comments wait for it")
        self.asking += 1
        try:
            async with asyncio.timeout(self.seconds):
                allowed = await self.ask(asked, message)
        except (OSError, TimeoutError, DecodeError, ValueError, RecursionError) as error:
            return self.fail(str(error) or "timeout")
        finally:
            self.asking -= 1
        return None if allowed else DENIED

    async def ask(self, asked: Asked, message: Message) -> bool:
        """Raises OSError or DecodeError where the hook does not answer as it should."""
        actor = asked.actor
        said: dict[str, Any] = {"room": asked.room.info.id, "id": message.id, "viewer": actor.viewer}
        said |= {"name": actor.name, "level": actor.level, "locale": actor.locale, "text": message.text}
        body = encode({"type": "comment.review", "timestamp": message.ts, "data": said})
        signed = signing.headers(self.key, message.id, int(self.now_ms() / 1000), body)
        status, answer = await post(self.url, signed, body)
        if status != HTTPStatus.OK:
            raise OSError(f"status {status}")
        return json.decode(answer, type=Verdict).allow

    def fail(self, why: str) -> Refusal | None:
        now = asyncio.get_running_loop().time()
        if now - self.complained > TOLD_EVERY_S:
            self.complained = now
            log.warning("the review hook does not answer as it should; review_fallback decides", why=why)
        return self.fallback
