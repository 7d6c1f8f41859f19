"""The word list in a file, read again when the file changes; a file that cannot be read leaves the list as it was."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import structlog

from gameplay.wordlist import Hit, WordList, blocked, read_list

LOOK_SECONDS = 1
MOST_BYTES = 16 * 2**20
SHOWN = 5  # lines that are skipped, in one line of the log
BREATH_LINES, BREATH_SECONDS = 100, 0.001  # so long a thread that reads keeps the others waiting

LINE_END = re.compile(r"\r?\n")
Stamp = tuple[int, int, int]

log = structlog.get_logger()


class BadWords(Exception):
    """One line for the operator: what is wrong with the file and what to do."""


class WordFile:
    """The list of one file. ``keep`` follows its changes, each when the file is as it was a second ago."""

    def __init__(self, path: Path) -> None:
        """Read the file; raises BadWords."""
        self.path = path
        self.taken = self.seen = stamp(path)
        self.words = read_file(path)
        self.tell()

    def blocked(self, text: str, locale: str = "", also: Iterable[WordList] = ()) -> Hit | None:
        """The first word that a comment holds, of this list or of those of its room."""
        return blocked(text, (self.words, *also), locale)

    async def keep(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Read the file in a thread if it is another than the one that was taken, and the same as at the last look."""
        now = await asyncio.to_thread(stamp, self.path)
        still, self.seen = now == self.seen, now
        if now == self.taken or not still:
            return
        self.taken = now
        try:
            self.words = await asyncio.to_thread(read_file, self.path, BREATH_SECONDS)
        except BadWords as why:
            log.warning("the word list is kept as it was: the new file is no list", why=str(why))
        else:
            self.tell()

    def tell(self) -> None:
        log.info("the word list is in use", file=str(self.path), words=self.words.size)
        if broken := self.words.broken:
            lines = "; ".join(f"line {one.line}: {one.why}" for one in broken[:SHOWN])
            log.warning("lines of the word list are skipped", file=str(self.path), skipped=len(broken), lines=lines)


def stamp(path: Path) -> Stamp | None:
    """What changes when the file does; None when there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def read_file(path: Path, breath: float = 0) -> WordList:
    """The list in a file. Raises BadWords. With a ``breath`` it is read slowly, for the sake of other threads."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadWords(f"cannot read the word list {path}: {error.strerror or error}") from None
    if len(content) > MOST_BYTES:
        raise BadWords(f"the word list {path} is larger than {MOST_BYTES // 2**20} MiB: make it shorter")
    lines = LINE_END.split(content.decode("utf-8", "surrogateescape"))
    words = read_list(breathing(lines, breath) if breath else lines, path.name)
    if words.broken and not words.size:
        first = words.broken[0]
        raise BadWords(f"the word list {path} holds no word; line {first.line}: {first.why}")
    return words


def breathing(lines: Iterable[str], seconds: float) -> Iterator[str]:
    for number, line in enumerate(lines):
        if number % BREATH_LINES == 0:
            time.sleep(seconds)
        yield line
