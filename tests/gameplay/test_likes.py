"""Likes: one to fifty at a time."""

import msgspec
import pytest
from msgspec import ValidationError

from gameplay.likes import PLAY, Like, Total


@pytest.mark.parametrize("n", [1, 50])
def test_one_to_fifty_likes_are_given_at_a_time(n: int):
    assert msgspec.convert({"t": "like.add", "n": n}, Like) == Like(n=n)


@pytest.mark.parametrize("n", [0, -1, 51, 1.5, "1", None, True])
def test_no_other_number_is(n: object):
    with pytest.raises(ValidationError):
        msgspec.convert({"t": "like.add", "n": n}, Like)


def test_a_total_says_how_much_came_since_the_last():
    assert msgspec.json.encode(Total(0, 0, 0)) == b'{"t":"like.total","total":0,"delta":0,"ver":0}'


def test_liking_is_a_play_of_one_command_and_one_event():
    assert (PLAY.commands, PLAY.events) == ((Like,), (Total,))
