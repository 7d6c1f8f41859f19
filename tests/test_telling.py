"""What is told of a room, as a person in the terminal reads it."""

import typing
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gameplay import lottery, quiz, sale, sprint
from gameplay.play import Event, RoundEvent
from liveroom import telling
from liveroom.menu import KINDS
from liveroom.protocol import PlayAnnounced, RhythmHint, StreamStarted, StreamStopped, encode

NOW = 1_700_000_000_000
MUG: dict[str, Any] = {
    **{"id": "r_1", "rules": "Claim before it is gone: 2 in stock, one each.", "opens_at": NOW + 30_000},
    **{"item": "Mug", "price": 990, "currency": "EUR", "stock": 2, "per_viewer": 1, "hold_seconds": 120},
}
MILLIS = st.integers(1, 2**53 - 1)
EVENTS = [event for play in KINDS.values() for event in (play.announced, play.opened, *play.events)]


def message(event: Event, **more: Any) -> dict[str, Any]:
    """As it comes out of a socket."""
    return {**msgspec.json.decode(encode(event)), **more}


def told(event: Event) -> str | None:
    """The line of an event of the log."""
    return telling.line(message(event, seq=7, ts=NOW))


def any_of(event: type[RoundEvent]) -> st.SearchStrategy[RoundEvent]:
    kinds = typing.get_type_hints(event)
    drawn = {name: MILLIS if kinds[name] is int else st.from_type(kinds[name]) for name in event.__struct_fields__}
    return st.builds(event, **drawn)


# sales


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (sale.Announced(**MUG), "for sale in 30 s: Mug, 9.90 EUR"),
        (sale.SaleOpened(**MUG), f"Mug, 9.90 EUR. {MUG['rules']} (/claim takes one)"),
        (sale.Held(id="r_1", hold="h", until=NOW, qty=2), "2 held for you: /pay buys, before the time is up"),
        (sale.Confirmed(id="r_1", hold="h", order="o_7", rank=3, qty=1, inbox="l"), "yours: order o_7, number 3"),
        (sale.SoldOut(id="r_1"), "sold out (/wait waits for one that comes back)"),
        (sale.Offered(id="r_1", until=NOW, qty=1, inbox="l"), "one is kept for you, not for long (/claim takes it)"),
        (sale.Reopened(id="r_1"), "there is some again (/claim takes one)"),
        (sale.Paused(id="r_1"), "the sale is paused"),
        (sale.Paused(id="r_1", reason="something was lost"), "the sale is paused: something was lost"),
        (sale.Resumed(NOW, id="r_1"), "the sale goes on"),
        (sale.Extended(NOW, id="r_1"), "the sale lasts longer"),
        (sale.Restocked(3, 5, id="r_1"), "3 more in stock"),
        (sale.Closed(id="r_1"), "the sale is closed; what is held can still be paid"),
        (sale.Cancelled("broken", id="r_1"), "the sale is cancelled: broken"),
    ],
    ids=lambda value: "" if isinstance(value, str) else msgspec.json.decode(encode(value))["t"],
)
def test_a_sale_is_told(event: RoundEvent, line: str):
    assert told(event) == line


@pytest.mark.parametrize(
    ("why", "line"),
    [
        ("expired", "1 not held for you any more: the time to pay ran out"),
        ("refunded", "1 not held for you any more: your payment was given back"),
        ("the payment failed", "1 not held for you any more: the payment failed"),
    ],
)
def test_who_loses_a_hold_is_told_why(why: str, line: str):
    assert told(sale.Released(id="r_1", hold="h", why=why, qty=1, inbox="l")) == line


def test_a_countdown_of_which_the_hour_is_not_known_says_what_is_for_sale():
    assert telling.line(message(sale.Announced(**MUG))) == "for sale: Mug, 9.90 EUR"


def test_the_stock_is_not_told_unit_by_unit():
    assert told(sale.InStock(left=1, held=1, sold=0, id="r_1", ver=3)) is None


@pytest.mark.parametrize(
    ("units", "currency", "written"),
    [
        (990, "EUR", "9.90 EUR"),
        (5, "CNY", "0.05 CNY"),
        (0, "EUR", "0.00 EUR"),
        (123_456_789, "USD", "1,234,567.89 USD"),
        (1200, "JPY", "1,200 JPY"),
        (1005, "BHD", "1.005 BHD"),
        (10_001, "CLF", "1.0001 CLF"),
        (990, "XXX", "9.90 XXX"),
    ],
)
def test_a_price_has_the_digits_of_its_currency(units: int, currency: str, written: str):
    assert telling.price(units, currency) == written


