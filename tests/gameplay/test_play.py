"""The words of every play: who may do what, what a refusal is, and that a round settles by its arguments alone."""

from collections.abc import Sequence

import msgspec
import pytest
from msgspec import UNSET, ValidationError

from gameplay.play import Code, Command, Entry, Event, Limits, Refusal, Role, Round, no_word

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


class Guessed(Event, frozen=True, tag="guess.closed"):
    winners: tuple[str, ...] = ()


def nearest(opened: OpenGuess, entries: Sequence[Entry], seed: bytes) -> Guessed:
    target = seed[0]
    best = min((abs(int(one.word) - target) for one in entries), default=0)
    return Guessed(tuple(one.viewer for one in entries if abs(int(one.word) - target) == best))


ROUND = Round(OpenGuess, Guess, lambda opened: Limits(opened.seconds), nearest, word=lambda guess: str(guess.number))


def test_a_round_settles_to_the_same_end_each_time():
    entries = [Entry("ann", 1, 10, "3"), Entry("bob", 2, 20, "9"), Entry("cat", 3, 30, "7")]
    ends = {ROUND.settle(ROUND.opens(seconds=5), entries, b"\x08") for _ in range(3)}
    assert ends == {Guessed(("bob", "cat"))}


def test_a_round_keeps_a_word_of_an_entry_or_none():
    assert ROUND.word(Guess(number=7)) == "7"
    assert Round(OpenGuess, Guess, lambda _: Limits(1), nearest).word is no_word
    assert no_word(Guess(number=7)) == ""


def test_a_round_has_room_for_everyone_unless_said():
    assert ROUND.limits(OpenGuess(seconds=30)) == Limits(30, places=0)


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
