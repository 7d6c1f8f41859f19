"""The ledger is looked at when all that was acknowledged has arrived there, or has had its time."""

from itertools import count

from loadtest.crowd.ledger import DRAIN_SECONDS, exported, last_words, read_when_drained, reconcile
from loadtest.crowd.notes import Entry, Notes
from loadtest.crowd.verdict import Ledger
from tests.house import House, make_room

NOTES = Notes(entries={"r:ann": Entry("r", "ann", "1")})
FULL = Ledger(entries=[{"round": "r", "viewer": "ann", "kind": "quiz", "tag": "x", "word": "1"}])


def test_it_is_awaited_until_everything_acknowledged_is_there() -> None:
    readings = iter([Ledger(), Ledger(), FULL])
    pauses: list[float] = []
    assert read_when_drained(NOTES, False, lambda: next(readings), lambda: 0.0, pauses.append) is FULL
    assert len(pauses) == 2


def test_what_does_not_come_in_time_is_missing() -> None:
    clock = count(0.0, 1.0)
    assert read_when_drained(NOTES, False, Ledger, lambda: next(clock), lambda _: None) == Ledger()
    assert DRAIN_SECONDS < next(clock) < DRAIN_SECONDS + 5


def test_a_room_is_read_with_the_commands_of_an_operator(house: House) -> None:
    room = make_room(house.node())
    assert exported(room, "entries", house.data) == []
    assert reconcile(room, house.data)[0] == 0
    assert reconcile("nowhere", house.data)[0] != 0


def test_last_words() -> None:
    assert last_words("one\ntwo\n", "") == "two"
    assert last_words("", " ") == "it said nothing"
