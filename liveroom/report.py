"""A recording's numbers put together, for people and for their tools."""

from __future__ import annotations

from math import isnan
from typing import Any

import numpy as np

from liveroom.online import BUCKET_SECONDS, Online, average, online_curve, peak
from liveroom.retention import FEW, Curve, bounce, horizon, mean_stay, quantile, stay_curve
from liveroom.sessions import Connections, Floats, Recording, Sessions, sessions_of, stretches_of


def recorded(connections: Connections, start: float | None, end: float | None, grace: float) -> Recording:
    """From the first join to the last time that is known, where nothing else is said."""
    ends = connections.left[np.isfinite(connections.left)]
    times = np.concatenate((connections.joined, ends))
    first = float(connections.joined.min()) if len(connections.joined) else 0.0
    last = float(times.max()) if len(times) else first
    return Recording(first if start is None else start, last if end is None else end, grace)


def report(connections: Connections, recording: Recording) -> dict[str, Any]:
    """All numbers; times in seconds of the recording's own clock. What cannot be said is None, never a guess."""
    sessions = sessions_of(connections, recording)
    stretches = stretches_of(connections, recording)
    curve = stay_curve(sessions.entry, sessions.span, sessions.event)
    until = horizon(sessions.entry, sessions.span)
    online = online_curve(stretches, recording)
    return {
        "start": recording.start,
        "end": recording.end,
        "grace": recording.grace,
        "uv": len(np.unique(sessions.viewer)),
        "sessions": len(sessions.span),
        "outside": outside(connections, recording),
        "stay": {
            "curve": stay_points(curve),
            "median": quantile(curve),
            "rmst": None if until is None else mean_stay(curve, until),
            "rmst_seconds": until,
            "bounce": bounce(sessions),
            "left": int(np.count_nonzero(sessions.event)),
            "still_here": int(np.count_nonzero(~sessions.event)),
            "late_entries": int(np.count_nonzero(sessions.entry > 0)),
        },
        "watch": watch(sessions),
        "online": {
            "bucket": BUCKET_SECONDS,
            "curve": online_points(online),
            "pcu": peak(online),
            "acu": average(stretches, recording),
        },
    }


def outside(connections: Connections, recording: Recording) -> int:
    """Connections of which nothing lies within the recording."""
    gone = (connections.left <= recording.start) & (connections.joined < recording.start)
    return int(np.count_nonzero(gone | (connections.joined > recording.end)))


def watch(sessions: Sessions) -> dict[str, float | None]:
    """Seconds connected: in all, and on average; the median beside the mean."""
    total, viewers = float(sessions.watch.sum()), len(np.unique(sessions.viewer))
    per_viewer = np.bincount(sessions.viewer, sessions.watch)[np.unique(sessions.viewer)] if viewers else sessions.watch
    return {
        "total": total,
        "mean_per_viewer": total / viewers if viewers else None,
        "median_per_viewer": float(np.median(per_viewer)) if viewers else None,
        "mean_per_session": total / len(sessions.span) if viewers else None,
    }


def stay_points(curve: Curve) -> list[dict[str, Any]]:
    lows, highs = known(curve.lo), known(curve.hi)
    columns = zip(curve.t.tolist(), curve.s.tolist(), lows, highs, curve.n.tolist(), strict=True)
    points: list[dict[str, Any]] = [{"t": t, "s": s, "lo": lo, "hi": hi, "n": n} for t, s, lo, hi, n in columns]
    for few in np.flatnonzero(curve.n < FEW).tolist():
        points[few]["grey"] = True
    return points


def online_points(online: Online) -> list[dict[str, Any]]:
    columns = zip(*(column.tolist() for column in online), strict=True)
    return [{"t": t, "viewers": viewers, "joins": joins, "leaves": leaves} for t, viewers, joins, leaves in columns]


def known(column: Floats) -> list[float | None]:
    return [None if isnan(value) else value for value in column.tolist()]
