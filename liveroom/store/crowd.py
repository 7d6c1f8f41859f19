"""The road of the comments: gathered per room and tick, sampled once, published as one ready blob.

A comment is answered when the blob's PUBLISH was acknowledged, and shown to this
node's own viewers when the blob comes back, as on every other node: one path, one
order. All rooms' blobs of a moment leave as one pipeline.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gameplay.danmaku import sample
from gameplay.play import Refusal
from liveroom.comments import Erased
from liveroom.counts import ROUND_TRIP, Spread
from liveroom.hub import next_tick, passed, phase_of
from liveroom.limits import Bucket, Rate
from liveroom.protocol import encode
from liveroom.store import scripts
from liveroom.store.clock import Clock
from liveroom.store.keys import keys_of
from liveroom.store.rooms import MISMATCH, REMEMBER_SECONDS, TRY_LATER

ALONE = b"-"  # to the script, instead of a comment that is published to nobody
NAMES = 5  # shown of those who joined


class Said(Struct, frozen=True, gc=False):
    """A comment as it was answered: its id, or "-" if it was not shown, and what more its author was told, as JSON."""

    id: str
    more: bytes


class Comment(Struct, eq=False, gc=False):
    """A comment that was let through. ``answer`` is called once, with what is said of it, now or when it was said
    before."""

    id: str
    viewer: str
    body: bytes  # the `chat.message`
    staff: bool
    answer: Callable[[Said | Refusal], None]
    once: str = ""  # the key that remembers it, where it has an idempotency key
    digest: str = ""
    again: bool = False  # said before: published once, so it takes no place now
    alone: bool = False  # published to nobody, and answered like any other
    more: bytes = b""  # what its author is told besides its id, as JSON


class Outgoing:
    """What one room has to publish from this node."""

    __slots__ = (
        "due",
        "flying",
        "joined",
        "joined_at",
        "last",
        "mine",
        "more",
        "places",
        "room",
        "share",
        "unsaved",
        "waiting",
        "window",
    )

    def __init__(self, room: str) -> None:
        self.room = room
        self.waiting: list[Comment] = []
        self.unsaved: list[bytes] = []
        self.joined: list[str] = []
        self.more = 0
        self.joined_at = 0.0
        self.due = False
        self.flying = False  # published, and not answered yet
        self.last = 0.0
        self.window = 5.0
        self.mine = 0  # comments this second
        self.share = 1.0  # of the room's budget
        self.places: Bucket | None = None


class Blob(Struct, frozen=True):
    """One tick of one room as it is published: the script's arguments, and whom to answer."""

    out: Outgoing
    shown: list[Comment]
    hidden: list[Comment]
    call: scripts.Call


