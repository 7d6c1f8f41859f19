"""The import's page: one self-contained file, curves as SVG, no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any

WIDE, HIGH, LEFT, LOW = 760, 260, 52, 34  # of a chart, and of its margins, in pixels
TICKS = 6
NICE = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
MOST_POINTS = 2000  # of a line: the JSON has all

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:800px;margin:2rem auto;padding:0 1rem;color:#1a1523;background:#fff}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(10.5rem,1fr));gap:.75rem;margin:1rem 0}
dl div{background:#f6f3fa;border-radius:8px;padding:.6rem .8rem}
dt{font-size:.8rem;color:#5b5470}dd{margin:0;font-size:1.25rem;font-weight:600}
svg{width:100%;height:auto}text{font:12px system-ui,sans-serif;fill:#5b5470}
.axis{stroke:#d8d2e4}.line{fill:none;stroke:#6d28d9;stroke-width:2}
.few{fill:none;stroke:#9a93ab;stroke-width:2;stroke-dasharray:4 3}.band{fill:#6d28d9;opacity:.15}p{color:#5b5470}
@media (prefers-color-scheme:dark){body{background:#15121c;color:#eee}dl div{background:#241f30}.axis{stroke:#3a3348}
.line{stroke:#b794f6}.band{fill:#b794f6}dt,text,p{color:#aaa3bb;fill:#aaa3bb}}
"""


def page(name: str, report: Mapping[str, Any]) -> str:
    """The page of a report, see ``liveroom.report``."""
    stay, online = report["stay"], report["online"]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Retention of {escape(name)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>'
        f"<h1>Retention of {escape(name)}</h1>{numbers(report)}"
        "<h2>Stay curve: the share that stays longer</h2>"
        f"{stay_chart(stay['curve'])}"
        "<p>By time since joining (Kaplan–Meier), with its 95 % band; whoever was still there at the end has not left."
        " Dashed where fewer than 30 are compared.</p>"
        "<h2>Online curve: how many are there</h2>"
        f"{online_chart(online['curve'], report['start'])}"
        f"<p>Each viewer once, at the start of every {online['bucket']:g} s.</p></html>\n"
    )


def numbers(report: Mapping[str, Any]) -> str:
    stay, watch, online = report["stay"], report["watch"], report["online"]
    rows = {
        "Viewers": f"{report['uv']:,}",
        "Sessions": f"{report['sessions']:,}",
        "Most at once (PCU)": f"{online['pcu']:,}",
        "Average at once (ACU)": "–" if online["acu"] is None else f"{online['acu']:,.1f}",
        "Median stay": clock(stay["median"], "not reached"),
        f"Mean stay up to {clock(stay['rmst_seconds'])}": clock(stay["rmst"], "too few"),
        "Watched per viewer, mean": clock(watch["mean_per_viewer"]),
        "Watched per viewer, median": clock(watch["median_per_viewer"]),
        "Gone within 3 s": "–" if stay["bounce"] is None else f"{stay['bounce']:.1%}",
        "Still there at the end": f"{stay['still_here']:,}",
    }
    return "<dl>" + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows.items()) + "</dl>"


def clock(seconds: float | None, nothing: str = "–") -> str:
    """As people read it: 42 s, 3:05, 1:02:03."""
    if seconds is None:
        return nothing
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def thinned(points: Sequence[Any]) -> Sequence[Any]:
    """For the eye: not more than a line can show, the last always."""
    step = -(-len(points) // MOST_POINTS)
    return points if step <= 1 else [*points[::step], points[-1]]


def stay_chart(curve: Sequence[Mapping[str, Any]]) -> str:
    if not curve:
        return "<p>Nobody has left.</p>"
    points = [{"t": 0.0, "s": 1.0, "lo": None, "hi": None}, *thinned(curve)]
    most = points[-1]["t"] or 1.0
    band = [(one["t"], one["lo"], one["hi"]) for one in points if one["lo"] is not None]
    around = [(t, hi) for t, _, hi in band] + [(t, lo) for t, lo, _ in reversed(band)]
    parts = [
        axes(most, 1.0, "%"),
        f'<polygon class="band" points="{place(around, most, 1.0)}"/>',
        *(f'<polyline class="{kind}" points="{place(steps(run, "s"), most, 1.0)}"/>' for kind, run in runs(points)),
    ]
    return svg(parts, "Stay curve")


def runs(points: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """The parts of a curve where few and where enough are compared, each from the end of the one before."""
    last: list[Mapping[str, Any]] = []
    for few, run in groupby(points, key=lambda one: "grey" in one):
        part = [*last, *run]
        last = part[-1:]
        yield "few" if few else "line", part


def online_chart(curve: Sequence[Mapping[str, Any]], start: float) -> str:
    points = [{"t": one["t"] - start, "viewers": one["viewers"]} for one in thinned(curve)]
    most, top = (points[-1]["t"] if points else 0) or 1.0, max((one["viewers"] for one in points), default=0) or 1
    line = place([(one["t"], one["viewers"]) for one in points], most, top)
    return svg([axes(most, top, ""), f'<polyline class="line" points="{line}"/>'], "Online curve")


def steps(points: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    """A curve that stays level between its points."""
    path: list[tuple[float, float]] = []
    for one in points:
        if path:
            path.append((one["t"], path[-1][1]))
        path.append((one["t"], one[name]))
    return path


def place(points: Iterable[tuple[float, float]], most: float, top: float) -> str:
    """Where the points lie in the chart."""
    return " ".join(
        f"{LEFT + t / most * (WIDE - LEFT - 10):.1f},{10 + (1 - y / top) * (HIGH - LOW - 10):.1f}" for t, y in points
    )


def axes(most: float, top: float, unit: str) -> str:
    parts = []
    for n in range(5):
        y, value = 10 + n / 4 * (HIGH - LOW - 10), top * (1 - n / 4)
        words = f"{value:.0%}" if unit else f"{value:,.0f}" if top >= 8 else f"{value:g}"
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDE - 10}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{words}</text>')
    step = next((nice for nice in NICE if most / nice <= TICKS), most / TICKS)
    for n in range(int(most / step) + 1):
        x = LEFT + n * step / most * (WIDE - LEFT - 10)
        parts.append(f'<text x="{x:.1f}" y="{HIGH - 12}" text-anchor="middle">{clock(n * step) if n else "0"}</text>')
    return "".join(parts)


def svg(parts: Iterable[str], label: str) -> str:
    return f'<svg viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
