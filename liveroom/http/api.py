"""The HTTP side of rooms: create, read, list, close, command, and how the node is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import structlog
from msgspec import UNSET, DecodeError, Raw, ValidationError, json
from msgspec.structs import replace
from redis.exceptions import RedisError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route

from gameplay.moderation import BANNED, Sanctions, binding
from gameplay.play import Code, Refusal, Role, bad
from gameplay.text import shown
from liveroom.asked import Asked, Caller, Done
from liveroom.audience import NO_STREAM, Audience
from liveroom.chronicle import Chronicle
from liveroom.commands import Desk
from liveroom.counts import Heard
from liveroom.http.calls import CALLS, Call, NewRoom, Payment, Why
from liveroom.hub import Hub
from liveroom.ids import Ids
from liveroom.moderation import Moderation
from liveroom.prompter import Prompter
from liveroom.protocol import ERRORS, BadFrame, Malformed, RoomClosed, complaint, encode, read_command, refusal_reply
from liveroom.room import Person, Room, RoomInfo
from liveroom.store.clock import Clock
from liveroom.store.feed import Feed
from liveroom.store.rooms import NO_SUCH_ROOM, ROOM_CLOSED, TRY_LATER, Rooms
from liveroom.store.rounds import NO_SUCH_ROUND
from liveroom.store.sanctions import told_of
from liveroom.till import NO_SUCH_HOLD, Till
from liveroom.tokens import BadToken, Claims, Tokens
from liveroom.wall import read_wall, rounds_json

log = structlog.get_logger()

HOLD = re.compile(r"h_[a-z0-9_]{1,60}")
MOST_BODY = 16 * 1024
ANSWER_SECONDS = 5
NOT_JSON = bad("", "the body is not JSON")
STALE_SECONDS = 4  # room time older than that is no longer trusted


class Refused(Exception):
    """Ends a request with a refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


Body = TypeVar("Body")
Endpoint = Callable[[Request], Awaitable[Response]]


