from loadtest.crowd.notes import Entry, Hold, Notes, Probe, Sale, Seat, merged, pack, unpack


def test_a_seat_notes_each_gap() -> None:
    seat = Seat("ann", "lurker", "e", 4, 4)
    for seq in (5, 6, 8, 8, 9):
        seat.hears(seq)
    assert seat.gaps == [(7, 8), (9, 8)]
    assert (seat.last, seat.events) == (9, 5)


def test_a_comment_that_is_answered_twice_is_one() -> None:
    notes = Notes()
    for comment in ("c1", "c2", "c1"):
        notes.accepted("ann", comment)
    assert notes.said == {"ann": ["c1", "c2"]}


def test_an_order_of_nobodys_hold_and_a_second_order_are_faults() -> None:
    notes = Notes(holds={"h": Hold("s", "ann", 1, 0, 100)})
    for hold, order in (("h", "o1"), ("h", "o1"), ("h", "o2"), ("else", "o3")):
        notes.paid(hold, order, 1, 5)
    assert notes.faults == {"a hold with two orders": 1, "an order of an unknown hold": 1}
    assert notes.holds["h"].order == "o1"


def test_one_version_of_the_stock_is_one_count() -> None:
    notes = Notes()
    for left in (4, 4, 5):
        notes.counted({"id": "s", "ver": 7, "left": left, "held": 1, "sold": 0})
    assert notes.torn == ["s:7"]


def test_notes_of_two_processes_become_one() -> None:
    first, second = (
        Notes(
            users=2,
            epochs={"e": {1: "same", 2: name}},
            seats=[Seat(name, "lurker", "e", 0, 2)],
            probes=[Probe(name)],
            said={name: [f"c-{name}"]},
            unshown=1,
            entries={f"r:{name}": Entry("r", name, "1")},
            sales={"s": Sale(5, 1, restock)},
            holds={f"h-{name}": Hold("s", name, 1, 0, 1)},
        )
        for name, restock in (("ann", {7: 2}), ("bob", {7: 2, 9: 1}))
    )
    for notes in (first, second):
        notes.rounds["quiz"] += 1
        notes.refusals["chat.say RATE_LIMITED"] += 2
    whole = merged(unpack(pack(notes)) for notes in (first, second))
    assert whole.torn == ["e:2"]
    assert (whole.users, whole.unshown, whole.comments) == (2, 2, {"c-ann", "c-bob"})
    assert [seat.viewer for seat in whole.seats] == [probe.viewer for probe in whole.probes] == ["ann", "bob"]
    assert (len(whole.entries), sorted(whole.holds)) == (2, ["h-ann", "h-bob"])
    assert whole.sales["s"].units == 8
    assert (whole.rounds["quiz"], whole.refusals["chat.say RATE_LIMITED"]) == (2, 4)
