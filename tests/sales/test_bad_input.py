"""Whatever is wrong with what is asked of a sale: it gets its code, and every number is as it was."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from redis.asyncio import Redis

from gameplay.play import GRACE_MS, Code, Played, Reading
from gameplay.sale import PLAY, Open
from liveroom.store import scripts
from liveroom.store.durable import Durability
from liveroom.store.embedded import Embedded
from liveroom.store.rooms import Rooms
from liveroom.store.rounds import BELL, NO_KEY, Moved, Rounds
from liveroom.store.sales import Sales, Shelf, Verdict, Wish
from liveroom.store.server import client
from liveroom.till import WHY_NOT
from tests.house import Guest, Node, guests, join, make_room, numbers, token
from tests.rounds.stage import Message, code, get
from tests.sales.stage import numbers_of

HOUR_MS = 3_600_000
MUG: Message = {"item": "mug", "price": 990, "stock": 3, "seconds": 3600, "hold_seconds": 600}
STATUS = {  # protocol, section 5
    "BAD_MESSAGE": 400,
    "NOT_ALLOWED": 403,
    "NOT_ELIGIBLE": 403,
    "NO_SUCH_ROUND": 404,
    "NO_SUCH_HOLD": 404,
    "ROUND_STATE": 409,
    "ROUND_CLOSED": 409,
    "IDEMPOTENCY_MISMATCH": 409,
    "SALE_NOT_OPEN": 409,
    "SALE_PAUSED": 409,
    "SALE_LIMIT": 409,
    "HOLD_EXPIRED": 409,
}
RETRYABLE = {"SALE_NOT_OPEN", "SALE_PAUSED"}
PARAMS = {
    "BAD_MESSAGE": {"field"},
    "NOT_ALLOWED": {"needs"},
    "NOT_ELIGIBLE": {"missing"},
    "ROUND_STATE": {"state", "ver"},
    "ROUND_CLOSED": {"closed_at"},
    "SALE_NOT_OPEN": {"opens_at"},
    "SALE_LIMIT": {"per_viewer", "mine"},
}
TURNS: dict[str, Message] = {
    "sale.extend": {"seconds": 10},
    "sale.restock": {"qty": 1},
    "sale.pause": {},
    "sale.resume": {},
    "sale.close": {},
    "sale.cancel_all": {"reason": "so it goes"},
}
NOBODYS = "r_nobodys"
NO_HOLD = "h_nobodys_1"


class Counter:
    """A room with a host and two viewers; what it refuses changes nothing."""

    def __init__(self, node: Node, room: str, host: Guest, ann: Guest, bob: Guest) -> None:
        self.node = node
        self.room = room
        self.host = host
        self.ann = ann
        self.bob = bob
        self.sales: list[str] = []

    async def now(self) -> int:
        return int((await self.host.ask("time.ping", c0=0))["s1"])

    async def open(self, **fields: Any) -> str:
        said = await self.host.ask("sale.open", **MUG | fields)
        assert said["t"] == "ok", said
        self.sales.append(said["id"])
        return str(said["id"])

    async def claim(self, by: Guest, id_: str, **fields: Any) -> str:
        said = await by.ask("sale.claim", id=id_, **fields)
        assert said["t"] == "ok", said
        return str(said["hold"])

    async def turn(self, command: str, id_: str, **fields: Any) -> Message:
        said = await self.host.ask(command, id=id_, **TURNS[command] | fields)
        assert said["t"] == "ok", said
        return said

    async def bring(self, state: str) -> str:
        """A sale in this state."""
        id_ = await self.open(**{"opens_at": await self.now() + HOUR_MS} if state == "announced" else {})
        if state in ("paused", "closed", "cancelled"):
            await self.turn({"paused": "sale.pause", "closed": "sale.close"}.get(state, "sale.cancel_all"), id_)
        return id_

    async def look(self) -> list[tuple[str, tuple[int, int, int, int], Any]]:
        """State, numbers and Ann's part of every sale."""
        found = []
        for one in self.sales:
            _, seen = await get(self.node, f"/v1/rooms/{self.room}/rounds/{one}", token(self.room, sub="ann"))
            stock, left, held, sold = counts = numbers_of(seen)
            assert left + held + sold == stock
            assert min(counts) >= 0
            mine = seen["mine"] and {name: part for name, part in seen["mine"].items() if name != "result"}
            found.append((seen["state"], counts, mine))
        return found

    async def told(self) -> int:
        """How much the room was told by now."""
        status, said = await self.http("room.notice", text="how late is it?")
        assert status == 200, said
        return int(said["seq"])

    async def refuses(self, wanted: str, command: str, by: Guest | None = None, **fields: Any) -> Message:
        """The parameters of the refusal, which is the same over HTTP where a host gives the command."""
        before, told = await self.look(), await self.told()
        said = await (by or self.host).ask(command, **fields)
        assert code(said) == wanted, said
        assert said["retryable"] is (wanted in RETRYABLE)
        assert ("retry_after_ms" in said) is (wanted in RETRYABLE)
        assert PARAMS.get(wanted, set()) <= said["params"].keys(), said
        if by is None:
            status, body = await self.http(command, **fields)
            assert (status, body["code"]) == (STATUS[wanted], wanted), body
            assert body["params"].keys() == said["params"].keys()
        assert await self.look() == before
        assert await self.told() == told + 1
        return dict(said["params"])

    async def http(self, command: str, role: str = "host", sub: str = "", **fields: Any) -> tuple[int, Any]:
        """A command over HTTP; each time from another host, for hosts too may be too fast."""
        key = token(self.room, role, sub or f"host-{next(numbers)}")
        path, body = f"/v1/rooms/{self.room}/commands", {"t": command, **fields}
        return await asyncio.to_thread(self.node.http, "POST", path, body, key)

    async def shop(self, verb: str, hold: str, body: object, key: str | None = None) -> tuple[int, Any]:
        """The shop says that a hold was paid, or is not to be."""
        path = f"/v1/rooms/{self.room}/holds/{quote(hold, safe='')}/{verb}"
        by = token(self.room, "service") if key is None else key
        return await asyncio.to_thread(self.node.http, "POST", path, body, by)

    async def pays(self, hold: str, payment: str = "p1") -> tuple[int, Any]:
        return await self.shop("confirm", hold, {"payment_id": payment, "paid_at": 1})

    async def shop_is_refused(
        self, status: int, wanted: str, verb: str, hold: str, body: object, key: str | None = None
    ) -> Message:
        before, told = await self.look(), await self.told()
        got, said = await self.shop(verb, hold, body, key)
        assert (got, said["code"]) == (status, wanted), said
        assert said["retryable"] is False
        assert await self.look() == before
        assert await self.told() == told + 1
        return dict(said["params"])


