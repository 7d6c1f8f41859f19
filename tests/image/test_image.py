"""The image is unprivileged and can be stopped; what is composed of it fits together and into the settings."""

import re
from pathlib import Path

import pytest
import yaml

from liveroom import health
from liveroom.settings import FIELDS, PREFIX, Settings, read_settings
from tests.house import Node
from tests.image.recipe import (
    ROOT,
    Unset,
    compose,
    copied,
    dockerfile,
    environment,
    ignored,
    last,
    nodes,
    put_in,
    services,
)

SECRETS = {"LIVEROOM_SECRET": "s" * 32, "LIVEROOM_METRICS_TOKEN": "m" * 16}
MOST_BYTES = 4 * 1024 * 1024


def test_what_is_copied_is_there_and_is_not_ignored():
    assert copied()
    for path in copied():
        assert path.exists(), path
        assert not ignored(path), path


def test_the_build_is_handed_nothing_that_it_does_not_copy():
    handed = [path for path in ROOT.iterdir() if not ignored(path)]
    assert sorted(handed) == sorted(copied())
    assert ignored(ROOT / ".git")
    assert ignored(ROOT / "liveroom/store/__pycache__")
    files = (file for path in copied() for file in ([path] if path.is_file() else path.rglob("*")))
    assert sum(file.stat().st_size for file in files if file.is_file() and not ignored(file)) < MOST_BYTES


def test_it_is_built_in_one_stage_and_runs_in_another():
    bases = [step.words[0] for step in dockerfile() if step.verb == "FROM"]
    assert len(bases) == 2
    assert all(re.fullmatch(r"python:3\.\d+-slim", base) for base in bases)
    assert not any("pip" in step.said for step in dockerfile() if step.stage == 1)


def test_it_is_not_root_and_is_told_to_stop_itself():
    assert last("USER").said not in ("root", "0", "")
    assert (last("ENTRYPOINT").exec_form, last("CMD").exec_form) == (["liveroom"], ["run"])
    assert last("STOPSIGNAL").said == "SIGTERM"


def test_its_health_is_asked_by_a_module_that_is_there():
    command = last("HEALTHCHECK").exec_form
    assert command is not None
    assert command[:2] == ["python", "-m"]
    assert (ROOT / f"{command[2].replace('.', '/')}.py").is_file()


def test_its_environment_is_good_settings():
    ours = {name: value for name, value in environment().items() if name.startswith(PREFIX)}
    settings, warnings = read_settings("", ours, {})
    assert warnings == []
    assert last("EXPOSE").said == str(settings.port) == str(Settings().port)
    assert last("VOLUME").said == settings.data == last("WORKDIR").said
    assert settings.host == "0.0.0.0"


@pytest.mark.parametrize("name", nodes())
def test_a_composed_node_has_good_settings(name: str):
    given = {key: put_in(str(value), SECRETS) for key, value in nodes()[name]["environment"].items()}
    assert {key.removeprefix(PREFIX).lower() for key in given} <= FIELDS.keys()
    settings, warnings = read_settings("", environment() | given, {})
    assert (warnings, settings.dev) == ([], False)
    grace = float(nodes()[name]["stop_grace_period"].removesuffix("s"))
    assert grace > settings.unready_seconds + settings.drain_seconds + 10
    (port,) = nodes()[name]["ports"]
    assert port.startswith("127.0.0.1:")
    assert port.endswith(f":{settings.port}")


@pytest.mark.parametrize("name", SECRETS)
def test_nothing_starts_without_a_secret_and_it_says_what_to_set(name: str):
    text = (ROOT / "compose.yaml").read_text("utf-8")
    with pytest.raises(Unset, match=f"{name}: set it to .* or more"):
        put_in(text, {key: value for key, value in SECRETS.items() if key != name})
    assert "MISSING" not in put_in(text, SECRETS)


def test_what_is_named_is_there():
    volumes, secrets = compose()["volumes"], compose()["secrets"]
    for name, one in services().items():
        assert one["image"] if "build" not in one else (ROOT / one["build"] / "Dockerfile").is_file(), name
        assert ":latest" not in one["image"]
        assert set(one.get("depends_on", ())) <= services().keys()
        assert set(one.get("secrets", ())) <= secrets.keys()
        for mount in one.get("volumes", ()):
            source, _, rest = mount.partition(":")
            assert (ROOT / source).exists() if source.startswith(".") else source in volumes, mount
            assert not source.startswith(".") or rest.endswith(":ro"), mount


def test_no_two_services_take_one_port():
    ports = [port.rpartition(":")[0] for one in services().values() for port in one.get("ports", ())]
    assert len(set(ports)) == len(ports)
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_redis_keeps_every_write():
    words = services()["redis"]["command"]
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "always"
    assert options["--maxmemory-policy"] == "noeviction"


def test_prometheus_scrapes_the_nodes_and_grafana_finds_prometheus():
    config = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text("utf-8"))
    (scrape,) = config["scrape_configs"]
    (targets,) = scrape["static_configs"]
    assert targets["targets"] == [f"{name}:{environment()['LIVEROOM_PORT']}" for name in nodes()]
    assert scrape["authorization"]["credentials_file"] == "/run/secrets/metrics_token"
    assert compose()["secrets"]["metrics_token"] == {"environment": "LIVEROOM_METRICS_TOKEN"}
    mounted = [mount.split(":")[1] for mount in services()["prometheus"]["volumes"]]
    assert {f"/etc/prometheus/{name}" for name in ("prometheus.yml", *config["rule_files"])} <= set(mounted)
    source = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text("utf-8"))
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    provider = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/liveroom.yml").read_text("utf-8"))
    folder = provider["providers"][0]["options"]["path"]
    assert any(mount.split(":")[1].startswith(f"{folder}/") for mount in services()["grafana"]["volumes"])


# --- the question that HEALTHCHECK asks ---


def test_health_is_that_of_the_node(node: Node):
    host, port = node.address
    at = {"LIVEROOM_HOST": host, "LIVEROOM_PORT": str(port), "http_proxy": "http://127.0.0.1:1"}
    assert health.main([], at) is None
    assert health.main(["ready"], at) is None


@pytest.mark.parametrize(("host", "asked"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("10.0.0.1", "10.0.0.1")])
def test_a_node_that_listens_everywhere_is_asked_here(host: str, asked: str):
    assert health.address({"LIVEROOM_HOST": host}, "live") == f"http://{asked}:8000/livez"


def test_a_node_that_is_not_there_is_not_healthy(tmp_path: Path):
    said = health.main([], {"LIVEROOM_PORT": "1"})
    assert said
    assert said.startswith("liveroom: no answer at http://127.0.0.1:1/livez")
    assert health.main(["well"], {}) == health.USE
