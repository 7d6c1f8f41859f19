"""The log-rank test: known results, and what it says of sources."""

from __future__ import annotations

import csv
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liveroom.cells import CELLS, Counts, cell_of
from liveroom.live_report import HIDDEN, live_report
from liveroom.logrank import beyond, logrank
from tests.audience.tally import Stay, cells_of, fields

DATA = Path(__file__).parents[3] / "shared/data/km_reference"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="needs the recorded streams beside the checkout")
START = 1_700_000_000_000


def counts(spans: Any, events: Any) -> Counts:
    """Spans in seconds; every time has a cell of its own as long as it is under a minute."""
    left, unknown = np.zeros(CELLS), np.zeros(CELLS)
    for span, event in zip(spans, events, strict=True):
        (left if event else unknown)[cell_of(span)] += 1
    return Counts(left, left, unknown)


def test_leukaemia_agrees_with_r() -> None:
    """R: ``survdiff(Surv(time, status) ~ x, aml)``: chi-square 3.4 on 1 degree of freedom, p = 0.0653."""
    maintained = counts([9, 13, 13, 18, 23, 28, 31, 34, 45, 48, 59], [1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0])
    others = counts([5, 5, 8, 8, 12, 16, 23, 27, 30, 33, 43, 45], [1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1])
    found = logrank([maintained, others])
    assert found is not None
    assert (round(found["chi2"], 1), found["df"], round(found["p"], 4)) == (3.4, 1, 0.0653)


@needs_data
def test_lung_cancer_by_sex_agrees_with_r() -> None:
    """R: ``survdiff(Surv(time, status) ~ sex, lung)``: chi-square 10.3, p = 0.00131. Only the order matters."""
    with (DATA / "lung.csv").open(newline="") as file:
        rows = [(float(row["time"]), row["status"] == "1", row["sex"]) for row in csv.DictReader(file)]
    order = sorted({time for time, _, _ in rows})
    men, women = ([(order.index(time), event) for time, event, one in rows if one == sex] for sex in ("1", "2"))
    found = logrank([ranked(men), ranked(women)])
    assert found is not None
    assert (round(found["chi2"], 1), round(found["p"], 5)) == (10.3, 0.00131)


def ranked(rows: list[tuple[int, bool]]) -> Counts:
    left, unknown = np.zeros(CELLS), np.zeros(CELLS)
    for rank, event in rows:
        (left if event else unknown)[rank] += 1
    return Counts(left, left, unknown)


@pytest.mark.parametrize("groups", [2, 3, 7])
@pytest.mark.parametrize("seed", range(5))
def test_groups_agree_with_the_sums_by_hand(groups: int, seed: int) -> None:
    luck = np.random.default_rng(seed)
    group = luck.integers(0, groups, 300)
    span = np.minimum(np.floor(luck.exponential(15 + 3 * group)), 59)
    event = luck.random(300) < 0.8
    ours = logrank([counts(span[group == one], event[group == one]) for one in range(groups)])
    assert ours is not None
    assert ours["df"] == groups - 1
    assert ours["chi2"] == pytest.approx(by_hand(groups, group, span, event))


def by_hand(groups: int, group: Any, span: Any, event: Any) -> float:
    """One time after the other; the last group follows from the others and is left out."""
    excess, spread = np.zeros(groups - 1), np.zeros((groups - 1, groups - 1))
    for time in sorted(set(span[event])):
        n, d = (span >= time).sum(), ((span == time) & event).sum()
        risk = [((span >= time) & (group == one)).sum() for one in range(groups)]
        for i in range(groups - 1):
            excess[i] += ((span == time) & event & (group == i)).sum() - risk[i] * d / n
            for k in range(groups - 1):
                if n > 1:
                    spread[i, k] += d * (n - d) / (n - 1) * risk[i] / n * ((i == k) - risk[k] / n)
    return float(excess @ np.linalg.solve(spread, excess))


def test_the_tail_of_chi_square_is_known() -> None:
    """From any table: 3.841, 5.991, 7.815 and 18.307 are the 95 % points for 1, 2, 3 and 10 degrees of freedom."""
    for df, point in ((1, 3.841), (2, 5.991), (3, 7.815), (10, 18.307)):
        assert beyond(point, df) == pytest.approx(0.05, abs=1e-4)
    assert beyond(0, 1) == beyond(0, 4) == 1
    assert beyond(2, 2) == pytest.approx(exp(-1))
    assert 0 <= beyond(500, 11) < 1e-90


@pytest.mark.parametrize("parts", [[], [counts([1], [1])], [counts([1], [0]), counts([2], [0])]])
def test_where_nothing_is_compared_nothing_is_said(parts: list[Counts]) -> None:
    assert logrank(parts) is None


def said(stays: list[Stay]) -> dict[str, Any]:
    nobody = dict.fromkeys(("", "light", "medium", "heavy"), 0)
    return live_report(fields(cells_of(stays)), nobody, START, START + 10**6, 0)


def test_sources_that_stay_differently_differ() -> None:
    short = [Stay(0, 5_000 + k, cohort="ad") for k in range(20)]
    long = [Stay(0, 90_000, cohort="share")] * 20
    assert said(short + long)["sources_differ"]["p"] < 1e-6
    same = [Stay(0, 1_000 * (k % 50), cohort=("ad", "share")[k % 2]) for k in range(100)]
    assert said(same)["sources_differ"]["p"] > 0.2


def test_a_source_of_few_viewers_is_hidden_and_not_compared() -> None:
    few = [Stay(0, 1_000, cohort="one")] * (HIDDEN - 1)
    found = said([*few, *[Stay(0, 5_000, cohort="many")] * HIDDEN])
    assert (list(found["sources"]), found["sources_hidden"], found["sources_differ"]) == (["many"], 1, None)
    assert found["stay"]["n"] == 2 * HIDDEN - 1
