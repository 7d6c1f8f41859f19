"""`/metrics`: what the node counts, for Prometheus, told to whom the setting `metrics` allows."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from liveroom.settings import Settings

TEXT = "text/plain; version=0.0.4; charset=utf-8"
PROXIED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
WHO = (
    "metrics are told to this machine only: ask from there, set metrics_token and send it as a bearer token,"
    " or set metrics = open\n"
)


def routes(settings: Settings, exposition: Callable[[], bytes]) -> list[Route]:
    async def metrics(request: Request) -> Response:
        if not may_read(settings, request):
            return Response(WHO, 403, media_type="text/plain")
        return Response(exposition(), headers={"Content-Type": TEXT, "Cache-Control": "no-store"})

    return [] if settings.metrics == "off" else [Route("/metrics", metrics)]


def may_read(settings: Settings, request: Request) -> bool:
    return settings.metrics == "open" or has_token(settings, request) or is_from_here(request)


def has_token(settings: Settings, request: Request) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    wanted = settings.metrics_token.encode()
    return bool(wanted) and scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), wanted)


def is_from_here(request: Request) -> bool:
    """From this machine, for this machine: not by way of a proxy, nor of a page whose name was turned to us."""
    proxied = any(name in request.headers for name in PROXIED)
    peer = request.client.host if request.client else ""
    return not proxied and is_loopback(peer) and is_loopback(request.url.hostname or "")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
