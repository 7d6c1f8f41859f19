"""What the users of one process sent, were answered and heard: plain values that a verdict is made of.

Times are room time in ms, as each user's welcome gave it to him. Notes of several processes are merged.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from msgspec import Struct, field, msgpack

from loadtest.crowd.conduct import Conduct

Message = dict[str, Any]


class Seat(Struct):
    """One user from his first welcome to his end. A resume belongs to the same seat, a new epoch does not end it."""

    viewer: str
    kind: str
    epoch: str
    first: int  # seq of the welcome
    last: int  # seq of the newest event
    events: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)  # expected, got
    resumes: int = 0
    end: str = ""  # how the connection ended, where we did not end it
    from_begin: bool = False  # he was there when the show began
    to_end: bool = False  # … and heard that it was over

    def hears(self, seq: int) -> None:
        if seq != self.last + 1:
            self.gaps.append((self.last + 1, seq))
        self.events += 1
        self.last = max(self.last, seq)


class Probe(Struct):
    """Somebody who notes each comment between the beginning and the end of the show."""

    viewer: str
    seen: list[str] = field(default_factory=list)  # ids, as they came
    sampled: int = 0  # comments he was told he was not shown


class Entry(Struct, frozen=True):
    """An entry or an answer that was acknowledged."""

    round: str
    viewer: str
    word: str  # a quiz's choice, or the tag of a lottery's receipt


class Sale(Struct):
    """A sale as it was told; `restocked` by the version of the event, for each user hears it."""

    stock: int
    per_viewer: int
    restocked: dict[int, int] = field(default_factory=dict)  # seq -> units

    @property
    def units(self) -> int:
        return self.stock + sum(self.restocked.values())


class Hold(Struct):
    """A hold that was acknowledged: his from `since` to `until`, if he neither paid nor let it go before."""

    sale: str
    viewer: str
    qty: int
    since: int
    until: int
    order: str = ""  # paid
    rank: int = 0
    paid: int = 0  # when he knew
    let_go: int = 0  # when he, or the shop, asked for its end
    released: int = 0  # when he was told of its end
    why: str = ""


class Count(Struct, frozen=True):
    """One `sale.stock`."""

    sale: str
    left: int
    held: int
    sold: int


class Notes(Struct):
    """All that the users of a process noted, or of several."""

    users: int = 0  # who were to come
    epochs: dict[str, dict[int, str]] = field(default_factory=dict)  # epoch -> seq -> digest of the event
    torn: list[str] = field(default_factory=list)  # one seq, two events
    seats: list[Seat] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    said: dict[str, list[str]] = field(default_factory=dict)  # author -> ids of his comments, as they were accepted
    unshown: int = 0  # comments that entered a round and are not shown
    entries: dict[str, Entry] = field(default_factory=dict)  # by round and viewer
    sales: dict[str, Sale] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    counts: dict[str, Count] = field(default_factory=dict)  # by sale and version
    rounds: Counter[str] = field(default_factory=Counter)  # what the host did, and saw end
    again: Counter[str] = field(default_factory=Counter)  # resends that were compared, by command
    unequal: list[str] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)  # "command CODE"
    faults: Counter[str] = field(default_factory=Counter)  # what should not have happened
    conduct: Conduct = field(default_factory=Conduct)

    # -- events --

    def event(self, epoch: str, seq: int, digest: str) -> None:
        known = self.epochs.setdefault(epoch, {}).setdefault(seq, digest)
        if known != digest:
            self.torn.append(f"{epoch}:{seq}")

    # -- comments --

    def accepted(self, author: str, comment: str) -> None:
        """Once each, also where the `ok` came twice."""
        ids = self.said.setdefault(author, [])
        if comment not in ids[-20:]:
            ids.append(comment)

    @property
    def comments(self) -> set[str]:
        return {comment for ids in self.said.values() for comment in ids}

    @property
    def deleted(self) -> set[str]:
        """Comments that the moderator has deleted, or may have, of those who said more until then."""
        ids = {comment for deletion in self.conduct.deletions.values() for comment in deletion.ids}
        authors = {deletion.viewer for deletion in self.conduct.deletions.values()}
        return ids.union(*(self.said[author] for author in authors & self.said.keys()))

    # -- rounds --

    def entered(self, entry: Entry) -> None:
        """Each viewer has one entry in a round, however often he is told of it."""
        first = self.entries.setdefault(f"{entry.round}:{entry.viewer}", entry)
        if first != entry:
            self.unequal.append(f"{entry.viewer} in {entry.round}: {first.word} and {entry.word}")

    # -- the sale --

    def opened(self, message: Message) -> None:
        self.sales.setdefault(message["id"], Sale(message["stock"], message["per_viewer"]))

    def restocked(self, message: Message) -> None:
        if sale := self.sales.get(message["id"]):
            sale.restocked[message["seq"]] = message["qty"]

    def counted(self, message: Message) -> None:
        """One version has one count."""
        count = Count(message["id"], message["left"], message["held"], message["sold"])
        if self.counts.setdefault(f"{count.sale}:{message['ver']}", count) != count:
            self.torn.append(f"{count.sale}:{message['ver']}")

    def held(self, hold: str, sale: str, viewer: str, qty: int, since: int, until: int) -> None:
        self.holds.setdefault(hold, Hold(sale, viewer, qty, since, until))

    def paid(self, hold: str, order: str, rank: int, now: int) -> None:
        """An order that differs from the one told before is a fault; so is one of a hold nobody was told of."""
        if (one := self.holds.get(hold)) is None:
            self.faults["an order of an unknown hold"] += 1
        elif one.order and one.order != order:
            self.faults["a hold with two orders"] += 1
        else:
            one.order, one.rank, one.paid = order, rank, one.paid or now

    def let_go(self, hold: str, now: int) -> None:
        if one := self.holds.get(hold):
            one.let_go = one.let_go or now

    def released(self, hold: str, why: str, now: int) -> None:
        if one := self.holds.get(hold):
            one.released, one.why = one.released or now, why


def pack(notes: Notes) -> bytes:
    return msgpack.encode(notes)


def unpack(packed: bytes) -> Notes:
    return msgpack.decode(packed, type=Notes, dec_hook=lambda _, counts: Counter(counts))


def merged(parts: Iterable[Notes]) -> Notes:
    """Of several processes of one room. A user, his comments and his holds are in one of them only."""
    whole = Notes()
    for part in parts:
        whole.users = max(whole.users, part.users)
        for epoch, events in part.epochs.items():
            for seq, digest in events.items():
                whole.event(epoch, seq, digest)
        for sale, known in part.sales.items():
            whole.sales.setdefault(sale, known).restocked.update(known.restocked)
        for name in ("torn", "seats", "probes", "unequal"):
            getattr(whole, name).extend(getattr(part, name))
        for name in ("said", "entries", "holds", "counts", "rounds", "again", "refusals", "faults"):
            getattr(whole, name).update(getattr(part, name))  # of a Counter: adds
        whole.unshown += part.unshown
        whole.conduct.add(part.conduct)
    return whole
