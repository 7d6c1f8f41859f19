"""The account of a replay: what was sent, what became of it, and whether that adds up."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from liveroom.client import Message


@dataclass
class Probe:
    """What one viewer that reads everything was shown, and told of as sampled; ``ours`` are the ids of our viewers."""

    ours: set[str]
    seen: dict[str, float] = field(default_factory=dict)  # id of our comment -> when
    sampled: int = 0
    foreign: int = 0
    visits: int = 0

    def take(self, message: Message) -> None:
        if message["t"] == "chat.sampled":
            self.sampled += message["total"] - message["shown"]
        elif message["t"] == "chat.message":
            if message["from"] in self.ours:
                self.seen.setdefault(message["id"], time.perf_counter())
            else:
                self.foreign += 1

    def forget(self) -> None:
        """What was counted while others were still joining."""
        self.sampled = self.foreign = 0


@dataclass
class Account:
    """What was sent and what became of it; times in seconds of one clock."""

    ours: set[str] = field(default_factory=set)  # ids of our viewers
    probes: list[Probe] = field(default_factory=list)
    sent: int = 0
    waiting: dict[int, tuple[float, int]] = field(default_factory=dict)  # cid -> when, by whom
    accepted: dict[str, float] = field(default_factory=dict)  # id -> when it was sent
    unshown: int = 0  # entries of a lottery that are not shown
    refused: Counter[str] = field(default_factory=Counter)
    cut: int = 0  # sent over a connection that ended before the reply
    away: int = 0  # not sent: the viewer was not connected
    late_s: float = 0.0
    cids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def probe(self) -> Probe:
        """One more of them."""
        self.probes.append(Probe(self.ours))
        return self.probes[-1]

    def send(self, who: int) -> int:
        cid = next(self.cids)
        self.sent += 1
        self.waiting[cid] = time.perf_counter(), who
        return cid

    def answered(self, reply: Message) -> None:
        when, _ = self.waiting.pop(reply["cid"], (None, None))
        if when is None:
            return
        if reply["t"] != "ok":
            self.refused[reply.get("code", "?")] += 1
        elif reply.get("shown") is False:
            self.unshown += 1
        else:
            self.accepted[reply["id"]] = when

    def lost(self, who: int) -> None:
        """The connection of this viewer ended: nothing of his is answered any more."""
        gone = [cid for cid, (_, sender) in self.waiting.items() if sender == who]
        for cid in gone:
            del self.waiting[cid]
        self.cut += len(gone)

    @property
    def unanswered(self) -> int:
        return self.cut + len(self.waiting)

    @property
    def all_answered(self) -> bool:
        return self.sent == len(self.accepted) + self.unshown + self.refused.total()

    def delivered(self, probe: Probe) -> int:
        return len(self.accepted.keys() & probe.seen.keys())

    def surplus(self, probe: Probe) -> int:
        """Delivered + sampled - accepted: below 0 comments are missing, above 0 more are told of than we sent."""
        return self.delivered(probe) + probe.sampled - len(self.accepted)

    def blurred(self, probe: Probe) -> bool:
        """Others spoke and some of theirs were sampled: nobody can tell how many, so the surplus is no fault."""
        return self.surplus(probe) > 0 and probe.foreign > 0

    def agrees(self, probe: Probe) -> bool:
        return self.surplus(probe) == 0 or self.blurred(probe)

    @property
    def good(self) -> bool:
        return self.all_answered and all(map(self.agrees, self.probes))

    def latencies_ms(self) -> list[float]:
        pairs = ((probe.seen[i], self.accepted[i]) for probe in self.probes for i in probe.seen.keys() & self.accepted)
        return sorted((seen - sent) * 1000 for seen, sent in pairs)
