"""A good run is good; each thing that may go wrong spoils the one check that is there for it, and so does silence."""

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from loadtest.crowd.notes import Count, Entry, Hold, Notes, Probe, Sale, Seat
from loadtest.crowd.verdict import Check, Ledger, at_once, line, verdict

ACTS = ("quiz", "sale")
RECORDED: dict[str, list[dict[str, Any]]] = {
    "entries": [
        {"round": "r", "viewer": "ann", "kind": "quiz", "tag": "x", "word": "2"},
        {"round": "l", "viewer": "bob", "kind": "lottery", "tag": "t-bob", "word": ""},
        {"round": "c", "viewer": "bob", "kind": "count", "tag": "y", "word": ""},
    ],
    "holds": [
        {"hold": "h1", "round": "s", "viewer": "ann", "qty": 2},
        {"hold": "h2", "round": "s", "viewer": "bob", "qty": 1},
        {"hold": "h3", "round": "s", "viewer": "bob", "qty": 1},
    ],
    "orders": [
        {"order_id": "o1", "round": "s", "viewer": "ann", "qty": 2, "rank": 1, "state": "paid"},
        {"order_id": "o3", "round": "s", "viewer": "bob", "qty": 1, "rank": 2, "state": "paid"},
    ],
}


def a_good_run() -> Notes:
    """Ann buys two of three; Bob lets one lapse, gets one again and buys it. One comment of three is not shown."""
    seats = [Seat(name, "viewer", "e", 0, 2, 2, from_begin=True, to_end=True) for name in ("ann", "bob", "eve")]
    return Notes(
        users=3,
        epochs={"e": {1: "one", 2: "two"}},
        seats=seats,
        probes=[Probe("eve", ["c2", "c1"], 1)],
        said={"ann": ["c1", "c3"], "bob": ["c2"]},
        entries={"r:ann": Entry("r", "ann", "2"), "l:bob": Entry("l", "bob", "t-bob")},
        sales={"s": Sale(2, 2, {5: 1})},
        holds={
            "h1": Hold("s", "ann", 2, since=1000, until=9000, order="o1", rank=1, paid=2000),
            "h2": Hold("s", "bob", 1, since=1000, until=4000, released=4010, why="expired"),
            "h3": Hold("s", "bob", 1, since=4005, until=8000, order="o3", rank=2, paid=5000),
        },
        counts={"s:1": Count("s", 0, 2, 0), "s:2": Count("s", 1, 2, 0)},
        rounds=Counter(quiz=1, sale=1),
        again=Counter({"sale.claim": 1}),
    )


def judged(notes: Notes, ledger: Ledger | None = None) -> list[Check]:
    return verdict(notes, ledger or Ledger(**RECORDED, reconciled=(0, "")), ACTS)


def bad(checks: list[Check]) -> dict[str, list[str]]:
    return {check.name: list(check.wrong) for check in checks if not check.good}


def test_a_good_run_is_good() -> None:
    assert bad(judged(a_good_run())) == {}


def test_nothing_seen_is_nothing_proved() -> None:
    checks = judged(Notes(), Ledger())
    assert [line(check) for check in checks if check.good] == []


def test_what_the_show_did_not_have_is_not_asked_for() -> None:
    notes = a_good_run()
    notes.holds, notes.sales, notes.counts = {}, {}, {}
    assert bad(verdict(notes, Ledger(entries=RECORDED["entries"]), ("quiz",))) == {}
    assert "no unit is held twice" in bad(judged(notes))


def test_without_a_ledger_nobody_looks_there() -> None:
    assert not any("recorded" in check.name for check in verdict(a_good_run(), None, ACTS))


Spoil = Callable[[Notes], Any]


