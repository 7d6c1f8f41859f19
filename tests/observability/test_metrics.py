"""What a node tells of itself is what happened, names nobody, and is told to whom the operator allows."""

import asyncio
import functools
import json
import os
import re
import signal
from collections import defaultdict

import pytest
from redis import Redis
from starlette.requests import Request

from gameplay.play import Code
from liveroom.counts import Spread
from liveroom.http.metrics import may_read
from liveroom.metrics import METRICS, buckets
from liveroom.protocol import COMMANDS, Close
from liveroom.settings import Settings
from tests.gateway.test_handshake import Wire, hello, upgrade
from tests.house import House, Node, join, make_room, open_socket, token
from tests.observability.scraping import Scrape, until

SECRET = "a-token-for-metrics"


def asked(peer: str, host: str = "localhost:8000", **headers: str) -> Request:
    given = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    coded = [(name.lower().encode(), value.encode()) for name, value in given.items()]
    scope = {"type": "http", "method": "GET", "path": "/metrics", "scheme": "http", "query_string": b""}
    return Request(scope | {"headers": coded, "client": (peer, 1234), "server": ("10.0.0.1", 8000)})


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000"])
def test_this_machine_may_read(peer: str, host: str):
    assert may_read(Settings(), asked(peer, host))


@pytest.mark.parametrize(
    "request_",
    [
        asked("10.0.0.7"),
        asked("::ffff:10.0.0.7"),
        asked("192.168.1.1"),
        asked("not an address"),
        asked("127.0.0.1", "live.example.com"),
        asked("127.0.0.1", "localhost.example.com"),
        asked("127.0.0.1", x_forwarded_for="127.0.0.1"),
        asked("127.0.0.1", forwarded="for=127.0.0.1"),
        asked("127.0.0.1", via="1.1 proxy", host="localhost"),
        asked("10.0.0.7", authorization="Bearer "),
        asked("10.0.0.7", authorization="Bearer"),
        asked("10.0.0.7", authorization=SECRET),
    ],
)
def test_nobody_else_may(request_: Request):
    assert not may_read(Settings(), request_)
    assert may_read(Settings(metrics="open"), request_)


def test_a_token_opens_from_everywhere():
    settings = Settings(metrics_token=SECRET)
    assert may_read(settings, asked("10.0.0.7", authorization=f"Bearer {SECRET}"))
    assert may_read(settings, asked("10.0.0.7", authorization=f"bearer {SECRET}", via="proxy"))
    for wrong in (f"Bearer {SECRET}x", "Bearer ", f"Basic {SECRET}", "Bearer ü"):
        assert not may_read(settings, asked("10.0.0.7", authorization=wrong))


def test_what_is_set_is_done(house: House):
    shut, told = house.node(metrics="off"), house.node(metrics_token=SECRET)
    assert shut.http("GET", "/metrics")[0] == 404
    assert told.http("GET", "/metrics", **{"X-Forwarded-For": "10.0.0.7"})[0] == 403
    assert told.http("GET", "/metrics", token=SECRET, **{"X-Forwarded-For": "10.0.0.7"})[0] == 200


def test_what_happened_is_counted(house: House):
    node = house.node()
    room, before = make_room(node), Scrape(node)
    notice = ("POST", f"/v1/rooms/{room}/commands", {"t": "room.notice", "text": "x"}, token(room, "host"))

    async def show() -> None:
        ann, bob = await join(node, room, sub="ann"), await join(node, room, sub="bob")
        assert Scrape(node).since(before, "viewers") == 2
        assert (await ann.say("hello"))["t"] == "ok"
        assert (await ann.say("hello"))["code"] == "DUPLICATE"
        assert (await ann.ask("no.such"))["code"] == "UNKNOWN_COMMAND"
        assert node.http(*notice)[0] == 200
        await ann.hear("room.notice")
        await bob.hear("room.notice")
        stranger = await open_socket(node, room)
        await stranger.send(json.dumps({"t": "hello", "token": "none"}))
        await stranger.wait_closed()
        await bob.leave()
        was = {"epoch": bob.welcome["epoch"], "seq": bob.welcome["seq"]}
        back = await join(node, room, sub="bob", resume=was)
        ann.drop()
        await back.leave()

    asyncio.run(show())
    until(lambda: Scrape(node)("connections") == 0)
    new = functools.partial(Scrape(node).since, before)
    assert new("viewers") == 0
    assert (new("joins_total", with_="snapshot"), new("joins_total", with_="resume")) == (2, 1)
    assert new("handshakes_total", status="101") == 4
    assert [new("closes_total", code=code) for code in ("4500", "client", "lost", "4001")] == [1, 2, 1, 0]
    assert [new("commands_total", command=kind) for kind in ("chat.say", "room.notice")] == [2, 1]
    assert [new("refusals_total", code=code) for code in ("DUPLICATE", "UNKNOWN_COMMAND", "MUTED")] == [1, 1, 0]
    assert Scrape(node)("http_requests_total", route="/v1/rooms/{room}/commands", status="200") == 1
    assert (new("comments_total"), new("events_total")) == (1, 1)
    assert new("received_frames_total") >= 4 + 3  # hellos and commands
    assert new("deliveries_total") >= 2 + 2  # a comment and a notice, to two
    assert new("sent_frames_total", kind="tick") >= 2
    assert new("sent_frames_total", kind="single") >= 3 + 3  # welcomes and replies
    assert new("sent_bytes_total", kind="tick") > 100
    assert new("redis_seconds_count", server="live", call="publish") >= 1


