"""Keyword count: who says the word and how often, told as it goes and at the end."""

from typing import Any

import pytest

from gameplay.count import PLAY, Announced, Cancel, Cancelled, Close, Closed, Counted, CountOpened, Open
from gameplay.play import Code, Refusal
from tests.gameplay.rounds import NOW, Game, asked


def count(**fields: Any) -> Game:
    usual: dict[str, Any] = {"keyword": "go", "seconds": 10}
    return Game(PLAY, Open(**usual | fields))


def test_everybody_is_told_the_word_as_it_was_typed_and_that_nobody_said_it_yet():
    assert count(keyword=" Gо 加油! ").news == [
        CountOpened(rules="Comment “Gо 加油!” before the bell, as often as you like.", keyword="Gо 加油!"),
        Counted(0, 0),
    ]


@pytest.mark.parametrize(("comment", "counts"), [("go", True), ("go!", False), ("let's go", False)])
def test_the_word_alone_counts_however_it_is_written(comment: str, counts: bool):
    keyword = PLAY.keyword(count(keyword="ＧＯ\u200b").opened)
    assert keyword is not None
    assert keyword.matches(comment) is counts


def test_whoever_says_it_again_counts_again():
    assert PLAY.often
    game = count()
    game.enter("ann", "bob", "ann", "ann")
    assert game.end().the(Closed) == Closed(2, 4)


def test_how_it_goes_is_told_once_a_second_when_it_changed():
    game = count().until(NOW + 2000)
    game.enter("ann", "ann")
    game.until(NOW + 4000)
    game.enter("bob")
    assert game.until(NOW + 9000).told(Counted) == [Counted(0, 0), Counted(1, 2), Counted(2, 3)]


def test_it_ends_at_its_bell_or_when_the_host_says_so_with_no_winners():
    early = count()
    early.enter("ann")
    assert early.say(Close(id="r_1")) is None
    for game, closed in ((count().end(), Closed(0, 0)), (early, Closed(1, 1))):
        assert (game.state, game.ended, game.news[-1]) == ("settled", True, closed)
        assert (game.letters, game.results, game.wins) == ([], {}, [])
        assert game.say(Close(id="r_1")) is None


def test_who_settles_it_once_more_tells_nothing_new():
    game = count().end()
    game.ring("settle")
    assert len(game.told(Closed)) == 1


def test_an_announced_count_cannot_be_closed():
    game = count(opens_at=NOW + 5000)
    assert game.told(Announced) == game.news
    assert game.say(Close(id="r_1")) is Code.ROUND_STATE


def test_a_host_may_cancel_what_has_not_closed():
    for game in (count(), count(opens_at=NOW + 5000)):
        assert game.say(Cancel(id="r_1", reason=" rain\n")) is None
        assert (game.state, game.ended, game.bells, game.news[-1]) == ("cancelled", True, {}, Cancelled("rain"))
        ver = game.ver
        assert game.say(Cancel(id="r_1", reason="snow")) is None
        assert (game.ver, game.say(Close(id="r_1"))) == (ver, Code.ROUND_STATE)
    assert count().end().say(Cancel(id="r_1", reason="rain")) is Code.ROUND_STATE


@pytest.mark.parametrize(
    "fields",
    [{"keyword": "x"}, {"keyword": "好" * 80}, {"keyword": "go", "seconds": 1}, {"keyword": "go", "seconds": 3600}],
)
def test_a_host_may_open_one(fields: dict[str, Any]):
    assert asked(PLAY, **fields) == Open(**fields)
    assert len(count(**fields).opened.rules) <= 400


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, "keyword"),
        ({"keyword": ""}, "keyword"),
        ({"keyword": "x" * 81}, "keyword"),
        ({"keyword": " \u200b\t\u202e"}, "keyword"),
        ({"keyword": 5}, "keyword"),
        ({"keyword": "go", "seconds": 0}, "seconds"),
        ({"keyword": "go", "seconds": 3601}, "seconds"),
        ({"keyword": "go", "opens_at": -1}, "opens_at"),
        ({"keyword": "go", "times": 5}, "times"),
    ],
)
def test_nothing_else_opens_one(fields: dict[str, Any], wrong: str):
    refusal = asked(PLAY, **fields)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.params["field"]) == (Code.BAD_MESSAGE, wrong)
    assert refusal.params["why"]