@contextlib.asynccontextmanager
async def opened(node: Node) -> AsyncIterator[Counter]:
    room = make_room(node)
    async with guests(join(node, room, "host"), join(node, room, sub="ann"), join(node, room, sub="bob")) as people:
        yield Counter(node, room, *people)


def shown(node: Node, what: Callable[[Counter], Coroutine[Any, Any, None]]) -> None:
    async def show() -> None:
        async with opened(node) as counter:
            await what(counter)

    asyncio.run(show())


# --- claims ---


def test_a_claim_that_is_too_early(node: Node) -> None:
    async def show(counter: Counter) -> None:
        opens_at = await counter.now() + 1500
        id_ = await counter.open(opens_at=opens_at)
        for fields in ({}, {"idem": "a"}, {"idem": "a", "again": True}, {"qty": 100}):
            params = await counter.refuses("SALE_NOT_OPEN", "sale.claim", counter.ann, id=id_, **fields)
            assert params == {"opens_at": opens_at}
        await counter.refuses("SALE_NOT_OPEN", "sale.wait", counter.ann, id=id_)
        await counter.ann.hear("sale.opened")
        await counter.claim(counter.ann, id_, idem="a")  # a refusal is not remembered

    shown(node, show)


@pytest.mark.parametrize("qty", [0, -1, 101, 10**9, 1.5, "1", None])
def test_a_quantity_that_cannot_be_one(node: Node, qty: Any) -> None:
    async def show(counter: Counter) -> None:
        id_ = await counter.open(stock=200, per_viewer=100)
        params = await counter.refuses("BAD_MESSAGE", "sale.claim", counter.ann, id=id_, qty=qty, idem="a")
        assert params["field"] == "qty"

    shown(node, show)


def test_more_than_a_viewer_may_have(node: Node) -> None:
    async def show(counter: Counter) -> None:
        id_ = await counter.open(stock=5, per_viewer=2)
        params = await counter.refuses("SALE_LIMIT", "sale.claim", counter.ann, id=id_, qty=3, idem="a")
        assert params == {"per_viewer": 2, "mine": None}
        hold = await counter.claim(counter.ann, id_, idem="b")
        for qty in (2, 100):
            params = await counter.refuses("SALE_LIMIT", "sale.claim", counter.ann, id=id_, qty=qty, idem=f"c{qty}")
            assert params["mine"]["hold"] == hold
        second = await counter.claim(counter.ann, id_, idem="d")
        for fields in ({"idem": "e"}, {}, {"idem": "e", "again": True}):
            params = await counter.refuses("SALE_LIMIT", "sale.claim", counter.ann, id=id_, **fields)
            assert (params["per_viewer"], params["mine"]["hold"]) == (2, second)
            assert {one["hold"] for one in params["mine"]["all"]} == {hold, second}
        params = await counter.refuses("SALE_LIMIT", "sale.wait", counter.ann, id=id_)
        assert params["mine"]["hold"] == second

    shown(node, show)


def test_more_than_a_viewer_may_have_is_that_also_where_less_is_left_or_nothing(node: Node) -> None:
    async def show(counter: Counter) -> None:
        id_ = await counter.open(stock=2, per_viewer=1)
        async with guests(join(node, counter.room), join(node, counter.room)) as (bob, cem):
            wants = [(bob, {"qty": qty, "idem": f"b{qty}"}) for qty in (2, 3, 100)]
            for buyer in (counter.ann, cem, None):
                for guest, fields in wants:
                    params = await counter.refuses("SALE_LIMIT", "sale.claim", guest, id=id_, **fields)
                    assert params == {"per_viewer": 1, "mine": None}
                if buyer:
                    await counter.claim(buyer, id_, idem="x")
            await bob.hear("sale.sold_out")
            for n in range(10):  # by Redis, and by the node itself as soon as it knows who has something
                assert code(await bob.ask("sale.claim", id=id_, qty=1, idem=f"one {n}")) == "SALE_SOLD_OUT"
                await counter.refuses("SALE_LIMIT", "sale.claim", bob, id=id_, qty=2, idem=f"two {n}")

    shown(node, show)


