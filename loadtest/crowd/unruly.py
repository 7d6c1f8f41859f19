"""Users who misbehave: they flood, repeat themselves, evade the word list, send wrong frames, and come back."""

import random
from functools import partial
from typing import Any

import gevent
from gevent.event import Event
from locust import task

from loadtest.crowd.conduct import BANNED, Knock
from loadtest.crowd.disguises import one_after_the_other
from loadtest.crowd.lines import LINES
from loadtest.crowd.notes import Message
from loadtest.crowd.stage import EVASION, about, stage
from loadtest.crowd.visitor import NO_REPLY, REFUSALS, Visitor, code
from loadtest.crowd.wire import Ended, Wire, address
from loadtest.crowd.wrong import FATAL, REFUSED, Fatal, Refused

ORDINARY = 0.2  # of what evaders say: else the moderator would never see them
COME_BACK_SECONDS = (0.1, 2.6, 0.5)  # one after the other
CLOSING_SECONDS = 5.0  # a wrong frame ends the connection within


class Unruly(Visitor):
    """May be muted and banned; who is banned comes back, to each node."""

    abstract = True
    expects = REFUSALS | {"WORD_BLOCKED", "MUTED", "NOT_ALLOWED"}

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.out = Event()  # banned

    def called(self, kind: str) -> str:
        return f"{kind} (unruly)"

    def cut_off(self, end: Ended) -> None:
        if end.code != BANNED or stage.ended.is_set():
            return super().cut_off(end)
        self.seat.end = str(end)
        stage.notes.conduct.shown_out[self.me] = self.now()
        self.out.set()
        return self.answer_none()

    def judged(self, kind: str, reply: Message) -> Exception | None:
        """What is under way when he is shown out has no reply; the room may be shown it."""
        closed = self.wire.protocol.close_rcvd  # may be in before the reader is told
        if reply is NO_REPLY and closed is not None and closed.code == BANNED:
            stage.notes.conduct.unanswered[self.me] += kind == "chat.say"
            return None
        return super().judged(kind, reply)

    def said(self, command: Message, reply: Message) -> None:
        super().said(command, reply)
        stage.notes.conduct.spoken.setdefault(self.me, []).append(self.now())

    def waits(self, seconds: float) -> bool:
        """Whether he may go on after that."""
        self.out.wait(seconds)
        return not (self.out.is_set() or stage.over.is_set())

    def end(self) -> None:
        """Who was banned comes back; the others stay to the end."""
        while not (self.out.wait(0.2) or stage.ended.is_set()):
            pass
        for seconds in COME_BACK_SECONDS:
            if not stage.ended.wait(seconds):
                for node in range(len(stage.urls)):
                    self.knock(node)
        self.rest()

    def knock(self, node: int) -> None:
        at, closed = self.now(), 0
        try:
            wire, _, _ = self.enter(node, {})
            wire.close()
        except Ended as end:
            closed = end.code
        except OSError as error:
            stage.notes.faults[f"a join that failed: {error}"] += 1
            return
        stage.notes.conduct.knocks.append(Knock(self.me, node, at, closed))

    def mumble(self, text: str) -> Message:
        """A comment, and what it was answered."""
        reply = self.insist({"t": "chat.say", "idem": stage.new("i"), "text": text})
        if code(reply):
            stage.notes.conduct.held_back[f"{self.kind} {code(reply)}"] += 1
        return reply


class Flooder(Unruly):
    """Does not wait for answers. Every third comment is the one before."""

    kind = "flooder"

    @task
    def flood(self) -> None:
        stage.begun.wait()
        text, number = "", 0
        while self.waits(1 / stage.profile.flooders.per_second):
            if number % 3 < 2:
                text = f"{random.choice(LINES)} #{stage.new('s')}"
            number += 1
            gevent.spawn(self.mumble, text)
        self.end()


class Spammer(Unruly):
    """Has one thing to say, and says it again and again."""

    kind = "spammer"

    @task
    def repeat(self) -> None:
        stage.begun.wait()
        text = f"{random.choice(LINES)} #{stage.new('s')}"
        while self.waits(about(stage.profile.spammers.think_seconds)):
            self.mumble(text)
        self.end()


class Evader(Unruly):
    """Says what is listed, in disguise."""

    kind = "evader"

    @task
    def evade(self) -> None:
        stage.begun.wait()
        turn = one_after_the_other(stage.words)
        while self.waits(about(stage.profile.evaders.think_seconds)):
            if random.random() < ORDINARY:
                self.mumble(f"{random.choice(LINES)} #{stage.new('s')}")
            else:
                self.try_out(*next(turn))
        self.end()

    def try_out(self, how: str, disguised: str) -> None:
        conduct = stage.notes.conduct
        why = code(self.mumble(f"{disguised} #{stage.new(EVASION)}"))
        if not why:
            conduct.let_through.append(f"accepted, {how}: {disguised}")
        elif why == "WORD_BLOCKED":
            conduct.evasions[how] += 1


class Clumsy(Unruly):
    """Sends frames that are none: on connections of their own where that is their end. Reads the history too."""

    kind = "clumsy"
    expects = Unruly.expects | {"UNKNOWN_COMMAND", "BAD_MESSAGE", "TEXT_EMPTY", "TEXT_TOO_LONG"}

    @task
    def stumble(self) -> None:
        stage.begun.wait()
        turns = [
            *(partial(self.send_fatal, one) for one in FATAL),
            *(partial(self.send_refused, one) for one in REFUSED),
        ]
        while not stage.over.is_set():
            for turn in random.sample(turns, len(turns)):
                if not self.waits(about(stage.profile.clumsy.think_seconds)):
                    break
                turn()
                self.read_history()
        self.end()

    def read_history(self) -> None:
        seq = self.seat.last
        reply = self.insist({"t": "history.get", "limit": 100})
        if not code(reply):
            stage.notes.conduct.read("history", seq, reply["comments"])

    def send_refused(self, wrong: Refused) -> None:
        self.compare(wrong.name, wrong.code, code(self.send(wrong.command)) or "ok")

    def send_fatal(self, wrong: Fatal) -> None:
        """The node is any."""
        node = random.randrange(len(stage.urls))
        try:
            wire = Wire(address(stage.urls[node], stage.room)) if wrong.early else self.look_in(node)
        except (Ended, OSError) as error:
            stage.notes.faults[f"a join that failed: {error}"] += 1
            return
        self.compare(wrong.name, str(wrong.code), closing(wire, wrong))

    def look_in(self, node: int) -> Wire:
        """A second connection of the same viewer. Raises Ended or OSError."""
        wire, welcome, _ = self.enter(node, {})
        shown = welcome.message["snapshot"]
        comments = [*shown["chat"], *(pin["comment"] for pin in shown["pinned"])]
        stage.notes.conduct.read("snapshot", welcome.message["seq"], comments)
        return wire

    def compare(self, name: str, due: str, got: str) -> None:
        conduct = stage.notes.conduct
        conduct.frames[name] += 1
        if due != got and got not in ("RATE_LIMITED", NO_REPLY["code"]):
            conduct.misjudged.append(f"{name}: {got}, not {due}")


def closing(wire: Wire, wrong: Fatal) -> str:
    """The close code behind a frame."""
    with gevent.Timeout(CLOSING_SECONDS, False):
        try:
            wire.put(wrong.data, text=wrong.text)
            while True:
                wire.hear()
        except Ended as end:
            return str(end.code)
    wire.drop()
    return "not closed"
