"""A recording as comments in time, without its long silences."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from liveroom.remote import Trouble
from liveroom.replay.formats import Broken, Comment, read

LONGEST_GAP = 60  # seconds
CLOSED_GAP = 1


def load(file: Path, start: float, end: float | None) -> tuple[list[Comment], list[Broken]]:
    """The comments between two moments, and the lines that cannot be read. Raises Trouble."""
    try:
        found = list(read(file.read_bytes()))
    except (OSError, EOFError, zlib.error) as error:
        raise Trouble(f"{file} cannot be read: {error}") from None
    comments = (one for one in found if isinstance(one, Comment))
    return list(window(closed_gaps(comments), start, end)), [one for one in found if isinstance(one, Broken)]


def closed_gaps(comments: Iterable[Comment]) -> Iterator[Comment]:
    """The same comments counted from 0, never going back, with every gap over 60 s (a break, another day) closed."""
    before: float | None = None
    at = 0.0
    for one in comments:
        step = 0.0 if before is None else one.at - before
        at += CLOSED_GAP if abs(step) > LONGEST_GAP else max(0.0, step)
        before = one.at if before is None or abs(step) > LONGEST_GAP else max(before, one.at)
        yield one._replace(at=at)


def window(comments: Iterable[Comment], start: float, end: float | None) -> Iterator[Comment]:
    return (one for one in comments if start <= one.at and (end is None or one.at <= end))
