"""A crowd has the rhythm that its profile says; that of `stream.toml` is the rhythm of the stream that it names."""

import csv
import gzip
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from loadtest.crowd.profile import read_profile
from loadtest.crowd.rhythm import PEAK, Rhythm

ROOT = Path(__file__).parents[2]
STREAM = ROOT / "loadtest" / "profiles" / "stream.toml"
REAL = ROOT.parent / "shared/data/twitch_asiagodtone_2017/chat_events.csv.gz"
VIDEO = "113759702"
MOMENT_S = 10


def spoken(slots: Sequence[tuple[float, float]], patience: float) -> list[float]:
    """When somebody speaks who always has this patience."""
    rhythm, at, times = Rhythm(slots), 0.0, []
    while (at := at + rhythm.wait(at, patience)) < 1:
        times.append(at)
    return times


def test_an_even_rhythm_changes_nothing() -> None:
    assert Rhythm([(1, 1)]).wait(0.25, 0.5) == pytest.approx(0.5)
    assert Rhythm([(1, 1)] * 7).wait(0.25, 0.5) == pytest.approx(0.5)


def test_a_loud_slot_has_as_much_more_and_begins_with_its_peak() -> None:
    times = spoken([(0.5, 0.5), (1.5, 6)], 0.001)
    first = sum(at < 0.5 for at in times) / len(times)
    peak = sum(0.5 <= at < 0.5 + PEAK / 2 for at in times) / len(times)
    assert [first, peak] == pytest.approx([0.25, 0.5 * 6 * PEAK], abs=0.01)


def test_in_a_silent_slot_nobody_speaks_and_behind_the_show_it_is_even() -> None:
    assert Rhythm([(0, 0), (1, 1)]).wait(0, 0.1) == pytest.approx(0.6)
    assert Rhythm([(0, 0)]).wait(0.9, 0.2) == pytest.approx(0.3)
    assert Rhythm([(1, 1)]).wait(1.5, 0.2) == pytest.approx(0.2)


def test_the_stream_is_as_loud_as_its_talkers() -> None:
    rhythm = read_profile(STREAM).talkers.rhythm
    assert sum(mean for mean, _ in rhythm) / len(rhythm) == pytest.approx(1, abs=0.01)
    assert len(spoken(rhythm, 0.001)) == pytest.approx(1000, abs=10)


@pytest.mark.skipif(not REAL.exists(), reason="needs the recorded streams beside the checkout")
def test_the_stream_has_the_shape_of_the_recorded_one() -> None:
    with gzip.open(REAL, "rt", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["vod"] == VIDEO]
    assert VIDEO in STREAM.read_text("utf-8")
    assert f"{len(rows):,} comments of {len({row['uid'] for row in rows}):,} people" in STREAM.read_text("utf-8")
    profile = read_profile(STREAM).talkers.rhythm
    means, peaks = zip(*shape([int(row["t_epoch"]) for row in rows]), strict=True)
    assert [mean for mean, _ in profile] == pytest.approx(means, abs=0.006)
    assert [peak for _, peak in profile] == pytest.approx(peaks, abs=0.06)


def shape(times: Sequence[int], slots: int = 60) -> list[tuple[float, float]]:
    """How loud each part is beside the whole, and its loudest ten seconds."""
    first, seconds = min(times), max(times) - min(times) + 1
    each, average = seconds / slots, len(times) / seconds
    counts = Counter(int((at - first) / each) for at in times)
    moments = Counter((at - first) // MOMENT_S for at in times)
    peaks: Counter[int] = Counter()
    for moment, count in moments.items():
        slot = min(slots - 1, int(moment * MOMENT_S / each))
        peaks[slot] = max(peaks[slot], count)
    return [(counts[slot] / each / average, peaks[slot] / MOMENT_S / average) for slot in range(slots)]
