"""The options that several commands share, and the durations among them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(text: str | float) -> float:
    """Typer hands defaults to a parser too: those are seconds already."""
    try:
        return seconds(text) if isinstance(text, str) else float(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def seconds(text: str) -> float:
    """A duration: 90, 90s, 10m, 1h30m, 1:30:00. Raises ValueError."""
    if re.fullmatch(r"\d+(:\d\d?){1,2}(\.\d+)?", text):
        parts = [float(part) for part in text.split(":")]
        return sum(part * (1, 60, 3600)[place] for place, part in enumerate(reversed(parts)))
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not re.fullmatch(r"(\d+(\.\d+)?[smhd])+", text):
        raise ValueError(f"{text!r} is no duration: write 90s, 10m, 1h30m or 1:30:00")
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+)([smhd])", text))


Url = Annotated[str | None, typer.Option(help="Address of the server; left out: what --data keeps, else port 8000.")]
Token = Annotated[str | None, typer.Option(help="A token of yours, instead of one made with the secret.")]
Data = Annotated[Path | None, typer.Option(help="Data folder of a --dev server, for its secret and address.")]
Config = Annotated[Path | None, typer.Option(help="A TOML file with settings.")]
Redis = Annotated[str | None, typer.Option(help="A Redis or Valkey server of yours, as redis://HOST:PORT/DB.")]
Room = Annotated[str, typer.Option(help="Id of the room.")]
Seconds = Annotated[float | None, typer.Option(parser=duration, metavar="TIME", help="Stop after this long.")]
