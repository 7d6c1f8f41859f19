"""The page for operators says what the code says, and names each setting, metric and alert."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.operations import PAGE, TABLES, filled
from liveroom.metrics import METRICS
from liveroom.settings import FIELDS

ROOT = Path(__file__).parents[1]


def test_its_tables_are_fresh():
    page = PAGE.read_text("utf-8")
    assert filled(page) == page, "docs/operations.md is stale: run make docs"


def test_a_stale_table_is_made_anew():
    page = PAGE.read_text("utf-8")
    assert filled(page.replace("| `crowd_budget` | `30`", "| `crowd_budget` | `31`")) == page


def test_a_table_without_its_place_is_an_error():
    with pytest.raises(SystemExit, match="'metrics' belongs between"):
        filled(PAGE.read_text("utf-8").replace("<!-- end of metrics -->", ""))


def test_everything_has_a_line():
    settings, metrics, alerts = (TABLES[name]() for name in ("settings", "metrics", "alerts"))
    assert re.findall(r"^\| `(\w+)`", settings, re.M) == [name for name in FIELDS if name != "crash_at"]
    assert re.findall(r"^\| `(\w+)`", metrics, re.M) == [metric.full_name for metric in METRICS]
    assert all(len(line.split(" | ")) == 4 for table in (settings, metrics, alerts) for line in table.splitlines())


def test_its_figures_stand_on_the_pages_that_it_cites():
    """Each number of the table on sizing, as the cited page has it, rounded at most to two places."""
    table = PAGE.read_text("utf-8").partition("## How much it carries")[2].partition("## Upgrade")[0]
    rows = [line.split(" | ") for line in table.splitlines() if "results/2026" in line]
    assert len(rows) >= 6
    for _, figures, page in rows:
        found = re.search(r"\((\.\./loadtest/results/[^)]+)\)", page)
        assert found, page
        said = (PAGE.parent / found[1]).read_text("utf-8")
        known = [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?:\.\d+)?", said)]
        for number in re.findall(r"\d[\d,]*(?:\.\d+)?", figures):
            wanted = float(number.replace(",", ""))
            there = any(close(wanted, one) or close(wanted * 1024, one) for one in known)
            assert there, f"{number} is not on {found[1]}"


def close(wanted: float, known: float) -> bool:
    return abs(wanted - known) <= 0.03 * wanted


def test_the_command_looks_without_writing():
    command = [sys.executable, "-m", "docs.operations", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
