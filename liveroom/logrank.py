"""Whether groups stay differently long: the log-rank test."""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, exp, gamma, sqrt
from typing import Any

import numpy as np

from liveroom.cells import Counts, at_risk


def logrank(groups: Sequence[Counts]) -> dict[str, Any] | None:
    """Chi-square of who left against what all groups together would let expect; None where nothing is compared.

    Ties have the hypergeometric variance, as in R's ``survdiff``. Those who left within one cell left at one time.
    """
    if len(groups) < 2:
        return None
    left, risk = np.array([one.left for one in groups]), np.array([at_risk(one) for one in groups])
    times = left.sum(axis=0) > 0
    left, risk = left[:, times], risk[:, times]
    n, d = risk.sum(axis=0), left.sum(axis=0)
    excess = (left - risk * d / n).sum(axis=1)
    weight = np.where(n > 1, d * (n - d) / np.maximum(n - 1, 1), 0.0) / n**2
    spread = np.diag((risk * n * weight).sum(axis=1)) - (risk * weight) @ risk.T
    rank = int(np.linalg.matrix_rank(spread, hermitian=True))
    if not rank:
        return None
    chi2 = float(excess @ np.linalg.pinv(spread, hermitian=True) @ excess)
    return {"chi2": chi2, "df": rank, "p": beyond(chi2, rank)}


def beyond(chi2: float, df: int) -> float:
    """How likely a chi-square of so many degrees of freedom is at least so great."""
    half = chi2 / 2
    tail, power = (erfc(sqrt(half)), 0.5) if df % 2 else (exp(-half), 1.0)
    for _ in range((df - 1) // 2):
        tail += exp(-half) * half**power / gamma(power + 1)
        power += 1
    return tail
