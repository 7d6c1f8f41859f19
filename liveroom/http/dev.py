"""What only --dev serves: the first page, tokens for whoever asks, and a shop where everything can be paid."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from importlib.resources import files

from msgspec import Struct, ValidationError, convert
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gameplay.play import Role, bad
from gameplay.text import is_viewer_id
from liveroom.http.api import answered, body_as, done, refused, reply
from liveroom.http.calls import PAY, TOKEN, Basket
from liveroom.protocol import RoomId, complaint
from liveroom.settings import Settings
from liveroom.till import Till
from liveroom.tokens import mint

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


class Wish(Struct, frozen=True):
    """For whom a token is asked."""

    room: RoomId = "demo"
    role: Role = Role.VIEWER


def routes(settings: Settings, now_s: Callable[[], float], till: Till) -> list[Route]:
    async def token(request: Request) -> Response:
        asked = request.query_params
        try:
            wish = convert(dict(asked), Wish)
        except ValidationError as error:
            return refused(bad(*complaint(str(error)), str(error)))
        name = asked.get("name", "")[:40]
        sub = asked.get("sub") or f"{wish.role[0]}_{secrets.token_hex(6)}"
        if not is_viewer_id(sub):
            return refused(bad("sub", "sub is at most 64 bytes of printable text"))
        made = mint(
            settings.secret,
            sub=sub,
            room=wish.room,
            role=wish.role,
            name=name,
            ttl_s=12 * 3600,
            now_s=now_s(),
            audience=settings.audience,
            issuer=settings.issuers[0],
        )
        return reply({"token": made})

    async def pay(request: Request) -> Response:
        """A payment as a shop reports it. A second press is the same payment: its id is the hold's."""
        basket = await body_as(request, Basket)
        if basket.fail:
            return done(await till.release(basket.room, basket.hold, "the payment failed"))
        return done(await till.confirm(basket.room, basket.hold, f"demo-{basket.hold}", int(now_s() * 1000)))

    return [
        Route(TOKEN.path, token),
        Route(PAY.path, answered(pay), methods=[PAY.method]),
        Route("/", page("index.html")),
        Route("/page.js", page("page.js")),
        Route("/rounds.js", page("rounds.js")),
        Route("/sale.js", page("sale.js")),
        Route("/audience.js", page("audience.js")),
        Route("/staff.js", page("staff.js")),
        Route("/cohorts.js", page("cohorts.js")),
        Route("/coming.js", page("coming.js")),
        Route("/questions.js", page("questions.js")),
        Route("/card.js", page("card.js")),
        Route("/verify.js", page("verify.js")),
        Route("/page.css", page("page.css")),
    ]


def page(name: str) -> Callable[[Request], Response]:
    kind = TYPES[name.rpartition(".")[2]]

    def serve(_: Request) -> Response:
        body = files("liveroom.http").joinpath("page", name).read_bytes()
        return Response(body, media_type=kind, headers=HEADERS)

    return serve
