"""Recordings of chats, whatever their format: JSONL, CSV and BililiveRecorder's XML, gzipped or not."""

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

from liveroom.replay.filler import made_up

MOST_BYTES = 3000  # of a text: it has to fit into one frame
TIMES = ("t", "ts", "time", "t_epoch")
PEOPLE = ("viewer", "uid", "user")
MILLISECONDS = 1e11  # epoch times above this are no seconds
UNREADABLE = (ValueError, TypeError, OverflowError, csv.Error, ElementTree.ParseError, RecursionError)


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
    except UNREADABLE as error:
        return Broken(number, str(error))


def json_comment(line: str, number: int) -> Comment:
    """Raises one of UNREADABLE, as do all below."""
    fields = msgspec.json.decode(line)
    if not isinstance(fields, dict):
        raise ValueError("no object with named fields")
    return comment(fields, number)


def csv_comment(names: list[str], line: str, number: int) -> Comment:
    cells = next(csv.reader([line.rstrip("\r")], strict=True), [])
    if len(cells) != len(names):
        raise ValueError(f"{len(cells)} fields instead of {len(names)}")
    return comment(dict(zip(names, cells, strict=True)), number)


def comment(fields: Mapping[str, Any], number: int) -> Comment:
    at, viewer = moment(field(fields, TIMES)), str(field(fields, PEOPLE))
    return Comment(at, viewer, fitting(spoken(fields, number)))


def xml_comment(chunk: str, number: int) -> Comment:
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
    """Seconds, from seconds or milliseconds or ISO 8601."""
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
