"""What only --dev serves: the first page, and tokens for whoever asks."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from importlib.resources import files

from msgspec import ValidationError, convert
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gameplay.play import Code, Refusal, Role
from liveroom.http.api import refused, reply
from liveroom.protocol import RoomId
from liveroom.settings import Settings
from liveroom.tokens import is_viewer_id, mint

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css"}


def routes(settings: Settings, now_s: Callable[[], float]) -> list[Route]:
    async def token(request: Request) -> Response:
        asked = request.query_params
        try:
            room = convert(asked.get("room", "demo"), RoomId)
            role = Role(asked.get("role", "viewer"))
        except (ValidationError, ValueError) as error:
            return refused(Refusal(Code.BAD_MESSAGE, {"why": str(error)}, str(error)))
        name = asked.get("name", "")[:40]
        sub = asked.get("sub") or f"{role[0]}_{secrets.token_hex(6)}"
        if not is_viewer_id(sub):
            return refused(Refusal(Code.BAD_MESSAGE, {"field": "sub"}, "sub is at most 64 bytes of printable text"))
        made = mint(
            settings.secret,
            sub=sub,
            room=room,
            role=role,
            name=name,
            ttl_s=12 * 3600,
            now_s=now_s(),
            audience=settings.audience,
            issuer=settings.issuers[0],
        )
        return reply({"token": made})

    return [
        Route("/dev/token", token),
        Route("/", page("index.html")),
        Route("/page.js", page("page.js")),
        Route("/rounds.js", page("rounds.js")),
        Route("/verify.js", page("verify.js")),
        Route("/page.css", page("page.css")),
    ]


def page(name: str) -> Callable[[Request], Response]:
    kind = TYPES[name.rpartition(".")[2]]

    def serve(_: Request) -> Response:
        body = files("liveroom.http").joinpath("page", name).read_bytes()
        return Response(body, media_type=kind, headers=HEADERS)

    return serve
