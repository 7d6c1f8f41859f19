"""`liveroom reconcile` finds whatever differs between Redis and the ledger, and nothing where nothing does."""

import asyncio
import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis
from msgspec.structs import replace

from liveroom import cli
from liveroom.ledger.engine import open_ledger
from liveroom.ledger.facts import Fact
from liveroom.ledger.queries import Ledger
from liveroom.ledger.recorder import Recorder
from liveroom.reconcile import LOST, MISSING, Book, Order, Record, Sale, Terms, differences
from liveroom.store import keys
from liveroom.store.embedded import Embedded
from liveroom.store.keys import keys_of
from tests.ledger.outbox import SALE, Shelf, bought, created, held, hold, sale_moved

SHARDS = 16
AT = keys_of("demo", SHARDS)

HELD = Record("ann", 1, "held", 1)
SOLD = Record("bob", 2, "sold", 2, "o_2", "p_2")
GONE = Record("eve", 1, "expired", 2)
BOOK = Book(stock=5, free=1, held=2, sold=2, offered=1, records={"h_1": HELD, "h_2": SOLD, "h_3": GONE})
EQUAL = Sale("r_s", Terms("Teapot", 5, 2), "open", BOOK, BOOK, BOOK.records, [Order("o_2", "h_2", "paid")])
BACK = replace(SOLD, state="refunded", v=3)
OVER = replace(EQUAL, state="closed", before=None, after=None, records={"h_2": SOLD, "h_3": GONE})


def said(sale: Sale) -> list[str]:
    return [one.what for one in differences(sale)]


def with_book(**fields: Any) -> Sale:
    book = replace(BOOK, **fields)
    return replace(EQUAL, before=book, after=book)


def with_redis(**records: Record) -> Sale:
    """A sale whose records are others in Redis than in the ledger."""
    return with_book(records={**BOOK.records, **records})


def with_rows(sale: Sale = EQUAL, **records: Record) -> Sale:
    return replace(sale, records={**sale.records, **records})


# what differs


@pytest.mark.parametrize("sale", [EQUAL, OVER, replace(OVER, state="cancelled"), replace(EQUAL, before=None)])
def test_nothing_differs(sale: Sale):
    assert said(sale) == []


@pytest.mark.parametrize(
    ("sale", "what"),
    [
        (with_book(free=2), "free 2 + held 2 + sold 2 is not the stock 5"),
        (with_book(free=-1, stock=3), "free is -1"),
        (with_book(held=3, free=0), "held is 3, but 1 are held and 1 offered"),
        (with_book(offered=0), "held is 2, but 1 are held and 0 offered"),
        (with_book(sold=1, free=2), "sold is 1, but the holds say 2"),
        (replace(EQUAL, terms=Terms("Teapot", 5, 1)), "viewer bob has 2, but 1 are allowed"),
        (with_redis(h_1=replace(HELD, state="late")), "hold h_1: state is 'late' in Redis, 'held' in the ledger"),
        (with_redis(h_1=replace(HELD, viewer="zoe")), "hold h_1: viewer is 'zoe' in Redis, 'ann' in the ledger"),
        (with_rows(h_1=replace(HELD, qty=2)), "hold h_1: qty is 1 in Redis, 2 in the ledger"),
        (with_redis(h_2=replace(SOLD, order="o_9")), "hold h_2: order is 'o_9' in Redis, 'o_2' in the ledger"),
        (with_redis(h_2=replace(SOLD, payment="p")), "hold h_2: payment is 'p' in Redis, 'p_2' in the ledger"),
        (
            with_redis(h_3=replace(GONE, v=3)),
            "hold h_3 is expired (version 3) in Redis, expired (version 2) in the ledger",
        ),
        (with_redis(h_4=replace(GONE)), "hold h_4 is expired (version 2) in Redis, missing in the ledger"),
        (
            with_rows(h_3=replace(GONE, v=3)),
            "hold h_3 is expired (version 3) in the ledger, expired (version 2) in Redis",
        ),
        (with_rows(h_4=replace(GONE)), "hold h_4 is expired (version 2) in the ledger, missing in Redis"),
        (replace(EQUAL, state=""), "the ledger does not know the sale"),
        (replace(EQUAL, orders=[]), "hold h_2 is sold, but order o_2 is missing"),
        (replace(EQUAL, orders=[Order("o_2", "h_2", "refunded")]), "hold h_2 is sold, but order o_2 is refunded"),
        (
            replace(EQUAL, orders=[*EQUAL.orders, Order("o_9", "h_2", "paid")]),
            "order o_9 is for hold h_2, whose order is o_2",
        ),
        (
            replace(EQUAL, orders=[*EQUAL.orders, Order("o_9", "h_9", "paid")]),
            "order o_9 is for hold h_9, whose order is none",
        ),
        (with_rows(OVER, h_2=BACK), "hold h_2 is refunded, but order o_2 is paid"),
        (replace(OVER, terms=Terms("Teapot", 1, 2)), "the ledger has 2 sold of a stock of 1"),
        (replace(OVER, terms=Terms("Teapot", 5, 1)), "viewer bob has 2, but 1 are allowed"),
        (replace(OVER, state="paused"), "the sale is paused in the ledger, but not in Redis"),
        (with_rows(OVER, h_1=HELD), "hold h_1 is held in the ledger, but the sale is not in Redis"),
    ],
)
def test_one_thing_wrong_is_found(sale: Sale, what: str):
    assert what in said(sale)


