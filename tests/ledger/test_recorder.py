"""What waits in the outbox gets into the ledger once, whatever fails on the way, and however often it is said."""

import asyncio
import shutil
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from liveroom.ledger.engine import open_ledger
from liveroom.ledger.facts import Fact
from liveroom.ledger.queries import Ledger
from liveroom.ledger.recorder import Recorder
from liveroom.ledger.tables import metadata
from liveroom.room import RoomInfo
from tests.ledger.outbox import (
    NOW,
    Shelf,
    bought,
    claimed,
    commanded,
    created,
    entered,
    entry,
    fact,
    finished,
    held,
    hold,
    moved,
    owed,
    refunded,
    sale_moved,
    session,
    told,
    win,
)

Dump = dict[str, list[tuple[Any, ...]]]
Work = Callable[[AsyncEngine], Awaitable[Any]]


def with_ledger(url: str, work: Work) -> Any:
    async def run() -> Any:
        engine = await open_ledger(url)
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    return asyncio.run(run())


async def everything(engine: AsyncEngine) -> Dump:
    async with engine.connect() as connection:
        tables = [table for table in metadata.sorted_tables if table.name != "about"]
        return {table.name: sorted(map(tuple, await connection.execute(select(table)))) for table in tables}


async def recorded(engine: AsyncEngine, *batches: list[Fact]) -> Dump:
    shelf = Shelf()
    one = Recorder(engine, shelf)
    for batch in batches:
        shelf.put(*batch)
        await one.finish()
        assert shelf.left() == 0
    return await everything(engine)


def story() -> list[Fact]:
    """Two rooms: a lottery that is drawn, claimed, replaced and settled, a quiz, a room closed, a sale, a stream."""
    return [
        created(),
        created("other", "Other"),
        told("room.notice", 1, text="hello"),
        commanded("lottery.open", "r_1"),
        moved(state="announced", ver=1, command={"t": "lottery.open"}, opened={"rules": "Soon."}, opened_at=0),
        moved(state="open", ver=2),
        entered([entry(1, "ann"), entry(2, "bob")]),
        entered([entry(3, "eve")]),
        moved("r_2", "quiz", room="other", command={"t": "quiz.open"}),
        entered([entry(1, "ann", word="2")], "r_2", "quiz", "other"),
        moved(state="closed", ver=3),
        moved(state="drawn", ver=4, wins=[win("ann", 1), win("bob", 2), win("zoe", 3)]),
        claimed("ann", "zoe"),
        moved(state="drawn", ver=5, wins=[win("eve", 4)], loses=["bob", "zoe"]),
        claimed("eve"),
        fact("rumour"),
        moved(state="settled", ver=6),
        moved("r_2", "quiz", "revealed", 2, room="other", kept={"counts": [0, 0, 1]}),
        told("room.closed", 1, "other", ts=NOW + 9),
        sale_moved(),
        held(hold("h_1"), hold("h_2", "bob"), hold("h_3", "eve")),
        held(bought("h_1"), hold("h_2", "bob", "expired", 2)),
        refunded(owed("h_2", "bob")),
        held(bought("h_3", "eve", rank=2)),
        refunded(owed("h_1", payment="p_9", why="paid twice"), owed("h_2", "bob")),
        held(bought("h_1", v=3, state="refunded", why="broken", at=NOW + 3)),
        sale_moved("closed", 5),
        finished(session("ann"), session("bob", why="kick")),
        finished(session("ann", NOW + 90_000, event=0, why="stream_end")),
        finished(session("ann", stream="s_2"), room="other"),
    ]