def test_a_limit_stays_used_up_behind_the_payment_and_is_free_again_behind_a_cancel(node: Node) -> None:
    async def show(counter: Counter) -> None:
        id_ = await counter.open()
        hold = await counter.claim(counter.ann, id_, idem="a")
        assert (await counter.pays(hold))[0] == 200
        params = await counter.refuses("SALE_LIMIT", "sale.claim", counter.ann, id=id_, idem="b")
        assert (params["mine"]["hold"], params["mine"]["rank"]) == (hold, 1)
        assert (await counter.shop("cancel", hold, {"reason": "refunded"}))[0] == 200
        assert await counter.claim(counter.ann, id_, idem="b") != hold

    shown(node, show)


def test_a_viewer_on_two_devices_is_one(node: Node) -> None:
    async def show(counter: Counter) -> None:
        id_ = await counter.open()
        async with guests(join(node, counter.room, sub="ann", claims={"device": "phone"})) as (phone,):
            hold = await counter.claim(counter.ann, id_, idem="a")
            assert await counter.claim(phone, id_, idem="a") == hold
            for device, idem in ((phone, "b"), (counter.ann, "c")):
                params = await counter.refuses("SALE_LIMIT", "sale.claim", device, id=id_, idem=idem)
                assert (params["per_viewer"], params["mine"]["hold"]) == (1, hold)

    shown(node, show)


def test_a_key_that_was_used_for_another_quantity(node: Node) -> None:
    async def show(counter: Counter) -> None:
        id_ = await counter.open(stock=10, per_viewer=3)
        hold = await counter.claim(counter.ann, id_, idem="a", qty=2)
        for fields in ({"qty": 1}, {}, {"qty": 100}, {"again": True}):
            await counter.refuses("IDEMPOTENCY_MISMATCH", "sale.claim", counter.ann, id=id_, idem="a", **fields)
        assert await counter.claim(counter.ann, id_, idem="a", qty=2) == hold
        assert await counter.claim(counter.bob, id_, idem="a") != hold  # keys are everybody's own
        assert await counter.claim(counter.ann, id_, idem="A") != hold

    shown(node, show)


def test_a_claim_that_is_sent_again_takes_nothing_more(node: Node) -> None:
    async def show(counter: Counter) -> None:
        id_ = await counter.open(per_viewer=3)
        asking = (counter.ann.ask("sale.claim", id=id_, idem="a", qty=2) for _ in range(5))
        said = [{**one, "cid": 0} for one in await asyncio.gather(*asking)]
        assert said == [said[0]] * 5
        assert said[0]["t"] == "ok"
        before = await counter.look()
        for more in ({}, {"again": True}):
            one = await counter.ann.ask("sale.claim", id=id_, idem="a", qty=2, **more)
            assert {**one, "cid": 0} == said[0]
        assert await counter.look() == before
        assert before[0][1] == (3, 1, 2, 0)

    shown(node, show)


def test_what_is_sold_out_is_told_with_what_may_come_back(node: Node) -> None:
    async def show(counter: Counter) -> None:
        id_ = await counter.open(stock=1)
        hold = await counter.claim(counter.ann, id_, idem="a")
        for again in (False, True):
            said = await counter.bob.ask("sale.claim", id=id_, idem="a", again=again)
            assert (code(said), said["params"], said["retryable"]) == ("SALE_SOLD_OUT", {"held": 1}, True)
            assert said["retry_after_ms"] > 0
        assert (await counter.pays(hold))[0] == 200
        await counter.host.hear("sale.stock", left=0, held=0, sold=1)
        for again in (True, False):
            said = await counter.bob.ask("sale.claim", id=id_, idem="a", again=again)
            assert (code(said), said["params"], said["retryable"]) == ("SALE_SOLD_OUT", {"held": 0}, False)
            assert "retry_after_ms" not in said
        assert await counter.look() == [("sold_out", (1, 0, 0, 1), (await counter.look())[0][2])]

    shown(node, show)


# --- a sale that is not meant ---


def test_a_sale_that_there_never_was(node: Node) -> None:
    async def show(counter: Counter) -> None:
        await counter.open()
        for command, fields in TURNS.items():
            await counter.refuses("NO_SUCH_ROUND", command, id=NOBODYS, **fields)
        await counter.refuses("NO_SUCH_ROUND", "sale.claim", counter.ann, id=NOBODYS, idem="a")
        await counter.refuses("NO_SUCH_ROUND", "sale.wait", counter.ann, id=NOBODYS)
        for hold in (NO_HOLD, "h_1", "h_" + "1" * 60):
            await counter.refuses("NO_SUCH_HOLD", "sale.cancel", counter.ann, hold=hold)
            await counter.shop_is_refused(404, "NO_SUCH_HOLD", "confirm", hold, {"payment_id": "p"})
            await counter.shop_is_refused(404, "NO_SUCH_HOLD", "cancel", hold, {"reason": "so"})

    shown(node, show)


