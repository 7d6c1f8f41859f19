"""The one moderator: watches, deletes, mutes and bans; pins what is good, answers questions, reads the list of bans."""

import itertools
import math
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import gevent
from locust import task

from loadtest.crowd.conduct import Silence, unruly
from loadtest.crowd.notes import Message
from loadtest.crowd.shop import get
from loadtest.crowd.stage import about, stage
from loadtest.crowd.visitor import Visitor, code

PIN_SECONDS = 3
KEEPS = 50  # comments of the well-behaved that he remembers
FORGET_SECONDS = 3  # an answered question waits no more
SLIPS = 0.3  # of what is deleted was pinned by mistake before


class Moderator(Visitor):
    """Deletes first, then mutes; whoever goes on is banned, and all that he said is deleted."""

    role = "moderator"
    kind = "moderator"
    fixed_count = 1

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.good: deque[Message] = deque(maxlen=KEEPS)
        self.bad: dict[str, list[str]] = {}  # author -> what he said since he was dealt with
        self.warned = Counter[str]()
        self.replied: dict[str, float] = {}
        self.muted: dict[str, int] = {}  # until when

    def told(self, message: Message) -> None:
        super().told(message)
        if message["t"] == "chat.deleted":
            stage.notes.conduct.deleted(message)
        elif message["t"] != "chat.message" or message["role"] != "viewer":
            return
        elif unruly(message["from"]):
            self.bad.setdefault(message["from"], []).append(message["id"])
        else:
            self.good.append(message)

    @task
    def moderate(self) -> None:
        stage.begun.wait()
        for turn in itertools.cycle(TURNS):
            gevent.sleep(about(stage.profile.moderator.think_seconds))
            if stage.over.is_set():
                break
            turn(self)
        self.read_bans()
        self.rest()

    def deal(self) -> None:
        """With somebody who was seen, and is not muted: what he said then is for the verdict."""
        seen = [viewer for viewer in self.bad if self.muted.get(viewer, 0) <= self.now()]
        if not seen:
            return
        viewer = random.choice(seen)
        ids, step = self.bad.pop(viewer), min(self.warned[viewer], len(STEPS) - 1)
        self.warned[viewer] += 1
        STEPS[step](self, viewer, ids)

    def do(self, kind: str, **fields: Any) -> Message | None:
        """The reply, if it was done."""
        reply = self.ask(kind, **fields)
        if code(reply):
            return None
        stage.notes.conduct.deeds[kind] += 1
        return reply

    def delete(self, viewer: str, ids: list[str]) -> None:
        if random.random() < SLIPS:
            self.do("chat.pin", id=ids[-1], seconds=PIN_SECONDS)
        self.do("chat.delete", ids=ids[-100:])

    def mute(self, viewer: str, ids: list[str]) -> None:
        if reply := self.do("chat.mute", viewer=viewer, seconds=stage.profile.moderator.mute_seconds):
            self.muted[viewer] = reply["until"]
            stage.notes.conduct.mutes.append(Silence(viewer, self.now(), reply["until"]))

    def ban(self, viewer: str, ids: list[str]) -> None:
        if self.do("chat.ban", viewer=viewer, reason="goes on and on"):
            stage.notes.conduct.bans.setdefault(viewer, Silence(viewer, self.now()))
            self.do("chat.delete", viewer=viewer)

    def pin(self) -> None:
        if self.good:
            self.do("chat.pin", id=random.choice(self.good)["id"], seconds=PIN_SECONDS)

    def answer(self) -> None:
        """A question that waits, where the server knows which do; else one that was seen."""
        waiting = [one for one in self.fetched("questions").get("questions", ()) if not unruly(one["from"])]
        if any(time.monotonic() > self.replied.get(one["id"], math.inf) + FORGET_SECONDS for one in waiting):
            stage.notes.faults["a question that was answered and waits"] += 1
        asked = [one["id"] for one in waiting] or [one["id"] for one in self.good if "?" in one["text"]]
        if asked:
            self.reply(random.choice(asked))

    def reply(self, comment: str) -> None:
        reply = self.insist({"t": "chat.reply", "idem": stage.new("i"), "id": comment, "text": f"Yes! #{comment}"})
        if not code(reply):
            stage.notes.conduct.deeds["chat.reply"] += 1
            self.replied[comment] = time.monotonic()

    def judged(self, kind: str, reply: Message) -> Exception | None:
        """In a loud room a question may be pushed out by others before it is answered."""
        if kind == "chat.reply" and code(reply) == "NO_SUCH_COMMENT":
            stage.notes.refusals[f"{kind} {code(reply)}"] += 1
            return None
        return super().judged(kind, reply)

    def read_bans(self) -> None:
        known = list(stage.notes.conduct.bans)
        if not (answer := self.fetched("bans")):
            return
        listed = {one["viewer"] for one in answer["bans"]}
        stage.notes.conduct.unlisted += [f"{one} is not among the bans" for one in known if one not in listed]
        stage.notes.conduct.deeds["GET bans"] += 1

    def read_history(self) -> None:
        seq = self.seat.last
        reply = self.insist({"t": "history.get", "limit": 100})
        if not code(reply):
            stage.notes.conduct.deeds["history.get"] += 1
            stage.notes.conduct.read("history", seq, reply["comments"])

    def fetched(self, what: str) -> Message:
        """Nothing where the server has no such list."""
        url = f"{stage.urls[self.node]}/v1/rooms/{quote(stage.room, safe='')}/{what}"
        answer = get(url, stage.token(self.me, self.role))
        if answer.status not in (200, 403, 404):
            stage.notes.faults[f"GET {what}: {answer.code}"] += 1
        return answer.body if answer.status == 200 else {}


STEPS: tuple[Callable[[Moderator, str, list[str]], None], ...] = (Moderator.delete, Moderator.mute, Moderator.ban)
TURNS: tuple[Callable[[Moderator], None], ...] = (
    *(Moderator.deal, Moderator.deal, Moderator.pin, Moderator.deal, Moderator.deal, Moderator.answer),
    *(Moderator.deal, Moderator.deal, Moderator.read_history, Moderator.deal, Moderator.deal, Moderator.read_bans),
)
