"""Connections as a file lists them: CSV with the header ``viewer,joined,left,reason``, or JSON lines of the same names.

Times are seconds, of the epoch or of any clock; an empty ``left`` is somebody who was still there at the end.
"""

from __future__ import annotations

import csv
from array import array
from collections.abc import Callable, Iterable, Iterator
from math import inf
from typing import NamedTuple

import numpy as np
from msgspec import DecodeError, Struct, json

from liveroom.sessions import STILL_HERE, Connections

NEEDED = ("viewer", "joined", "left")
TOLD = 20  # broken lines that are told of; all are counted
MOST = 1e11  # seconds, either way: beyond are milliseconds, and what is no number
OFTEN = 200_000  # lines between two words of progress


class Line(NamedTuple):
    viewer: str
    joined: float
    left: float  # inf: had not ended
    reason: str


class Listed(NamedTuple):
    """What was read. ``trouble`` names the first broken lines, ``backward`` counts those that end before they begin."""

    connections: Connections
    viewers: list[str]
    lines: int
    broken: int
    backward: int
    trouble: list[str]


class Spoken(Struct, frozen=True):
    """A line of JSON."""

    viewer: str | int
    joined: float
    left: float | None = None
    reason: str = ""


class Unreadable(Exception):
    """One line for the operator: the file as a whole is none of ours."""


read_json = json.Decoder(Spoken).decode


def from_json(text: str) -> Line:
    said = read_json(text)
    return checked(str(said.viewer), said.joined, said.left, said.reason)


def from_csv(header: str) -> Callable[[str], Line]:
    """A reader of lines below this header. Raises Unreadable where a column is missing."""
    try:
        names = [name.strip().strip('"').lower() for name in next(csv.reader([header]))]
    except csv.Error:
        names = []
    if lacks := [name for name in NEEDED if name not in names]:
        raise Unreadable(f"the first line names no column {', '.join(lacks)}: write viewer,joined,left,reason")
    viewer, joined, left = (names.index(name) for name in NEEDED)
    reason = names.index("reason") if "reason" in names else -1

    def read(text: str) -> Line:
        cells = cells_of(text)
        gone = cells[left].strip()
        why = cells[reason].strip() if 0 <= reason < len(cells) else ""
        return checked(cells[viewer].strip(), float(cells[joined]), float(gone) if gone else None, why)

    return read


def cells_of(text: str) -> list[str]:
    """Strictly, so that a quotation mark that is left open breaks its own line."""
    return next(csv.reader([text], strict=True)) if '"' in text else text.split(",")


def checked(viewer: str, joined: float, left: float | None, reason: str) -> Line:
    if not viewer:
        raise ValueError("no viewer")
    if not (abs(joined) < MOST and (left is None or abs(left) < MOST)):
        raise ValueError("a time is no number of seconds")
    return Line(viewer, joined, inf if left is None else left, reason)


def read_listed(lines: Iterable[str], progress: Callable[[int], None] = lambda _: None) -> Listed:
    """Read all that can be read. A broken line costs itself only. Raises Unreadable."""
    numbered = enumerate(lines, 1)
    reader, first = reader_of(numbered)
    table, trouble = Table(), list[str]()
    lines_read = broken = backward = 0
    for number, text in chain_first(first, numbered):
        if number % OFTEN == 0:
            progress(number)
        if not text.strip():
            continue
        lines_read += 1
        try:
            line = reader(text)
        except (ValueError, IndexError, DecodeError, csv.Error, RecursionError) as error:
            broken += 1
            why = "a column is missing" if isinstance(error, IndexError) else error
            note(trouble, f"line {number} cannot be read and is left out: {why}")
            continue
        if line.left < line.joined:
            backward += 1
            note(trouble, f"line {number} ends before it begins and is left out")
            continue
        table.add(line)
    return Listed(table.connections(), list(table.viewers), lines_read, broken, backward, trouble)


def note(trouble: list[str], words: str) -> None:
    if len(trouble) < TOLD:
        trouble.append(words)


def reader_of(numbered: Iterator[tuple[int, str]]) -> tuple[Callable[[str], Line], tuple[int, str] | None]:
    """The reader of a file's lines, and the first line if it is one of them."""
    for number, text in numbered:
        if text.strip():
            is_json = text.lstrip().startswith("{")
            return (from_json, (number, text)) if is_json else (from_csv(text), None)
    raise Unreadable("the file is empty: write viewer,joined,left,reason, then a line for each connection")


def chain_first(first: tuple[int, str] | None, rest: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    if first:
        yield first
    yield from rest


class Table:
    """Columns that grow."""

    def __init__(self) -> None:
        self.viewers: dict[str, int] = {}
        self.viewer, self.joined, self.left, self.stayed = array("q"), array("d"), array("d"), array("b")

    def add(self, line: Line) -> None:
        self.viewer.append(self.viewers.setdefault(line.viewer, len(self.viewers)))
        self.joined.append(line.joined)
        self.left.append(line.left)
        self.stayed.append(line.reason in STILL_HERE)

    def connections(self) -> Connections:
        return Connections(
            np.array(self.viewer, np.int64),
            np.array(self.joined, np.float64),
            np.array(self.left, np.float64),
            np.array(self.stayed, np.bool_),
        )