class Crowd:
    """Publishes what the viewers of this node say, each room's comments in its own rhythm."""

    def __init__(
        self,
        redis: Redis,
        clock: Clock,
        live_clock: Clock,
        shards: int,
        node: str,
        *,
        deaf: Callable[[], bool],
        erased: Callable[[str], Erased],
        budget: int,
        seconds: float,
        history: int,
    ) -> None:
        self.redis = redis
        self.clock = clock
        self.live_clock = live_clock  # of the server that the script runs on
        self.shards = shards
        self.node = node
        self.deaf = deaf  # what is published now would not come back
        self.erased = erased  # what was deleted of a room
        self.budget = budget
        self.seconds = seconds
        self.history = history
        self.rooms: dict[str, Outgoing] = {}
        self.ready: list[Outgoing] = []
        self.wake = asyncio.Event()
        self.shown = self.left_out = 0  # comments that were let through; the latter are over the room's budget
        self.took = Spread(ROUND_TRIP)  # to publish what was ready, in seconds

    def say(self, room: str, window: float, comment: Comment) -> None:
        if self.deaf():
            comment.answer(TRY_LATER)
            return
        out = self.out(room, window)
        out.waiting.append(comment)
        out.mine += not (comment.again or comment.alone)
        self.schedule(out)

    def join(self, room: str, window: float, name: str) -> None:
        """Somebody came: told to the room at most once a second."""
        out = self.out(room, window)
        if len(out.joined) < NAMES:
            out.joined.append(name)
        else:
            out.more += 1
        if passed(out.joined_at, self.clock.now_ms(), 1000):
            self.schedule(out)

    def out(self, room: str, window: float) -> Outgoing:
        out = self.rooms.get(room)
        if out is None:
            out = self.rooms[room] = Outgoing(room)
        out.window = window
        return out

    def schedule(self, out: Outgoing) -> None:
        """Publish now if the room was quiet for a window, else at the next point of its grid."""
        if out.due:
            return
        out.due = True
        now = self.clock.now_ms()
        if passed(out.last, now, out.window):
            self.release(out)
        else:
            # A timer may be a millisecond early: the point of the grid that it was for is not meant again.
            due = next_tick(max(now, out.last + out.window / 2), out.window, phase_of(out.room, out.window))
            asyncio.get_running_loop().call_later((due - now) / 1000, self.release, out)

    def release(self, out: Outgoing) -> None:
        self.ready.append(out)
        self.wake.set()

    async def run(self) -> None:
        """The one writer: whatever is ready at this turn of the loop leaves together."""
        while True:
            await self.wake.wait()
            self.wake.clear()
            blobs = [self.blob(out) for out in self.take()]
            began = time.perf_counter()
            try:
                async with asyncio.timeout(self.seconds):
                    answers = await scripts.run(self.redis, [blob.call for blob in blobs])
            except (RedisError, OSError, TimeoutError):
                self.give_up(blobs)
            except BaseException:
                self.give_up(blobs)  # whatever went wrong: nobody waits for ever
                raise
            else:
                for blob, answer in zip(blobs, answers, strict=True):
                    settle(blob, answer)
            self.took.note(time.perf_counter() - began)

    def take(self) -> list[Outgoing]:
        taken, self.ready = self.ready, []
        return taken

    def give_up(self, blobs: list[Blob]) -> None:
        """Nobody answered in time: whoever waits by now, in flight or not, is told to try again."""
        for blob in blobs:
            settle(blob, TimeoutError())
        for out in self.rooms.values():
            waiting, out.waiting = out.waiting, []
            for comment in waiting:
                comment.answer(TRY_LATER)

    def blob(self, out: Outgoing) -> Blob:
        now = self.clock.now_ms()
        out.due, out.flying, out.last = False, True, now
        comments, out.waiting = out.waiting, []
        fresh = [comment for comment in comments if not (comment.again or comment.alone)]
        shown = sample(fresh, self.free_places(out, fresh, now / 1000), random.sample)
        self.shown += len(shown)
        self.left_out += len(fresh) - len(shown)
        seen = set(shown)
        hidden = [comment for comment in comments if comment not in seen]
        return Blob(out, shown, hidden, ("say", *self.arguments(out, shown, hidden, now)))

    def arguments(
        self, out: Outgoing, shown: list[Comment], hidden: list[Comment], now: float
    ) -> tuple[list[str], list[scripts.Word]]:
        """Keys and arguments of ``say.lua``."""
        once: list[str] = []
        channel = keys_of(out.room, self.shards).crowd
        head = self.head(out, now)
        args: list[scripts.Word] = [
            channel,
            head,
            int(self.live_clock.now_ms() + self.seconds * 1000),
            REMEMBER_SECONDS,
        ]
        for number, comment in enumerate(shown + hidden):
            if comment.once:
                once.append(comment.once)
            # What was said before is sent again, should the key that remembers it be gone; the script knows.
            body = comment.body if number < len(shown) or comment.again else b""
            body = ALONE if comment.alone else body
            args += [body, len(once) if comment.once else 0, comment.digest, comment.id, comment.viewer, comment.more]
        return [*once, keys_of(out.room, self.shards).commenters], args

    def free_places(self, out: Outgoing, comments: list[Comment], now: float) -> int:
        crowd = sum(not comment.staff for comment in comments)
        rate = Rate(max(1.0, self.budget * out.share), max(1.0, self.budget * out.share))
        if out.places is None:
            out.places = Bucket(rate.burst, now)
        return out.places.most(rate, now, crowd)

    def head(self, out: Outgoing, now: float) -> bytes:
        fields: dict[str, Any] = {"node": self.node}
        if out.joined and passed(out.joined_at, now, 1000):
            fields |= {"joined": out.joined, "more": out.more}
            out.joined, out.more, out.joined_at = [], 0, now
        return encode(fields)[1:-1] + b","

    async def second(self, totals: dict[str, int]) -> None:
        """Once a second: shares by the last second's ``totals``, names not yet told, and the history."""
        for room, out in list(self.rooms.items()):
            total = totals.get(room)
            if not (total or out.waiting or out.unsaved or out.joined or out.due or out.flying):
                del self.rooms[room]
                continue
            out.share = min(1.0, out.mine / total) if total else 1.0
            out.mine = 0
            if out.joined:
                self.schedule(out)
        await self.save()

    async def save(self) -> None:
        """Keep the newest comments for whoever comes to the room first on another node; not what was deleted."""
        for out in self.rooms.values():
            out.unsaved = self.erased(out.room).left(out.unsaved)
        unsaved = [out for out in self.rooms.values() if out.unsaved]
        if not unsaved:
            return
        async with self.redis.pipeline(transaction=False) as pipeline:
            for out in unsaved:
                chat = keys_of(out.room, self.shards).chat
                pipeline.lpush(chat, *out.unsaved)
                pipeline.ltrim(chat, 0, self.history - 1)
                out.unsaved = []
            await pipeline.execute()


def settle(blob: Blob, answer: Any) -> None:
    """Tell everybody in the blob what became of his comment."""
    blob.out.flying = False
    if not isinstance(answer, list) or answer[0] == scripts.LATE:
        for comment in blob.shown + blob.hidden:
            comment.answer(TRY_LATER)
        return
    kept = iter(answer[1:])
    for number, comment in enumerate(blob.shown + blob.hidden):
        said = as_said(next(kept)) if comment.once else Said(comment.id, comment.more)
        comment.answer(said or MISMATCH)
        if number < len(blob.shown):
            if said and said.id == comment.id:
                blob.out.unsaved.append(comment.body)
            elif blob.out.places and not comment.staff:
                blob.out.places.spend(-1)  # nobody was shown it: its place is another's


def as_said(kept: bytes) -> Said | None:
    """None where the key was used for something else."""
    id_, _, more = kept.partition(b" ")
    return Said(id_.decode(), more) if id_ else None
