"""What a command says at the end, and with which exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from liveroom.remote import Reply

WRONG = 2  # exit: cannot be done as asked
REFUSED = 1  # exit: the server said no, or the account does not add up


def echo(reply: Reply) -> None:
    if not reply.good or not isinstance(reply.body, dict) or reply.body.get("t") == "error":
        complain(reply)
    typer.echo(json.dumps(reply.body, ensure_ascii=False))


def complain(reply: Reply) -> NoReturn:
    typer.echo(f"liveroom: {reply.complaint}", err=True)
    raise typer.Exit(REFUSED)
