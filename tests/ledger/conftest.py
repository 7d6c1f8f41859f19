import asyncio
import os
from pathlib import Path

import pytest
from sqlalchemy import text

from liveroom.ledger.engine import engine_of, with_driver


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where a ledger may be made: SQLite, or the PostgreSQL database that TEST_LEDGER names, emptied."""
    if named := os.environ.get("TEST_LEDGER"):
        asyncio.run(emptied(named))
        return named
    return f"sqlite:///{tmp_path}/ledger.db"


async def emptied(url: str) -> None:
    engine = engine_of(with_driver(url))
    async with engine.begin() as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
    await engine.dispose()
