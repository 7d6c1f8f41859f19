"""Recordings of chats as comments in time: JSONL, CSV and BililiveRecorder's XML, gzipped or not."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from xml.etree import ElementTree

import msgspec

LONGEST_GAP = 60  # seconds
CLOSED_GAP = 1
MOST_CHARACTERS = 100  # of a made-up text
MOST_BYTES = 3000  # of a text: it has to fit into one frame
TIMES = ("t", "ts", "time", "t_epoch")
PEOPLE = ("viewer", "uid", "user")
MILLISECONDS = 1e11  # epoch times above this are no seconds
FILLER = "so nice to see this live again 喜欢这个 how much is it and can I have two of them please 好看 "
IDEOGRAPHS = 0x4E00, 20_000


class Comment(NamedTuple):
    """Something somebody said, ``at`` so many seconds of the recording."""

    at: float
    viewer: str
    text: str


class Broken(NamedTuple):
    """A line that cannot be read."""

    line: int
    why: str


Found = Iterator[Comment | Broken]


def read(content: bytes) -> Found:
    """All comments of a recording in the order of the file, whatever its format."""
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    text = content.decode("utf-8-sig", "replace")
    first = text.lstrip()[:1]
    return (read_xml if first == "<" else read_jsonl if first == "{" else read_csv)(text)


def read_jsonl(text: str) -> Found:
    return (attempt(number, json_comment, line) for number, line in numbered(text))


def read_csv(text: str) -> Found:
    """Line by line, so that an open quotation mark breaks its own line only."""
    lines = numbered(text)
    names = next(lines, (0, ""))[1].rstrip("\r").replace('"', "").split(",")
    return (attempt(number, partial(csv_comment, names), line) for number, line in lines)


def read_xml(text: str) -> Found:
    """Each ``<d p="time,…,…,…,…,…,uid" user="name">text</d>``; a broken one does not hide the next."""
    number = 1
    for chunk in re.split(r"(?=<d\s)", text):
        if chunk.startswith("<d"):
            yield attempt(number, xml_comment, chunk)
        number += chunk.count("\n")


def numbered(text: str) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def attempt(number: int, reader: Callable[[str, int], Comment], said: str) -> Comment | Broken:
    try:
        return reader(said, number)
    except (ValueError, csv.Error, ElementTree.ParseError, RecursionError) as error:
        return Broken(number, str(error))


def json_comment(line: str, number: int) -> Comment:
    """Raises ValueError."""
    fields = msgspec.json.decode(line)
    if not isinstance(fields, dict):
        raise ValueError("no object with named fields")
    return comment(fields, number)


def csv_comment(names: list[str], line: str, number: int) -> Comment:
    """Raises ValueError or csv.Error."""
    cells = next(csv.reader([line.rstrip("\r")], strict=True), [])
    if len(cells) != len(names):
        raise ValueError(f"{len(cells)} fields instead of {len(names)}")
    return comment(dict(zip(names, cells, strict=True)), number)


def comment(fields: Mapping[str, Any], number: int) -> Comment:
    """Raises ValueError."""
    at, viewer = moment(field(fields, TIMES)), str(field(fields, PEOPLE))
    return Comment(at, viewer, fitting(spoken(fields, number)))


def xml_comment(chunk: str, number: int) -> Comment:
    """Raises ValueError or ParseError."""
    element, end, _ = chunk.partition("</d>")
    if not end:
        raise ValueError("<d> without </d>")
    node = ElementTree.fromstring(element + end)
    place = node.get("p", "").split(",")
    viewer = node.get("user") or (place[6] if len(place) > 6 else "")
    if not viewer:
        raise ValueError("nobody is named in <d>")
    return Comment(moment(place[0]), viewer, fitting(node.text or ""))


def field(fields: Mapping[str, Any], names: Iterable[str]) -> Any:
    for name in names:
        if fields.get(name) not in (None, ""):
            return fields[name]
    raise ValueError(f"none of {', '.join(names)}")


def moment(said: Any) -> float:
    """Seconds, from seconds or milliseconds or ISO 8601. Raises ValueError."""
    try:
        at = float(said)
    except (TypeError, ValueError):
        at = datetime.fromisoformat(str(said)).timestamp()
    if not 0 <= at < 1e15:
        raise ValueError(f"{said} is no time")
    return at / 1000 if at > MILLISECONDS else at


def spoken(fields: Mapping[str, Any], number: int) -> str:
    if (said := fields.get("text")) is not None:
        return str(said)
    return made_up(int(field(fields, ("text", "text_len"))), number)


def fitting(text: str) -> str:
    if not text.strip():
        raise ValueError("an empty text")
    if len(text.encode()) > MOST_BYTES:
        raise ValueError(f"a text of more than {MOST_BYTES} bytes")
    return text


def made_up(length: int, number: int) -> str:
    """A text of so many characters (1 to 100) that another number does not get, as far as its length allows."""
    length = max(1, min(length, MOST_CHARACTERS))
    mark = f" {base36(number)}"
    if length < len(mark) + 2:
        first, count = IDEOGRAPHS
        return "".join(chr(first + number // count**place % count) for place in range(length))
    start = number * 7 % len(FILLER)
    words = ((FILLER[start:] + FILLER) * 2).lstrip()
    return words[: length - len(mark)] + mark


def base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return (base36(number // 36) if number >= 36 else "") + digits[number % 36]


def closed_gaps(comments: Iterable[Comment]) -> Iterator[Comment]:
    """The same comments counted from 0, never going back, with every gap over 60 s (a break, another day) closed."""
    before: float | None = None
    at = 0.0
    for one in comments:
        step = 0.0 if before is None else one.at - before
        at += CLOSED_GAP if abs(step) > LONGEST_GAP else max(0.0, step)
        before = one.at if before is None or abs(step) > LONGEST_GAP else max(before, one.at)
        yield one._replace(at=at)


def window(comments: Iterable[Comment], start: float, end: float | None) -> Iterator[Comment]:
    return (one for one in comments if start <= one.at and (end is None or one.at <= end))
