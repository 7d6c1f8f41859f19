"""Viewers of a room who asked for little: what waits for their next tick, and which few comments they are shown.

Ticks of a second or three instead of a tenth of one. A ledger event after a quiet leaves at once, as everywhere; what
follows waits for the next point of the profile's own grid. Comments are chosen by the second: who is chosen depends on
the order in which the channel brings them and on nothing of this node, so all nodes show the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from msgspec import Raw, Struct, json

from gameplay.danmaku import Sampled
from gameplay.likes import Total
from liveroom.protocol import encode
from liveroom.room import Seat, Tick

LATE_MS = 200  # behind the end of a second: its comments are in by then
DELETED = b'"t":"chat.deleted"'  # as an event's body holds it
NO_ID = Raw(b"")


class Heard(Struct, frozen=True, rename={"from_": "from"}, gc=False):
    """A comment, as far as it decides who is shown."""

    id: Raw = NO_ID
    ts: int = 0
    from_: str = ""
    role: str = "viewer"
    reply_to: str = ""

    @property
    def rank(self) -> tuple[bool, bytes]:
        """Replies first; then by a lot that is the same everywhere."""
        return not self.reply_to, blake2b(self.id, digest_size=8).digest()


class Deleted(Struct, frozen=True, gc=False):
    ids: list[Raw] = []
    viewer: str | None = None


class Likes(Struct, frozen=True, gc=False):
    total: int = 0
    delta: int = 0
    ver: int = 0


read_heard = json.Decoder(Heard).decode
read_deleted = json.Decoder(Deleted).decode
read_likes = json.Decoder(Likes).decode

Choice = tuple[Heard, Raw]


class Mark(NamedTuple):
    """What of a tick somebody knows already, who sat down while it was gathered."""

    events: int
    comments: int


class Few:
    """Chooses so many comments of each second; the staff's always. Times in ms of room time."""

    def __init__(self, places: int, window: float, phase: float) -> None:
        self.places = places
        self.window = window
        self.phase = phase
        self.second: int | None = None  # the one that is gathered, or the last one that was
        self.heard: list[Choice] = []
        self.hidden = 0  # accepted in this second, and shown to nobody
        self.chosen: list[Raw | None] = []  # None: deleted since
        self.authors: list[Heard] = []  # of the chosen
        self.shown = self.total = 0  # since they were told

    def second_of(self, ms: float) -> int:
        return int((ms - self.phase) // self.window)

    def hear(self, comment: Raw) -> None:
        one = read_heard(comment)
        second = self.second_of(one.ts)
        if self.second is None:
            self.second = second
        elif second > self.second:
            self.close()
            self.second = second
        self.heard.append((one, comment))

    def over(self, now: float) -> None:
        """A second that nothing newer has ended: told where nobody has to be chosen, else given a second's grace."""
        current = self.second_of(now)
        if self.second == current or not (self.heard or self.hidden):
            return
        if self.second == current - 1 and len(self.heard) > self.places:
            return
        self.close()
        self.second = current if self.second is None else self.second + 1  # to which all that is late belongs

    def close(self) -> None:
        """Choose, and keep the order in which they came."""
        staff = sum(one.role != "viewer" for one, _ in self.heard)
        ranked = sorted((one for one, _ in self.heard if one.role == "viewer"), key=lambda one: one.rank)
        lucky = set(map(id, ranked[: max(0, self.places - staff)]))
        chosen = [(one, raw) for one, raw in self.heard if one.role != "viewer" or id(one) in lucky]
        self.authors += [one for one, _ in chosen]
        self.chosen += [raw for _, raw in chosen]
        self.shown += len(chosen)
        self.total += len(self.heard) + self.hidden
        self.heard, self.hidden = [], 0

    def delete(self, event: bytes) -> None:
        """Comments that nobody shall see any more, before they are shown."""
        gone = read_deleted(event)
        ids = set(map(bytes, gone.ids))

        def stays(one: Heard) -> bool:
            return bytes(one.id) not in ids and one.from_ != gone.viewer

        self.heard = [(one, raw) for one, raw in self.heard if stays(one)]
        self.chosen = [raw if stays(one) else None for one, raw in zip(self.authors, self.chosen, strict=True)]

    def take(self) -> tuple[list[Raw | None], list[bytes]]:
        """The chosen, and how many of how many they are where some are missing."""
        sampled = [encode(Sampled(self.shown, self.total))] if self.total > self.shown else []
        chosen, self.chosen, self.authors = self.chosen, [], []
        self.shown = self.total = 0
        return chosen, sampled


Letter = tuple[list[bytes], list[bytes | Raw], list[Seat]]  # the essential, the crowd, for whom


class Lean:
    """One profile of a room. Times in ms of room time."""

    def __init__(self, window: float, phase: float, places: int, told: int, now: float) -> None:
        self.window = window
        self.phase = (phase + LATE_MS) % window  # of its ticks
        self.few = Few(places, window, phase) if places else None
        self.told = told  # the newest event that was told
        self.seats: dict[Seat, None] = {}
        self.late: dict[Seat, Mark] = {}
        self.ledger: list[bytes] = []
        self.state: dict[str, bytes] = {}
        self.due = False  # at the next point of the grid
        self.ripe = False  # as soon as nothing else is being written
        self.last_flush = self.last_event = 0.0
        self.last_told = now

    @property
    def gathered(self) -> bool:
        """Something waits for the next tick."""
        few = self.few
        return bool(self.ledger or self.state or (few and (few.heard or few.chosen or few.hidden)))

    def sit(self, seat: Seat) -> None:
        """He knows everything that the room was told."""
        self.seats[seat] = None
        if self.gathered:
            self.late[seat] = Mark(len(self.ledger), len(self.few.chosen) if self.few else 0)

    def leave(self, seat: Seat) -> list[bytes]:
        """The essential that he was not told yet."""
        del self.seats[seat]
        known = self.late.pop(seat, Mark(0, 0))
        return [*self.ledger[known.events :], *self.state.values()]

    def take(self, tick: Tick) -> None:
        """What the others are told now."""
        self.ledger += tick.ledger
        for kind, body in tick.state.items():
            self.state[kind] = newest(self.state.get(kind), kind, body)
        if self.few:
            for event in tick.ledger:
                if DELETED in event:
                    self.few.delete(event)

    def hear(self, comments: Sequence[Raw], hidden: int) -> None:
        """Comments that the others are shown, and how many were accepted besides."""
        if self.few:
            for comment in comments:
                self.few.hear(comment)
            self.few.hidden += hidden

    def wanted(self, seq: int) -> None:
        """Something is told to one viewer alone, behind this event."""
        self.ripe = self.ripe or seq > self.told

    def ready(self, now: float) -> bool:
        """A point of the grid: whether something is told at it."""
        if self.few:
            self.few.over(now)
        comments = self.few and (self.few.chosen or self.few.total)
        calm = not 0 <= now - self.last_flush < self.window / 2
        return bool(self.ledger or comments or (self.state and calm))

    def void(self) -> None:
        """A new epoch: what was numbered or counted before means nothing; the next is told at once."""
        self.ledger, self.state, self.late = [], {}, {}
        self.ripe = True

    def letters(self, now: float, flushed: int) -> list[Letter]:
        """What is told now, to whom; most are told the same."""
        chosen, sampled = self.few.take() if self.few else ([], [])
        late, self.late = self.late, {}
        ledger, self.ledger = self.ledger, []
        state, self.state = list(self.state.values()), {}
        self.ripe, self.told, self.last_flush = False, flushed, now
        if ledger:
            self.last_event = now
        if ledger or state:
            self.last_told = now
        groups: defaultdict[Mark, list[Seat]] = defaultdict(list)
        groups[Mark(0, 0)] = [seat for seat in self.seats if seat not in late] if late else list(self.seats)
        for seat, mark in late.items():
            groups[mark].append(seat)
        told = (
            ([*ledger[mark.events :], *state], [*visible(chosen[mark.comments :]), *sampled], seats)
            for mark, seats in groups.items()
        )
        return [letter for letter in told if letter[2] and (letter[0] or letter[1])]


def visible(chosen: Sequence[Raw | None]) -> list[Raw]:
    return [comment for comment in chosen if comment is not None]


def newest(before: bytes | None, kind: str, body: bytes) -> bytes:
    """State is replaced; but how many likes came since the last total adds up."""
    if before is None or kind != "like.total":
        return body
    likes = read_likes(body)
    return encode(Total(likes.total, read_likes(before).delta + likes.delta, likes.ver))
