"""Whether what was noted is what the server promises: pure functions from notes to one line for each check.

A check that saw nothing is not good: a run without a sale says nothing about overselling.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from loadtest.crowd.conduct import SLACK_MS
from loadtest.crowd.notes import Hold, Notes, Probe, Sale

SHOWN, LONGEST = 5, 240  # mistakes that are written out, and characters of each
Row = Mapping[str, Any]


class Check(NamedTuple):
    """`seen`: how many things were looked at."""

    name: str
    seen: int
    what: str  # they are
    wrong: Sequence[str]

    @property
    def good(self) -> bool:
        return self.seen > 0 and not self.wrong


class Ledger(NamedTuple):
    """What is recorded of the room, as `liveroom export` writes it out; and what `liveroom reconcile` says."""

    entries: Sequence[Row] = ()
    holds: Sequence[Row] = ()
    orders: Sequence[Row] = ()
    reconciled: tuple[int, str] | None = None  # exit code and output; None: there is no such command


def line(check: Check) -> str:
    said = f"{'ok' if check.good else 'FAILED':<7} {check.name:<33} {check.seen} {check.what}"
    shown = "; ".join(one[:LONGEST] for one in check.wrong[:SHOWN]) + ("; …" if len(check.wrong) > SHOWN else "")
    return f"{said}: {len(check.wrong)} wrong: {shown}" if check.wrong else said


def verdict(notes: Notes, ledger: Ledger | None, acts: Iterable[str]) -> list[Check]:
    """`acts` of the show say what must have been seen; without a ledger nobody looks there."""
    checks = [*crowd(notes), *talk(notes)]
    if "sale" in acts:
        checks += sale(notes)
    if ledger is not None:
        checks += recorded(notes, ledger, sales="sale" in acts)
    return checks


# --- everybody -------------------------------------------------------------------------------------


def crowd(notes: Notes) -> Iterator[Check]:
    here = {seat.viewer for seat in notes.seats if seat.to_end} | notes.conduct.shown_out.keys()
    faults = [f"{count} × {what}" for what, count in sorted(notes.faults.items())]
    missing = notes.users - len(here)
    yield Check("nothing failed", len(notes.seats), "users came", faults)
    yield Check(
        "everybody heard the end",
        notes.users,
        "users",
        [f"{missing} did not, or never came"] if missing else [],
    )
    yield Check("no event is lost or comes twice", sum(s.events for s in notes.seats), "events heard", lost(notes))
    yield Check("one seq is one event for all", sum(map(len, notes.epochs.values())), "events", notes.torn)
    yield Check("rounds end", notes.rounds.total(), "rounds and notices", [])
    yield Check("a resend gets the same reply", notes.again.total(), "resends", notes.unequal)


def lost(notes: Notes) -> list[str]:
    """Gaps on the way to the end, which is an event too and which everybody must have heard."""
    return [f"{seat.viewer}: {got} where {due} was due" for seat in notes.seats for due, got in seat.gaps]


# --- comments --------------------------------------------------------------------------------------


def talk(notes: Notes) -> Iterator[Check]:
    accepted = notes.comments
    whole = {seat.viewer for seat in notes.seats if seat.from_begin and seat.to_end}
    probes = [probe for probe in notes.probes if probe.viewer in whole]
    wrong = [why for probe in probes if (why := amiss(notes, accepted, probe))]
    seen = len(accepted) if probes else 0
    yield Check("each comment is shown or counted", seen, f"comments, {len(probes)} probes", wrong)
    twice = [f"{len(probe.seen) - len(set(probe.seen))} twice" for probe in probes]
    yield Check(
        "no comment comes twice", sum(len(p.seen) for p in probes), "shown", [one for one in twice if one != "0 twice"]
    )
    mixed = [f"{probe.viewer} saw {who}'s out of order" for probe in probes for who in out_of_order(notes, probe.seen)]
    yield Check("one author's comments keep order", len(notes.said) if probes else 0, "authors", mixed)


def amiss(notes: Notes, accepted: set[str], probe: Probe) -> str:
    """Delivered + sampled = accepted.

    What was deleted on its way may be in neither. Who was banned may not have heard of the comments he said last.
    """
    seen = set(probe.seen)
    surplus = len(accepted & seen) + probe.sampled - len(accepted)
    if surplus < 0 and -surplus > len((accepted - seen) & notes.deleted):
        return f"{-surplus} of {len(accepted)} missing"
    banned = notes.conduct.unanswered
    unknown = Counter(notes.conduct.shown[one].viewer if one in notes.conduct.shown else "" for one in seen - accepted)
    if unknown - banned:
        return f"{(unknown - banned).total()} that nobody was told are accepted"
    return f"{surplus} more than were accepted" if surplus > banned.total() else ""


def out_of_order(notes: Notes, seen: Sequence[str]) -> Iterator[str]:
    place = {comment: n for n, comment in enumerate(seen)}
    for author, ids in notes.said.items():
        places = [place[one] for one in ids if one in place]
        if places != sorted(places):
            yield author


# --- the sale --------------------------------------------------------------------------------------


def sale(notes: Notes) -> Iterator[Check]:
    holds = notes.holds.values()
    by_sale = grouped(holds, lambda hold: hold.sale)
    sold = Counter[str]()
    for hold in holds:
        sold[hold.sale] += hold.qty if hold.order else 0
    yield Check(
        "no unit is held twice",
        len(holds),
        f"holds of {len(notes.sales)} sales",
        [
            f"{sale_id}: {most} of {units} at once"
            for sale_id, units in stocks(notes.sales)
            if (most := at_once(by_sale[sale_id])) > units
        ],
    )
    yield Check(
        "no more is paid than there is",
        sold.total(),
        "units paid",
        [f"{sale_id}: {sold[sale_id]} of {units}" for sale_id, units in stocks(notes.sales) if sold[sale_id] > units],
    )
    yield Check("nobody has more than the limit", len({hold.viewer for hold in holds}), "buyers", over_limit(notes))
    yield Check("ranks and orders are told once", sum(bool(hold.order) for hold in holds), "orders", shared(holds))
    yield Check("what is paid stays sold", sum(bool(hold.order) for hold in holds), "orders", taken_back(notes))
    yield Check("left + held + sold = stock", len(notes.counts), "counts heard", off_by(notes))


def stocks(sales: Mapping[str, Sale]) -> Iterator[tuple[str, int]]:
    return ((sale_id, known.units) for sale_id, known in sales.items())


def grouped(holds: Iterable[Hold], key: Callable[[Hold], Any]) -> dict[Any, list[Hold]]:
    groups: dict[Any, list[Hold]] = defaultdict(list)
    for hold in holds:
        groups[key(hold)].append(hold)
    return groups


def span(hold: Hold) -> tuple[float, float]:
    """When it was surely his: from the reply to the first sign of its end, for ever if it is paid.

    Who pays late gets another unit, if there is one: his from then on.
    """
    if hold.order:
        return hold.since if hold.paid <= hold.until else hold.paid, float("inf")
    ends = [hold.until - SLACK_MS, *(end for end in (hold.let_go, hold.released - SLACK_MS) if end > 0)]
    return hold.since, min(ends)


def at_once(holds: Iterable[Hold]) -> int:
    """The most units that were surely held or sold at one moment."""
    steps = [(at, sign * hold.qty) for hold in holds for at, sign in zip(span(hold), (1, -1), strict=True)]
    most = now = 0
    for _, change in sorted(steps):  # at the same moment the one that ends comes first
        now += change
        most = max(most, now)
    return most


def over_limit(notes: Notes) -> list[str]:
    groups = grouped(notes.holds.values(), lambda hold: (hold.sale, hold.viewer))
    return [
        f"{viewer}: {most} of {known.per_viewer}"
        for (sale_id, viewer), holds in groups.items()
        if (known := notes.sales.get(sale_id)) and (most := at_once(holds)) > known.per_viewer
    ]


def shared(holds: Iterable[Hold]) -> list[str]:
    """Orders and ranks that two holds have."""
    paid = [hold for hold in holds if hold.order]
    orders = Counter(hold.order for hold in paid)
    ranks = Counter((hold.sale, hold.rank) for hold in paid)
    told = [f"order {order} {count} times" for order, count in orders.items() if count > 1]
    return told + [f"rank {rank} of {sale_id} {count} times" for (sale_id, rank), count in ranks.items() if count > 1]


def taken_back(notes: Notes) -> list[str]:
    return [f"{name}: {hold.why}" for name, hold in notes.holds.items() if hold.paid and hold.released > hold.paid]


def off_by(notes: Notes) -> list[str]:
    """A count is of the stock before or behind a restock, never of another."""
    return [
        f"{count.sale}: {count.left} + {count.held} + {count.sold}"
        for count in notes.counts.values()
        if (known := notes.sales.get(count.sale))
        and (
            min(count.left, count.held, count.sold) < 0
            or count.left + count.held + count.sold not in (known.stock, known.units)
        )
    ]


# --- the ledger ------------------------------------------------------------------------------------


def recorded(notes: Notes, ledger: Ledger, sales: bool) -> Iterator[Check]:
    yield Check("entries and answers are recorded", len(notes.entries), "acknowledged", unrecorded(notes, ledger))
    if not sales:
        return
    paid = {hold.order: hold for hold in notes.holds.values() if hold.order}
    yield Check("holds are recorded", len(notes.holds), "acknowledged", unrecorded_holds(notes, ledger))
    yield Check("orders are recorded", len(paid), "acknowledged", unrecorded_orders(paid, ledger))
    yield Check("no more orders than stock", len(ledger.orders), "orders recorded", oversold(notes, ledger))
    if ledger.reconciled is not None:
        code, said = ledger.reconciled
        yield Check("liveroom reconcile", 1, "room", [f"exit {code}: {said}"] if code else [])


def unrecorded(notes: Notes, ledger: Ledger) -> list[str]:
    """A lottery's entry is known by its tag, a quiz's by its choice."""
    kept = [row for row in ledger.entries if row["kind"] != "count"]
    rows = {(row["round"], row["viewer"]): {row["tag"], row["word"]} for row in kept}
    return [
        f"{e.viewer} in {e.round}" for e in notes.entries.values() if e.word not in rows.get((e.round, e.viewer), ())
    ]


def unrecorded_holds(notes: Notes, ledger: Ledger) -> list[str]:
    rows = {row["hold"]: (row["round"], row["viewer"], row["qty"]) for row in ledger.holds}
    return [name for name, hold in notes.holds.items() if rows.get(name) != (hold.sale, hold.viewer, hold.qty)]


def unrecorded_orders(paid: Mapping[str, Hold], ledger: Ledger) -> list[str]:
    rows = {row["order_id"]: (row["round"], row["viewer"], row["qty"], row["rank"]) for row in ledger.orders}
    return [name for name, h in paid.items() if rows.get(name) != (h.sale, h.viewer, h.qty, h.rank)]


def oversold(notes: Notes, ledger: Ledger) -> list[str]:
    sold = Counter[str]()
    for row in ledger.orders:
        sold[row["round"]] += row["qty"] if row["state"] == "paid" else 0
    return [f"{sale_id}: {sold[sale_id]} of {units}" for sale_id, units in stocks(notes.sales) if sold[sale_id] > units]
