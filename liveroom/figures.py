"""The numbers of an audience as its host is told them, live and over HTTP; ``docs/retention.md`` defines them."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType


class StreamAbout(Struct, frozen=True):
    """``implicit``: it began by itself, with the first viewer."""

    id: str
    title: str
    live: bool
    implicit: bool


class Watched(Struct, frozen=True):
    """Seconds."""

    total: float
    of: str


class Stay(Struct, frozen=True):
    """A point of the stay curve: the share that stays longer than ``t``, its 95 % band, and how many were at risk."""

    t: float
    s: float
    lo: float | None = None
    hi: float | None = None
    n: float | UnsetType = UNSET
    grey: bool = False


class StayCurve(Struct, frozen=True):
    curve: tuple[Stay, ...]
    median: float | None
    rmst: float | None
    rmst_seconds: float | None
    bounce: float | None
    n: int


class Settled(Struct, frozen=True, kw_only=True):
    """The stay curve as of one grace ago: nobody of it may still come back."""

    as_of: float
    curve: tuple[Stay, ...]
    median: float | None
    rmst: float | None
    rmst_seconds: float | None
    bounce: float | None
    n: int


class OnlinePoint(Struct, frozen=True):
    t: float
    viewers: int
    joins: int
    leaves: int


class Online(Struct, frozen=True):
    bucket: float
    curve: tuple[OnlinePoint, ...]
    now: int
    pcu: int
    acu: float | None


class Cohort(Struct, frozen=True):
    """Who joined in the same five minutes, and the share of them that was there 5, 10, … minutes later."""

    t: float
    n: int | None
    present: tuple[float, ...] | None


class Minute(Struct, frozen=True):
    t: float
    n: int


class Deeds(Struct, frozen=True):
    viewers: int
    share: float | None
    minutes: tuple[Minute, ...]


class Interaction(Struct, frozen=True):
    light: Deeds
    medium: Deeds
    heavy: Deeds


class Difference(Struct, frozen=True):
    """How surely the sources keep viewers for different times: a log-rank test."""

    chi2: float
    df: int
    p: float


class Report(Struct, frozen=True):
    """How long viewers stay, and how many are here. ``start``, ``now``: epoch milliseconds; other times: seconds.

    ``definitions`` says by the name of a field where that is defined. Sources of few viewers are only counted, in
    ``sources_hidden``.
    """

    stream: StreamAbout
    start: int
    now: int
    units: str
    definitions: dict[str, str]
    uv: int
    sessions: int
    watch: Watched
    stay: Settled
    provisional: tuple[Stay, ...]
    sources: dict[str, StayCurve]
    sources_hidden: int
    sources_differ: Difference | None
    online: Online
    cohorts: tuple[Cohort, ...]
    reasons: dict[str, int]
    interaction: Interaction