@contextmanager
def failing(engine: AsyncEngine, fails: Callable[[str], bool]) -> Iterator[None]:
    """The database goes away at some statement."""

    def fail(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if fails(statement):
            raise OperationalError(statement, None, sqlite3.OperationalError("disk I/O error"))

    event.listen(engine.sync_engine, "before_cursor_execute", fail)
    try:
        yield
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", fail)


# --- what is recorded ------------------------------------------------------------------------------


def test_a_story_is_recorded(url: str):
    async def work(engine: AsyncEngine) -> None:
        dump = await recorded(engine, story())
        ledger = Ledger(engine)
        assert await ledger.room("demo") == RoomInfo("demo", "Demo", "EUR", "open", NOW)
        other = await ledger.room("other")
        assert other
        assert other.state == "closed"
        assert await ledger.room("elsewhere") is None
        assert await ledger.open_room_ids() == ["demo"]
        assert {name: len(rows) for name, rows in dump.items()} == {
            **{"rooms": 2, "events": 2, "commands": 1, "rounds": 3, "entries": 4, "winners": 4, "unread": 1},
            **{"holds": 3, "orders": 2, "refunds": 2, "sessions": 4},
        }

    with_ledger(url, work)


def test_a_round_ends_as_its_last_version_and_keeps_what_it_was_opened_with(url: str):
    async def work(engine: AsyncEngine) -> None:
        await recorded(engine, story())
        row = await Ledger(engine).round_of("demo", "r_1")
        assert row
        assert (row.state, row.ver, row.kept, row.opened_at) == ("settled", 6, '{"ver": 6}', NOW)
        assert (row.command, row.opened) == ('{"t": "lottery.open"}', '{"rules": "Take part."}')
        assert await Ledger(engine).round_of("other", "r_1") is None

    with_ledger(url, work)


def test_winners_claim_or_lose(url: str):
    async def work(engine: AsyncEngine) -> None:
        dump = await recorded(engine, story())
        states = {row[1]: row[-2] for row in dump["winners"]}
        assert states == {"ann": "claimed", "bob": "lost", "eve": "claimed", "zoe": "lost"}

    with_ledger(url, work)


def test_who_won_lately_did_not_lose_it(url: str):
    async def work(engine: AsyncEngine) -> None:
        await recorded(engine, story())
        ledger = Ledger(engine)
        assert await ledger.won_since(NOW) == {"ann", "eve"}
        assert await ledger.won_since(NOW + 5) == {"eve"}
        assert await ledger.won_since(NOW + 6) == set()
        assert await ledger.won_since(NOW, []) == set()
        assert await ledger.won_since(NOW, ["ann", "bob", *(f"u{n}" for n in range(1200))]) == {"ann"}

    with_ledger(url, work)


def test_a_claim_by_somebody_who_won_nothing_is_nothing(url: str):
    async def work(engine: AsyncEngine) -> None:
        assert (await recorded(engine, [claimed("ann")]))["winners"] == []

    with_ledger(url, work)


def test_entries_come_back_in_their_order(url: str):
    async def work(engine: AsyncEngine) -> None:
        rows = [entry(n) for n in range(1, 2501)]
        await recorded(engine, [entered(rows[n : n + 50]) for n in reversed(range(0, 2500, 50))])
        async with aclosing(Ledger(engine).entries_of("r_1")) as found:
            assert [row.n async for row in found] == list(range(1, 2501))
        async with aclosing(Ledger(engine).entries_of("r_9")) as found:
            assert [row async for row in found] == []

    with_ledger(url, work)


def test_a_room_made_anew_under_its_old_id_is_open(url: str):
    async def work(engine: AsyncEngine) -> None:
        again = [created(title="Again", at=NOW + 20), told("room.closed", 1, ts=NOW + 9), created()]
        await recorded(engine, again, again[::-1])
        room = await Ledger(engine).room("demo")
        assert room
        assert (room.title, room.state, room.created) == ("Again", "open", NOW + 20)

    with_ledger(url, work)


def test_a_room_older_than_the_ledger_is_known_by_what_came_later(url: str):
    async def work(engine: AsyncEngine) -> None:
        await recorded(engine, [told("room.notice", 5, "old"), finished(session(), room="seen")])
        assert await Ledger(engine).knows("old")
        assert await Ledger(engine).knows("seen")
        assert not await Ledger(engine).knows("older")

    with_ledger(url, work)


def test_a_session_stays_as_it_was_said_first(url: str):
    async def work(engine: AsyncEngine) -> None:
        once = await recorded(engine, [finished(session())])
        assert await recorded(engine, [finished(session(watch=1, why="kick"), session())]) == once
        assert len(once["sessions"]) == 1

    with_ledger(url, work)


def test_a_session_is_another_by_its_room_stream_viewer_or_start(url: str):
    async def work(engine: AsyncEngine) -> None:
        others = [session(), session("bob"), session(start=NOW + 1), session(stream="s_2")]
        assert len((await recorded(engine, [finished(*others), finished(session(), room="other")]))["sessions"]) == 5

    with_ledger(url, work)


def test_the_audience_of_a_stream_is_everybody_once(url: str):
    async def work(engine: AsyncEngine) -> None:
        first = [session("ann"), session("bob"), session("ann", NOW + 90_000), session("eve", stream="s_2")]
        await recorded(engine, [finished(*first), finished(session("zoe"), room="other")])
        ledger = Ledger(engine)
        assert await ledger.audience_of("demo", "s_1") == {"ann", "bob"}
        assert await ledger.audience_of("demo", "s_2") == {"eve"}
        assert await ledger.audience_of("demo", "s_3") == await ledger.audience_of("nowhere", "s_1") == set()

    with_ledger(url, work)


def test_streams_are_in_the_order_of_their_first_viewers(url: str):
    async def work(engine: AsyncEngine) -> None:
        starts = [("s_a", 30), ("s_b", 20), ("s_c", 10), ("s_a", 5), ("s_b", 40)]
        await recorded(engine, [finished(*(session(start=NOW + at, stream=stream) for stream, at in starts))])
        await recorded(engine, [finished(session(stream="s_d"), room="other")])
        assert await Ledger(engine).streams_of("demo") == ["s_a", "s_c", "s_b"]
        assert await Ledger(engine).streams_of("nowhere") == []

    with_ledger(url, work)


# --- saying it again -------------------------------------------------------------------------------


def test_saying_any_of_it_again_changes_nothing(url: str):
    async def work(engine: AsyncEngine) -> None:
        said = story()
        once = await recorded(engine, said)
        for one in said:
            assert await recorded(engine, [one]) == once, one
        assert await recorded(engine, said[::-1]) == once

    with_ledger(url, work)


Once = tuple[Path, list[Fact], Dump]


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """An empty ledger to copy, a story, and what is recorded of it when it is told once."""
    empty, said = tmp_path_factory.mktemp("empty") / "ledger.db", story()
    with_ledger(f"sqlite:///{empty}", everything)
    return empty, said, recorded_in_a_copy(empty, [said])


@settings(deadline=None, max_examples=30, phases=[Phase.generate])  # each try opens a ledger: no time to shrink
@given(st.data())
def test_whatever_is_said_again_and_in_whatever_order_nothing_changes(once: Once, data: st.DataObject):
    empty, said, dump = once
    heard: list[Fact] = []
    for n, one in enumerate(said):
        heard += [one, *data.draw(st.lists(st.sampled_from(said[: n + 1]), max_size=3))]
    heard += data.draw(st.permutations(said))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(heard)), max_size=6)))
    batches = [heard[a:b] for a, b in zip([0, *cuts], [*cuts, len(heard)], strict=True)]
    assert recorded_in_a_copy(empty, batches) == dump


