"""Danmaku: how long a comment may be, what counts as said twice, and who is shown in a loud room."""

from random import Random
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import ValidationError

from gameplay.danmaku import Mentioned, Message, Said, Sampled, Say, repeats, sample, too_much
from gameplay.play import Code, Role

THUMB = "\U0001f44d\U0001f3fd"  # two code points, eight bytes, one character
ACUTE = "\u0301"


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a" * 100,
        "好" * 100,
        THUMB * 100,  # 200 code points and 800 bytes
        ("e" + ACUTE) * 100,
        "e" + ACUTE * 4,
        ("e" + ACUTE * 4) * 40,  # 200 code points again
    ],
)
def test_a_text_at_its_limits_is_said(text: str):
    assert too_much(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "a" * 101,
        "好" * 101,
        THUMB * 101,
        THUMB * 100 + ACUTE,  # 201 code points, still 100 characters
        ("e" + ACUTE * 2) * 67,  # 201 code points in 67 characters
        "e" + ACUTE * 5,
        "fine, then e" + ACUTE * 30,
    ],
)
def test_a_text_beyond_one_of_them_is_not(text: str):
    refusal = too_much(text)
    assert refusal is not None
    assert (refusal.code, refusal.params) == (Code.TEXT_TOO_LONG, {"max": 100})


def test_a_text_as_long_as_a_frame_is_refused_unread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gameplay.danmaku.folded", None)
    refusal = too_much("\ufdfa" * 1340)
    assert refusal is not None
    assert refusal.code is Code.TEXT_TOO_LONG


def test_an_empty_text_is_not_said():
    refusal = too_much("")
    assert refusal is not None
    assert refusal.code is Code.TEXT_EMPTY


def test_the_same_text_within_ten_seconds_is_a_repeat_and_later_is_not():
    said = {"hi": Said("hi", at=1000)}
    assert repeats(said, "hi", 10_999, within_ms=10_000)
    assert not repeats(said, "ho", 10_999, within_ms=10_000)
    assert not repeats(said, "hi", 11_000, within_ms=10_000)


def test_what_was_said_long_ago_is_forgotten():
    said = {"old": Said("old", at=0), "new": Said("new", at=9000, idem="k")}
    repeats(said, "", 10_000, within_ms=10_000)
    assert said == {"new": Said("new", at=9000, idem="k")}


class Waiting(NamedTuple):
    staff: bool
    n: int


def lucky(crowd, places):
    return Random(7).sample(crowd, places)


def test_with_places_for_all_everybody_is_shown_in_order():
    crowd = [Waiting(False, n) for n in range(5)]
    assert sample(crowd, 5, lucky) == crowd


def test_staff_go_first_and_take_no_place():
    waiting = [Waiting(False, 0), Waiting(True, 1), Waiting(False, 2), Waiting(True, 3)]
    assert sample(waiting, 0, lucky) == [Waiting(True, 1), Waiting(True, 3)]
    assert sample(waiting, 2, lucky) == [Waiting(True, 1), Waiting(True, 3), Waiting(False, 0), Waiting(False, 2)]


@given(st.lists(st.booleans()), st.integers(0, 20))
def test_a_sample_is_all_of_the_staff_and_as_many_others_as_there_are_places(staff: list[bool], places: int):
    waiting = [Waiting(one, n) for n, one in enumerate(staff)]
    shown = sample(waiting, places, lucky)
    house, crowd = [one for one in shown if one.staff], [one for one in shown if not one.staff]
    assert house == [one for one in waiting if one.staff]
    assert len(crowd) == min(places, len(waiting) - len(house))
    assert shown == [*house, *crowd]
    assert crowd == sorted(set(crowd))


def test_of_equal_comments_no_more_are_shown_than_there_are_places():
    same = [Waiting(False, n) for n in (1, 1, 1, 1)]
    assert len(sample(same, 2, lucky)) == 2


def test_a_message_has_the_names_of_the_wire():
    message = Message("0a1b2c3d", 5, "u1", "Ann", Role.HOST, "hi", reply_to="0a1b2c3c", mentions=("u2",))
    assert msgspec.json.decode(msgspec.json.encode(message)) == {
        "t": "chat.message",
        "id": "0a1b2c3d",
        "ts": 5,
        "from": "u1",
        "name": "Ann",
        "role": "host",
        "text": "hi",
        "reply_to": "0a1b2c3c",
        "mentions": ["u2"],
    }


def test_what_is_not_there_is_not_sent():
    assert msgspec.to_builtins(Message("0a1b2c3d", 5, "u1", "Ann", Role.VIEWER, "hi")).keys() == {
        *("t", "id", "ts", "from", "name", "role", "text")
    }
    assert msgspec.json.encode(Mentioned("u1", "i", "hi")) == b'{"t":"chat.mentioned","by":"u1","id":"i","text":"hi"}'
    assert msgspec.json.encode(Sampled(0, 3)) == b'{"t":"chat.sampled","shown":0,"total":3}'


@pytest.mark.parametrize(
    "said",
    [
        {"text": 5},
        {},
        {"text": "a", "reply_to": "short"},
        {"text": "a", "reply_to": "NOTLOWER"},
        {"text": "a", "mentions": list("abcdef")},
        {"text": "a", "mentions": [""]},
        {"text": "a", "mentions": ["x" * 65]},
    ],
)
def test_a_comment_out_of_bounds_cannot_be_made(said: dict[str, object]):
    with pytest.raises(ValidationError):
        msgspec.convert({"t": "chat.say", **said}, Say)


def test_the_id_of_a_comment_has_no_line_break():
    with pytest.raises(ValidationError):
        msgspec.convert({"t": "chat.say", "text": "a", "reply_to": "0a1b2c3d\n"}, Say)
