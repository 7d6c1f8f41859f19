"""Curves from cells against curves from every single session, and reports that say nothing where nothing is known."""

import asyncio
import gzip
import json
import time
from collections.abc import Sequence
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from liveroom.cells import CELLS, EDGES, WEEK, Counts, cell_of, cells_in, curve_of, horizon_of, together
from liveroom.live_report import BUCKET, COHORT, HIDDEN, live_report
from liveroom.retention import FEW, Curve, quantile, stay_curve
from liveroom.sessions import Connections, Recording, Sessions, sessions_of
from liveroom.store.embedded import Embedded
from liveroom.store.server import client
from tests.audience.tally import (
    ONE,
    Stay,
    apart,
    behind,
    beyond_a_cell,
    cells_of,
    exact_curve,
    fields,
    place,
    share,
    tally,
)
from tests.retention.rows import strict

LOG = Path(__file__).parents[3] / "shared/data/irc_rooms/developers_2013-03-04_08.jsonl.gz"
NEAR = 0.005
DAY = 86_400_000
START = 1_700_000_000_000
SOURCES = ("direct", "share", "ad")


def curve(cells: dict[str, int], now_ms: int, *, gone: bool = False) -> Curve:
    return curve_of(counts(cells, now_ms / 1000, gone=gone))


def counts(cells: dict[str, int], now: float, *, gone: bool = False) -> Counts:
    return together(cells_in(tally(cells), now).at(now, gone=gone))


def report(cells: dict[str, int], now_ms: int, viewers: int = 0, grace_ms: int = 0) -> Any:
    """As it is sent: JSON without NaN and Infinity."""
    distinct = {"": viewers, "light": 0, "medium": 0, "heavy": 0}
    return strict(json.dumps(live_report(fields(cells), distinct, START, START + now_ms, grace_ms), allow_nan=False))


# the table of cells


def test_cells_lie_side_by_side_and_cover_a_week():
    assert (EDGES[0], EDGES[-1], len(EDGES)) == (0, WEEK, CELLS + 1)
    widths = np.diff(EDGES)
    assert sorted(set(widths)) == [1, 5, 60]
    for end, width in ((600, 1), (3600, 5), (WEEK, 60)):
        assert widths[np.searchsorted(EDGES, end) - 1] == width
    assert [cell_of(one) for one in (-1, 0, 0.999, 1, 60, WEEK - 0.001, WEEK, 10 * WEEK)] == [
        *(0, 0, 0, 1, 60),
        *[CELLS - 1] * 3,
    ]


@given(st.integers(0, 8 * DAY))
def test_a_stay_lies_in_its_cell(ms: int):
    cell = cell_of(ms / 1000)
    assert cell == place(ms)
    assert EDGES[cell] * 1000 <= ms
    assert ms < EDGES[cell + 1] * 1000 or cell == CELLS - 1


def test_redis_has_the_same_cells(tmp_path: Path):
    around = [int(edge * 1000) + by for edge in EDGES for by in (-1, 0, 1)]
    some = np.random.default_rng(1).integers(0, 8 * DAY, 5000).tolist()
    times = [max(0, ms) for ms in (*around, *some, 100 * DAY)]
    shared = files("liveroom.store").joinpath("lua/_attend.lua").read_text("utf-8")
    ask = "local found = {}; for i, ms in ipairs(ARGV) do found[i] = { cell_of(tonumber(ms)) } end; return found"

    async def asked(url: str) -> list[list[int]]:
        redis = client(url, 10)
        try:
            pages = [times[n : n + 1000] for n in range(0, len(times), 1000)]
            return [cell for page in pages for cell in await redis.eval(f"{shared}\n{ask}", 0, *page)]
        finally:
            await redis.aclose()

    embedded = Embedded(tmp_path / "data")
    embedded.start()
    try:
        assert asyncio.run(asked(embedded.url)) == [[cell_of(ms / 1000), behind(ms)] for ms in times]
    finally:
        embedded.stop()


# the curve: for all data


