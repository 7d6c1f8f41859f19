"""Names that sort by time and are never given twice, whichever node gives them."""

from __future__ import annotations

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
WIDTH = 9  # of the time


def base36(number: int, width: int) -> str:
    digits = []
    while number:
        number, digit = divmod(number, 36)
        digits.append(DIGITS[digit])
    return "".join(reversed(digits)).rjust(width, "0")


def time_of(id_: str) -> int:
    """Room time in ms at which an id was given."""
    return int(id_[:WIDTH], 36)


class Ids:
    """Ids of one node: room time in ms (9 digits), a counter (4), the node's name."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.counter = 0

    def new(self, now_ms: float) -> str:
        self.counter = (self.counter + 1) % 36**4
        return f"{base36(int(now_ms), WIDTH)}{base36(self.counter, 4)}{self.node}"
