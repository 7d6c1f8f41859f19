"""The database behind the ledger: where it is, how it is opened, and its tables brought up to date."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from importlib.resources import files
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
FILE = "ledger.db"  # in the data folder
BUSY_MS = 5000  # SQLite: how long another node's transaction is waited for
CONNECT_SECONDS = 5  # PostgreSQL
ANSWER_SECONDS = 10
LOCK_SECONDS = 60
TRY_SECONDS = 0.05
UPGRADING = 4_004_004_004  # PostgreSQL's advisory locks are named by numbers

AWAY = (SQLAlchemyError, OSError, TimeoutError)  # what a database that is gone makes the drivers raise


class LedgerTrouble(Exception):
    """One line for the operator: what is wrong with the ledger and what to do."""


# --- where it is -----------------------------------------------------------------------------------


def ledger_url(setting: str, data: Path) -> str:
    """The SQLAlchemy URL of the ledger: as set, else SQLite in the data folder."""
    return setting or URL.create("sqlite", database=str(data / FILE)).render_as_string()


def with_driver(url: str) -> URL:
    """The URL with the driver that we use. Raises LedgerTrouble where there is none for it."""
    try:
        at = make_url(url.replace("postgres://", "postgresql://", 1))
    except (ArgumentError, ValueError):
        raise LedgerTrouble("the ledger's URL cannot be read: write postgresql://USER:PASSWORD@HOST/NAME") from None
    kind = at.get_backend_name()
    if kind not in DRIVERS:
        raise LedgerTrouble(f"the ledger cannot be kept in {kind}: use SQLite or PostgreSQL")
    if kind == "sqlite" and (at.database or ":memory:") == ":memory:":
        raise LedgerTrouble("a ledger in memory keeps nothing: name a file, as in sqlite:///ledger.db")
    return at.set(drivername=DRIVERS[kind])


def file_of(at: URL) -> Path | None:
    """The file of an SQLite ledger."""
    return Path(at.database) if at.get_backend_name() == "sqlite" and at.database else None


def place(at: URL) -> str:
    """Where the ledger is, without what is secret in it."""
    return str(file_of(at) or f"{at.host}/{at.database}")


# --- opening ---------------------------------------------------------------------------------------


async def open_ledger(url: str) -> AsyncEngine:
    """The ledger at a URL, made where there is none, its tables up to date. Raises LedgerTrouble."""
    at = with_driver(url)
    file, engine = file_of(at), engine_of(at)
    async with opening(at, engine):
        if file:
            make_private(file)
        async with locked(file) if file else nullcontext(), engine.begin() as connection:
            if not file:
                await connection.execute(select(func.pg_advisory_xact_lock(UPGRADING)))
            await connection.run_sync(upgrade)
    return engine


@asynccontextmanager
async def open_to_read(url: str) -> AsyncIterator[AsyncEngine]:
    """The ledger at a URL, as it is, for reading only. Raises LedgerTrouble, also where there is none yet."""
    at = with_driver(url)
    if (file := file_of(at)) and not file.is_file():
        raise LedgerTrouble(f"there is no ledger at {file}: name its data folder with --data, or its URL with --ledger")
    engine = engine_of(at, read_only=True)
    async with opening(at, engine), engine.connect() as connection:
        if not await connection.run_sync(is_current):
            raise LedgerTrouble(f"the ledger at {place(at)} is of an older liveroom: start the server to upgrade it")
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def opening(at: URL, engine: AsyncEngine) -> AsyncIterator[None]:
    """Let the engine go if anything fails, and tell a failure of the database as LedgerTrouble."""
    try:
        yield
    except (*AWAY, TypeError) as error:  # asyncpg's way with an option of the URL that it does not know
        await engine.dispose()
        raise LedgerTrouble(f"the ledger at {place(at)} cannot be opened: {reason(error)}") from None
    except BaseException:
        await engine.dispose()
        raise


def reason(error: BaseException) -> str:
    """What the database said, in one line; not where that may quote what was to be written."""
    said = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(error, DataError | IntegrityError) or type(error) is StatementError:
        return type(said).__name__
    return " ".join(str(said).split()) or type(said).__name__


def engine_of(at: URL, *, read_only: bool = False) -> AsyncEngine:
    """Connections made as we want them. Raises LedgerTrouble where the driver is not installed."""
    if file_of(at):
        engine = create_async_engine(at, hide_parameters=True)  # in what is logged of a failure
        wishes = [f"busy_timeout={BUSY_MS}"]
        wishes += ["query_only=ON"] if read_only else ["journal_mode=WAL", "synchronous=FULL"]
        event.listen(engine.sync_engine, "connect", lambda connection, _: prepare(connection, wishes))
        event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        return engine
    patience: dict[str, Any] = {"timeout": CONNECT_SECONDS, "command_timeout": ANSWER_SECONDS}
    patience |= {"server_settings": {"default_transaction_read_only": "on"}} if read_only else {}
    try:
        return create_async_engine(at, connect_args=patience, pool_pre_ping=True, hide_parameters=True)
    except ModuleNotFoundError:
        raise LedgerTrouble("a ledger on PostgreSQL needs asyncpg: pip install 'liveroom[postgres]'") from None


def prepare(connection: Any, wishes: list[str]) -> None:
    """One connection to SQLite, whose transactions begin when we say so, also for tables."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for wish in wishes:
        cursor.execute(f"PRAGMA {wish}")
    cursor.close()


def make_private(file: Path) -> None:
    """Names and prizes are nobody else's business; SQLite gives the files beside it the same mode."""
    file.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


@asynccontextmanager
async def locked(file: Path) -> AsyncIterator[None]:
    """One at a time, of all nodes that open this file. Raises LedgerTrouble where another takes too long."""
    lock = os.open(f"{file}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while not try_lock(lock):
            if time.monotonic() > deadline:
                raise LedgerTrouble(f"another process has been upgrading {file} for {LOCK_SECONDS} s: end it, or wait")
            await asyncio.sleep(TRY_SECONDS)
        yield
    finally:
        os.close(lock)


def try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# --- the tables' revision --------------------------------------------------------------------------


def migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("liveroom.ledger") / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def is_current(connection: Connection) -> bool:
    """Tell whether the tables are those of this program. Raises LedgerTrouble where they are newer."""
    script = ScriptDirectory.from_config(migrations())
    found = MigrationContext.configure(connection).get_current_revision()
    if found and found not in {revision.revision for revision in script.walk_revisions()}:
        raise LedgerTrouble(f"the ledger is of a newer liveroom (revision {found}): upgrade liveroom")
    return found == script.get_current_head()


def upgrade(connection: Connection) -> None:
    if not is_current(connection):
        config = migrations()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