def test_a_sale_of_another_room(node: Node) -> None:
    async def show(counter: Counter) -> None:
        await counter.open()
        async with opened(node) as other:
            theirs = await other.open()
            hold = await other.claim(other.ann, theirs, idem="a")
            before = await other.look()
            for command, fields in TURNS.items():
                await counter.refuses("NO_SUCH_ROUND", command, id=theirs, **fields)
            await counter.refuses("NO_SUCH_ROUND", "sale.claim", counter.ann, id=theirs, idem="a")
            await counter.refuses("NO_SUCH_ROUND", "sale.wait", counter.ann, id=theirs)
            await counter.refuses("NO_SUCH_HOLD", "sale.cancel", counter.ann, hold=hold)  # the same viewer's
            await counter.shop_is_refused(404, "NO_SUCH_HOLD", "confirm", hold, {"payment_id": "p"})
            await counter.shop_is_refused(404, "NO_SUCH_HOLD", "cancel", hold, {})
            assert await other.look() == before
            assert (await other.pays(hold))[0] == 200

    shown(node, show)


def test_a_round_of_another_kind(node: Node) -> None:
    async def show(counter: Counter) -> None:
        id_ = await counter.open()
        lottery = (await counter.host.ask("lottery.open", prize="cup", winners=1))["id"]
        for command, fields in TURNS.items():
            await counter.refuses("NO_SUCH_ROUND", command, id=lottery, **fields)
        await counter.refuses("NO_SUCH_ROUND", "sale.claim", counter.ann, id=lottery, idem="a")
        await counter.refuses("NO_SUCH_ROUND", "sale.wait", counter.ann, id=lottery)
        await counter.refuses("NO_SUCH_ROUND", "lottery.enter", counter.ann, id=id_)
        await counter.refuses("NO_SUCH_ROUND", "lottery.claim", counter.ann, id=id_)
        await counter.refuses("NO_SUCH_ROUND", "quiz.answer", counter.ann, id=id_, choice=0)
        await counter.refuses("NO_SUCH_ROUND", "lottery.close", id=id_)
        hold = f"h{lottery.removeprefix('r')}_1"
        await counter.refuses("NO_SUCH_HOLD", "sale.cancel", counter.ann, hold=hold)
        await counter.shop_is_refused(404, "NO_SUCH_HOLD", "confirm", hold, {"payment_id": "p"})

    shown(node, show)


@pytest.mark.parametrize("id_", ["", "R_1", "r_1\n", "r" * 41, "r|1", 1, None, ["r_1"]])
def test_an_id_that_cannot_be_one(node: Node, id_: Any) -> None:
    async def show(counter: Counter) -> None:
        await counter.open()
        for command, fields in TURNS.items():
            assert (await counter.refuses("BAD_MESSAGE", command, id=id_, **fields))["field"] == "id"
        for command in ("sale.claim", "sale.wait"):
            assert (await counter.refuses("BAD_MESSAGE", command, counter.ann, id=id_))["field"] == "id"

    shown(node, show)


@pytest.mark.parametrize("hold", ["", "h_", "H_1", "r_1", "h_1\n", "h_1|2", "h_" + "1" * 61, "../h_1", "h 1"])
def test_a_hold_that_cannot_be_one(node: Node, hold: str) -> None:
    async def show(counter: Counter) -> None:
        await counter.open()
        params = await counter.refuses("BAD_MESSAGE", "sale.cancel", counter.ann, hold=hold)
        assert params["field"] == "hold"
        for verb, body in (("confirm", {"payment_id": "p"}), ("cancel", {})):
            status, _ = await counter.shop(verb, hold, body)
            assert status == 404

    shown(node, show)


# --- at the wrong time ---

WRONG: dict[str, dict[str, str]] = {
    "announced": dict.fromkeys(("sale.pause", "sale.resume", "sale.close"), "ROUND_STATE"),
    "paused": {"sale.claim": "SALE_PAUSED", "sale.wait": "SALE_PAUSED"},
    "closed": {
        **dict.fromkeys(("sale.claim", "sale.wait"), "ROUND_CLOSED"),
        **dict.fromkeys(TURNS.keys() - {"sale.close"}, "ROUND_STATE"),
    },
    "cancelled": {
        **dict.fromkeys(("sale.claim", "sale.wait"), "ROUND_STATE"),
        **dict.fromkeys(TURNS.keys() - {"sale.cancel_all"}, "ROUND_STATE"),
    },
}
HOLDS_ALREADY = {"open": "sale.resume", "paused": "sale.pause", "closed": "sale.close", "cancelled": "sale.cancel_all"}


@pytest.mark.parametrize("state", WRONG)
def test_a_command_in_the_wrong_state(node: Node, state: str) -> None:
    async def show(counter: Counter) -> None:
        id_ = await counter.bring(state)
        for command, wanted in WRONG[state].items():
            by, fields = (None, TURNS[command]) if command in TURNS else (counter.ann, {})
            params = await counter.refuses(wanted, command, by, id=id_, **fields)
            assert wanted != "ROUND_STATE" or params["state"] == state
            assert wanted != "ROUND_CLOSED" or params["closed_at"] <= await counter.now()

    shown(node, show)


@pytest.mark.parametrize("state", HOLDS_ALREADY)
def test_what_holds_already_is_answered_ok_and_told_once(node: Node, state: str) -> None:
    async def show(counter: Counter) -> None:
        id_ = await counter.bring(state)
        before, told = await counter.look(), await counter.told()
        for idem in ("a", "a", "b"):
            assert (await counter.turn(HOLDS_ALREADY[state], id_, idem=idem))["state"] == state
        assert await counter.look() == before
        assert await counter.told() == told + 1

    shown(node, show)


