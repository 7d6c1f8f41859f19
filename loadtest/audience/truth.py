"""What is true of an audience whose every coming and going is known: the offline method, as of any moment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from liveroom.online import Online, online_curve
from liveroom.retention import FEW, Curve, at_risk, stay_curve
from liveroom.sessions import Connections, Floats, Ints, Recording, Sessions, Stretches, sessions_of, stretches_of
from loadtest.audience.plan import STAYED, WAYS, Visits

KEY = 10**11  # more than the microseconds of any show


class Truth(NamedTuple):
    """Of a recording from 0 to ``recording.end``; seconds."""

    recording: Recording
    sessions: Sessions
    stretches: Stretches
    why: Ints  # how each session ended: a place in WAYS
    doubtful: Floats  # when somebody came back so near to the grace that noise decides whether he had left
    changes: Floats  # when anybody came or went before the end


def truth_of(visits: Visits, recording: Recording, near_s: float = 0.0) -> Truth:
    """``near_s``: how exactly the times are known."""
    rows = Connections(visits.viewer, visits.joined, visits.left, visits.how == STAYED)
    sessions, stretches = sessions_of(rows, recording), stretches_of(rows, recording)
    changes = np.sort(np.concatenate((stretches.start, stretches.end[stretches.end < recording.end])))
    return Truth(recording, sessions, stretches, why(visits, sessions), doubtful(stretches, recording, near_s), changes)


def why(visits: Visits, sessions: Sessions) -> Ints:
    """How the connection ended that ended last in each session."""
    left = np.where(np.isfinite(visits.left), visits.left * 1e6, KEY - 1).round().astype(np.int64)
    keys = visits.viewer * KEY + left
    order = np.argsort(keys, kind="stable")
    ends = ((sessions.start + sessions.span) * 1e6).round().astype(np.int64)
    last = np.searchsorted(keys[order], sessions.viewer * KEY + ends + 1, side="right") - 1
    return np.where(sessions.event, visits.how[order][last], STAYED)


def doubtful(stretches: Stretches, recording: Recording, near_s: float) -> Floats:
    same = stretches.viewer[1:] == stretches.viewer[:-1]
    gaps = stretches.start[1:] - stretches.end[:-1]
    again = stretches.start[1:]
    near: Floats = again[same & (np.abs(gaps - recording.grace) < near_s)]
    return near


def cut_at(sessions: Sessions, t: float) -> Sessions:
    """As they were at a moment from which on nothing is known: who left later is still here."""
    known = Sessions._make(column[sessions.start <= t] for column in sessions)
    event = known.event & (known.start + known.span <= t)
    return known._replace(span=np.minimum(known.span, t - known.start), event=event)


def curve_of(sessions: Sessions) -> Curve:
    return stay_curve(sessions.entry, sessions.span, sessions.event)


def trusted(sessions: Sessions) -> float:
    """Up to which age enough are compared: a curve is grey beyond."""
    ages = np.unique(sessions.span)
    enough = ages[at_risk(sessions.entry, sessions.span, ages) >= FEW]
    return float(enough[-1]) if len(enough) else 0.0


def departures(truth: Truth) -> dict[str, int]:
    counts = np.bincount(truth.why[truth.sessions.event], minlength=len(WAYS))
    return {how: n for how, n in zip(WAYS, counts.tolist(), strict=True) if n}


def online(truth: Truth) -> Online:
    return online_curve(truth.stretches, truth.recording)


def changes_near(truth: Truth, t: Floats, near_s: float) -> Ints:
    """How many came or went so shortly before or after each moment."""
    before, behind = (np.searchsorted(truth.changes, t + far, side="right") for far in (-near_s, near_s))
    return behind - before
