"""Like sprint: the likes since the opening, past each level once, to the target or the bell."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gameplay.play import Code, Refusal
from gameplay.sprint import PLAY, Announced, Cancel, Cancelled, Close, Closed, Open, Reached, Run, SprintOpened
from tests.gameplay.rounds import NOW, Game, asked

rising = st.lists(st.integers(1, 60), min_size=1, max_size=6, unique=True).map(sorted)


def sprint(target: int = 100, *levels: int, likes: int = 0, **fields: Any) -> Game:
    return Game(PLAY, Open(target=target, levels=levels, **{"seconds": 10} | fields), likes=likes)


def reached(game: Game) -> list[int]:
    return [one.level for one in game.told(Reached)]


def test_everybody_is_told_target_and_levels():
    assert sprint(100, 20, 50).news == [
        SprintOpened(rules="Like as much as you can: 100 likes together before the bell.", target=100, levels=(20, 50)),
        Run(0, 100),
    ]
    assert sprint().opened.levels == ()


def test_only_likes_since_the_opening_count():
    game = sprint(100, 20, likes=5000)
    game.likes += 19
    assert game.end().the(Closed) == Closed(19, reached=False)
    assert reached(game) == []


def test_only_likes_since_the_opening_count_also_where_it_was_announced():
    game = sprint(100, 20, likes=5000, opens_at=NOW + 5000)
    assert game.news == [Announced(rules="Like as much as you can: 100 likes together before the bell.")]
    game.likes += 30  # too early
    game.until(NOW + 5000).likes += 19
    assert game.end().the(Closed) == Closed(19, reached=False)
    assert reached(game) == []


def test_each_level_is_told_when_it_is_passed():
    game = sprint(100, 20, 50)
    for second, likes in enumerate((19, 20, 49, 50, 51)):
        game.likes = likes
        game.until(NOW + 1000 * (second + 1))
        assert reached(game) == [20, 50][: (likes >= 20) + (likes >= 50)]


def test_several_levels_at_once_are_told_each_by_itself_in_their_order():
    game = sprint(100, 20, 50, 80)
    game.likes = 85
    assert reached(game.until(NOW + 500)) == [20, 50, 80]
    assert game.state == "open"


def test_the_target_ends_it():
    game = sprint(100, 50)
    game.likes = 130
    game.until(NOW + 500)
    assert (game.state, game.ended, game.closes_at) == ("settled", True, NOW + 500)
    assert [type(one) for one in game.news] == [SprintOpened, Run, Reached, Run, Reached, Run, Closed]
    assert (reached(game), game.the(Closed)) == ([50, 100], Closed(130, reached=True))


def test_a_level_that_is_reached_with_the_last_likes_is_told_before_the_end():
    game = sprint(100, 50).until(NOW + 10_499)
    game.likes = 100
    game.bells["progress"] = NOW + 60_000
    assert [type(one) for one in game.end().news[-3:]] == [Reached, Reached, Closed]
    assert (reached(game), game.the(Closed)) == ([50, 100], Closed(100, reached=True))


def test_a_host_may_end_it():
    game = sprint(100, 50)
    game.likes = 60
    assert game.say(Close(id="r_1")) is None
    assert (reached(game), game.the(Closed)) == ([50], Closed(60, reached=False))
    assert game.say(Close(id="r_1")) is None
    assert sprint(opens_at=NOW + 1000).say(Close(id="r_1")) is Code.ROUND_STATE


def test_who_settles_it_once_more_tells_nothing_new():
    game = sprint(100, 50)
    game.likes = 60
    game.end().ring("settle")
    assert (reached(game), len(game.told(Closed))) == ([50], 1)


def test_how_it_goes_is_told_twice_a_second_when_it_changed():
    game = sprint().until(NOW + 2000)
    game.likes = 7
    game.until(NOW + 4000)
    game.likes = 9
    assert game.end().told(Run) == [Run(0, 100), Run(7, 100), Run(9, 100)]


def test_likes_that_were_lost_are_not_owed():
    game = sprint(likes=5000)
    game.likes = 4000
    assert game.end().the(Closed) == Closed(0, reached=False)


@given(rising, st.lists(st.integers(0, 25), max_size=25), st.integers(0, 10_500))
def test_each_level_is_told_exactly_once_in_its_order_however_the_likes_come(
    levels: list[int], bursts: list[int], closed_at: int
):
    game = sprint(levels[-1], *levels[:-1])
    for n, burst in enumerate(bursts):
        game.until(NOW + 437 * n)
        if game.state == "open":
            game.likes += burst
    game.until(max(game.now, NOW + closed_at)).say(Close(id="r_1"))
    game.end()  # at its end it closes by its bell
    assert reached(game) == [level for level in levels if level <= game.likes]
    assert game.news[-1] == Closed(game.likes, reached=game.likes >= levels[-1])
    assert all(before.likes <= after.likes for before, after in pairwise(game.told(Run)))


def test_a_host_may_cancel_what_has_not_closed():
    for game in (sprint(), sprint(opens_at=NOW + 5000)):
        assert game.say(Cancel(id="r_1", reason=" rain\n")) is None
        assert (game.state, game.ended, game.bells, game.news[-1]) == ("cancelled", True, {}, Cancelled("rain"))
        ver = game.ver
        assert game.say(Cancel(id="r_1", reason="snow")) is None
        assert (game.ver, game.say(Close(id="r_1"))) == (ver, Code.ROUND_STATE)
    assert sprint().end().say(Cancel(id="r_1", reason="rain")) is Code.ROUND_STATE


@pytest.mark.parametrize(
    "fields",
    [
        {"target": 1},
        {"target": 10**9, "seconds": 3600},
        {"target": 11, "levels": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "seconds": 1},
    ],
)
def test_a_host_may_open_one(fields: dict[str, Any]):
    opens = asked(PLAY, **fields)
    assert opens == Open(**fields | {"levels": tuple(fields.get("levels", ()))})
    assert len(Game(PLAY, opens).opened.rules) <= 400


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, "target"),
        ({"target": 0}, "target"),
        ({"target": 10**9 + 1}, "target"),
        ({"target": 10, "levels": [10]}, "levels"),
        ({"target": 10, "levels": [5, 5]}, "levels"),
        ({"target": 10, "levels": [6, 5]}, "levels"),
        ({"target": 10, "levels": [0]}, "levels[0]"),
        ({"target": 99, "levels": list(range(1, 12))}, "levels"),
        ({"target": 10, "seconds": 0}, "seconds"),
        ({"target": 10, "seconds": 3601}, "seconds"),
        ({"target": 10, "prize": "cup"}, "prize"),
    ],
)
def test_nothing_else_opens_one(fields: dict[str, Any], wrong: str):
    refusal = asked(PLAY, **fields)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.params["field"]) == (Code.BAD_MESSAGE, wrong)
    assert refusal.params["why"]