few_ms = st.integers(0, 70_000) | st.integers(0, 700_000) | st.integers(0, DAY)
streams = st.lists(st.tuples(few_ms, few_ms, st.sampled_from(SOURCES)), min_size=1, max_size=60)


def seen(those: Sequence[tuple[int, int, str]], now: int) -> list[Stay]:
    """The part of their stays that lies before now."""
    come = [(start, span, source) for start, span, source in those if start <= now]
    return [Stay(start, span if start + span <= now else None, "close", source) for start, span, source in come]


@given(streams)
def test_where_all_have_left_the_curves_agree_at_every_edge(those: list[tuple[int, int, str]]):
    stays = seen(those, 3 * DAY)
    exact, ours = exact_curve(stays, 3 * DAY), curve(cells_of(stays), 3 * DAY)
    assert beyond_a_cell(exact, ours) < 1e-9
    assert (ours.d.sum(), ours.n[0], ours.s[-1]) == (len(stays), len(stays), 0)


@given(st.lists(st.integers(0, 59), min_size=1, max_size=100), st.integers(0, 60))
def test_whole_seconds_of_the_first_minute_are_not_rounded(spans: list[int], here: int):
    stays = [*(Stay(0, span * 1000) for span in spans), *[Stay(0)] * here]
    assert apart(exact_curve(stays, 100_000), curve(cells_of(stays), 100_000)) < 1e-9


@given(streams, st.integers(0, 2 * DAY))
def test_a_curve_never_rises_and_never_falls_further_than_by_those_who_left(those: list[Any], now: int):
    stays = seen(those, now)
    ours = curve(cells_of(stays), now)
    assert (np.diff(ours.s, prepend=1.0) <= 1e-12).all()
    assert (np.diff(ours.t) > 0).all()
    assert (ours.n >= ours.d).all()
    assert ours.d.sum() == sum(one.span is not None for one in stays)


