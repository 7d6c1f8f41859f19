"""What all rounds share, shown by the toss of a coin: they open, close, settle, and stand an outage."""

from typing import Any, Literal

import msgspec
import pytest
from msgspec import ValidationError

from gameplay import PLAYS
from gameplay.play import (
    Code,
    Entry,
    HostCommand,
    Keyword,
    Move,
    Opened,
    OpenRound,
    Own,
    Played,
    Progress,
    Reading,
    Refusal,
    Role,
    Round,
    RoundCommand,
    RoundEvent,
    Step,
    closed_by_host,
    closing,
    states,
)
from tests.gameplay.rounds import NOW, Game

ROUNDS = [play for play in PLAYS if isinstance(play, Round)]


class OpenToss(OpenRound, frozen=True, tag="toss.open"):
    secret: str = "the coin is fair"


class Call(RoundCommand, frozen=True, tag="toss.call"):
    side: Literal["heads", "tails"]


class TakeCoin(RoundCommand, frozen=True, tag="toss.claim"):
    pass


class CloseToss(HostCommand, frozen=True, tag="toss.close"):
    pass


class Announced(Opened, frozen=True, tag="toss.announced"):
    pass


class TossOpened(Opened, frozen=True, tag="toss.opened"):
    coin: str


class Called(Progress, frozen=True, tag="toss.progress"):
    calls: int


class Landed(RoundEvent, frozen=True, tag="toss.landed"):
    side: str
    right: tuple[str, ...]


class Off(RoundEvent, frozen=True, tag="toss.off"):
    pass


def opening(played: Played[OpenToss], reading: Reading) -> TossOpened:
    return TossOpened(rules="Call it before the bell.", coin="a dime")


def land(played: Played[OpenToss], reading: Reading) -> Move:
    side = ("heads", "tails")[reading.seed[0] % 2]
    right = tuple(one.viewer for one in reading.entries if one.word == side)
    return Move(to="landed", tell=Landed(side, right), bells={"settle": None}, ends=True)


def count(played: Played[OpenToss], reading: Reading) -> Move:
    return Move(to="open", shows=Called(played.entered), bells={"progress": reading.now + 1000})


def toss(**more: Any) -> Round[OpenToss]:
    usual: dict[str, Any] = {
        "kind": "toss",
        "opens": OpenToss,
        "announced": Announced,
        "opened": TossOpened,
        "opening": opening,
        "settle": land,
        "events": (Called, Landed),
        "enters": Call,
        "word": lambda opened, call: call.side,
        "turns": {CloseToss: closed_by_host("landed")},
    }
    return Round(**usual | more)


TOSS = toss()
LATER = NOW + 10_000
CALLED_OFF = toss(late=lambda played: Move(to="off", tell=Off(), bells=dict.fromkeys(["open", "close"]), ends=True))
ONLY_IF_ANNOUNCED = toss(late=lambda played: Move(to="off", ends=True) if played.state == "announced" else None)


# opening


def test_a_round_opens_at_once_unless_said():
    game = Game(TOSS, OpenToss(seconds=10))
    assert (game.state, game.opened_at, game.closes_at) == ("open", NOW, NOW + 10_000)
    assert game.news == [TossOpened(rules="Call it before the bell.", coin="a dime")]


def test_a_round_for_later_is_announced_with_nothing_but_how_to_take_part():
    game = Game(TOSS, OpenToss(seconds=10, opens_at=LATER))
    assert game.news == [Announced(rules="Call it before the bell.")]
    assert game.until(LATER - 1).state == "announced"
    assert game.until(LATER).state == "open"
    assert game.told(TossOpened) == [game.opened]
    assert (game.opened_at, game.closes_at) == (LATER, LATER + 10_000)


def test_how_it_goes_is_told_while_it_is_open_by_plays_that_have_a_word_for_it():
    game = Game(toss(progress=Step(count, states("open")), progress_ms=700), OpenToss(seconds=3))
    assert game.bells == {"progress": NOW + 700, "close": NOW + 3500}
    assert "progress" not in Game(TOSS, OpenToss()).bells
    game.end()
    assert game.told(Called) == [Called(0)] * 4  # from the opening on


# closing


def test_nothing_is_settled_before_half_a_second_behind_the_end():
    game = Game(TOSS, OpenToss(seconds=10))
    assert game.until(NOW + 10_499).state == "open"
    game.enter("ann", word="heads")
    assert game.until(NOW + 10_500).state == "landed"
    assert game.news[-1] == Landed("heads", ("ann",))


