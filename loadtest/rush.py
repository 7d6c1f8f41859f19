"""The rush: a full room, comments and likes on an open-loop schedule, and what arrived when.

Every comment carries its number and the time it was *due*, so a sender that stalls with the server makes the latency
worse instead of hiding it. Senders, likers and probes sit evenly between the drains: a fan-out reaches them early,
midway and late, as it does everybody.
"""

import gc
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil

import msgspec

from loadtest.drain import Crowd, Viewer
from loadtest.frames import frame, upgrade
from loadtest.servers import Server, Unfit

HOST_RATE = 18  # comments per second of one host, below the protocol's limit of 20 for staff
FAN_RATE = 18  # likes per second of one viewer, below the limit of 20
SLOT_NS = 100_000  # resolution of the latency histogram
SLOTS = 600_000  # … which ends at one minute


@dataclass(frozen=True)
class Trial:
    """What is offered: rates per second, durations in seconds. `viewers` is everyone in the room."""

    viewers: int
    comments: int
    likes: int = 0
    warm: float = 10
    measured: float = 60
    probes: int = 100
    after: float = 2


class Message(msgspec.Struct):
    """As much of a server's message as the crowd looks at."""

    t: str = ""
    cid: int = -1
    code: str = ""
    text: str = ""


messages = msgspec.json.Decoder(list[Message] | Message)


def parsed(payload: memoryview) -> list[Message]:
    got = messages.decode(payload)
    return got if isinstance(got, list) else [got]


@dataclass
class Tally:
    """What senders and probes noticed. Comments are numbered from 0; `first` is the first that is due after warm-up."""

    first: int
    total: int
    accepted: bytearray = field(init=False)
    refused: Counter[str] = field(default_factory=Counter)
    latencies: list[int] = field(default_factory=lambda: [0] * (SLOTS + 1))
    heard: int = 0
    twice: int = 0

    def __post_init__(self) -> None:
        self.accepted = bytearray(self.total)

    def reply(self, payload: memoryview) -> None:
        """Listens for one sender."""
        for message in parsed(payload):
            if message.t == "error":
                self.refused[message.code] += 1
            elif message.t == "ok" and message.cid >= 0:
                self.accepted[message.cid] = 1

    def percentile(self, share: float) -> float | None:
        """Milliseconds; None when nothing was heard."""
        wanted, below = share * sum(self.latencies), 0
        for slot, count in enumerate(self.latencies):
            below += count
            if below and below >= wanted:
                return (slot + 1) * SLOT_NS / 1e6
        return None


