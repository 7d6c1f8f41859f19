"""What the command line needs to speak to a server: its address, a token, one HTTP call."""

from __future__ import annotations

import os
import re
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from liveroom.client import Closed, Unreachable
from liveroom.settings import SettingsError, find_secret, read_settings

DEFAULT_URL = "http://127.0.0.1:8000"
PATIENCE_SECONDS = 15


class Trouble(Exception):
    """One line for whoever sits at the terminal: what is wrong and what to do."""


class Reply(NamedTuple):
    """An answer over HTTP."""

    status: int
    body: Any

    @property
    def good(self) -> bool:
        return self.status < 400

    @property
    def complaint(self) -> str:
        said = self.body if isinstance(self.body, dict) else {}
        return f"{said.get('code', self.status)}: {said.get('message', 'the server gave no reason')}"


class Server:
    """Where a server is and how its tokens are made."""

    def __init__(self, url: str | None, token: str | None, data: Path | None) -> None:
        self.settings, _ = read_settings("", os.environ, {"data": str(data) if data else None})
        self.data = Path(self.settings.data)
        self.url = checked_url(url or kept_url(self.data))
        self.token = token

    def mint(self, sub: str, room: str, role: str = "viewer", name: str = "", ttl_s: float = 3600) -> str:
        """A new token. Raises SettingsError where no secret is found or the token would be refused."""
        from liveroom.tokens import mint

        if ttl_s > self.settings.token_hours * 3600:
            raise SettingsError(f"a token lasts at most {self.settings.token_hours:g} hours (setting token_hours)")
        secret = find_secret(os.environ, self.data)
        return mint(
            secret,
            sub=sub,
            room=room,
            role=role,
            name=name,
            ttl_s=ttl_s,
            now_s=time.time(),
            audience=self.settings.audience,
            issuer=self.settings.issuers[0],
        )

    def token_for(self, sub: str, room: str, role: str = "viewer", name: str = "") -> str:
        """The token that was given, else a new one."""
        return self.token or self.mint(sub, room, role, name)

    def call(self, method: str, path: str, token: str, body: Any = None) -> Reply:
        """Raises Trouble where nobody answers."""
        status, answer = self.fetch(method, path, token, body)
        return Reply(status, parsed(answer))

    def fetch(self, method: str, path: str, token: str, body: Any = None) -> tuple[int, bytes]:
        """Status and body of an answer, whatever it is. Raises Trouble where there is none."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = None if body is None else msgspec.json.encode(body)
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read()
        except (OSError, HTTPException) as error:
            raise unreachable(self.url, getattr(error, "reason", error)) from None


def unreachable(url: str, why: object) -> Trouble:
    said = " ".join(str(why).split())  # one line, whoever answers what
    return Trouble(f"no server at {url} ({said}): start one with `liveroom run --dev`, or name it with --url")


def trouble(error: Closed | Unreachable, url: str, room: str) -> Trouble:
    """What a failed join means to whoever typed the command."""
    if isinstance(error, Unreachable):
        return unreachable(url, error)
    wrong = {
        4500: "the token is not accepted: it is for another room or server, or expired; check --token or --data",
        4502: f"banned from room {room!r}",
        4503: "replaced: this viewer has joined from elsewhere",
        4504: f"room {room!r} is closed or unknown: `liveroom rooms` lists the rooms",
    }
    return Trouble(wrong.get(error.code, f"the server ended it: {error}"))


def kept_url(data: Path) -> str:
    """A server keeps its address in its data folder."""
    kept = data / "url"
    return (kept.read_text("utf-8").strip() if kept.is_file() else "") or DEFAULT_URL


def checked_url(url: str) -> str:
    if not re.match(r"https?://[^/]", url):
        raise Trouble(f"{url!r} is no address of a server: --url takes one like {DEFAULT_URL}")
    return url.rstrip("/")


def parsed(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