def test_what_is_neither_held_nor_sold_counts_towards_no_limit():
    some = {f"h_{n}": replace(GONE, viewer="ann") for n in range(10, 20)}
    assert (
        said(
            replace(
                EQUAL,
                before=with_redis(**some).before,
                after=with_redis(**some).after,
                records={**BOOK.records, **some},
            )
        )
        == []
    )


def test_numbers_of_a_sale_that_redis_forgot_are_the_ledgers():
    assert EQUAL.numbers == (5, 1, 2, 2)
    assert OVER.numbers == (5, 3, 0, 2)


def test_why_the_ledger_is_behind():
    late = with_redis(h_4=GONE)
    assert [one.why for one in differences(late)] == [MISSING]
    assert ["(7)" in one.why for one in differences(replace(late, waiting=7))] == [True]
    assert [one.why for one in differences(with_rows(h_4=GONE))] == [LOST]


# a sale that goes on meanwhile


def test_what_became_of_a_hold_between_two_looks_is_no_difference():
    later = replace(HELD, state="sold", v=2, order="o_1", payment="p_1")
    after = replace(BOOK, held=1, sold=3, records={**BOOK.records, "h_1": later, "h_5": replace(HELD, viewer="zoe")})
    after = replace(after, held=2, free=0)
    for row, orders in ((HELD, []), (later, [Order("o_1", "h_1", "paid")])):
        sale = replace(EQUAL, after=after, orders=[*EQUAL.orders, *orders])
        assert said(with_rows(sale, h_1=row)) == []


def test_a_ledger_between_two_versions_is_no_difference():
    first, last = (replace(HELD, v=v) for v in (1, 3))
    sale = replace(EQUAL, after=replace(BOOK, records={**BOOK.records, "h_1": last}))
    assert said(with_rows(replace(sale, before=BOOK), h_1=replace(first, v=2))) == []


# with a real server, a real ledger, and the command


class Done(NamedTuple):
    code: int
    out: str
    errors: str