@pytest.mark.parametrize(
    ("check", "spoil"),
    [
        ("nothing failed", lambda notes: notes.faults.update({"chat.say: INTERNAL": 1})),
        ("everybody heard the end", lambda notes: setattr(notes.seats[1], "to_end", False)),
        ("everybody heard the end", lambda notes: setattr(notes, "users", 4)),
        ("no event is lost or comes twice", lambda notes: notes.seats[0].hears(4)),
        ("no event is lost or comes twice", lambda notes: notes.seats[0].hears(2)),
        ("one seq is one event for all", lambda notes: notes.event("e", 2, "another")),
        ("rounds end", lambda notes: notes.rounds.clear()),
        ("a resend gets the same reply", lambda notes: notes.unequal.append("sale.claim: two holds")),
        ("each comment is shown or counted", lambda notes: notes.accepted("bob", "c4")),
        ("each comment is shown or counted", lambda notes: setattr(notes.probes[0], "sampled", 2)),
        ("each comment is shown or counted", lambda notes: notes.probes[0].seen.append("c9")),
        ("each comment is shown or counted", lambda notes: setattr(notes.seats[2], "from_begin", False)),
        ("no comment comes twice", lambda notes: notes.probes[0].seen.append("c1")),
        ("one author's comments keep order", lambda notes: setattr(notes.probes[0], "seen", ["c3", "c1"])),
        ("no unit is held twice", lambda notes: setattr(notes.holds["h3"], "since", 3500)),
        ("no unit is held twice", lambda notes: notes.sales["s"].restocked.clear()),
        ("no more is paid than there is", lambda notes: setattr(notes.holds["h2"], "order", "o2")),
        ("nobody has more than the limit", lambda notes: setattr(notes.holds["h3"], "viewer", "ann")),
        ("ranks and orders are told once", lambda notes: setattr(notes.holds["h3"], "rank", 1)),
        ("what is paid stays sold", lambda notes: notes.released("h1", "expired", 3000)),
        ("left + held + sold = stock", lambda notes: notes.counts.update(x=Count("s", 1, 3, 0))),
        ("left + held + sold = stock", lambda notes: notes.counts.update(x=Count("s", -1, 3, 0))),
        ("entries and answers are recorded", lambda notes: notes.entered(Entry("r", "bob", "0"))),
        ("entries and answers are recorded", lambda notes: notes.entries.update(x=Entry("r", "ann", "1"))),
        ("a resend gets the same reply", lambda notes: notes.entered(Entry("l", "bob", "another tag"))),
        ("holds are recorded", lambda notes: notes.held("h4", "s", "eve", 1, 8500, 8600)),
        ("orders are recorded", lambda notes: setattr(notes.holds["h3"], "order", "o4")),
    ],
)
def test_what_goes_wrong_is_noticed(check: str, spoil: Spoil) -> None:
    notes = a_good_run()
    spoil(notes)
    assert check in bad(judged(notes))


def test_more_orders_than_stock_in_the_ledger_are_noticed() -> None:
    rows = deepcopy(RECORDED)
    rows["orders"].append({"order_id": "o5", "round": "s", "viewer": "x", "qty": 1, "rank": 3, "state": "paid"})
    found = bad(judged(a_good_run(), Ledger(**rows, reconciled=(1, "s: 4 sold of 3"))))
    assert found == {"no more orders than stock": ["s: 4 of 3"], "liveroom reconcile": ["exit 1: s: 4 sold of 3"]}


def test_who_paid_late_has_his_unit_from_then_on() -> None:
    """In between it was somebody else's."""
    late = Hold("s", "ann", 1, since=0, until=1000, order="o1", rank=1, paid=3000)
    between = Hold("s", "bob", 1, since=1200, until=2500)
    assert at_once([late, between]) == 1


def test_a_line_shows_the_first_mistakes() -> None:
    assert line(Check("order", 3, "authors", [])) == "ok      order                             3 authors"
    shown = line(Check("order", 3, "authors", [f"m{n}" for n in range(7)]))
    assert shown.startswith("FAILED  order")
    assert shown.endswith("3 authors: 7 wrong: m0; m1; m2; m3; m4; …")
