"""One viewer of the replay: joins, says its part, and comes back after a cut."""

from __future__ import annotations

import asyncio
import itertools

import msgspec

from liveroom.client import CUT, After, Message, Unreachable, after, closed, pause_s, unpacked
from liveroom.replay.account import Account, Probe
from liveroom.replay.line import Line


class Player:
    """Enters all it says in the account; with a probe it reads everything, without one replies only."""

    def __init__(self, number: int, address: str, token: str, account: Account, probe: Probe | None) -> None:
        self.number, self.address, self.account, self.probe = number, address, account, probe
        self.hello = msgspec.json.encode({"t": "hello", "token": token})
        self.line: Line | None = None
        self.seated = False
        self.failure: Exception | None = None  # why it is not in, or will not come back

    async def stay(self) -> None:
        for attempt in itertools.count():
            code = await self.visit()
            if after(code) in (After.STOP, After.NEW_TOKEN):
                self.failure = closed(code)
                return
            await asyncio.sleep(pause_s(attempt))

    async def visit(self) -> int:
        """One connection; the code that ended it."""
        try:
            self.line = await Line.open(self.address, self.hello, self.heard)
        except OSError as error:
            self.failure = Unreachable(str(error))
            return CUT
        self.failure = None
        try:
            return await self.line.ended
        finally:
            self.seated = False
            self.account.lost(self.number)
            self.line.leave()

    def heard(self, payload: bytes) -> None:
        # A quotation mark inside a text is escaped, so this finds replies only.
        if self.probe or not self.seated or b'"cid"' in payload:
            for message in unpacked(msgspec.json.decode(payload)):
                self.take(message)

    def take(self, message: Message) -> None:
        if "cid" in message:
            self.account.answered(message)
        elif message["t"] == "welcome":
            self.seated = True
            self.account.ours.add(message["viewer"]["id"])
            if self.probe:
                self.probe.visits += 1
        elif self.probe:
            self.probe.take(message)

    def say(self, text: str) -> None:
        if not (self.seated and self.line):
            self.account.away += 1
            return
        cid = self.account.send(self.number)
        self.line.tell(msgspec.json.encode({"t": "chat.say", "cid": cid, "text": text}))
