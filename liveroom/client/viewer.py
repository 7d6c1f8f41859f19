"""One viewer in one room, through as many connections as it takes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, Self

import msgspec

from liveroom.client.backoff import BackOff
from liveroom.client.clock import Clock
from liveroom.client.closes import CUT, Closed, NoRoom, Unreachable, after, closed
from liveroom.client.link import Link, Message, socket_url
from liveroom.client.news import News, Place
from liveroom.client.replies import Replies, Unanswered
from liveroom.protocol import After

JOIN_SECONDS = 10
PUSHES = 10_000  # waiting to be read; the oldest is dropped for a newer one
SILENT, UNREADABLE = 4002, 1007  # what the server would have said, had it noticed first


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
        self.address, self.subprotocol = socket_url(url, room), subprotocol
        self.token, self.renew, self.renewed = token, renew, False
        self.manners = {"profile": profile} | ({"source": source} if source else {})
        self.ping_seconds = ping_seconds
        self.clock, self.news, self.replies, self.back_off = Clock(), News(resume), Replies(), BackOff()
        self.link: Link
        self.welcome: Message = {}
        self.seated = asyncio.Event()
        self.joins = 0
        self.ended: Closed | None = None
        self.pushed: asyncio.Queue[Message | None] = asyncio.Queue(PUSHES)
        self.dropped = 0  # pushes nobody read in time
        self.tasks: list[asyncio.Task[None]] = []

    @property
    def place(self) -> Place | None:
        return self.news.place

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
        await self.link.close()
        if surprise := next((end for end in ends if isinstance(end, Exception)), None):
            raise surprise

    async def sit_down(self) -> None:
        """Connect, say hello, and wait for the welcome. Raises Closed or Unreachable."""
        self.link = await Link.open(self.address, self.subprotocol)
        try:
            async with contextlib.AsyncExitStack() as undo:
                undo.push_async_callback(self.stand_up)
                await self.say_hello()
                undo.pop_all()
        except (TimeoutError, msgspec.DecodeError):
            raise Unreachable(f"{self.address} does not answer hello with a welcome") from None

    async def say_hello(self) -> None:
        async with asyncio.timeout(JOIN_SECONDS):
            await self.tell(self.hello())
            while not self.seated.is_set():
                self.take(await self.link.hear())

    async def stand_up(self) -> None:
        self.seated.clear()
        await self.link.close()

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
            return CUT
        except Closed as end:
            return end.code
        return await self.listen()

    async def listen(self) -> int:
        began = time.monotonic()
        code = await self.hear()
        self.back_off.held(time.monotonic() - began)
        await self.stand_up()
        self.replies.cut_off()
        return code

    async def hear(self) -> int:
        """Read until the connection ends; the code it ended with."""
        patience_s = 2.5 * self.welcome.get("heartbeat_ms", 15_000) / 1000
        try:
            while True:
                async with asyncio.timeout(patience_s):
                    messages = await self.link.hear()
                self.take(messages)
        except Closed as end:
            return end.code
        except TimeoutError:
            return SILENT
        except msgspec.DecodeError:
            return UNREADABLE

    async def pause(self, code: int) -> None:
        """Wait as the close code asks. Raises Closed where coming back is no use."""
        match after(code):
            case After.STOP:
                raise closed(code)
            case After.NEW_TOKEN:
                await self.fetch_token(code)
            case After.ANEW:
                self.news.place = None
            case After.BACK_OFF:
                self.back_off.busy()
        await asyncio.sleep(self.back_off.next_s())

    async def fetch_token(self, code: int) -> None:
        if self.renew is None or self.renewed:
            raise closed(code)
        self.renewed = True
        self.token = await self.renew()

    # what comes in

    def take(self, messages: list[Message]) -> None:
        """Raises Lost on a gap in the ledger."""
        for message in messages:
            if "cid" in message:
                self.replies.take(message)
            else:
                self.mind(message)
                if self.news.is_new(message):
                    self.push(message)

    def mind(self, message: Message) -> None:
        """What concerns the connection itself."""
        match message.get("t"):
            case "welcome":
                self.welcome = message
                self.joins += 1
                self.renewed = False
                self.seated.set()
            case "bye":
                self.back_off.hold_s = message.get("retry_after_ms", 0) / 1000

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
        """Send without asking for a reply. Raises Closed."""
        await self.link.tell(command)

    async def ask(self, command: Message, patience_s: float = 10) -> Message:
        """The reply, `ok` or `error`; waits for a reconnect if there is one. Raises Unanswered or Closed."""
        if self.ended:
            raise self.ended
        with self.replies.expected() as (cid, reply):
            try:
                async with asyncio.timeout(patience_s):
                    await self.seated.wait()
                    await self.tell({**command, "cid": cid})
                    answer = await reply
            except (TimeoutError, Closed):
                raise Unanswered(f"no reply to {command.get('t')}") from None
        if command.get("t") == "profile.set" and answer["t"] == "ok":
            self.manners["profile"] = command["profile"]  # also after the next cut
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
        if self.news.is_new_comment(own):
            self.push(own)

    async def ping(self) -> None:
        """Measure the way to the server and its clock once."""
        c0 = time.time() * 1000
        pong = await self.ask({"t": "time.ping", "c0": int(c0)})
        if pong["t"] == "time.pong":
            self.clock.heard(c0, pong["s1"], pong["s2"], time.time() * 1000)

    async def keep_time(self) -> None:
        with contextlib.suppress(Closed):  # whoever iterates is told
            while True:
                with contextlib.suppress(Unanswered):  # the next ping may be luckier
                    await self.ping()
                await asyncio.sleep(self.ping_seconds)
