"""The worked examples whose answers are known: our own by hand, R's and lifelines' by their authors."""

import csv
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from liveroom.online import average, lifecycle, online_curve, peak, return_next, return_next_overall, returning_share
from liveroom.report import report
from liveroom.retention import Curve, mean_stay, quantile, stay_curve
from liveroom.sessions import Recording, stretches_of
from tests.retention.rows import Row, curve_of, sessions, table

DATA = Path(__file__).parents[3] / "shared/data/km_reference"
FOUR_DIGITS = 5e-5

# sessions: golden_definitions.json, "sessions"

STREAM = [
    *(Row("v1", 0, 100), Row("v1", 130, 200)),
    *(Row("v2", 0, 500), Row("v2", 50, 80), Row("v2", 520, 600, "stream_end")),
    *(Row("v3", 10, 20), Row("v4", 0, 60), Row("v4", 120, 180), Row("v5", 300, 600, "stream_end")),
]
# grace: viewer, start, span, connected, left
MERGED = {
    0: [
        *((1, 0, 100, 100, 1), (1, 130, 70, 70, 1), (2, 0, 500, 500, 1), (2, 520, 80, 80, 0)),
        *((3, 10, 10, 10, 1), (4, 0, 60, 60, 1), (4, 120, 60, 60, 1), (5, 300, 300, 300, 0)),
    ],
    30: [
        *((1, 0, 200, 170, 1), (2, 0, 600, 580, 0), (3, 10, 10, 10, 1)),
        *((4, 0, 60, 60, 1), (4, 120, 60, 60, 1), (5, 300, 300, 300, 0)),
    ],
    60: [
        *((1, 0, 200, 170, 1), (2, 0, 600, 580, 0), (3, 10, 10, 10, 1)),
        *((4, 0, 180, 120, 1), (5, 300, 300, 300, 0)),
    ],
}
# grace: t, at risk, left, share; the times at which somebody is only lost sight of are no steps of ours
STEPS = {
    0: [(10, 8, 1, 0.875), (60, 7, 2, 0.625), (70, 5, 1, 0.5), (100, 3, 1, 0.333333), (500, 1, 1, 0.0)],
    30: [(10, 6, 1, 0.833333), (60, 5, 2, 0.5), (200, 3, 1, 0.333333)],
    60: [(10, 5, 1, 0.8), (180, 4, 1, 0.6), (200, 3, 1, 0.4)],
}
SPANS = {0: (8, 1180), 30: (6, 1230), 60: (5, 1290)}


@pytest.mark.parametrize("grace", [0, 30, 60])
def test_connections_become_sessions(grace: int):
    found = sessions(STREAM, 0, 600, grace)
    rows = zip(found.viewer + 1, found.start, found.span, found.watch, found.event, strict=True)
    assert list(rows) == MERGED[grace]
    assert not found.entry.any()


@pytest.mark.parametrize("grace", [0, 30, 60])
def test_sessions_become_a_curve(grace: int):
    curve = curve_of(sessions(STREAM, 0, 600, grace))
    assert list(zip(curve.t, curve.n, curve.d, strict=True)) == [step[:3] for step in STEPS[grace]]
    assert curve.s == pytest.approx([step[3] for step in STEPS[grace]], abs=1e-6)


@pytest.mark.parametrize("grace", [0, 30, 60])
def test_the_numbers_beside_the_curve(grace: int):
    found = report(table(STREAM), Recording(0, 600, grace))
    spans = float(sessions(STREAM, 0, 600, grace).span.sum())
    assert (found["uv"], found["sessions"], spans) == (5, *SPANS[grace])
    assert (found["watch"]["total"], found["watch"]["mean_per_viewer"]) == (1180, 236)
    assert found["online"]["acu"] == pytest.approx(1.9666666666666666)


# how many are there: golden_definitions.json, "concurrency_unique_connected"

