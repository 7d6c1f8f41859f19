"""Text as people type it: cleaned for showing, folded for matching, measured in what a reader sees."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

# Cc but newline-like blanks become spaces first; Cf holds the bidi overrides and the zero-width signs.
BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
ZERO_WIDTH = "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200d\u2060-\u2064\ufe00-\ufe0f\ufeff\uffa0"
CONTROL = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufff9-\ufffb{BIDI}]")
UNSEEN = re.compile(f"[{BIDI}{ZERO_WIDTH}\U000e0000-\U000e0fff]")
BLANKS = re.compile("[\\s\u2800]+")  # also of Braille
BREAKS = re.compile("\r\n|[\t-\r\x1c-\x1f\x85\u2028\u2029]")

JOINER = "\u200d"
JOINERS = "\u200c\u200d"
STACKING = {"Mn", "Me"}  # marks that take no room of their own
EXTENDING = {*STACKING, "Mc"}


def is_viewer_id(text: str) -> bool:
    return bool(text) and text.isprintable() and len(text.encode()) <= 64


def typed(text: str) -> str:
    """The text as typed, trimmed, on one line, without control and bidi-override characters."""
    return CONTROL.sub("", BREAKS.sub(" ", text)).strip()


def shown(text: str) -> str:
    """The same with one space between words."""
    return CONTROL.sub("", BLANKS.sub(" ", text)).strip()


def folded(text: str) -> str:
    """The text as it is compared: NFKC, without unseen characters, caseless, blanks as one space."""
    if text.isascii() and text.isprintable():
        return " ".join(text.lower().split())
    plain = UNSEEN.sub("", CONTROL.sub("", BLANKS.sub(" ", text)))
    plain = UNSEEN.sub("", unicodedata.normalize("NFKC", plain).casefold())
    return BLANKS.sub(" ", unicodedata.normalize("NFKC", plain)).strip()


def graphemes(text: str) -> int:
    """How many characters a reader sees: marks, joined emoji, modifiers, flags and Hangul syllables count once.

    The rules of Unicode Annex 29 that matter for a length limit, not all of them.
    """
    if text.isascii():
        return len(text)
    count, flags = (1 if text else 0), 0
    for before, char in pairwise(text):
        flags = flags + 1 if is_flag(before) else 0
        if not (extends(char) or before == JOINER or (is_flag(char) and flags % 2) or is_hangul_part(before, char)):
            count += 1
    return count


def extends(char: str) -> bool:
    if unicodedata.category(char) in EXTENDING or char in JOINERS:
        return True
    return "\U0001f3fb" <= char <= "\U0001f3ff" or "\U000e0020" <= char <= "\U000e007f"  # skin tones, flag tags


def is_flag(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def is_hangul_part(before: str, char: str) -> bool:
    return "\u1160" <= char <= "\u11ff" and ("\u1100" <= before <= "\u11ff" or "\uac00" <= before <= "\ud7a3")


def most_marks(text: str) -> int:
    """The longest run of combining marks on one base: 0 in most texts, dozens in a defaced one."""
    if text.isascii():
        return 0
    longest = run = 0
    for char in UNSEEN.sub("", text):
        run = run + 1 if unicodedata.category(char) in STACKING or unicodedata.combining(char) else 0
        longest = max(longest, run)
    return longest
