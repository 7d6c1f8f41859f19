"""The picture beside a result page: deliveries per second and p99, on logarithmic scales."""

# matplotlib is wanted only here, and its absence costs only the picture.
# mypy: disable-error-code="import-not-found"

from math import floor, log10
from pathlib import Path
from typing import Any

from loadtest.outcome import P99_LIMIT_MS, Outcome, spread
from loadtest.page import figure, grouped


def draw(path: Path, outcomes: list[Outcome]) -> bool:
    """False when matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    groups = grouped(outcomes)
    labels = [f"{runs[0].contestant}\n{runs[0].viewers:,} viewers\n{runs[0].offered:,}/s" for runs in groups]
    deliveries = [spread(run.deliveries for run in runs) for runs in groups]
    latencies = [spread(run.p99 for run in runs) for runs in groups]
    picture, (left, right) = pyplot.subplots(1, 2, figsize=(max(9, 2.2 * len(groups)), 4.5), layout="constrained")
    bars(left, labels, deliveries, "deliveries per second")
    bars(right, labels, latencies, "p99, ms")
    right.axhline(P99_LIMIT_MS, color="black", linewidth=0.8, linestyle=":")
    picture.savefig(path, dpi=110)
    pyplot.close(picture)
    return True


def bars(axes: Any, labels: list[str], values: list[tuple[float, float, float] | None], title: str) -> None:
    """Medians as bars, least and greatest as whiskers."""
    known = [value or (0.0, 0.0, 0.0) for value in values]
    middles = [value[0] for value in known]
    whiskers = [[middle - least for middle, least, _ in known], [most - middle for middle, _, most in known]]
    colours = ["#c33c54" if label.startswith("liveroom") else "#8d99ae" for label in labels]
    drawn = axes.bar(labels, middles, yerr=whiskers, color=colours, capsize=4)
    axes.bar_label(drawn, [figure(middle) for middle in middles], padding=2, fontsize=8)
    axes.set_yscale("log")
    axes.set_ylim(bottom=10 ** floor(log10(min([middle for middle in middles if middle > 0], default=1.0))))
    axes.set_title(title)
    axes.tick_params(axis="x", labelsize=7)