class Shop:
    """A room with a sale in Redis and in the ledger, both as they should be."""

    def __init__(self, server: redis.Redis, url: str, ledger: Path, typed: Callable[..., Done]) -> None:
        self.server = server
        self.url = url
        self.ledger = f"sqlite:///{ledger}"
        self.typed = typed
        self.keep([created()])
        self.server.hset(AT.info, "state", "open")

    def keep(self, facts: list[Fact]) -> None:
        async def work() -> str:
            engine = await open_ledger(self.ledger)
            await Recorder(engine, Shelf(facts)).finish()
            identity = await Ledger(engine).identity()
            await engine.dispose()
            return identity

        self.server.set(keys.LEDGER, asyncio.run(work()))

    def sale(self, *records: dict[str, Any], round_id: str = "r_s", state: str = "open", **offers: int) -> None:
        """Holds in Redis, with the numbers that belong to them."""
        held, sold = (sum(one["qty"] for one in records if one["state"] == state) for state in ("held", "sold"))
        held += sum(offers.values())
        fields: dict[Any, Any] = {
            "kind": "sale",
            "state": state,
            "stock": 5,
            "free": 5 - held - sold,
            "held": held,
            "sold": sold,
        }
        told = {"item": "Teapot", "stock": 5, "per_viewer": 2}
        self.server.hset(
            AT.round(round_id), mapping={**fields, "command": json.dumps(told), "opened": json.dumps(SALE)}
        )
        self.server.hset(AT.live, round_id, json.dumps({"kind": "sale", "id": round_id}))
        for one in records:
            self.put(one, round_id)
        for viewer, qty in offers.items():
            self.server.hset(AT.offers(round_id), viewer, json.dumps({"qty": qty, "until": 1}))

    def put(self, record: dict[str, Any], round_id: str = "r_s") -> None:
        self.server.hset(AT.holds(round_id), record["hold"], json.dumps(record))

    def sql(self, statement: str) -> None:
        connection = sqlite3.connect(self.ledger.removeprefix("sqlite:///"))
        connection.execute(statement)
        connection.commit()
        connection.close()

    def reconcile(self, *words: str, room: str = "demo", wait: str = "0s") -> Done:
        return self.typed(room, "--redis", self.url, "--ledger", self.ledger, "--wait", wait, *words)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    embedded = Embedded(tmp_path_factory.mktemp("reconcile") / "data")
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    for name in [name for name in os.environ if name.startswith("LIVEROOM_")]:
        monkeypatch.delenv(name)

    def run(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["liveroom", "reconcile", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        heard = capfd.readouterr()
        return Done(int(end.value.code or 0), heard.out, heard.err)

    return run


@pytest.fixture
def empty(server: Embedded, tmp_path: Path, typed: Callable[..., Done]) -> Iterator[Shop]:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        yield Shop(client, server.url, tmp_path / "ledger.db", typed)


RECORDS = [hold("h_1"), bought("h_2", "bob", qty=2), hold("h_3", "eve", "expired", 2)]


@pytest.fixture
def shop(empty: Shop) -> Shop:
    empty.sale(*RECORDS, zoe=1)
    empty.keep([sale_moved(), held(*RECORDS)])
    return empty


def differing(done: Done) -> str:
    """What is told below the one sale."""
    assert (done.code, done.errors) == (1, ""), done
    first, *rest = done.out.splitlines()
    many = "1 difference" if len(rest) == 1 else f"{len(rest)} differences"
    assert first.startswith("r_s  Teapot  stock "), first
    assert first.endswith(many), first
    return "\n".join(rest)


def refused(done: Done) -> str:
    assert (done.code, done.out, done.errors.count("\n")) == (2, "", 1), done
    return done.errors


def test_equal_accounts_are_one_line_and_exit_0(shop: Shop):
    assert shop.reconcile() == Done(0, "r_s  Teapot  stock 5  free 1  held 2  sold 2  orders 1  equal\n", "")


def test_the_servers_of_a_data_folder_are_found(shop: Shop, server: Embedded):
    shop.ledger = f"sqlite:///{server.data}/ledger.db"
    shop.keep([created(), sale_moved(), held(*RECORDS)])
    done = shop.typed("demo", "--data", str(server.data))
    assert (done.code, done.out.endswith("equal\n")) == (0, True), done


def test_a_room_without_sales_says_so(empty: Shop):
    assert empty.reconcile() == Done(0, "room 'demo' has no sales\n", "")


def test_an_item_moves_no_cursor(shop: Shop):
    shop.sql("UPDATE rounds SET opened = replace(opened, 'Teapot', 'Tea\\u001b[2Jpot')")
    assert "Tea [2Jpot" in shop.reconcile().out


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda shop: shop.server.hincrby(AT.round("r_s"), "stock", 1), "is not the stock 6"),
        (lambda shop: shop.server.hset(AT.round("r_s"), mapping={"free": -1, "stock": 3}), "free is -1"),
        (lambda shop: shop.server.hset(AT.round("r_s"), mapping={"free": 0, "held": 3}), "held is 3, but 1 are held"),
        (lambda shop: shop.server.delete(AT.offers("r_s")), "but 1 are held and 0 offered"),
        (lambda shop: shop.server.hset(AT.round("r_s"), mapping={"free": 2, "sold": 1}), "sold is 1, but the holds"),
        (lambda shop: shop.put({**RECORDS[2], "state": "cancelled"}), "state is 'cancelled' in Redis, 'expired'"),
        (lambda shop: shop.put({**RECORDS[2], "viewer": "zoe"}), "viewer is 'zoe' in Redis, 'eve' in"),
        (lambda shop: shop.put({**RECORDS[2], "qty": 2}), "qty is 2 in Redis, 1 in"),
        (lambda shop: shop.put({**RECORDS[1], "order": "o_9"}), "order is 'o_9' in Redis, 'o_2' in"),
        (lambda shop: shop.sql("UPDATE holds SET payment = 'p' WHERE hold = 'h_2'"), "'p_2' in Redis, 'p' in"),
        (lambda shop: shop.put({**RECORDS[2], "v": 3}), "h_3 is expired (version 3) in Redis, expired (version 2)"),
        (lambda shop: shop.sql("UPDATE holds SET v = 9 WHERE hold = 'h_3'"), "expired (version 9) in the ledger"),
        (lambda shop: shop.server.hdel(AT.holds("r_s"), "h_3"), "in the ledger, missing in Redis: Redis lost"),
        (lambda shop: shop.sql("DELETE FROM holds WHERE hold = 'h_3'"), "in Redis, missing in the ledger"),
        (
            lambda shop: shop.sql(
                """UPDATE rounds SET opened = replace(opened, '"per_viewer": 2', '"per_viewer": 1')"""
            ),
            "viewer bob has 2, but 1",
        ),
        (lambda shop: shop.sql("DELETE FROM rounds"), "the ledger does not know the sale"),
        (lambda shop: shop.sql("DELETE FROM orders"), "h_2 is sold, but order o_2 is missing"),
        (lambda shop: shop.sql("UPDATE orders SET state = 'refunded'"), "h_2 is sold, but order o_2 is refunded"),
        (lambda shop: shop.sql("UPDATE orders SET id = 'o_9'"), "order o_9 is for hold h_2, whose order is o_2"),
        (lambda shop: shop.server.flushall() and None, "the sale is open in the ledger, but not in Redis"),
    ],
)
def test_data_made_wrong_by_hand_is_found(shop: Shop, spoil: Callable[[Shop], object], what: str):
    spoil(shop)
    assert what in differing(shop.reconcile())