VIEWERS = [
    *((0, 10, 3), (10, 20, 4), (20, 50, 3), (50, 60, 3), (60, 80, 2), (80, 100, 2), (100, 120, 1), (120, 130, 2)),
    *((130, 180, 3), (180, 200, 2), (200, 300, 1), (300, 500, 2), (500, 520, 1), (520, 600, 2)),
]


def test_viewers_by_the_time_of_the_stream():
    recording = Recording(0, 600, 60)
    stretches = stretches_of(table(STREAM), recording)
    online = online_curve(stretches, recording, 10)
    assert online.t.tolist() == list(range(0, 600, 10))
    assert online.viewers.tolist() == [count for start, end, count in VIEWERS for _ in range(start, end, 10)]
    assert peak(online) == 4
    assert average(stretches, recording) == pytest.approx(1.9666666666666666)


# who came again: golden_definitions.json, "returns"

AUDIENCES = [set("abcd"), set("bce"), set("cef"), set("ac")]


def test_who_comes_to_the_next_stream():
    assert return_next(AUDIENCES) == pytest.approx([1 / 2, 2 / 3, 1 / 3])
    assert return_next_overall(AUDIENCES) == 0.5


def test_who_had_been_to_any_before():
    assert returning_share(AUDIENCES) == pytest.approx([2 / 3, 2 / 3, 1.0])


def test_what_became_of_whom():
    assert lifecycle(AUDIENCES) == [
        {"new": 1, "returning": 2, "resurrecting": 0, "dormant": 2},
        {"new": 1, "returning": 2, "resurrecting": 0, "dormant": 1},
        {"new": 0, "returning": 1, "resurrecting": 1, "dormant": 2},
    ]


def test_where_nobody_was_nothing_is_said_and_where_nobody_returned_it_is_zero():
    assert return_next([set(), {"a"}, {"b"}, set()]) == [None, 0, 0]
    assert returning_share([{"a"}, set(), {"b"}, {"a"}]) == [None, 0, 1]
    assert return_next_overall([{"a"}]) is None
    assert return_next_overall([set(), set()]) is None
    assert (return_next([]), returning_share([]), lifecycle([])) == ([], [], [])


# Kaplan–Meier with its interval: golden_definitions.json, "aml" (Miller 1981; R's survfit says the same)


class Step(NamedTuple):
    t: float
    n: int
    d: int
    s: float
    lo: float
    hi: float


MAINTAINED = [
    Step(9, 11, 1, 0.9090909090909091, 0.5080802057699296, 0.9866738226678231),
    Step(13, 10, 1, 0.8181818181818181, 0.4474286146821812, 0.9511622285824917),
    Step(18, 8, 1, 0.7159090909090908, 0.35019038590793833, 0.8990239741910534),
    Step(23, 7, 1, 0.6136363636363636, 0.265752040001286, 0.8352992432502215),
    Step(31, 5, 1, 0.49090909090909096, 0.16733090977685078, 0.7533997903708114),
    Step(34, 4, 1, 0.3681818181818182, 0.09282957493698515, 0.6570408323981639),
    Step(48, 2, 1, 0.1840909090909091, 0.011738480123189583, 0.5250148427266416),
]
NOT_MAINTAINED = [
    Step(5, 12, 2, 0.8333333333333334, 0.4817149421953787, 0.955509365728065),
    Step(8, 10, 2, 0.6666666666666667, 0.33701893254140186, 0.8597117990844398),
    Step(12, 8, 1, 0.5833333333333334, 0.2701389240854973, 0.8009401923333869),
    Step(23, 6, 1, 0.48611111111111116, 0.1918766196187282, 0.7296715697794854),
    Step(27, 5, 1, 0.38888888888888895, 0.12627201219539355, 0.6498174082893151),
    Step(30, 4, 1, 0.29166666666666674, 0.0724016089077718, 0.5608860526714093),
    Step(33, 3, 1, 0.1944444444444445, 0.031198642931211915, 0.461429476238114),
    Step(43, 2, 1, 0.09722222222222225, 0.005746305695863833, 0.3489038611107498),
    Step(45, 1, 1, 0.0, np.nan, np.nan),
]


