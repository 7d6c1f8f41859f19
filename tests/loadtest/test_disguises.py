"""What evaders write is what docs/moderation.md says is caught; what the others write is not."""

import random

import pytest

from gameplay.wordlist import blocked, read_list
from loadtest.crowd.disguises import LISTED, OF_THE_ROOM, Attempt, attempts, one_after_the_other
from loadtest.crowd.lines import LINES

LIST = read_list([*LISTED, *OF_THE_ROOM], "listed")
ATTEMPTS = attempts([*LISTED, *OF_THE_ROOM])
MARKS = [f"{kind}-{n * 7919:x}{n:04x}-{n}" for kind in "ce" for n in (1, 42, 4711, 65535)]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda one: f"{one.how}: {one.text}")
def test_each_disguise_is_seen_through(attempt: Attempt) -> None:
    assert [mark for mark in MARKS if not blocked(f"{attempt.text} #{mark}", [LIST])] == []


def test_the_words_are_as_a_server_takes_them() -> None:
    assert not LIST.broken


def test_a_mark_or_an_ordinary_line_holds_no_listed_word() -> None:
    for _ in range(5000):
        mark = (
            f"{random.choice('ces')}-{random.randrange(16**6):x}{random.randrange(16**4):04x}-{random.randrange(9999)}"
        )
        assert not blocked(f"{random.choice(LINES)} #{mark}", [LIST])


def test_all_are_tried_before_one_is_tried_again() -> None:
    turn = one_after_the_other(LISTED)
    wanted = attempts(LISTED)
    assert sorted(next(turn) for _ in wanted) == sorted(wanted)