# a sale that Redis forgot after its end


@pytest.fixture
def over(empty: Shop) -> Shop:
    """Only the ledger has it."""
    empty.keep([sale_moved("closed", 9), held(*RECORDS[1:])])
    return empty


def test_a_sale_that_is_over_may_be_forgotten(over: Shop):
    numbers = "stock 5  free 3  held 0  sold 2  orders 1"
    assert over.reconcile() == Done(0, f"r_s  Teapot  {numbers}  (in the ledger only)  equal\n", "")


ORDER = "hold, room, round, viewer, name, item, currency, payment, state, qty, price, rank, paid_at, at, late, v"


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE holds SET qty = 6 WHERE hold = 'h_2'", "the ledger has 6 sold of a stock of 5"),
        ("UPDATE holds SET qty = 3 WHERE hold = 'h_2'", "viewer bob has 3, but 2 are allowed"),
        (
            f"INSERT INTO orders SELECT 'o_9', {ORDER} FROM orders",
            "order o_9 is for hold h_2, whose order is o_2",
        ),
        ("UPDATE holds SET state = 'held' WHERE hold = 'h_3'", "h_3 is held in the ledger, but the sale is not"),
    ],
)
def test_the_ledger_alone_must_agree_with_itself(over: Shop, statement: str, what: str):
    over.sql(statement)
    done = over.reconcile()
    assert done.code == 1
    assert what in done.out