def recorded_in_a_copy(empty: Path, batches: list[list[Fact]]) -> Dump:
    copy = shutil.copy(empty, empty.parent / "copy.db")
    dump: Dump = with_ledger(f"sqlite:///{copy}", lambda engine: recorded(engine, *batches))
    return dump


def test_a_node_that_dies_between_commit_and_removal_records_nothing_twice(url: str):
    async def work(engine: AsyncEngine) -> None:
        shelf = Shelf(story())
        shelf.forgetful = True
        await Recorder(engine, shelf).step()
        once = await everything(engine)
        shelf.forgetful = False
        await Recorder(engine, shelf).finish()
        assert (shelf.left(), await everything(engine)) == (0, once)

    with_ledger(url, work)


def test_two_nodes_record_into_one_ledger_at_once(url: str):
    async def work(engine: AsyncEngine) -> None:
        second = await open_ledger(url)
        shelves = [Shelf([entered([entry(n)], f"r_{k}") for n in range(300)]) for k in (1, 2)]
        recorders = [Recorder(one, shelf) for one, shelf in zip((engine, second), shelves, strict=True)]
        shared = story()
        for shelf in shelves:
            shelf.put(*shared)
        async with asyncio.TaskGroup() as tasks:
            for one in recorders:
                tasks.create_task(one.finish())
        await second.dispose()
        assert [one.healthy for one in recorders] == [True, True]
        assert [shelf.left() for shelf in shelves] == [0, 0]

    with_ledger(url, work)


