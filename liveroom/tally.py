"""The counters of a stream as Redis keeps them, read into columns.

A field is named ``kind:group:place``, of which group or place may be missing, or by one word alone. It is a number, or
the chunk of that number of cells that lie side by side, as ``_attend.lua`` packs them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveroom.sessions import Ints

CHUNK = 32  # cells
CELL = np.dtype([("n", ">u4"), ("behind", ">u8")])  # how many, and the ms by which they lie behind the cell's start
CHUNK_BYTES = CHUNK * CELL.itemsize
ALONE = ""  # the kind of a counter that is named by one word


class Part(NamedTuple):
    """All cells of one kind in which there is something; groups as places in ``names``."""

    names: list[str]
    groups: Ints
    places: Ints
    n: Ints
    behind: Ints


class Tally(NamedTuple):
    """The counters of one stream. Numbers by kind, group and place; chunks by kind: group, place, bytes."""

    numbers: Mapping[str, Mapping[str, Mapping[int, int]]]
    chunks: Mapping[str, list[tuple[str, int, bytes]]]

    def cells(self, kind: str) -> Part:
        chunks = self.chunks.get(kind, [])
        names = sorted({group for group, _, _ in chunks})
        cells: NDArray[np.void] = np.frombuffer(b"".join(blob for _, _, blob in chunks), CELL)
        full = np.flatnonzero(cells["n"])
        groups = np.array([names.index(group) for group, _, _ in chunks], np.int64)[full // CHUNK]
        starts = np.array([place * CHUNK for _, place, _ in chunks], np.int64)[full // CHUNK]
        n, behind = (cells[name][full].astype(np.int64) for name in ("n", "behind"))
        return Part(names, groups, starts + full % CHUNK, n, behind)

    def of(self, kind: str) -> Mapping[str, Mapping[int, int]]:
        """Group -> place -> number."""
        return self.numbers.get(kind, {})

    def at(self, kind: str) -> Mapping[int, int]:
        """Place -> number, of a kind that has no groups."""
        return self.of(kind).get("", {})

    def alone(self, word: str) -> int:
        return self.of(ALONE).get(word, {}).get(0, 0)


def tally_of(fields: Mapping[bytes, bytes]) -> Tally:
    numbers: defaultdict[str, defaultdict[str, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
    chunks: defaultdict[str, list[tuple[str, int, bytes]]] = defaultdict(list)
    for name, value in fields.items():
        kind, group, place = read_name(name)
        if len(value) == CHUNK_BYTES:
            chunks[kind].append((group, place, value))
        else:
            numbers[kind][group][place] = int(value)
    return Tally(numbers, chunks)


@lru_cache(10_000)
def read_name(name: bytes) -> tuple[str, str, int]:
    kind, *rest = name.decode().split(":")
    place = int(rest.pop()) if rest and rest[-1].isdigit() else 0
    return (kind, rest[0] if rest else "", place) if len(kind) == 1 else (ALONE, kind, place)
