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
SQUARED = str.maketrans(LATIN, "".join(map(chr, range(0x1F170, 0x1F170 + 26))))
SMALL = str.maketrans("aceiklmoprtuvwz", "ᴀᴄᴇɪᴋʟᴍᴏᴘʀᴛᴜᴠᴡᴢ")
LEET = str.maketrans("aeios", "43105")
SIGNS = str.maketrans("ais", "@!$")


class Attempt(NamedTuple):
    """A listed word as somebody writes it."""

    how: str
    text: str


def between(sign: str) -> Callable[[str], str]:
    """The sign between all letters; words stay apart by more than that."""
    return lambda word: "   ".join(sign.join(part) for part in word.split())


def in_each(change: Callable[[str], str], least: int = 1) -> Callable[[str], str]:
    """In each word that is long enough."""
    return lambda word: " ".join(change(part) if len(part) >= least else part for part in word.split())


PLAIN = "as it is"
ANY: dict[str, Callable[[str], str]] = {
    PLAIN: str,
    "in a sentence": lambda word: f"look: {word}!",
    "unseen signs": between("\u200b"),
    "points": between("."),
    "emoji": between("💬"),
    "blanks": between(" "),
}
OF_LETTERS: dict[str, Callable[[str], str]] = {
    "joined": lambda word: word.replace(" ", ""),
    "case": str.upper,
    "width": lambda word: word.translate(FULLWIDTH),
    "circled": lambda word: word.translate(CIRCLED),
    "squared": lambda word: word.translate(SQUARED),
    "small": lambda word: word.translate(SMALL),
    "mathematical": lambda word: word.translate(FRAKTUR),
    "flags": lambda word: word.translate(FLAGS),
    "another script": lambda word: word.translate(CYRILLIC),
    "accents": in_each("\u0308".join),
    "strokes": in_each("\u0336".join),
    "digits for letters": lambda word: word.translate(LEET),
    "repeated": in_each(lambda word: word[:2] + word[1] * 3 + word[2:]),
    "signs for letters": lambda word: word.translate(SIGNS),
    "an I for an l": in_each(lambda word: word.replace("l", "I"), least=6),
    "cut by a sign": in_each(lambda word: f"{word[:2]}_{word[2:]}", least=4),
    "cut by a point": in_each(lambda word: f"{word[:2]}.{word[2:]}", least=6),
    "cut by a blank": in_each(lambda word: f"{word[:4]} {word[4:]}", least=8),
    "a letter cut off": in_each(lambda word: f"{word[0]} {word[1:]}", least=6),
}


def attempts(words: Sequence[str]) -> list[Attempt]:
    """Each word in each disguise that changes it. A star is no part of a word."""
    return [
        Attempt(how, text)
        for word in (word.strip("*") for word in words)
        for how, disguise in (ANY | (OF_LETTERS if word.isascii() else {})).items()
        if (text := disguise(word)) != word or how == PLAIN
    ]


def one_after_the_other(words: Sequence[str]) -> Iterator[Attempt]:
    """All of them, in an order of one's own, again and again."""
    those = attempts(words)
    return itertools.cycle(random.sample(those, len(those)))
