"""A viewer that keeps to the protocol, against a room of a few lines that does what each test wants."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve

from liveroom import client
from liveroom.client import After, BadToken, Clock, Closed, NoRoom, Place, Unanswered, Unreachable, Viewer

Message = dict[str, Any]
Scene = Callable[["Seat", int], Awaitable[None]]
ENCODED = {"liveroom.v1.json": msgspec.json, "liveroom.v1.msgpack": msgspec.msgpack}


class Seat:
    """One connection as the server has it."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.codec: Any = ENCODED[socket.subprotocol or "liveroom.v1.json"]
        self.text = self.codec is msgspec.json

    async def hears(self) -> Message:
        said = await self.socket.recv()
        message: Message = self.codec.decode(said.encode() if isinstance(said, str) else said)
        return message

    async def says(self, *messages: Message) -> None:
        await self.socket.send(self.codec.encode(messages[0] if len(messages) == 1 else messages), text=self.text)

    async def welcomes(self, seq: int = 10, epoch: str = "e1", **more: Any) -> Message:
        hello = await self.hears()
        viewer = {"id": "u1", "name": "Ann", "role": "viewer"}
        room = {"id": "demo", "title": "Demo", "viewers": 1, "likes": 0}
        said = {"t": "welcome", "viewer": viewer, "room": room, "epoch": epoch, "seq": seq, "now": 0}
        await self.says(said | {"heartbeat_ms": 15_000, "recovered": "resume" in hello} | more)
        return hello

    async def closes(self, code: int) -> None:
        await self.socket.close(code)

    async def stays(self) -> None:
        await self.socket.wait_closed()


@asynccontextmanager
async def a_room(*scenes: Scene) -> AsyncIterator[str]:
    """A server that plays one scene per connection, the last one again and again; its address."""
    visits = 0

    async def play(socket: ServerConnection) -> None:
        nonlocal visits
        visits += 1
        await scenes[min(visits, len(scenes)) - 1](Seat(socket), visits)

    async with serve(play, "127.0.0.1", 0, subprotocols=list(ENCODED)) as server:  # type: ignore[arg-type]
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def viewer(url: str, **more: Any) -> Viewer:
    return Viewer(url, "demo", "token", ping_seconds=0, **more)


async def heard(one: Viewer, count: int) -> list[Message]:
    async with asyncio.timeout(5):
        return [await anext(one) for _ in range(count)]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liveroom.client.backoff.pause_s", lambda attempt: 0.01)


async def welcomes_and_stays(seat: Seat, visit: int) -> None:
    await seat.welcomes()
    await seat.stays()


def closing_with(code: int) -> Scene:
    async def scene(seat: Seat, visit: int) -> None:
        await seat.hears()
        await seat.closes(code)

    return scene


def test_hello_comes_first_and_says_who_and_how():
    async def scene(seat: Seat, visit: int) -> None:
        hello = await seat.welcomes(title="x")
        await seat.says({"t": "echo", "hello": hello})

    async def story() -> None:
        async with a_room(scene) as url, viewer(url, profile="lite", source="share", resume=Place("k", 7)) as one:
            _, echo = await heard(one, 2)
            assert echo["hello"] == {
                "t": "hello",
                "token": "token",
                "profile": "lite",
                "source": "share",
                "resume": {"epoch": "k", "seq": 7},
            }

    asyncio.run(story())


def test_the_profile_that_was_asked_for_last_is_the_one_of_the_next_hello():
    async def scene(seat: Seat, visit: int) -> None:
        hello = await seat.welcomes()
        if visit == 1:
            for answer in ({"t": "ok"}, {"t": "error", "code": "BAD_MESSAGE"}):
                said = await seat.hears()
                await seat.says({**answer, "cid": said["cid"]})
            await seat.closes(4001)
        else:
            await seat.says({"t": "echo", "hello": hello})
            await seat.stays()

    async def story() -> None:
        async with a_room(scene) as url, viewer(url) as one:
            for profile in ("min", "none"):
                await one.ask({"t": "profile.set", "profile": profile})
            *_, echo = await heard(one, 3)
            assert echo["hello"]["profile"] == "min"

    asyncio.run(story())