def test_who_has_something_may_let_it_go_and_the_shop_may_say_so_whatever_the_host_did(node: Node) -> None:
    async def show(counter: Counter) -> None:
        for command in ("sale.pause", "sale.close"):
            id_ = await counter.open(per_viewer=3)
            holds = [await counter.claim(counter.ann, id_, idem=one) for one in "abc"]
            await counter.turn(command, id_)
            said = await counter.ann.ask("sale.cancel", hold=holds[0])
            assert (said["t"], said["state"]) == ("ok", "cancelled")
            assert (await counter.pays(holds[1]))[1]["state"] == "sold"
            assert (await counter.shop("cancel", holds[2], {}))[1]["state"] == "cancelled"
            assert (await counter.look())[-1][1] == (3, 2, 0, 1)
            assert (await counter.shop("cancel", holds[1], {}))[1]["state"] == "refunded"
            assert (await counter.look())[-1][1] == (3, 3, 0, 0)

    shown(node, show)


# --- who may not ---


def test_staff_do_not_buy(node: Node) -> None:
    async def show(counter: Counter) -> None:
        id_ = await counter.open()
        async with guests(
            join(node, counter.room, "moderator"), join(node, counter.room, "service")
        ) as (moderator, service):
            for by in (counter.host, moderator, service):
                for command in ("sale.claim", "sale.wait"):
                    params = await counter.refuses("NOT_ELIGIBLE", command, by, id=id_)
                    assert params == {"missing": [{"role": "viewer"}]}
        for role in ("moderator", "host", "service"):
            status, said = await counter.http("sale.claim", role, id=id_, idem="a")
            assert (status, said["code"]) == (403, "NOT_ELIGIBLE")
        hold = await counter.claim(counter.ann, id_)
        await counter.refuses("NO_SUCH_HOLD", "sale.cancel", hold=hold)
        assert (await counter.look())[0][1] == (3, 2, 1, 0)

    shown(node, show)


def test_only_a_host_commands(node: Node) -> None:
    async def show(counter: Counter) -> None:
        id_ = await counter.open()
        async with guests(join(node, counter.room, "moderator")) as (moderator,):
            for by in (counter.ann, moderator):
                for command, fields in TURNS.items():
                    params = await counter.refuses("NOT_ALLOWED", command, by, id=id_, **fields)
                    assert params == {"needs": "host"}
                assert await counter.refuses("NOT_ALLOWED", "sale.open", by, **MUG) == {"needs": "host"}
        status, said = await counter.http("sale.close", "viewer", id=id_)
        assert (status, said["code"]) == (403, "NOT_ALLOWED")

    shown(node, show)


def test_only_the_shop_confirms_and_cancels(node: Node) -> None:
    async def show(counter: Counter) -> None:
        hold = await counter.claim(counter.ann, await counter.open(), idem="a")
        calls: list[tuple[str, object]] = [("confirm", {"payment_id": "p"}), ("cancel", {"reason": "so"})]
        for verb, body in calls:
            for role in ("viewer", "moderator", "host"):
                key = token(counter.room, role, "ann")
                params = await counter.shop_is_refused(403, "NOT_ALLOWED", verb, hold, body, key)
                assert params == {"needs": "service"}
            foreign = token("another-room", "service")
            await counter.shop_is_refused(403, "NOT_ALLOWED", verb, hold, body, foreign)
            for key in ("", "nonsense"):
                await counter.shop_is_refused(401, "BAD_TOKEN", verb, hold, body, key)
            await counter.shop_is_refused(403, "NOT_ALLOWED", verb, NO_HOLD, b"{", token(counter.room, "viewer"))
        assert (await counter.shop("confirm", hold, {"payment_id": "p"}, token("*", "service")))[0] == 200

    shown(node, show)


def test_nobody_lets_go_what_another_has(node: Node) -> None:
    async def show(counter: Counter) -> None:
        hold = await counter.claim(counter.ann, await counter.open(), idem="a")
        await counter.refuses("NO_SUCH_HOLD", "sale.cancel", counter.bob, hold=hold)
        assert (await counter.ann.ask("sale.cancel", hold=hold))["state"] == "cancelled"
        await counter.refuses("NO_SUCH_HOLD", "sale.cancel", counter.bob, hold=hold)

    shown(node, show)


# --- the shop ---


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"nonsense", b"\xff\xfe", b"[" * 2000),
        *([], "p", 7, None),
        *({}, {"payment_id": ""}, {"payment_id": "p" * 129}, {"payment_id": 7}, {"payment_id": None}),
        *({"payment_id": "p", "paid_at": one} for one in (-1, 2**53, 1.5, "now", None)),
        {"payment_id": "p", "amount": 990},
        {"payment_id": "p", "reason": "so"},
        b'{"payment_id":"p","reason":"' + b"x" * 17_000 + b'"}',
    ],
)
def test_a_payment_that_cannot_be_read(node: Node, body: Any) -> None:
    async def show(counter: Counter) -> None:
        hold = await counter.claim(counter.ann, await counter.open(), idem="a")
        body_ = b"null" if body is None else body
        await counter.shop_is_refused(400, "BAD_MESSAGE", "confirm", hold, body_)

    shown(node, show)


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[]", {"reason": "x" * 201}, {"reason": 1}, {"why": "so"}])
def test_a_reason_that_cannot_be_read(node: Node, body: Any) -> None:
    async def show(counter: Counter) -> None:
        hold = await counter.claim(counter.ann, await counter.open(), idem="a")
        await counter.shop_is_refused(400, "BAD_MESSAGE", "cancel", hold, body)

    shown(node, show)


