"""Every key and channel name, in one place.

The hash tag of a key is its *shard*, one of a fixed few, never the room: so one
script may change a room, its shard's bells and its shard's outbox together, on a
cluster too. ``TRUTH`` keys hold what must survive; ``LIVE`` keys hold the crowd
and may sit on another server (setting ``live_redis``).
"""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

SHARDS = "liveroom:shards"  # TRUTH string: how many shards this data was written with
IDLE = "liveroom:idle"  # channel that nobody speaks on: a node without rooms listens to it


def tag(shard: int) -> str:
    return f"{{{shard:02d}}}"


def shard_of(room: str, shards: int) -> int:
    return crc32(room.encode()) % shards


def bells(shard: int) -> str:
    """TRUTH sorted set: ``room|round|what`` by the room time in ms at which it is due."""
    return f"{tag(shard)}:bells"


def leases(shard: int) -> str:
    """LIVE sorted set: ``room|node`` by the time in ms at which the node counts as gone from the room."""
    return f"{tag(shard)}:leases"


def outbox(shard: int) -> str:
    """TRUTH stream: facts on their way to the SQL ledger."""
    return f"{tag(shard)}:outbox"


def rooms(shard: int) -> str:
    """TRUTH set: ids of all rooms of the shard."""
    return f"{tag(shard)}:rooms"


class Keys(NamedTuple):
    """The keys of one room."""

    shard: int
    room: str

    def _of(self, name: str) -> str:
        return f"{tag(self.shard)}:r:{self.room}:{name}"

    @property
    def meta(self) -> str:
        """TRUTH hash: run, epoch, seq, ms, ctl."""
        return self._of("meta")

    @property
    def info(self) -> str:
        """TRUTH hash: title, currency, state, created."""
        return self._of("info")

    @property
    def log(self) -> str:
        """TRUTH stream: what everybody in the room is told; ids ``<seq>-0``."""
        return self._of("log")

    @property
    def board(self) -> str:
        """TRUTH hash: what still hangs on the wall for a late joiner: the last notice, and so on."""
        return self._of("board")

    @property
    def channel(self) -> str:
        """Channel of the truth: ledger events and private messages."""
        return self._of("told")

    @property
    def crowd(self) -> str:
        """Channel of the crowd, on the live server."""
        return self._of("crowd")

    @property
    def chat(self) -> str:
        """LIVE list: the newest comments, newest first."""
        return self._of("chat")

    @property
    def likes(self) -> str:
        """LIVE hash: total, ver, and ``n:<node>``, the last flush counted of each node."""
        return self._of("likes")

    @property
    def likers(self) -> str:
        """LIVE hash: likes by viewer."""
        return self._of("likers")

    @property
    def like_seconds(self) -> str:
        """LIVE hash: likes by second of room time."""
        return self._of("like_seconds")

    @property
    def seats(self) -> str:
        """LIVE hash: viewer -> number of nodes where he is. Its length is the number of viewers."""
        return self._of("seats")

    def here(self, node: str) -> str:
        """LIVE set: the viewers on one node."""
        return self._of(f"here:{node}")

    def once(self, viewer: str, idem: str) -> str:
        """TRUTH or LIVE string, 10 minutes: what the command with this idempotency key was answered."""
        return self._of(f"once:{len(viewer)}:{viewer}:{idem}")


def keys_of(room: str, shards: int) -> Keys:
    return Keys(shard_of(room, shards), room)
