"""Which web pages may open a viewer's socket, and which may ask over HTTP."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp


def origin_allowed(origin: str | None, host: str, origins: Collection[str], dev: bool) -> bool:
    """No `Origin`: no browser, let in. Else the server's own host, one of ``origins``, or in --dev any loopback."""
    if origin is None or origin in origins:
        return True
    try:
        parts = urlsplit(origin)
        name = parts.hostname
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not name or "@" in parts.netloc:
        return False
    return parts.netloc.lower() == host.lower() or (dev and is_loopback(name))


def is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


class Cors(CORSMiddleware):
    """CORS for ``origins``, and in --dev for any loopback, by the rule of the sockets; the own host needs none."""

    def __init__(self, app: ASGIApp, /, dev: bool, **options: Any) -> None:
        super().__init__(app, **options)
        self.dev = dev

    def is_allowed_origin(self, origin: str) -> bool:
        return super().is_allowed_origin(origin) or origin_allowed(origin, "", (), self.dev)
