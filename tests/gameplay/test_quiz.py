"""Quiz: the answer is nowhere before the reveal; right and quick scores most, and arriving early at a node nothing."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from gameplay.play import Code, Own, Refusal
from gameplay.quiz import (
    PLAY,
    Announced,
    Answer,
    Answered,
    Close,
    Leaderboard,
    Open,
    QuizOpened,
    Result,
    Revealed,
    Standing,
    Void,
    Voided,
    points,
)
from tests.gameplay.rounds import NOW, SEED, Game, asked

END = NOW + 15_000
EXPLAIN = "Because of the tides."
STRAIT: dict[str, Any] = {"question": "Which strait?", "choices": ("Bass", "Cook", "Torres"), "right": 1}
STRAIT |= {"explain": EXPLAIN}

Series = dict[str, Game]
answers = st.lists(
    st.tuples(st.sampled_from(["0", "1", "2"]), st.integers(0, 15_300), st.integers(0, 2000)), max_size=8
)


def quiz(id_: str = "r_1", seed: bytes = SEED, earlier: Series | None = None, **fields: Any) -> Game:
    return Game(PLAY, Open(**STRAIT | fields), id_, seed, series={} if earlier is None else earlier)


def answered(*entries: tuple[str, str, int], **fields: Any) -> Game:
    """A quiz to its reveal; each entry is viewer, choice and ms after the opening."""
    game = quiz(**fields)
    for viewer, choice, ms in sorted(entries, key=lambda one: one[2]):
        game.until(NOW + ms)
        game.enter(viewer, word=choice)
    return game.end()


def at(state: str) -> Game:
    match state:
        case "announced":
            return quiz(opens_at=NOW + 5000)
        case "open":
            return quiz()
        case "closed":
            game = quiz()
            game.ring("close")
        case "revealed":
            game = answered(("ann", "1", 0))
        case _:
            game = quiz()
            game.say(Void(id="r_1", reason="a typo"))
    return game


def standings(game: Game) -> list[tuple[str, int, int]]:
    """The leaderboard that was told last."""
    return [(one.viewer, one.points, one.rank) for one in game.told(Leaderboard)[-1].top]


# opening


def test_the_question_goes_out_with_its_choices():
    assert quiz(question=" Which\nstrait?", series="Seas").news == [
        QuizOpened(
            rules="Choose one answer before the bell. The first one counts; right and quick scores most.",
            question="Which strait?",
            choices=("Bass", "Cook", "Torres"),
            series="Seas",
        ),
        Answered(0),
    ]


def test_it_lasts_a_quarter_of_a_minute_unless_said():
    assert quiz().closes_at == END


def test_the_announcement_says_nothing_of_it():
    plain, other = quiz(opens_at=NOW + 5000), at("announced")
    assert plain.told(Announced) == plain.news
    for fields in ({"question": "Which sea?"}, {"choices": ("a", "b")}, {"right": 2}, {"explain": ""}, {"series": "S"}):
        other = quiz(opens_at=NOW + 5000, **fields)
        assert other.frames == plain.frames
    assert other.until(NOW + 5000).opened.question == "Which strait?"


@settings(max_examples=40)
@given(answers, st.integers(0, 2), st.text("xyz", max_size=9), st.booleans())
def test_nothing_that_is_told_before_the_reveal_depends_on_the_answer(
    given_: list[tuple[str, int, int]], right: int, explain: str, announced: bool
):
    later: dict[str, Any] = {"opens_at": NOW + 100} if announced else {}
    games = [quiz(**later), quiz(**later, right=right, explain=explain)]
    for game in games:
        for n, (choice, ms, _) in enumerate(sorted(given_, key=lambda one: one[1])):
            game.until(NOW + 100 + ms)
            game.enter(f"v{n}", word=choice)
        game.until(game.closes_at + 499)
    assert games[0].frames == games[1].frames
    assert not [frame for frame in games[0].frames if EXPLAIN.encode() in frame or b'"right"' in frame]
    assert games[0].letters == games[1].letters == []
    assert games[0].results == games[1].results == {}


@given(st.lists(st.sampled_from("012"), min_size=6, max_size=6))
def test_while_it_is_open_everybody_sees_how_many_answered_and_never_how(choices: list[str]):
    game, other = quiz(), quiz()
    for n, choice in enumerate(choices):
        game.until(NOW + 1300 * n).enter(f"v{n}", word=choice)
        other.until(NOW + 1300 * n).enter(f"v{n}", word="0")
    assert game.until(END + 499).frames == other.until(END + 499).frames
    assert game.told(Answered) == [Answered(n) for n in range(7)]


def test_a_quiet_half_second_tells_nothing():
    assert quiz().bells["progress"] == NOW + 500
    assert quiz().until(END + 499).told(Answered) == [Answered(0)]


@pytest.mark.parametrize("choice", [0, 2])
def test_one_of_the_choices_is_an_answer_and_is_kept(choice: int):
    answer = msgspec.convert({"t": "quiz.answer", "id": "r_1", "choice": choice}, Answer)
    assert PLAY.word(quiz().opened, answer) == str(choice)
    assert PLAY.mine(Own("r_1", 1, "t", str(choice))) == {"choice": choice}
    assert PLAY.receipt(Own("r_1", 1, "t", str(choice))) == {}
    assert PLAY.often is False


@pytest.mark.parametrize("choice", [3, 10**9])
def test_no_other_number_is(choice: int):
    refusal = PLAY.word(quiz().opened, Answer(id="r_1", choice=choice))
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.message) == (Code.NO_SUCH_CHOICE, "choices are 0 to 2")


@pytest.mark.parametrize("choice", [-1, 1.5, "1", None, True])
def test_an_answer_is_a_number(choice: object):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"t": "quiz.answer", "id": "r_1", "choice": choice}, Answer)


# points


@pytest.mark.parametrize(
    ("ms", "got"),
    [
        (-5, 1000),
        (0, 1000),
        (499, 1000),
        (499.9, 1000),
        (500, 983),
        (501, 983),
        (7500, 750),
        (14_999, 500),
        (15_000, 500),
        (15_001, 500),
        (10**9, 500),
    ],
)
def test_points_fall_evenly_from_all_to_a_half_at_the_bell(ms: float, got: int):
    assert points(ms, 15_000) == got


@pytest.mark.parametrize(("ms", "seconds", "got"), [(499, 1, 1000), (500, 1, 750), (500, 600, 1000), (601, 600, 999)])
def test_half_a_second_is_much_of_one_and_little_of_many(ms: int, seconds: int, got: int):
    assert points(ms, seconds * 1000) == got


@given(st.integers(0, 700_000), st.integers(0, 700_000), st.integers(1, 600))
def test_quicker_never_scores_less(one: int, other: int, seconds: int):
    quick, slow = sorted((one, other))
    assert 1000 >= points(quick, seconds * 1000) >= points(slow, seconds * 1000) >= 500


def test_time_runs_from_the_opening_to_the_answer_less_what_the_network_and_the_stream_took():
    game = quiz(opens_at=NOW + 5000).until(NOW + 12_500)
    game.enter("ann", word="1")
    game.enter("bob", word="1", credit=7000)
    game.enter("cat", word="1", credit=60_000)
    game.enter("dan", word="1", credit=7001)
    assert {who: one.points for who, one in game.end().results.items()} == {
        "ann": 750, "bob": 983, "cat": 1000, "dan": 1000
    }  # fmt: skip


def test_an_answer_in_the_grace_behind_the_bell_scores_a_half():
    assert answered(("ann", "1", 15_300)).results["ann"] == Result(correct=True, points=500, rank=1)


def test_a_host_who_ends_it_early_does_not_make_it_shorter():
    game = quiz().until(NOW + 7500)
    game.enter("ann", word="1")
    game.say(Close(id="r_1"))
    assert game.results["ann"].points == 750


# the reveal


def test_the_reveal_tells_all_the_answer_and_each_his_own_part():
    game = answered(("ann", "1", 7500), ("bob", "0", 100), ("cat", "1", 400), ("dan", "1", 7500), ("eve", "0", 90))
    assert game.news[-1] == Revealed(1, EXPLAIN, (2, 3, 0))
    assert (game.state, game.ended) == ("revealed", True)
    assert game.results["cat"] == Result(correct=True, points=1000, rank=1)
    assert game.results["eve"] == Result(correct=False, points=0, rank=4)
    assert game.results["bob"] == Result(correct=False, points=0, rank=5)
    assert {game.results["ann"].rank, game.results["dan"].rank} == {2, 3}
    assert PLAY.reveals == (Revealed,)


def test_nobody_may_have_answered():
    game = answered(explain="")
    assert (game.the(Revealed), game.results) == (Revealed(1, "", (0, 0, 0)), {})
    assert game.frames[-1] == b'{"t":"quiz.revealed","right":1,"explain":"","counts":[0,0,0]}'


def test_who_settles_it_once_more_tells_nothing_new():
    game = answered(("ann", "1", 400), series="Seas")
    game.ring("settle")
    assert (len(game.told(Revealed)), len(game.told(Leaderboard))) == (1, 1)


def test_nothing_is_revealed_before_half_a_second_behind_the_end():
    assert quiz().until(END + 499).state == "open"
    assert quiz().until(END + 500).state == "revealed"


@settings(max_examples=60)
@given(answers, st.randoms(), st.integers(0, 2))
def test_the_order_in_which_answers_arrived_decides_nothing(
    given_: list[tuple[str, int, int]], random: Any, right: int
):
    first = quiz(series="Seas", right=right)
    for n, (choice, ms, credit) in enumerate(given_):
        first.now = NOW + ms // 1000 * 1000  # so that there are ties
        first.enter(f"v{n}", word=choice, credit=credit // 500 * 500)
    second = quiz(series="Seas", right=right)
    second.entries = random.sample(first.entries, len(first.entries))
    first.end()
    second.end()
    assert second.results == first.results
    assert second.told(Leaderboard) == first.told(Leaderboard)
    assert second.the(Revealed) == first.the(Revealed)


def test_equal_points_go_by_time_and_equal_time_by_lot():
    game = answered(("ann", "1", 400), ("bob", "1", 300))
    assert (game.results["ann"].points, game.results["bob"].points) == (1000, 1000)
    assert (game.results["bob"].rank, game.results["ann"].rank) == (1, 2)
    lots = [answered(("ann", "1", 300), ("bob", "1", 300), seed=bytes([n]) * 32) for n in range(40)]
    assert 8 < sum(game.results["ann"].rank == 1 for game in lots) < 32


# a series


def series_of(*questions: list[tuple[str, str, int]]) -> list[Game]:
    """Questions one after the other, each of which sees what became of the others."""
    series: Series = {}
    games: list[Game] = []
    for n, entries in enumerate(questions, 1):
        game = answered(*entries, id_=f"r_{n}", series="Seas", earlier=series)
        series[game.id] = game
        games.append(game)
    return games


def test_a_leaderboard_sums_the_questions_of_its_series():
    first, second, third = series_of(
        [("ann", "1", 400), ("bob", "1", 7500)],
        [("ann", "0", 100), ("bob", "1", 7500), ("cat", "1", 300)],
        [("dan", "1", 15_000)],
    )
    assert standings(first) == [("ann", 1000, 1), ("bob", 750, 2)]
    assert standings(second) == [("bob", 1500, 1), ("cat", 1000, 2), ("ann", 1000, 3)]
    assert standings(third) == [("bob", 1500, 1), ("cat", 1000, 2), ("ann", 1000, 3), ("dan", 500, 4)]
    assert second.results["ann"] == Result(correct=False, points=0, rank=3)
    assert third.results == {"dan": Result(correct=True, points=500, rank=4)}
    assert first.the(Leaderboard) == Leaderboard(
        "Seas", (Standing("ann", "Ann", 1000, 1), Standing("bob", "Bob", 750, 2))
    )


def test_a_question_by_itself_has_no_leaderboard():
    game = answered(("ann", "1", 0))
    assert game.told(Leaderboard) == []
    game.say(Void(id="r_1", reason="a typo"))
    assert game.told(Leaderboard) == []
    assert (PLAY.series(game.opens), PLAY.series(quiz(series="Seas").opens)) == ("", "Seas")


def test_a_leaderboard_has_ten_places_and_everybody_a_rank():
    game = answered(*((f"v{n}", "1", 1000 * n) for n in range(12)), series="Seas")
    assert [one[0] for one in standings(game)] == [f"v{n}" for n in range(10)]
    assert [game.results[f"v{n}"].rank for n in range(12)] == list(range(1, 13))


def test_a_question_that_is_voided_when_its_answer_was_told_gives_its_points_back():
    first, second = series_of(
        [("ann", "1", 400), ("bob", "1", 7500)],
        [("ann", "0", 100), ("bob", "1", 7500), ("cat", "1", 300)],
    )
    assert first.say(Void(id="r_1", reason=" a wrong\tkey ")) is None
    assert (first.state, first.the(Voided)) == ("voided", Voided("a wrong key"))
    assert standings(first) == [("cat", 1000, 1), ("bob", 750, 2), ("ann", 0, 3)]
    assert second.say(Void(id="r_2", reason="another")) is None


def test_it_counts_no_more_in_the_questions_that_follow():
    first, second = series_of([("ann", "1", 400)], [("bob", "1", 7500)])
    first.say(Void(id="r_1", reason="a wrong key"))
    third = answered(("cat", "1", 400), id_="r_3", series="Seas", earlier=second.series)
    assert standings(third) == [("cat", 1000, 1), ("bob", 750, 2)]


def test_a_question_that_is_voided_before_changes_no_leaderboard():
    (first,) = series_of([("ann", "1", 400)])
    game = quiz("r_2", series="Seas", earlier=first.series)
    game.enter("bob", word="1")
    game.say(Void(id="r_2", reason="a typo"))
    assert (game.news[-1], game.told(Leaderboard), game.results) == (Voided("a typo"), [], {})


def test_the_longest_quiz_fits_an_event():
    wide = {"question": "\U0001f30f" * 400, "choices": ("\U0001f30f" * 80,) * 10, "explain": "\U0001f30f" * 400}
    game = answered(*((f"{n:064}", "1", 0) for n in range(20)), **wide, series="\U0001f30f" * 80)
    assert max(map(len, game.frames)) <= 16 * 1024


# ends


CLOSES = {"open": "revealed", "closed": "same", "revealed": "same"}
VOIDS = {**dict.fromkeys(["announced", "open", "closed", "revealed"], "voided"), "voided": "same"}


@pytest.mark.parametrize("state", ["announced", "open", "closed", "revealed", "voided"])
@pytest.mark.parametrize(("command", "table"), [(Close(id="r_1"), CLOSES), (Void(id="r_1", reason="a typo"), VOIDS)])
def test_a_host_may_close_what_is_open_and_void_whatever_there_is(state: str, command: Any, table: dict[str, str]):
    game = at(state)
    assert game.state == state
    ver = game.ver
    assert game.say(command) is (None if state in table else Code.ROUND_STATE)
    to = table.get(state, "same")
    assert game.state == (state if to == "same" else to)
    assert (game.ver == ver) is (to == "same")
    assert not (game.state == "voided" and game.bells)


def test_an_outage_over_the_opening_or_the_end_hurts_nobody():
    for game in (quiz(opens_at=NOW + 5000).outage(NOW + 35_001), quiz().outage(END + 30_001)):
        assert (game.state, game.ended, game.told(Revealed), game.results) == ("voided", True, [], {})
        assert "out of order" in game.the(Voided).reason
    assert quiz(opens_at=NOW + 5000).outage(NOW + 20_000).state == "voided"  # nobody could have answered


def test_half_a_minute_is_no_outage():
    assert quiz(opens_at=NOW + 5000, seconds=60).outage(NOW + 35_000).state == "open"
    assert quiz().outage(END + 30_000).state == "revealed"


# the opening command


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"question": "问" * 400, "choices": ["答" * 80] * 10, "right": 9, "explain": "因" * 400},
        {"choices": ["yes", "no"], "right": 0, "seconds": 1},
        {"seconds": 600, "series": "S" * 80, "explain": "", "opens_at": NOW},
    ],
)
def test_a_host_may_open_one(fields: dict[str, Any]):
    opens = asked(PLAY, **STRAIT | fields)
    assert isinstance(opens, Open)
    assert len(quiz().opened.rules) <= 400


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"question": UNSET}, "question"),
        ({"question": ""}, "question"),
        ({"question": " \u202e"}, "question"),
        ({"question": "x" * 401}, "question"),
        ({"choices": UNSET}, "choices"),
        ({"choices": ["yes"], "right": 0}, "choices"),
        ({"choices": list("abcdefghijk")}, "choices"),
        ({"choices": ["a", ""]}, "choices[1]"),
        ({"choices": ["a", " \u202e"]}, "question"),
        ({"choices": ["a", "x" * 81]}, "choices[1]"),
        ({"right": UNSET}, "right"),
        ({"right": -1}, "right"),
        ({"right": 3}, "right"),
        ({"right": 10}, "right"),
        ({"right": "1"}, "right"),
        ({"explain": "x" * 401}, "explain"),
        ({"seconds": 0}, "seconds"),
        ({"seconds": 601}, "seconds"),
        ({"series": ""}, "series"),
        ({"series": "x" * 81}, "series"),
        ({"allow": True}, "allow"),
    ],
)
def test_nothing_else_opens_one(fields: dict[str, Any], wrong: str):
    refusal = asked(PLAY, **{name: value for name, value in (STRAIT | fields).items() if value is not UNSET})
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.params["field"]) == (Code.BAD_MESSAGE, wrong)
    assert refusal.params["why"]
