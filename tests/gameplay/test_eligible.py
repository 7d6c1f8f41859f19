"""Who may take part: each condition by itself, all of some, any of others, and what is missing where it is not met."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import ValidationError

from gameplay.eligible import Condition, Eligible, Facts, malformed, missing

ENOUGH = [
    (Condition(level=3), Facts(level=3), Facts(level=2)),
    (Condition(level=0), Facts(), None),
    (Condition(watched_seconds=300), Facts(watched_seconds=300), Facts(watched_seconds=299.9)),
    (Condition(liked=10), Facts(liked=10), Facts(liked=9)),
    (Condition(commented=1), Facts(commented=1), Facts()),
    (Condition(answered_right="r_1"), Facts(answered_right=frozenset(["r_1"])), Facts(answered_right=frozenset(["r"]))),
    (Condition(bought=1), Facts(bought=2), Facts()),
    (Condition(not_won_days=7), Facts(), Facts(won_lately=True)),
    (Condition(one_per_device=True), Facts(device="d1"), Facts()),
]  # fmt: skip

LIKED, LEVEL, BOUGHT = Condition(liked=10), Condition(level=3), Condition(bought=1)
LUCKLESS = Condition(not_won_days=7)

conditions = st.one_of(
    st.builds(Condition, level=st.integers(0, 5)),
    st.builds(Condition, liked=st.integers(1, 5)),
    st.builds(Condition, bought=st.integers(1, 5)),
)
several = st.lists(conditions, max_size=4).map(tuple)
facts = st.builds(Facts, level=st.integers(0, 5), liked=st.integers(0, 5), bought=st.integers(0, 5))


@pytest.mark.parametrize(("condition", "enough", "less"), ENOUGH)
def test_just_enough_is_enough_and_less_is_not(condition: Condition, enough: Facts, less: Facts | None):
    wanted = dict(condition.asked)
    assert missing(Eligible(all_of=(condition,)), enough) == []
    assert missing(Eligible(any_of=(condition,)), enough) == []
    if less is not None:
        assert missing(Eligible(all_of=(condition,)), less) == [wanted]
        assert missing(Eligible(any_of=(condition,)), less) == [wanted]


def test_every_condition_there_is_has_been_tried():
    assert {name for condition, _, _ in ENOUGH for name, _ in condition.asked} == set(Condition.__struct_fields__)


def test_without_conditions_everybody_may():
    assert missing(None, Facts()) == missing(Eligible(), Facts()) == []


def test_of_all_conditions_those_are_told_that_are_not_met():
    assert missing(Eligible(all_of=(LIKED, LEVEL)), Facts(liked=10)) == [{"level": 3}]


def test_one_of_any_is_enough_and_if_none_is_met_each_is_told():
    either = Eligible(any_of=(LIKED, LEVEL))
    assert missing(either, Facts(level=3)) == []
    assert missing(either, Facts()) == [{"liked": 10}, {"level": 3}]


def test_both_lists_count():
    both = Eligible(all_of=(BOUGHT,), any_of=(LIKED, LEVEL))
    assert missing(both, Facts(bought=1, level=3)) == []
    assert missing(both, Facts(level=3)) == [{"bought": 1}]
    assert missing(both, Facts(bought=1)) == [{"liked": 10}, {"level": 3}]
    assert missing(both, Facts()) == [{"bought": 1}, {"liked": 10}, {"level": 3}]


@given(several, several, facts)
def test_a_viewer_may_exactly_if_he_meets_all_of_these_and_any_of_those(
    all_of: tuple[Condition, ...], any_of: tuple[Condition, ...], has: Facts
):
    def meets(condition: Condition) -> bool:
        return all(getattr(has, name) >= wanted for name, wanted in condition.asked)

    may = all(map(meets, all_of)) and (not any_of or any(map(meets, any_of)))
    assert (missing(Eligible(all_of, any_of), has) == []) is may


def test_what_a_round_asks_for_can_be_looked_up_by_name():
    asks = Eligible(all_of=(Condition(answered_right="r_1"), LEVEL), any_of=(Condition(answered_right="r_2"),))
    assert asks.asks("answered_right") == ["r_1", "r_2"]
    assert asks.asks("level") == [3]
    assert asks.asks("bought") == []


@pytest.mark.parametrize(
    "eligible",
    [
        Eligible(),
        Eligible(all_of=(LEVEL, LIKED), any_of=(BOUGHT,)),
        Eligible(all_of=(Condition(one_per_device=True), LUCKLESS), any_of=(LEVEL, LUCKLESS)),
    ],
)
def test_conditions_of_one_key_each_make_sense(eligible: Eligible):
    assert malformed(eligible) == ""


@pytest.mark.parametrize(
    ("eligible", "why"),
    [
        (Eligible(all_of=(Condition(),)), "one key"),
        (Eligible(any_of=(Condition(),)), "one key"),
        (Eligible(all_of=(Condition(level=1, liked=1),)), "one key"),
        (Eligible(all_of=(LUCKLESS,), any_of=(Condition(not_won_days=8),)), "not_won_days"),
        (Eligible(all_of=(Condition(one_per_device=False),)), "true or left out"),
        (Eligible(any_of=(Condition(one_per_device=False),)), "true or left out"),
        (Eligible(any_of=(LEVEL, Condition(one_per_device=True))), "belongs in all_of"),
    ],
)
def test_others_do_not(eligible: Eligible, why: str):
    assert why in malformed(eligible)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("level", 0, 10**6),
        ("watched_seconds", 1, 10**6),
        ("liked", 1, 10**6),
        ("commented", 1, 10**6),
        ("bought", 1, 10**6),
        ("not_won_days", 1, 3650),
    ],
)
def test_a_host_asks_for_whole_numbers_within_reason(name: str, least: int, most: int):
    for fine in (least, most):
        assert msgspec.convert({name: fine}, Condition).asked == [(name, fine)]
    for wrong in (least - 1, most + 1, least + 0.5, str(least), None, True):
        with pytest.raises(ValidationError):
            msgspec.convert({name: wrong}, Condition)


def test_a_host_names_a_round_by_its_id():
    assert msgspec.convert({"answered_right": "r" * 40}, Condition) == Condition(answered_right="r" * 40)
    for wrong in ("", "r" * 41, 1):
        with pytest.raises(ValidationError):
            msgspec.convert({"answered_right": wrong}, Condition)


@pytest.mark.parametrize("wrong", [{"some_of": []}, {"all_of": [{"charm": 1}]}, {"any_of": [{"level": 1}] * 11}, []])
def test_conditions_have_no_other_form(wrong: object):
    assert len(msgspec.convert({"any_of": [{"level": 1}] * 10}, Eligible).conditions) == 10
    with pytest.raises(ValidationError):
        msgspec.convert(wrong, Eligible)
