"""Words that a server is told to block, and the ways in which people write them all the same."""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

LISTED = ("telegram", "whatsapp", "scam*", "free money", "加微信", "代购")  # the operator's: in a file
OF_THE_ROOM = ("loser", "cheap followers", "刷单")  # the host's: `chat.settings`

LATIN = "abcdefghijklmnopqrstuvwxyz"
CIRCLED = str.maketrans(LATIN, "".join(map(chr, range(0x24D0, 0x24D0 + 26))))
FULLWIDTH = str.maketrans(LATIN, "".join(map(chr, range(0xFF41, 0xFF41 + 26))))
FRAKTUR = str.maketrans(LATIN, "".join(map(chr, range(0x1D586, 0x1D586 + 26))))
FLAGS = str.maketrans(LATIN, "".join(map(chr, range(0x1F1E6, 0x1F1E6 + 26))))
CYRILLIC = str.maketrans("aeopcxys", "аеорсхуѕ")
LEET = str.maketrans("aeios", "43105")


class Attempt(NamedTuple):
    """A listed word as somebody writes it."""

    how: str
    text: str


def between(sign: str) -> Callable[[str], str]:
    """The sign between all letters; words stay apart by more than that."""
    return lambda word: "   ".join(sign.join(part) for part in word.split())


def in_each(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda word: " ".join(map(change, word.split()))


ANY: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a sentence": lambda word: f"look: {word}!",
    "unseen signs": between("\u200b"),
    "points": between("."),
    "emoji": between("💬"),
    "blanks": between(" "),
}
OF_LETTERS: dict[str, Callable[[str], str]] = {
    "case": str.upper,
    "width": lambda word: word.translate(FULLWIDTH),
    "circled": lambda word: word.translate(CIRCLED),
    "mathematical": lambda word: word.translate(FRAKTUR),
    "flags": lambda word: word.translate(FLAGS),
    "another script": lambda word: word.translate(CYRILLIC),
    "accents": in_each("\u0308".join),
    "digits for letters": lambda word: word.translate(LEET),
    "repeated": in_each(lambda word: word[:2] + word[1] * 3 + word[2:]),
    "cut in two": in_each(lambda word: f"{word[:2]}-{word[2:]}"),
}


def attempts(words: Sequence[str]) -> list[Attempt]:
    """Each word in each disguise that is for its letters. A star is no part of a word."""
    plain = [word.strip("*") for word in words]
    return [
        Attempt(how, disguise(word))
        for word in plain
        for how, disguise in (ANY | (OF_LETTERS if word.isascii() else {})).items()
    ]


def one_after_the_other(words: Sequence[str]) -> Iterator[Attempt]:
    """All of them, in an order of one's own, again and again."""
    those = attempts(words)
    return itertools.cycle(random.sample(those, len(those)))
