"""What tests of the simulated audience share: scenarios of one thing each, and a report without a fault."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from liveroom.report import report
from liveroom.sessions import Connections, Recording
from loadtest.audience.plan import STAYED, Plan
from loadtest.audience.scenario import USUAL, Reconnects, Scenario, Source
from loadtest.audience.truth import Truth, departures, truth_of

NEVER = Reconnects(cuts_per_hour=0, back=0, second_device=0)


def quiet(minutes: float = 60, per_min: float = 1000, **changes: Any) -> Scenario:
    """Viewers who come evenly and leave as usual, each by one connection."""
    plain = Scenario(
        minutes=minutes, arrivals_per_min=per_min, hazard=USUAL, sources=(Source("feed", 1),), reconnects=NEVER
    )
    return replace(plain, **changes)


def known(plan: Plan) -> Truth:
    return truth_of(plan.visits, Recording(0.0, plan.scenario.seconds, plan.scenario.grace_s))


def honest(plan: Plan) -> dict[str, Any]:
    """What a server says that makes no mistake, when all is over."""
    visits, truth = plan.visits, known(plan)
    rows = Connections(visits.viewer, visits.joined, visits.left, visits.how == STAYED)
    said = report(rows, truth.recording)
    stay = {**said["stay"], "as_of": truth.recording.end}
    return {**said, "stay": stay, "reasons": departures(truth)}


