"""Whether Redis and the ledger say the same of a sale; if not: what differs, why, and what to do.

A sale goes on while it is looked at, so Redis is read twice: what it said before the ledger was read must have got
there, and what the ledger says must be in Redis behind that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

OVER = frozenset({"closed", "cancelled"})
ALIKE = ("state", "qty", "viewer", "order", "payment")  # what both must say of a hold at the same version
TAKEN = ("held", "sold")

COUNTED = "the numbers of the round were changed beside its scripts; pause the sale and set them by its holds"
TOO_MANY = "claims were miscounted, or holds changed by hand; let one go with POST …/holds/HOLD/cancel"
OVERSOLD = "more was sold than there is; refund the last ones of `liveroom export ROOM --what orders`"
BY_HAND = "one of the two was changed by hand; compare with the shop's payments, and mend the wrong one"
LOST = "Redis lost what it had acknowledged; keep the sale paused, and go by the ledger"
MISSING = "its fact is in neither place; look for it in the ledger's table unread, and go by Redis until then"
FORGOTTEN = "Redis lost the sale before its end; go by the ledger's holds and orders"
TWO_ORDERS = "orders were changed by hand; compare with the shop's payments, and refund what was paid twice"


class Record(Struct, frozen=True):
    """A hold, as far as Redis and the ledger must agree on it."""

    viewer: str
    qty: int
    state: str
    v: int
    order: str = ""
    payment: str = ""


class Order(Struct, frozen=True):
    id: str
    hold: str
    state: str


class Terms(Struct, frozen=True):
    """What a sale was opened with; the stock as it is since."""

    item: str = ""
    stock: int = 0
    per_viewer: int = 1


class Book(Struct, frozen=True):
    """A sale as Redis has it, at one moment. ``offered``: units kept for viewers who wait."""

    stock: int
    free: int
    held: int
    sold: int
    offered: int
    records: Mapping[str, Record]


class Sale(Struct, frozen=True):
    """A sale as both have it."""

    id: str
    terms: Terms
    state: str  # in the ledger; empty: it does not know the sale
    before: Book | None  # Redis, read before the ledger; None: it has forgotten the sale
    after: Book | None  # and behind it
    records: Mapping[str, Record]  # the ledger's
    orders: Sequence[Order]
    waiting: int = 0  # facts in the outbox

    @property
    def numbers(self) -> tuple[int, int, int, int]:
        """Stock, free, held and sold."""
        if self.after:
            return self.after.stock, self.after.free, self.after.held, self.after.sold
        held, sold = (units(self.records, state) for state in TAKEN)
        return self.terms.stock, self.terms.stock - held - sold, held, sold

    @property
    def lag(self) -> str:
        """Why the ledger may be behind."""
        if not self.waiting:
            return MISSING
        return f"facts wait in the outbox ({self.waiting}); see that a node runs and its ledger answers, and look again"


class Difference(NamedTuple):
    what: str
    why: str  # and what to do

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


def differences(sale: Sale) -> list[Difference]:
    found = [*recorded(sale), *ordered(sale)]
    if sale.after is None:
        return [*found, *forgotten(sale), *limited(sale, sale.records)]
    before = sale.before or sale.after
    found += [*counted(sale.after), *limited(sale, sale.after.records)]
    found += [*unrecorded(sale, before), *lost(sale, sale.after), *unlike(sale, before, sale.after)]
    return found


def units(records: Mapping[str, Record], state: str) -> int:
    return sum(record.qty for record in records.values() if record.state == state)


def counted(book: Book) -> Iterator[Difference]:
    """Free and held and sold are the stock, and what the holds say."""
    free, held, sold = book.free, book.held, book.sold
    if free + held + sold != book.stock:
        yield Difference(f"free {free} + held {held} + sold {sold} is not the stock {book.stock}", COUNTED)
    for name, number in (("free", free), ("held", held), ("sold", sold)):
        if number < 0:
            yield Difference(f"{name} is {number}", COUNTED)
    held_units, sold_units = (units(book.records, state) for state in TAKEN)
    if held != held_units + book.offered:
        yield Difference(f"held is {held}, but {held_units} are held and {book.offered} offered", COUNTED)
    if sold != sold_units:
        yield Difference(f"sold is {sold}, but the holds say {sold_units}", COUNTED)


def limited(sale: Sale, records: Mapping[str, Record]) -> Iterator[Difference]:
    """Nobody has more than he may."""
    taken: Counter[str] = Counter()
    for record in records.values():
        taken[record.viewer] += record.qty if record.state in TAKEN else 0
    for viewer, number in sorted(taken.items()):
        if number > sale.terms.per_viewer:
            yield Difference(f"viewer {viewer} has {number}, but {sale.terms.per_viewer} are allowed", TOO_MANY)


def recorded(sale: Sale) -> Iterator[Difference]:
    """The ledger knows the sale, and no more was sold than there is."""
    if not sale.state:
        yield Difference("the ledger does not know the sale", sale.lag)
    sold, stock = units(sale.records, "sold"), sale.numbers[0]
    if sold > stock:
        yield Difference(f"the ledger has {sold} sold of a stock of {stock}", OVERSOLD)


def ordered(sale: Sale) -> Iterator[Difference]:
    """Each order is that of its hold, and each hold that was paid has its order."""
    for order in sale.orders:
        record = sale.records.get(order.hold)
        if record is None or record.order != order.id:
            other = (record and record.order) or "none"
            yield Difference(f"order {order.id} is for hold {order.hold}, whose order is {other}", TWO_ORDERS)
    state = {order.id: order.state for order in sale.orders}
    for hold, record in sale.records.items():
        want = "refunded" if record.state == "refunded" else "paid"
        if record.order and (found := state.get(record.order, "missing")) != want:
            yield Difference(f"hold {hold} is {record.state}, but order {record.order} is {found}", BY_HAND)


def forgotten(sale: Sale) -> Iterator[Difference]:
    """Redis may forget a sale that is over, and nothing of which is held any more."""
    if sale.state not in OVER:
        yield Difference(f"the sale is {sale.state} in the ledger, but not in Redis", FORGOTTEN)
    for hold, record in sale.records.items():
        if record.state == "held":
            yield Difference(f"hold {hold} is held in the ledger, but the sale is not in Redis", FORGOTTEN)


def unrecorded(sale: Sale, before: Book) -> Iterator[Difference]:
    """What Redis said is in the ledger by now."""
    for hold, record in before.records.items():
        row = sale.records.get(hold)
        if row is None or row.v < record.v:
            yield Difference(f"hold {hold} is {stands(record)} in Redis, {stands(row)} in the ledger", sale.lag)


def lost(sale: Sale, after: Book) -> Iterator[Difference]:
    """What the ledger says is in Redis."""
    for hold, row in sale.records.items():
        record = after.records.get(hold)
        if record is None or record.v < row.v:
            yield Difference(f"hold {hold} is {stands(row)} in the ledger, {stands(record)} in Redis", LOST)


def stands(record: Record | None) -> str:
    return f"{record.state} (version {record.v})" if record else "missing"


def unlike(sale: Sale, *books: Book) -> Iterator[Difference]:
    """At the same version both say the same."""
    for hold, row in sale.records.items():
        same = next((one for one in versions(hold, books) if one.v == row.v), row)
        for name in ALIKE:
            here, there = getattr(same, name), getattr(row, name)
            if here != there:
                yield Difference(f"hold {hold}: {name} is {here!r} in Redis, {there!r} in the ledger", BY_HAND)


def versions(hold: str, books: Iterable[Book]) -> Iterator[Record]:
    yield from (book.records[hold] for book in books if hold in book.records)