def test_a_payment_that_is_told_twice_counts_once(node: Node) -> None:
    async def show(counter: Counter) -> None:
        hold = await counter.claim(counter.ann, await counter.open(per_viewer=2), idem="a", qty=2)
        said = await asyncio.gather(*(counter.pays(hold) for _ in range(4)))
        assert said == [said[0]] * 4
        status, order = said[0]
        assert (status, order["state"], order["rank"], order["hold"]) == (200, "sold", 1, hold)
        assert (await counter.look())[0][1] == (3, 1, 0, 2)
        assert (await counter.pays(hold))[1] == order

    shown(node, show)


def test_another_payment_for_the_same_hold_is_to_be_given_back(node: Node) -> None:
    async def show(counter: Counter) -> None:
        hold = await counter.claim(counter.ann, await counter.open(), idem="a")
        assert (await counter.pays(hold, "p1"))[0] == 200
        for _ in range(2):
            params = await counter.shop_is_refused(
                409, "IDEMPOTENCY_MISMATCH", "confirm", hold, {"payment_id": "p2", "paid_at": 1}
            )
            assert params["refund_required"] is True
        assert (await counter.pays(hold, "p1"))[1]["rank"] == 1

    shown(node, show)


@pytest.mark.parametrize("by", ["viewer", "shop"])
def test_a_payment_for_what_was_let_go_is_to_be_given_back(node: Node, by: str) -> None:
    async def show(counter: Counter) -> None:
        hold = await counter.claim(counter.ann, await counter.open(), idem="a")
        if by == "viewer":
            await counter.ann.ask("sale.cancel", hold=hold)
        else:
            await counter.shop("cancel", hold, {"reason": "so"})
        for _ in range(2):
            params = await counter.shop_is_refused(409, "HOLD_EXPIRED", "confirm", hold, {"payment_id": "p"})
            assert params["refund_required"] is True

    shown(node, show)


def test_a_payment_behind_the_end_of_its_hold_when_all_is_gone(node: Node) -> None:
    async def show(counter: Counter) -> None:
        id_ = await counter.open(stock=1, hold_seconds=1)
        hold = await counter.claim(counter.ann, id_, idem="a")
        await counter.ann.hear("sale.released", hold=hold, why="expired")
        await counter.claim(counter.bob, id_, idem="a")
        params = await counter.shop_is_refused(409, "HOLD_EXPIRED", "confirm", hold, {"payment_id": "p"})
        assert params["late_payment"] is True
        assert params["refund_required"] is True
        await counter.host.hear("sale.reopened")
        await counter.bob.hear("sale.released")
        # What was to be given back stays so, although there is one now.
        assert (await counter.pays(hold, "p"))[1]["code"] == "HOLD_EXPIRED"
        assert (await counter.pays(hold, "p2"))[1]["state"] == "sold"

    shown(node, show)


def test_what_is_paid_is_not_let_go_by_who_bought_it(node: Node) -> None:
    async def show(counter: Counter) -> None:
        hold = await counter.claim(counter.ann, await counter.open(), idem="a")
        await counter.pays(hold)
        params = await counter.refuses("ROUND_STATE", "sale.cancel", counter.ann, hold=hold)
        assert params["state"] == "sold"

    shown(node, show)


def test_what_is_let_go_twice_is_freed_once(node: Node) -> None:
    async def show(counter: Counter) -> None:
        id_ = await counter.open()
        hold = await counter.claim(counter.ann, id_, idem="a")
        releasing = (counter.shop("cancel", hold, {"reason": "so"}) for _ in range(3))
        said = await asyncio.gather(counter.ann.ask("sale.cancel", hold=hold), *releasing)
        assert {one["state"] for one in [said[0], *(body for _, body in said[1:])]} == {"cancelled"}
        assert (await counter.look())[0][1] == (3, 3, 0, 0)
        hold = await counter.claim(counter.ann, id_, idem="b")
        await counter.pays(hold)
        said = await asyncio.gather(*(counter.shop("cancel", hold, {}) for _ in range(3)))
        assert {(status, body["state"]) for status, body in said} == {(200, "refunded")}
        assert (await counter.look())[0][1] == (3, 3, 0, 0)

    shown(node, show)


def test_a_refund_that_is_followed_by_its_payment_again_asks_for_no_second_refund(node: Node) -> None:
    async def show(counter: Counter) -> None:
        hold = await counter.claim(counter.ann, await counter.open(), idem="a")
        await counter.pays(hold, "p1")
        await counter.shop("cancel", hold, {"reason": "given back"})
        before = await counter.look()
        _, said = await counter.pays(hold, "p1")  # the shop did not hear the first answer
        assert await counter.look() == before
        assert not said.get("params", {}).get("refund_required"), said

    shown(node, show)


def test_a_payment_counts_in_a_room_that_has_closed_meanwhile(node: Node) -> None:
    async def show(counter: Counter) -> None:
        id_ = await counter.open()
        hold = await counter.claim(counter.ann, id_, idem="a")
        path = f"/v1/rooms/{counter.room}/close"
        assert (await asyncio.to_thread(node.http, "POST", path, None, token(counter.room, "host")))[0] == 200
        status, said = await counter.pays(hold)
        assert (status, said["state"]) == (200, "sold")
        assert (await counter.look())[0][1] == (3, 2, 0, 1)

    shown(node, show)


