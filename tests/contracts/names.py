"""What the design page of the protocol calls things: messages with their fields, codes, paths."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

SPAN = re.compile(r"`([^`]+)`")
MESSAGE = re.compile(r"([a-z]+)\.([a-z_]+)")
FIELD = re.compile(r"[a-z_0-9]+")


class Names(NamedTuple):
    messages: dict[str, set[str]]  # with their fields
    answers: dict[str, set[str]]  # of commands, by their name
    errors: dict[str, tuple[int, bool, set[str]]]  # HTTP status, retryable, params that a code of this row may have
    closes: set[int]
    paths: set[str]  # "GET /v1/rooms"
    examples: list[Any]  # of whole messages


def names_of(page: str) -> Names:
    messages: dict[str, set[str]] = {}
    answers: dict[str, set[str]] = {}
    for name, fields, answer in spoken(section(page, 4)):
        (answers if answer else messages).setdefault(name, set()).update(fields)
    for name in re.findall(r"`([a-z]+\.[a-z_]+) \{", section(page, 1) + section(page, 5)):
        messages.setdefault(name, set())
    closing = section(page, 5).partition("Close codes")[2]
    closes = {int(code) for code in re.findall(r"\b(4[045]\d\d|100[79])\b", closing)}
    whole = re.findall(r"`(\{\"t\":\"hello\".*?\})`", page) + re.findall(r"```json\n(.*?)```", page, re.S)
    examples = [json.loads(one) for one in whole]
    return Names(messages, answers, errors_of(section(page, 5)), closes, paths_of(section(page, 8)), examples)


def section(page: str, number: int) -> str:
    return page.partition(f"\n## {number} ")[2].partition("\n## ")[0]


def spoken(text: str) -> Iterator[tuple[str, set[str], bool]]:
    """Each message of a text with its fields, and each `ok {…}` under the name of the command before it."""
    text, last = text.partition("`eligible` is")[0], ""
    for span in SPAN.findall(text):
        if span.startswith("*"):
            last = ""  # of several
        elif span.startswith("ok ") and last:
            yield last, fields_in(span), True
        elif MESSAGE.match(span):
            for name, fields in family(span):
                last = name
                yield name, fields, False


def family(span: str) -> Iterator[tuple[str, set[str]]]:
    """`quiz.opened {a}/revealed {b}/voided` are three."""
    noun = span.partition(".")[0]
    for part in split(span.partition(".")[2], "/"):
        verb = FIELD.match(part)
        if verb:
            yield f"{noun}.{verb[0]}", fields_in(part)


def fields_in(part: str) -> set[str]:
    """The names in the outer braces."""
    inner = part.partition("{")[2].rpartition("}")[0]
    return {found[0] for one in split(inner, ",") if (found := FIELD.match(one.strip()))}


def split(text: str, at: str) -> list[str]:
    """At this sign, outside braces and brackets."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in "{[") - (sign in "}]")
        if sign == at and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def rows_of(text: str) -> list[list[str]]:
    rows = [line.strip().strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows]


def errors_of(text: str) -> dict[str, tuple[int, bool, set[str]]]:
    found: dict[str, tuple[int, bool, set[str]]] = {}
    for codes, http, retryable, params in rows_of(text)[2:]:
        said = (int(http), retryable == "yes", set(FIELD.findall(params)))
        found |= dict.fromkeys(re.findall(r"[A-Z]+(?:_[A-Z]+)*\b", re.sub(r"\([^)]*\)", "", codes)), said)
    return found


def paths_of(text: str) -> set[str]:
    """Also of rows that say `…/proof` or `/questions` behind a longer path."""
    found: set[str] = set()
    for calls, *_ in rows_of(text)[2:]:
        method, base = "GET", ""
        for one in calls.split(" · "):
            said = re.match(r"(GET|POST) ", one)
            method = said[1] if said else method
            path = one.removeprefix(f"{method} ").partition("?")[0]
            if path.startswith("…") or (base and not path.startswith(("/v1", "/livez", "/readyz", "/metrics"))):
                root = base.rpartition("/")[0] if path.startswith("/") or base.endswith("confirm") else base
                path = root + path.removeprefix("…")
            base = path
            found.add(f"{method} {path}")
    return found


def read(page: Path) -> Names:
    return names_of(page.read_text("utf-8"))