def observed(steps: list[Step]) -> Curve:
    """The curve of observations that have these steps: whoever is missing at the next one was lost sight of since."""
    span: list[float] = []
    event: list[bool] = []
    for step, after in zip(steps, [*(one.n for one in steps[1:]), 0], strict=True):
        lost = step.n - step.d - after
        span += [step.t] * step.d + [step.t + 0.5] * lost
        event += [True] * step.d + [False] * lost
    return stay_curve(np.zeros(len(span)), np.array(span), np.array(event))


@pytest.mark.parametrize(
    ("steps", "median", "rmst"),
    [(MAINTAINED, 31, 31.84318181818182), (NOT_MAINTAINED, 23, 22.708333333333336)],
)
def test_a_published_curve_with_its_interval(steps: list[Step], median: float, rmst: float):
    curve = observed(steps)
    for found, known in zip(curve, zip(*steps, strict=True), strict=True):
        assert found == pytest.approx(known, abs=1e-12, nan_ok=True)
    assert quantile(curve) == median
    assert mean_stay(curve, 48) == pytest.approx(rmst, abs=1e-12)


# golden_definitions.json, "test1_exact" (R's tests/quantile.R)


def test_a_curve_in_exact_fractions():
    span, event = np.array([1, 1, 6, 6, 8, 9, 10.0]), np.array([1, 0, 1, 1, 0, 1, 0], bool)
    curve = stay_curve(np.zeros(7), span, event)
    assert curve.t.tolist() == [1, 6, 9]
    assert [Fraction(float(s)).limit_denominator(1000) for s in curve.s] == [
        Fraction(6, 7),
        Fraction(18, 35),
        Fraction(9, 35),
    ]
    # The first time at which at most so many are left. R takes the middle of a level (3.5, 9.5) where the curve is
    # exactly there; ours is where the level begins.
    wanted = [13 / 14, 6 / 7, 2 / 3, 1 / 2, 9 / 35, 1 / 10]
    assert [quantile(curve, share) for share in wanted] == [1, 1, 6, 9, 9, None]


# tables of others, where they lie beside the checkout


def column(file: str, *names: str, **only: str) -> list[list[str]]:
    """Columns of a table, of the rows that have these values."""
    if not (DATA / file).exists():
        pytest.skip("needs the recorded streams beside the checkout")
    with (DATA / file).open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t" if file.endswith(".tsv") else ","))
    chosen = [row for row in rows if only.items() <= row.items()]
    return [[row[name] for row in chosen] for name in names]


def published(span: list[str], event: list[str], entry: list[str] | None = None) -> Curve:
    began = np.array(entry, float) if entry else np.zeros(len(span))
    return stay_curve(began, np.array(span, float), np.array(event, float) > 0)


# R_survival_doaml.Rout.save, summary(fit): time, n.risk, n.event, survival. R prints so many digits.
R_MAINTAINED = [
    *((9, 11, 1, 0.909), (13, 10, 1, 0.818), (18, 8, 1, 0.716), (23, 7, 1, 0.614)),
    *((31, 5, 1, 0.491), (34, 4, 1, 0.368), (48, 2, 1, 0.184)),
]
R_NOT_MAINTAINED = [
    *((5, 12, 2, 0.8333), (8, 10, 2, 0.6667), (12, 8, 1, 0.5833), (23, 6, 1, 0.4861), (27, 5, 1, 0.3889)),
    *((30, 4, 1, 0.2917), (33, 3, 1, 0.1944), (43, 2, 1, 0.0972), (45, 1, 1, 0.0)),
]


