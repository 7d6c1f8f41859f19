"""How loud a crowd is in each part of a show, and when somebody speaks who speaks at that rhythm."""

from collections.abc import Sequence
from typing import NamedTuple

PEAK = 0.1  # of a slot: its beginning is as loud as its loudest moments, the rest is what is left


class Step(NamedTuple):
    until: float  # part of the show
    pace: float  # 1: as on average


class Rhythm:
    """`slots` are equally long: how loud each is, and its peak, both beside the average of the show."""

    def __init__(self, slots: Sequence[tuple[float, float]]) -> None:
        self.steps: list[Step] = []
        for number, (mean, peak) in enumerate(slots):
            rest = max(0.0, mean - PEAK * peak) / (1 - PEAK)
            self.steps.append(Step((number + PEAK) / len(slots), peak))
            self.steps.append(Step((number + 1) / len(slots), rest))

    def wait(self, at: float, patience: float) -> float:
        """How long somebody waits from `at` on who would wait for `patience` if all were even: parts of the show."""
        now = at
        for step in self.steps:
            if step.until <= now:
                continue
            if patience < (step.until - now) * step.pace:
                return now + patience / step.pace - at
            patience -= (step.until - now) * step.pace
            now = step.until
        return now + patience - at
