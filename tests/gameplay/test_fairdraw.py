"""The arithmetic of the draw: known values, and what must hold for every crowd."""

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gameplay.fairdraw import (
    Ticket,
    chain,
    commitment,
    draw_key,
    first_head,
    leaf,
    merkle_root,
    next_head,
    ranked,
    rules_hash,
    score,
    tag_of,
)

SEED = bytes(range(32))
TEN = [Ticket(n, f"u{n}", 1 if n % 5 else 3) for n in range(1, 11)]

crowds = st.lists(st.text("abcdef0123456789", min_size=4, max_size=32), unique=True, max_size=40).map(
    lambda tags: [Ticket(n, tag, 1 + n % 3) for n, tag in enumerate(tags, 1)]
)


def test_the_reference_values_are_met():
    # Computed by the reference of the protocol's proof (section 9), for draw "d1", rules {} and no beacon.
    leaves = [leaf("d1", one) for one in TEN]
    root = merkle_root(leaves).hex()
    key = draw_key(SEED, "d1", rules_hash({}), root)
    assert commitment("d1", SEED) == "3e34cba7106c7ba6d8d3aa3e8d440ac5a7140a59c6110879db070af72118e4c9"
    assert chain(first_head("d1"), leaves).hex() == "9f1cb703f6db97e642a9e9148926cd61c4c385893a6cb0738412797b8e3142ae"
    assert root == "c38cf28b137e6995e06dba126daf5772524c431644fb5e8d5f7583122409acfa"
    assert rules_hash({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert key.hex() == "2de16a70b0418a50ea760261321f1e3138ef41a3dbef6cd905fb2edfc9134bea"
    assert [one.tag for one in ranked(key, TEN, 4)] == ["u5", "u10", "u4", "u2"]


@given(crowds, st.binary(min_size=32, max_size=32), st.integers(0, 50))
def test_winners_are_entrants_each_once_and_as_many_as_there_can_be(crowd, seed, places):
    best = ranked(draw_key(seed, "d", "r", "t"), crowd, places)
    assert len(best) == min(places, len(crowd))
    assert set(best) <= set(crowd)
    assert len(set(best)) == len(best)


@given(crowds, st.binary(min_size=32, max_size=32), st.randoms())
def test_the_order_in_which_entries_are_read_decides_nothing(crowd, seed, random):
    key = draw_key(seed, "d", "r", "t")
    assert ranked(key, random.sample(crowd, len(crowd)), 5) == ranked(key, crowd, 5)


@given(crowds, st.integers(0, 40))
def test_an_earlier_head_leads_to_the_later_one(crowd, cut):
    leaves = [leaf("d", one) for one in crowd]
    assert chain(chain(first_head("d"), leaves[:cut]), leaves[cut:]) == chain(first_head("d"), leaves)


@given(crowds.filter(len), st.data())
def test_whatever_is_changed_in_an_entry_changes_head_and_root(crowd, data):
    at = data.draw(st.integers(0, len(crowd) - 1))
    other = data.draw(st.sampled_from([{"n": 99}, {"tag": "zz"}, {"weight": 9}]))
    changed = [*crowd[:at], crowd[at]._replace(**other), *crowd[at + 1 :]]
    before, after = ([leaf("d", one) for one in some] for some in (crowd, changed))
    assert merkle_root(before) != merkle_root(after)
    assert chain(first_head("d"), before) != chain(first_head("d"), after)


def test_two_entries_are_not_one_doubled():
    one = leaf("d", Ticket(1, "a"))
    assert merkle_root([one]) != merkle_root([one, one])
    assert next_head(first_head("d"), one) != next_head(first_head("e"), one)


def test_the_key_depends_on_everything_that_was_told():
    told = [("d", "r", "t", "b"), ("e", "r", "t", "b"), ("d", "s", "t", "b"), ("d", "r", "u", "b"), ("d", "r", "t", "")]
    assert len({draw_key(SEED, *one) for one in told} | {draw_key(SEED[::-1], *told[0])}) == 6


def test_the_rules_have_one_hash_however_they_are_written():
    assert rules_hash({"b": "想要", "a": 1}) == rules_hash({"a": 1, "b": "想要"}) != rules_hash({"a": 2, "b": "想要"})


def test_a_viewer_has_another_tag_in_each_draw_and_room():
    tags = {tag_of(key, draw, viewer) for key in (b"1", b"2") for draw in "de" for viewer in ("ann", "bob")}
    assert len(tags) == 8


def test_everybody_has_the_same_chance():
    # 10,000 draws of one of ten: chi-square with 9 degrees of freedom is below 27.88 in all but one of 1,000 worlds.
    crowd = [Ticket(n, f"{n:032x}") for n in range(10)]
    keys = (Random(n).randbytes(32) for n in range(10_000))
    won = Counter(ranked(key, crowd, 1)[0].n for key in keys)
    assert sum((won[n] - 1000) ** 2 / 1000 for n in range(10)) < 27.88


def test_three_tickets_are_three_chances():
    crowd = [Ticket(1, "one", 1), Ticket(2, "three", 3)]
    won = Counter(ranked(Random(n).randbytes(32), crowd, 1)[0].n for n in range(8_000))
    assert abs(won[2] - 6_000) < 4 * (8_000 * 0.25 * 0.75) ** 0.5
    assert score(SEED, "three", 3) <= score(SEED, "three", 1)