class Api:
    """The endpoints, with what they need."""

    def __init__(
        self,
        tokens: Tokens,
        clock: Clock,
        hub: Hub,
        rooms: Rooms,
        feed: Feed,
        desk: Desk,
        chronicle: Chronicle,
        till: Till,
        audience: Audience,
        prompter: Prompter,
        moderation: Moderation,
        ids: Ids,
        leaving: Callable[[], bool],
        heard: Heard,
    ) -> None:
        self.tokens = tokens
        self.clock = clock
        self.hub = hub
        self.rooms = rooms
        self.feed = feed
        self.desk = desk
        self.chronicle = chronicle
        self.till = till
        self.audience = audience
        self.prompter = prompter
        self.moderation = moderation
        self.ids = ids
        self.leaving = leaving
        self.heard = heard

    def routes(self) -> list[Route]:
        return [Route(call.path, self.counted(call), methods=[call.method]) for call in CALLS]

    def counted(self, call: Call) -> Endpoint:
        for status in (200, 500, 503):
            self.heard.requests[call.path, status] += 0  # told before the first
        endpoint = answered(partial(self.serve, call))

        async def answer(request: Request) -> Response:
            response = await endpoint(request)
            self.heard.requests[call.path, response.status_code] += 1
            return response

        return answer

    async def serve(self, call: Call, request: Request) -> Response:
        """The endpoint of that name, for who may ask it."""
        if call.who and call.whose != "body":
            request.state.claims = self.claims_for(request, request.path_params.get("room", "*"), call.who)
        endpoint: Endpoint = getattr(self, call.name)
        return await endpoint(request)

    # -- who asks --

    def claims(self, request: Request) -> Claims:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(Refusal(Code.BAD_TOKEN, message="send the header Authorization: Bearer TOKEN"))
        try:
            return self.tokens.read(token.strip(), self.clock.now_ms() / 1000)
        except BadToken as why:
            raise Refused(Refusal(Code.BAD_TOKEN, message=str(why))) from None

    def claims_for(self, request: Request, room: str, needed: Role) -> Claims:
        claims = self.claims(request)
        if claims.room not in (room, "*"):
            raise Refused(Refusal(Code.NOT_ALLOWED, message="the token is for another room"))
        if not Role(claims.role).may(needed):
            raise Refused(Refusal(Code.NOT_ALLOWED, {"needs": needed}, f"only for a {needed}"))
        return claims

    # -- rooms --

    async def create(self, request: Request) -> Response:
        self.claims(request)
        new = await body_as(request, NewRoom)
        self.claims_for(request, new.id, Role.HOST)
        title = shown(new.title)
        if not title:
            raise Refused(bad("title", "the title is empty"))
        made = await self.rooms.create(new.id, title, new.currency or "", self.ids.new(self.clock.now_ms()))
        if isinstance(made, Refusal):
            raise Refused(made)
        info, fresh = made
        return reply(await self.described(info), 201 if fresh else 200)

    async def everything(self, request: Request) -> Response:
        return reply({"rooms": [await self.described(info) for info in await self.rooms.everything()]})

    async def read(self, request: Request) -> Response:
        room = request.path_params["room"]
        view = await self.rooms.look(room)
        if view is None:
            raise Refused(NO_SUCH_ROOM)
        wall = read_wall(view.live).values()
        return reply({**await self.described(view.info), "rounds": Raw(b"[%b]" % rounds_json(wall, {}))})

    async def described(self, info: RoomInfo) -> dict[str, Any]:
        likes, viewers = await self.feed.counts(info.id)
        about = {"id": info.id, "title": info.title, "state": info.state, "viewers": viewers, "likes": likes}
        return {**about, "created": info.created}

    async def close(self, request: Request) -> Response:
        await self.staff_of(request)
        room = request.path_params["room"]
        closer: Claims = request.state.claims
        told = await self.rooms.close(room, encode(RoomClosed()), self.ids.new(self.clock.now_ms()), closer.sub)
        if isinstance(told, Refusal):
            raise Refused(told)
        return reply({"t": "ok", "id": room, "state": "closed"})

    async def command(self, request: Request) -> Response:
        room_id = request.path_params["room"]
        claims: Claims = request.state.claims
        try:
            command = read_command(await body_of(request))
        except BadFrame:
            raise Refused(NOT_JSON) from None
        if isinstance(command, Malformed):
            self.heard.refusals[command.refusal.code] += 1
            return refused(command.refusal, None if command.cid is UNSET else command.cid)
        if (key := request.headers.get("Idempotency-Key")) and command.idem is UNSET:
            if len(key) > 64:
                raise Refused(bad("Idempotency-Key", "at most 64 characters"))
            command = replace(command, idem=key)
        room = await self.open_room(room_id)
        name, person = shown(claims.name) or claims.sub, self.person(room, claims.sub)
        caller = Caller(claims.sub, name, Role(claims.role), person, claims.level, claims.locale)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.heard.commands[type(command)] += 1
        now, refusals = self.clock.now_ms(), self.heard.refusals
        self.desk.obey(Asked(caller, room, command, now, answer.set_result, refusals, always=True))
        async with asyncio.timeout(ANSWER_SECONDS):
            body = await asyncio.shield(answer)
        return as_response(body)

    async def open_room(self, room_id: str) -> Room:
        room = await self.feed.hold(room_id)
        if room is None:
            raise Refused(NO_SUCH_ROOM if await self.rooms.look(room_id) is None else ROOM_CLOSED)
        if room.info.state != "open":
            raise Refused(ROOM_CLOSED)
        return room

    def person(self, room: Room, viewer: str) -> Person:
        person = room.people.setdefault(viewer, Person([]))
        person.left = asyncio.get_running_loop().time()
        return person

    # -- rounds --

    async def round(self, request: Request) -> Response:
        """A round, live or over, with the caller's own part."""
        room, round_id = request.path_params["room"], request.path_params["id"]
        told = await self.chronicle.told(room, round_id, request.state.claims.sub)
        if told is None:
            raise Refused(NO_SUCH_ROUND)
        return reply(told)

    async def proof(self, request: Request) -> Response:
        """The proof file of a draw: public once it was drawn, the same bytes for everybody."""
        text = await self.chronicle.proof(request.path_params["room"], request.path_params["id"])
        if text is None:
            raise Refused(NO_SUCH_ROUND)
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "Access-Control-Allow-Origin": "*"}
        return Response(text, media_type="application/json", headers=headers)

    # -- the audience --

    async def retention(self, request: Request) -> Response:
        """How long viewers stay and how many are here, of the stream that runs, or of the last."""
        room = request.path_params["room"]
        which = request.query_params.get("stream")
        if which not in (None, "last"):
            raise Refused(bad("stream", "stream is 'last', or left out"))
        await self.staff_of(request)
        report = await self.audience.report(room, last=which == "last")
        if report is None:
            raise Refused(NO_STREAM)
        return reply(report)

    # -- moderation --

    async def bans(self, request: Request) -> Response:
        """Who is banned or muted, until when, by whom and why."""
        sanctions, now = await self.staff_of(request), self.clock.now_ms()
        return reply({"bans": told_of(sanctions, "ban", now), "mutes": told_of(sanctions, "mute", now)})

    async def reports(self, request: Request) -> Response:
        """Comments that viewers reported, with what was said of them."""
        await self.staff_of(request)
        return reply({"reports": await self.moderation.reports.read(request.path_params["room"])})

    async def staff_of(self, request: Request) -> Sanctions:
        """Whoever asks is of the room's staff, and not banned from it; its sanctions."""
        room, claims = request.path_params["room"], request.state.claims
        if await self.rooms.look(room) is None:
            raise Refused(NO_SUCH_ROOM)
        _, sanctions = await self.moderation.docket.read(room)
        if binding(sanctions, "ban", claims.sub, Role(claims.role), self.clock.now_ms()):
            raise Refused(BANNED)
        return sanctions

    async def questions(self, request: Request) -> Response:
        """What viewers asked and nobody answered."""
        await self.staff_of(request)
        return reply(await self.prompter.everything(request.path_params["room"]))

    # -- the shop --

    async def confirm(self, request: Request) -> Response:
        """The shop was paid: the hold becomes an order."""
        room, hold = self.hold_of(request)
        paid = await body_as(request, Payment)
        return done(await self.till.confirm(room, hold, paid.payment_id, paid.paid_at))

    async def release(self, request: Request) -> Response:
        """The shop will not be paid, or has given the payment back."""
        room, hold = self.hold_of(request)
        why = await body_as(request, Why)
        return done(await self.till.release(room, hold, shown(why.reason)))

    def hold_of(self, request: Request) -> tuple[str, str]:
        room, hold = request.path_params["room"], request.path_params["hold"]
        if not HOLD.fullmatch(hold):
            raise Refused(NO_SUCH_HOLD)
        return room, hold

    # -- the node --

    async def livez(self, _: Request) -> Response:
        return reply({"live": True})

    async def readyz(self, _: Request) -> Response:
        why = self.unready()
        return reply({"ready": False, "reason": why}, 503) if why else reply({"ready": True})

    def unready(self) -> str:
        if self.leaving():
            return "draining"
        if not (self.feed.fresh and self.feed.live_fresh):
            return "Redis does not answer"
        if not (self.feed.truth_ear.hearing and self.feed.crowd_ear.hearing):
            return "not subscribed to Redis"
        return "room time is stale" if self.clock.age() > STALE_SECONDS else ""