@pytest.mark.parametrize(
    ("event", "command"),
    [
        (sale.SaleOpened(**MUG), "sale.claim"),
        (sale.Reopened(id="r_1"), "sale.claim"),
        (sale.Offered(id="r_1", until=NOW, qty=1, inbox="l"), "sale.claim"),
        (lottery.Won(id="r_1", prize="Mug", claim_by=NOW), "lottery.claim"),
    ],
)
def test_what_is_there_to_be_taken_is_taken_by_claim(event: RoundEvent, command: str):
    found = telling.claimable(message(event))
    assert found == {"t": command, "id": "r_1"}
    assert telling.typed("/claim", {"lottery": "r_0"}, found) == found


@pytest.mark.parametrize(
    "event",
    [
        sale.Announced(**MUG),
        sale.SoldOut(id="r_1"),
        sale.Held(id="r_1", hold="h", until=NOW, qty=1),
        lottery.Won(id="r_1", prize="Mug"),
    ],
)
def test_what_is_not_there_to_be_taken_is_not_claimed(event: RoundEvent):
    assert telling.claimable(message(event)) is None


def test_a_slash_is_a_command_about_the_newest_round_of_its_kind():
    heard = {"quiz": "q", "lottery": "l", "sale": "s"}
    assert telling.typed("/wait", heard) == {"t": "sale.wait", "id": "s"}
    assert telling.typed("/enter", heard) == {"t": "lottery.enter", "id": "l"}
    assert telling.typed("/claim", heard) == {"t": "lottery.claim", "id": "l"}
    assert telling.typed("/2", heard) == {"t": "quiz.answer", "id": "q", "choice": 1}
    assert telling.typed("/0", heard) == {"t": "quiz.answer", "id": "q", "choice": 9999}  # refused, not the last one


@pytest.mark.parametrize("text", ["/wait", "/claim", "/enter", "/1", "/dance"])
def test_a_slash_without_its_round_is_no_command(text: str):
    assert telling.typed(text, {}) is None


# the other rounds


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (lottery.Cancelled("ill", id="r_1"), "the lottery is cancelled: ill"),
        (lottery.Won(id="r_1", prize="Mug"), "you won: Mug"),
        (lottery.Won(id="r_1", prize="Mug", claim_by=NOW), "you won: Mug (/claim takes it)"),
        (lottery.Result(3, 9, id="r_1"), "your rank was 3 of 9"),
        (lottery.Frozen(4, "abcdefghijklmnopqrst", id="r_1"), "4 entries are frozen, their root is abcdefghijklmnop…"),
        (quiz.Revealed(1, "So it is.", (3, 4), id="r_1"), "right is /2. So it is. (/1: 3  /2: 4)"),
        (quiz.Result(True, 10, 2, id="r_1"), "you are right: 10 points, rank 2"),
        (quiz.Result(False, 0, 9, id="r_1"), "you are wrong: 0 points, rank 9"),
        (sprint.Reached(500, id="r_1"), "500 likes reached"),
        (sprint.Closed(7, False, id="r_1"), "7 likes, not enough"),
        (sprint.Cancelled("late", id="r_1"), "the sprint is cancelled: late"),
    ],
    ids=lambda value: "" if isinstance(value, str) else msgspec.json.decode(encode(value))["t"],
)
def test_a_round_is_told(event: RoundEvent, line: str):
    assert told(event) == line


@pytest.mark.parametrize(
    ("names", "total", "line"),
    [
        ([], 0, "the winners are nobody"),
        (["Ann", "小雨"], 2, "the winners are Ann, 小雨"),
        (["Ann"], 9, "the winners are Ann and 8 more"),
    ],
)
def test_winners_are_told_by_name(names: list[str], total: int, line: str):
    winners = [{"name": name} for name in names]
    assert telling.line({"t": "lottery.drawn", "id": "r_1", "winners": winners, "winners_total": total}) == line


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__struct_config__.tag)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_event_of_a_play_has_words_or_is_kept_quiet(event: type[RoundEvent], data: st.DataObject):
    one = message(data.draw(any_of(event)), id="r_1", seq=7, ts=NOW)
    line = telling.line(one)
    assert line is None or line != telling.plain(one)


def test_a_play_that_has_no_words_here_is_told_by_its_fields():
    ours = {"t": "guess.closed", "id": "r_1", "seq": 7, "ts": NOW, "ver": 2, "best": 12}
    assert telling.line(ours) == "guess.closed: best 12"
    assert telling.line({**ours, "t": "guess.opened", "rules": "Guess."}) == "Guess."


