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
LEDGER = "liveroom:ledger"  # TRUTH string: the ledger that facts go to
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


def sweeps(shard: int) -> str:
    """LIVE sorted set: rooms by the time in ms at which sessions in them are to be finished."""
    return f"{tag(shard)}:sweeps"


def outbox(shard: int) -> str:
    """TRUTH stream, and LIVE for sessions: facts on their way to the SQL ledger."""
    return f"{tag(shard)}:outbox"


def recorder(shard: int) -> str:
    """TRUTH string with a lease: the node that takes facts out of the shard's outbox."""
    return f"{tag(shard)}:recorder"


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
        """TRUTH hash: run, epoch, seq, ms, ctl, mail."""
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
    def sanctions(self) -> str:
        """TRUTH hash: ``ban viewer`` or ``mute viewer`` -> JSON."""
        return self._of("sanctions")

    @property
    def sanction_ends(self) -> str:
        """TRUTH sorted set: names of sanctions by the room time in ms at which they end."""
        return self._of("sanction_ends")

    @property
    def staff(self) -> str:
        """TRUTH hash: who was seen as staff -> his role."""
        return self._of("staff")

    @property
    def live(self) -> str:
        """TRUTH hash: round -> what a late joiner is shown of it, while it is announced, open or to be settled."""
        return self._of("live")

    @property
    def keywords(self) -> str:
        """TRUTH hash: ``kind folded-keyword`` -> the round that it enters now."""
        return self._of("keywords")

    def series(self, kind: str, name: str) -> str:
        """TRUTH set: the rounds of a series."""
        return self._of(f"series:{kind}:{name}")

    def round(self, id_: str) -> str:
        """TRUTH hash: kind, state, ver, rev, epoch, opens_at, opened_at, closes_at, by, command, opened, kept, counts,
        times; and the numbers of the play."""
        return self._of(f"round:{id_}")

    def entries(self, id_: str) -> str:
        """TRUTH list: the entries of a round as JSON arrays, in their order."""
        return self._of(f"round:{id_}:entries")

    def who(self, id_: str) -> str:
        """TRUTH hash: viewer -> ``n word``, or how often where one may enter again and again, or ``units JSON``."""
        return self._of(f"round:{id_}:who")

    def devices(self, id_: str) -> str:
        """TRUTH hash: device -> viewer, where each device may enter once."""
        return self._of(f"round:{id_}:devices")

    def winners_before(self, id_: str) -> str:
        """TRUTH set: viewers who won within the days that bar them from a round."""
        return self._of(f"round:{id_}:winners_before")

    def claims(self, id_: str) -> str:
        """TRUTH hash: viewer -> when he claimed what he had won."""
        return self._of(f"round:{id_}:claims")

    def results(self, id_: str) -> str:
        """TRUTH hash: viewer -> his own result as JSON, told behind the event that reveals it."""
        return self._of(f"round:{id_}:results")

    def holds(self, id_: str) -> str:
        """TRUTH hash: hold -> JSON, of a sale."""
        return self._of(f"round:{id_}:holds")

    def idems(self, id_: str) -> str:
        """TRUTH hash: viewer and idempotency key -> ``qty JSON``, what a claim was answered."""
        return self._of(f"round:{id_}:idems")

    def due(self, id_: str) -> str:
        """TRUTH sorted set by room time in ms: holds, and ``offer:<viewer>``, that end then."""
        return self._of(f"round:{id_}:due")

    def queue(self, id_: str) -> str:
        """TRUTH sorted set: viewers who wait for a unit, in their order."""
        return self._of(f"round:{id_}:queue")

    def offers(self, id_: str) -> str:
        """TRUTH hash: viewer -> JSON, of a unit that is kept for him until he claims it."""
        return self._of(f"round:{id_}:offers")

    def refunds(self, id_: str) -> str:
        """TRUTH set: ``hold:payment`` that got nothing."""
        return self._of(f"round:{id_}:refunds")

    @property
    def buyers(self) -> str:
        """TRUTH hash: viewer -> how many orders in this room."""
        return self._of("buyers")

    def sale_keys(self, id_: str) -> tuple[str, ...]:
        """What ``_sale.lua`` works on, in the order in which it is handed in."""
        of_sale = (self.holds, self.idems, self.due, self.queue, self.who, self.offers, self.refunds)
        return (*(name(id_) for name in of_sale), self.buyers)

    def round_keys(self, id_: str) -> tuple[str, ...]:
        """Everything of a round that may be forgotten some time after its end."""
        return (
            self.round(id_),
            self.entries(id_),
            self.who(id_),
            self.devices(id_),
            self.winners_before(id_),
            self.claims(id_),
            self.results(id_),
            self.holds(id_),
            self.idems(id_),
            self.due(id_),
            self.queue(id_),
            self.offers(id_),
            self.refunds(id_),
        )

    @property
    def inboxes(self) -> str:
        """TRUTH set: viewers who have private messages that they did not acknowledge."""
        return self._of("inboxes")

    def inbox(self, viewer: str) -> str:
        """TRUTH hash: id -> ``epoch seq JSON`` of a private message and of the event that it comes behind, until it is
        acknowledged or a day is over."""
        return self._of(f"inbox:{viewer}")

    @property
    def mail(self) -> str:
        """TRUTH sorted set: ``id viewer`` of the newest mentions, read or not, by their number in the room."""
        return self._of("mail")

    @property
    def strangers(self) -> str:
        """TRUTH sorted set: those of them to viewers who never did anything in the room."""
        return self._of("strangers")

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
    def reports(self) -> str:
        """LIVE hash: id of a comment that was reported -> JSON; and ver."""
        return self._of("reports")

    @property
    def report_queue(self) -> str:
        """LIVE sorted set: ids of reported comments by when they were first reported, in ms."""
        return self._of("report_queue")

    @property
    def questions(self) -> str:
        """LIVE hash: fingerprint -> a question that waits, as JSON; ver; ``n:<node>``, the last batch of each."""
        return self._of("questions")

    @property
    def asked(self) -> str:
        """LIVE sorted set: fingerprints by when they were last asked, behind all others those of several viewers."""
        return self._of("asked")

    @property
    def likes(self) -> str:
        """LIVE hash: total, ver, and ``n:<node>``, the last flush counted of each node."""
        return self._of("likes")

    @property
    def likers(self) -> str:
        """LIVE hash: likes by viewer."""
        return self._of("likers")

    @property
    def commenters(self) -> str:
        """LIVE hash: comments by viewer."""
        return self._of("commenters")

    def crowd_keys(self) -> tuple[str, ...]:
        """What nobody asks for some time after the room was closed, and nothing else takes away."""
        return self.chat, self.likers, self.commenters

    @property
    def seats(self) -> str:
        """LIVE hash: viewer -> number of nodes where he is. Its length is the number of viewers."""
        return self._of("seats")

    def here(self, node: str) -> str:
        """LIVE set: the viewers on one node."""
        return self._of(f"here:{node}")

    @property
    def heard(self) -> str:
        """LIVE hash: node -> when it was last heard of in this room, in ms."""
        return self._of("heard")

    @property
    def sessions(self) -> str:
        """LIVE hash: viewer -> his open session as JSON."""
        return self._of("sessions")

    @property
    def pending(self) -> str:
        """LIVE sorted set: viewers who are away, by the time in ms at which they count as gone."""
        return self._of("pending")

    @property
    def stream(self) -> str:
        """LIVE hash: id, start, title, by; last, last_end, last_start; empty, ending, untold, closed."""
        return self._of("stream")

    @property
    def batches(self) -> str:
        """LIVE hash: node -> the newest batch of comings and goings that was counted."""
        return self._of("batches")

    def cells(self, stream: str) -> str:
        """LIVE hash: sessions of a stream by cell, see ``tally.py``."""
        return self._of(f"tally:{stream}")

    def visitors(self, stream: str) -> str:
        """LIVE HyperLogLog: distinct viewers of a stream; and of those who took part, for minutes: a set."""
        return self._of(f"visitors:{stream}")

    def roll_keys(self) -> tuple[str, ...]:
        """What ``_attend.lua`` works on, in the order in which it is handed in."""
        of_room = (self.sessions, self.pending, self.stream)
        return (*of_room, sweeps(self.shard), outbox(self.shard), self.cells(""), self.visitors(""))

    def once(self, viewer: str, idem: str) -> str:
        """TRUTH or LIVE string, 10 minutes: what the command with this idempotency key was answered."""
        return self._of(f"once:{len(viewer)}:{viewer}:{idem}")


def keys_of(room: str, shards: int) -> Keys:
    return Keys(shard_of(room, shards), room)
