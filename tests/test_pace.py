"""Who is told less because he does not keep up, and when he is told more again."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveroom.pace import Pace
from liveroom.protocol import Profile

ORDER: list[Profile] = ["min", "lite", "full"]
HIGH, LOW = 1001, 1000


def walk(asked: Profile, *waiting: int, patience: int = 3, calm: int = 4) -> list[Profile]:
    """The profile behind each look."""
    pace, profile, seen = Pace(asked), asked, []
    for bytes_ in waiting:
        found = pace.look(profile, bytes_, LOW, patience=patience, calm=calm)
        if found:
            assert found[1] == ("calm" if ORDER.index(found[0]) > ORDER.index(profile) else "slow")
            profile = found[0]
        seen.append(profile)
    return seen


def test_three_high_looks_in_a_row_are_one_step_down():
    assert walk("full", HIGH, HIGH, LOW, HIGH, HIGH) == ["full"] * 5
    assert walk("full", *[HIGH] * 9) == [*["full"] * 2, *["lite"] * 3, *["min"] * 4]


def test_after_a_long_calm_he_is_told_more_up_to_what_he_asked_for():
    assert walk("full", *[HIGH] * 3, *[0] * 9) == [*["full"] * 2, *["lite"] * 4, *["full"] * 6]
    assert walk("lite", *[HIGH] * 3, *[0] * 9)[-1] == "lite"
    assert walk("min", *[HIGH] * 9, *[0] * 99) == ["min"] * 108


def test_calm_is_when_nothing_waits():
    assert walk("full", *[HIGH] * 3, *[0, 0, 0, 1] * 9)[-1] == "lite"


def test_each_fall_doubles_the_calm_before_the_next_rise():
    falls = [[HIGH] * 3 + [0] * 200 for _ in range(7)]
    seen = walk("full", *(one for fall in falls for one in fall))
    assert [seen[n * 203 : (n + 1) * 203].count("lite") for n in range(7)] == [4, 8, 16, 32, 64, 64, 64]


@pytest.mark.parametrize("asked", ORDER)
@given(waiting=st.lists(st.sampled_from([0, 1, LOW, HIGH]), max_size=200))
def test_steps_are_single_and_never_above_what_was_asked(asked: Profile, waiting: list[int]):
    seen = [ORDER.index(one) for one in [asked, *walk(asked, *waiting)]]
    assert all(abs(later - earlier) <= 1 for earlier, later in pairwise(seen))
    assert max(seen) == seen[0]