@pytest.mark.parametrize(
    ("group", "printed", "digits", "median", "known"),
    [
        ("Maintained", R_MAINTAINED, 5e-4, 31, MAINTAINED),
        ("Nonmaintained", R_NOT_MAINTAINED, FOUR_DIGITS, 23, NOT_MAINTAINED),
    ],
)
def test_the_leukemia_table_as_r_prints_it(
    group: str, printed: list[tuple[int, int, int, float]], digits: float, median: float, known: list[Step]
):
    span, event = column("aml_leukemia.csv", "time", "status", x=group)
    curve = published(span, event)
    assert list(zip(curve.t, curve.n, curve.d, strict=True)) == [row[:3] for row in printed]
    assert curve.s == pytest.approx([row[3] for row in printed], abs=digits)
    assert curve.s == pytest.approx([step.s for step in known], abs=FOUR_DIGITS)
    assert quantile(curve) == median


def test_the_lung_table_as_r_prints_it():
    span, event = column("lung.csv", "time", "status")
    curve = published(span, event)
    assert (len(span), int(curve.d.sum()), quantile(curve)) == (228, 165, 310)
    # golden_definitions.json, "lung"
    at = [curve.s[curve.t <= t][-1] for t in (100, 365, 500)]
    assert at == pytest.approx([0.864, 0.4092, 0.2933], abs=FOUR_DIGITS)
    assert agrees(curve, LIFELINES_LUNG)


# Printed by lifelines 0.30.3: t, KM_estimate, confidence_interval_ (log-log as ours) of
#   KaplanMeierFitter().fit(table["T"], event_observed=table["D"], entry=table["W"])
# and for the lung table .fit(table["time"], table["status"]).
LIFELINES_AIDS = [
    (0.269, 0.976190, 0.842756, 0.996611),
    (0.791, 0.954004, 0.828322, 0.988298),
    (0.820, 0.932322, 0.804653, 0.977659),
    (0.962, 0.911604, 0.781395, 0.965872),
    (1.258, 0.782707, 0.633823, 0.876661),
    (1.322, 0.761553, 0.611020, 0.860174),
    (1.619, 0.723475, 0.572269, 0.828847),
    (1.894, 0.667308, 0.516305, 0.780736),
    (2.500, 0.571978, 0.423589, 0.695359),
    (2.897, 0.532434, 0.385859, 0.658903),
    (3.043, 0.512714, 0.367369, 0.640405),
    (3.062, 0.492994, 0.349074, 0.621714),
    (3.655, 0.467047, 0.323133, 0.598653),
    (4.688, 0.424588, 0.273974, 0.567349),
]
LIFELINES_LUNG = [
    (5.0, 0.995614, 0.969277, 0.999381),
    (60, 0.925439, 0.882796, 0.952976),
    (107, 0.850700, 0.797409, 0.890929),
    (201, 0.670825, 0.605061, 0.728143),
    (310, 0.495024, 0.424244, 0.561796),
    (450, 0.328716, 0.260257, 0.398698),
    (705, 0.133492, 0.082004, 0.197626),
    (883, 0.050346, 0.017866, 0.108662),
]


def agrees(curve: Curve, printed: Sequence[tuple[float, float, float, float]]) -> bool:
    rows = {t: row for t, *row in zip(curve.t, curve.s, curve.lo, curve.hi, strict=True)}
    return all(rows[t] == pytest.approx(known, abs=1e-6) for t, *known in printed)


def test_a_table_of_people_who_came_late_as_lifelines_prints_it():
    span, event, entry = column("multicenter_aids_cohort.tsv", "T", "D", "W")
    curve = published(span, event, entry)
    assert (len(span), int(curve.d.sum()), len(curve.t), quantile(curve)) == (78, 27, 26, 3.062)
    assert agrees(curve, LIFELINES_AIDS)
    # Who takes those who came late for people who were there from the start finds everybody more faithful.
    assert published(span, event).s[-1] == pytest.approx(0.518182, abs=1e-6)
