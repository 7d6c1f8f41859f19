"""`liveroom retention`: the curves of a recording of who was there, from a file."""

from __future__ import annotations

import gzip
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

if TYPE_CHECKING:
    from liveroom.listed import Listed

GZIP = b"\x1f\x8b"
LONGEST_SECONDS = 100 * 86_400  # the online curve has a point every ten seconds


def retention(
    file: Annotated[
        Path, typer.Argument(help="CSV with the header viewer,joined,left,reason, or JSON lines; gzipped or not.")
    ],
    start: Annotated[
        float | None, typer.Option(help="When the recording began, in the file's seconds.", show_default="first join")
    ] = None,
    end: Annotated[float | None, typer.Option(help="When it ended.", show_default="last time in the file")] = None,
    grace: Annotated[float, typer.Option(min=0, help="Seconds that one may be away without having left.")] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="OUT", help="Write a page with the curves.")] = None,
) -> None:
    """How long viewers stay, and how many are there: curves and numbers from a list of connections."""
    from liveroom.remote import Trouble
    from liveroom.report import recorded, report

    listed = listed_in(file)
    recording = recorded(listed.connections, start, end, grace)
    begins, ends = recording.start, recording.end
    if not all(map(isfinite, recording)):
        raise Trouble("--start, --end and --grace are numbers of seconds")
    if ends < begins:
        raise Trouble(f"the recording ends ({ends:g}) before it begins ({begins:g}): mend --start or --end")
    if ends - begins > LONGEST_SECONDS:
        days = (ends - begins) / 86_400
        raise Trouble(f"the recording lasts {days:,.0f} days: mend the times, or say --start and --end")
    found = {**report(listed.connections, recording), "lines": listed.lines, "broken": listed.broken}
    found["backward"] = listed.backward
    if html:
        from liveroom.charts import page

        try:
            html.write_text(page(file.name, found), "utf-8", "replace")
        except OSError as error:
            raise Trouble(f"{html} cannot be written: {error}") from None
    if as_json:
        from msgspec import json

        typer.echo(json.encode(found))
    else:
        typer.echo(words(found) if not html else f"{html} has the curves\n{words(found)}")


def listed_in(file: Path) -> Listed:
    """What a file lists; what cannot be read of it is told on stderr. Raises Trouble."""
    from liveroom.listed import Unreadable, read_listed
    from liveroom.remote import Trouble

    began = time.monotonic()
    try:
        with opened(file) as lines:
            listed = read_listed(lines, lambda n: say(f"{n:,} lines read"))
    except (OSError, EOFError, zlib.error) as error:
        raise Trouble(f"{file} cannot be read: {error}") from None
    except Unreadable as error:
        raise Trouble(f"{file}: {error}") from None
    for line in listed.trouble:
        say(line)
    left_out = listed.broken + listed.backward
    if left_out > len(listed.trouble):
        say(f"… and {left_out - len(listed.trouble):,} more")
    say(f"{listed.lines:,} connections in {time.monotonic() - began:.1f} s, {left_out:,} left out")
    return listed


@contextmanager
def opened(file: Path) -> Iterator[TextIO]:
    with file.open("rb") as raw:  # once: it may be a pipe
        plain = gzip.GzipFile(fileobj=raw) if raw.peek(2)[:2] == GZIP else raw
        with TextIOWrapper(plain, encoding="utf-8-sig", errors="replace") as lines:
            yield lines


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def words(found: dict[str, Any]) -> str:
    """The numbers as lines to read."""
    from liveroom.charts import clock

    stay, watch, online = found["stay"], found["watch"], found["online"]
    acu = "–" if online["acu"] is None else f"{online['acu']:,.1f}"
    bounce = "–" if stay["bounce"] is None else f"{stay['bounce']:.1%}"
    rows = {
        "viewers": f"{found['uv']:,} in {found['sessions']:,} sessions",
        "at once": f"{online['pcu']:,} at most (PCU), {acu} on average (ACU)",
        "median stay": clock(stay["median"], "not reached: more than half are still there"),
        "mean stay": f"{clock(stay['rmst'], 'too few to say')} (up to {clock(stay['rmst_seconds'])})",
        "watched": f"{clock(watch['mean_per_viewer'])} a viewer on average, median {clock(watch['median_per_viewer'])}",
        "bounce": f"{bounce} gone within 3 s",
        "still there": f"{stay['still_here']:,} of {found['sessions']:,}",
    }
    return "\n".join(f"{name:<12} {value}" for name, value in rows.items())
