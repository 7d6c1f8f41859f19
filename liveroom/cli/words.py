"""The arguments of a command that `send` takes: key=value words."""

from __future__ import annotations

from typing import Any

import msgspec

from liveroom.remote import Trouble

# Text even where they look like a number.
TEXT_FIELDS = {
    *("text", "title", "name", "reason", "prize", "item", "keyword", "question", "explain"),
    "series",
    *("id", "viewer", "hold", "reply_to", "to", "idem", "mode", "currency"),
}
LIST_FIELDS = {"choices", "levels"}  # also with commas between


def argument(word: str) -> tuple[str, Any]:
    """One ``key=value`` of a command: the value is JSON where it is a number, a truth, a list or an object."""
    key, equals, text = word.partition("=")
    if not (key and equals):
        raise Trouble(f"{word!r} is no argument of a command: write key=value")
    if key in LIST_FIELDS and not text.startswith("["):
        return key, [value(part) if key == "levels" else part for part in text.split(",")]
    return key, text if key in TEXT_FIELDS else value(text)


def value(text: str) -> Any:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return text if found is None or isinstance(found, str) else found
