"""`liveroom export`: what the ledger has of a room, as CSV or JSON lines."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from liveroom.cli.options import Config
from liveroom.cli.setup import settings_from

if TYPE_CHECKING:
    from liveroom.ledger.queries import Ledger


class What(StrEnum):
    entries = "entries"
    winners = "winners"
    answers = "answers"
    commands = "commands"
    orders = "orders"
    holds = "holds"
    refunds = "refunds"
    sessions = "sessions"


class Form(StrEnum):
    csv = "csv"
    jsonl = "jsonl"


def export(
    room: Annotated[str, typer.Argument(help="Id of the room.")],
    what: Annotated[
        What,
        typer.Option(
            help="What to write out; answers are those to quiz questions, refunds what the shop owes, "
            "sessions who watched and how long."
        ),
    ],
    form: Annotated[Form, typer.Option("--format", help="CSV, or one JSON object a line.")] = Form.csv,
    of_round: Annotated[str, typer.Option("--round", metavar="ID", help="Of this round only.")] = "",
    data: Annotated[Path | None, typer.Option(help="Data folder.", show_default="./.liveroom")] = None,
    ledger: Annotated[str | None, typer.Option(metavar="URL", help="The ledger, if not in the data folder.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="File to write; left out: the terminal.")] = None,
    config: Config = None,
) -> None:
    """Write out what the ledger has of a room, also while the server runs."""
    from liveroom.ledger.engine import ledger_url

    settings = settings_from(config, {"data": data and str(data), "ledger": ledger})
    url = ledger_url(settings.ledger, Path(settings.data))
    asyncio.run(exported(url, what.value, room, of_round, form.value, out))


async def exported(url: str, what: str, room: str, of_round: str, form: str, out: Path | None) -> None:
    """Raises Trouble."""
    from liveroom.ledger.engine import AWAY, LedgerTrouble, open_to_read, reason
    from liveroom.ledger.export import WRITERS, columns, export
    from liveroom.ledger.queries import Ledger
    from liveroom.remote import Trouble

    if of_round and "round" not in columns(what):
        raise Trouble(f"{what} are of no round: leave --round out")
    try:
        async with open_to_read(url) as engine:
            ledger = Ledger(engine)
            await look_for(ledger, room, of_round)
            with opened(out) as file:
                await export(ledger, what, room, of_round, WRITERS[form](file, what))
    except LedgerTrouble as error:
        raise Trouble(str(error)) from None
    except BrokenPipeError:
        raise  # nobody reads on: that is no trouble
    except AWAY as error:
        raise Trouble(f"the export broke off: {reason(error)}") from None


async def look_for(ledger: Ledger, room: str, of_round: str) -> None:
    """Raises Trouble where there is no such room, or no such round in it."""
    from liveroom.remote import Trouble

    if not await ledger.knows(room):
        raise Trouble(f"the ledger knows no room {room!r}: `liveroom rooms` lists the rooms")
    if of_round and not await ledger.round_of(room, of_round):
        raise Trouble(f"the ledger knows no round {of_round!r} of room {room!r}")


def opened(out: Path | None) -> AbstractContextManager[TextIO]:
    """The file, or the terminal."""
    if out is None:
        return nullcontext(typer.get_text_stream("stdout", encoding="utf-8"))
    return out.open("w", encoding="utf-8", newline="")
