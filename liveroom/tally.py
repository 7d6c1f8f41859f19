"""The counters of a stream as Redis keeps them, read into columns.

A field is named ``kind:group:place``, of which group or place may be missing, or by one word alone. What a name means
is learnt once: thousands of them are read each second, and hardly one is new.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from liveroom.sessions import Ints

MOST_NAMES = 200_000  # remembered; beyond them all are learnt anew
KIND_BIT, GROUP_BIT = 56, 32
GROUP_MASK, PLACE_MASK = 0xFFFFFF, 0xFFFFFFFF
ALONE = "="  # the kind of a counter that is named by one word


class Part(NamedTuple):
    """All counters of one kind: their groups as numbers, their places, and what they count."""

    groups: Ints
    places: Ints
    numbers: Ints


class Names(dict[bytes, int]):
    """Name of a field -> its kind, group and place in one number."""

    def __init__(self) -> None:
        self.groups: dict[str, int] = {}

    def __missing__(self, name: bytes) -> int:
        kind, *rest = name.decode().split(":")
        place = int(rest.pop()) if rest and rest[-1].isdigit() else 0
        if len(kind) > 1:
            kind, rest = ALONE, [kind]
        group = self.groups.setdefault(rest[0] if rest else "", len(self.groups))
        self[name] = code = ord(kind) << KIND_BIT | group << GROUP_BIT | place
        return code


class Tally:
    """The counters of one stream."""

    def __init__(self, codes: Ints, numbers: Ints, groups: list[str]) -> None:
        self.codes = codes
        self.numbers = numbers
        self.groups = groups  # their names, by number
        self.kinds = codes >> KIND_BIT

    def of(self, kind: str) -> Part:
        where = np.flatnonzero(self.kinds == ord(kind))
        codes = self.codes[where]
        return Part(codes >> GROUP_BIT & GROUP_MASK, codes & PLACE_MASK, self.numbers[where])

    def by_group(self, kind: str) -> dict[str, list[tuple[int, int]]]:
        """Places in their order, and what was counted there, of each group."""
        found: dict[str, list[tuple[int, int]]] = {}
        for group, place, number in sorted(zip(*(column.tolist() for column in self.of(kind)), strict=True)):
            found.setdefault(self.groups[group], []).append((place, number))
        return found

    def at(self, kind: str) -> dict[int, int]:
        """Place -> number, of a kind that has no groups."""
        part = self.of(kind)
        return dict(zip(part.places.tolist(), part.numbers.tolist(), strict=True))

    def alone(self, word: str) -> int:
        return next((rows[0][1] for group, rows in self.by_group(ALONE).items() if group == word), 0)


class Reader:
    """Reads tallies, and remembers names. For one thread."""

    def __init__(self) -> None:
        self.names = Names()

    def read(self, fields: Mapping[bytes, bytes]) -> Tally:
        if len(self.names) > MOST_NAMES:
            self.names = Names()
        codes = np.fromiter(map(self.names.__getitem__, fields), np.int64, len(fields))
        numbers = np.fromiter(map(int, fields.values()), np.int64, len(fields))
        return Tally(codes, numbers, list(self.names.groups))


def tally_of(fields: Mapping[bytes, bytes]) -> Tally:
    return Reader().read(fields)