@given(st.integers(1, 300), st.integers(0, DAY), st.integers(0, DAY))
def test_where_all_stay_nobody_has_left(n: int, apart_by: int, now: int):
    stays = [Stay(k * apart_by // n) for k in range(n)]
    ours = curve(cells_of(stays), now)
    assert [len(column) for column in ours] == [0] * 6
    assert quantile(ours) is None
    assert report(cells_of(stays), now)["stay"]["curve"] == []


# the curve: of crowds


def crowd(seed: int, n: int, arriving: int, mean: int, settled: float) -> list[tuple[int, int, str]]:
    """They come evenly for a time; most leave soon, the others later."""
    luck = np.random.default_rng(seed)
    span = luck.exponential(np.where(luck.random(n) < settled, mean, mean / 20)).astype(np.int64)
    start = luck.integers(0, max(1, arriving), n)
    return [(a, min(b, DAY), "direct") for a, b in zip(start.tolist(), span.tolist(), strict=True)]


def trusted(exact: Curve) -> Curve:
    """As far as a few viewers are less than what is allowed: when somebody came is known to ten seconds only."""
    return Curve._make(column[exact.n >= 2.5 / NEAR] for column in exact)


def up_to(ours: Curve, t: float) -> Curve:
    return Curve._make(column[ours.t <= t] for column in ours)


@settings(max_examples=40)
@given(
    st.integers(0, 1000),
    st.sampled_from([10_000, 20_000]),
    st.sampled_from([3_600_000, 14_400_000, DAY]),
    st.sampled_from([300_000, 1_800_000, 14_400_000]),
    st.floats(0.5, 1),
    st.floats(0.3, 1),
)
def test_a_crowd_that_comes_and_goes(seed: int, n: int, arriving: int, mean: int, settled: float, when: float):
    now = int(arriving * when)
    stays = seen(crowd(seed, n, arriving, mean, settled), now)
    exact = trusted(exact_curve(stays, now))
    last = float(exact.t[-1]) if len(exact.t) else 0.0
    assert beyond_a_cell(exact, up_to(curve(cells_of(stays), now), last)) <= NEAR


@pytest.mark.parametrize("now", [5_000, 12_000, 15_000, 45_000, 69_000, 302_000, 607_000, 3_606_000, 3_669_000])
@pytest.mark.parametrize("arriving", [1, 3_000, 10_000, 60_000])
def test_a_crowd_that_comes_at_once(arriving: int, now: int):
    """A stream begins, or was announced: the oldest ages are where everybody is."""
    stays = seen(crowd(7, 5_000, arriving, 600_000, 0.9), now)
    exact, ours = exact_curve(stays, now), curve(cells_of(stays), now)
    known = quantile(exact)
    assert quantile(ours) == (None if known is None else pytest.approx(known, rel=0.02))
    last = float(trusted(exact).t[-1]) if len(trusted(exact).t) else 0.0
    assert beyond_a_cell(trusted(exact), up_to(ours, last)) <= NEAR


def test_who_came_early_in_his_ten_seconds_and_leaves_does_not_end_the_curve():
    """999 came with him, nine seconds later at most, and are here: he is one of a thousand."""
    stays = [Stay(0, 301_000), *(Stay(9 * k) for k in range(1, 1000))]
    ours = curve(cells_of(stays), 304_000)
    assert ours.s[-1] == pytest.approx(0.999, abs=NEAR)
    assert quantile(ours) is None


# the curve: of real people


def logged(path: Path) -> tuple[Connections, Recording]:
    """A chat's log of who was there, by people: whoever takes another name is the same."""
    with gzip.open(path) as lines:
        events = [one for one in map(json.loads, lines) if "t" in one]
    names: dict[str, str] = {}

    def person(name: str) -> str:
        while names.setdefault(name, name) != name:
            name = names[name]
        return name

    for one in events:
        if one["ev"] == "nick":
            names[person(one["u"])] = person(one["to"])
    here: dict[str, float] = {}
    rows: list[tuple[int, float, float]] = []
    ids: dict[str, int] = {}
    for one in events:
        if one["ev"] == "join":
            here.setdefault(one["u"], one["t"])
        elif one["ev"] == "nick" and one["u"] in here:
            here[one["to"]] = here.pop(one["u"])
        elif one["ev"] == "leave" and one["u"] in here:
            rows.append((ids.setdefault(person(one["u"]), len(ids)), here.pop(one["u"]), one["t"]))
    rows += [(ids.setdefault(person(name), len(ids)), came, np.inf) for name, came in here.items()]
    viewer, joined, left = (np.array(column) for column in zip(*rows, strict=True))
    stayed = np.zeros(len(rows), bool)
    return Connections(viewer, joined, left, stayed), Recording(events[0]["t"], events[-1]["t"], 0)


def counted(found: Sessions, recording: Recording) -> dict[str, int]:
    """The cells of a recording; nobody in it was there before it."""
    cells = cells_of(
        Stay(round((start - recording.start) * 1000), round(span * 1000) if event else None)
        for start, span, event in zip(found.start, found.span, found.event, strict=True)
        if event or start + span >= recording.end - 1e-6
    )
    censored = ~found.event & (found.start + found.span < recording.end - 1e-6)
    for span in found.span[censored]:
        name = f"X:direct:{cell_of(span)}"
        cells[name] = cells.get(name, 0) + 1
    return cells


@pytest.mark.skipif(not LOG.exists(), reason="needs the recorded streams beside the checkout")
@pytest.mark.parametrize("grace", [0, 60])
@pytest.mark.parametrize("seconds", [False, True])
def test_a_real_rooms_curve_is_near_the_exact_one(grace: float, seconds: bool):
    """The log tells minutes; with ``seconds`` everything happens at some second of its minute."""
    rows, recording = logged(LOG)
    if seconds:
        luck = np.random.default_rng(4)
        joined = np.minimum(rows.joined + luck.integers(0, 60_000, len(rows.joined)) / 1000, recording.end)
        left = rows.left + luck.integers(0, 60_000, len(rows.left)) / 1000
        left = np.where(left < joined, joined + luck.integers(0, 60_000, len(left)) / 1000, left)  # within one minute
        left = np.where(np.isfinite(left), np.minimum(left, recording.end), left)
        rows = rows._replace(joined=joined, left=left)
    recording = recording._replace(grace=grace)
    found = sessions_of(rows, recording)
    assert len(found.span) > 3000
    exact = stay_curve(found.entry, found.span, found.event)
    now = round((recording.end - recording.start) * 1000)
    ours = curve(counted(found, recording), now)
    distance = apart(exact, ours)
    print(f"grace {grace}, seconds {seconds}: {distance:.5f} apart, {beyond_a_cell(exact, ours):.6f} beyond a cell")
    assert distance <= NEAR


# who is away


def away(cells: dict[str, int], start: int, span: int, cohort: str = "direct") -> dict[str, int]:
    """Somebody more, who went and may come back."""
    more = dict(cells)
    place_, at = f"{cohort}:{place(span)}", f"{cohort}:{start // 10_000}"
    here = ONE + start % 10_000
    for name, n in (("P:" + place_, ONE + behind(span)), ("O:" + at, here), ("B:" + at, here)):
        more[name] = more.get(name, 0) + n
    return more


def test_who_is_away_is_here_in_the_curve_and_gone_in_its_lower_edge():
    cells = cells_of([*[Stay(2_000)] * 3, Stay(1_000, 20_000)])
    for start, span in ((1_500, 40_000), (2_500, 41_000)):
        cells = away(cells, start, span)
    settled, lower = curve(cells, 60_000), curve(cells, 60_000, gone=True)
    assert (settled.t.tolist(), settled.n.tolist(), settled.d.tolist()) == ([20], [6], [1])
    assert (lower.t.tolist(), lower.n.tolist(), lower.d.tolist()) == ([20, 40, 41], [6, 5, 4], [1, 1, 1])
    known = exact_curve([*[Stay(2_000)] * 3, Stay(0, 20_000), Stay(0, 40_000), Stay(0, 41_000)], 60_000)
    assert lower.s == pytest.approx(known.s)


@given(streams, st.integers(1, DAY))
def test_once_everybody_is_gone_the_lower_edge_is_the_curve_of_them_all(those: list[Any], now: int):
    cells: dict[str, int] = {}
    for start, span, source in those:
        cells = away(cells, start, span, source)
    ours = curve(cells, max(now, *(start + span for start, span, _ in those)), gone=True)
    assert (
        apart(ours, curve(cells_of([Stay(start, span, "close", source) for start, span, source in those]), 3 * DAY))
        < 1e-9
    )


def test_all_away_and_nobody_left_is_nobody_left():
    cells = away(away({}, 0, 5_000), 11_000, 7_000)
    assert len(curve(cells, 30_000).t) == 0
    assert curve(cells, 30_000, gone=True).s.tolist() == [0.5, 0]
    said = report(cells, 30_000, 2, grace_ms=60_000)
    assert said["stay"]["curve"] == []
    assert said["provisional"] == [{"t": 5, "s": 0.5}, {"t": 7, "s": 0}]


# the report


def test_of_nobody_there_is_nothing_to_say():
    said = report({}, 0)
    assert said["stay"] == {
        **{"as_of": 0, "curve": [], "median": None, "rmst": None, "rmst_seconds": None},
        **{"bounce": None, "n": 0},
    }
    assert (said["uv"], said["sessions"], said["watch"]["total"]) == (0, 0, 0)
    assert (said["provisional"], said["sources"], said["cohorts"], said["reasons"]) == ([], {}, [], {})
    assert said["online"]["curve"] == [{"t": 0, "viewers": 0, "joins": 0, "leaves": 0}]
    assert (said["online"]["pcu"], said["online"]["acu"], said["online"]["now"]) == (0, None, 0)


def test_a_report_of_the_time_before_the_stream_is_one_of_its_beginning():
    assert report({}, -5_000, grace_ms=60_000)["stay"]["as_of"] == 0


@pytest.mark.parametrize("n", [1, 2, 29])
def test_the_curve_of_a_few_is_grey(n: int):
    stays = [Stay(0, 1000 * (k + 1)) for k in range(n)]
    said = report(cells_of(stays), 100_000, n)["stay"]
    assert [point["grey"] for point in said["curve"]] == [True] * n
    assert [point["n"] for point in said["curve"]] == list(range(n, 0, -1))
    assert (said["rmst"], said["rmst_seconds"]) == (None, None)
    assert said["curve"][-1]["s"] == 0
    assert (said["curve"][-1]["lo"], said["curve"][-1]["hi"]) == (None, None)
    assert said["median"] == pytest.approx((n + 1) // 2)


def test_enough_is_not_grey():
    stays = [Stay(0, 1000 * (k + 1)) for k in range(FEW + 1)]
    said = report(cells_of(stays), 100_000)["stay"]
    assert [point.get("grey", False) for point in said["curve"]] == [False, False] + [True] * (FEW - 1)
    assert said["rmst"] == pytest.approx(1 + 30 / 31, abs=1.0)
    assert said["rmst_seconds"] == pytest.approx(2, abs=1.0)


@given(streams, st.integers(0, 2 * DAY), st.sampled_from([0, 60_000]))
@example([(0, 0, "direct")], 0, 0)
def test_every_report_is_json_that_everybody_reads(those: list[Any], now: int, grace: int):
    said = report(cells_of(seen(those, now)), now, len(those), grace)
    for point in said["stay"]["curve"]:
        assert 0 <= point["s"] <= 1
        assert point["lo"] is None or 0 <= point["lo"] <= point["s"] <= point["hi"] <= 1
        assert point.get("grey", False) == (point["n"] < FEW)


@given(streams, st.integers(0, DAY))
def test_viewers_are_those_before_and_who_came_and_not_who_left(those: list[Any], now: int):
    stays = seen(those, now)
    online = report(cells_of(stays), now)["online"]
    points = online["curve"]
    assert [point["t"] for point in points] == list(range(0, now // 1000 + 1, BUCKET))
    for before, point in pairwise(points):
        assert point["viewers"] == before["viewers"] + point["joins"] - point["leaves"]
    # Everybody who came by the start of a bucket and had not left by then; a join at the start itself comes behind it.
    for point in points[:50]:
        at = point["t"] * 1000
        here = sum(one.start < at and (one.span is None or one.start + one.span >= at) for one in stays)
        assert point["viewers"] == here >= 0
    assert online["now"] == sum(one.span is None for one in stays)
    assert online["pcu"] <= len(stays)


def test_rows_of_a_few_are_hidden():
    stays = [Stay(k, 400_000) for k in range(HIDDEN - 1)] + [Stay(300_000 + k, 400_000) for k in range(HIDDEN)]
    rows = report(cells_of(stays), 3_600_000)["cohorts"]
    assert rows[0] == {"t": 0, "n": None, "present": None}
    assert (rows[1]["t"], rows[1]["n"]) == (COHORT, HIDDEN)
    assert rows[1]["present"][:3] == [1, 1, 0]  # all were there after five minutes, none after ten


def test_a_row_says_who_is_there_only_where_all_of_it_have_come_so_far():
    stays = [*(Stay(k, 100_000) for k in range(5)), *(Stay(299_000) for _ in range(15))]
    for now, cells in ((599_000, 1), (600_000, 2), (900_000, 3)):
        present = report(cells_of(stays), now)["cohorts"][0]["present"]
        assert present == [1, 0.75, 0.75][:cells]


def test_a_row_whose_time_has_not_come_has_its_beginning_only():
    stays = [Stay(1_000)] * 20
    assert report(cells_of(stays), 1_000, grace_ms=60_000)["cohorts"] == [{"t": 0, "n": 20, "present": [1]}]


def test_sources_have_curves_of_their_own_and_add_up():
    stays = [Stay(k, 10_000 * (1 + k % 3), "kick", SOURCES[k % 3]) for k in range(90)]
    said = report(cells_of(stays), 100_000)
    assert list(said["sources"]) == sorted(SOURCES)
    for k, name in enumerate(SOURCES):
        assert [(one["t"], one["n"], one["s"]) for one in said["sources"][name]["curve"]] == [(10 * (1 + k), 30, 0)]
    assert [one["n"] for one in said["stay"]["curve"]] == [90, 60, 30]
    assert said["reasons"] == {"kick": 90}


def test_reasons_are_added_up_over_cells_and_sources():
    whys = ("close", "background", "ping_timeout", "")
    stays = [Stay(0, 1000 * k, whys[k % 4], SOURCES[k % 3]) for k in range(120)]
    assert report(cells_of(stays), DAY)["reasons"] == {"close": 60, "background": 30, "ping_timeout": 30}


def test_who_did_anything_is_told_by_the_minute_and_is_never_more_than_all():
    cells = {"I:light:0": 3, "I:light:2": 1, "I:heavy:12": 1}
    distinct = {"": 4, "light": 5, "medium": 0, "heavy": 1}  # counted roughly
    said = live_report(fields(cells), distinct, START, START + 3_600_000, 0)["interaction"]
    assert said["light"] == {"viewers": 5, "share": 1.0, "minutes": [{"t": 0, "n": 3}, {"t": 120, "n": 1}]}
    assert said["medium"] == {"viewers": 0, "share": 0.0, "minutes": []}
    assert (said["heavy"]["share"], said["heavy"]["minutes"]) == (0.25, [{"t": 720, "n": 1}])
    assert report({}, 0)["interaction"]["light"] == {"viewers": 0, "share": None, "minutes": []}


def test_a_bounce_is_within_three_seconds():
    stays = [Stay(0, 2_999), Stay(0, 3_000), Stay(0), Stay(0)]
    assert report(cells_of(stays), 60_000)["stay"]["bounce"] == 0.25


def test_the_curve_is_trusted_no_further_than_enough_are_compared():
    cells = cells_of([Stay(0)] * FEW)
    assert horizon_of(counts(cells, 100.0), FEW, 1800) == pytest.approx(100, abs=5)
    assert horizon_of(counts(cells, 9000.0), FEW, 1800) == 1800
    assert horizon_of(counts(cells, 100.0), FEW + 1, 1800) is None
    assert horizon_of(counts({}, 100.0), FEW, 1800) is None


def test_a_report_costs_its_cells_and_not_its_audience():
    """A million have left, a hundred thousand are here; how long that takes is printed (`pytest -s`)."""
    luck = np.random.default_rng(9)
    cells: dict[str, int] = {"watch": 1, "sessions": 1_100_000}
    sources = [*(f"source{n}" for n in range(11)), "other"]
    spans = np.minimum(luck.exponential(1500, 1_000_000), 8 * 3600)
    found = np.clip(np.searchsorted(EDGES, spans, side="right") - 1, 0, CELLS - 1)
    for n, cell in enumerate(found.tolist()):
        source = sources[n % 12]
        name = f"D:{source}:{cell}"
        cells[name] = cells.get(name, 0) + ONE
    for n in range(100_000):
        bucket = n * 10 % 28_800
        name = f"O:{sources[n % 12]}:{bucket // 10}"
        cells[name] = cells.get(name, 0) + ONE + 5000
    kept, nobody = fields(cells), {"": 1_000_000, "light": 0, "medium": 0, "heavy": 0}
    began = time.perf_counter()
    said = live_report(kept, nobody, START, START + 28_800_000, 0)
    print(f"{(time.perf_counter() - began) * 1000:.1f} ms for {len(cells)} cells")
    assert said["stay"]["n"] == 1_100_000
    assert sum(one["n"] for one in said["sources"].values()) == 1_100_000
    assert 0 < float(share(curve(cells, 28_800_000), np.array([1500.0]))[0]) < 1
