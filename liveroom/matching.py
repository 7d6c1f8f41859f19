"""Whether a comment holds a blocked word: of the operator's list, or of its room's own."""

from __future__ import annotations

from collections.abc import Sequence

from gameplay.play import Refusal
from gameplay.wordlist import WordList, blocked, room_words
from liveroom.wordfile import WordFile

MOST_ROOMS = 1000  # whose words are kept read


class Matcher:
    """Called with a text, the words of its room and the locale of its author: the entry that it holds, or None."""

    def __init__(self, file: WordFile | None) -> None:
        self.file = file
        self.read: dict[tuple[str, ...], WordList] = {}

    def __call__(self, text: str, words: Sequence[str], locale: str) -> str | None:
        also = (self.list_of(tuple(words)),) if words else ()
        hit = blocked(text, (*((self.file.words,) if self.file else ()), *also), locale)
        return hit and hit.word

    def list_of(self, words: tuple[str, ...]) -> WordList:
        found = self.read.pop(words, None)
        if found is None:
            read = room_words(words)
            found = WordList((), "room") if isinstance(read, Refusal) else read
        self.read[words] = found  # the newest is the last
        while len(self.read) > MOST_ROOMS:
            del self.read[next(iter(self.read))]
        return found
