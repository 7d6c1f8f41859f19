"""What is recorded of a room, written out row by row for people and their tools."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

from msgspec import json

from liveroom.ledger.queries import Ledger, exported

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIMES = ("made", "until", "paid_at", "at", "start", "ends")
JSON = ("body",)
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet run a cell

Row = Mapping[Any, Any]
Write = Callable[[Iterable[Row]], None]


async def export(ledger: Ledger, what: str, room: str, round_id: str, write: Write) -> None:
    """Hand all rows to ``write``, a page at a time."""
    async with aclosing(ledger.pages(exported(what, room, round_id))) as pages:
        async for page in pages:
            write(map(dated, page))


def columns(what: str) -> list[str]:
    named = exported(what, "").selected_columns.keys()
    return list(dated(dict.fromkeys(named, 0)))


def dated(row: Row) -> dict[str, Any]:
    """The row, each of its times also as people read it; 0 is none."""
    return {**row, **{f"{name}_utc": iso(row[name]) if row[name] else "" for name in TIMES if name in row}}


def iso(ms: int) -> str:
    try:
        return (EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return ""


def as_csv(out: TextIO, what: str) -> Write:
    sheet = csv.writer(out, lineterminator="\n")
    sheet.writerow(columns(what))
    return lambda rows: sheet.writerows(map(defused, row.values()) for row in rows)


def defused(cell: Any) -> Any:
    """Text that a spreadsheet would run as a formula stays text."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def as_jsonl(out: TextIO, what: str) -> Write:
    return lambda rows: out.writelines(json.encode(whole(row)).decode() + "\n" for row in rows)


def whole(row: Row) -> dict[str, Any]:
    """The row, with the JSON in it as what it says."""
    return {name: json.decode(value) if name in JSON else value for name, value in row.items()}


WRITERS: dict[str, Callable[[TextIO, str], Write]] = {"csv": as_csv, "jsonl": as_jsonl}
