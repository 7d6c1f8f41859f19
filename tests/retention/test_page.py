"""The page is one file that needs nothing else, and shows what the numbers say."""

import re
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from liveroom.charts import HIGH, MOST_POINTS, WIDE, clock, page
from liveroom.report import report
from liveroom.sessions import Recording
from tests.retention.rows import Row, table
from tests.retention.typed import GOOD, Command, with_header

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Read(HTMLParser):
    """A page as a browser would take it apart. Every tag that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.lines: list[tuple[str, list[tuple[float, float]]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        said = dict(attrs)
        if tag in ("polyline", "polygon"):
            points = [one.split(",") for one in (said["points"] or "").split()]
            self.lines.append((said["class"] or "", [(float(x), float(y)) for x, y in points]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def numbers(self) -> dict[str, str]:
        words = [word for word in self.words if word.strip()]
        return {name: words[words.index(name) + 1] for name in NUMBERS if name in words}

    def drawn(self, kind: str) -> list[list[tuple[float, float]]]:
        return [points for name, points in self.lines if name == kind]


NUMBERS = ("Viewers", "Sessions", "Most at once (PCU)", "Average at once (ACU)", "Median stay", "Gone within 3 s")


def reported(rows: list[Row], start: float = 0, end: float = 1000) -> dict[str, Any]:
    return report(table(rows), Recording(start, end, 60))


PAGES = {
    "nobody": reported([]),
    "a moment": reported([], 5, 5),
    "one": reported([Row("a", 0, 100)]),
    "gone at once": reported([Row("a", 0, 0)]),
    "all stay": reported([Row(f"v{n}", n, None) for n in range(50)]),
    "many": reported([Row(f"v{n}", n, n + 5 * n) for n in range(100)]),
    "too many to draw": reported([Row(f"v{n}", 0, n / 10) for n in range(9000)]),
    "long": reported([Row("a", 0, 50_000)], 0, 900_000),
    "short": reported([Row("a", 0, 0.02)], 0, 60.5),
    "late": reported([*(Row(f"o{n}", -500, 400) for n in range(60)), *(Row(f"n{n}", 0, 10 * n) for n in range(20))]),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_fetches_nothing(name: str):
    text = page("who.csv", PAGES[name])
    read = Read(text)
    assert text.startswith("<!doctype html>")
    assert not {"script", "link", "img", "iframe", "object", "use", "image", "base", "form", "a"} & set(read.tags)
    assert not [one for one, _ in read.attributes if one.startswith("on") or one in ("src", "href", "xlink:href")]
    assert not re.search(r"https?:|//|url\(|@import|javascript:", text)
    assert not re.search(r"\b(nan|inf|None)\b", text)


@pytest.mark.parametrize("name", PAGES)
def test_every_line_lies_within_its_chart(name: str):
    for kind, points in Read(page("who.csv", PAGES[name])).lines:
        assert all(0 <= x <= WIDE and 0 <= y <= HIGH for x, y in points), kind
        across = [x for x, _ in points]
        assert kind == "band" or across == sorted(across)


def test_the_name_of_a_file_is_text():
    evil = "</title><script>alert(1)</script><img src=x onerror=\"alert('1')\">&amp;.csv"
    text = page(evil, PAGES["one"])
    read = Read(text)
    assert not {"script", "img"} & set(read.tags)
    assert read.words.count(f"Retention of {evil}") == 2


def test_the_command_writes_the_page_beside_the_words(retention: Command):
    done = retention(with_header(GOOD), "--html", "page.html", name='<b onload="x">&.csv')
    read = Read(Path("page.html").read_text("utf-8"))
    assert done.out.startswith("page.html has the curves\nviewers      3 in 3 sessions\n")
    assert 'Retention of <b onload="x">&.csv' in read.words
    assert "b" not in read.tags
    assert read.numbers == {
        **{"Viewers": "3", "Sessions": "3", "Most at once (PCU)": "3", "Average at once (ACU)": "1.2"},
        **{"Median stay": "3:20", "Gone within 3 s": "0.0%"},
    }


def test_the_command_writes_the_page_and_prints_json(retention: Command):
    assert retention(with_header(GOOD), "--html", "page.html", "--json").found["uv"] == 3
    assert Path("page.html").exists()


@pytest.mark.skipif(sys.platform == "darwin", reason="needs a file system that takes any bytes as a name")
def test_a_file_whose_name_is_no_text_has_a_page(retention: Command):
    assert retention(with_header(GOOD), "--html", "page.html", "--json", name="who\udcff.csv").code == 0
    assert "Retention of who?.csv" in Path("page.html").read_text("utf-8")


def test_a_page_of_an_empty_file(retention: Command):
    retention(with_header(""), "--html", "page.html")
    read = Read(Path("page.html").read_text("utf-8"))
    assert "Nobody has left." in read.words
    assert (read.numbers["Median stay"], read.numbers["Gone within 3 s"]) == ("not reached", "–")


def test_the_dashed_line_goes_on_where_the_other_ends():
    read = Read(page("x", PAGES["many"]))
    [sure, _online], [few] = read.drawn("line"), read.drawn("few")
    assert sure[-1] == few[0]
    assert few[-1][0] == WIDE - 10


def test_dashed_comes_before_where_many_came_late():
    read = Read(page("x", PAGES["late"]))
    kinds = [kind for kind, _ in read.lines]
    assert kinds == ["band", "line", "few", "line", "line"]  # the last is the online curve
    parts = [points for _, points in read.lines[1:4]]
    assert all(before[-1] == after[0] for before, after in pairwise(parts))
    assert parts[1][0] == (52, 10)


def test_a_long_curve_is_thinned_for_the_eye_to_its_end():
    read = Read(page("x", PAGES["too many to draw"]))
    stay = read.drawn("line")[0]
    assert len(stay) <= 2 * (MOST_POINTS + 2)
    assert read.drawn("few")[0][-1] == (WIDE - 10, HIGH - 34)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (0, "0 s"), (0.02, "0.02 s"), (42, "42 s"), (60, "1:00"), (185.4, "3:05"), (3599.7, "1:00:00")],
)
def test_times_are_written_as_people_read_them(seconds: float | None, words: str):
    assert clock(seconds) == words
