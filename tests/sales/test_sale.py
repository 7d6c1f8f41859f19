"""A sale as people live it, over two nodes with real sockets: countdown, holds, payments, the waitlist and the host."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import pytest

from gameplay.play import GRACE_MS
from tests.house import Guest, House, Node, guests, join, numbers, token
from tests.rounds.stage import Message, code, events, get
from tests.sales.stage import MUG, PRIVATE, SURE, Stall, numbers_of

PEOPLE = ("ann", "bob", "cem")


class Shop(Stall):
    """A stall without a model: a test says itself what should become of the sale."""

    async def sell(self, node: int = 0, **fields: Any) -> str:
        said = await self.ask("host", node, "sale.open", **MUG | {"hold_seconds": 600, "seconds": 3600} | fields)
        assert said["t"] == "ok", said
        self.sale = str(said["id"])
        await self.all_hear("sale.announced" if fields.get("opens_at") else "sale.opened")
        return self.sale

    async def all_hear(self, kind: str, **fields: Any) -> Message:
        """Everybody, wherever he is, is told the same of the sale."""
        told = [await guest.hear(kind, SURE, id=self.sale, **fields) for guest in self.inside.values()]
        assert told == [told[0]] * len(told)
        return told[0]

    async def settles(self, left: int, held: int, sold: int) -> None:
        """The sale comes to these numbers, and both nodes say so."""
        deadline = time.monotonic() + SURE
        while True:
            seen = [await self.look(node=n) for n, _ in enumerate(self.nodes)]
            if all(numbers_of(one)[1:] == (left, held, sold) for one in seen):
                return
            assert time.monotonic() < deadline, seen[0]["counts"]
            await asyncio.sleep(0.05)

    async def claim(self, name: str, node: int = 0, idem: str = "", **fields: Any) -> Message:
        idem = idem or f"claim {next(numbers)}"
        return await self.devices[name][node].ask("sale.claim", SURE, id=self.sale, idem=idem, **fields)

    async def hold(self, name: str, node: int = 0, **fields: Any) -> str:
        said = await self.claim(name, node, again=True, **fields)
        assert said["t"] == "ok", said
        return str(said["hold"])

    async def wait(self, name: str, node: int = 0) -> Message:
        return await self.devices[name][node].ask("sale.wait", SURE, id=self.sale)

    async def turn(self, verb: str, node: int = 0, **fields: Any) -> Message:
        return await self.devices["host"][node].ask(f"sale.{verb}", SURE, id=self.sale, **fields)

    async def pay(self, hold: str, node: int = 0, payment: str = "") -> Message:
        said = await self.shop("confirm", hold, {"payment_id": payment or f"for {hold}", "paid_at": 1}, node)
        return dict(said[1])

    async def let_go(self, hold: str, node: int = 0) -> Message:
        return dict((await self.shop("cancel", hold, {"reason": "so"}, node))[1])

    async def both_hear(self, name: str, kind: str, **fields: Any) -> Message:
        """A viewer is told on each of his devices."""
        told = [await guest.hear(kind, SURE, **fields) for guest in self.devices[name]]
        assert told == [told[0]] * len(told)
        return told[0]

    async def gone(self) -> None:
        """Nothing of the sale is left on the wall."""
        deadline = time.monotonic() + SURE
        while True:
            async with guests(join(self.nodes[1], self.room, sub="late")) as (late,):
                if not late.welcome["snapshot"]["rounds"]:
                    return
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)

    def turns(self, guest: Guest) -> list[str]:
        """What a connection was told of the sale, in the order of the room."""
        return [one["t"].removeprefix("sale.") for one in events(guest) if one.get("id") == self.sale]

    def assert_private(self, owners: dict[str, str]) -> None:
        """Nobody was ever shown a hold, or a letter, of another."""
        for name, guest in self.ever:
            for hold, owner in owners.items():
                assert owner == name or hold not in repr((guest.welcome, guest.heard)), (name, hold)
            mine = [one for one in guest.heard if one["t"] in PRIVATE]
            assert not mine or name in owners.values()


@contextlib.asynccontextmanager
async def opened(nodes: Sequence[Node], *people: str) -> AsyncIterator[Shop]:
    shop = Shop(list(nodes))
    try:
        await shop.begin(*people or PEOPLE)
        yield shop
    finally:
        await shop.leave()


def shown(nodes: Sequence[Node], what: Callable[[Shop], Coroutine[Any, Any, None]], *people: str) -> None:
    async def show() -> None:
        async with opened(nodes, *people) as shop:
            await what(shop)

    asyncio.run(show())


@pytest.fixture
def hasty(house: House) -> list[Node]:
    """Two nodes where an offer lasts a second."""
    return [house.node(offer_seconds=1), house.node(offer_seconds=1)]


# --- the start ---


def test_it_counts_down_and_opens_for_everybody(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        opens_at = int(time.time() * 1000) + 1500
        await shop.sell(opens_at=opens_at, currency="EUR")
        announced = await shop.all_hear("sale.announced")
        for n, node in enumerate(shop.nodes):
            async with guests(join(node, shop.room, sub="dee")) as (late,):
                coming = late.welcome["snapshot"]["next_up"]
                assert (coming["kind"], coming["id"], coming["opens_at"]) == ("sale", shop.sale, opens_at)
                assert (coming["item"], coming["price"], coming["currency"]) == ("mug", 990, "EUR")
            refused = await shop.claim("ann", n, idem="a")
            assert (code(refused), refused["params"]) == ("SALE_NOT_OPEN", {"opens_at": opens_at})
        sold = await shop.all_hear("sale.opened")
        changing = ("t", "seq", "ts")
        assert {**sold, **{one: 0 for one in changing}} == {**announced, **{one: 0 for one in changing}}
        assert sold["ts"] >= opens_at
        assert (await shop.claim("ann", 1, idem="a"))["t"] == "ok"
        async with guests(join(shop.nodes[1], shop.room, sub="dee")) as (late,):
            assert late.welcome["snapshot"]["next_up"] is None
            (round_,) = late.welcome["snapshot"]["rounds"]
            assert (round_["state"], round_["opened"]["item"], round_["mine"]) == ("open", "mug", None)

    shown(pair, show)


def test_who_clicks_when_the_time_has_come_is_not_too_early(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        opens_at = int(time.time() * 1000) + 1500
        await shop.sell(opens_at=opens_at, stock=1)
        await asyncio.sleep(max(0, opens_at + 5 - time.time() * 1000) / 1000)
        hold = await shop.hold("ann")
        await shop.all_hear("sale.opened")
        await shop.all_hear("sale.sold_out")
        assert (await shop.pay(hold))["rank"] == 1
        await shop.settles(0, 0, 1)

    shown(pair, show)


def test_what_is_brought_during_the_countdown_is_there_at_the_opening(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(opens_at=int(time.time() * 1000) + 1500, stock=2)
        assert (await shop.turn("restock", qty=3))["t"] == "ok"
        assert (await shop.all_hear("sale.restocked"))["stock"] == 5
        assert (await shop.all_hear("sale.opened"))["stock"] == 5
        seen = await shop.look()
        assert seen["opened"]["stock"] == 5
        assert seen["counts"] == {"left": 5, "held": 0, "sold": 0}

    shown(pair, show)


def test_a_countdown_may_be_called_off(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(opens_at=int(time.time() * 1000) + 1500)
        assert (await shop.turn("cancel_all", 1, reason="rain"))["state"] == "cancelled"
        assert (await shop.all_hear("sale.cancelled"))["reason"] == "rain"
        await asyncio.sleep(1.7)
        assert (await shop.look())["state"] == "cancelled"
        assert shop.turns(shop.devices["watcher"][0]) == ["announced", "cancelled"]

    shown(pair, show)


def test_the_currency_is_the_rooms_or_the_houses(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        room = f"room-{next(numbers)}"
        new = {"id": room, "title": "Yen", "currency": "JPY"}
        assert (await asyncio.to_thread(pair[0].http, "POST", "/v1/rooms", new, token("*", "service")))[0] == 201
        for where, fields, currency in [
            (room, {}, "JPY"),
            (room, {"currency": "USD"}, "USD"),
            (shop.room, {}, "CNY"),
            (shop.room, {"currency": "USD"}, "USD"),
        ]:
            for node in pair:
                body = {"t": "sale.open", **MUG, **fields}
                key = token(where, "host", f"host-{next(numbers)}")
                status, said = await asyncio.to_thread(node.http, "POST", f"/v1/rooms/{where}/commands", body, key)
                assert status == 200
                _, seen = await get(node, f"/v1/rooms/{where}/rounds/{said['id']}", token(where))
                assert seen["opened"]["currency"] == currency

    shown(pair, show)


# --- held and paid ---


def test_what_is_claimed_is_held_until_it_is_paid(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(per_viewer=2, stock=3, hold_seconds=60)
        before = time.time() * 1000
        said = await shop.claim("ann", 0, idem="a", qty=2)
        hold, until = said["hold"], said["until"]
        assert said == {"t": "ok", "cid": said["cid"], "hold": hold, "until": until, "qty": 2}
        assert before + 59_000 < until < time.time() * 1000 + 61_000
        held = await shop.both_hear("ann", "sale.held")
        assert held == {"t": "sale.held", "id": shop.sale, "hold": hold, "until": until, "qty": 2}
        await shop.settles(1, 2, 0)
        paid = await shop.pay(hold, 1)
        assert (paid["hold"], paid["state"], paid["rank"]) == (hold, "sold", 1)
        told = await shop.both_hear("ann", "sale.confirmed", hold=hold)
        assert (told["order"], told["rank"], told["qty"], told["id"]) == (paid["order"], 1, 2, shop.sale)
        assert told["inbox"]
        await shop.settles(1, 0, 2)
        stock = await shop.devices["watcher"][1].hear("sale.stock", SURE, left=1, held=0, sold=2)
        assert stock["ver"] == (await shop.look())["ver"]
        shop.assert_private({hold: "ann"})

    shown(pair, show)


def test_who_pays_first_is_first(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=3)
        holds = {name: await shop.hold(name, n % 2) for n, name in enumerate(PEOPLE)}
        for rank, name in enumerate(("cem", "ann", "bob"), 1):
            assert (await shop.pay(holds[name], rank % 2))["rank"] == rank
            assert (await shop.both_hear(name, "sale.confirmed"))["rank"] == rank
        assert (await shop.pay(holds["ann"]))["rank"] == 2
        shop.assert_private({hold: name for name, hold in holds.items()})

    shown(pair, show)


def test_what_is_not_paid_in_time_is_free_again(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=1, hold_seconds=1)
        said = await shop.claim("ann")
        await shop.all_hear("sale.sold_out")
        released = await shop.both_hear("ann", "sale.released", hold=said["hold"])
        assert (released["why"], released["qty"], released["id"]) == ("expired", 1, shop.sale)
        reopened = await shop.all_hear("sale.reopened")
        assert reopened["ts"] >= said["until"]
        await shop.settles(1, 0, 0)
        assert (await shop.look("ann"))["mine"] is None
        assert (await shop.claim("bob", 1))["t"] == "ok"
        shop.assert_private({said["hold"]: "ann", (await shop.look("bob"))["mine"]["hold"]: "bob"})

    shown(pair, show)


def test_sold_out_and_reopened_are_told_once_each(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=2, per_viewer=2)
        await shop.hold("ann")
        hold = await shop.hold("ann", 1)
        await asyncio.gather(*(shop.claim(name, n, again=True) for name in ("bob", "cem") for n in (0, 1)))
        await shop.let_go(hold)
        await shop.all_hear("sale.reopened")
        await shop.hold("bob", 1)
        text = f"the end {next(numbers)}"
        await shop.ask("host", 0, "room.notice", text=text)
        for guest in shop.inside.values():
            await guest.hear("room.notice", SURE, text=text)
            assert shop.turns(guest) == ["opened", "sold_out", "reopened", "sold_out"]

    shown(pair, show)


def test_a_crowd_never_gets_more_than_there_is(pair: list[Node]) -> None:
    crowd = [f"v{n}" for n in range(16)]

    async def show(shop: Shop) -> None:
        await shop.sell(stock=3)
        claims = [shop.claim(name, n, idem="a") for name in crowd for n in (0, 1)]
        said = await asyncio.gather(*claims)
        got: dict[str, set[str]] = {}
        for name, one in zip((name for name in crowd for _ in (0, 1)), said, strict=True):
            assert code(one) in ("ok", "SALE_SOLD_OUT")
            if one["t"] == "ok":
                got.setdefault(name, set()).add(one["hold"])
        assert [len(holds) for holds in got.values()] == [1, 1, 1]
        await shop.settles(0, 3, 0)
        shop.assert_private({hold: name for name, holds in got.items() for hold in holds})

    shown(pair, show, *crowd)


def test_the_same_claim_from_two_nodes_at_once_is_one(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=4, per_viewer=4)
        for n in range(4):
            said = await asyncio.gather(*(shop.claim("ann", node % 2, idem=f"key {n}") for node in range(6)))
            assert [{**one, "cid": 0} for one in said] == [{**said[0], "cid": 0}] * 6
            assert said[0]["t"] == "ok"
            await shop.settles(3 - n, n + 1, 0)

    shown(pair, show)


def test_several_devices_have_one_limit_and_one_part(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=4)
        said = await asyncio.gather(*(shop.claim("ann", node % 2, idem=f"key {node}") for node in range(4)))
        (hold,) = (one["hold"] for one in said if one["t"] == "ok")
        refused = [one for one in said if one["t"] == "error"]
        assert [code(one) for one in refused] == ["SALE_LIMIT"] * 3
        assert [one["params"]["mine"]["hold"] for one in refused] == [hold] * 3
        await shop.settles(3, 1, 0)
        assert (await shop.devices["ann"][1].ask("sale.cancel", hold=hold))["state"] == "cancelled"
        await shop.both_hear("ann", "sale.released", hold=hold, why="cancelled")

    shown(pair, show)


# --- the waitlist ---


def test_who_waits_longest_is_served_first_and_before_who_clicks(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=1)
        hold = await shop.hold("ann")
        assert code(await shop.claim("dee", again=True)) == "SALE_SOLD_OUT"
        for place, name in enumerate(("bob", "cem"), 1):
            for node in (0, 1):
                assert (await shop.wait(name, node))["place"] == place
        assert (await shop.look("cem"))["mine"]["waiting"] is True
        clicking = [shop.claim("dee", n % 2, again=True) for n in range(4)]
        said, *clicked = await asyncio.gather(shop.let_go(hold), *clicking)
        assert said["state"] == "cancelled"
        assert {code(one) for one in clicked} == {"SALE_SOLD_OUT"}
        offered = await shop.both_hear("bob", "sale.offered", id=shop.sale)
        assert (offered["qty"], offered["until"] > time.time() * 1000) == (1, True)
        await shop.settles(0, 1, 0)
        bobs = await shop.hold("bob", 1)
        await shop.settles(0, 1, 0)
        assert not any(one["t"] == "sale.offered" for guest in shop.devices["cem"] for one in guest.heard)
        assert (await shop.devices["bob"][0].ask("sale.cancel", hold=bobs))["state"] == "cancelled"
        await shop.both_hear("cem", "sale.offered")
        assert (await shop.pay(await shop.hold("cem")))["rank"] == 1
        assert shop.turns(shop.devices["dee"][0]) == ["opened", "sold_out"]

    shown(pair, show, "ann", "bob", "cem", "dee")


def test_who_is_offered_one_gets_it_although_his_node_has_just_said_that_all_is_gone(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        for n in range(5):
            await shop.sell(stock=1)
            hold = await shop.hold("ann")
            await shop.devices["bob"][1].hear("sale.sold_out", SURE, id=shop.sale)
            assert code(await shop.claim("bob", 1, idem="a")) == "SALE_SOLD_OUT"
            await shop.wait("bob", 1)
            await asyncio.sleep(0.1)  # his node learns who has something
            await shop.let_go(hold)
            await shop.devices["bob"][1].hear("sale.offered", SURE, id=shop.sale)
            assert code(await shop.claim("bob", 1, idem="b")) == "ok", n

    shown(pair, show)


def test_an_offer_that_nobody_takes_goes_to_the_next_and_then_to_everybody(hasty: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=1)
        hold = await shop.hold("ann")
        for name in ("bob", "cem"):
            await shop.wait(name, 1)
        await shop.let_go(hold)
        first = await shop.both_hear("bob", "sale.offered")
        second = await shop.both_hear("cem", "sale.offered")
        assert second["until"] >= first["until"] + 1000
        reopened = await shop.all_hear("sale.reopened")
        assert reopened["ts"] >= second["until"]
        await shop.settles(1, 0, 0)
        for name in ("bob", "cem"):
            assert (await shop.look(name))["mine"] is None
        assert (await shop.claim("cem"))["t"] == "ok"

    shown(hasty, show)


def test_an_offer_ends_with_the_sale(pair: list[Node]) -> None:
    """Whoever is offered something until then gets it until then: behind the end nobody gets anything."""

    async def show(shop: Shop) -> None:
        await shop.sell(stock=1, seconds=30)
        await shop.wait("ann")
        closes_at = (await shop.look())["opened"]["closes_at"]
        assert (await shop.both_hear("ann", "sale.offered"))["until"] <= closes_at + GRACE_MS

    shown(pair, show)


def test_who_has_all_he_may_have_is_passed_over(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=2)
        holds = [await shop.hold(name) for name in ("ann", "bob")]
        await shop.wait("cem")
        await shop.wait("dee")
        await shop.let_go(holds[0])
        await shop.both_hear("cem", "sale.offered")
        await shop.hold("cem", 1)
        assert code(await shop.wait("cem")) == "SALE_LIMIT"
        await shop.let_go(holds[1])
        await shop.both_hear("dee", "sale.offered")
        await shop.settles(0, 2, 0)

    shown(pair, show, "ann", "bob", "cem", "dee")


def test_what_is_brought_goes_to_who_waits_first(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=1)
        await shop.hold("ann")
        await shop.wait("bob")
        await shop.wait("cem", 1)
        said = await shop.turn("restock", 1, qty=1)
        assert (said["t"], said["state"]) == ("ok", "sold_out")
        told = await shop.all_hear("sale.restocked")
        assert (told["qty"], told["stock"]) == (1, 2)
        await shop.both_hear("bob", "sale.offered")
        await shop.settles(0, 2, 0)
        assert (await shop.turn("restock", qty=3))["state"] == "open"
        await shop.both_hear("cem", "sale.offered")
        await shop.all_hear("sale.reopened")
        await shop.settles(2, 3, 0)
        assert (await shop.look())["opened"]["stock"] == 5
        assert [await shop.hold(name) for name in ("bob", "cem")]
        await shop.settles(2, 3, 0)

    shown(pair, show)


def test_who_waits_while_something_is_free_is_offered_it_at_once(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=2)
        assert (await shop.wait("ann"))["t"] == "ok"
        await shop.both_hear("ann", "sale.offered")
        await shop.settles(1, 1, 0)
        await shop.hold("ann", 1)
        await shop.settles(1, 1, 0)

    shown(pair, show)


# --- the host ---


def test_pausing_stops_claims_and_resuming_serves_who_waits(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=1)
        hold = await shop.hold("ann")
        await shop.wait("bob", 1)
        assert (await shop.turn("pause", 1))["state"] == "paused"
        await shop.all_hear("sale.paused")
        for again in (True, False):
            assert code(await shop.claim("cem", 1, again=again)) == "SALE_PAUSED"
        assert code(await shop.wait("cem")) == "SALE_PAUSED"
        assert (await shop.devices["ann"][0].ask("sale.cancel", hold=hold))["state"] == "cancelled"
        await shop.settles(1, 0, 0)
        assert (await shop.turn("resume"))["state"] == "sold_out"
        resumed = await shop.all_hear("sale.resumed")
        assert resumed["closes_at"] == (await shop.look())["opened"]["closes_at"]
        await shop.both_hear("bob", "sale.offered")
        await shop.settles(0, 1, 0)
        await shop.hold("bob")
        assert shop.turns(shop.devices["cem"][1])[:4] == ["opened", "sold_out", "paused", "resumed"]

    shown(pair, show)


def test_a_longer_sale_goes_on_behind_its_first_end(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(seconds=2)
        first = (await shop.all_hear("sale.opened"))["closes_at"]
        await shop.turn("extend", 1, seconds=2)
        assert (await shop.all_hear("sale.extended"))["closes_at"] == first + 2000
        await asyncio.sleep(max(0, first + 700 - time.time() * 1000) / 1000)
        assert (await shop.claim("ann"))["t"] == "ok"
        closed = await shop.all_hear("sale.closed")
        assert closed["ts"] >= first + 2500
        refused = await shop.claim("bob", 1)
        assert (code(refused), refused["params"]) == ("ROUND_CLOSED", {"closed_at": first + 2000})

    shown(pair, show)


def test_what_is_held_at_the_end_may_be_paid_and_then_the_sale_is_over(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=3)
        holds = [await shop.hold(name) for name in PEOPLE]
        assert (await shop.turn("close"))["state"] == "closed"
        await shop.all_hear("sale.closed")
        assert (await shop.pay(holds[0], 1))["rank"] == 1
        await shop.devices["bob"][1].ask("sale.cancel", hold=holds[1])
        async with guests(join(shop.nodes[1], shop.room, sub="cem")) as (back,):
            (round_,) = back.welcome["snapshot"]["rounds"]
            assert (round_["state"], round_["mine"]["hold"]) == ("closed", holds[2])
        assert (await shop.pay(holds[2]))["rank"] == 2
        await shop.settles(1, 0, 2)
        await shop.gone()

    shown(pair, show)


def test_all_of_it_called_off_gives_every_hold_back(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=3, per_viewer=2)
        paid, held, other = await shop.hold("ann"), await shop.hold("ann", 1), await shop.hold("bob", 1)
        await shop.pay(paid)
        await shop.wait("cem")
        assert (await shop.turn("cancel_all", 1, reason=" wrong price\n"))["state"] == "cancelled"
        assert (await shop.all_hear("sale.cancelled"))["reason"] == "wrong price"
        for name, hold in (("ann", held), ("bob", other)):
            await shop.both_hear(name, "sale.released", hold=hold, why="cancelled")
        await shop.settles(2, 0, 1)
        assert code(await shop.claim("cem", 1)) == "ROUND_STATE"
        for hold in (held, other):
            refused = await shop.pay(hold)
            assert (code({"t": "error", **refused}), refused["params"]["refund_required"]) == ("HOLD_EXPIRED", True)
        assert (await shop.let_go(paid))["state"] == "refunded"
        await shop.both_hear("ann", "sale.released", hold=paid, why="refunded")
        await shop.settles(3, 0, 0)

    shown(pair, show)


def test_a_hosts_command_that_is_sent_again_does_nothing_more(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        opening = {**MUG, "idem": "open"}
        said = await asyncio.gather(*(shop.devices["host"][n % 2].ask("sale.open", **opening) for n in range(4)))
        shop.sale = said[0]["id"]
        assert {one["id"] for one in said} == {shop.sale}
        for verb, fields in [
            ("restock", {"qty": 2}),
            ("extend", {"seconds": 10}),
            ("pause", {}),
            ("resume", {}),
            ("close", {}),
        ]:
            asking = (shop.turn(verb, n % 2, idem=verb, **fields) for n in range(4))
            replies = [{**one, "cid": 0} for one in await asyncio.gather(*asking)]
            replies += [{**await shop.turn(verb, 1, idem=verb, **fields), "cid": 0}]
            assert replies == [replies[0]] * 5
            assert replies[0]["t"] == "ok"
        await shop.all_hear("sale.closed")
        assert shop.turns(shop.devices["ann"][1]) == ["opened", "restocked", "extended", "paused", "resumed", "closed"]
        assert numbers_of(await shop.look()) == (4, 4, 0, 0)

    shown(pair, show)


def test_each_turn_is_one_version(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell()
        turns: list[tuple[str, Message]] = [("restock", {"qty": 1}), ("extend", {"seconds": 5})]
        turns += [(verb, {}) for verb in ("pause", "resume", "close")]
        versions = [(await shop.look())["ver"]]
        versions += [(await shop.turn(verb, **fields))["ver"] for verb, fields in turns]
        assert versions == list(range(1, 7))

    shown(pair, show)


def test_the_host_may_be_gone_and_the_sale_ends_by_itself(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(seconds=1, hold_seconds=1)
        hold = await shop.hold("ann")
        for guest in shop.devices.pop("host"):
            await guest.leave()
        await shop.all_hear("sale.closed")
        await shop.both_hear("ann", "sale.released", hold=hold)
        await shop.settles(2, 0, 0)

    shown(pair, show)


# --- late payments and refunds ---


def test_a_late_payment_takes_a_free_unit_if_there_is_one(stalls: House) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=2, hold_seconds=1)
        hold = await shop.hold("ann")
        await shop.both_hear("ann", "sale.released", hold=hold)
        paid = await shop.pay(hold, 1)
        assert (paid["state"], paid["rank"]) == ("sold", 1)
        assert (await shop.both_hear("ann", "sale.confirmed"))["order"] == paid["order"]
        await shop.settles(1, 0, 1)
        assert (await shop.look("ann"))["mine"]["order"] == paid["order"]
        assert code(await shop.claim("ann", again=True)) == "SALE_LIMIT"
        ((late, state),) = await recorded(stalls, "select late, state from orders where hold = ?", hold)
        assert (late, state) == (1, "paid")

    shown(stalls.nodes, show)


def test_a_late_payment_for_what_is_gone_is_to_be_given_back(stalls: House) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=1, hold_seconds=2)
        hold = await shop.hold("ann")
        await shop.wait("bob")
        await shop.both_hear("bob", "sale.offered")
        refused = await shop.pay(hold, payment="p1")
        assert (refused["code"], refused["params"]["state"]) == ("HOLD_EXPIRED", "expired")
        assert refused["params"]["late_payment"] is True
        assert refused["params"]["refund_required"] is True
        assert await shop.pay(hold, 1, payment="p1") == refused
        bobs = await shop.hold("bob")
        assert (await shop.pay(bobs))["rank"] == 1
        await shop.settles(0, 0, 1)
        asked = "select payment, viewer, qty, why from refunds where hold = ?"
        assert await recorded(stalls, asked, hold) == [("p1", "ann", 1, "paid too late")]
        assert not any(one["t"] == "sale.confirmed" for guest in shop.devices["ann"] for one in guest.heard)

    shown(stalls.nodes, show)


def test_a_refund_frees_its_unit_for_who_waits(stalls: House) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=1)
        hold = await shop.hold("ann")
        await shop.pay(hold)
        await shop.wait("bob", 1)
        assert (await shop.let_go(hold, 1))["state"] == "refunded"
        await shop.both_hear("ann", "sale.released", hold=hold, why="refunded")
        await shop.both_hear("bob", "sale.offered")
        assert (await shop.pay(await shop.hold("bob", 1)))["rank"] == 2
        await shop.settles(0, 0, 1)
        states = "select viewer, state from orders where round = ? order by rank"
        assert await recorded(stalls, states, shop.sale, want=2) == [("ann", "refunded"), ("bob", "paid")]

    shown(stalls.nodes, show)


async def recorded(house: House, asked: str, *values: object, want: int = 1) -> list[tuple[Any, ...]]:
    """What the ledger says, once it says so much."""
    deadline = time.monotonic() + SURE
    while True:
        rows = await asyncio.to_thread(house.recorded, asked, *values)
        if len(rows) >= want or time.monotonic() > deadline:
            return rows
        await asyncio.sleep(0.1)


def test_what_was_sold_is_in_the_ledger_as_it_is_in_redis(stalls: House) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=3, hold_seconds=1)
        paid = await shop.pay(await shop.hold("ann"))
        await shop.pay(await shop.hold("bob"))
        lapsed = await shop.hold("cem")
        await shop.both_hear("cem", "sale.released", hold=lapsed)
        orders = "select id, viewer, item, qty, price, currency, rank, state from orders where round = ? order by rank"
        first, _ = await recorded(stalls, orders, shop.sale, want=2)
        assert first == (paid["order"], "ann", "mug", 1, 990, "CNY", 1, "paid")
        command = [sys.executable, "-m", "liveroom", "reconcile", shop.room, "--data", str(stalls.data)]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=40)
        assert (done.returncode, "equal" in done.stdout) == (0, True), done.stdout + done.stderr

    shown(stalls.nodes, show)


# --- who was away ---


def test_the_inbox_keeps_what_was_told_to_who_was_away(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=2, per_viewer=2)
        paid, freed = await shop.hold("ann"), await shop.hold("ann")
        await shop.wait("bob")
        for name in ("ann", "bob"):
            for guest in shop.devices[name]:
                await guest.leave()
        await shop.pay(paid)
        await shop.let_go(freed)
        await shop.settles(0, 1, 1)
        expected = {"ann": {"sale.confirmed": paid, "sale.released": freed}, "bob": {"sale.offered": None}}
        for name, letters in expected.items():
            for node in shop.nodes:
                async with guests(join(node, shop.room, sub=name)) as (back,):
                    inbox = back.welcome["snapshot"]["inbox"]
                    assert {one["t"]: one.get("hold") for one in inbox} == letters
                    assert len(inbox) == len(letters)
            async with guests(join(shop.nodes[0], shop.room, sub=name)) as (back,):
                ids = [one["inbox"] for one in back.welcome["snapshot"]["inbox"]]
                assert (await back.ask("inbox.ack", ids=ids))["t"] == "ok"
            async with guests(join(shop.nodes[1], shop.room, sub=name)) as (back,):
                assert back.welcome["snapshot"]["inbox"] == []

    shown(pair, show)


def test_who_comes_back_is_shown_his_part(pair: list[Node]) -> None:
    async def mine(shop: Shop, name: str) -> Any:
        parts = []
        for node in shop.nodes:
            async with guests(join(node, shop.room, sub=name)) as (back,):
                parts += [one["mine"] for one in back.welcome["snapshot"]["rounds"] if one["id"] == shop.sale]
        assert parts[0] == parts[1]
        return parts[0]

    async def show(shop: Shop) -> None:
        await shop.sell(stock=2, per_viewer=2)
        assert await mine(shop, "ann") is None
        said = await shop.claim("ann")
        part = {name: said[name] for name in ("hold", "until", "qty")}
        assert await mine(shop, "ann") == part
        second = await shop.claim("ann", 1)
        newest = {name: second[name] for name in ("hold", "until", "qty")}
        assert await mine(shop, "ann") == {**newest, "all": [part, newest]}
        await shop.wait("bob")
        assert await mine(shop, "bob") == {"waiting": True}
        paid = await shop.pay(second["hold"])
        order = {**newest, "order": paid["order"], "rank": 1}
        assert await mine(shop, "ann") == {**part, "all": [part, order]}
        await shop.let_go(said["hold"])
        assert await mine(shop, "ann") == order
        offered = await shop.both_hear("bob", "sale.offered")
        assert await mine(shop, "bob") == {"offered": True, "qty": 1, "until": offered["until"]}
        assert await mine(shop, "cem") is None

    shown(pair, show)


def test_ones_part_is_shown_alike_whatever_the_state(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=2)
        await shop.hold("ann")
        part = (await shop.look("ann"))["mine"]
        await shop.hold("bob")
        assert (await shop.look("ann"))["state"] == "sold_out"
        assert (await shop.look("ann"))["mine"] == part
        await shop.turn("pause")
        assert (await shop.look("ann"))["mine"] == part

    shown(pair, show)


def test_who_resumes_hears_what_he_missed(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=1)
        ann, _ = shop.devices["ann"]
        at = {"epoch": ann.welcome["epoch"], "seq": events(ann)[-1]["seq"]}
        ann.drop()
        hold = await shop.hold("bob", 1)
        await shop.pay(hold)
        await shop.let_go(hold)
        await shop.devices["bob"][0].hear("sale.reopened", SURE)
        async with guests(join(shop.nodes[1], shop.room, sub="ann", resume=at)) as (back,):
            assert back.welcome["recovered"] is True
            await back.hear("sale.reopened", SURE)
            assert shop.turns(back) == ["sold_out", "reopened"]

    shown(pair, show)


# --- the latch ---


def test_a_holder_who_asks_again_while_all_is_gone_gets_his_hold(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        for first in (0, 1):
            await shop.sell(stock=1)
            said = await shop.claim("ann", first, idem="a")
            for guest in (*shop.devices["watcher"], *shop.devices["ann"]):
                await guest.hear("sale.sold_out", SURE, id=shop.sale)
            for n in range(6):
                assert code(await shop.claim("bob", n % 2, idem=f"b{n}")) == "SALE_SOLD_OUT"
                assert {**await shop.claim("ann", n % 2, idem="a"), "cid": 0} == {**said, "cid": 0}
                limit = await shop.claim("ann", n % 2, idem=f"other {n}")
                assert (code(limit), limit["params"]["mine"]["hold"]) == ("SALE_LIMIT", said["hold"])
                await asyncio.sleep(0.05)

    shown(pair, show)


def test_a_stranger_is_refused_until_there_is_something_again(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        for n in range(4):
            await shop.sell(stock=1)
            hold = await shop.hold("ann")
            for node in (0, 1):
                refused = await shop.claim("bob", node, idem="a")
                assert (code(refused), refused["retryable"]) == ("SALE_SOLD_OUT", True)
                await asyncio.sleep(0.05)
                refused = await shop.claim("cem", node, idem="a")
                assert (code(refused), refused["params"]) == ("SALE_SOLD_OUT", {"held": 1})
            await shop.let_go(hold, n % 2)
            await shop.devices["bob"][1].hear("sale.reopened", SURE, id=shop.sale)
            assert (await shop.claim("bob", 1, idem="a"))["t"] == "ok"

    shown(pair, show)


def test_what_is_brought_ends_the_latch(pair: list[Node]) -> None:
    async def show(shop: Shop) -> None:
        await shop.sell(stock=1)
        await shop.pay(await shop.hold("ann"))
        for node in (0, 1):
            assert code(await shop.claim("bob", node)) == "SALE_SOLD_OUT"
        await asyncio.sleep(0.1)
        assert code(await shop.claim("bob", 1)) == "SALE_SOLD_OUT"
        await shop.turn("restock", qty=1)
        await shop.devices["bob"][1].hear("sale.restocked", SURE, id=shop.sale)
        assert (await shop.claim("bob", 1))["t"] == "ok"

    shown(pair, show)
