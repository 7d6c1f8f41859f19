"""Which web pages may open a viewer's socket."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit


def origin_allowed(origin: str | None, host: str, origins: Collection[str], dev: bool) -> bool:
    """No `Origin`: no browser, let in. Else the server's own host, one of ``origins``, or in --dev any loopback."""
    if origin is None or origin in origins:
        return True
    try:
        parts = urlsplit(origin)
        name = parts.hostname
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not name:
        return False
    return parts.netloc.lower() == host.lower() or (dev and is_loopback(name))


def is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
