"""The tables that the revisions make are those of the program; however many nodes open a ledger, they get one."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from liveroom.ledger import engine as engines
from liveroom.ledger.engine import LedgerTrouble, ledger_url, open_ledger, open_to_read
from liveroom.ledger.queries import Ledger
from liveroom.ledger.recorder import Recorder
from liveroom.ledger.tables import metadata
from liveroom.settings import Settings, told
from tests.ledger.outbox import (
    Shelf,
    bought,
    created,
    entered,
    entry,
    finished,
    held,
    moved,
    owed,
    refunded,
    session,
    win,
)

OPEN = (
    "import asyncio, sys; from liveroom.ledger.engine import open_ledger; from liveroom.ledger.queries import Ledger;"
    "print(asyncio.run(Ledger(asyncio.run(open_ledger(sys.argv[1]))).identity()))"
)


async def closed(url: str) -> str:
    """Open, close, and tell which ledger it was."""
    engine = await open_ledger(url)
    try:
        return await Ledger(engine).identity()
    finally:
        await engine.dispose()


def one_line(trouble: pytest.ExceptionInfo[LedgerTrouble]) -> str:
    assert "\n" not in str(trouble.value)
    return str(trouble.value)


async def told_by(engine: AsyncEngine, asked: str) -> object:
    async with engine.connect() as connection:
        return await connection.scalar(text(asked))


def change(file: Path, *statements: str) -> None:
    connection = sqlite3.connect(file)
    for one in statements:
        connection.execute(one)
    connection.commit()
    connection.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.db"


# the tables


def test_the_revisions_make_the_tables_of_the_program(url: str):
    async def differences() -> object:
        engine = await open_ledger(url)
        async with engine.connect() as connection:
            found = await connection.run_sync(lambda sync: compare_metadata(MigrationContext.configure(sync), metadata))
        await engine.dispose()
        return found

    assert asyncio.run(differences()) == []


def test_opened_again_it_is_the_same_ledger(url: str):
    assert asyncio.run(closed(url)) == asyncio.run(closed(url)) != ""


def test_two_ledgers_have_two_names(tmp_path: Path):
    one, other = (asyncio.run(closed(f"sqlite:///{tmp_path}/{name}.db")) for name in "ab")
    assert one != other


def test_many_that_open_it_at_once_make_one_ledger(url: str):
    async def at_once() -> list[str]:
        return await asyncio.gather(*(closed(url) for _ in range(8)))

    assert len(set(asyncio.run(at_once()))) == 1


def test_nodes_that_start_at_once_make_one_ledger(file: Path):
    command = [sys.executable, "-c", OPEN, f"sqlite:///{file}"]
    starting = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [one.communicate(timeout=30)[0] for one in starting]
    assert [one.returncode for one in starting] == [0] * 3
    assert len(set(said)) == 1


def test_an_upgrade_that_fails_leaves_nothing_behind(file: Path):
    file.parent.mkdir()
    change(file, "CREATE TABLE winners (x)")
    with pytest.raises(LedgerTrouble, match="winners already exists"):
        asyncio.run(open_ledger(f"sqlite:///{file}"))
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("winners",)]
    connection.close()


async def contents(engine: AsyncEngine, tables: set[str]) -> dict[str, list[tuple[object, ...]]]:
    async with engine.connect() as connection:
        asked = {name: select(metadata.tables[name]) for name in tables}
        return {name: sorted(map(tuple, await connection.execute(one))) for name, one in asked.items()}


async def table_names(engine: AsyncEngine) -> set[str]:
    async with engine.connect() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names())) & metadata.tables.keys()


def upgrade_to(connection: Connection, revision: str) -> None:
    config = engines.migrations()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def test_a_ledger_of_the_first_revision_is_upgraded_and_loses_nothing(url: str):
    async def work() -> None:
        engine = engines.engine_of(engines.with_driver(url))
        async with engine.begin() as connection:
            await connection.run_sync(upgrade_to, "0001")
        old = await table_names(engine)
        await Recorder(engine, Shelf([created(), moved(ver=4, wins=[win("ann")]), entered([entry(1)])])).finish()
        before = await contents(engine, old)
        assert [len(before[name]) for name in ("about", "rooms", "rounds", "winners", "entries")] == [1] * 5
        await engine.dispose()
        engine = await open_ledger(url)
        assert await contents(engine, old) == before
        assert await table_names(engine) - old == {"holds", "orders", "refunds", "sessions"}
        await Recorder(engine, Shelf([held(bought("h_1"))])).finish()
        assert len((await contents(engine, {"orders"}))["orders"]) == 1
        await engine.dispose()

    asyncio.run(work())


def test_a_ledger_of_the_second_revision_is_upgraded_and_loses_nothing(url: str):
    async def work() -> None:
        engine = engines.engine_of(engines.with_driver(url))
        async with engine.begin() as connection:
            await connection.run_sync(upgrade_to, "0002")
        old = await table_names(engine)
        said = [created(), moved(wins=[win("ann")]), held(bought("h_1")), refunded(owed("h_2"))]
        await Recorder(engine, Shelf(said)).finish()
        before = await contents(engine, old)
        assert [len(before[name]) for name in ("about", "rooms", "winners", "holds", "orders", "refunds")] == [1] * 6
        await engine.dispose()
        engine = await open_ledger(url)
        assert await contents(engine, old) == before
        assert await table_names(engine) - old == {"sessions"}
        await Recorder(engine, Shelf([finished(session("ann"), session("bob"))])).finish()
        assert await Ledger(engine).audience_of("demo", "s_1") == {"ann", "bob"}
        await engine.dispose()

    asyncio.run(work())


# the file


def test_sqlite_syncs_every_commit_and_lets_others_read_meanwhile(file: Path):
    async def asked() -> list[object]:
        engine = await open_ledger(f"sqlite:///{file}")
        found = [await told_by(engine, f"PRAGMA {name}") for name in ("journal_mode", "synchronous", "busy_timeout")]
        await engine.dispose()
        return found

    assert asyncio.run(asked()) == ["wal", 2, 5000]


def test_the_file_is_nobody_elses(file: Path):
    asyncio.run(closed(f"sqlite:///{file}"))
    assert [stat.S_IMODE(one.stat().st_mode) for one in file.parent.iterdir()] == [0o600] * 2


def test_without_a_setting_it_is_in_the_data_folder(tmp_path: Path):
    assert ledger_url("", tmp_path) == f"sqlite:///{tmp_path}/ledger.db"
    assert ledger_url("postgresql://db/shop", tmp_path) == "postgresql://db/shop"


@pytest.mark.parametrize("folder", ["a b", "50%", "ü?#"])
def test_the_data_folder_may_have_any_name(tmp_path: Path, folder: str):
    asyncio.run(closed(ledger_url("", tmp_path / folder)))
    assert (tmp_path / folder / "ledger.db").stat().st_size > 0


# what an operator can mend


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://shop", "use SQLite or PostgreSQL"),
        ("a ledger", "cannot be read"),
        ("sqlite://", "name a file"),
        ("sqlite:///:memory:", "name a file"),
        ("sqlite:////proc/none/ledger.db", "cannot be opened"),
        ("sqlite:////", "directory"),
    ],
)
def test_an_address_that_does_not_do_is_one_line(url: str, why: str):
    with pytest.raises(LedgerTrouble, match=why) as trouble:
        asyncio.run(open_ledger(url))
    one_line(trouble)


def test_a_postgresql_that_is_not_there_is_one_line_without_its_password():
    with pytest.raises(LedgerTrouble) as trouble:
        asyncio.run(open_ledger("postgresql://me:word@127.0.0.1:1/shop"))
    assert "word" not in one_line(trouble).replace("password", "")
    assert told(Settings(ledger="postgresql://me:word@db/shop"))["ledger"] == "postgresql://…@db/shop"


def test_a_file_that_is_no_database_is_one_line(file: Path):
    file.parent.mkdir()
    file.write_text("Dear diary, " * 100)
    with pytest.raises(LedgerTrouble, match="not a database") as trouble:
        asyncio.run(open_ledger(f"sqlite:///{file}"))
    assert str(file) in one_line(trouble)


@pytest.mark.parametrize("opened", [closed, lambda url: read_only(url, "SELECT 1")])
def test_a_ledger_newer_than_the_program_is_left_alone(file: Path, opened):
    asyncio.run(closed(f"sqlite:///{file}"))
    change(file, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(LedgerTrouble, match=r"9999.*upgrade liveroom") as trouble:
        asyncio.run(opened(f"sqlite:///{file}"))
    one_line(trouble)


def test_an_upgrade_that_another_never_ends_is_one_line(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engines, "LOCK_SECONDS", 0.1)

    async def blocked() -> None:
        async with engines.locked(file):
            await open_ledger(f"sqlite:///{file}")

    file.parent.mkdir()
    with pytest.raises(LedgerTrouble, match="another process"):
        asyncio.run(blocked())


# reading only


async def read_only(url: str, asked: str) -> object:
    async with open_to_read(url) as engine:
        return await told_by(engine, asked)


def test_a_reader_makes_and_changes_nothing(file: Path):
    with pytest.raises(LedgerTrouble, match="no ledger at"):
        asyncio.run(read_only(f"sqlite:///{file}", "SELECT 1"))
    assert not file.parent.exists()
    asyncio.run(closed(f"sqlite:///{file}"))
    with pytest.raises(Exception, match="readonly"):
        asyncio.run(read_only(f"sqlite:///{file}", "DELETE FROM about"))


def test_a_reader_does_not_upgrade(file: Path):
    file.parent.mkdir()
    change(file, "CREATE TABLE something (x)")
    with pytest.raises(LedgerTrouble, match="older liveroom"):
        asyncio.run(read_only(f"sqlite:///{file}", "SELECT 1"))
