"""What is delivered for Prometheus and Grafana agrees with what a node tells, by their own tools' judgement."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.house import House, Node, guests, join, make_room, token
from tests.observability.prometheus import DEPLOY, TOKEN, Prometheus, configured, promtool, scraping
from tests.observability.scraping import Scrape, until

ALERTS = yaml.safe_load((DEPLOY / "alerts.yml").read_text("utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((DEPLOY / "grafana/dashboard.json").read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
NAME = re.compile(r"\b(?:liveroom|process)_[a-z_]+\b|\bup\b")
FIRING = 'count by (alertname) (ALERTS{alertstate="firing"})'

EVER = "x200"
HEALTHY = {
    "up": "1",
    "liveroom_ready": "1",
    "liveroom_draining": "0",
    "liveroom_connections": "1000",
    "liveroom_closes_total{code='4001'}": "0",
    "liveroom_redis_up{server='truth'}": "1",
    "liveroom_redis_seconds_bucket{server='truth',call='sell',le='0.25'}": "0+10",
    "liveroom_redis_seconds_bucket{server='truth',call='sell',le='1.0'}": "0+10",
    "liveroom_redis_seconds_bucket{server='truth',call='sell',le='+Inf'}": "0+10",
    "liveroom_tick_late_seconds_bucket{le='0.1'}": "0+10",
    "liveroom_tick_late_seconds_bucket{le='1.0'}": "0+10",
    "liveroom_tick_late_seconds_bucket{le='+Inf'}": "0+10",
    "liveroom_subscriptions_total{server='truth'}": "1",
    "liveroom_repairs_total{from='snapshot'}": "0",
    "liveroom_repairs_total{from='log'}": "0+1",
    "liveroom_embedded_restarts_total": "0",
    "liveroom_ledger_up": "1",
    "liveroom_ledger_lag_facts{server='truth'}": "100",
    "liveroom_log_lines_total{level='error'}": "0",
    "liveroom_log_lines_total{level='info'}": "0+1",
    "liveroom_refusals_total{code='TRY_LATER'}": "0",
    "liveroom_refusals_total{code='RATE_LIMITED'}": "0+100",
    "liveroom_commands_total{command='chat.say'}": "0+100",
    "process_cpu_seconds_total": "0+5",
    "process_open_fds": "1000",
    "process_max_fds": "20000",
}
SICK: dict[str, dict[str, str]] = {
    "LiveroomNodeDown": {"up": "0"},
    "LiveroomNotReady": {"liveroom_ready": "0"},
    "LiveroomStuckDraining": {"liveroom_ready": "0", "liveroom_draining": "1"},
    "LiveroomRedisDown": {"liveroom_redis_up{server='truth'}": "0"},
    "LiveroomRedisSlow": {"liveroom_redis_seconds_bucket{server='truth',call='sell',le='0.25'}": "0+9"},
    "LiveroomSubscriptionLost": {"liveroom_subscriptions_total{server='truth'}": "0+1"},
    "LiveroomRoomsReset": {"liveroom_repairs_total{from='snapshot'}": "0+1"},
    "LiveroomEmbeddedServerRestarted": {"liveroom_embedded_restarts_total": "0+1"},
    "LiveroomLedgerDown": {"liveroom_ledger_up": "0"},
    "LiveroomLedgerBehind": {"liveroom_ledger_lag_facts{server='truth'}": "20000"},
    "LiveroomTicksLate": {"liveroom_tick_late_seconds_bucket{le='0.1'}": "0+9"},
    "LiveroomCpuFull": {"process_cpu_seconds_total": "0+9.9"},
    "LiveroomSlowViewers": {"liveroom_closes_total{code='4001'}": "0+5"},
    "LiveroomErrors": {"liveroom_log_lines_total{level='error'}": "0+1"},
    "LiveroomManyTryLater": {"liveroom_refusals_total{code='TRY_LATER'}": "0+10"},
    "LiveroomFilesNearlyOut": {"process_open_fds": "19000"},
}


def judged(name: str, values: dict[str, str], firing: list[str]) -> dict[str, Any]:
    """One case for promtool: these series every ten seconds, and what fires after half an hour."""
    series = [
        {"series": re.sub(r"[{]|$", lambda at: '{job="liveroom",instance="a:1"' + ("," if at[0] else "}"), key, count=1)
        .replace("'", '"'), "values": f"{value}{EVER}"}
        for key, value in values.items()
    ]  # fmt: skip
    samples = [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in firing]
    asked = [{"expr": FIRING, "eval_time": "30m", "exp_samples": samples}]
    return {"name": name, "interval": "10s", "input_series": series, "promql_expr_test": asked}


def test_what_a_node_tells_is_well_formed(node: Node):
    assert promtool("check", "metrics", said=Scrape(node).text) == ""


def test_the_rules_and_the_configuration_are_good(tmp_path: Path):
    promtool("check", "rules", str(DEPLOY / "alerts.yml"))
    promtool("check", "config", str(configured(tmp_path, "127.0.0.1:1")))


def test_each_alert_fires_when_it_should_and_only_then(tmp_path: Path):
    cases = [judged("all is well", HEALTHY, [])]
    cases += [judged(alert, HEALTHY | values, [alert]) for alert, values in SICK.items()]
    written = {"rule_files": [str(DEPLOY / "alerts.yml")], "evaluation_interval": "10s", "tests": cases}
    (tmp_path / "cases.yml").write_text(yaml.safe_dump(written))
    promtool("test", "rules", str(tmp_path / "cases.yml"))


def test_each_alert_says_how_bad_it_is_and_what_to_do():
    assert [rule["alert"] for rule in RULES] == list(SICK)
    for rule in RULES:
        assert rule["labels"]["severity"] in ("page", "warn"), rule["alert"]
        assert len(rule["annotations"]["action"]) > 40, rule["alert"]
        assert rule["annotations"]["summary"]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has watched two nodes through a little show."""
    folder = tmp_path_factory.mktemp("watched")
    house = House(folder / "data")
    try:
        one, two = house.node(metrics_token=TOKEN), house.node(metrics_token=TOKEN)
        with scraping(folder, one, two) as prometheus:
            until(lambda: len(prometheus.query("liveroom_ready == 1")) == 2)
            asyncio.run(show(one, two))
            last = int(Scrape(one)("comments_total"))
            until(lambda: prometheus.query(f"sum(liveroom_comments_total) >= {last}"))
            until(lambda: prometheus.query("sum(rate(liveroom_comments_total[10s])) > 0"))
            yield prometheus
    finally:
        house.stop()