class Probe:
    """A viewer who reads everything and notes when he saw which comment."""

    __slots__ = ("seen", "tally")

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.seen = bytearray(tally.total)

    def listen(self, payload: memoryview) -> None:
        now = time.monotonic_ns()
        tally, seen = self.tally, self.seen
        for message in parsed(payload):
            if message.t != "chat.message":
                continue
            number, _, due = message.text.partition(" ")
            n = int(number)
            if seen[n]:
                tally.twice += 1
                continue
            seen[n] = 1
            tally.heard += 1
            if n >= tally.first:
                tally.latencies[min((now - int(due)) // SLOT_NS, SLOTS)] += 1

    def missed(self) -> int:
        """How many comments were accepted after warm-up and never came here."""
        first = self.tally.first
        accepted = int.from_bytes(self.tally.accepted[first:], "big")
        return (accepted & ~int.from_bytes(self.seen[first:], "big")).bit_count()


@dataclass
class Metronome:
    """Says what is due. It never slips: after a stall everything missed is due at once, with its old times."""

    start: int
    rate: int
    total: int
    beat: int = 0

    def due(self, now: int) -> Iterator[tuple[int, int]]:
        while self.beat < self.total and self.next <= now:
            yield self.beat, self.next
            self.beat += 1

    @property
    def next(self) -> int:
        return self.start + self.beat * 1_000_000_000 // self.rate

    def wait(self, now: int) -> float:
        return (self.next - now) / 1e9 if self.beat < self.total else 1.0


@dataclass(frozen=True)
class Reading:
    """All counters at one moment."""

    at: float
    heard: int
    frames: int
    drained: int
    probed: int
    server: float
    helpers: float
    client: float


@dataclass
class Room:
    """Who is in the room under test, by what he does there."""

    trial: Trial
    tally: Tally
    senders: list[Viewer] = field(default_factory=list)
    fans: list[Viewer] = field(default_factory=list)
    drains: list[Viewer] = field(default_factory=list)
    probes: list[Viewer] = field(default_factory=list)
    ears: list[Probe] = field(default_factory=list)

    @classmethod
    def filled(cls, trial: Trial, server: Server) -> "Room":
        first, total = int(trial.comments * trial.warm), int(trial.comments * (trial.warm + trial.measured))
        room = cls(trial, Tally(first, total))
        hello = server.contestant.greeter(server.data)
        senders, fans = ceil(trial.comments / HOST_RATE), ceil(trial.likes / FAN_RATE)
        probes = min(trial.probes, trial.viewers - senders - fans)
        if probes < 1:
            raise Unfit(f"{trial.viewers} viewers are too few for {trial.comments} comments/s")
        reply = room.tally.reply if server.contestant.answers else None
        room.senders = [Viewer(hello(f"h{i}", "host"), reply) for i in range(senders)]
        room.fans = [Viewer(hello(f"f{i}", "viewer"), reply) for i in range(fans)]
        room.ears = [Probe(room.tally) for _ in range(probes)]
        room.probes = [Viewer(hello(f"p{i}", "viewer"), ear.listen) for i, ear in enumerate(room.ears)]
        others = trial.viewers - senders - fans - probes
        room.drains = [Viewer(hello(f"v{i}", "viewer")) for i in range(others)]
        return room

    def in_order(self) -> list[Viewer]:
        """Everyone, each group spread evenly over the whole."""
        groups = (self.senders, self.fans, self.probes, self.drains)
        placed = [((i + 0.5) / len(group), j, i) for j, group in enumerate(groups) for i in range(len(group))]
        return [groups[j][i] for _, j, i in sorted(placed)]

    def read(self, server: Server) -> Reading:
        everyone = (*self.senders, *self.fans, *self.probes, *self.drains)
        return Reading(
            at=time.monotonic(),
            heard=self.tally.heard,
            frames=sum(viewer.frames for viewer in everyone),
            drained=sum(viewer.bytes for viewer in self.drains),
            probed=sum(viewer.bytes for viewer in self.probes),
            server=server.cpu(),
            helpers=server.helpers_cpu(),
            client=time.process_time(),
        )


@dataclass(frozen=True)
class Rush:
    """One finished trial: the counters around its measured window, and what was noticed."""

    room: Room
    before: Reading
    after: Reading
    joined_in: float
    gone: Counter[str]


def rush(trial: Trial, server: Server) -> Rush:
    """Fills the room, sends, measures, and leaves; ends within join (60 s) + warm + measured + after seconds."""
    contestant = server.contestant
    room = Room.filled(trial, server)
    with Crowd(server.port, upgrade(server.port, contestant.path, contestant.subprotocol)) as crowd:
        joined_in = crowd.join(room.in_order())
        if crowd.seated < trial.viewers:
            raise Unfit(f"only {crowd.seated} of {trial.viewers} came in within {joined_in:.0f} s ({dict(crowd.gone)})")
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            before, after = play(room, crowd, server)
        finally:
            gc.enable()
            gc.unfreeze()
        if server.process.poll() is not None:
            raise Unfit(f"the server ended in the middle with {server.process.returncode}")
        return Rush(room, before, after, joined_in, crowd.gone)


def play(room: Room, crowd: Crowd, server: Server) -> tuple[Reading, Reading]:
    trial, contestant = room.trial, server.contestant
    start = time.monotonic_ns() + 500_000_000
    chat = Metronome(start, trial.comments, room.tally.total)
    likes = Metronome(start, trial.likes, int(trial.likes * (trial.warm + trial.measured)))

    def until(end: float) -> None:
        while (now := time.monotonic_ns()) < end:
            for number, due in chat.due(now):
                sender = room.senders[number % len(room.senders)]
                sent = crowd.send(sender, frame(contestant.say(number, f"{number} {due}")))
                if not sent:
                    room.tally.refused["sender gone"] += 1
                elif not contestant.answers:
                    room.tally.accepted[number] = 1
            for number, _ in likes.due(now):
                crowd.send(room.fans[number % len(room.fans)], LIKE)
            crowd.turn(min(chat.wait(now), likes.wait(now), (end - now) / 1e9))

    until(start + trial.warm * 1e9)
    server.adopt()
    before = room.read(server)
    until(start + (trial.warm + trial.measured) * 1e9)
    after = room.read(server)
    until(time.monotonic_ns() + trial.after * 1e9)
    return before, after


LIKE = frame(b'{"t":"like.add","n":1}')