# --- opening and turning it ---


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        *(({"price": one}, "price") for one in (-1, 10**12 + 1, 9.9, "1")),
        *(({"stock": one}, "stock") for one in (0, -1, 10**7 + 1)),
        *(({"per_viewer": one}, "per_viewer") for one in (0, 101)),
        *(({"hold_seconds": one}, "hold_seconds") for one in (0, 3601)),
        *(({"seconds": one}, "seconds") for one in (0, 86_401)),
        *(({"currency": one}, "currency") for one in ("", "eur", "EURO", "E U", "EUR\n")),
        *(({"item": one}, "item") for one in ("", "x" * 81)),
        ({"opens_at": -1}, "opens_at"),
        ({"opens_at": 2**52}, "opens_at"),  # in some thousand years
    ],
)
def test_a_sale_that_cannot_be(node: Node, fields: Message, wrong: str) -> None:
    async def show(counter: Counter) -> None:
        await counter.open()
        params = await counter.refuses("BAD_MESSAGE", "sale.open", **MUG | fields)
        assert params["field"] == wrong

    shown(node, show)


@pytest.mark.parametrize("item", [" ", "\u200e\u202e", "\n"])
def test_an_item_that_nobody_can_read(node: Node, item: str) -> None:
    async def show(counter: Counter) -> None:
        await counter.open()
        params = await counter.refuses("BAD_MESSAGE", "sale.open", **MUG | {"item": item})
        assert params["field"] == "item"

    shown(node, show)


@pytest.mark.parametrize(
    ("command", "fields", "wrong"),
    [
        *(("sale.restock", {"qty": one}, "qty") for one in (0, -1, 10**7 + 1, "1")),
        *(("sale.extend", {"seconds": one}, "seconds") for one in (0, -1, 86_401)),
        *(("sale.cancel_all", {"reason": one}, "reason") for one in ("", "x" * 201)),
        ("sale.pause", {"reason": "so"}, "reason"),
    ],
)
def test_a_turn_that_cannot_be(node: Node, command: str, fields: Message, wrong: str) -> None:
    async def show(counter: Counter) -> None:
        id_ = await counter.open()
        params = await counter.refuses("BAD_MESSAGE", command, id=id_, **TURNS[command] | fields)
        assert params["field"] == wrong

    shown(node, show)


def test_a_hosts_key_that_was_used_for_something_else(node: Node) -> None:
    async def show(counter: Counter) -> None:
        id_ = await counter.open()
        other = await counter.open()
        await counter.turn("sale.restock", id_, idem="a", qty=2)
        before, told = await counter.look(), await counter.told()
        others: list[tuple[str, Message]] = [
            ("sale.restock", {"id": id_, "qty": 3}),
            ("sale.restock", {"id": other, "qty": 2}),
            ("sale.pause", {"id": id_}),
            ("sale.open", MUG),
            ("room.notice", {"text": "hello"}),
        ]
        for command, fields in others:
            assert code(await counter.host.ask(command, idem="a", **fields)) == "IDEMPOTENCY_MISMATCH"
        assert await counter.look() == before
        assert await counter.told() == told + 1
        assert before[0][1] == (5, 5, 0, 0)

    shown(node, show)


# --- when a command came ---

DONE, EARLY, CLOSED, TOO_LATE = 0, -1, -2, -3  # see sell.lua


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    embedded = Embedded(tmp_path_factory.mktemp("times") / "data")
    embedded.start()
    try:
        yield embedded.url
    finally:
        embedded.stop()


