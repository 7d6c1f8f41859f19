"""Who comes when, goes when and how: a scenario and a seed give the same visits for ever.

Leaving is a hazard that is constant within a band of age and between two moments of the show, so the age at which
somebody leaves is exact: where the hazard added up since he came reaches an exponential number drawn for him.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from liveroom.sessions import Floats, Ints
from loadtest.audience.scenario import MINUTE, Giveaway, Scenario

WAYS = ("close", "background", "conn_error", "ping_timeout", "stream_end")  # how a connection ends
CLOSED, CUT, SILENT, STAYED = (WAYS.index(one) for one in ("close", "conn_error", "ping_timeout", "stream_end"))
CHUNK = 50_000
SHORT = 1.0  # seconds: nobody takes a second device out for so short a session
MS = 3  # digits: times are whole milliseconds


class Visit(NamedTuple):
    """One connection; seconds of the show. ``left`` is the last that was heard of him, infinite where he stayed."""

    viewer: int
    source: str
    node: int
    joined: float
    left: float
    how: str


class Visits(NamedTuple):
    """The same as columns, by ``joined``; ``source`` and ``how`` are places in the plan's sources and in WAYS."""

    viewer: Ints
    source: Ints
    node: Ints
    joined: Floats
    left: Floats
    how: Ints


class Plan(NamedTuple):
    scenario: Scenario
    sources: tuple[str, ...]
    visits: Visits

    def each(self) -> Iterator[Visit]:
        for viewer, source, node, joined, left, how in zip(*(one.tolist() for one in self.visits), strict=True):
            yield Visit(viewer, self.sources[source], node, joined, left, WAYS[how])


class Stays(NamedTuple):
    """Sessions as they are meant; ``end`` is infinite where the show ends first."""

    viewer: Ints
    source: Ints
    start: Floats
    end: Floats


def plan_of(scenario: Scenario, seed: int) -> Plan:
    luck = np.random.default_rng(seed)
    sources = sources_of(scenario)
    stays = stays_of(scenario, *arrivals(scenario, sources, luck), luck)
    return Plan(scenario, sources, in_order(visits_of(scenario, stays, luck)))


def sources_of(scenario: Scenario) -> tuple[str, ...]:
    names = [*(one.name for one in scenario.sources), *(burst.source for burst in scenario.bursts)]
    return tuple(dict.fromkeys(names))


def in_order(visits: Visits) -> Visits:
    rounded = visits._replace(joined=visits.joined.round(MS), left=visits.left.round(MS))
    order = np.argsort(rounded.joined, kind="stable")
    return Visits._make(column[order] for column in rounded)


def picked(weights: list[float], n: int, luck: Generator) -> Ints:
    share = np.array(weights) / sum(weights)
    return luck.choice(len(share), n, p=share)


# -- coming --


def arrivals(scenario: Scenario, sources: tuple[str, ...], luck: Generator) -> tuple[Floats, Ints]:
    """When each viewer comes for the first time, and from where."""
    n = luck.poisson(scenario.arrivals_per_min * scenario.minutes)
    times = [luck.uniform(0, scenario.seconds, n)]
    where = [picked([one.weight for one in scenario.sources], n, luck)]  # the plan's first sources are these
    for burst in scenario.bursts:
        times.append(burst.at_min * MINUTE + luck.exponential(burst.spread_s, burst.viewers))
        where.append(np.full(burst.viewers, sources.index(burst.source)))
    came, source = np.concatenate(times), np.concatenate(where)
    inside = came < scenario.seconds
    return came[inside], source[inside]


# -- staying --


def stays_of(scenario: Scenario, came: Floats, source: Ints, luck: Generator) -> Stays:
    """Each viewer's sessions; some who left come back later, with everybody else's hazard of those who just came."""
    again, found = scenario.reconnects, []
    viewer, start = np.arange(len(came)), came
    while len(viewer):
        end = start + ages_at_leaving(scenario, start, luck.exponential(1, len(start)))
        gone = end < scenario.seconds
        found.append(Stays(viewer, source[viewer], start, np.where(gone, end, np.inf)))
        start = end + scenario.grace_s * luck.uniform(*again.back_away, len(end))
        back = gone & (start < scenario.seconds) & (luck.random(len(end)) < again.back)
        viewer, start = viewer[back], start[back]
    return Stays._make(np.concatenate(column) for column in zip(*found, strict=True))


def ages_at_leaving(scenario: Scenario, start: Floats, due: Floats) -> Floats:
    """Seconds since joining at which the hazard has added up to ``due``; infinite where it never does."""
    pieces = [slice(at, at + CHUNK) for at in range(0, len(start), CHUNK)]
    return np.concatenate([some_ages(scenario, start[piece], due[piece]) for piece in pieces] or [start])


