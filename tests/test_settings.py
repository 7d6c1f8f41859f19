"""Settings come from four places in a fixed order, and a mistake is one line that names the cure."""

from pathlib import Path

import pytest

from liveroom.settings import Settings, SettingsError, find_secret, read_settings, told

SECRET = "x" * 32


def test_nothing_set_is_the_defaults():
    assert read_settings("", {}, {}) == (Settings(), [])


def test_flags_go_before_environment_before_toml_before_defaults():
    toml = 'host = "toml"\nport = 1\nshards = 4'
    settings, _ = read_settings(toml, {"LIVEROOM_PORT": "2", "LIVEROOM_HOST": "env"}, {"host": "flag", "port": None})
    assert (settings.host, settings.port, settings.shards, settings.window_ms) == ("flag", 2, 4, 100)


def test_an_unknown_toml_key_is_an_error_that_names_the_nearest():
    with pytest.raises(SettingsError, match=r"'crowd_budgt'.*did you mean 'crowd_budget'"):
        read_settings("crowd_budgt = 5", {}, {})


def test_an_unknown_variable_is_a_warning_that_names_the_nearest():
    _, warnings = read_settings("", {"LIVEROOM_CROWD_BUGET": "5", "LIVEROOM_ZZZZZZ": "5"}, {})
    assert warnings == [
        "unknown variable LIVEROOM_CROWD_BUGET is ignored; did you mean LIVEROOM_CROWD_BUDGET?",
        "unknown variable LIVEROOM_ZZZZZZ is ignored",
    ]


def test_what_kubernetes_sets_is_ignored_in_silence():
    environ = {
        "LIVEROOM_SERVICE_HOST": "10.0.0.1",
        "LIVEROOM_SERVICE_PORT_WS": "8000",
        "LIVEROOM_PORT": "tcp://10.0.0.1:8000",
        "LIVEROOM_PORT_8000_TCP_ADDR": "10.0.0.1",
        "HOME": "/",
    }
    assert read_settings("", environ, {}) == (Settings(), [])


@pytest.mark.parametrize(
    ("toml", "environ"),
    [
        ("port = 70000", {}),
        ('port = "many"', {}),
        ("", {"LIVEROOM_PORT": "-1"}),
        ("", {"LIVEROOM_CROWD_BUDGET": "0"}),
        ("", {"LIVEROOM_DEV": "perhaps"}),
        ("port 8000", {}),
    ],
)
def test_a_bad_value_is_one_line(toml: str, environ: dict[str, str]):
    with pytest.raises(SettingsError) as caught:
        read_settings(toml, environ, {})
    assert "\n" not in str(caught.value)


def test_a_bad_value_is_named():
    with pytest.raises(SettingsError, match="port"):
        read_settings("port = 70000", {}, {})


def test_lists_are_separated_by_commas_in_a_variable():
    settings, _ = read_settings("", {"LIVEROOM_ORIGINS": "https://a,https://b", "LIVEROOM_DEV": "true"}, {})
    assert (settings.origins, settings.dev) == (("https://a", "https://b"), True)


def test_the_secret_of_the_environment_goes_before_the_kept_one(tmp_path: Path):
    (tmp_path / "secret").write_text("k" * 43 + "\n")
    assert find_secret({}, tmp_path) == "k" * 43
    assert find_secret({"LIVEROOM_SECRET": SECRET}, tmp_path) == SECRET


@pytest.mark.parametrize(("environ", "why"), [({}, "no secret"), ({"LIVEROOM_SECRET": "short"}, "32 bytes")])
def test_a_secret_that_is_missing_or_short_is_one_line(tmp_path: Path, environ: dict[str, str], why: str):
    with pytest.raises(SettingsError, match=why):
        find_secret(environ, tmp_path)


def test_the_length_of_a_secret_counts_bytes(tmp_path: Path):
    assert find_secret({"LIVEROOM_SECRET": "密" * 11}, tmp_path) == "密" * 11


def test_settings_are_told_without_what_is_secret():
    shown = told(Settings(secret=SECRET, redis="redis://me:word@host:6379/0", live_redis="unix:///tmp/s"))
    assert (shown["secret"], shown["redis"], shown["live_redis"]) == ("set", "redis://…@host:6379/0", "unix:///tmp/s")