@pytest.mark.parametrize("subprotocol", ["json", "msgpack"])
def test_a_reply_finds_its_command_whatever_the_order(subprotocol: str):
    async def scene(seat: Seat, visit: int) -> None:
        await seat.welcomes()
        first, second = await seat.hears(), await seat.hears()
        replies = [{"t": "ok", "cid": said["cid"], "was": said["n"]} for said in (second, first)]
        await seat.says({"t": "like.total", "total": 1, "delta": 1, "ver": 1}, *replies)
        await seat.stays()

    async def story() -> None:
        async with a_room(scene) as url, viewer(url, subprotocol=subprotocol) as one:
            a, b = await asyncio.gather(one.ask({"t": "like.add", "n": 1}), one.ask({"t": "like.add", "n": 2}))
            assert (a["was"], b["was"]) == (1, 2)
            welcome, likes = await heard(one, 2)
            assert (welcome["t"], likes["t"]) == ("welcome", "like.total")

    asyncio.run(story())


def test_an_error_is_a_reply_and_not_an_exception():
    async def scene(seat: Seat, visit: int) -> None:
        await seat.welcomes()
        said = await seat.hears()
        await seat.says({"t": "error", "cid": said["cid"], "code": "RATE_LIMITED", "retryable": True})
        await seat.stays()

    async def story() -> None:
        async with a_room(scene) as url, viewer(url) as one:
            assert (await one.say("hello"))["code"] == "RATE_LIMITED"

    asyncio.run(story())


def test_the_author_sees_a_comment_once_whichever_of_reply_and_room_is_first():
    def comment(one: str, text: str) -> Message:
        return {"t": "chat.message", "id": one, "ts": 1, "from": "u1", "name": "Ann", "role": "viewer", "text": text}

    async def scene(seat: Seat, visit: int) -> None:
        await seat.welcomes()
        said = await seat.hears()
        await seat.says({"t": "ok", "cid": said["cid"], "id": "c1"})
        await seat.says(comment("c1", "first"))
        said = await seat.hears()
        await seat.says(comment("c2", "second"), {"t": "ok", "cid": said["cid"], "id": "c2"})
        await seat.says({"t": "the.end"})
        await seat.stays()

    async def story() -> None:
        async with a_room(scene) as url, viewer(url) as one:
            await one.say("first")
            await one.say("second")
            told = await heard(one, 4)
            assert [message.get("id", message["t"]) for message in told] == ["welcome", "c1", "c2", "the.end"]
            assert told[1]["text"] == "first"

    asyncio.run(story())


def test_an_entry_that_is_not_shown_is_not_shown_to_its_author_either():
    async def scene(seat: Seat, visit: int) -> None:
        await seat.welcomes()
        said = await seat.hears()
        await seat.says({"t": "ok", "cid": said["cid"], "id": "c1", "receipt": {}, "shown": False})
        await seat.says({"t": "the.end"})
        await seat.stays()

    async def story() -> None:
        async with a_room(scene) as url, viewer(url) as one:
            await one.say("win")
            assert [message["t"] for message in await heard(one, 2)] == ["welcome", "the.end"]

    asyncio.run(story())


def test_a_ledger_event_is_seen_once_and_a_cut_is_resumed_where_it_happened():
    hellos: list[Message] = []

    async def before(seat: Seat, visit: int) -> None:
        await seat.welcomes(seq=10)
        await seat.says({"t": "room.notice", "seq": 10, "text": "old"}, {"t": "room.notice", "seq": 11, "text": "new"})
        await seat.socket.close(4001)

    async def behind(seat: Seat, visit: int) -> None:
        hellos.append(await seat.welcomes(seq=11))
        await seat.says(*({"t": "room.notice", "seq": seq, "text": text} for seq, text in ((11, "new"), (12, "newer"))))
        await seat.stays()

    async def story() -> None:
        async with a_room(before, behind) as url, viewer(url) as one:
            told = await heard(one, 4)
            assert [message.get("text", message["t"]) for message in told] == ["welcome", "new", "welcome", "newer"]
            assert hellos[0]["resume"] == {"epoch": "e1", "seq": 11}
            assert one.place == Place("e1", 12)

    asyncio.run(story())


