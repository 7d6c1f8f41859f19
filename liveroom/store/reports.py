"""Comments that viewers reported, waiting for the staff: a queue with an end, on the live server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Raw, Struct, json
from redis.asyncio import Redis

from liveroom.comments import Erased
from liveroom.store import scripts
from liveroom.store.keys import keys_of

MOST = 200  # comments of a room
MOST_OF_ONE = 20  # reports of one comment
KEEP_SECONDS = 24 * 3600


class Report(Struct, frozen=True):
    """As the script keeps it. ``at`` in ms; ``by``: who reported it, and why."""

    comment: str  # JSON
    n: int
    at: int
    by: dict[str, str]


read_report = json.Decoder(Report, strict=False).decode


class Reports:
    """The verbs on reports. Raises redis-py's errors and TimeoutError where Redis does not answer."""

    def __init__(self, live: Redis, shards: int) -> None:
        self.live = live
        self.shards = shards

    async def add(self, room: str, id_: str, comment: Raw, viewer: str, why: str) -> None:
        at = keys_of(room, self.shards)
        args: list[scripts.Word] = [id_, bytes(comment), viewer, why, MOST, MOST_OF_ONE, KEEP_SECONDS]
        await scripts.call(self.live, "report", [at.reports, at.report_queue], args)

    async def read(self, room: str) -> list[dict[str, Any]]:
        """For the staff, the oldest first."""
        at = keys_of(room, self.shards)
        ids: Any = await self.live.zrange(at.report_queue, 0, -1)
        rows: Any = await self.live.hmget(at.reports, ids) if ids else []
        return [told(read_report(row)) for row in rows if row]

    async def drop(self, room: str, ids: Iterable[str]) -> None:
        """They were dealt with."""
        at, those = keys_of(room, self.shards), list(ids)
        if not those:
            return
        async with self.live.pipeline(transaction=True) as pipeline:
            pipeline.hdel(at.reports, *those)
            pipeline.zrem(at.report_queue, *those)
            pipeline.hincrby(at.reports, "ver", 1)
            pipeline.expire(at.reports, KEEP_SECONDS)
            await pipeline.execute()

    async def forget(self, room: str, erased: Erased) -> None:
        """The reports of what was deleted."""
        waiting: Any = await self.live.hgetall(keys_of(room, self.shards).reports)
        comments = {id_: row for id_, row in waiting.items() if id_ != b"ver"}
        await self.drop(
            room, [id_.decode() for id_, row in comments.items() if erased.hides(read_report(row).comment.encode())]
        )


def told(report: Report) -> dict[str, Any]:
    by = [{"viewer": viewer, "why": why} for viewer, why in sorted(report.by.items())]
    return {"comment": Raw(report.comment.encode()), "n": report.n, "at": report.at, "by": by}
