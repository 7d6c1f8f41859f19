"""Result pages: what was measured, where, by which command, as Markdown anybody can check."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from loadtest.outcome import P99_LIMIT_MS, Outcome, spread
from loadtest.servers import ROOT

RESULTS = Path(__file__).resolve().parent / "results"
Figures = Iterable[float | None]

NOTES = f"""\
* NATIVE mode: each contestant as its users would use it. liveroom coalesces: one frame per room and tick carries many
  comments; a peer sends one frame per comment. So deliveries are not frames; latency is what coalescing costs.
* A delivery is one comment that reached one viewer: comments per second at the probes × viewers, scaled down when the
  drains received fewer bytes than the probes. Senders and probes are part of the viewers.
* liveroom is offered a fixed rate (with likes); a peer the highest rate that it carried in a short search (p99 ≤
  {P99_LIMIT_MS} ms, nothing lost, nobody cut), because beyond it a peer only queues. So a ratio of deliveries compares
  liveroom at its offered rate, which need not be its highest, with a peer at its highest.
* Loopback charges the receiver's TCP work to the sender; that compresses all ratios alike.
* Latency counts from the moment a comment was due (open loop) to the moment a probe had parsed it. Lost: accepted,
  but not seen by a probe {{after:.0f}} s after the end, summed over the probes.
* CPU is the server's process alone, user and system, on a core of its own; the crowd and liveroom's embedded Valkey
  share the other core. Near 100 % client CPU the client is the limit, not the server.
"""


def machine() -> list[str]:
    system = f"Linux {platform.release()}, Python {platform.python_version()}"
    return [
        f"Machine: {processor()}, {os.cpu_count()} cores, {system}",
        f"Commit: {commit()}",
        f"Command: `{command()}`",
    ]


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def commit() -> str:
    head = git("rev-parse", "--short", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no")
    return f"{head}, with uncommitted changes" if head and changed else head or "none yet"


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def command() -> str:
    """As typed, with absolute paths cut to their last part."""
    program = f"loadtest.{Path(sys.argv[0]).stem}"
    words = [Path(word).name if word.startswith("/") else word for word in sys.argv[1:]]
    return " ".join(["python -m", program, *words])


def today(subject: str) -> Path:
    return RESULTS / f"{time.strftime('%Y-%m-%d')}-{subject}.md"


def table(head: str, rows: Iterable[Sequence[str]]) -> str:
    """`head` is the column names between bars; all but the first column hold figures."""
    names = head.split("|")
    lines = [names, ["---"] + ["---:"] * (len(names) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def median(values: Figures) -> str:
    found = spread(values)
    return figure(found[0]) if found else "–"


def ranged(values: Figures) -> str:
    found = spread(values)
    if found is None:
        return "–"
    middle, least, most = map(figure, found)
    return middle if least == most else f"{middle} ({least}–{most})"


def grouped(outcomes: Iterable[Outcome]) -> list[list[Outcome]]:
    """The runs of one contestant at one size and rate together, in order of appearance."""
    groups: dict[tuple[int, str, int], list[Outcome]] = {}
    for one in outcomes:
        groups.setdefault((one.viewers, one.contestant, one.offered), []).append(one)
    return sorted(groups.values(), key=lambda group: group[0].viewers)


def summary(outcomes: Iterable[Outcome]) -> str:
    """One row per contestant and size: the median, and in brackets least–greatest."""
    head = (
        "contestant|viewers|offered/s|deliveries/s|frames/s|p50 ms|p99 ms|lost|"
        "CPU-µs per delivery|CPU-µs per frame|runs"
    )
    rows = [
        [
            runs[0].contestant,
            f"{runs[0].viewers:,}",
            f"{runs[0].offered:,}",
            ranged(run.deliveries for run in runs),
            median(run.frames for run in runs),
            median(run.p50 for run in runs),
            ranged(run.p99 for run in runs),
            figure(sum(run.lost for run in runs)),
            ranged(run.us_per_delivery for run in runs),
            median(run.us_per_frame for run in runs),
            str(len(runs)),
        ]
        for runs in grouped(outcomes)
    ]
    return table(head, rows)


def ratios(outcomes: Iterable[Outcome], measure: str = "liveroom") -> str:
    """Every contestant beside `measure` in the same room; empty when `measure` did not run."""
    rows = []
    groups = grouped(outcomes)
    ours = {runs[0].viewers: runs for runs in groups if runs[0].contestant == measure}
    for runs in groups:
        base = ours.get(runs[0].viewers)
        if base is None or runs[0].contestant == measure:
            continue
        rows.append(
            [
                f"{runs[0].contestant}, {runs[0].viewers:,} viewers",
                ratio(base, runs, "deliveries"),
                ratio(runs, base, "us_per_delivery"),
                f"{median(run.p99 for run in base)} against {median(run.p99 for run in runs)}",
            ]
        )
    head = f"against|deliveries/s of {measure}, times|less CPU per delivery, times|p99 ms"
    return table(head, rows) if rows else ""


def ratio(above: list[Outcome], below: list[Outcome], name: str) -> str:
    upper, lower = spread(getattr(run, name) for run in above), spread(getattr(run, name) for run in below)
    return figure(upper[0] / lower[0]) if upper and lower and lower[0] else "–"


def every_run(outcomes: Iterable[Outcome]) -> str:
    head = (
        "contestant|viewers|offered/s|accepted/s|deliveries/s|MB/s read|p50 ms|p99 ms|max ms|lost|refused, cut|"
        "bytes drains/probes|server CPU|helpers CPU|client CPU|joined in s"
    )
    rows = [
        [
            run.contestant,
            f"{run.viewers:,}",
            f"{run.offered:,}",
            figure(run.accepted),
            figure(run.deliveries),
            figure(run.megabytes),
            figure(run.p50),
            figure(run.p99),
            figure(run.worst),
            figure(run.lost),
            ", ".join(f"{why} {count}" for why, count in {**run.refused, **run.gone}.items()) or "–",
            f"{run.bytes_ratio:.3f}",
            f"{run.server_cpu:.0%}",
            f"{run.helpers_cpu:.0%}",
            f"{run.client_cpu:.0%}",
            figure(run.joined_in),
        ]
        for run in outcomes
    ]
    return table(head, rows)


def write(path: Path, title: str, parts: Iterable[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    listing = "\n".join(f"* {line}" for line in machine())
    path.write_text("\n\n".join([f"# {title}", listing, *(part.strip() for part in parts if part)]) + "\n")
