"""A viewer's handshake: which page and which subprotocol, judged before the first frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

from websockets.datastructures import Headers
from websockets.exceptions import NegotiationError
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from liveroom.gateway.origin import origin_allowed
from liveroom.protocol import CODECS, MOST_IN

if TYPE_CHECKING:
    from liveroom.gateway.gateway import Gateway


def new_core(gateway: Gateway) -> ServerProtocol:
    """The sans-I/O core of one connection, past its request: that is read by the front; what comes now is frames."""
    return ServerProtocol(
        subprotocols=[Subprotocol(name) for name in CODECS],
        select_subprotocol=choose_subprotocol,
        extensions=gateway.extensions,
        state=State.OPEN,
        max_size=MOST_IN,
        logger=gateway.quiet,
    )


def choose_subprotocol(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The first that we speak; none offered means JSON; only strange ones are refused with HTTP 400."""
    if not offered:
        return None
    for name in offered:
        if name in CODECS:
            return name
    raise NegotiationError(f"offer one of the subprotocols {', '.join(CODECS)}, or none")


def judged(gateway: Gateway, core: ServerProtocol, request: Request) -> tuple[Response, str]:
    """The handshake's answer, 101 or why not, and the room that is asked for."""
    room = gateway.room_of(unquote(request.path.partition("?")[0]))
    if room is None:
        return core.reject(404, "There is no such page; viewers join at /v1/rooms/{room}/ws\n"), ""
    if not from_allowed_page(gateway, request.headers):
        return core.reject(403, "This origin is not allowed; add it to the setting `origins`\n"), room
    if gateway.draining:
        return core.reject(503, "This node is going away; come back\n"), room
    return core.accept(request), room


def from_allowed_page(gateway: Gateway, headers: Headers) -> bool:
    origins = headers.get_all("Origin")
    settings = gateway.settings
    origin = origins[0] if origins else None
    host = "".join(headers.get_all("Host")[:1])
    return len(origins) < 2 and origin_allowed(origin, host, settings.origins, settings.dev)
