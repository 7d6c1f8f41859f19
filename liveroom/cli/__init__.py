"""What is typed: `liveroom` and its commands."""

import sys

import typer

from liveroom.cli.answer import WRONG
from liveroom.cli.commands import app
from liveroom.settings import SettingsError


def main() -> None:
    """The entry point: what an operator can mend is one line on stderr and exit 2."""
    from liveroom.remote import Trouble

    try:
        app()
    except (SettingsError, Trouble) as error:
        typer.echo(f"liveroom: {error}", err=True)
        sys.exit(WRONG)
