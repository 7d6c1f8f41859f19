"""How long to stay away before the next attempt: longer each time, and never as long as the others."""

from __future__ import annotations

import random

LONGEST_PAUSE = 30
STEADY_SECONDS = 10  # a connection that held for so long starts the back-off anew
BUSY_ATTEMPTS = 3  # after "too many joins" the back-off starts here


def pause_s(attempt: int) -> float:
    """Full jitter: anything up to twice as long as before."""
    return random.uniform(0, min(LONGEST_PAUSE, 0.5 * 2 ** min(attempt, 10)))


class BackOff:
    """The attempts since the last steady connection, and the pause that the server asked for."""

    def __init__(self) -> None:
        self.attempts = 0
        self.hold_s = 0.0

    def held(self, seconds: float) -> None:
        if seconds > STEADY_SECONDS:
            self.attempts = 0

    def busy(self) -> None:
        self.attempts = max(self.attempts, BUSY_ATTEMPTS)

    def next_s(self) -> float:
        pause = self.hold_s + pause_s(self.attempts)
        self.attempts += 1
        self.hold_s = 0.0
        return pause