@pytest.mark.parametrize("kind", ["chat.deleted", "room.stats", "like.total", "time.pong", "guess.progress"])
def test_what_is_no_news_of_a_round_has_no_line(kind: str):
    assert telling.line({"t": kind, "id": "c_1"}) is None
    assert telling.line({"t": "guess.closed"}) is None  # of none in particular


# the stream and its audience


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (StreamStarted("s_1", "Evening"), "the stream begins: Evening"),
        (StreamStarted("s_1", ""), "the stream begins"),
        (StreamStopped("s_1"), "the stream is over"),
        (PlayAnnounced("the great draw", NOW + 95_000), "in 1:35: the great draw"),
        (PlayAnnounced("the great draw", NOW - 1), "in 0:00: the great draw"),
    ],
)
def test_a_stream_is_told(event: Event, line: str):
    assert told(event) == line


def test_a_quiet_show_is_told_to_its_host_and_a_lively_one_is_not():
    assert telling.line(message(RhythmHint(14.9, "fine", 2.0, 1))) is None
    warning, alarm = RhythmHint(15.0, "warn", 0.5, 3), RhythmHint(20.4, "alarm", 0.0, 0)
    assert telling.line(message(warning)) == "warn: nothing has happened for 15 minutes; 3 left in the last one"
    assert telling.line(message(alarm)) == "alarm: nothing has happened for 20 minutes; 0 left in the last one"


def report(viewers: list[int], *, median: float | None = None, live: bool = True, **stay: Any) -> dict[str, Any]:
    """What is pushed of a stream with so many viewers every ten seconds, of whom nobody has left."""
    came = [max(0, after - before) for before, after in zip([0, *viewers], viewers, strict=False)]
    curve = [{"t": 10 * n, "viewers": v, "joins": came[n], "leaves": 0} for n, v in enumerate(viewers)]
    return {
        **{"t": "retention.live", "uv": max(viewers, default=0), "provisional": [], "stream": {"live": live}},
        "stay": {"curve": [], "median": median, "n": sum(came), "as_of": 10 * len(viewers), **stay},
        "online": {"bucket": 10, "now": viewers[-1] if viewers else 0, "curve": curve},
    }


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (report([]), "0 viewers · UV 0 · median stay – · "),
        (report([0]), "0 viewers · UV 0 · median stay – · ▁"),
        (report([0, 1]), "1 viewer · UV 1 · median stay more than 0:10 · ▁█"),
        (report([2, 4, 8], median=95.9), "8 viewers · UV 8 · median stay 1:35 · ▃▅█"),
        (report([1, 0], median=0.0, live=False), "the stream is over · UV 1 · median stay 0:00 · █▁"),
    ],
)
def test_the_audience_is_one_line(said: dict[str, Any], line: str):
    assert telling.audience(said) == line


def test_the_audience_is_told_beside_the_rounds():
    assert telling.line(report([1])) is None


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0, "0:00"), (59.9, "0:59"), (61, "1:01"), (3599, "59:59"), (3600, "1:00:00"), (90_061, "25:01:01")],
)
def test_a_stay_is_written_as_a_clock_does(seconds: float, written: str):
    assert telling.lasting(seconds) == written


def test_where_half_has_not_left_somebody_was_seen_to_stay_at_least_so_long():
    here = report([3, 3, 3, 3])
    assert telling.median_stay(here) == "more than 0:40"
    here["online"]["curve"][2]["leaves"] = 2  # the third of those who came first is still here
    assert telling.median_stay(here) == "more than 0:40"
    here["online"]["curve"][2]["leaves"] = 3
    assert telling.median_stay(here) == "more than 0:00"
    here["stay"]["curve"] = [{"t": 12.0}, {"t": 25.0}]
    assert telling.median_stay(here) == "more than 0:25"
    here["provisional"] = [{"t": 31.0}]
    assert telling.median_stay(here) == "more than 0:31"


def test_who_came_later_is_who_has_stayed_where_the_first_may_be_gone():
    later = report([1, 1, 5, 5])
    later["online"]["curve"][3]["leaves"] = 1
    assert telling.median_stay(later) == "more than 0:20"


def test_of_a_thinned_curve_it_is_not_known_who_came_first():
    thin = report([3, 3, 3])
    thin["online"]["curve"] = thin["online"]["curve"][::2]
    assert telling.median_stay(thin) == "more than 0:00"


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], ""),
        ([0, 0], "▁▁"),
        ([5, 5], "██"),
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([1000, *[0] * 19, 1], "▁" * 19 + "█"),  # the newest twenty, by the most of these
    ],
)
def test_a_curve_is_drawn_from_nobody_to_the_most(values: list[int], drawn: str):
    assert telling.sparks(values) == drawn
