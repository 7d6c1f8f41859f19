"""What the unruly did, what the moderator did to them, and what the others noticed of it: plain values.

Times are room time in ms. Only comments of the unruly are deleted, so only theirs are noted one by one.
"""

from collections import Counter
from typing import Any

from msgspec import Struct, field

UNRULY = ("flooder", "spammer", "evader", "clumsy")
BANNED = 4502
SLACK_MS = 100  # a user's room time is as exact as his way to the server is short
CHAT_RATE, CHAT_BURST = 1, 3  # comments a second of a viewer, and so many at once: docs/protocol.md


def unruly(viewer: str) -> bool:
    """The users' names say what they are."""
    return viewer.partition("-")[0] in UNRULY


class Shown(Struct, frozen=True):
    """A comment of an unruly user: when it was said, and when somebody was shown it."""

    viewer: str
    ts: int
    at: int = 0


class Silence(Struct, frozen=True):
    """From the moderator's `ok` to a mute or a ban, until when; 0: for good."""

    viewer: str
    since: int
    until: int = 0


class Deletion(Struct, frozen=True):
    """A `chat.deleted`."""

    seq: int
    ts: int
    ids: tuple[str, ...] = ()
    viewer: str = ""

    def hides(self, comment: str, shown: Shown) -> bool:
        """What he said at that very moment may be on either side."""
        return comment in self.ids or (shown.viewer == self.viewer and shown.ts < self.ts - SLACK_MS)


class Reading(Struct, frozen=True):
    """What a snapshot or the history held of the unruly's comments, as of an event."""

    where: str
    seq: int
    comments: dict[str, Shown]


class Knock(Struct, frozen=True):
    """Somebody banned came back: the node, when, and the close code; 0: he was welcomed."""

    viewer: str
    node: int
    at: int
    code: int


class Conduct(Struct):
    """Of the users of a process, or of several."""

    evasions: Counter[str] = field(default_factory=Counter)  # refused with WORD_BLOCKED, by disguise
    let_through: list[str] = field(default_factory=list)  # listed words that were accepted or shown
    held_back: Counter[str] = field(default_factory=Counter)  # what floods and repetitions were answered
    spoken: dict[str, list[int]] = field(default_factory=dict)  # when comments of the unruly were accepted
    unanswered: Counter[str] = field(default_factory=Counter)  # comments under way when their author was shown out
    shown: dict[str, Shown] = field(default_factory=dict)  # to a probe, by comment
    undead: list[str] = field(default_factory=list)  # shown behind the word that they are deleted
    deeds: Counter[str] = field(default_factory=Counter)  # the moderator's
    mutes: list[Silence] = field(default_factory=list)
    bans: dict[str, Silence] = field(default_factory=dict)
    unlisted: list[str] = field(default_factory=list)  # bans that the list of bans did not have
    shown_out: dict[str, int] = field(default_factory=dict)  # when a connection was closed with 4502
    knocks: list[Knock] = field(default_factory=list)
    deletions: dict[int, Deletion] = field(default_factory=dict)  # by seq
    readings: list[Reading] = field(default_factory=list)
    frames: Counter[str] = field(default_factory=Counter)  # wrong ones that were sent
    misjudged: list[str] = field(default_factory=list)  # … and not answered as they should be
    wronged: Counter[str] = field(default_factory=Counter)  # refusals that a talker did nothing for
    waits: list[int] = field(default_factory=list)  # ms, of a talker, for the `ok` to a comment

    def add(self, other: "Conduct") -> None:
        """What was noted in another process."""
        for name in self.__struct_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            mine.extend(theirs) if isinstance(mine, list) else mine.update(theirs)

    def deleted(self, message: dict[str, Any]) -> None:
        ids, viewer = tuple(message.get("ids", ())), message.get("viewer", "")
        self.deletions[message["seq"]] = Deletion(message["seq"], message["ts"], ids, viewer)

    def read(self, where: str, seq: int, comments: list[dict[str, Any]]) -> None:
        theirs = {one["id"]: Shown(one["from"], one["ts"]) for one in comments if unruly(one["from"])}
        self.readings.append(Reading(where, seq, theirs))


class Pace:
    """How near an author is to his limit, by what was accepted of him: a bucket that fills and runs out."""

    def __init__(self, rate: float = CHAT_RATE) -> None:
        self.rate = rate
        self.level, self.at = 0.0, 0.0

    def now(self, ms: float) -> float:
        """The level; an author is refused from the burst less one on."""
        self.level = max(0.0, self.level - self.rate * max(0.0, ms - self.at) / 1000)
        self.at = ms
        return self.level

    def said(self, ms: float) -> float:
        """The level behind one more comment."""
        self.now(ms)
        self.level += 1
        return self.level
