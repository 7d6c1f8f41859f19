"""Ids sort by time and are never given twice."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveroom.ids import Ids, base36

NOW = 1_763_640_000_123


@pytest.mark.parametrize(
    ("number", "width", "written"),
    [(0, 0, ""), (0, 3, "000"), (35, 1, "z"), (36, 1, "10"), (36, 4, "0010"), (NOW, 9, "0mi7dpxff")],
)
def test_numbers_are_written_in_digits_and_small_letters(number: int, width: int, written: str):
    assert base36(number, width) == written


@given(st.integers(0, 2**80), st.integers(1, 20))
def test_what_is_written_can_be_read(number: int, width: int):
    written = base36(number, width)
    assert int(written, 36) == number
    assert len(written) >= width


@given(st.integers(0, 36**9 - 1), st.integers(0, 36**9 - 1))
def test_numbers_of_one_width_sort_as_they_are_written(one: int, other: int):
    assert (one < other) == (base36(one, 9) < base36(other, 9))


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=50))
def test_later_ids_sort_behind_earlier_ones_also_within_a_millisecond(pauses: list[float]):
    ids, now, given_ = Ids("n1"), float(NOW), []
    for pause in pauses:
        now += pause
        given_.append(ids.new(now))
    assert all(one < other for one, other in pairwise(given_))


def test_two_nodes_never_give_the_same_id():
    assert Ids("n1").new(NOW) != Ids("n2").new(NOW)


def test_an_id_is_time_then_counter_then_node():
    assert Ids("abc").new(NOW + 0.9) == "0mi7dpxff" + "0001" + "abc"
    assert re.fullmatch("[0-9a-z]{8,32}", Ids("abcdef").new(NOW))


def test_when_the_counter_is_used_up_it_starts_anew():
    ids = Ids("n1")
    ids.counter = 36**4 - 2
    assert [ids.new(NOW)[9:13], ids.new(NOW)[9:13], ids.new(NOW)[9:13]] == ["zzzz", "0000", "0001"]
