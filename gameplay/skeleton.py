"""What is left of a comment when its disguises are taken off: letters, the gaps between them, and one short key.

A comment is read in two steps. ``light`` gives plain letters with everything that stands between them: no width,
case, accents, unseen signs or look-alikes. ``key`` makes of that the string in which words are looked for: no gaps,
digits as the letters they stand for, each run of a letter once. A word's key is part of the comment's wherever the
comment holds the word, in whatever dress. What else holds it ("class", "the pen is") is told apart by ``Letters``,
which knows for each place in the key what was written there. Every step is one pass; no pattern starts over.
"""

from __future__ import annotations

import re
import unicodedata
from string import ascii_lowercase, digits, printable

from gameplay.lookalikes import CAPITALS, LETTERS, SIGNS
from gameplay.text import folded

MARK, POINT, BLANK = 1, 2, 3  # what stands between two letters, the widest of it; 0 is nothing
POINTS = ".,:;!?'\u2019\u3001\u3002"
LETTER, DIGIT, SIGN, DENSE = "adsz"  # kinds of letters; dense: of a script that has no blanks between words
NOTHING = "-"

STANDS_FOR = {"0": "o", "1": "il", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "9": "g"}
SAME = str.maketrans({**{digit: letters[0] for digit, letters in STANDS_FOR.items()}, "l": "i"})
TIGHT: dict[int, None] = dict.fromkeys(map(ord, set(printable) - set(ascii_lowercase) - set(digits)))
PLAIN = {**TIGHT, **SAME}
BETWEEN = re.compile(rf"[^\w{SIGNS}]+|_+")
NO_LETTER = re.compile(rf"[^\w{SIGNS}]")
OTHER = re.compile(r"[^\x00-\x7f]")
GAPS = re.compile(r"[123]+")  # of a shape
NO_GAPS = str.maketrans("", "", "123")
REPEATED = re.compile(r"(.)\1+")

# Signs that are drawn for letters inside words: as the digit that stands for the letter.
DRAWN = {"@": "4", "$": "5", "!": "1", "|": "1"}
DRAWN |= {chr(0x1F1E6 + n): letter for n, letter in enumerate(ascii_lowercase)}
DRAWING = re.compile(r"[@$](?!\d)|[!|](?=[^\W_])|[\U0001f1e6-\U0001f1ff]")

# Scripts without blanks between words, Korean with them, for its endings hang on the word.
UNSPACED = re.compile(
    "[\u0e00-\u109f\u1100-\u11ff\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\u3005-\u3007\u3031-\u3035\u3040-\u318f"
    "\u31a0-\u31ff\u3400-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f\uf900-\ufaff\U00016fe0-\U0001b2ff\U00020000-\U0003ffff]"
)
HANGING = re.compile(f"[\u1160-\u11ff{SIGNS}]")  # belongs to the letter before it


def light(text: str) -> str:
    """The text folded, its look-alikes as the Latin letters they look like, without accents; gaps as they are."""
    if text.isascii():
        return folded(text)
    plain = unicodedata.normalize("NFKD", folded(text.translate(CAPITALS))).translate(LETTERS)
    return " ".join(plain.split())  # a blank may have borne an accent


def drawn(lit: str) -> str:
    """A light text with the signs that are drawn for letters as such; the same length."""
    return DRAWING.sub(lambda sign: DRAWN[sign[0]], lit)


def key(lit: str) -> str:
    """What words are looked for in: the letters of a light text without gaps, each run of one letter once."""
    letters = lit.translate(PLAIN)
    return REPEATED.sub(r"\1", letters if letters.isascii() else BETWEEN.sub("", letters))


def skeleton(text: str) -> str:
    return key(light(text))


class Letters:
    """The letters of a light text. Before letter n stands ``gaps[n]``; letter n of the key begins at ``runs[n]``."""

    def __init__(self, lit: str, before: str = "") -> None:
        """``before`` is the same text before signs were taken for letters."""
        shape = shape_of(lit)
        if before:
            shape = "".join(SIGN if char != was else kind for char, was, kind in zip(lit, before, shape, strict=True))
        self.chars = lit.translate(TIGHT) if lit.isascii() else BETWEEN.sub("", lit)
        self.kinds = shape.translate(NO_GAPS) + NOTHING  # behind the last letter and, as [-1], before the first
        self.gaps = bytearray(len(self.kinds))
        gone = 0
        for gap in GAPS.finditer(shape):
            self.gaps[gap.start() - gone] = int(max(gap[0]))
            gone += len(gap[0])
        self.gaps[0] = self.gaps[-1] = BLANK
        self.runs = [*range(len(self.kinds))]
        for run in reversed([*REPEATED.finditer(self.chars.translate(SAME))]):
            del self.runs[run.start() + 1 : run.end()]

    def edge(self, at: int) -> bool:
        """Whether no letter of the same kind goes on across this place."""
        return bool(self.gaps[at]) or self.kinds[at] != self.kinds[at - 1]

    def begins(self, at: int, kind: str) -> bool:
        """Whether a word whose first letter is of this kind may begin here."""
        return bool(self.gaps[at]) or self.kinds[at - 1] != kind

    def ends(self, at: int, kind: str) -> bool:
        return bool(self.gaps[at]) or self.kinds[at] != kind

    def whole(self, at: int) -> bool:
        """Whether what is written here is a letter of its own, no vowel or voicing of the one before."""
        return bool(self.gaps[at]) or not hangs(self.chars[at])


def shape_of(lit: str) -> str:
    """For each character of a light text, what kind of letter it is, or what it is between two, as a digit."""
    shape = lit.translate(SHAPES)
    if shape.isascii():
        return shape
    shape = NO_LETTER.sub(lambda char: gap_of(char[0]), shape)
    return OTHER.sub(lambda char: DIGIT if char[0].isdecimal() else LETTER, UNSPACED.sub(DENSE, shape))


def gap_of(char: str) -> str:
    return str(BLANK if char == " " else POINT if char in POINTS else MARK)


def hangs(char: str) -> bool:
    return char > "\u02ff" and HANGING.match(char) is not None


SHAPES = {
    **{code: gap_of(chr(code)) for code in range(128)},
    **dict.fromkeys(map(ord, ascii_lowercase), LETTER),
    **dict.fromkeys(map(ord, digits), DIGIT),
}
