"""Keyword lottery: nothing but what was told before decides who wins; a prize that nobody takes goes to the next."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from gameplay.eligible import Condition, Eligible
from gameplay.fairdraw import Ticket, chain, commitment, first_head, leaf, rules_hash
from gameplay.lottery import (
    PLAY,
    Announced,
    Cancel,
    Cancelled,
    Claim,
    Close,
    Drawn,
    Enter,
    Entrants,
    Frozen,
    LotteryOpened,
    Open,
    Replaced,
    Result,
    Settled,
    Void,
    Voided,
    Won,
    draw,
    proof,
    published,
)
from gameplay.play import Code, Own, Reading, Refusal
from liveroom import verify_draw
from tests.gameplay.rounds import NOW, SEED, Game, asked

END = NOW + 60_000
CLAIM_MS = 30_000
MOST_BYTES = 16 * 1024  # of a room event
CONTINENT = "\U0001f30f"  # four bytes


def viewers(n: int) -> list[str]:
    return [f"v{one}" for one in range(1, n + 1)]


def lottery(n: int = 0, **fields: Any) -> Game:
    """An open lottery that n viewers entered."""
    usual: dict[str, Any] = {"prize": "cup", "winners": 1, "seconds": 60}
    game = Game(PLAY, Open(**usual | fields))
    game.enter(*viewers(n))
    return game


def closed(n: int) -> Game:
    game = lottery(n, winners=2)
    game.now = END + 500
    game.ring("close")
    return game


def at(state: str) -> Game:
    match state:
        case "announced":
            return lottery(opens_at=NOW + 5000)
        case "open":
            return lottery(7)
        case "closed":
            return closed(7)
        case "drawn":
            return lottery(7, claim_seconds=30).end()
        case "settled":
            return lottery(7).end()
        case "cancelled":
            game = lottery(7)
            game.say(Cancel(id="r_1", reason="rain"))
        case _:
            game = closed(7)
            game.say(Void(id="r_1", reason="rain"))
    return game


STATES = ["announced", "open", "closed", "drawn", "settled", "cancelled", "voided"]


def proven(game: Game) -> dict[str, Any]:
    text = published(game.played, game.entries)
    assert text is not None
    return verify_draw.read_proof(text)


def agrees(claimed: dict[str, Any]) -> bool:
    return all(fine for _, fine in verify_draw.checks(verify_draw.read_proof(json.dumps(claimed))))


def order(game: Game) -> list[str]:
    """Winners, then alternates, by the proof."""
    who = {one.tag: one.viewer for one in game.entries}
    claimed = proven(game)
    return [who[tag] for tag in [*(one["tag"] for one in claimed["winners"]), *claimed["alternates"]]]


def names(winners: Any) -> list[str]:
    return [one.viewer for one in winners]


# opening


def test_seed_and_rules_are_bound_before_the_first_entry():
    opened = lottery(prize=" a\u202e cup ", winners=3, keyword="Ｗant", claim_seconds=30).opened
    assert opened == LotteryOpened(
        rules="Comment “Ｗant” or press Enter before the bell. 3 winners of: a cup. Each viewer once."
        " A prize is claimed within 30 seconds.",
        prize="a cup",
        winners=3,
        alternates=3,
        commit=commitment("r_1", SEED),
        rules_hash=opened.rules_hash,
        keyword="Ｗant",
        match="exact",
        claim_seconds=30,
    )


def test_the_rules_that_were_bound_are_those_of_the_proof():
    eligible = Eligible((Condition(level=3), Condition(one_per_device=True)), (Condition(answered_right="r_0"),))
    game = lottery(3, keyword="want", match="contains", claim_seconds=30, presence=True, eligible=eligible, seconds=9)
    claimed = proven(game.end())
    assert claimed["rules_hash"] == rules_hash(claimed["rules"]) == game.opened.rules_hash
    assert claimed["rules"] == {
        "prize": "cup", "winners": 1, "alternates": 1, "seconds": 9, "presence": True, "keyword": "want",
        "match": "contains", "claim_seconds": 30,
        "eligible": {"all_of": [{"level": 3}, {"one_per_device": True}], "any_of": [{"answered_right": "r_0"}]},
    }  # fmt: skip
    assert proven(lottery().end())["rules"].keys() == {"prize", "winners", "alternates", "seconds", "presence"}


def test_another_promise_has_another_hash():
    level = (Condition(level=1),)
    promises: list[dict[str, Any]] = [
        {}, {"prize": "cap"}, {"winners": 2}, {"seconds": 61}, {"alternates": 1}, {"claim_seconds": 1},
        {"presence": True}, {"keyword": "a"}, {"keyword": "b"}, {"keyword": "a", "match": "contains"},
        {"eligible": Eligible()}, {"eligible": Eligible(all_of=level)}, {"eligible": Eligible(any_of=level)},
    ]  # fmt: skip
    assert len({lottery(**promise).opened.rules_hash for promise in promises}) == len(promises)


@pytest.mark.parametrize(
    ("fields", "alternates"),
    [({}, 0), ({"claim_seconds": 30}, 4), ({"presence": True}, 4), ({"claim_seconds": 30, "alternates": 0}, 0),
     ({"alternates": 9}, 9)],
)  # fmt: skip
def test_there_is_an_alternate_for_each_winner_who_may_fall_out_unless_said(fields: dict[str, Any], alternates: int):
    assert lottery(winners=4, **fields).opened.alternates == alternates


def test_a_viewer_is_told_how_to_take_part():
    assert lottery().opened.rules == "Press Enter before the bell. 1 winner of: cup. Each viewer once."
    assert "Winners must be in the room at the draw." in lottery(presence=True).opened.rules
    longest = lottery(prize="x" * 80, keyword="x" * 80, winners=1000, claim_seconds=86_400, presence=True)
    assert len(longest.opened.rules) <= 400


def test_it_lasts_a_minute_unless_said():
    assert asked(PLAY, prize="cup", winners=1).seconds == 60


def test_an_announcement_says_no_more_than_that():
    game = at("announced")
    assert game.news == [Announced(rules="Press Enter before the bell. 1 winner of: cup. Each viewer once.")]
    assert isinstance(game.until(NOW + 5000).opened, LotteryOpened)


def test_nobody_sees_the_seed_before_the_draw():
    game = lottery(5).until(END + 499)
    game.now = END + 500
    game.ring("close")
    game.ring("freeze")
    assert isinstance(game.news[-1], Frozen)
    assert not [frame for frame in game.frames if SEED.hex().encode() in frame]
    game.ring("settle")
    assert game.the(Drawn).seed == SEED.hex()


@pytest.mark.parametrize(
    ("match", "enters"), [("exact", [True, True, False, False]), ("contains", [True, True, True, False])]
)
def test_a_comment_that_says_the_keyword_enters(match: str, enters: list[bool]):
    keyword = PLAY.keyword(lottery(keyword="Want  IT\u202e", match=match).opened)
    assert keyword is not None
    assert [keyword.matches(one) for one in ("want it", keyword.text, "i want it!", "want")] == enters


def test_without_a_keyword_no_comment_enters():
    assert PLAY.keyword(lottery().opened) is None
    assert (PLAY.enters, PLAY.claims, PLAY.often) == (Enter, Claim, False)


def test_conditions_are_told_at_the_opening():
    wants = Eligible(all_of=(Condition(level=3),))
    assert PLAY.eligible(lottery(eligible=wants).opened) == wants
    assert PLAY.eligible(lottery().opened) is None


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"prize": "杯" * 80, "winners": 1000, "seconds": 3600, "alternates": 1000, "claim_seconds": 86_400},
        {"seconds": 1, "alternates": 0, "claim_seconds": 1, "presence": True},
        {"keyword": CONTINENT * 80, "match": "contains"},
        {"eligible": {}},
        {"eligible": {"all_of": [{"level": 1}] * 10, "any_of": [{"answered_right": CONTINENT * 40}] * 10}},
    ],
)
def test_a_host_may_open_one(fields: dict[str, Any]):
    opens = asked(PLAY, **{"prize": "cup", "winners": 1} | fields)
    assert isinstance(opens, Open)
    assert len(Game(PLAY, opens).frames[0]) <= MOST_BYTES


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"prize": UNSET}, "prize"),
        ({"prize": ""}, "prize"),
        ({"prize": " \u202e\n"}, "prize"),
        ({"prize": "x" * 81}, "prize"),
        ({"winners": UNSET}, "winners"),
        ({"winners": 0}, "winners"),
        ({"winners": 1001}, "winners"),
        ({"winners": 1.5}, "winners"),
        ({"winners": "1"}, "winners"),
        ({"keyword": ""}, "keyword"),
        ({"keyword": None}, "keyword"),
        ({"keyword": "x" * 81}, "keyword"),
        ({"keyword": " \u200b\u202e\u2060"}, "keyword"),
        ({"match": "regex"}, "match"),
        ({"seconds": 0}, "seconds"),
        ({"seconds": 3601}, "seconds"),
        ({"alternates": -1}, "alternates"),
        ({"alternates": 1001}, "alternates"),
        ({"claim_seconds": 0}, "claim_seconds"),
        ({"claim_seconds": 86_401}, "claim_seconds"),
        ({"presence": 1}, "presence"),
        ({"seed": "00"}, "seed"),
        ({"preferred": ["ann"]}, "preferred"),
        ({"eligible": []}, "eligible"),
        ({"eligible": {"all_of": [{"level": 1}] * 11}}, "eligible.all_of"),
        ({"eligible": {"all_of": [{"charm": 1}]}}, "eligible.all_of[0]"),
        ({"eligible": {"none_of": []}}, "eligible"),
        ({"eligible": {"any_of": [{"liked": 0}]}}, "eligible.any_of[0].liked"),
        ({"eligible": {"any_of": [{"answered_right": ""}]}}, "eligible.any_of[0].answered_right"),
        ({"eligible": {"all_of": [{"not_won_days": 3651}]}}, "eligible.all_of[0].not_won_days"),
        ({"eligible": {"all_of": [{}]}}, "eligible"),
        ({"eligible": {"all_of": [{"level": 1, "liked": 1}]}}, "eligible"),
        ({"eligible": {"any_of": [{"one_per_device": True}]}}, "eligible"),
    ],
)
def test_nothing_else_opens_one(fields: dict[str, Any], wrong: str):
    all_ = {"prize": "cup", "winners": 1} | fields
    refusal = asked(PLAY, **{name: value for name, value in all_.items() if value is not UNSET})
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.params["field"]) == (Code.BAD_MESSAGE, wrong)
    assert refusal.params["why"]


# entering


def test_a_receipt_is_complete_at_once_and_the_same_when_its_owner_comes_back():
    own = Own("r_1", 3, "tag", "")
    assert PLAY.receipt(own) == PLAY.mine(own)
    assert PLAY.receipt(own) == {
        "receipt": {"n": 3, "tag": "tag", "weight": 1, "leaf": leaf("r_1", Ticket(3, "tag")).hex(), "draw": "r_1"}
    }


@settings(max_examples=30)
@given(st.lists(st.integers(0, 9), max_size=6), st.integers(1, 10))
def test_every_head_that_was_told_binds_the_entries_of_the_proof(bursts: list[int], page: int):
    game = lottery(winners=3)
    game.page = page
    for second, burst in enumerate(bursts):
        game.enter(*(f"v{second}.{n}" for n in range(burst)))
        game.until(NOW + 1000 * (second + 1))
    game.enter("late")
    claimed = proven(game.end())
    leaves = [leaf("r_1", Ticket(one["n"], one["tag"], one["weight"])) for one in claimed["entries"]]
    heads = game.told(Entrants)
    assert [one.head for one in heads] == [chain(first_head("r_1"), leaves[: one.n]).hex() for one in heads]
    assert heads[-1].n == len(leaves) == 1 + sum(bursts)
    assert claimed["chain"] == chain(first_head("r_1"), leaves).hex()
    for n, one in enumerate(game.entries, 1):
        assert PLAY.receipt(Own("r_1", n, one.tag, ""))["receipt"]["leaf"] == leaves[n - 1].hex()


def test_a_head_is_told_once_a_second_if_somebody_entered():
    game = lottery().until(NOW + 2999)
    assert game.told(Entrants) == [Entrants(0, 0, first_head("r_1").hex())]
    game.enter(*viewers(2))
    game.until(NOW + 6000)
    assert [(one.entrants, one.n) for one in game.told(Entrants)] == [(0, 0), (2, 2)]


def test_a_rush_is_read_page_by_page_without_waiting():
    game = lottery()
    game.page = 4
    game.enter(*viewers(10))
    game.until(NOW + 1000)
    assert [(one.entrants, one.n) for one in game.told(Entrants)] == [(0, 0), (10, 4), (10, 8), (10, 10)]
    assert (game.ver, game.bells["progress"]) == (1 + 3, NOW + 2000)


def test_who_enters_while_a_head_is_made_is_in_it_and_it_is_still_told_once_a_second():
    game = lottery(3)
    played = msgspec.structs.replace(game.played, entered=2)  # it was read before the third came
    move = PLAY.table["progress"].does(played, game.reading(frozenset({"fresh"})))
    assert move is not None
    assert move.bells == {"progress": game.now + 1000}
    assert isinstance(move.shows, Entrants)
    assert (move.shows.entrants, move.shows.n) == (3, 3)


# the draw


def test_entries_are_frozen_and_their_root_is_told_before_anybody_wins():
    game = lottery(5, winners=2)
    assert not game.until(END + 499).told(Frozen)
    kinds = [type(one) for one in game.until(END + 500).news]
    assert kinds[-3:] == [Frozen, Drawn, Settled]
    assert (game.the(Frozen).n, game.the(Frozen).root) == (5, proven(game)["root"])
    assert proven(game)["closed_at"] == END


def test_nobody_wins_before_the_entries_are_frozen():
    game = closed(5)
    game.ring("settle")
    assert (game.state, game.told(Drawn), game.wins) == ("closed", [], [])


def test_who_freezes_or_draws_once_more_tells_nothing_new():
    game = closed(5)
    for bell, kind in (("freeze", Frozen), ("settle", Drawn)):
        game.ring(bell)
        game.ring(bell)
        assert len(game.told(kind)) == 1


def test_a_host_who_closes_it_freezes_what_there_is():
    game = lottery(5).until(NOW + 7000)
    game.say(Close(id="r_1"))
    assert (game.the(Frozen).n, game.closes_at, proven(game)["closed_at"]) == (5, NOW + 7000, NOW + 7000)


@settings(max_examples=50)
@given(st.integers(0, 30), st.integers(1, 12), st.integers(0, 12), st.binary(min_size=32, max_size=32))
def test_winners_are_entrants_each_once_and_whoever_draws_again_gets_the_same(
    n: int, winners: int, alternates: int, seed: bytes
):
    game = Game(PLAY, Open(prize="cup", winners=winners, alternates=alternates), seed=seed)
    game.enter(*viewers(n))
    drawn = game.end().the(Drawn)
    won, waiting = names(drawn.winners), names(drawn.alternates)
    assert len({*won, *waiting}) == len(won + waiting) == min(n, winners + alternates)
    assert {*won, *waiting} <= set(viewers(n))
    assert (len(won), drawn.winners_total, drawn.undersubscribed) == (min(n, winners), min(n, winners), n < winners)
    assert order(game) == won + waiting

    other = Game(PLAY, game.opens, seed=seed, entries=game.entries).end()
    assert other.frames[-3:] == game.frames[-3:]
    assert (other.letters, other.wins, other.results) == (game.letters, game.wins, game.results)
    assert agrees(proven(game))


@pytest.mark.parametrize("n", [0, 1, 2, 7, 100])
def test_anybody_can_check_the_proof(n: int):
    game = lottery(n, winners=3, alternates=2).end()
    assert agrees(proven(game))
    assert len(proven(game)["entries"]) == n


def removed(claimed: dict[str, Any]) -> None:
    del claimed["entries"][4]


def removed_and_numbered_anew(claimed: dict[str, Any]) -> None:
    del claimed["entries"][4]
    for n, one in enumerate(claimed["entries"], 1):
        one["n"] = n


def swapped(claimed: dict[str, Any]) -> None:
    one, other = claimed["entries"][2:4]
    one["tag"], other["tag"] = other["tag"], one["tag"]


def added(claimed: dict[str, Any]) -> None:
    claimed["entries"].append({"n": len(claimed["entries"]) + 1, "tag": "f" * 32, "weight": 1})


def given_more_tickets(claimed: dict[str, Any]) -> None:
    claimed["entries"][0]["weight"] = 100


def another_seed(claimed: dict[str, Any]) -> None:
    claimed["seed"] = "ff" * 32


def another_seed_and_commitment(claimed: dict[str, Any]) -> None:
    claimed |= {"seed": "ff" * 32, "commit": commitment("r_1", bytes.fromhex("ff" * 32))}


def another_winner(claimed: dict[str, Any]) -> None:
    claimed["winners"][0]["tag"] = claimed["alternates"][0]


def another_alternate(claimed: dict[str, Any]) -> None:
    claimed["alternates"].reverse()


def another_prize(claimed: dict[str, Any]) -> None:
    claimed["rules"]["prize"] = "car"


@pytest.mark.parametrize(
    "lie",
    [removed, removed_and_numbered_anew, swapped, added, given_more_tickets, another_seed, another_seed_and_commitment,
     another_winner, another_alternate, another_prize],
)  # fmt: skip
def test_a_lie_about_it_is_found(lie: Callable[[dict[str, Any]], None]):
    claimed = proven(lottery(12, winners=3, alternates=2).end())
    lie(claimed)
    assert not agrees(claimed)


def test_what_was_told_names_the_proof_byte_for_byte_to_the_very_end():
    game = lottery(7, winners=2, claim_seconds=30).end()
    told = game.the(Drawn).proof
    assert told.url == "/v1/rooms/demo/rounds/r_1/proof"
    while not game.ended:
        assert hashlib.sha256(published(game.played, game.entries) or b"").hexdigest() == told.sha256
        game.until(min(game.bells.values(), default=0))
    game.say(Void(id="r_1", reason="rain"))
    assert hashlib.sha256(published(game.played, game.entries) or b"").hexdigest() == told.sha256


def test_the_proof_is_the_same_whoever_writes_it():
    game = lottery(7, winners=2, alternates=1).end()
    who = {one.viewer: one for one in game.entries}
    ranked = [who[one] for one in order(game)]
    text = proof(game.played, SEED, game.entries, ranked[:2], ranked[2:])
    assert text == published(game.played, game.entries)
    assert text.startswith(b'{"v":1,"room":"demo","id":"r_1","opened_at":%d,"closed_at":%d,"rules":{' % (NOW, END))


@pytest.mark.parametrize("state", ["announced", "open", "closed", "cancelled", "voided"])
def test_a_draw_that_was_not_told_has_no_proof(state: str):
    game = at(state)
    assert published(game.played, game.entries) is None


def test_a_proof_names_nobody():
    game = lottery(9, winners=9).end()
    text = published(game.played, game.entries) or b""
    assert text.count(game.entries[0].tag.encode()) == 2
    assert not [one for one in game.entries if one.viewer.encode() in text or one.name.encode() in text]


def test_nobody_enters_nobody_wins():
    game = lottery(winners=3, claim_seconds=30).end()
    drawn = game.the(Drawn)
    assert (drawn.winners, drawn.winners_total, drawn.alternates, drawn.undersubscribed) == ((), 0, (), True)
    assert (game.state, game.the(Settled), game.wins, game.letters) == ("settled", Settled(0), [], [])


def test_with_fewer_entrants_than_prizes_all_win():
    drawn = lottery(2, winners=3).end().the(Drawn)
    assert (set(names(drawn.winners)), drawn.winners_total, drawn.undersubscribed) == ({"v1", "v2"}, 2, True)
    assert not lottery(3, winners=3).end().the(Drawn).undersubscribed


def test_ten_thousand_draws_favour_nobody():
    # Chi-square with 9 degrees of freedom is below 27.88 in all but one of 1,000 worlds.
    game = lottery(10)
    game.ring("close")
    game.ring("freeze")
    won: Counter[str] = Counter()
    for n in range(10_000):
        reading = Reading(game.now, hashlib.sha256(b"%d" % n).digest(), game.entries)
        opened = PLAY.opening(game.played, reading)
        move = draw(msgspec.structs.replace(game.played, opened=opened), reading)
        assert move is not None
        won[move.wins[0].viewer] += 1
    assert sum((won[one] - 1000) ** 2 / 1000 for one in viewers(10)) < 27.88


def test_the_first_fifty_are_listed_and_the_rest_is_in_the_proof():
    game = lottery(300, winners=120, alternates=90).end()
    drawn = game.the(Drawn)
    assert names(drawn.winners) == order(game)[:50]
    assert names(drawn.alternates) == order(game)[120:170]
    assert (drawn.winners_total, len(game.wins), len(game.letters), len(order(game))) == (120, 120, 120, 210)


def crowd_with_long_names(**fields: Any) -> Game:
    game = lottery(prize="杯" * 80, winners=100, **fields)
    game.enter(*(f"{n:064}" for n in range(200)))
    game.entries = [msgspec.structs.replace(one, name="名" * 40) for one in game.entries]
    return game.end()


def test_the_longest_draw_fits_an_event():
    game = crowd_with_long_names(alternates=100)
    drawn = game.the(Drawn)
    assert len(msgspec.json.encode(drawn)) <= MOST_BYTES
    assert names(drawn.winners) == order(game)[: len(drawn.winners)]
    assert names(drawn.alternates) == order(game)[100 : 100 + len(drawn.alternates)]
    assert min(len(drawn.winners), len(drawn.alternates)) >= 10


def test_the_longest_replacement_fits_an_event():
    replaced = crowd_with_long_names(claim_seconds=30).until(END + 60_000).told(Replaced)[0]
    assert len(msgspec.json.encode(replaced)) <= MOST_BYTES


def test_winners_are_written_to_and_go_to_the_ledger_in_their_order():
    game = lottery(5, winners=2, claim_seconds=30).end()
    first, second = order(game)[:2]
    assert game.letters == [(one, Won("cup", game.now + CLAIM_MS)) for one in (first, second)]
    assert [(one.viewer, one.name, one.place, one.prize) for one in game.wins] == [
        (first, first.title(), 1, "cup"),
        (second, second.title(), 2, "cup"),
    ]
    assert [one.tag for one in game.wins] == [one["tag"] for one in proven(game)["winners"]]
    assert lottery(5).end().letters[0][1] == Won("cup")


def test_everybody_is_told_his_own_rank():
    game = lottery(9, winners=2, alternates=7).end()
    assert game.results == {viewer: Result(rank, 9) for rank, viewer in enumerate(order(game), 1)}
    assert ranks_asked_for(game) == game.results


def test_in_a_very_large_crowd_a_rank_is_told_to_those_who_ask():
    assert len(lottery(10_000).end().results) == 10_000
    game = lottery(10_001).end()
    assert game.results == {}
    ranks = ranks_asked_for(game)
    assert ranks[game.wins[0].viewer] == Result(1, 10_001)
    assert {one.rank for one in ranks.values()} == set(range(1, 10_002))


def ranks_asked_for(game: Game) -> Any:
    assert PLAY.ranks is not None
    return PLAY.ranks(game.played, game.reading(PLAY.settle_reads))


# claims


def test_what_nobody_has_to_claim_is_settled_at_once():
    game = lottery(5, winners=2).end()
    assert (game.state, game.now, game.news[-1]) == ("settled", END + 500, Settled(2))
    assert game.loses == []


def test_a_prize_that_is_not_claimed_goes_to_the_next():
    game = lottery(9, winners=2, claim_seconds=30).end()
    first, second, third, _ = order(game)
    assert game.claim(second) is None
    due = game.now + CLAIM_MS
    assert not game.until(due + 399).told(Replaced)  # a claim may come as late as an entry
    replaced = game.until(due + 400).the(Replaced)
    tags = {one.viewer: one.tag for one in game.entries}
    assert (replaced.out, names(replaced.winners), replaced.why) == ((tags[first],), [third], "unclaimed")
    assert game.loses == [first]
    assert game.letters[-1] == (third, Won("cup", due + 400 + CLAIM_MS))
    assert [(one.viewer, one.place) for one in game.wins] == [(first, 1), (second, 2), (third, 3)]


def test_nobody_loses_his_prize_for_a_bell_that_rings_too_early():
    game = lottery(9, winners=1, claim_seconds=30).end()
    due = game.now + CLAIM_MS
    for now, replaced in ((due + 300, 0), (due + 301, 1)):
        game.now = now
        game.ring("claims")
        assert len(game.told(Replaced)) == replaced


def test_it_goes_on_until_nobody_is_left():
    game = lottery(20, winners=3, alternates=5, claim_seconds=30).end()
    ranking = order(game)
    game.until(game.now + 10 * CLAIM_MS)
    assert [names(one.winners) for one in game.told(Replaced)] == [ranking[3:6], ranking[6:8], []]
    assert (game.state, game.the(Settled), game.loses) == ("settled", Settled(0), ranking)
    assert [one.place for one in game.wins] == list(range(1, 9))


def test_as_soon_as_all_have_claimed_it_is_settled():
    game = lottery(9, winners=2, claim_seconds=30).end()
    for n, winner in enumerate(order(game)[:2], 1):
        assert game.state == "drawn"
        game.until(END + 1000 * n)
        assert game.claim(winner) is None
    assert (game.state, game.now, game.news[-1]) == ("settled", END + 2000, Settled(2))
    assert not game.told(Replaced)


def test_only_a_winner_claims_and_in_his_time():
    game = lottery(9, winners=2, claim_seconds=30).end()
    first, second, third, fourth = order(game)
    due = game.now + CLAIM_MS
    assert PLAY.may_claim(game.played, first, due + 300) == due + 300
    late = PLAY.may_claim(game.played, first, due + 301)
    assert isinstance(late, Refusal)
    assert (late.code, late.params) == (Code.ROUND_CLOSED, {"closed_at": due})
    assert (game.claim(third), game.claim(fourth), game.claim("nobody")) == (Code.NOT_ELIGIBLE,) * 3
    game.until(due + 400)
    assert (game.claim(first), game.claim(second), game.claim(third)) == (Code.NOT_ELIGIBLE, Code.NOT_ELIGIBLE, None)
    assert game.until(due + 400 + CLAIM_MS + 300).claim(fourth) is None
    assert game.the(Settled) == Settled(2)


def test_who_claims_again_is_answered_as_before_also_when_it_is_settled():
    game = lottery(9, winners=2, claim_seconds=30).end()
    first, second, *_ = order(game)
    assert (game.claim(first), game.claim(first), game.claim(second)) == (None, None, None)
    assert game.state == "settled"
    assert (game.claim(first), game.claim(second)) == (None, None)
    assert game.until(game.now + 10 * CLAIM_MS).claim(first) is None
    assert game.told(Settled) == [Settled(2)]


def test_who_claims_again_is_answered_as_before_also_while_others_are_replaced():
    game = lottery(9, winners=2, claim_seconds=30).end()
    first, second, *_ = order(game)
    assert game.claim(first) is None
    assert game.until(game.now + CLAIM_MS + 400).loses == [second]
    assert (game.state, game.claim(first), game.claim(second)) == ("drawn", None, Code.NOT_ELIGIBLE)


@pytest.mark.parametrize("state", ["open", "closed", "cancelled", "voided"])
def test_nobody_claims_what_was_not_drawn(state: str):
    assert at(state).claim("v1") is Code.ROUND_STATE


def test_where_no_time_is_set_a_winner_may_claim_until_it_is_settled():
    game = lottery(1)
    for bell in ("close", "freeze", "settle"):
        game.ring(bell)
    assert PLAY.may_claim(game.played, "v1", game.now) == game.now


def test_whoever_is_not_there_is_replaced_by_those_who_are():
    game = lottery(9, winners=2, alternates=4, presence=True)
    away = lottery(9, winners=2, alternates=4, presence=True)
    away.here = {"nobody"}
    ranking = order(away.end())
    game.here = {ranking[1], ranking[3], ranking[5]}
    replaced = game.end().the(Replaced)
    assert (names(replaced.winners), replaced.why, game.loses) == ([ranking[3]], "absent", [ranking[0]])
    assert game.the(Settled) == Settled(2)
    assert (names(away.the(Replaced).winners), away.the(Settled), away.loses) == ([], Settled(0), ranking[:2])


def test_who_is_banned_wins_nothing_and_his_prize_goes_to_the_next_who_is_not():
    ranking = order(lottery(9, winners=2, alternates=3).end())
    game = lottery(9, winners=2, alternates=3)
    game.banned = {ranking[0], ranking[2]}
    replaced = game.end().the(Replaced)
    assert (names(replaced.winners), replaced.why, game.loses) == ([ranking[3]], "banned", [ranking[0]])
    assert game.the(Settled) == Settled(2)


def test_of_those_who_are_banned_and_those_who_are_gone_all_lose_at_once():
    ranking = order(lottery(9, winners=2, alternates=3, presence=True).end())
    game = lottery(9, winners=2, alternates=3, presence=True)
    game.here, game.banned = set(viewers(9)) - {ranking[1]}, {ranking[0]}
    replaced = game.end().the(Replaced)
    assert (replaced.lost, replaced.why, names(replaced.winners)) == (2, "absent", ranking[2:4])


def test_without_alternates_the_prize_of_who_is_banned_is_nobodys():
    ranking = order(lottery(9, winners=2).end())
    game = lottery(9, winners=2)
    game.banned = {ranking[0]}
    assert (game.end().the(Replaced).winners, game.the(Settled)) == ((), Settled(1))


def test_an_alternate_who_comes_back_before_his_turn_is_not_passed_over():
    game = lottery(9, winners=1, alternates=2, presence=True, claim_seconds=30)
    ranking = order(lottery(9, winners=1, alternates=2, presence=True, claim_seconds=30).end())
    game.here = {ranking[1]}
    assert names(game.end().the(Replaced).winners) == [ranking[1]]
    game.here = {ranking[2]}
    game.until(game.now + CLAIM_MS + 400)
    assert names(game.told(Replaced)[1].winners) == [ranking[2]]


def test_being_there_is_asked_once_and_claiming_comes_after():
    game = lottery(9, winners=1, alternates=3, presence=True, claim_seconds=30)
    game.here = set(viewers(9))
    ranking = order(game.end())
    game.here = {ranking[2]}
    game.until(game.now + CLAIM_MS + 400)
    assert (names(game.the(Replaced).winners), game.the(Replaced).why) == ([ranking[2]], "unclaimed")
    game.here = set()
    assert game.claim(ranking[2]) is None
    assert (game.state, game.news[-1]) == ("settled", Settled(1))


@settings(max_examples=60)
@given(
    st.integers(0, 12), st.integers(1, 4), st.integers(0, 6), st.booleans(), st.booleans(),
    st.sets(st.sampled_from(viewers(12))), st.sets(st.sampled_from(viewers(12))),
)  # fmt: skip
def test_prizes_go_to_the_first_who_are_there_and_claim(
    n: int, winners: int, alternates: int, presence: bool, claiming: bool, here: set[str], claims: set[str]
):
    asks: dict[str, Any] = {"claim_seconds": 30} if claiming else {}
    game = lottery(n, winners=winners, alternates=alternates, presence=presence, **asks)
    game.here, game.claims = here, dict.fromkeys(claims, END)
    game.until(END + 20 * CLAIM_MS)
    able = [
        one for one in order(game) if (one in here or not presence) and (one in claims or not claiming)
    ]  # those whom nothing keeps from a prize
    held = Counter(one.viewer for one in game.wins)
    held.subtract(game.loses)
    assert game.state == "settled"
    assert game.the(Settled) == Settled(len(able[:winners]))
    assert +held == Counter(able[:winners])
    assert len({one.place for one in game.wins}) == len(game.wins)


# after an outage


def test_an_outage_over_the_end_delays_the_draw_and_says_so():
    for late, delayed in ((30_000, False), (30_001, True)):
        game = lottery(5).outage(END + late)
        assert (game.state, game.the(Drawn).delayed) == ("settled", delayed)
        assert (game.closes_at, proven(game)["closed_at"]) == (END, END)


def test_an_outage_over_the_opening_cancels_it():
    game = at("announced").outage(NOW + 35_001)
    assert (game.state, game.ended) == ("cancelled", True)
    assert "out of order" in game.the(Cancelled).reason
    assert at("announced").outage(NOW + 35_000).state == "open"


# ends


CLOSES = {"open": "settled", **dict.fromkeys(["closed", "drawn", "settled"], "same")}
CANCELS = {"announced": "cancelled", "open": "cancelled", "cancelled": "same"}
VOIDS = {"closed": "voided", "drawn": "voided", "settled": "voided", "voided": "same"}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    ("command", "table"),
    [(Close(id="r_1"), CLOSES), (Cancel(id="r_1", reason="rain"), CANCELS), (Void(id="r_1", reason="rain"), VOIDS)],
)
def test_a_host_may_close_cancel_before_the_freeze_and_void_after_it(state: str, command: Any, table: dict[str, str]):
    game = at(state)
    assert game.state == state
    ver = game.ver
    assert game.say(command) is (None if state in table else Code.ROUND_STATE)
    to = table.get(state, "same")
    assert game.state == (state if to == "same" else to)
    assert (game.ver == ver) is (to == "same")


@pytest.mark.parametrize("kind", [Cancel, Void])
@pytest.mark.parametrize(("reason", "fine"), [("", False), ("x", True), ("雨" * 200, True), ("x" * 201, False)])
def test_a_host_who_ends_it_otherwise_says_why(kind: Any, reason: str, fine: bool):
    tag = kind.__struct_config__.tag
    if fine:
        assert msgspec.convert({"t": tag, "id": "r_1", "reason": reason}, kind).reason == reason
    for wrong in ({} if fine else {"reason": reason}), {"reason": None}:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"t": tag, "id": "r_1", **wrong}, kind)


def test_a_cancelled_lottery_tells_why_and_no_seed():
    game = at("cancelled")
    assert (game.the(Cancelled), game.ended) == (Cancelled("rain"), True)
    assert not [frame for frame in game.frames if SEED.hex().encode() in frame]


@pytest.mark.parametrize("state", ["closed", "drawn", "settled"])
def test_a_voided_lottery_tells_why_and_its_seed(state: str):
    game = at(state)
    game.say(Void(id="r_1", reason=" rain\n"))
    assert (game.the(Voided), game.ended) == (Voided("rain", SEED.hex()), True)
    assert commitment("r_1", bytes.fromhex(game.the(Voided).seed)) == game.opened.commit


@pytest.mark.parametrize(("state", "ms"), [("closed", 0), ("drawn", 0), ("drawn", CLAIM_MS + 400), ("settled", 0)])
def test_nobody_keeps_what_he_won_in_a_lottery_that_is_voided(state: str, ms: int):
    game = at(state)
    if ms:
        assert game.until(game.now + ms).the(Replaced)
    game.say(Void(id="r_1", reason="rain"))
    assert Counter(game.loses) == Counter(one.viewer for one in game.wins)


def test_without_the_seed_that_was_committed_to_nobody_wins():
    game = lottery(5)
    game.seed = bytes(32)
    assert game.end().state == "voided"
    assert "draw key" in game.the(Voided).reason
    assert (game.told(Drawn), game.wins, game.letters) == ([], [], [])


def test_the_seed_of_a_draw_that_was_told_stays_what_it_was():
    game = at("drawn")
    game.seed = bytes(32)  # the server has another draw key by now
    assert ranks_asked_for(game) == game.results
    game.say(Void(id="r_1", reason="rain"))
    assert game.the(Voided).seed == game.the(Drawn).seed
