"""What all users of a process share: where they go, how they behave, what they note, and how far the show is."""

import hashlib
import itertools
import os
import random
import time
from functools import lru_cache
from typing import NamedTuple

import msgspec
from gevent.event import Event

from loadtest.contestants import token
from loadtest.crowd.notes import Message, Notes
from loadtest.crowd.profile import Profile
from loadtest.crowd.shop import Shop

BEGIN, END = "The show begins.", "That was the show."  # what the host tells; between them people act
EVASION = "e"  # what begins the mark of a comment that holds a listed word
UNNUMBERED = ("welcome", "beat", "room.reset")  # they carry a `seq`, but it is not theirs


class Heard(NamedTuple):
    """A message, and the digest of a ledger event; empty for all others."""

    message: Message
    digest: str


@lru_cache(maxsize=512)
def unpacked(payload: bytes) -> tuple[Heard, ...]:
    """A frame's messages. All viewers of a tick get the same bytes, so each tick is decoded once."""
    said = msgspec.json.decode(payload)
    messages: list[Message] = said if isinstance(said, list) else [said]
    return tuple(Heard(message, digest(message) if is_event(message) else "") for message in messages)


def is_event(message: Message) -> bool:
    return "seq" in message and "cid" not in message and message["t"] not in UNNUMBERED


def digest(message: Message) -> str:
    return hashlib.blake2b(msgspec.json.encode(message, order="sorted"), digest_size=8).hexdigest()


def about(mean_s: float) -> float:
    """A waiting time as people have them: mostly short, sometimes long."""
    return min(random.expovariate(1 / mean_s), 5 * mean_s)


class Stage:
    """One for each process."""

    def __init__(self) -> None:
        self.urls: list[str] = []  # of the nodes
        self.words: tuple[str, ...] = ()  # that the server blocks
        self.room = self.secret = ""
        self.profile: Profile
        self.show_seconds = 0.0
        self.users = 0  # in all processes; 0: not known yet
        self.tag = f"{os.getpid():x}{random.randrange(16**4):04x}"  # tells the users of this process from others
        self.numbers = itertools.count(1)  # of one process no two are alike
        self.reset()

    def reset(self) -> None:
        self.notes = Notes()
        self.began = 0.0  # the show, by our monotonic clock
        self.spawned, self.begun, self.over = Event(), Event(), Event()
        self.ended = Event()  # the notes are complete
        self.sent: dict[str, float] = {}  # what a comment ends with -> when it was sent

    @property
    def part(self) -> float:
        """Of the show, that is over."""
        return (time.monotonic() - self.began) / self.show_seconds

    @property
    def url(self) -> str:
        """For whoever does not mind which node it is."""
        return self.urls[0]

    def token(self, viewer: str, role: str) -> str:
        return token(self.secret.encode(), viewer, role, room=self.room)

    def shop(self) -> Shop:
        return Shop(self.url, self.room, self.token("shop", "service"))

    def new(self, what: str) -> str:
        return f"{what}-{self.tag}-{next(self.numbers)}"

    def node(self) -> int:
        """Everybody takes the next one."""
        return next(self.numbers) % len(self.urls)


stage = Stage()