def test_what_follows_the_end_is_a_step_of_its_own():
    game = Game(TOSS, OpenToss(seconds=10))
    game.now = NOW + 10_500
    game.ring("close")
    assert (game.state, game.bells) == ("closed", {"settle": 0})


def test_a_host_may_end_it_early_and_only_once():
    game = Game(TOSS, OpenToss(seconds=10)).until(NOW + 4000)
    game.enter("ann", word="heads")
    assert game.say(CloseToss(id="r_1")) is None
    assert (game.state, game.closes_at) == ("landed", NOW + 4000)
    ver, news = game.ver, list(game.news)
    assert game.say(CloseToss(id="r_1")) is None
    assert (game.ver, game.news) == (ver, news)


def test_a_host_who_closes_behind_the_end_does_not_move_it():
    game = Game(TOSS, OpenToss(seconds=10)).until(NOW + 10_200)
    game.say(CloseToss(id="r_1"))
    assert game.closes_at == NOW + 10_000


def test_what_is_not_open_cannot_be_closed():
    assert Game(TOSS, OpenToss(opens_at=LATER)).say(CloseToss(id="r_1")) is Code.ROUND_STATE


def test_a_bell_in_a_state_in_which_it_means_nothing_does_nothing():
    game = Game(TOSS, OpenToss(seconds=10)).end()
    before = list(game.news)
    for name in TOSS.table:
        game.ring(name)
    assert (game.state, game.news) == ("landed", before)


def test_whoever_takes_a_step_again_comes_to_the_same_end():
    game = Game(TOSS, OpenToss(seconds=10))
    game.enter("ann", "bob", word="tails")
    game.now = NOW + 10_500
    game.ring("close")
    moves = [TOSS.settle(game.played, game.reading(TOSS.settle_reads)) for _ in range(3)]
    assert moves == moves[:1] * 3


def test_closing_takes_the_step_that_follows_and_no_other():
    played = Game(toss(follows="weigh"), OpenToss(seconds=10)).played
    assert closing(played, Reading(NOW + 1), "weigh").bells == {"close": None, "progress": None, "weigh": 0}
    assert toss(follows="weigh").close(played, Reading(NOW + 10_500)).bells["weigh"] == 0


# after an outage


@pytest.mark.parametrize("play", [TOSS, CALLED_OFF, ONLY_IF_ANNOUNCED])
def test_a_bell_that_is_half_a_minute_late_rings_as_if_it_were_not(play: Round[OpenToss]):
    assert Game(play, OpenToss(opens_at=LATER, seconds=60)).outage(LATER + 30_000).state == "open"
    game = Game(play, OpenToss(seconds=10)).outage(NOW + 40_000)
    assert (game.state, game.closes_at, game.kept["delayed"]) == ("landed", NOW + 10_000, False)


def test_a_play_may_have_something_else_become_of_what_is_later_than_that():
    assert Game(CALLED_OFF, OpenToss(opens_at=LATER)).outage(LATER + 30_001).news[1:] == [Off()]
    assert Game(CALLED_OFF, OpenToss(seconds=10)).outage(NOW + 40_001).news[1:] == [Off()]


def test_a_round_that_would_open_at_its_end_or_later_is_as_late():
    short = OpenToss(opens_at=LATER, seconds=10)
    assert Game(CALLED_OFF, short).outage(LATER + 9_999).state == "open"
    assert Game(CALLED_OFF, short).outage(LATER + 10_000).news[1:] == [Off()]


@pytest.mark.parametrize("play", [TOSS, ONLY_IF_ANNOUNCED])
def test_else_it_ends_at_its_planned_end_and_says_that_it_was_delayed(play: Round[OpenToss]):
    game = Game(play, OpenToss(seconds=10)).outage(NOW + 40_001)
    assert (game.state, game.closes_at, game.kept["delayed"]) == ("landed", NOW + 10_000, True)


def test_a_play_that_has_nothing_to_say_of_it_opens_late():
    game = Game(TOSS, OpenToss(opens_at=LATER, seconds=60)).outage(LATER + 30_001)
    assert (game.state, game.opened_at, game.closes_at) == ("open", LATER + 30_001, LATER + 60_000)


# what a play is made of


def test_a_play_has_commands_for_opening_entering_claiming_and_its_turns():
    assert TOSS.commands == (OpenToss, Call, CloseToss)
    assert toss(claims=TakeCoin, turns={}).commands == (OpenToss, Call, TakeCoin)
    assert toss(enters=None, turns={}).commands == (OpenToss,)


