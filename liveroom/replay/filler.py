"""Texts for recordings that keep only how long each comment was."""

from __future__ import annotations

MOST_CHARACTERS = 100
WORDS = "so nice to see this live again 喜欢这个 how much is it and can I have two of them please 好看 "
IDEOGRAPHS = 0x4E00, 20_000  # the first, and how many


def made_up(length: int, number: int) -> str:
    """A text of so many characters (1 to 100) that another number does not get, as far as its length allows."""
    length = max(1, min(length, MOST_CHARACTERS))
    mark = f" {base36(number)}"
    if length < len(mark) + 2:
        first, count = IDEOGRAPHS
        return "".join(chr(first + number // count**place % count) for place in range(length))
    start = number * 7 % len(WORDS)
    words = ((WORDS[start:] + WORDS) * 2).lstrip()
    return words[: length - len(mark)] + mark


def base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return (base36(number // 36) if number >= 36 else "") + digits[number % 36]