@pytest.mark.parametrize("news", [{"t": "room.notice", "seq": 12, "text": "x"}, {"t": "beat", "now": 1, "seq": 11}])
def test_a_missing_event_is_noticed_and_fetched_by_resume(news: Message):
    hellos: list[Message] = []

    async def before(seat: Seat, visit: int) -> None:
        await seat.welcomes(seq=10)
        await seat.says(news)
        await seat.stays()

    async def behind(seat: Seat, visit: int) -> None:
        hellos.append(await seat.welcomes(seq=10))
        await seat.says({"t": "room.notice", "seq": 11, "text": "found"})
        await seat.stays()

    async def story() -> None:
        async with a_room(before, behind) as url, viewer(url) as one:
            told = await heard(one, 3)
            assert told[-1]["text"] == "found"
            assert hellos[0]["resume"]["seq"] == 10

    asyncio.run(story())


def test_a_beat_that_is_up_to_date_changes_nothing():
    async def scene(seat: Seat, visit: int) -> None:
        await seat.welcomes(seq=10)
        await seat.says({"t": "beat", "now": 1, "seq": 10})
        await seat.says({"t": "the.end"})
        await seat.stays()

    async def story() -> None:
        async with a_room(scene) as url, viewer(url) as one:
            assert (await heard(one, 2))[-1]["t"] == "the.end"
            assert one.joins == 1

    asyncio.run(story())


def test_a_reset_starts_another_epoch_in_the_same_connection():
    async def scene(seat: Seat, visit: int) -> None:
        await seat.welcomes(seq=10)
        await seat.says({"t": "room.reset", "epoch": "e2", "seq": 3, "snapshot": {"chat": []}})
        await seat.says({"t": "room.notice", "seq": 4, "text": "on we go"})
        await seat.stays()

    async def story() -> None:
        async with a_room(scene) as url, viewer(url) as one:
            told = await heard(one, 3)
            assert [message["t"] for message in told] == ["welcome", "room.reset", "room.notice"]
            assert one.place == Place("e2", 4)

    asyncio.run(story())


def test_lost_continuity_comes_back_without_resume():
    hellos: list[Message] = []

    async def before(seat: Seat, visit: int) -> None:
        await seat.welcomes()
        await seat.closes(4003)

    async def behind(seat: Seat, visit: int) -> None:
        hellos.append(await seat.welcomes())
        await seat.stays()

    async def story() -> None:
        async with a_room(before, behind) as url, viewer(url) as one:
            await heard(one, 2)
            assert "resume" not in hellos[0]

    asyncio.run(story())


def test_silence_of_two_and_a_half_heartbeats_is_a_cut():
    async def before(seat: Seat, visit: int) -> None:
        await seat.welcomes(heartbeat_ms=40)
        await seat.stays()

    async def story() -> None:
        async with a_room(before, welcomes_and_stays) as url, viewer(url) as one:
            await heard(one, 2)
            assert one.joins == 2

    asyncio.run(story())


@pytest.mark.parametrize(("code", "kind"), [(4500, BadToken), (4504, NoRoom), (4429, Closed), (1013, Closed)])
def test_a_join_that_fails_says_why(code: int, kind: type[Closed]):
    async def story() -> None:
        async with a_room(closing_with(code)) as url:
            with pytest.raises(kind) as caught:
                await viewer(url).join()
            assert caught.value.code == code

    asyncio.run(story())


def test_nobody_at_the_address_is_unreachable():
    async def story() -> None:
        with pytest.raises(Unreachable):
            await viewer("http://127.0.0.1:9").join()

    asyncio.run(story())


def test_a_closed_room_ends_the_iteration_and_a_ban_raises():
    def ending(code: int) -> Scene:
        async def scene(seat: Seat, visit: int) -> None:
            await seat.welcomes()
            await seat.closes(code)

        return scene

    async def story() -> None:
        async with a_room(ending(4504)) as url, viewer(url) as one:
            assert [message["t"] async for message in one] == ["welcome"]
        async with a_room(ending(4502)) as url, viewer(url) as one:
            await anext(one)
            with pytest.raises(Closed, match="4502"):
                await anext(one)
            with pytest.raises(Closed, match="4502"):
                await one.say("hello?")

    asyncio.run(story())


