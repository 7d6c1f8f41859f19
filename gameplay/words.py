"""One word that a room does not want to read: what may be one, and whether a comment holds it, however it is dressed.

``gameplay/skeleton.py`` finds where a comment may hold a word. Here it is decided, letter by letter: whether each is
the word's or stands for it, whether the word ends where one of the comment's does, and whether gaps within it are such
as hide a word ("b.a.d", "tele gram") or part two ("pen is"). Latin words are whole words; Chinese has no blanks, so a
word of it is found anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

from gameplay.skeleton import BLANK, DENSE, DIGIT, MARK, POINT, STANDS_FOR, Letters, hangs, light

MOST_CODE_POINTS = 80
MOST_LETTERS = 255  # folded; a Korean syllable is three
LEAST_LETTERS, LEAST_DIGITS, LEAST_STEM = 2, 3, 4
LEAST_SPELLED = 3  # b a d
LEAST_DENSE = 3  # letters that a Chinese word needs to be read across any gap
LONG = 6  # letters from which on a Latin word is hardly met by chance
CUT = {MARK: 4, POINT: LONG, BLANK: 8}  # letters that it needs to be read across this gap

HALVES = re.compile("[\ud800-\udfff]")  # what decoding leaves of bytes that are not UTF-8


class Word(Struct, frozen=True, gc=False):
    """An entry: the letters of all its words together, and where each of these ends.

    ``runs`` is how many of its letters are one in its key. On an open side the word may go on.
    """

    written: str
    line: int
    locale: str  # empty: all
    letters: str
    kinds: str
    runs: bytes
    borders: bytes
    open_left: bool = False
    open_right: bool = False


def read_word(written: str, line: int = 0, locale: str = "") -> Word | str:
    """The entry that a line is, or why it is none."""
    if HALVES.search(written):
        return "it is not UTF-8"
    if len(written) > MOST_CODE_POINTS:
        return f"it is longer than {MOST_CODE_POINTS} characters"
    core = written.strip()
    left, right = core.startswith("*"), core.endswith("*")
    parts = Letters(light(core))
    if why := too_common(parts, left or right):
        return why
    if (size := len(parts.chars)) > MOST_LETTERS:
        return f"it is longer than {MOST_LETTERS} letters when it is folded"
    return Word(
        core,
        line,
        locale,
        parts.chars,
        parts.kinds[:-1],
        bytes(after - at for at, after in pairwise(parts.runs)),
        bytes([*(at for at in range(1, size) if parts.edge(at)), size]),
        left,
        right,
    )


def too_common(parts: Letters, stem: bool) -> str:
    """Why nearly every comment would hold this; empty when it would not."""
    letters = [char for char in parts.chars if not hangs(char)]
    if not letters:
        return "no letters are left of it when it is folded"
    if len(letters) < LEAST_LETTERS:
        return "one letter alone is in nearly every comment"
    if set(parts.kinds[:-1]) == {DIGIT} and len(letters) < LEAST_DIGITS:
        return f"a number needs {LEAST_DIGITS} digits, for prices and sizes are shorter"
    if stem and DENSE not in parts.kinds and len(letters) < LEAST_STEM:
        return f"a part of a word (*) needs {LEAST_STEM} letters"
    return ""


def holds(word: Word, text: Letters, last: int) -> bool:
    """Whether the comment holds the word whose key ends there; ``last`` is the place in the comment's key."""
    first = last - len(word.runs) + 1
    if first == last:
        return any(
            bounded(word, text, start, end) and agrees(word, text, first, start, end)
            for start, end in pieces(text, first)
        )
    start = begin(word, text, first)
    end = finish(word, text, last) if start >= 0 else -1
    return end >= 0 and agrees(word, text, first, start, end)


def pieces(text: Letters, run: int) -> list[tuple[int, int]]:
    """The parts of a run of one letter between gaps, and all of it."""
    start, end = text.runs[run], text.runs[run + 1]
    cuts = [at for at in range(start + 1, end) if text.gaps[at]]
    return [*pairwise([start, *cuts, end]), *([(start, end)] if cuts else [])]