async def show(one: Node, two: Node) -> None:
    room = make_room(one)
    async with guests(join(one, room), join(two, room), join(one, room, "host")) as (ann, bob, host):
        for n in range(6):
            await ann.say(f"comment {n}")
            await bob.ask("like.add", n=3)
            await host.ask("room.notice", text=f"notice {n}")
            await asyncio.to_thread(one.http, "GET", f"/v1/rooms/{room}", None, token(room))
            await asyncio.sleep(0.5)


def filled(expression: str) -> str:
    """As Grafana sends it."""
    return expression.replace("$__rate_interval", "15s").replace("$instance", ".*")


@pytest.mark.parametrize(("title", "expression"), QUERIES, ids=[f"{n} {title}" for n, (title, _) in enumerate(QUERIES)])
def test_every_query_of_the_dashboard_returns_data(watched: Prometheus, title: str, expression: str):
    assert watched.query(filled(expression)), title


def test_every_alert_is_loaded_and_can_be_judged(watched: Prometheus):
    loaded = {rule["name"]: rule for group in watched.get("rules")["groups"] for rule in group["rules"]}
    assert list(loaded) == list(SICK)
    until(lambda: all(rule["health"] == "ok" for group in watched.get("rules")["groups"] for rule in group["rules"]))
    for rule in RULES:
        watched.query(rule["expr"])
        for name in NAME.findall(rule["expr"]):
            assert watched.query(name), f"{rule['alert']}: there is no {name}"


def test_nothing_is_wrong_with_a_little_show(watched: Prometheus):
    urgent = watched.query('ALERTS{alertstate="firing",severity="page"}')
    assert urgent == []


def test_the_dashboard_hangs_together():
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    source = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text("utf-8"))
    uids = {source["uid"] for source in source["datasources"]}
    assert {panel["datasource"]["uid"] for panel in PANELS} == uids
    assert all(panel["title"] and panel["targets"] for panel in PANELS)
