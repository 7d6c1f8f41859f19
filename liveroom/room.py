"""A room as one node knows it: its log's newest events, who sits in it, and what is to be told next."""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import TYPE_CHECKING, Protocol

from msgspec import Raw, Struct

from gameplay.danmaku import Said
from gameplay.moderation import OPEN, Sanction
from gameplay.play import Role
from liveroom.comments import Erased
from liveroom.limits import Bucket, Rate, full
from liveroom.protocol import Codec, Profile
from liveroom.wall import EMPTY, OnWall

if TYPE_CHECKING:
    from liveroom.lean import Lean

SHORTEST_MS = 5
LONGEST_MS = 1000  # a stall of the machine must not make it longer
BREATH = 1.1  # windows to a flush: the rest of the time is for what viewers say


class Transport(Protocol):
    """What the hub needs of a connection."""

    def write(self, data: bytes) -> None: ...
    def is_closing(self) -> bool: ...
    def get_write_buffer_size(self) -> int: ...


class Person(Struct, gc=False):
    """One viewer of a room on this node, however many connections he has; survives short absences."""

    seats: list[Seat]
    homes: int = 1  # nodes where this viewer is
    chat: Bucket | None = None
    likes: Bucket | None = None
    other: Bucket | None = None
    said: dict[str, Said] | None = None
    came: float = 0  # room time in ms when he sat down here: the first of the connections as a viewer that he has
    left: float = 0  # loop time when the last seat was left
    heard: float = 0  # loop time of the last proof of life of any connection that has ended
    why: str = ""  # it ended
    hidden: bool = False  # his page is in the background
    unpaid: bool = False  # a comment of his was refused when he could give no more commands

    def views(self) -> list[Seat]:
        """His connections as a viewer: who has another as staff is both."""
        return [seat for seat in self.seats if not seat.staff]

    def act(self, rate: Rate, now: float) -> float:
        """Take part otherwise than with comments and likes, or be told how many seconds to wait."""
        if self.other is None:
            self.other = full(rate, now)
        return self.other.take(rate, now)

    def owes(self, rate: Rate, now: float) -> float:
        """Seconds until his comments are read again; 0 if they are."""
        wait = self.other.wait(rate, now) if self.unpaid and self.other else 0.0
        self.unpaid = wait > 0
        return wait


class Seat(Protocol):
    """One connection in a room."""

    viewer: str
    name: str
    role: Role
    staff: bool
    device: str
    source: str  # where he came from, for the curves
    vouched: bool  # his token says so
    codec: Codec
    profile: Profile

    @property
    def transport(self) -> Transport: ...

    def cut(self) -> bool:
        """Too slow: out of the room and closed with 4001. False where so much may wait: he is still here."""

    def gone(self, code: int, reason: str) -> None:
        """Close this connection with a code."""


class LogEvent(Struct, frozen=True, gc=False):
    """A ledger event: its number, its room time in ms, and its JSON."""

    seq: int
    ts: int
    body: bytes


class Private(Struct, frozen=True, gc=False):
    """A message for one viewer, to be written right behind the event numbered ``after``."""

    to: str
    after: int
    body: bytes


class RoomInfo(Struct, frozen=True):
    id: str
    title: str
    currency: str
    state: str
    created: int  # room time in ms


class Tick(Struct, gc=False):
    """What a room has collected since its last flush."""

    ledger: list[bytes] = []
    state: dict[str, bytes] = {}  # newest of each kind
    comments: list[Raw] = []
    crowd: list[bytes] = []  # the crowd's other messages
    private: list[Private] = []

    def __bool__(self) -> bool:
        return bool(self.ledger or self.state or self.comments or self.crowd or self.private)


class Limits(Struct, frozen=True):
    """The settings the hub goes by; see ``Settings`` for their meaning."""

    window_ms: int = 100
    resume_events: int = 1000
    resume_seconds: float = 120
    history: int = 500
    slow_bytes: int = 64 * 1024
    cut_bytes: int = 256 * 1024
    heartbeat_ms: int = 15_000
    lite_ms: int = 1000
    lite_budget: int = 5
    min_ms: int = 3000


class Room:
    """One room as this node knows it."""

    def __init__(self, info: RoomInfo, epoch: str, seq: int, limits: Limits) -> None:
        self.info = info
        self.epoch = epoch
        self.seq = seq  # of the newest event in the ring
        self.flushed = seq  # of the newest event that the viewers here were told
        self.ctl = 0  # of the newest change to the sanctions
        self.sanctions: dict[str, Sanction] = {}  # by name, see ``gameplay/moderation.py``
        self.manners = OPEN  # how its chat is
        self.spoke: dict[str, float] = {}  # in slow mode: who spoke last when, room time in ms; oldest first
        self.mail = 0  # the number of the newest mention that was handed over here
        self.ring: deque[LogEvent] = deque(maxlen=limits.resume_events)
        self.erased = Erased()
        self.chat: deque[Raw] = deque(maxlen=limits.history)
        self.seats: dict[Seat, None] = {}
        self.lean: dict[Profile, Lean] = {}  # those of them who asked for little
        self.staff: dict[Seat, None] = {}  # those of them who are staff
        self.people: dict[str, Person] = {}
        self.tick = Tick()
        self.flushing = False
        self.flush_ms = 0.0  # how long the last flushes took
        self.soon = False  # a flush comes in this turn of the loop
        self.due = False  # or at the next point of the grid
        self.last_flush = 0.0  # room time, ms
        self.last_told = 0.0
        self.viewers = 0
        self.likes = 0
        self.likes_ver = 0
        self.likes_told = 0
        self.reports = (0, 0)  # how many comments wait for the staff, and the version of that
        self.stats_likes = 0
        self.stats_ver = 0
        self.board = EMPTY  # the shared truth of a snapshot
        self.wall: dict[str, OnWall] = {}  # live rounds as of now
        self.shared_until = 0.0  # room time until which other nodes are thought to publish here too
        self.unused_since = 0.0
        self.shown = self.total = 0  # comments since the last `chat.sampled`
        self.counted = 0  # comments this second
        self.comments_rate = 0.0  # a second, over the last few
        self.rate = 0.0  # the one last told

    def window_ms(self, longest: int) -> float:
        """Longer with more viewers; and where telling them takes most of it, longer by steps."""
        steps = ceil(self.flush_ms * BREATH / longest * 4) / 4
        window = max(SHORTEST_MS, min(len(self.seats) / 10, longest), longest * steps if steps > 1 else 0)
        return min(window, max(LONGEST_MS, longest))
