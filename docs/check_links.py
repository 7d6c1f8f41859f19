"""Every relative link in README.md and docs/ leads to a file that is there."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#", re.I)


def dead_links(page: Path) -> Iterator[str]:
    text = FENCE.sub(lambda fence: "\n" * fence[0].count("\n"), page.read_text(encoding="utf-8"))
    for link in LINK.finditer(text):
        if ELSEWHERE.match(link[1]):
            continue
        target = unquote(link[1].partition("#")[0])
        if not (page.parent / target).exists():
            yield f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, link.start()) + 1}: {link[1]} is not there"


if __name__ == "__main__":
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    sys.exit("\n".join(dead for page in pages for dead in dead_links(page)) or None)
