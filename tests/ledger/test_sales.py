"""What is held, sold and owed of a sale is in the ledger as it was said last, and comes back from there."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from liveroom.ledger.archive import MOST_SALES, RECENT_MS, Archive
from liveroom.ledger.engine import open_ledger
from liveroom.ledger.facts import Fact
from liveroom.ledger.queries import Ledger
from liveroom.ledger.recorder import Recorder
from liveroom.ledger.tables import metadata
from tests.ledger.outbox import NOW, Shelf, bought, held, hold, moved, owed, refunded, sale_moved

Work = Callable[[AsyncEngine], Awaitable[None]]
With = Callable[..., None]


@pytest.fixture
def with_ledger(url: str) -> With:
    """Record facts, and do something with the ledger."""

    async def run(work: Work, facts: list[Fact]) -> None:
        engine = await open_ledger(url)
        try:
            await Recorder(engine, Shelf(facts)).finish()
            await work(engine)
        finally:
            await engine.dispose()

    return lambda work, *facts: asyncio.run(run(work, list(facts)))


async def rows(engine: AsyncEngine, table: str, *names: str) -> list[tuple[Any, ...]]:
    columns = metadata.tables[table].c
    async with engine.connect() as connection:
        return sorted(map(tuple, await connection.execute(select(*(columns[name] for name in names)))))


# what is recorded


def test_the_highest_version_of_a_hold_stays(with_ledger: With):
    async def work(engine: AsyncEngine) -> None:
        assert await rows(engine, "holds", "hold", "state", "v", "why") == [("h_1", "cancelled", 3, "changed his mind")]

    last = held(hold("h_1", state="cancelled", v=3, why="changed his mind"))
    with_ledger(work, last, held(hold("h_1")), held(hold("h_1", state="expired", v=2)), last)


def test_a_hold_that_changes_twice_in_one_call_is_as_it_was_last(with_ledger: With):
    async def work(engine: AsyncEngine) -> None:
        assert await rows(engine, "holds", "state", "v") == [("cancelled", 2)]

    with_ledger(work, held(hold("h_1"), hold("h_1", state="cancelled", v=2)))


def test_an_order_comes_with_the_payment_and_is_refunded_with_its_hold(with_ledger: With):
    async def paid(engine: AsyncEngine) -> None:
        columns = ("id", "hold", "viewer", "item", "price", "currency", "payment", "rank", "state")
        said = ("h_1", "ann", "Teapot", 1999, "EUR", "p_1", 1)
        assert await rows(engine, "orders", *columns) == [("o_1", *said, "paid")]
        back = [held(bought("h_1", v=3, state="refunded")), held(bought("h_1"))]
        await Recorder(engine, Shelf(back)).finish()
        assert await rows(engine, "orders", *columns) == [("o_1", *said, "refunded")]

    with_ledger(paid, held(hold("h_1"), hold("h_2")), held(bought("h_1")))


def test_what_is_owed_is_written_once_for_each_payment(with_ledger: With):
    async def work(engine: AsyncEngine) -> None:
        assert await rows(engine, "refunds", "hold", "payment") == [("h_1", "p"), ("h_1", "q"), ("h_2", "p")]

    with_ledger(work, refunded(owed("h_1"), owed("h_1", payment="q")), refunded(owed("h_2"), owed("h_1")))


CHANGES = [hold("h_1"), hold("h_1", state="expired", v=2), bought("h_1", v=3), bought("h_1", v=4, state="refunded")]


@settings(deadline=None, max_examples=15, phases=[Phase.generate])  # each try opens a ledger: no time to shrink
@given(st.permutations(CHANGES), st.lists(st.sampled_from(CHANGES), max_size=4))
def test_in_whatever_order_changes_come_the_last_one_counts(
    tmp_path_factory: pytest.TempPathFactory, order: list[dict[str, Any]], again: list[dict[str, Any]]
):
    async def work(file: Path) -> None:
        engine = await open_ledger(f"sqlite:///{file}")
        await Recorder(engine, Shelf(held(one) for one in [*order, *again])).finish()
        assert await rows(engine, "holds", "state", "v", "order_id") == [("refunded", 4, "o_1")]
        assert await rows(engine, "orders", "state", "v") == [("refunded", 4)]
        await engine.dispose()

    asyncio.run(work(tmp_path_factory.mktemp("order") / "ledger.db"))


# what comes back


def test_holds_come_back_as_they_were_said_in_the_order_in_which_they_were_made(with_ledger: With):
    first, second = hold("h_9", made=NOW - 1, idem="k", why="", late=False), bought("h_1", "bob", late=True, why="paid")
    third = hold("h_2", "eve", "expired", 2)
    empty = {"order": "", "rank": 0, "payment": "", "paid_at": 0, "late": False, "why": ""}

    async def work(engine: AsyncEngine) -> None:
        archive = Archive(engine)
        assert await archive.holds("r_s") == [empty | first, empty | second, empty | third]
        assert await archive.holds("r_x") == []

    with_ledger(work, held(third, second, first), held(hold("h_5"), round_id="r_t"))


def test_the_sales_of_two_days_come_back_newest_first(with_ledger: With):
    now = int(time.time() * 1000)
    opened = {"r_old": now - RECENT_MS - 60_000, "r_1": now - 3_600_000, "r_2": now - 60_000, "r_soon": now + 60_000}

    async def work(engine: AsyncEngine) -> None:
        found = await Archive(engine).sales("demo")
        assert [one.played.id for one in found] == ["r_soon", "r_2", "r_1"]
        last = found[1]
        assert (last.kind, last.played.state, last.played.opens.item) == ("sale", "cancelled", "Teapot")
        assert (last.played.opened.stock, last.played.opens_at, last.by) == (5, opened["r_2"], "host")
        assert await Archive(engine).sales("elsewhere") == []

    facts = [sale_moved(round_id=one, opens_at=at) for one, at in opened.items()]
    facts += [sale_moved("cancelled", 2, "r_2", opens_at=opened["r_2"]), sale_moved(round_id="r_3", room="other")]
    with_ledger(work, *facts, moved("r_4", opens_at=now), sale_moved(round_id="r_5", opens_at=now, command=None))


def test_at_most_so_many_sales_come_back(with_ledger: With):
    now = int(time.time() * 1000)

    async def work(engine: AsyncEngine) -> None:
        assert len(await Archive(engine).sales("demo")) == MOST_SALES
        assert len(await Ledger(engine).sales_of("demo")) == MOST_SALES + 5

    with_ledger(work, *(sale_moved(round_id=f"r_{n}", opens_at=now) for n in range(MOST_SALES + 5)))


def test_a_ledger_that_does_not_answer_is_an_oserror(with_ledger: With):
    async def work(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            for name in ("holds", "rounds"):
                await connection.run_sync(metadata.tables[name].drop)
        for asked in (Archive(engine).holds("r_s"), Archive(engine).sales("demo")):
            with pytest.raises(OSError, match=r"no such table|does not exist"):
                await asked

    with_ledger(work)
