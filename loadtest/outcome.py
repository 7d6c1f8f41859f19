"""One trial in figures, and the rule that says whether a contestant carried it."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from loadtest.rush import Rush

P99_LIMIT_MS = 250
MARKEDLY = 0.98  # drains that got less than this share of the probes' bytes scale the deliveries down


@dataclass(frozen=True)
class Outcome:
    """Rates per second of the measured window; CPU in µs or as a share of one core; latencies in ms."""

    contestant: str
    viewers: int
    offered: int
    accepted: float
    deliveries: float
    frames: float
    megabytes: float
    p50: float | None
    p99: float | None
    worst: float | None
    lost: int
    twice: int
    refused: dict[str, int]
    gone: dict[str, int]
    bytes_ratio: float
    joined_in: float
    server_cpu: float
    helpers_cpu: float
    client_cpu: float

    @property
    def us_per_delivery(self) -> float | None:
        return 1e6 * self.server_cpu / self.deliveries if self.deliveries else None

    @property
    def us_per_frame(self) -> float | None:
        return 1e6 * self.server_cpu / self.frames if self.frames else None

    @property
    def carried(self) -> bool:
        """In time, nothing lost, nobody refused or cut."""
        in_time = self.p99 is not None and self.p99 <= P99_LIMIT_MS
        return in_time and not (self.lost or self.refused or self.gone)


def outcome(rush: Rush, contestant: str) -> Outcome:
    room, before, after = rush.room, rush.before, rush.after
    trial, tally, seconds = room.trial, room.tally, after.at - before.at
    probed = (after.probed - before.probed) / len(room.probes)
    drained = (after.drained - before.drained) / len(room.drains) if room.drains else probed
    ratio = drained / probed if probed else 0.0
    seen = (after.heard - before.heard) / len(room.probes) / seconds
    return Outcome(
        contestant=contestant,
        viewers=trial.viewers,
        offered=trial.comments,
        accepted=sum(tally.accepted[tally.first :]) / trial.measured,
        deliveries=seen * trial.viewers * (ratio if ratio < MARKEDLY else 1.0),
        frames=(after.frames - before.frames) / seconds,
        megabytes=(after.drained - before.drained + after.probed - before.probed) / seconds / 1e6,
        p50=tally.percentile(0.5),
        p99=tally.percentile(0.99),
        worst=tally.percentile(1.0),
        lost=sum(ear.missed() for ear in room.ears),
        twice=tally.twice,
        refused=dict(tally.refused),
        gone=dict(rush.gone),
        bytes_ratio=ratio,
        joined_in=rush.joined_in,
        server_cpu=(after.server - before.server) / seconds,
        helpers_cpu=(after.helpers - before.helpers) / seconds,
        client_cpu=(after.client - before.client) / seconds,
    )


def highest(rates: list[int], carries: Callable[[int], bool]) -> int | None:
    """The greatest of the ascending rates that is carried, by bisection; None when not even the first is."""
    low, high = 0, len(rates)
    while low < high:
        middle = (low + high) // 2
        if carries(rates[middle]):
            low = middle + 1
        else:
            high = middle
    return rates[low - 1] if low else None


def spread(values: Iterable[float | None]) -> tuple[float, float, float] | None:
    """Median, least, greatest; None when a run had no value."""
    known = list(values)
    if not known or None in known:
        return None
    figures = [value for value in known if value is not None]
    return statistics.median(figures), min(figures), max(figures)