def test_what_goes_wrong_with_the_server_is_told_and_that_it_is_over(house: House):
    node = house.node()
    before = Scrape(node)
    assert (before("redis_up", server="truth"), before("embedded_restarts_total"), before("ledger_up")) == (1, 0, 1)
    with Redis(unix_socket_path=house.redis_socket) as valkey:
        pid = int(valkey.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: Scrape(node)("redis_up", server="truth") == 0)
        now = Scrape(node)
        assert now.since(before, "redis_failures_total", server="truth") >= 1
        assert now.since(before, "log_lines_total", level="warning") >= 1
        assert now("ready") == 0
    finally:
        os.kill(pid, signal.SIGKILL)
    until(lambda: Scrape(node)("ready") == 1)
    after = Scrape(node)
    assert (after("redis_up", server="truth"), after("embedded_restarts_total")) == (1, 1)
    assert after.since(before, "subscriptions_total", server="truth") == 1


def test_a_node_that_drains_says_so(house: House):
    node = house.node(unready_seconds=3)
    assert (Scrape(node)("draining"), Scrape(node)("ready")) == (0, 1)
    node.process.send_signal(signal.SIGTERM)
    until(lambda: Scrape(node)("draining") == 1)
    assert Scrape(node)("ready") == 0


def test_who_reads_too_slowly_is_counted_as_4001_and_what_he_was_spared(house: House):
    loud = {"chat_rate": 1000, "chat_burst": 1000, "crowd_budget": 100_000}
    node = house.node(slow_bytes=1024, cut_bytes=4 * 1024 * 1024, stalled_sweeps=3, **loud)
    room, before = make_room(node), Scrape(node)

    async def show() -> None:
        talker = await join(node, room)
        with Wire(node, upgrade(node, room), hello(token(room)), buffer=4096):
            for n in range(4000):
                await talker.send({"t": "chat.say", "text": f"{n} " + "慢" * 90})
                await asyncio.sleep(0.05 if n % 20 == 0 else 0)
                if n % 200 == 0 and Scrape(node).since(before, "closes_total", code="4001"):
                    break
        await talker.leave()

    asyncio.run(show())
    assert Scrape(node).since(before, "closes_total", code="4001") == 1
    assert Scrape(node).since(before, "dropped_messages_total", class_="crowd", why="slow") > 0


def test_nobody_can_be_told_from_the_labels(node: Node):
    told = Scrape(node)
    labels: defaultdict[str, set[str]] = defaultdict(set)
    for _, given in told.samples:
        for label, value in given:
            labels[label].add(value)
    assert labels.keys() == {*(label for metric in METRICS for label in metric.labels), "le"}
    assert not {"room", "viewer", "name", "ip", "path"} & labels.keys()
    assert labels["code"] >= {*map(str, Code), *(str(int(code)) for code in Close)}
    assert labels["command"] == {str(kind.__struct_config__.tag) for kind in COMMANDS}
    assert all(re.fullmatch(r"/[a-z0-9{}/]+", route) for route in labels["route"])
    assert len(told.samples) < 500


def test_the_names_are_those_of_the_table_and_each_says_what_it_is(node: Node):
    text = Scrape(node).text
    said = set(re.findall(r"^# HELP (liveroom_\S+) \S", text, re.M))
    assert said == {metric.full_name for metric in METRICS}


def test_a_spread_tells_how_many_were_at_most_so_much():
    spread = Spread((1, 2))
    for value in (0.5, 1, 1.5, 2.5, 9):
        spread.note(value)
    assert list(buckets(spread)) == [("1", 2), ("2", 3), ("+Inf", 5)]
    assert spread.total == 14.5