def begin(word: Word, text: Letters, run: int) -> int:
    """The last letter of this run that the word can begin with; -1 when there is none."""
    start, at = text.runs[run], text.runs[run + 1] - word.runs[0]
    if open_at(word, 0):
        return at if at >= start else -1
    while at >= start and not text.begins(at, word.kinds[0]):
        at -= 1
    return at if at >= start else -1


def finish(word: Word, text: Letters, run: int) -> int:
    """Behind the first letter of this run that the word can end with; -1 when there is none."""
    at, end = text.runs[run] + word.runs[-1], text.runs[run + 1]
    while at <= end and not (text.whole(at) if open_at(word, -1) else text.ends(at, word.kinds[-1])):
        at += 1
    return at if at <= end else -1


def open_at(word: Word, side: int) -> bool:
    return word.kinds[side] == DENSE or (word.open_right if side else word.open_left)


def agrees(word: Word, text: Letters, first: int, start: int, end: int) -> bool:
    """Whether what is written there is the word."""
    places = aligned(word, text, first, start, end)
    return bool(places) and meant(word, text, start, end) and undivided(word, text, places)


def bounded(word: Word, text: Letters, start: int, end: int) -> bool:
    """Whether the word may begin and end there."""
    begins = open_at(word, 0) or text.begins(start, word.kinds[0])
    return begins and (text.whole(end) if open_at(word, -1) else text.ends(end, word.kinds[-1]))


def aligned(word: Word, text: Letters, first: int, start: int, end: int) -> list[int]:
    """Where each letter of the word is in the text, and where it ends there; empty when they differ."""
    places: list[int] = []
    done = 0
    for run, size in enumerate(word.runs, first):
        lo, hi = max(text.runs[run], start), min(text.runs[run + 1], end)
        if not fits(word, text.chars[lo:hi], done, size) or any(text.gaps[lo + size : hi]):
            return []
        places.extend(range(lo, lo + size))
        done += size
    return [*places, end]


def fits(word: Word, drawn: str, start: int, size: int) -> bool:
    """Whether the letters drawn are this run of the word's, at most stretched."""
    own = word.letters[start : start + size]
    if len(drawn) == size:
        return all(stands_for(char, letter, len(word.letters)) for char, letter in zip(drawn, own, strict=True))
    if len(drawn) < size or word.kinds[start] == DIGIT:
        return False
    stretched = len(drawn) > 2 or word.kinds[start] == DENSE or len(word.letters) >= LONG
    return stretched and all(any(stands_for(char, letter, 0) for letter in own) for char in drawn)


def stands_for(char: str, letter: str, size: int) -> bool:
    """Whether it is that letter, a digit that looks like it, or, in a long word, an l for an I."""
    return char == letter or letter in STANDS_FOR.get(char, "") or (size >= LONG and {char, letter} == {"i", "l"})


def meant(word: Word, text: Letters, start: int, end: int) -> bool:
    """Whether it is a word with digits for letters, and no number with a letter, as names of sizes and devices are."""
    digits = text.kinds[start:end].count(DIGIT)
    return digits <= word.kinds.count(DIGIT) or end - start - digits >= LEAST_LETTERS


def undivided(word: Word, text: Letters, places: Sequence[int]) -> bool:
    """Whether what stands between the letters of each of its words does not make it two."""
    for start, end in pairwise((0, *word.borders)):
        cuts = [at for at in range(start + 1, end) if text.gaps[places[at]]]
        if not cuts:
            continue
        if word.kinds[start] == DENSE:
            hidden = many(word.letters[start:end]) or text.edge(places[start]) or text.edge(places[end])
        else:
            pieces = [after - at for at, after in pairwise([start, *cuts, end])]
            hidden = in_pieces(pieces, max(text.gaps[places[at]] for at in cuts), len(word.letters))
        if not hidden:
            return False
    return True


def many(letters: str) -> bool:
    """Whether a Chinese word may have any gap; a shorter one only if one of its letters stands alone."""
    return sum(not hangs(char) for char in letters) >= LEAST_DENSE


def in_pieces(pieces: Sequence[int], widest: int, size: int) -> bool:
    """Whether a Latin word is cut into pieces of such sizes as nobody cuts what he writes."""
    if sum(pieces) >= CUT[widest]:
        return True
    return (max(pieces) == 1 and size >= LEAST_SPELLED) or (1 in pieces and sum(pieces) >= LONG)
