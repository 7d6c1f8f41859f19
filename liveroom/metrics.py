"""What `/metrics` tells of a node: one table, read when Prometheus asks from numbers that are kept anyway.

No label holds a room, a viewer, a name or an address, so there are as many series as there are lines here, times a
handful. Every value of a label that is known beforehand is told from the start, as 0: else the first time is missed.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, Literal, NamedTuple

from msgspec import Struct
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from gameplay.play import Code
from liveroom import __version__
from liveroom.counts import CLIENT, LOST, Spread
from liveroom.door import Door
from liveroom.gateway.gateway import Gateway
from liveroom.hub import Hub
from liveroom.ledger.recorder import Recorder
from liveroom.logs import LEVELS, LINES
from liveroom.protocol import COMMANDS, Close
from liveroom.store.clock import Clock
from liveroom.store.crowd import Crowd
from liveroom.store.embedded import Embedded
from liveroom.store.feed import Feed

PREFIX: Final = "liveroom_"
BY_THE_CORE = (1002, *Close)  # a broken frame is answered by the WebSocket core itself


class Parts(Struct, frozen=True):
    """A node, as far as it is told of."""

    hub: Hub
    gateway: Gateway
    door: Door
    crowd: Crowd
    feed: Feed
    clock: Clock
    live_clock: Clock
    entries: Spread
    sales: Spread
    recorders: Sequence[Recorder]
    records: bool
    embedded: Embedded | None
    ready: Callable[[], bool]
    leaving: Callable[[], bool]


Value = float | Spread
Labelled = Mapping[tuple[str, ...], Value]


class Metric(NamedTuple):
    """One line of the table; with ``labels``, ``read`` gives a value for each set of their values."""

    kind: Literal["gauge", "counter", "histogram"]
    name: str
    help: str
    read: Callable[[Parts], Value | Labelled]
    labels: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """As it is asked for."""
        return PREFIX + self.name + ("_total" if self.kind == "counter" else "")


def by(known: Iterable[Any], counts: Mapping[Any, int]) -> Labelled:
    """Counts by one label: all that are known beforehand, then what else was counted."""
    return {(str(name),): counts.get(name, 0) for name in dict.fromkeys([*known, *counts])}


def commands(node: Parts) -> Labelled:
    counts = node.gateway.heard.commands
    return {(str(kind.__struct_config__.tag),): counts[kind] for kind in COMMANDS}


def requests(node: Parts) -> Labelled:
    return {(route, str(status)): n for (route, status), n in node.gateway.heard.requests.items()}


def dropped(node: Parts) -> Labelled:
    told = node.hub.told
    return {
        ("crowd", "budget"): node.crowd.left_out,
        ("crowd", "slow"): told.spared,
        ("state", "newer"): told.newer,
    }


def redis(node: Parts) -> Labelled:
    return {
        ("truth", "ping"): node.clock.round_trips,
        ("live", "ping"): node.live_clock.round_trips,
        ("live", "publish"): node.crowd.took,
        ("truth", "enter"): node.entries,
        ("truth", "sell"): node.sales,
    }


def of_recorders(read: Callable[[Any], float]) -> Callable[[Parts], Labelled]:
    """What the recorders say, by the server whose facts they record."""
    return lambda node: {(name,): read(one) for name, one in zip(SERVERS, node.recorders, strict=False)}


SERVERS = ("truth", "live")

METRICS: Final = (
    Metric(
        "gauge",
        "build_info",
        "Always 1; the labels say what runs.",
        lambda node: {(__version__, platform.python_version()): 1},
        ("version", "python"),
    ),
    Metric("gauge", "ready", "1 if `/readyz` says yes.", lambda node: node.ready()),
    Metric("gauge", "draining", "1 from the first SIGTERM on.", lambda node: node.leaving()),
    Metric(
        "gauge",
        "connections",
        "Open sockets, welcomed or not.",
        lambda node: len(node.gateway.connections),
    ),
    Metric(
        "gauge",
        "viewers",
        "Connections that sit in rooms, staff too; a viewer with two counts twice.",
        lambda node: sum(len(room.seats) for room in node.hub.rooms.values()),
    ),
    Metric("gauge", "rooms", "Rooms that this node holds.", lambda node: len(node.hub.rooms)),
    Metric(
        "gauge",
        "fullest_room_viewers",
        "Connections in the fullest room.",
        lambda node: max((len(room.seats) for room in node.hub.rooms.values()), default=0),
    ),
    Metric(
        "counter",
        "joins",
        "Viewers let in, by what they were shown: a snapshot, or what they had missed.",
        lambda node: {
            ("snapshot",): node.door.joins - node.door.resumes,
            ("resume",): node.door.resumes,
        },
        ("with",),
    ),
    Metric(
        "counter",
        "handshakes",
        "Answers to WebSocket handshakes, by HTTP status; 101 is yes.",
        lambda node: by((101, 403, 404, 503), node.gateway.heard.handshakes),
        ("status",),
    ),
    Metric(
        "counter",
        "closes",
        "Connections that ended, by close code (4001: too slow); `client` closed, `lost` without a word.",
        lambda node: by((*BY_THE_CORE, CLIENT, LOST), node.gateway.heard.closes),
        ("code",),
    ),
    Metric("counter", "received_frames", "WebSocket frames heard.", lambda node: node.gateway.heard.frames),
    Metric("counter", "received_bytes", "Bytes heard on sockets.", lambda node: node.gateway.heard.bytes),
    Metric("counter", "commands", "Commands heard, over sockets and HTTP.", commands, ("command",)),
    Metric(
        "counter",
        "refusals",
        "Commands refused, by error code.",
        lambda node: by(Code, node.gateway.heard.refusals),
        ("code",),
    ),
    Metric("counter", "http_requests", "Requests to `/v1` and the probes.", requests, ("route", "status")),
    Metric(
        "counter",
        "sent_frames",
        "Frames written: of ticks, or for one viewer alone.",
        lambda node: {("tick",): node.hub.told.frames, ("single",): node.hub.told.single_frames},
        ("kind",),
    ),
    Metric(
        "counter",
        "sent_bytes",
        "Bytes in them.",
        lambda node: {("tick",): node.hub.told.bytes, ("single",): node.hub.told.single_bytes},
        ("kind",),
    ),
    Metric(
        "counter",
        "deliveries",
        "Messages in ticks times viewers who were told them.",
        lambda node: node.hub.told.messages,
    ),
    Metric(
        "counter",
        "comments",
        "Comments of this node's viewers that were published to the room.",
        lambda node: node.crowd.shown,
    ),
    Metric(
        "counter",
        "dropped_messages",
        "Left out: comments over the room's budget, the crowd's messages times slow viewers, states that were"
        " followed by newer ones within a tick. Ledger and private messages are never left out.",
        dropped,
        ("class", "why"),
    ),
    Metric("counter", "events", "Ledger events told to the rooms here.", lambda node: node.hub.told.events),
    Metric(
        "histogram",
        "tick_late_seconds",
        "How long after its point of the grid a tick began.",
        lambda node: node.hub.late,
    ),
    Metric(
        "histogram",
        "flush_seconds",
        "How long it took to write a tick to all its viewers.",
        lambda node: node.hub.took,
    ),
    Metric(
        "histogram",
        "loop_late_seconds",
        "How late the event loop was, looked at ten times a second.",
        lambda node: node.gateway.late,
    ),
    Metric(
        "histogram",
        "redis_seconds",
        "Answers of Redis: to a ping, to a tick's comments, to entries and to sales (on disk by then).",
        redis,
        ("server", "call"),
    ),
    Metric(
        "gauge",
        "redis_up",
        "1 if Redis answered the last check, made once a second.",
        lambda node: {("truth",): node.feed.fresh, ("live",): node.feed.live_fresh},
        ("server",),
    ),
    Metric(
        "counter",
        "redis_failures",
        "Checks that Redis did not answer in time.",
        lambda node: {(name,): n for name, n in node.feed.failures.items()},
        ("server",),
    ),
    Metric(
        "gauge",
        "subscribed",
        "1 if the subscription stands.",
        lambda node: {("truth",): node.feed.truth_ear.hearing, ("live",): node.feed.crowd_ear.hearing},
        ("server",),
    ),
    Metric(
        "counter",
        "subscriptions",
        "Times that a subscription was made; the first is the start.",
        lambda node: {("truth",): node.feed.truth_ear.mends, ("live",): node.feed.crowd_ear.mends},
        ("server",),
    ),
    Metric(
        "counter",
        "repairs",
        "Rooms brought up to date because pub/sub lost something: from their log, or by a reset with a snapshot.",
        lambda node: {("log",): node.feed.fills, ("snapshot",): node.feed.resets},
        ("from",),
    ),
    Metric(
        "counter",
        "embedded_restarts",
        "Times that this node started the embedded Valkey again.",
        lambda node: node.embedded.restarts if node.embedded else 0,
    ),
    Metric(
        "gauge",
        "ledger_up",
        "1 if this node records facts and the database took the last ones.",
        lambda node: node.records and all(one.healthy for one in node.recorders),
    ),
    Metric(
        "gauge",
        "ledger_lag_facts",
        "Facts that wait in the outbox, in the shards that this node records.",
        of_recorders(lambda one: one.lag),
        ("server",),
    ),
    Metric(
        "counter",
        "ledger_facts",
        "Facts written to the database.",
        of_recorders(lambda one: one.recorded),
        ("server",),
    ),
    Metric("counter", "log_lines", "Lines logged, by level.", lambda node: by(LEVELS, LINES), ("level",)),
)


def family(metric: Metric, node: Parts) -> Family:
    """A line of the table with its values, as the library wants it."""
    found = metric.read(node)
    values: Labelled = found if isinstance(found, Mapping) else {(): found}
    if metric.kind == "histogram":
        spread = HistogramMetricFamily(PREFIX + metric.name, metric.help, labels=metric.labels)
        for labels, value in values.items():
            assert isinstance(value, Spread)
            spread.add_metric(labels, list(buckets(value)), value.total)
        return spread
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    plain = kind(PREFIX + metric.name, metric.help, labels=metric.labels)
    for labels, value in values.items():
        assert not isinstance(value, Spread)
        plain.add_metric(labels, float(value))
    return plain


def buckets(spread: Spread) -> Iterator[tuple[str, float]]:
    return zip([*map(str, spread.bounds), "+Inf"], accumulate(spread.counts), strict=True)


class NodeCollector(Collector):
    """The table, for a registry of the library."""

    def __init__(self, node: Parts) -> None:
        self.node = node

    def describe(self) -> Iterable[Family]:
        return ()  # nothing is read when it is registered

    def collect(self) -> Iterator[Family]:
        return (family(metric, self.node) for metric in METRICS)


def exposition(node: Parts) -> Callable[[], bytes]:
    """The text of `/metrics`. A registry of its own: several nodes may live in one process of the tests."""
    registry = CollectorRegistry()
    registry.register(NodeCollector(node))
    ProcessCollector(registry=registry)
    return lambda: generate_latest(registry)
