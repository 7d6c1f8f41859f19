"""A list of words that a room does not want to read, looked for in a comment all at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

from ahocorasick import Automaton
from msgspec.structs import replace

from gameplay.play import Refusal, bad
from gameplay.skeleton import Letters, drawn, key, light
from gameplay.words import Word, holds, read_word

MOST_OF_A_ROOM = 200

SECTION = re.compile(r"\[\s*(\*|[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*)\s*\]")


class Broken(NamedTuple):
    """A line that is skipped, and why."""

    line: int
    why: str


class Hit(NamedTuple):
    """Which entry of which list a comment holds: for the host and the log, never for its author."""

    word: str
    line: int
    of: str


class View:
    """A comment as lists read it."""

    def __init__(self, lit: str, before: str = "") -> None:
        self.light, self.before = lit, before
        self.key = key(lit)

    @cached_property
    def letters(self) -> Letters:
        return Letters(self.light, self.before)


def views(text: str) -> tuple[View, ...]:
    """A comment as it is written and, where it has signs that are drawn for letters, with these as letters too."""
    lit = light(text)
    signs = drawn(lit)
    return (View(lit),) if signs == lit else (View(lit), View(signs, lit))


class WordList:
    """Entries, without repeats, under a name that hits are told with. ``broken`` are the lines that are none."""

    def __init__(self, words: Iterable[Word], name: str, broken: Sequence[Broken] = ()) -> None:
        self.name, self.broken, self.size = name, tuple(broken), 0
        self.automaton = Automaton()
        for word in words:
            self.add(word)
        self.automaton.make_automaton()

    def add(self, word: Word) -> None:
        place = key(word.letters)
        there: tuple[Word, ...] = self.automaton.get(place, ())
        if not any(same(word, one) for one in there):
            self.automaton.add_word(place, (*there, word))
            self.size += 1

    def find(self, comment: Sequence[View], locale: str = "") -> Hit | None:
        """The first entry that it holds. Sections of other locales do not count; without a locale all do."""
        if not self.size:
            return None
        for view in comment:
            for last, words in self.automaton.iter(view.key):
                for word in words:
                    if speaks(word.locale, locale) and holds(word, view.letters, last):
                        return Hit(word.written, word.line, self.name)
        return None


def same(one: Word, other: Word) -> bool:
    """Whether two entries match alike."""
    return replace(one, written=other.written, line=other.line) == other


def speaks(section: str, locale: str) -> bool:
    """Whether a section is for who speaks this: ``zh`` is for ``zh-CN`` too."""
    return not section or not locale or f"{locale.lower()}-".startswith(f"{section}-")


def blocked(text: str, lists: Iterable[WordList], locale: str = "") -> Hit | None:
    """The first entry of these lists that a comment holds."""
    comment = views(text)
    return next((hit for one in lists if (hit := one.find(comment, locale))), None)


def read_list(lines: Iterable[str], name: str) -> WordList:
    """The list that a file is: a word a line, ``#`` remarks, ``[zh]`` before the words of a locale, ``[*]`` of all."""
    words: list[Word] = []
    broken: list[Broken] = []
    locale = ""
    for number, line in enumerate(lines, 1):
        written = line.strip().removeprefix("\ufeff")
        if not written or written.startswith("#"):
            continue
        if written.startswith("[") and (section := SECTION.fullmatch(written)):
            locale = "" if section[1] == "*" else section[1].lower()
        elif isinstance(word := read_entry(written, number, locale), str):
            broken.append(Broken(number, word))
        else:
            words.append(word)
    return WordList(words, name, broken)


def read_entry(written: str, number: int, locale: str) -> Word | str:
    if written.startswith("["):
        return "a section is a locale in brackets, as [zh], or [*]"
    return read_word(written, number, locale)


def room_words(words: Sequence[str]) -> WordList | Refusal:
    """A room's own words, as its host sends them."""
    if len(words) > MOST_OF_A_ROOM:
        return unfit(f"there are more than {MOST_OF_A_ROOM}")
    read: list[Word] = []
    for number, written in enumerate(words, 1):
        word = read_word(written, number)
        if isinstance(word, str):
            return unfit(f"word {number}: {word}")
        read.append(word)
    return WordList(read, "room")


def unfit(why: str) -> Refusal:
    return bad("words", why)
