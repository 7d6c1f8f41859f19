"""Room time: the offset of the quickest of the last probes, and never back unless the server's own clock was set."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveroom.store.clock import PROBES, Clock


def offset_by(told: Callable[[], float]) -> float:
    """Between which offsets to the monotonic clock here this time was told: their middle."""
    before = time.monotonic() * 1000
    now = told()
    return now - (before + time.monotonic() * 1000) / 2


def noted(*probes: tuple[float, float]) -> Clock:
    clock = Clock()
    for round_trip, offset in probes:
        clock.note(round_trip, offset)
    return clock


def test_until_redis_was_asked_it_is_the_time_here():
    clock = Clock()
    assert clock.age() == float("inf")
    assert abs(clock.now_ms() - time.time() * 1000) < 1000


def test_a_probe_sets_the_time():
    clock = noted((1, 5_000_000))
    assert offset_by(clock.now_ms) == pytest.approx(5_000_000, abs=1000)
    assert 0 <= clock.age() < 5
    assert isinstance(clock.now(), int)


def test_the_quickest_probe_is_believed():
    assert noted((9, 1009), (2, 1002), (30, 1030)).offset_ms == 1002


def test_of_the_last_eight():
    old, slow = (1, 1001), (5, 1005)
    assert noted(old, *[slow] * (PROBES - 1)).offset_ms == 1001
    assert noted(old, *[slow] * PROBES).offset_ms == 1005
    assert PROBES == 8


@given(st.lists(st.tuples(st.floats(0, 500), st.floats(0, 400)), min_size=1, max_size=30))
def test_small_corrections_never_set_it_back(probes: list[tuple[float, float]]):
    clock, before = Clock(), 0.0
    for round_trip, offset in probes:
        clock.note(round_trip, 1e13 + offset)
        now = clock.now_ms()
        assert now >= before
        before = now


@pytest.mark.parametrize("jump", [-3_600_000, 3_600_000])
def test_it_follows_a_server_whose_clock_was_set(jump: int):
    clock = noted((1, 1e13), (1, 1e13))
    clock.now_ms()
    clock.note(9, 1e13 + jump)
    assert offset_by(clock.now_ms) == pytest.approx(1e13 + jump, abs=1000)


def test_a_probe_slower_than_its_error_sets_nothing():
    assert noted((1, 1e13), (4000, 1e13 + 1500)).offset_ms == 1e13
