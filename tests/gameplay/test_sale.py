"""Flash sale: what its host may do and when, what everybody is told of it, and what a viewer is shown of his part."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, json, structs

from gameplay.play import BELL_MS, OVERDUE_MS, Code, Move, Opened, Own, Played, Refusal, RoundCommand
from gameplay.sale import (
    LATE,
    LOOK_AGAIN_MS,
    PLAY,
    Announced,
    Cancel,
    CancelAll,
    Cancelled,
    Claim,
    Close,
    Closed,
    Extend,
    Extended,
    Open,
    Pause,
    Paused,
    Restock,
    Restocked,
    Resume,
    Resumed,
    SaleOpened,
    Wait,
    mine,
)
from liveroom.protocol import Malformed, read
from tests.gameplay.rounds import NOW, Game, asked

ID = "r_1"
SECONDS = 180_000


@dataclass
class Shop(Game):
    """A game with the numbers that ``sell.lua`` keeps; ``take`` and ``give`` do what viewers and the shop would."""

    numbers: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        counters = PLAY.counters(self.opens)
        self.numbers = {name: one for name, one in counters.items() if isinstance(one, int)}
        super().__post_init__()

    @property
    def played(self) -> Played[Any]:
        return structs.replace(super().played, numbers=dict(self.numbers))

    def move(self, move: Move) -> None:
        opened = self.opened
        super().move(move)
        self.opened = move.tell if isinstance(move.tell, Opened) else opened
        for name, more in move.adds.items():
            self.numbers[name] += more
        if move.amends:
            self.opened = structs.replace(self.opened, **move.amends)
        self.turn()

    def turn(self) -> None:
        """Sold out or not is decided by the script that counts."""
        if self.state in ("open", "sold_out"):
            self.state = "open" if self.numbers["free"] else "sold_out"

    def take(self, units: int, to: str = "held", of: str = "free") -> None:
        self.numbers[of] -= units
        self.numbers[to] += units
        self.turn()


def sale(**fields: Any) -> Shop:
    usual: dict[str, Any] = {"item": "mug", "price": 990, "stock": 3, "currency": "CNY"}
    return Shop(PLAY, Open(**usual | fields), id=ID)


def opened(game: Shop) -> SaleOpened:
    """What the room was told when it opened; the announcement is one of those too."""
    (told,) = (one for one in game.news if type(one) is SaleOpened)
    return told


# --- opening ---


def test_everybody_is_told_what_is_sold_and_how_to_get_it():
    game = sale(per_viewer=2, item=" a\tmug ")
    told = game.the(SaleOpened)
    assert told == SaleOpened(
        rules="Claim before it is gone: 3 in stock, 2 each. Held for 120 s; then pay.",
        item="a mug",
        price=990,
        currency="CNY",
        stock=3,
        per_viewer=2,
        hold_seconds=120,
    )
    assert "3 in stock, one each." in sale().the(SaleOpened).rules
    assert (game.state, game.bells) == ("open", {"close": NOW + SECONDS + BELL_MS})


def test_the_countdown_tells_all_of_it_ahead():
    game = sale(opens_at=NOW + 60_000)
    told = structs.asdict(game.the(Announced))
    assert (game.state, game.bells) == ("announced", {"open": NOW + 60_000})
    game.until(NOW + 60_000)
    assert structs.asdict(opened(game)) == told
    assert (game.state, game.closes_at) == ("open", NOW + 60_000 + SECONDS)


def test_at_first_everything_is_free():
    counters = PLAY.counters(sale(stock=7, per_viewer=2, hold_seconds=5).opens)
    assert {name: one for name, one in counters.items() if name != "counts"} == {
        "stock": 7,
        "free": 7,
        "held": 0,
        "sold": 0,
        "ranks": 0,
        "per_viewer": 2,
        "hold_ms": 5000,
    }
    assert json.decode(str(counters["counts"])) == {"left": 7, "held": 0, "sold": 0}


def test_the_currency_is_the_rooms_unless_the_host_names_one():
    opens = asked(PLAY, item="mug", price=1, stock=1)
    assert opens.currency is UNSET
    assert PLAY.completes(opens, "EUR").currency == "EUR"
    assert PLAY.completes(structs.replace(opens, currency="JPY"), "EUR").currency == "JPY"


def test_a_start_that_an_outage_kept_back_is_called_off():
    game = sale(opens_at=NOW + 1000).outage(NOW + 1000 + OVERDUE_MS + 1)
    assert (game.state, game.ended, game.bells) == ("cancelled", True, {})
    assert game.the(Cancelled) == Cancelled(LATE)
    assert [type(one) for one in game.news] == [Announced, Cancelled]


def test_a_start_that_comes_a_little_late_is_made_up_for():
    assert sale(opens_at=NOW + 1000).outage(NOW + 1000 + OVERDUE_MS).state == "open"
    assert sale(opens_at=NOW + 1000, seconds=10).outage(NOW + 11_000).state == "cancelled"


def test_an_end_that_an_outage_kept_back_is_only_late():
    game = sale().outage(NOW + SECONDS + 3_600_000)
    assert (game.state, game.ended, game.closes_at) == ("closed", True, NOW + SECONDS)
    assert game.the(Closed) == Closed()


# --- the host ---


def test_it_closes_by_its_bell():
    game = sale().until(NOW + SECONDS + BELL_MS - 1)
    assert game.state == "open"
    game.end()
    assert (game.state, game.ended, game.bells, game.closes_at) == ("closed", True, {}, NOW + SECONDS)


@pytest.mark.parametrize("taken", [0, 3])
def test_it_closes_by_its_bell_also_sold_out_or_paused(taken: int):
    for paused in (False, True):
        game = sale()
        game.take(taken, "sold")
        assert game.state == ("sold_out" if taken else "open")
        assert not paused or game.say(Pause(id=ID)) is None
        assert (game.end().state, game.ended) == ("closed", True)


def test_what_is_held_at_the_end_may_still_be_paid():
    game = sale()
    game.take(1)
    game.end()
    assert (game.state, game.ended, game.bells) == ("closed", False, {"settle": game.now + LOOK_AGAIN_MS})
    game.until(game.now + 3 * LOOK_AGAIN_MS)
    assert not game.ended
    game.take(1, "sold", "held")
    assert game.until(game.now + LOOK_AGAIN_MS).ended
    assert len(game.told(Closed)) == 1


def test_a_host_may_close_it_before_its_time():
    game = sale().until(NOW + 1000)
    assert game.say(Close(id=ID)) is None
    assert (game.state, game.ended, game.closes_at) == ("closed", True, NOW + 1000)
    assert game.say(Close(id=ID)) is None
    assert len(game.told(Closed)) == 1


def test_pausing_and_resuming():
    game = sale()
    assert game.say(Resume(id=ID)) is None  # it is open already
    assert game.say(Pause(id=ID)) is None
    assert game.say(Pause(id=ID)) is None
    assert (game.state, game.told(Paused)) == ("paused", [Paused()])
    assert game.say(Resume(id=ID)) is None
    assert (game.state, game.told(Resumed)) == ("open", [Resumed(NOW + SECONDS)])
    assert game.bells == {"close": NOW + SECONDS + BELL_MS}
    assert isinstance(game.opened, SaleOpened)


def test_a_longer_sale_ends_later():
    game = sale()
    game.until(NOW + 100_000)
    assert game.say(Extend(id=ID, seconds=60)) is None
    longer = NOW + SECONDS + 60_000
    assert (game.closes_at, game.the(Extended), game.opened.closes_at) == (longer, Extended(longer), longer)
    assert (game.state, game.bells) == ("open", {"close": longer + BELL_MS})
    game.take(3)
    assert game.say(Extend(id=ID, seconds=60)) is None
    assert (game.state, game.closes_at) == ("sold_out", longer + 60_000)
    assert game.say(Pause(id=ID)) is None
    assert game.say(Extend(id=ID, seconds=60)) is None
    assert (game.end().state, game.closes_at) == ("closed", longer + 120_000)


def test_a_longer_sale_that_is_only_announced_opens_at_its_time():
    game = sale(opens_at=NOW + 1000)
    assert game.say(Extend(id=ID, seconds=60)) is None
    assert (game.state, game.bells) == ("announced", {"open": NOW + 1000})
    assert game.closes_at == NOW + 1000 + SECONDS + 60_000
    assert (game.until(NOW + 1000).state, game.bells) == ("open", {"close": game.closes_at + BELL_MS})


def test_more_of_it_may_be_brought():
    game = sale()
    game.take(3)
    assert game.say(Restock(id=ID, qty=2)) is None
    assert (game.state, game.numbers["free"], game.numbers["stock"]) == ("open", 2, 5)
    assert (game.the(Restocked), game.opened.stock) == (Restocked(2, 5), 5)
    assert game.say(Pause(id=ID)) is None
    assert game.say(Restock(id=ID, qty=1)) is None
    assert (game.state, game.numbers["free"], game.opened.stock) == ("paused", 3, 6)


def test_what_is_brought_during_the_countdown_is_told_at_the_opening():
    game = sale(opens_at=NOW + 1000)
    assert game.say(Restock(id=ID, qty=2)) is None
    assert (game.state, game.opened.stock) == ("announced", 5)
    game.until(NOW + 1000)
    assert (opened(game).stock, game.numbers["stock"]) == (5, 5)
    assert "5 in stock" in opened(game).rules


@pytest.mark.parametrize("held", [0, 1])
def test_all_of_it_may_be_called_off(held: int):
    for game in (sale(), sale(opens_at=NOW + 1000)):
        game.take(held)
        assert game.say(CancelAll(id=ID, reason=" wrong\nprice ")) is None
        assert (game.state, game.ended) == ("cancelled", not held)
        assert game.the(Cancelled) == Cancelled("wrong price")
        assert game.say(CancelAll(id=ID, reason="again")) is None
        game.take(-held)
        assert game.until(game.now + LOOK_AGAIN_MS).ended
        assert len(game.told(Cancelled)) == 1


COMMANDS: dict[str, RoundCommand] = {
    "extend": Extend(id=ID, seconds=1),
    "restock": Restock(id=ID, qty=1),
    "pause": Pause(id=ID),
    "resume": Resume(id=ID),
    "close": Close(id=ID),
    "cancel_all": CancelAll(id=ID, reason="so"),
}
ALLOWED = {
    "announced": {"extend", "restock", "cancel_all"},
    "open": set(COMMANDS),
    "sold_out": set(COMMANDS),
    "paused": set(COMMANDS),
    "closed": {"close"},
    "cancelled": {"cancel_all"},
}


@pytest.mark.parametrize("state", ALLOWED)
def test_what_a_host_may_do_depends_on_how_it_stands(state: str):
    for name, command in COMMANDS.items():
        game = sale(**{"opens_at": NOW + 1000} if state == "announced" else {})
        game.take(3 if state == "sold_out" else 0)
        if state in ("paused", "closed", "cancelled"):
            game.say({"paused": Pause(id=ID), "closed": Close(id=ID)}.get(state, CancelAll(id=ID, reason="so")))
        assert game.state == state
        ver = game.ver
        assert game.say(command) is (None if name in ALLOWED[state] else Code.ROUND_STATE)
        assert name in ALLOWED[state] or (game.state, game.ver) == (state, ver)


@given(st.lists(st.sampled_from([*COMMANDS.values(), 1, 2, -1, 60_000]), max_size=30), st.booleans())
def test_whatever_a_host_does_it_ends_and_the_stock_is_what_was_brought(doings: list[Any], ahead: bool):
    game = sale(**{"opens_at": NOW + 1000} if ahead else {})
    for one in doings:
        if isinstance(one, RoundCommand):
            game.say(one)
        elif one > 100:
            game.until(game.now + one)
        elif one < 0 and game.numbers["held"]:
            game.take(1, "sold", "held")
        elif 0 < one <= game.numbers["free"] and game.state == "open":
            game.take(one)
        numbers = game.numbers
        assert numbers["free"] + numbers["held"] + numbers["sold"] == numbers["stock"]
        assert numbers["stock"] == 3 + sum(told.qty for told in game.told(Restocked))
    game.end()
    game.take(game.numbers["held"], "free", "held")
    game.until(game.now + LOOK_AGAIN_MS)
    assert game.ended
    assert len(game.told(Closed)) + len(game.told(Cancelled)) == 1


# --- a viewer's part ---


def own(*parts: dict[str, Any]) -> Own:
    return Own(ID, 1, "tag", json.encode(parts).decode())


HELD, OTHER = {"hold": "h_1", "until": 1, "qty": 1}, {"hold": "h_2", "until": 2, "qty": 1}
PAID, OFFERED = {**HELD, "order": "o_1", "rank": 1}, {"offered": True, "qty": 1, "until": 5}


@pytest.mark.parametrize(
    ("parts", "newest"),
    [
        ([HELD], HELD),
        ([{"waiting": True}], {"waiting": True}),
        ([PAID], PAID),
        ([HELD, OTHER], OTHER),
        ([PAID, OTHER], OTHER),
        ([OTHER, PAID], OTHER),
        ([OTHER, OFFERED], OFFERED),
        ([PAID, {**OTHER, "order": "o_2"}], {**OTHER, "order": "o_2"}),
    ],
)
def test_a_viewer_is_shown_what_he_may_still_pay_else_what_is_newest(parts: list[Any], newest: Any):
    assert mine(own(*parts)) == (newest if len(parts) == 1 else {**newest, "all": parts})


# --- what may be said ---


def said(**message: Any) -> Any:
    (one,) = read(json.encode(message))
    return one.refusal if isinstance(one, Malformed) else one


def test_what_is_left_out_is_the_usual():
    opens = asked(PLAY, item="mug", price=0, stock=1)
    assert (opens.per_viewer, opens.seconds, opens.hold_seconds, opens.opens_at) == (1, 180, 120, UNSET)
    assert said(t="sale.claim", id=ID) == Claim(id=ID, qty=1, again=False)
    assert said(t="sale.wait", id=ID) == Wait(id=ID)
    assert said(t="sale.cancel", hold="h_1_2") == Cancel(hold="h_1_2")


@pytest.mark.parametrize(
    "fields",
    [
        {"stock": 10**7, "per_viewer": 100, "seconds": 86_400, "hold_seconds": 3600, "price": 10**12},
        {"stock": 1, "per_viewer": 1, "seconds": 1, "hold_seconds": 1, "price": 0, "item": "m"},
        {"item": "杯" * 80, "currency": "EUR", "opens_at": NOW},
    ],
)
def test_a_host_may_open_one(fields: dict[str, Any]):
    opens = asked(PLAY, **{"item": "mug", "price": 1, "stock": 1} | fields)
    assert isinstance(opens, Open)
    assert len(Shop(PLAY, PLAY.completes(opens, "CNY")).opened.rules) <= 400


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        *(({name: None}, name) for name in ("item", "price", "stock")),
        *(({"item": one}, "item") for one in ("", "x" * 81, 7, " \n", "\u202e")),
        *(({"price": one}, "price") for one in (-1, 10**12 + 1, 1.5, "1")),
        *(({"stock": one}, "stock") for one in (0, -1, 10**7 + 1, 1.5)),
        *(({"per_viewer": one}, "per_viewer") for one in (0, 101, -1)),
        *(({"hold_seconds": one}, "hold_seconds") for one in (0, 3601, -1)),
        *(({"seconds": one}, "seconds") for one in (0, 86_401)),
        *(({"currency": one}, "currency") for one in ("", "eur", "EURO", "EU", "EUR\n", "ЕUR", 978)),
        *(({"opens_at": one}, "opens_at") for one in (-1, 2**53, "soon")),
        ({"colour": "red"}, "colour"),
    ],
)
def test_nothing_else_opens_one(fields: dict[str, Any], wrong: str):
    whole = {"item": "mug", "price": 1, "stock": 1} | fields
    refusal = asked(PLAY, **{name: one for name, one in whole.items() if one is not None})
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.params["field"]) == (Code.BAD_MESSAGE, wrong)
    assert refusal.params["why"]


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        *(({"t": "sale.claim", "id": ID, "qty": one}, "qty") for one in (0, -1, 101, 10**9, 1.5, "1", None)),
        ({"t": "sale.claim", "id": ID, "again": 1}, "again"),
        ({"t": "sale.claim", "id": ID, "idem": ""}, "idem"),
        ({"t": "sale.claim", "id": ID, "idem": "x" * 65}, "idem"),
        ({"t": "sale.claim"}, "id"),
        *(({"t": "sale.cancel", "hold": one}, "hold") for one in ("", "h_", "r_1", "h_1\n", "h_" + "1" * 61, "H_1", 1)),
        ({"t": "sale.cancel"}, "hold"),
        *(({"t": "sale.restock", "id": ID, "qty": one}, "qty") for one in (0, -1, 10**7 + 1)),
        *(({"t": "sale.extend", "id": ID, "seconds": one}, "seconds") for one in (0, -1, 86_401)),
        *(({"t": "sale.cancel_all", "id": ID, "reason": one}, "reason") for one in ("", "x" * 201)),
        ({"t": "sale.cancel_all", "id": ID}, "reason"),
    ],
)
def test_nothing_else_is_understood(message: dict[str, Any], wrong: str):
    refusal = said(**message)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.params["field"]) == (Code.BAD_MESSAGE, wrong)
    assert refusal.params["why"]


def test_events_have_the_names_that_the_protocol_gives_them():
    tags = {one.__struct_config__.tag for one in PLAY.events}
    names = "sold_out reopened paused resumed extended restocked closed cancelled stock held released offered confirmed"
    assert tags == {f"sale.{name}" for name in names.split()}
