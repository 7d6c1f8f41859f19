"""A viewer from the other side: connects, says hello, asks, listens, and comes back after a cut."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, NamedTuple, Self
from urllib.parse import quote, urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

Message = dict[str, Any]

CODECS: dict[str, tuple[Callable[[Any], bytes], Callable[[bytes], Any], bool]] = {
    "json": (msgspec.json.encode, msgspec.json.decode, True),  # True: in text frames
    "msgpack": (msgspec.msgpack.encode, msgspec.msgpack.decode, False),
}
JOIN_SECONDS = 10
STEADY_SECONDS = 10  # a connection that held for so long starts the back-off anew
LONGEST_PAUSE = 30
BUSY_ATTEMPTS = 3  # after "too many joins" the back-off starts here
PUSHES = 10_000  # waiting to be read; the oldest is dropped for a newer one
REMEMBERED_COMMENTS = 2_000


class After(Enum):
    """What a close code asks of the client."""

    RESUME = "reconnect"
    ANEW = "reconnect without resume"
    BACK_OFF = "reconnect, but later"
    NEW_TOKEN = "fetch a new token and reconnect once"
    STOP = "stay away"


CLOSES = {
    1000: After.STOP,
    1007: After.STOP,
    1009: After.STOP,
    4003: After.ANEW,
    4429: After.BACK_OFF,
    4500: After.NEW_TOKEN,
}


class Closed(Exception):
    """The server ended it: ``code`` is the close code, or the HTTP status of a refused handshake."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"closed with {code}{': ' if reason else ''}{reason}")
        self.code = code


class BadToken(Closed):
    """4500: the token is wrong, expired, or for another room."""


class ProtocolFault(Closed):
    """4501: the server could not read what this client sent."""


class Banned(Closed):
    """4502: banned from the room."""


class Replaced(Closed):
    """4503: the same device, or a sixth connection, has taken this one's place."""


class NoRoom(Closed):
    """4504: the room is closed, or never was."""


class Unreachable(Exception):
    """Nobody answered, or somebody who does not speak this protocol."""


class Unanswered(Exception):
    """No reply came; whether the command took effect is not known. Send it again with the same ``idem``."""


class Lost(Exception):
    """A ledger event is missing: only a resume brings it."""


NAMED = {4500: BadToken, 4501: ProtocolFault, 4502: Banned, 4503: Replaced, 4504: NoRoom}


def closed(code: int, reason: str = "") -> Closed:
    return NAMED.get(code, Closed)(code, reason)


def closed_by(end: ConnectionClosed | Lost) -> Closed:
    told = end.rcvd if isinstance(end, ConnectionClosed) else None
    return closed(told.code, told.reason) if told else closed(1006)


def after(code: int) -> After:
    """Unknown codes: 45xx and refused handshakes are final, all others are worth another try."""
    final = 4500 <= code < 4600 or 400 <= code < 500
    return CLOSES.get(code, After.STOP if final else After.RESUME)


def pause_s(attempt: int) -> float:
    """Full jitter: anything up to twice as long as before."""
    return random.uniform(0, min(LONGEST_PAUSE, 0.5 * 2 ** min(attempt, 10)))


def socket_url(url: str, room: str) -> str:
    return f"ws{url.rstrip('/').removeprefix('http')}/v1/rooms/{quote(room, safe='')}/ws"


def is_loopback(url: str) -> bool:
    return (urlsplit(url).hostname or "") in ("localhost", "127.0.0.1", "::1")


def unpacked(frame: Any) -> list[Message]:
    """A frame is one message or an array of them."""
    return [m for m in (frame if isinstance(frame, list) else [frame]) if isinstance(m, dict)]


class Place(NamedTuple):
    """Where a viewer is in a room's ledger."""

    epoch: str
    seq: int


class Clock:
    """Room time as the best of the last eight pings tells it; to be shown, never to decide by."""

    def __init__(self) -> None:
        self.samples: deque[tuple[float, float]] = deque(maxlen=8)

    def heard(self, c0: float, s1: float, s2: float, c1: float) -> None:
        """The four times of a ping in milliseconds: sent and heard here, heard and answered there."""
        self.samples.append(((c1 - c0) - (s2 - s1), ((s1 - c0) + (s2 - c1)) / 2))

    @property
    def rtt_ms(self) -> float | None:
        return min(self.samples)[0] if self.samples else None

    @property
    def offset_ms(self) -> float:
        return min(self.samples)[1] if self.samples else 0.0

    def now_ms(self) -> float:
        return time.time() * 1000 + self.offset_ms