def test_an_expired_token_is_renewed_once():
    tokens = []

    async def before(seat: Seat, visit: int) -> None:
        await seat.welcomes()
        await seat.closes(4500)

    async def behind(seat: Seat, visit: int) -> None:
        tokens.append((await seat.welcomes())["token"])
        await seat.stays()

    async def fresh() -> str:
        return "another"

    async def story() -> None:
        async with a_room(before, behind) as url, viewer(url, renew=fresh) as one:
            await heard(one, 2)
        async with a_room(before, closing_with(4500)) as url, viewer(url, renew=fresh) as one:
            await anext(one)
            with pytest.raises(BadToken):
                await anext(one)

    asyncio.run(story())
    assert tokens == ["another"]


def test_a_command_cut_off_is_unanswered_and_the_next_one_waits_for_the_reconnect():
    async def before(seat: Seat, visit: int) -> None:
        await seat.welcomes()
        await seat.hears()
        await seat.closes(4000)

    async def behind(seat: Seat, visit: int) -> None:
        await seat.welcomes()
        said = await seat.hears()
        await seat.says({"t": "ok", "cid": said["cid"], "counted": 1})
        await seat.stays()

    async def story() -> None:
        async with a_room(before, behind) as url, viewer(url) as one:
            with pytest.raises(Unanswered):
                await one.ask({"t": "like.add", "n": 1})
            assert (await one.ask({"t": "like.add", "n": 1}))["counted"] == 1

    asyncio.run(story())


def test_a_bye_says_how_long_to_stay_away():
    async def before(seat: Seat, visit: int) -> None:
        await seat.welcomes()
        await seat.says({"t": "bye", "retry_after_ms": 300})
        await seat.closes(4000)

    async def story() -> None:
        async with a_room(before, welcomes_and_stays) as url, viewer(url) as one:
            began = time.monotonic()
            await heard(one, 3)
            assert 0.3 <= time.monotonic() - began < 2

    asyncio.run(story())


def test_whoever_does_not_read_loses_the_oldest_and_still_gets_replies(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("liveroom.client.viewer.PUSHES", 3)

    async def scene(seat: Seat, visit: int) -> None:
        await seat.welcomes()
        await seat.says(*({"t": "like.total", "total": n, "delta": 1, "ver": n} for n in range(20)))
        said = await seat.hears()
        await seat.says({"t": "ok", "cid": said["cid"], "counted": 1})
        await seat.stays()

    async def story() -> None:
        async with a_room(scene) as url, viewer(url) as one:
            await one.ask({"t": "like.add", "n": 1})
            assert [message["total"] for message in await heard(one, 3)] == [17, 18, 19]
            assert one.dropped == 18

    asyncio.run(story())


def test_a_ping_tells_the_room_time():
    async def scene(seat: Seat, visit: int) -> None:
        await seat.welcomes()
        said = await seat.hears()
        there = time.time() * 1000 + 60_000
        await seat.says({"t": "time.pong", "cid": said["cid"], "c0": said["c0"], "s1": there, "s2": there})
        await seat.stays()

    async def story() -> None:
        async with a_room(scene) as url, viewer(url) as one:
            await one.ping()
            assert one.clock.offset_ms == pytest.approx(60_000, abs=200)

    asyncio.run(story())


def test_the_clock_goes_by_the_quickest_of_the_last_eight_pings():
    clock = Clock()
    clock.heard(0, 1005, 1005, 10)
    for _ in range(7):
        clock.heard(0, 2000, 2000, 100)
    assert (clock.rtt_ms, clock.offset_ms) == (10, 1000)
    clock.heard(0, 2000, 2000, 100)
    assert (clock.rtt_ms, clock.offset_ms) == (100, 1950)


@pytest.mark.parametrize(
    ("code", "what"),
    [
        *((code, After.RESUME) for code in (4000, 4001, 4002, 4408, 1006, 1011, 1012, 1013, 1001, 408, 429, 503)),
        *((code, After.STOP) for code in (4501, 4502, 4503, 4504, 1007, 1009, 1000, 403, 4599)),
        (4003, After.ANEW),
        (4429, After.BACK_OFF),
        (4500, After.NEW_TOKEN),
    ],
)
def test_each_close_code_says_what_to_do(code: int, what: After):
    assert client.after(code) is what


@pytest.mark.parametrize(("url", "address"), [("http://h:1", "ws://h:1"), ("https://h/base/", "wss://h/base")])
def test_the_socket_is_where_the_server_is(url: str, address: str):
    assert client.socket_url(url, "a b") == f"{address}/v1/rooms/a%20b/ws"
