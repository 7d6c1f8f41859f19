"""What is asked of an audience: when people come, how soon they leave, what holds them and what lets them go."""

from __future__ import annotations

from msgspec import Struct

MINUTE = 60.0


class Band(Struct, frozen=True):
    """From this age in the room on, leaving happens at this rate."""

    from_min: float
    per_min: float


class Burst(Struct, frozen=True):
    """So many newcomers beside the usual ones, from a moment on, dying away within about three times ``spread_s``."""

    at_min: float
    viewers: int
    spread_s: float
    source: str


class Giveaway(Struct, frozen=True, kw_only=True):
    """By what factors it changes leaving: ``holds`` from the announcement to the draw, ``sheds`` for a while after."""

    what: str
    announced_min: float
    drawn_min: float
    holds: float = 1.0
    sheds: float = 1.0
    sheds_min: float = 1.0


class Source(Struct, frozen=True):
    """Where usual viewers come from; weights are parts of a whole."""

    name: str
    weight: float


class Reconnects(Struct, frozen=True, kw_only=True):
    """How connections break off and who comes back. Times away are in graces: up to 1 it is the same session."""

    cuts_per_hour: float = 2.0  # of each viewer's connection
    cut_away: tuple[float, float] = (0.1, 0.7)
    silent: float = 0.3  # of the cuts: nothing is closed, and the server notices later
    back: float = 0.2  # of those who left
    back_away: tuple[float, float] = (2.0, 5.0)
    second_device: float = 0.08  # of the sessions, for a part of them
    elsewhere: float = 0.5  # of the reconnects and second devices: on any node instead of the same


class Scenario(Struct, frozen=True, kw_only=True):
    """A show from minute 0 to ``minutes``; what is not said of a giveaway or a burst is as usual."""

    minutes: float
    arrivals_per_min: float
    hazard: tuple[Band, ...]
    sources: tuple[Source, ...]
    bursts: tuple[Burst, ...] = ()
    giveaways: tuple[Giveaway, ...] = ()
    reconnects: Reconnects = Reconnects()
    departures: tuple[tuple[str, float], ...] = (
        ("close", 0.6),
        ("background", 0.15),
        ("conn_error", 0.1),
        ("ping_timeout", 0.15),
    )  # how viewers leave, by weight
    grace_s: float = 60.0
    noticed_s: float = 45.0  # behind the last that was heard of somebody silent
    nodes: int = 2

    @property
    def seconds(self) -> float:
        return self.minutes * MINUTE


USUAL = (
    Band(0, 0.20),
    Band(1, 0.15),
    Band(2, 0.11),
    Band(3, 0.08),
    Band(5, 0.05),
    Band(10, 0.02),
    Band(20, 0.01),
    Band(40, 0.0025),
)
SOURCES = (Source("feed", 6), Source("follow", 3), Source("search", 1))


def evening(viewers: int, minutes: float, grace_s: float = 60.0, noticed_s: float = 45.0, nodes: int = 2) -> Scenario:
    """A show with everything in it: a crowd at the door, a shared link, a draw that holds and one that sheds."""
    return Scenario(
        minutes=minutes,
        arrivals_per_min=0.45 * viewers / minutes,
        hazard=USUAL,
        sources=SOURCES,
        bursts=(
            Burst(0.0, round(0.15 * viewers), minutes, "follow"),
            Burst(0.30 * minutes, round(0.25 * viewers), minutes / 2, "share"),
            Burst(0.62 * minutes, round(0.15 * viewers), minutes / 2, "ads"),
        ),
        giveaways=(
            Giveaway(what="teapot", announced_min=0.2 * minutes, drawn_min=0.35 * minutes, holds=0.2),
            Giveaway(
                what="phone",
                announced_min=0.6 * minutes,
                drawn_min=0.7 * minutes,
                holds=0.4,
                sheds=6.0,
                sheds_min=0.05 * minutes,
            ),
        ),
        grace_s=grace_s,
        noticed_s=noticed_s,
        nodes=nodes,
    )
