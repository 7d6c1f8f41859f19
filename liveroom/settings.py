"""Everything an operator may set: one frozen Struct, from defaults, a TOML file, the environment and flags."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from msgspec import Meta, Struct, ValidationError, convert
from msgspec.structs import asdict

PREFIX = "LIVEROOM_"
SECRET_BYTES = 32  # the least a signing secret may have
SECRETS = ("secret", "draw_key", "metrics_token", "review_secret")
NOT_OURS = ("LIVEROOM_SERVICE_", "LIVEROOM_PORT_")  # Kubernetes sets these for a service named "liveroom"

Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]
MetricsToken = Annotated[str, Meta(pattern=r"^(?:[!-~]{16,})?$(?!\n)")]


class SettingsError(Exception):
    """One line for the operator: what is wrong and what to do."""


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """Times in seconds unless the name says ``_ms``; sizes in bytes."""

    # where
    host: str = "127.0.0.1"  # the address to listen on; 0.0.0.0 or :: for all
    port: Annotated[int, Meta(ge=0, le=65535)] = 8000  # 0 takes a free one
    data: str = "./.liveroom"  # the folder for the embedded server, the ledger and the secret of `dev`
    redis: str = ""  # empty: the embedded server in `data`
    live_redis: str = ""  # crowd, likes, presence; empty: the same server
    ledger: str = ""  # SQLAlchemy URL; empty: SQLite in `data`
    shards: Annotated[int, Meta(ge=1, le=1024)] = 16  # of the keys; written into the data at the first start
    dev: bool = False  # for development: a secret, a demo room, a page, tokens for all; this machine only
    root_path: str = ""  # what a proxy in front leaves on the path, as /live
    trusted_proxies: tuple[str, ...] = ()  # addresses whose X-Forwarded-For is believed
    reuse_port: bool = False  # several nodes listen on one port of a machine, one per core

    # who
    secret: str = ""  # signs tokens with HS256; 32 bytes or more. Either this or `jwks` must be set
    draw_key: str = ""  # makes the seeds of draws; empty: made from the secret. Changed, it voids the draws under way
    jwks: str = ""  # a JWKS file; instead of the secret, never beside it
    audience: str = "liveroom"  # that tokens are for (`aud`)
    issuers: tuple[str, ...] = ("liveroom",)  # whose tokens are believed (`iss`)
    origins: tuple[str, ...] = ()  # besides the server's own host
    token_hours: Seconds = 24  # the longest that a token may last

    # the room
    crowd_budget: Positive = 30  # comments per second that a viewer is shown
    chat_rate: Annotated[float, Meta(gt=0)] = 1  # comments per second that a viewer may say
    chat_burst: Positive = 3  # and so many at once
    duplicate_seconds: Seconds = 10  # the same text is not said twice within it
    resume_seconds: Seconds = 120  # who comes back within it gets what he missed
    resume_events: Positive = 1000  # unless that is more than so many events
    history: Positive = 500  # comments kept for `history.get`
    compression: Literal["off", "on"] = "off"  # on: permessage-deflate for who offers it, made once per tick
    window_ms: Positive = 100  # the longest tick, unless telling a room takes most of it
    lite_ms: Positive = 1000  # the tick of who asked for the profile `lite`
    lite_budget: Positive = 5  # comments per second that he is shown
    min_ms: Positive = 3000  # the tick of who asked for the profile `min`
    connections: Positive = 5  # per viewer and room

    # moderation
    word_list: str = ""  # a file of words that no comment may hold; it is read again when it changes
    review_url: str = ""  # asked about each comment before the room sees it; empty: nobody is asked
    review_secret: str = ""  # signs what is posted there; `whsec_…` as in Standard Webhooks, or any text
    review_seconds: Seconds = 0.5  # an answer is waited for; then the fallback decides
    review_at_once: Positive = 64  # comments of this node that wait for it; the fallback decides on more
    review_fallback: Literal["allow", "deny"] = "allow"  # what becomes of a comment that was not reviewed
    shadow_blocked: bool = False  # who says a blocked word is not told, and alone sees his comment

    # the audience
    grace_seconds: Annotated[float, Meta(ge=0)] = 60  # one may be away for so long without having left

    # sales
    durability: Literal["strict", "relaxed"] = "strict"  # relaxed: sell although Redis may lose what it acknowledges
    offer_seconds: Seconds = 30  # how long a unit is kept for who waited for it
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)")] = "CNY"  # of rooms that were made without one

    # patience
    header_start_seconds: Seconds = 5  # a connection says its first byte within it
    header_seconds: Seconds = 10  # and ends its headers, its body, and reads some of an answer, within so long each
    hello_seconds: Seconds = 5  # a viewer says `hello` within it, else 4408
    heartbeat_ms: Positive = 15_000  # a room that is told nothing for so long is told a `beat`
    ping_seconds: Seconds = 20  # between two pings to a viewer
    dead_seconds: Seconds = 45  # a connection that is silent for so long is dead: 4002
    slow_bytes: Positive = 64 * 1024  # may wait for a viewer; above it he gets the essential only
    cut_bytes: Positive = 256 * 1024  # above it he is cut: 4001
    stalled_sweeps: Positive = 10  # so many seconds without progress: 4001
    step_down_sweeps: Positive = 3  # so many seconds over half of slow_bytes: the next smaller profile
    calm_sweeps: Positive = 60  # so many in which nothing waited: the next greater one, up to what was asked for
    close_seconds: Seconds = 5  # a close frame is given so long to be answered
    redis_seconds: Seconds = 1  # how long an answer of Redis is waited for
    lease_seconds: Seconds = 15  # a node silent for so long has left its rooms
    unready_seconds: Annotated[float, Meta(ge=0)] = 0  # /readyz says no for so long before anybody is sent away
    drain_seconds: Seconds = 5  # then they are sent away over so long, with 4000
    hold_seconds: Seconds = 30  # a room without viewers stays in memory

    # the operator
    log_format: Literal["auto", "console", "json"] = "auto"  # console on a terminal, else one JSON object a line
    log_level: Literal["debug", "info", "warning", "error"] = "info"  # the least that is logged
    metrics: Literal["loopback", "open", "off"] = "loopback"  # who is answered at /metrics: this machine, all, nobody
    metrics_token: MetricsToken = ""  # whoever sends it as a bearer token is answered too; 16 characters or more

    # tests of what happens when a node dies
    crash_at: str = ""  # with `dev`: the name of the point at which this node kills itself


FIELDS = {name: get_type_hints(Settings, include_extras=True)[name] for name in Settings.__struct_fields__}


def read_settings(toml: str, environ: Mapping[str, str], flags: Mapping[str, Any]) -> tuple[Settings, list[str]]:
    """Settings and warnings. Flags go before the environment, that before TOML, that before the defaults.

    Raises SettingsError with one line that names the key and what to do.
    """
    values = from_toml(toml)
    found, warnings = from_environ(environ)
    values |= found
    values |= {name: value for name, value in flags.items() if value is not None}
    try:
        return convert(values, Settings, strict=False), warnings
    except ValidationError as error:
        raise SettingsError(f"a setting has a bad value: {error}") from None


def from_toml(text: str) -> dict[str, Any]:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the configuration file is not TOML: {error}") from None
    for key in values:
        if key not in FIELDS:
            raise SettingsError(f"unknown setting {key!r} in the configuration file{nearest(key)}")
    return values


def from_environ(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    warnings = []
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable.startswith(NOT_OURS) or value.startswith("tcp://"):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name in FIELDS:
            values[name] = value.split(",") if FIELDS[name] == tuple[str, ...] else value
        else:
            warnings.append(f"unknown variable {variable} is ignored{nearest(name, PREFIX)}")
    return values, warnings


def nearest(name: str, prefix: str = "") -> str:
    close = difflib.get_close_matches(name, FIELDS, n=1, cutoff=0.5)
    if not close:
        return ""
    return f"; did you mean {prefix + close[0].upper() if prefix else repr(close[0])}?"


def find_secret(environ: Mapping[str, str], data: Path) -> str:
    """The signing secret: LIVEROOM_SECRET, else the one that `run --dev` keeps in DATA/secret.

    Raises SettingsError where there is none or it is shorter than 32 bytes.
    """
    secret = environ.get("LIVEROOM_SECRET", "")
    kept = data / "secret"
    if not secret and kept.is_file():
        secret = kept.read_text("utf-8").strip()
    if not secret:
        raise SettingsError(f"no secret: set LIVEROOM_SECRET, or name the --data folder of a --dev server (no {kept})")
    if len(secret.encode()) < SECRET_BYTES:
        raise SettingsError(f"the secret is too short: LIVEROOM_SECRET needs at least {SECRET_BYTES} bytes")
    return secret


def told(settings: Settings) -> dict[str, Any]:
    """The settings as may be shown: without the secret and without passwords."""
    shown = asdict(settings)
    for name in SECRETS:
        shown[name] = "set" if shown[name] else ""
    for name in ("redis", "live_redis", "ledger"):
        shown[name] = without_password(shown[name])
    return shown


def without_password(url: str) -> str:
    scheme, found, rest = url.partition("://")
    return f"{scheme}://…@{rest.rpartition('@')[2]}" if found and "@" in rest else url