class Table:
    """A room of a server without nodes: nothing rings, and time is what the server says."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.rooms = Rooms(redis, 16, 1000, lambda _: None, no_ledger)
        self.rounds = Rounds(self.rooms, redis)
        durability = Durability(redis, relaxed=False, seconds=5)
        self.sales = Sales(self.rounds, durability, changed=lambda *_: None, wanted=lambda _: None)
        self.room = f"room-{next(numbers)}"

    async def now(self) -> int:
        seconds, micros = await self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    async def open(self, closes_at: int, opens_at: int = 0) -> Shelf:
        """A sale that closes at this time, which may be over; announced if ``opens_at`` is given."""
        id_, start = f"r_{next(numbers)}", opens_at or closes_at - 60_000
        opens = Open(item="mug", price=1, stock=20, currency="EUR", seconds=60, hold_seconds=600)
        planned = Played(
            id=id_,
            room=self.room,
            state="",
            ver=0,
            opens=opens,
            opened=None,
            opens_at=start,
            opened_at=0,
            closes_at=closes_at,
        )
        move = (PLAY.announce if opens_at else PLAY.begin)(planned, Reading(await self.now()))
        late = await self.now() + 1000
        said = await self.rounds.open(planned, move, f"f{id_}", BELL, keyword="", once=NO_KEY, not_after=late)
        assert said == id_
        return Shelf(self.room, id_)

    async def hand_in(self, shelf: Shelf, *wishes: Wish) -> list[Verdict]:
        verdicts = await self.sales.sell(shelf, f"f{next(numbers)}", wishes)
        assert isinstance(verdicts, list)
        return verdicts

    async def how(self, shelf: Shelf, at: float, verb: str = "claim") -> int:
        n = next(numbers)
        hold = f"h{shelf.round.removeprefix('r')}_{n}"
        wish = Wish(verb, at, f"v{n}", hold=hold, qty=1, word="a")
        (verdict,) = await self.hand_in(shelf, wish)
        return verdict.how

    async def taken(self, shelf: Shelf) -> int:
        """How many units are not free; the numbers agree."""
        fields = await self.redis.hmget(self.rooms.keys(self.room).round(shelf.round), "stock", "free", "held", "sold")
        stock, free, held, sold = (int(one or 0) for one in fields)
        assert free + held + sold == stock
        return held + sold

    async def close(self, shelf: Shelf) -> None:
        kept = await self.rounds.read(self.room, shelf.round)
        assert kept is not None
        move = PLAY.table["close"].does(kept.played, Reading(await self.now()))
        assert move
        assert isinstance(await self.rounds.move(kept.played, move, f"f{next(numbers)}", BELL), Moved)


async def no_ledger(_: str) -> None:
    return None


def timed(url: str, what: Callable[[Table], Coroutine[Any, Any, None]]) -> None:
    async def show() -> None:
        redis = client(url, 5)
        try:
            await scripts.load(redis)
            table = Table(redis)
            await table.rooms.create(table.room, "Test", "", f"f{next(numbers)}")
            await what(table)
        finally:
            await redis.aclose()

    asyncio.run(show())


@pytest.mark.parametrize(
    ("late", "how"),
    [
        (-60_000, TOO_LATE),
        *((late, DONE) for late in (-1, 0, 1, 299, 300)),
        *((late, CLOSED) for late in (301, 400, 499)),
    ],
)
def test_what_counts_is_when_a_claim_came(server: str, late: int, how: int) -> None:
    async def show(table: Table) -> None:
        closes_at = await table.now() - 500  # as late as a bell may ring
        shelf = await table.open(closes_at)
        assert await table.how(shelf, closes_at + late) == how
        assert await table.taken(shelf) == (how == DONE)
        assert await table.how(shelf, closes_at + late, "wait") == how

    assert GRACE_MS == 300
    timed(server, show)


@pytest.mark.parametrize(("early", "how"), [(1000, EARLY), (1, EARLY), (0, DONE), (-1, DONE)])
def test_a_claim_is_too_early_by_the_clock_whenever_the_bell_rings(server: str, early: int, how: int) -> None:
    async def show(table: Table) -> None:
        now = await table.now()
        shelf = await table.open(now + 60_000, opens_at=now + 20)
        await asyncio.sleep((now + 40 - await table.now()) / 1000)
        assert await table.how(shelf, now + 20 - early) == how
        assert await table.taken(shelf) == (how == DONE)

    timed(server, show)


def test_who_claims_to_come_from_the_future_came_now(server: str) -> None:
    async def show(table: Table) -> None:
        now = await table.now()
        soon = await table.open(now + HOUR_MS, opens_at=now + HOUR_MS // 2)
        over = await table.open(now - 500)
        assert await table.how(soon, now + HOUR_MS - 1) == EARLY
        assert await table.how(over, now + HOUR_MS) == CLOSED
        assert await table.how(await table.open(now + 60_000), now + HOUR_MS) == DONE

    timed(server, show)


@pytest.mark.parametrize(("old", "how"), [(1000, DONE), (2050, TOO_LATE), (HOUR_MS, TOO_LATE)])
def test_a_claim_that_was_under_way_too_long_is_not_made(server: str, old: int, how: int) -> None:
    async def show(table: Table) -> None:
        shelf = await table.open(await table.now() + 30_000)
        assert await table.how(shelf, await table.now() - old) == how
        assert await table.taken(shelf) == (how == DONE)
        assert WHY_NOT[TOO_LATE](None).code is Code.TRY_LATER  # type: ignore[arg-type]

    timed(server, show)


def test_behind_the_close_nothing_counts_whenever_it_came(server: str) -> None:
    async def show(table: Table) -> None:
        closes_at = await table.now() - 500
        shelf = await table.open(closes_at)
        assert await table.how(shelf, closes_at) == DONE
        await table.close(shelf)
        for late in (-1000, -1, 0, 1, 299):
            assert await table.how(shelf, closes_at + late) in (CLOSED, TOO_LATE)
        assert await table.how(shelf, await table.now()) == CLOSED
        assert await table.taken(shelf) == 1

    timed(server, show)


def test_many_wishes_at_once_are_answered_each_and_in_their_order(server: str) -> None:
    async def show(table: Table) -> None:
        now = await table.now()
        shelf = await table.open(now + 60_000)
        holds = [f"h{shelf.round.removeprefix('r')}_{n}" for n in range(512)]
        wishes = [Wish("claim", now, f"v{n}", f"V{n}", hold, 1, "a") for n, hold in enumerate(holds)]
        verdicts = await table.hand_in(shelf, *wishes)
        assert [one.how for one in verdicts] == [DONE] * 20 + [-5] * 492
        assert await table.taken(shelf) == 20
        again = await table.hand_in(shelf, *wishes)
        assert [(one.how, one.said) for one in again[:20]] == [(1, one.said) for one in verdicts[:20]]
        assert await table.taken(shelf) == 20

    timed(server, show)