def some_ages(scenario: Scenario, start: Floats, due: Floats) -> Floats:
    edges = edges_of(scenario, start)
    length = np.diff(edges, axis=1)
    middle = edges[:, :-1] + length / 2
    rate = hazard_at(scenario, middle) * factor_at(scenario, start[:, None] + middle) / MINUTE
    reached = np.cumsum(rate * length, axis=1)
    piece = np.sum(reached < due[:, None], axis=1)
    leaves, row = piece < length.shape[1], np.arange(len(start))
    piece = np.minimum(piece, length.shape[1] - 1)
    left_over = reached[row, piece] - due
    with np.errstate(divide="ignore", invalid="ignore"):
        age = edges[row, piece + 1] - left_over / rate[row, piece]
    return np.where(leaves, age, np.inf)


def edges_of(scenario: Scenario, start: Floats) -> Floats:
    """For each session the ages between which its hazard is constant, from 0 to beyond the show's end."""
    ages = np.array([band.from_min * MINUTE for band in scenario.hazard] + [scenario.seconds])
    moments = np.array([at for one in scenario.giveaways for at in moments_of(one)])
    by_age = np.broadcast_to(ages, (len(start), len(ages)))
    by_show = np.clip(moments - start[:, None], 0, scenario.seconds)
    return np.sort(np.concatenate((by_age, by_show), axis=1), axis=1)


def moments_of(giveaway: Giveaway) -> tuple[float, float, float]:
    """Announced, drawn, forgotten; seconds."""
    drawn = giveaway.drawn_min * MINUTE
    return giveaway.announced_min * MINUTE, drawn, drawn + giveaway.sheds_min * MINUTE


def hazard_at(scenario: Scenario, age: Floats) -> Floats:
    """Per minute, by seconds in the room, in a show without giveaways."""
    begins = np.array([band.from_min * MINUTE for band in scenario.hazard])
    rates = np.array([band.per_min for band in scenario.hazard])
    return rates[np.searchsorted(begins, age, side="right") - 1]


def factor_at(scenario: Scenario, at: Floats) -> Floats:
    """What giveaways make of it at a moment of the show."""
    factor = np.ones_like(at)
    for one in scenario.giveaways:
        announced, drawn, forgotten = moments_of(one)
        factor[(at >= announced) & (at < drawn)] *= one.holds
        factor[(at >= drawn) & (at < forgotten)] *= one.sheds
    return factor


# -- connections --


def visits_of(scenario: Scenario, stays: Stays, luck: Generator) -> Visits:
    """Sessions cut into connections, and the second devices of some."""
    node = luck.integers(0, scenario.nodes, int(stays.viewer.max(initial=0)) + 1)[stays.viewer]
    first = pieces_of(scenario, stays, node, luck)
    both = zip(first, second_devices(scenario, stays, node, luck), strict=True)
    return Visits._make(np.concatenate(columns) for columns in both)


def pieces_of(scenario: Scenario, stays: Stays, node: Ints, luck: Generator) -> Visits:
    again = scenario.reconnects
    ways = [WAYS.index(how) for how, _ in scenario.departures]
    (viewer, source, joined, end), found = stays, []
    while len(viewer):
        n = len(viewer)
        cut = joined + luck.exponential(3600 / again.cuts_per_hour if again.cuts_per_hour else np.inf, n)
        back = cut + scenario.grace_s * luck.uniform(*again.cut_away, n)
        is_cut = back < np.minimum(end, scenario.seconds)
        leaves = np.array(ways)[picked([weight for _, weight in scenario.departures], n, luck)]
        leaves = np.where(np.isfinite(end), leaves, STAYED)
        how = np.where(is_cut, np.where(luck.random(n) < again.silent, SILENT, CUT), leaves)
        found.append(Visits(viewer, source, node, joined, np.where(is_cut, cut, end), how))
        node = elsewhere(scenario, node, luck)
        viewer, source, node = viewer[is_cut], source[is_cut], node[is_cut]
        joined, end = back[is_cut], end[is_cut]
    return Visits._make(np.concatenate(column) for column in zip(*found, strict=True))


def second_devices(scenario: Scenario, stays: Stays, node: Ints, luck: Generator) -> Visits:
    """For a part of the session, closed before it ends."""
    length = np.minimum(stays.end, scenario.seconds) - stays.start
    chosen = (luck.random(len(node)) < scenario.reconnects.second_device) & (length > SHORT)
    viewer, source, start = stays.viewer[chosen], stays.source[chosen], stays.start[chosen]
    joined = start + luck.uniform(0.0, 0.6, len(start)) * length[chosen]
    left = joined + luck.uniform(0.1, 0.3, len(start)) * length[chosen]
    how = np.full(len(start), CLOSED, np.int64)
    return Visits(viewer, source, elsewhere(scenario, node[chosen], luck), joined, left, how)


def elsewhere(scenario: Scenario, node: Ints, luck: Generator) -> Ints:
    moves = luck.random(len(node)) < scenario.reconnects.elsewhere
    return np.where(moves, luck.integers(0, scenario.nodes, len(node)), node)