class Viewer:
    """One viewer in one room: ``async with Viewer(url, room, token) as viewer`` and ``async for message in viewer``.

    Iteration gives the welcome of every (re)join and then all pushed messages, one at a time, each ledger event once
    and in order. It ends when the room is closed and raises Closed when the viewer may not come back.
    Joining raises Closed or Unreachable. ``renew`` fetches a new token when the old one has expired.
    """

    def __init__(
        self,
        url: str,
        room: str,
        token: str,
        *,
        profile: str = "full",
        source: str | None = None,
        resume: Place | None = None,
        subprotocol: str = "json",
        renew: Callable[[], Awaitable[str]] | None = None,
        ping_seconds: float = 30,
    ) -> None:
        self.address = socket_url(url, room)
        self.token = token
        self.manners = {"profile": profile} | ({"source": source} if source else {})
        self.place = resume
        self.subprotocol = subprotocol
        self.encode, self.decode, self.text = CODECS[subprotocol]
        self.renew = renew
        self.renewed = False
        self.ping_seconds = ping_seconds
        self.clock = Clock()
        self.welcome: Message = {}
        self.joins = 0
        self.dropped = 0  # pushes nobody read in time
        self.attempts = 0
        self.hold_s = 0.0  # the pause a `bye` asked for
        self.ended: Closed | None = None
        self.socket: ClientConnection
        self.seated = asyncio.Event()
        self.cids = itertools.count(1)
        self.asked: dict[int, asyncio.Future[Message]] = {}
        self.comments: OrderedDict[str, None] = OrderedDict()
        self.pushed: asyncio.Queue[Message | None] = asyncio.Queue(PUSHES)
        self.tasks: list[asyncio.Task[None]] = []
        self.special: dict[str, Callable[[Message], bool]] = {
            "welcome": self.on_welcome,
            "room.reset": self.on_reset,
            "beat": self.on_beat,
            "bye": self.on_bye,
            "chat.message": self.is_new_comment,
        }

    # coming and going

    async def __aenter__(self) -> Self:
        await self.join()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    async def join(self) -> None:
        await self.sit_down()
        self.tasks = [asyncio.create_task(self.stay())]
        if self.ping_seconds:
            self.tasks.append(asyncio.create_task(self.keep_time()))

    async def leave(self) -> None:
        for task in self.tasks:
            task.cancel()
        ends = await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.socket.close()
        for surprise in (end for end in ends if isinstance(end, Exception)):
            raise surprise

    async def sit_down(self) -> None:
        """Connect, say hello, and wait for the welcome. Raises Closed or Unreachable."""
        self.socket = await self.open()
        try:
            async with contextlib.AsyncExitStack() as undo:
                undo.push_async_callback(self.stand_up)
                await self.say_hello()
                undo.pop_all()
        except (ConnectionClosed, Lost) as end:
            raise closed_by(end) from None
        except (TimeoutError, msgspec.DecodeError):
            raise Unreachable(f"{self.address} does not answer hello with a welcome") from None

    async def say_hello(self) -> None:
        async with asyncio.timeout(JOIN_SECONDS):
            await self.tell(self.hello())
            while not self.seated.is_set():
                self.read(await self.socket.recv())

    async def stand_up(self) -> None:
        self.seated.clear()
        await self.socket.close()

    async def open(self) -> ClientConnection:
        try:
            return await connect(
                self.address,
                subprotocols=[Subprotocol(f"liveroom.v1.{self.subprotocol}")],
                compression=None,
                open_timeout=JOIN_SECONDS,
                ping_interval=None,  # the server pings, and beats
                close_timeout=1,
                proxy=None if is_loopback(self.address) else True,
            )
        except InvalidStatus as refusal:
            status = refusal.response.status_code
            if 400 <= status < 500 and status not in (408, 429):
                raise Closed(status, "the handshake was refused") from None
            raise Unreachable(f"{self.address} answers {status}") from None
        except (OSError, TimeoutError, InvalidHandshake) as error:
            raise Unreachable(f"{self.address}: {error}") from None

    def hello(self) -> Message:
        resume = {"resume": self.place._asdict()} if self.place else {}
        return {"t": "hello", "token": self.token, **self.manners, **resume}

    async def stay(self) -> None:
        """Listen, and come back after each cut, until that is no use."""
        try:
            code = await self.listen()
            while True:
                await self.pause(code)
                code = await self.visit()
        except Closed as end:
            self.ended = end
        finally:
            self.push(None)

    async def visit(self) -> int:
        """One more connection; the code that ended it."""
        try:
            await self.sit_down()
        except Unreachable:
            return 1006
        except Closed as end:
            return end.code
        return await self.listen()

    async def listen(self) -> int:
        began = time.monotonic()
        code = await self.hear()
        if time.monotonic() - began > STEADY_SECONDS:
            self.attempts = 0
        await self.stand_up()
        for reply in self.asked.values():
            if not reply.done():
                reply.set_exception(Unanswered("the connection ended before the reply"))
        return code

    async def hear(self) -> int:
        """Read until the connection ends; the code it ended with."""
        patience_s = 2.5 * self.welcome.get("heartbeat_ms", 15_000) / 1000
        try:
            while True:
                async with asyncio.timeout(patience_s):
                    frame = await self.socket.recv()
                self.read(frame)
        except (ConnectionClosed, Lost) as end:
            return closed_by(end).code
        except TimeoutError:
            return 4002
        except msgspec.DecodeError:
            return 1007

    async def pause(self, code: int) -> None:
        """Wait as the close code asks. Raises Closed where coming back is no use."""
        match after(code):
            case After.STOP:
                raise closed(code)
            case After.NEW_TOKEN:
                await self.fetch_token(code)
            case After.ANEW:
                self.place = None
            case After.BACK_OFF:
                self.attempts = max(self.attempts, BUSY_ATTEMPTS)
        await asyncio.sleep(self.hold_s + pause_s(self.attempts))
        self.attempts += 1
        self.hold_s = 0

    async def fetch_token(self, code: int) -> None:
        if self.renew is None or self.renewed:
            raise closed(code)
        self.renewed = True
        self.token = await self.renew()

    # what comes in

    def read(self, frame: str | bytes) -> None:
        data = frame.encode() if isinstance(frame, str) else frame
        for message in unpacked(self.decode(data)):
            self.take(message)

    def take(self, message: Message) -> None:
        if "cid" in message:
            self.answer(message)
        elif self.special.get(message.get("t", ""), self.is_next)(message):
            self.push(message)

    def answer(self, message: Message) -> None:
        reply = self.asked.get(message["cid"])
        if reply and not reply.done():
            reply.set_result(message)

    def is_next(self, message: Message) -> bool:
        """Everything without a number is news; a ledger event is when it is the next one. Raises Lost on a gap."""
        if self.place is None or (seq := message.get("seq")) is None:
            return True
        if seq > self.place.seq + 1:
            raise Lost
        if seq <= self.place.seq:
            return False
        self.place = Place(self.place.epoch, seq)
        return True

    def on_welcome(self, message: Message) -> bool:
        self.welcome = message
        self.joins += 1
        self.renewed = False
        self.seated.set()
        return self.on_reset(message)

    def on_reset(self, message: Message) -> bool:
        self.place = Place(message["epoch"], message["seq"])
        for comment in (message.get("snapshot") or {}).get("chat", ()):
            self.is_new_comment(comment)
        return True

    def on_beat(self, message: Message) -> bool:
        if self.place and message["seq"] > self.place.seq:
            raise Lost
        return False

    def on_bye(self, message: Message) -> bool:
        self.hold_s = message.get("retry_after_ms", 0) / 1000
        return True

    def is_new_comment(self, message: Message) -> bool:
        if message["id"] in self.comments:
            return False
        self.comments[message["id"]] = None
        if len(self.comments) > REMEMBERED_COMMENTS:
            self.comments.popitem(last=False)
        return True

    def push(self, message: Message | None) -> None:
        if self.pushed.full():
            self.pushed.get_nowait()
            self.dropped += 1
        self.pushed.put_nowait(message)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        message = await self.pushed.get()
        if message is None:
            self.push(None)  # for whoever asks again
            raise StopAsyncIteration if self.ended is None or isinstance(self.ended, NoRoom) else self.ended
        return message

    # what goes out

    async def tell(self, command: Message) -> None:
        """Send without asking for a reply."""
        await self.socket.send(self.encode(command), text=self.text)

    async def ask(self, command: Message, patience_s: float = 10) -> Message:
        """The reply, `ok` or `error`; waits for a reconnect if there is one. Raises Unanswered or Closed."""
        if self.ended:
            raise self.ended
        cid = next(self.cids)
        reply = self.asked[cid] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(patience_s):
                await self.seated.wait()
                await self.tell({**command, "cid": cid})
                answer: Message = await reply
        except (TimeoutError, ConnectionClosed):
            raise Unanswered(f"no reply to {command.get('t')}") from None
        finally:
            del self.asked[cid]
        self.show_own(command, answer)
        return answer

    async def say(self, text: str, **more: Any) -> Message:
        """A comment; ``more`` may be reply_to and mentions."""
        return await self.ask({"t": "chat.say", "text": text, **more})

    def show_own(self, command: Message, answer: Message) -> None:
        """An author sees his comment from its `ok`; the room's copy of it is then the second and dropped."""
        if command.get("t") != "chat.say" or answer["t"] != "ok" or answer.get("shown") is False:
            return
        me = self.welcome["viewer"]
        comment = {"from": me["id"], "name": me["name"], "role": me["role"], "text": command["text"].strip()}
        own = {"t": "chat.message", "id": answer["id"], "ts": int(self.clock.now_ms()), **comment}
        if self.is_new_comment(own):
            self.push(own)

    async def ping(self) -> None:
        """Measure the way to the server and its clock once."""
        c0 = time.time() * 1000
        pong = await self.ask({"t": "time.ping", "c0": int(c0)})
        if pong["t"] == "time.pong":
            self.clock.heard(c0, pong["s1"], pong["s2"], time.time() * 1000)

    async def keep_time(self) -> None:
        with contextlib.suppress(Closed):
            while True:
                with contextlib.suppress(Unanswered):
                    await self.ping()
                await asyncio.sleep(self.ping_seconds)