# --- when something fails --------------------------------------------------------------------------


WRITES = ["INTO rounds", "INTO entries", "INTO winners", "UPDATE winners", "INTO holds", "INTO orders", "INTO sessions"]
WRITES += ["INTO unread"]


@pytest.mark.parametrize("at", WRITES)
def test_a_failure_in_the_middle_leaves_nothing_behind_and_removes_nothing(url: str, at: str):
    async def work(engine: AsyncEngine) -> None:
        shelf = Shelf(story())
        one = Recorder(engine, shelf)
        with failing(engine, lambda statement: at in statement):
            assert await one.step() is False
        assert (one.healthy, one.lag, shelf.left()) == (False, len(story()), len(story()))
        assert not any((await everything(engine)).values())
        await one.finish()
        assert (one.healthy, one.lag, shelf.left()) == (True, 0, 0)

    with_ledger(url, work)


def test_after_an_outage_everything_is_caught_up_with(url: str):
    async def work(engine: AsyncEngine) -> None:
        shelf, away = Shelf(story()), True
        one = Recorder(engine, shelf, seconds=0.001, again_seconds=0.01)
        with capture_logs() as logs, failing(engine, lambda _: away):
            running = asyncio.create_task(one.run())
            for n in range(40):
                shelf.put(*(entered([entry(n * 50 + k)], "r_3") for k in range(50)))
                await asyncio.sleep(0.005)
            assert one.lag > 0
            assert not one.healthy
            away = False
            await asyncio.wait_for(shelf.empty.wait(), 10)
            running.cancel()
        assert [(line["log_level"], line["event"].partition(";")[0]) for line in logs if "what" not in line] == [
            ("warning", "the ledger takes no facts"),
            ("info", "the ledger takes facts again"),
        ]
        assert (one.healthy, one.lag) == (True, 0)
        assert len((await everything(engine))["entries"]) == 4 + 2000

    with_ledger(url, work)


def test_a_recorder_that_is_stopped_anywhere_loses_nothing_and_leaves_nothing_locked(url: str):
    async def work(engine: AsyncEngine) -> None:
        shelf = Shelf(entered([entry(n)]) for n in range(1, 501))
        shelf.forgetful = True
        for n in range(30):
            running = asyncio.create_task(Recorder(engine, shelf, seconds=0).run())
            await asyncio.sleep(n / 1000)
            running.cancel()
            await asyncio.wait([running])
            assert running.cancelled()
            last = Recorder(engine, shelf)
            await last.step()
            assert last.healthy
        assert len((await everything(engine))["entries"]) == 500

    with_ledger(url, work)


def test_what_cannot_be_read_stops_nobody_and_is_said_once(url: str):
    async def work(engine: AsyncEngine) -> None:
        with capture_logs() as logs:
            dump = await recorded(engine, [fact("rumour"), created()], [fact("rumour"), fact("gossip"), fact("rumour")])
        assert [row[1] for row in dump["unread"]] == ["rumour", "rumour", "gossip", "rumour"]
        assert len(dump["rooms"]) == 1
        assert sorted((line["log_level"], line["what"]) for line in logs) == [
            ("warning", "gossip"),
            ("warning", "rumour"),
        ]

    with_ledger(url, work)


# --- how fast --------------------------------------------------------------------------------------


def test_ten_thousand_entries_a_second_are_recorded(url: str):
    async def work(engine: AsyncEngine) -> None:
        shelf = Shelf(entered([entry(n * 50 + k) for k in range(50)]) for n in range(600))
        began = time.monotonic()
        await Recorder(engine, shelf).finish()
        assert shelf.left() == 0
        assert time.monotonic() - began < 3 * 3

    with_ledger(url, work)
