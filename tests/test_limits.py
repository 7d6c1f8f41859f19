"""Token buckets: nobody does more than his rate allows, and nobody waits longer than he is told."""

from math import ceil, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gameplay.play import Code
from liveroom.limits import LIKES, OTHER, STAFF, Bucket, Rate, full, too_fast

RATES = st.builds(Rate, st.floats(0.1, 100), st.integers(1, 100))
PAUSES = st.lists(st.floats(0, 3), max_size=50)


@pytest.mark.parametrize(("rate", "per_second", "burst"), [(LIKES, 20, 60), (OTHER, 10, 30), (STAFF, 20, 60)])
def test_the_house_rates(rate: Rate, per_second: float, burst: float):
    assert rate == Rate(per_second, burst)


@pytest.mark.parametrize(("homes", "per_second"), [(0, 10), (1, 10), (2, 5), (4, 2.5)])
def test_nodes_share_the_rate_but_not_the_burst(homes: int, per_second: float):
    assert OTHER.shared(homes) == Rate(per_second, 30)


def test_a_burst_is_there_at_once_and_then_one_waits():
    rate, bucket = Rate(1, 3), full(Rate(1, 3), 100)
    assert [bucket.take(rate, 100) for _ in range(4)] == [0, 0, 0, 1]
    assert bucket.take(rate, 100.75) == 0.25
    assert bucket.take(rate, 101) == 0
    assert bucket.take(rate, 101) == 1


def test_a_long_rest_fills_no_more_than_the_burst():
    rate, bucket = Rate(1, 3), Bucket(0, 0)
    assert [bucket.take(rate, 1e6) for _ in range(4)] == [0, 0, 0, 1]


def test_asking_how_long_takes_nothing():
    rate, bucket = Rate(2, 4), full(Rate(2, 4), 0)
    assert [bucket.wait(rate, 0, 4) for _ in range(3)] == [0, 0, 0]
    bucket.spend(4)
    assert [bucket.wait(rate, 0, 4), bucket.wait(rate, 0)] == [2, 0.5]


def test_a_refused_taking_takes_nothing():
    rate, bucket = Rate(1, 3), full(Rate(1, 3), 0)
    assert bucket.take(rate, 0, n=4) == 1
    assert bucket.take(rate, 0, n=3) == 0


def test_of_many_as_many_count_as_there_are_tokens():
    bucket = full(LIKES, 0)
    assert [bucket.most(LIKES, 0, 50), bucket.most(LIKES, 0, 50), bucket.most(LIKES, 0, 50)] == [50, 10, 0]
    assert bucket.most(LIKES, 0.125, 50) == 2
    assert bucket.most(LIKES, 1.125, 50) == 20  # the half token was kept


def test_an_overdrawn_bucket_counts_nothing_until_it_is_paid_back():
    bucket = Bucket(-1.5, 0)
    assert [bucket.most(Rate(1, 3), now, 5) for now in (0, 2, 3)] == [0, 0, 1]


@given(RATES, PAUSES)
def test_nobody_takes_more_than_burst_and_rate_allow(rate: Rate, pauses: list[float]):
    bucket, now, taken = full(rate, 0), 0.0, 0
    for pause in pauses:
        now += pause
        taken += bucket.take(rate, now) == 0
        assert taken <= rate.burst + rate.per_second * now + 1e-6


@given(RATES, PAUSES, st.integers(1, 50))
def test_no_more_count_than_burst_and_rate_allow(rate: Rate, pauses: list[float], n: int):
    bucket, now, counted = full(rate, 0), 0.0, 0
    for pause in pauses:
        now += pause
        counted += bucket.most(rate, now, n)
        assert counted <= rate.burst + rate.per_second * now + 1e-6


@given(RATES, PAUSES)
def test_whoever_waits_as_long_as_he_is_told_is_let_through(rate: Rate, pauses: list[float]):
    bucket, now = full(rate, 0), 0.0
    for pause in pauses:
        now += pause
        if wait := bucket.take(rate, now):
            told = too_fast(wait).retry_after_ms
            assert told is not None
            now += (told + 1) / 1000  # the way there and back takes a while
            assert bucket.take(rate, now) == 0


@pytest.mark.parametrize("wait", [1e-9, 0.001, 0.0501, 1, 59.9999])
def test_too_fast_says_for_how_long_in_whole_milliseconds(wait: float):
    refusal = too_fast(wait)
    assert (refusal.code, refusal.retry_after_ms) == (Code.RATE_LIMITED, ceil(wait * 1000))


@pytest.mark.parametrize("wait", [3600.5, 1e17, inf])
def test_nobody_is_told_to_wait_longer_than_an_hour(wait: float):
    assert too_fast(wait).retry_after_ms == 3_600_000