def test_several_sales_are_told_newest_first(shop: Shop):
    shop.keep([sale_moved("closed", 9, "r_a", opens_at=1), sale_moved("open", 1, "r_b", opens_at=2)])
    done = shop.reconcile()
    assert done.code == 1
    assert [line.split()[0] for line in done.out.splitlines() if not line.startswith(" ")] == ["r_s", "r_b", "r_a"]


# while facts are on their way


def test_what_is_on_its_way_is_waited_for(shop: Shop):
    late = bought("h_1", "ann", 2, payment="p_1")
    shop.put(late)
    shop.server.hset(AT.round("r_s"), mapping={"held": 1, "sold": 3})
    arriving = threading.Timer(0.7, lambda: shop.keep([held(late)]))
    arriving.start()
    began = time.monotonic()
    assert shop.reconcile(wait="20s").code == 0
    assert 0.7 < time.monotonic() - began < 10
    arriving.join()


def test_what_does_not_arrive_is_told_with_how_much_waits(shop: Shop):
    shop.put(hold("h_3", "eve", "expired", 3))
    shop.server.xadd(keys.outbox(AT.shard), {"id": "f1"})
    began = time.monotonic()
    assert "facts wait in the outbox (1)" in differing(shop.reconcile(wait="1s"))
    assert time.monotonic() - began > 1


# when it cannot be done


def test_a_room_that_nobody_knows_is_one_line(shop: Shop):
    assert "knows room 'nowhere'" in refused(shop.reconcile(room="nowhere"))


def test_another_ledger_is_one_line(shop: Shop):
    shop.server.set(keys.LEDGER, "another")
    assert "goes to another ledger" in refused(shop.reconcile())


def test_a_redis_that_is_not_there_is_one_line(shop: Shop, tmp_path: Path):
    assert "no answer from Redis" in refused(shop.reconcile("--redis", f"unix://{tmp_path}/none.sock"))
    assert "no Redis runs in" in refused(shop.typed("demo", "--data", str(tmp_path)))
    assert "is no Redis URL" in refused(shop.reconcile("--redis", "mysql://shop"))


def test_a_ledger_that_is_not_there_is_one_line(shop: Shop, tmp_path: Path):
    assert "no ledger at" in refused(shop.reconcile("--ledger", f"sqlite:///{tmp_path}/none.db"))


def test_what_breaks_on_the_way_is_one_line(shop: Shop):
    shop.sql("DROP TABLE holds")
    assert "the comparison broke off: no such table" in refused(shop.reconcile())


@pytest.mark.parametrize(("field", "value"), [("free", "many"), ("sold", "")])
def test_what_cannot_be_read_is_one_line(shop: Shop, field: str, value: str):
    shop.server.hset(AT.round("r_s"), field, value)
    assert "sale 'r_s' cannot be read in Redis" in refused(shop.reconcile())


def test_a_record_that_cannot_be_read_is_one_line(shop: Shop):
    shop.server.hset(AT.holds("r_s"), "h_1", "{")
    assert "sale 'r_s' cannot be read in Redis" in refused(shop.reconcile())
