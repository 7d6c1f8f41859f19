"""A locust user in the room: joins, asks, listens, and notes all of it."""

import random
import time
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

import gevent
from gevent.event import AsyncResult
from gevent.queue import Empty, Queue
from locust import User
from locust.exception import StopUser

from loadtest.crowd.notes import Entry, Message, Probe, Seat
from loadtest.crowd.stage import BEGIN, END, Heard, stage, unpacked
from loadtest.crowd.wire import Ended, Wire, address

REPLY_SECONDS = 10.0
TRIES = 8  # of a command that is answered TRY_LATER
REFUSALS = frozenset(  # a server that says these does what it should
    (
        *("RATE_LIMITED", "SLOW_MODE", "DUPLICATE", "NOT_ELIGIBLE", "ROUND_CLOSED", "ALREADY_ANSWERED"),
        *("SALE_NOT_OPEN", "SALE_PAUSED", "SALE_SOLD_OUT", "SALE_LIMIT", "HOLD_EXPIRED", "TRY_LATER"),
    )
)
NO_REPLY: Message = {"t": "error", "code": "no reply"}


def code(reply: Message) -> str:
    """Empty for an `ok`."""
    return "" if reply["t"] == "ok" else str(reply["code"])


class Visitor(User):
    """One viewer's connection."""

    abstract = True
    role: ClassVar[str] = "viewer"
    kind: ClassVar[str] = ""
    wants: ClassVar[frozenset[str]] = frozenset()  # the messages that it acts on
    expects: ClassVar[frozenset[str]] = REFUSALS

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.me = stage.new(self.kind)
        self.node = stage.node()
        self.waiting: dict[int, AsyncResult] = {}
        self.news: Any = Queue()
        self.cid = 0
        self.seat: Seat
        self.wire: Wire
        self.reader: Any = None
        self.probe: Probe | None = None
        self.clock_ms = 0.0  # room time - our monotonic clock

    def now(self) -> int:
        """Room time in ms."""
        return int(self.clock_ms + time.monotonic() * 1000)

    # -- coming and going --

    def on_start(self) -> None:
        try:
            welcome = self.join({})
        except (Ended, OSError) as error:
            stage.notes.faults[f"a join that failed: {error}"] += 1
            raise StopUser from None
        self.seat = Seat(self.me, self.kind, welcome["epoch"], welcome["seq"], welcome["seq"])
        stage.notes.seats.append(self.seat)
        self.reader = gevent.spawn(self.listen)

    def on_stop(self) -> None:
        if self.reader is not None:
            self.leave(self.wire.close)

    def leave(self, how: Callable[[], None]) -> None:
        self.reader.kill()
        how()

    def rest(self) -> NoReturn:
        """Sit there until locust ends it; a user that goes by himself confuses it."""
        while True:
            gevent.sleep(60)

    def join(self, resume: Message) -> Message:
        """Raises Ended or OSError."""
        began = time.perf_counter()
        try:
            self.wire, first, self.missed = self.enter(self.node, resume)
        except (Ended, OSError) as error:
            self.report("join", began, error)
            raise
        self.report("join", began)
        welcome = first.message
        self.clock_ms = welcome["now"] - time.monotonic() * 1000
        return welcome

    def enter(self, node: int, resume: Message) -> tuple[Wire, Heard, list[Heard]]:
        """A connection, its welcome, and what came in the same read. Raises Ended or OSError."""
        wire = Wire(address(stage.urls[node], stage.room))
        wire.tell({"t": "hello", "token": stage.token(self.me, self.role), **resume})
        first, *rest = [heard for payload in wire.hear() for heard in unpacked(payload)]
        return wire, first, rest

    def listen(self) -> None:
        """Until the connection ends; then nothing that waits is answered any more."""
        try:
            self.take_all(self.missed)
            while True:
                for payload in self.wire.hear():
                    self.take_all(unpacked(payload))
        except Ended as end:
            self.cut_off(end)

    def cut_off(self, end: Ended) -> None:
        if not stage.ended.is_set():
            stage.notes.faults[f"a connection {end}"] += 1
            self.seat.end = str(end)
            if all(seat.end for seat in stage.notes.seats):
                stage.over.set()  # nobody is left to hear how it ends
        self.answer_none()

    def answer_none(self) -> None:
        for reply in self.waiting.values():
            reply.set(NO_REPLY)

    # -- what comes in --

    def take_all(self, heard: Any) -> None:
        for message, digest in heard:
            if "cid" in message:
                if reply := self.waiting.get(message["cid"]):
                    reply.set(message)
            elif digest:
                self.seat.hears(message["seq"])
                stage.notes.event(self.seat.epoch, message["seq"], digest)
                self.told(message)
            else:
                self.told(message)

    def told(self, message: Message) -> None:
        kind = message["t"]
        if kind == "room.notice":
            self.cue(message["text"])
        elif kind == "room.reset":
            stage.notes.faults["a room that was reset"] += 1
        if "inbox" in message:
            gevent.spawn(self.ask, "inbox.ack", ids=[message["inbox"]])
        if kind in self.wants:
            self.news.put(message)

    def cue(self, text: str) -> None:
        if text == BEGIN:
            self.seat.from_begin = True
            stage.began = stage.began or time.monotonic()
            stage.begun.set()
        elif text == END:
            self.seat.to_end = True
            stage.over.set()

    def next_news(self, timeout: float | None = None) -> Message | None:
        """The next message that it wants."""
        try:
            message: Message = self.news.get(timeout=timeout)
        except Empty:
            return None
        return message

    # -- what goes out --

    def ask(self, kind: str, **fields: Any) -> Message:
        """The reply; `idem` is made where there is none, and some commands are sent twice with it."""
        command = {"t": kind, "idem": stage.new("i"), **fields}
        if random.random() >= stage.profile.again:
            return self.insist(command)
        if random.random() < 0.5:  # both are under way at once
            second = gevent.spawn_later(0.001, self.insist, again(command))
            reply = self.insist(command)
            return self.compared(command, reply, second.get())
        reply = self.insist(command)
        return self.compared(command, reply, self.insist(again(command)))

    def compared(self, command: Message, first: Message, second: Message) -> Message:
        """What is refused has no effect and may be granted to the second; what is granted is granted to both."""
        if code(first) or code(second) in ("RATE_LIMITED", "TRY_LATER", "no reply"):
            return first if not code(first) else second
        stage.notes.again[command["t"]] += 1
        if unlike := sorted(differing(first, second)):
            told = [{name: reply[name] for name in unlike if name in reply} for reply in (first, second)]
            stage.notes.unequal.append(f"{command['t']}: first {told[0]}, then {told[1]}")
        return first

    def insist(self, command: Message) -> Message:
        """Send it again, with the same `idem`, while the server asks for that."""
        reply = self.send(command)
        for attempt in range(TRIES - 1):
            if code(reply) != "TRY_LATER" or stage.ended.is_set():
                break
            gevent.sleep(max(reply.get("retry_after_ms", 0) / 1000, 0.1 * 2**attempt))
            command = again(command)
            reply = self.send(command)
        else:
            stage.notes.faults[f"{command['t']}: TRY_LATER {TRIES} times"] += 1
        self.note(command, reply)
        return reply

    def send(self, command: Message) -> Message:
        """One try: send, wait for the reply, report it to locust."""
        self.cid += 1
        cid, kind, began = self.cid, command["t"], time.perf_counter()
        self.waiting[cid] = AsyncResult()
        try:
            self.wire.tell({**command, "cid": cid})
            reply: Message = self.waiting[cid].get(timeout=REPLY_SECONDS)
        except (gevent.Timeout, Ended):
            reply = NO_REPLY
        finally:
            del self.waiting[cid]
        self.report(self.called(kind), began, self.judged(kind, reply))
        return reply

    def called(self, kind: str) -> str:
        """A command in locust's table."""
        return kind

    def judged(self, kind: str, reply: Message) -> Exception | None:
        """What locust is to count as a failure."""
        why = code(reply)
        if why in self.expects:
            stage.notes.refusals[f"{kind} {why}"] += 1
        elif why and not stage.ended.is_set():
            stage.notes.faults[f"{kind}: {why}"] += 1
            return RuntimeError(why)
        return None

    def report(self, name: str, began: float, error: Exception | None = None, kind: str = "WS") -> None:
        took_ms = (time.perf_counter() - began) * 1000
        self.environment.events.request.fire(
            request_type=kind, name=name, response_time=took_ms, response_length=0, exception=error, context={}
        )

    # -- what was granted --

    def note(self, command: Message, reply: Message) -> None:
        if not code(reply) and (grant := GRANTS.get(command["t"])):
            getattr(self, grant)(command, reply)

    def said(self, command: Message, reply: Message) -> None:
        if reply.get("shown") is False:
            stage.notes.unshown += 1
        else:
            stage.notes.accepted(self.me, reply["id"])
        if "receipt" in reply:
            self.entered(command, reply)

    def entered(self, command: Message, reply: Message) -> None:
        receipt = reply["receipt"]
        stage.notes.entered(Entry(receipt["draw"], self.me, receipt["tag"]))

    def answered(self, command: Message, reply: Message) -> None:
        stage.notes.entered(Entry(command["id"], self.me, str(command["choice"])))

    def held(self, command: Message, reply: Message) -> None:
        qty = reply["qty"] if "qty" in reply else command["qty"]
        stage.notes.held(reply["hold"], command["id"], self.me, qty, self.now(), reply["until"])


GRANTS = {
    "chat.say": "said",
    "chat.reply": "said",
    "lottery.enter": "entered",
    "quiz.answer": "answered",
    "sale.claim": "held",
}


def again(command: Message) -> Message:
    """As it is sent the second time: a claim says that it is."""
    return {**command, "again": True} if command["t"] == "sale.claim" else command


def differing(first: Message, second: Message) -> set[str]:
    """The fields in which two replies are unlike; each has a `cid` of its own."""
    return {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)} - {"cid"}
