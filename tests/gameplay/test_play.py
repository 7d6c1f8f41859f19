"""The words of every play: who may do what, what a refusal is, and what a command may be."""

import msgspec
import pytest
from msgspec import UNSET, ValidationError

from gameplay.play import Code, Command, Refusal, Role

RANKS = ["viewer", "moderator", "host", "service"]


@pytest.mark.parametrize("needed", RANKS)
@pytest.mark.parametrize("role", RANKS)
def test_each_role_may_do_what_the_ones_before_it_may(role: str, needed: str):
    assert Role(role).may(Role(needed)) == (RANKS.index(role) >= RANKS.index(needed))


def test_a_code_is_its_own_name():
    assert [str(code) for code in Code] == [code.name for code in Code]


def test_a_refusal_is_a_value():
    assert Refusal(Code.MUTED) == Refusal(Code.MUTED, {}, "", None)
    assert Refusal(Code.MUTED, {"until": 5}) != Refusal(Code.MUTED)


class Guess(Command, frozen=True, tag="guess.enter"):
    number: int


class OpenGuess(Command, frozen=True, tag="guess.open"):
    needs = Role.HOST

    seconds: int = 10


def test_commands_are_for_viewers_unless_said():
    assert (Guess.needs, OpenGuess.needs) == (Role.VIEWER, Role.HOST)
    assert (Guess(number=1).cid, Guess(number=1).idem) == (UNSET, UNSET)


@pytest.mark.parametrize("cid", [0, 17, 2**53 - 1])
def test_a_client_numbers_its_commands(cid: int):
    assert msgspec.convert({"t": "guess.enter", "number": 1, "cid": cid, "idem": "k" * 64}, Guess).cid == cid


@pytest.mark.parametrize(
    "wrong",
    [{"cid": -1}, {"cid": 2**53}, {"cid": "1"}, {"cid": None}, {"idem": ""}, {"idem": "k" * 65}, {"more": 1}],
)
def test_a_command_with_anything_out_of_bounds_cannot_be_made(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        msgspec.convert({"t": "guess.enter", "number": 1, **wrong}, Guess)
