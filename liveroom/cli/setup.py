"""The settings with which `run` serves, and the secret that is made where none is set."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer
from msgspec.structs import replace

from liveroom.settings import SECRET_BYTES, Settings, SettingsError, find_secret, read_settings
from liveroom.signing import key_of

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def settings_from(config: Path | None, flags: dict[str, Any]) -> Settings:
    """Settings from everywhere; warnings go to stderr. Raises SettingsError."""
    try:
        toml = config.read_text("utf-8") if config else ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the configuration file {config} cannot be read: {error}") from None
    settings, warnings = read_settings(toml, os.environ, flags)
    for warning in warnings:
        typer.echo(f"liveroom: {warning}", err=True)
    return settings


def with_secret(settings: Settings) -> Settings:
    """The same settings, able to judge tokens. Raises SettingsError."""
    if settings.dev and settings.host not in LOOPBACK:
        raise SettingsError(f"--dev serves this machine only: leave out --host {settings.host}, or leave out --dev")
    if settings.secret and settings.jwks:
        raise SettingsError("both a secret and jwks are set: one family of keys is accepted, take one of them away")
    if settings.secret and len(settings.secret.encode()) < SECRET_BYTES:
        raise SettingsError(f"the secret is too short: LIVEROOM_SECRET needs at least {SECRET_BYTES} bytes")
    check_review(settings)
    if settings.secret or settings.jwks:
        return settings
    if not settings.dev:
        raise SettingsError("no secret: set LIVEROOM_SECRET (32 bytes or more) or jwks, or use --dev to try it out")
    return replace(settings, secret=kept_secret(Path(settings.data)))


def check_review(settings: Settings) -> None:
    """Raises SettingsError where the review hook cannot be asked as it is set."""
    if not settings.review_url:
        return
    try:
        url = urlsplit(settings.review_url)
        fine = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        fine = False
    if not fine or not settings.review_url.isascii() or not settings.review_url.isprintable():
        raise SettingsError("review_url is not an http:// or https:// URL")
    if not settings.review_secret:
        raise SettingsError("review_url is set without review_secret: set one, by which the hook knows who asks")
    try:
        key_of(settings.review_secret)
    except ValueError as error:
        raise SettingsError(f"review_secret: {error}") from None


def kept_secret(data: Path) -> str:
    """The secret in the data folder, made on first use; of several processes one makes it and all read it."""
    kept = data / "secret"
    if not kept.is_file():
        try:
            make_secret(kept)
        except OSError as error:
            raise SettingsError(f"no secret can be kept in {data} ({error.strerror}): use another --data") from None
    return find_secret({}, data)


def make_secret(kept: Path) -> None:
    """Linked into place when whole: nobody reads half a secret, and the first one wins."""
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=kept.parent, prefix="secret-")  # made with O_EXCL and mode 600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(SECRET_BYTES))
        with suppress(FileExistsError):
            os.link(draft, kept)
    finally:
        os.unlink(draft)