async def body_of(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BODY:
            raise Refused(bad("", f"the body is over {MOST_BODY} bytes", max=MOST_BODY))
    return body


async def body_as(request: Request, kind: type[Body]) -> Body:
    """The body as one of ours; what is wrong with it is refused."""
    body = await body_of(request)
    try:
        return json.decode(body or b"{}", type=kind)
    except ValidationError as error:
        raise Refused(bad(*complaint(str(error)), str(error))) from None
    except (DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(NOT_JSON) from None


def done(said: Done) -> Response:
    return refused(said) if isinstance(said, Refusal) else reply(said)


def reply(body: Any, status: int = 200) -> Response:
    return Response(encode(body), status, media_type="application/json")


def refused(refusal: Refusal, cid: int | None = None) -> Response:
    response = reply(refusal_reply(refusal, UNSET if cid is None else cid), ERRORS[refusal.code].http)
    if refusal.retry_after_ms is not None:
        response.headers["Retry-After"] = str(max(1, -(-refusal.retry_after_ms // 1000)))
    return response


async def no_such_call(request: Request, _: Exception) -> Response:
    """Nothing is at this path, or not for this method."""
    here = [one for one in request.app.routes if one.matches(request.scope)[0] is not Match.NONE]
    methods = ", ".join(sorted({method for one in here for method in one.methods}))
    why = f"this path takes {methods}" if methods else "nothing is at this path; docs/openapi.yaml has those there are"
    response = refused(Refusal(Code.UNKNOWN_COMMAND, message=why))
    response.status_code = 405 if methods else 404
    if methods:
        response.headers["Allow"] = methods
    return response


def as_response(body: bytes) -> Response:
    """A reply object as HTTP: 200, or the status of its code."""
    said = json.decode(body)
    response = Response(body, media_type="application/json")
    if said["t"] == "error":
        response.status_code = ERRORS[Code(said["code"])].http
        if "retry_after_ms" in said:
            response.headers["Retry-After"] = str(max(1, -(-said["retry_after_ms"] // 1000)))
    return response


def answered(endpoint: Endpoint) -> Endpoint:
    """Refusals and a silent Redis become error replies; a surprise is logged once, here."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refused as error:
            return refused(error.refusal)
        except (RedisError, OSError, TimeoutError):
            return refused(TRY_LATER)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody hears it
        except Exception:
            log.exception("a request failed", route=request.scope["route"].path)
            return refused(Refusal(Code.INTERNAL, message="an error of the server; it is logged there"))

    return answer
