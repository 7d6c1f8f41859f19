"""Write the tables of operations.md from what they tell of: settings, limits, metrics, alerts; --check only looks."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from msgspec import Meta

from liveroom import limits, protocol
from liveroom.gateway import front, viewer
from liveroom.http import api
from liveroom.metrics import METRICS
from liveroom.settings import FIELDS, Settings
from liveroom.store import gather, rounds

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/operations.md"
FIELD = re.compile(r"    (?P<name>\w+): .+?  # (?P<why>.+)")
SECTION = re.compile(r"    # (?P<section>.+)")
HIDDEN = ("crash_at",)  # of no use but to tests

Row = tuple[str, ...]


def table(head: Row, rows: Iterator[Row] | list[Row]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def settings() -> str:
    """One line for each field of Settings, said in the words of its comment."""
    said: dict[str, str] = {}
    body = (ROOT / "liveroom/settings.py").read_text("utf-8").partition("class Settings(")[2].partition("\n\n\n")[0]
    for line in body.splitlines():
        if section := SECTION.fullmatch(line):
            said[f"# {section['section']}"] = ""
        elif field := FIELD.fullmatch(line):
            said[field["name"]] = field["why"]
    missing = FIELDS.keys() - said.keys()
    if missing:
        sys.exit(f"liveroom/settings.py: say in a comment behind it what each is: {', '.join(sorted(missing))}")
    return table(("setting", "left out", "may be", "what it is"), list(settings_rows(said)))


def settings_rows(said: dict[str, str]) -> Iterator[Row]:
    for name, why in said.items():
        if name in FIELDS and name not in HIDDEN:
            default = getattr(Settings(), name)
            yield f"`{name}`", shown(default), kind_of(FIELDS[name]), sentence(why)
        elif name.startswith("# ") and not name.startswith("# tests"):
            yield f"**{name[2:]}**", "", "", ""


def shown(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    text = ", ".join(default) if isinstance(default, tuple) else str(default)
    return f"`{text}`" if text else ""


def kind_of(hint: Any) -> str:
    """What a setting may be, from its type."""
    if get_origin(hint) is Literal:
        return ", ".join(f"`{one}`" for one in get_args(hint))
    if hint == tuple[str, ...]:
        return "a list"
    if hasattr(hint, "__metadata__"):
        meta: Meta = hint.__metadata__[0]
        signs = (("≥", meta.ge), (">", meta.gt), ("≤", meta.le))
        return " and ".join(f"{sign} {limit}" for sign, limit in signs if limit is not None)
    return {bool: "yes or no"}.get(hint, "")


def sentence(text: str) -> str:
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")


def bounds() -> str:
    """What is fixed in the code."""
    rows: list[Row] = [
        ("Likes of a viewer", often(limits.LIKES)),
        ("Other commands of a viewer", often(limits.OTHER)),
        ("Commands of staff", often(limits.STAFF)),
        ("A client's frame", size(protocol.MOST_IN)),
        ("A server's frame", size(protocol.MOST_OUT)),
        ("Frames of one connection", f"{viewer.MOST_FRAMES} a second"),
        ("The headers of a request, and what frames its body", size(front.MOST_HEADER_BYTES)),
        ("The body of a request", size(api.MOST_BODY)),
        ("A notice", f"{protocol.LONGEST_NOTICE} characters"),
        ("Entries or claims that wait for one round on one node", f"{gather.MOST_WAITING:,}"),
        ("Facts that wait for the ledger, before no more rounds are opened", f"{rounds.MOST_FACTS:,} in a shard"),
    ]
    return table(("what", "at most"), rows)


def often(rate: limits.Rate) -> str:
    return f"{rate.per_second:g} a second, {rate.burst:g} at once"


def size(count: int) -> str:
    return f"{count // 1024} KiB" if count < 1024 * 1024 else f"{count // 1024 // 1024} MiB"


def metrics() -> str:
    rows: list[Row] = [
        (f"`{one.full_name}`", one.kind, ", ".join(f"`{label}`" for label in one.labels), one.help) for one in METRICS
    ]
    return table(("metric", "kind", "labels", "what it is"), rows)


def alerts() -> str:
    groups = yaml.safe_load((ROOT / "deploy/alerts.yml").read_text("utf-8"))["groups"]
    rows: list[Row] = [
        (f"`{one['alert']}`", one["labels"]["severity"], plain(said["summary"]), said["action"])
        for group in groups
        for one in group["rules"]
        if (said := one["annotations"])
    ]
    return table(("alert", "how bad", "what it says", "what to do"), rows)


def plain(summary: str) -> str:
    """A template without its braces."""
    named = {"$labels.instance": "NODE", "$labels.server": "SERVER", "$labels.call": "CALL", "$value": "N"}
    return re.sub(r"\{\{ (\S+)[^}]*\}\}", lambda found: named[found[1]], summary)


TABLES: dict[str, Callable[[], str]] = {"settings": settings, "limits": bounds, "metrics": metrics, "alerts": alerts}


def filled(page: str) -> str:
    """The page with its tables as they should be."""
    for name, make in TABLES.items():
        begin, end = f"<!-- {name}: made by `make docs` -->", f"<!-- end of {name} -->"
        before, found, rest = page.partition(begin)
        if not found or end not in rest:
            sys.exit(f"docs/operations.md: the table {name!r} belongs between {begin} and {end}")
        page = f"{before}{begin}\n\n{make()}\n\n{end}{rest.partition(end)[2]}"
    return page


def main() -> None:
    page = PAGE.read_text("utf-8")
    made = filled(page)
    if made != page and "--check" in sys.argv[1:]:
        sys.exit("docs/operations.md is stale: run make docs")
    PAGE.write_text(made, "utf-8")


if __name__ == "__main__":
    main()