def test_every_round_opens_closes_and_settles_and_some_do_more():
    more = Step(land, states("closed"))
    assert TOSS.table.keys() == {"open", "close", "settle"}
    assert toss(progress=more, steps={"weigh": more}).table.keys() == {"open", "close", "settle", "progress", "weigh"}
    assert toss(steps={"settle": more}).table["settle"] is more


def test_a_play_that_is_settled_by_likes_knows_how_many_there_were_at_its_opening():
    by_likes = toss(settle_reads=frozenset({"likes"}))
    assert Game(by_likes, OpenToss(), likes=7).kept == {"likes": 7}
    assert Game(by_likes, OpenToss(opens_at=LATER), likes=7).until(LATER).kept == {"likes": 7}
    assert Game(TOSS, OpenToss(), likes=7).kept == {"likes": 0}


def test_what_a_play_does_not_say_is_nothing():
    bare = Round(kind="toss", opens=OpenToss, announced=Announced, opened=TossOpened, opening=opening, settle=land)
    own = Own("r_1", 1, "t", "")
    assert [bare.check(OpenToss()), bare.keyword(None), bare.eligible(None)] == [None] * 3
    assert bare.receipt(own) == bare.mine(own) == {}
    assert bare.word(None, None) == bare.series(OpenToss()) == ""
    refusal = bare.may_claim(Game(bare, OpenToss()).played, "ann", NOW)
    assert isinstance(refusal, Refusal)


@pytest.mark.parametrize(
    ("keyword", "comment", "says"),
    [
        (Keyword("want"), "want", True),
        (Keyword("want"), "i want it", False),
        (Keyword("want", contains=True), "i want it", True),
        (Keyword("want", contains=True), "i wan it", False),
    ],
)
def test_a_comment_enters_if_it_is_the_keyword_or_contains_it_where_that_is_enough(
    keyword: Keyword, comment: str, says: bool
):
    assert keyword.matches(comment) is says


@pytest.mark.parametrize("fields", [{"seconds": 1}, {"seconds": 3600}, {"opens_at": 0}, {"opens_at": 2**53 - 1}])
def test_a_round_lasts_up_to_an_hour_and_opens_whenever(fields: dict[str, Any]):
    assert msgspec.convert({"t": "toss.open", **fields}, OpenToss) == OpenToss(**fields)


@pytest.mark.parametrize(
    "fields",
    [{"seconds": 0}, {"seconds": 3601}, {"seconds": 1.5}, {"seconds": None}, {"opens_at": -1}, {"opens_at": 2**53}],
)
def test_no_round_lasts_longer_or_opens_before_all_time(fields: dict[str, object]):
    with pytest.raises(ValidationError):
        msgspec.convert({"t": "toss.open", **fields}, OpenToss)


@pytest.mark.parametrize("round_id", ["", "R_1", "r-1", "r_1\n", "r" * 41, "r 1", "é", 1, None])
def test_a_round_has_a_plain_name(round_id: object):
    assert msgspec.convert({"t": "toss.close", "id": "r" * 40}, CloseToss).id == "r" * 40
    with pytest.raises(ValidationError):
        msgspec.convert({"t": "toss.close", "id": round_id}, CloseToss)


def test_an_entry_is_kept_as_a_short_array():
    assert msgspec.json.encode(Entry("ann", "Ann", "t", "heads", 5, 9)) == b'["ann","Ann","t","heads",5,9]'


# the rounds on the menu


@pytest.mark.parametrize("play", ROUNDS, ids=lambda play: play.kind)
def test_a_round_speaks_of_itself_by_its_own_noun(play: Round[Any]):
    kinds = [*play.commands, *play.events, play.announced, play.opened]
    tags = [str(kind.__struct_config__.tag) for kind in kinds]
    assert {tag.partition(".")[0] for tag in tags} == {play.kind}
    assert len(set(tags)) == len(tags)
    assert all(issubclass(kind, RoundEvent) for kind in (*play.events, *play.reveals))
    assert set(play.reveals) <= set(play.events)


@pytest.mark.parametrize("play", ROUNDS, ids=lambda play: play.kind)
def test_hosts_lead_a_round_and_viewers_play_it(play: Round[Any]):
    led = {play.opens, *play.turns}
    assert {kind.needs for kind in led} == {Role.HOST}
    assert {kind.needs for kind in play.commands if kind not in led} <= {Role.VIEWER}


@pytest.mark.parametrize("play", ROUNDS, ids=lambda play: play.kind)
def test_an_announcement_has_room_for_nothing_that_should_wait(play: Round[Any]):
    if play.announcing is None:  # else it says of each field that it may be told ahead
        assert play.announced.__struct_fields__ == Opened.__struct_fields__ == ("id", "opens_at", "closes_at", "rules")
