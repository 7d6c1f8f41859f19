"""Rounds under load: entries per second, a draw of many entries, a quiz that everybody answers.

Entries are made by real viewers on real sockets, in waves: a wave comes in, all of it enters at once, and leaves.
Meanwhile a few people talk in another room: what a freeze and a draw do to its tick shows in their latency.
"""

import argparse
import http.client
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from loadtest import page
from loadtest.contestants import contestants, token
from loadtest.drain import Crowd, Viewer
from loadtest.frames import frame, upgrade
from loadtest.rush import Metronome
from loadtest.servers import Cores, Server, Unfit, prepared, served

NOTE = """\
* Entries/s: from the first `lottery.enter` of a wave to its last `ok`, all sent at once; every `ok` leaves after the
  entry is on disk (`appendfsync always`). The server has a core of its own, its Valkey and the viewers share the other.
* Freeze and draw: from the host's `ok` for `lottery.close` to `lottery.frozen` and to `lottery.drawn` on his socket.
* The other room: ten people, twenty comments a second; latency from the moment a comment was due to its arrival, in
  the seconds before the close, and from the close to a second behind the draw.
* Quiz: answers spread evenly over the given seconds, open loop. The reveal counts from the close bell, which rings
  500 ms behind `closes_at` (both in room time); results count from the reveal's arrival at the first viewer."""

OTHER = "tea"


class Told(msgspec.Struct):
    """As much of a server's message as is looked at."""

    t: str = ""
    cid: int = -1
    id: str = ""
    ts: int = 0
    closes_at: int = 0
    text: str = ""
    code: str = ""


told = msgspec.json.Decoder(list[Told] | Told)


def parsed(payload: memoryview) -> list[Told]:
    got = told.decode(payload)
    return got if isinstance(got, list) else [got]


def say(kind: str, **fields: Any) -> bytes:
    return frame(json.dumps({"t": kind, **fields}).encode())


def hello(pass_: str) -> bytes:
    return json.dumps({"t": "hello", "token": pass_}).encode()


@dataclass
class Heard:
    """What one listener heard: each kind of message and when."""

    messages: dict[str, tuple[float, Told]] = field(default_factory=dict)

    def listen(self, payload: memoryview) -> None:
        now = time.monotonic()
        for message in parsed(payload):
            key = f"ok {message.cid}" if message.t == "ok" else message.t
            self.messages[key] = (now, message)
            if message.t == "error":
                raise Unfit(f"the host was refused: {message.code}")


@dataclass
class Counter:
    """Counts, for a whole wave, the replies and one kind of push."""

    kind: str = ""
    oks: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    pushes: list[float] = field(default_factory=list)

    def listen(self, payload: memoryview) -> None:
        for message in parsed(payload):
            if message.t == "ok":
                self.oks += 1
            elif message.t == "error":
                self.errors[message.code] = self.errors.get(message.code, 0) + 1
            elif message.t == self.kind:
                self.pushes.append(time.monotonic())


class Talk:
    """People who talk in another room, and how late each comment came."""

    def __init__(self, server: Server, secret: bytes, people: int = 10, rate: int = 20) -> None:
        self.late: list[tuple[float, float]] = []
        self.crowd = Crowd(server.port, upgrade(server.port, f"/v1/rooms/{OTHER}/ws", "liveroom.v1.json"))
        self.people = [Viewer(hello(token(secret, f"t{n}", "host", room=OTHER)), self.listen) for n in range(people)]
        self.crowd.join(self.people)
        self.rate = rate
        self.clock = Metronome(time.monotonic_ns(), rate, 10**9)

    def listen(self, payload: memoryview) -> None:
        now = time.monotonic()
        self.late += [(now, now - int(one.text) / 1e9) for one in parsed(payload) if one.t == "chat.message"]

    def turn(self) -> None:
        for number, due in self.clock.due(time.monotonic_ns()):
            self.crowd.send(self.people[number % len(self.people)], say("chat.say", text=str(due)))
        self.crowd.turn(0)

    def worst_ms(self, since: float, until: float) -> tuple[float, float]:
        """Median and greatest latency of what came between two moments."""
        late = sorted(1000 * one for at, one in self.late if since <= at <= until)
        if not late:
            raise Unfit("nobody talked in the other room")
        return late[len(late) // 2], late[-1]


@dataclass
class Scene:
    """A server, its rooms, a host, and everybody's turn."""

    server: Server
    secret: bytes
    talk: Talk
    crowd: Crowd
    host: Viewer
    heard: Heard

    def turn_until(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise Unfit(f"{what} did not come within {seconds:.0f} s")
            self.crowd.turn(0.002)
            self.talk.turn()

    def rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self.turn_until(lambda: time.monotonic() >= until, seconds + 1, "the end of a pause")

    def ask(self, cid: int, kind: str, **fields: Any) -> tuple[float, Told]:
        self.crowd.send(self.host, say(kind, cid=cid, **fields))
        self.turn_until(lambda: f"ok {cid}" in self.heard.messages, 10, f"the reply to {kind}")
        return self.heard.messages[f"ok {cid}"]

    def hear(self, kind: str, seconds: float) -> tuple[float, Told]:
        self.turn_until(lambda: kind in self.heard.messages, seconds, kind)
        return self.heard.messages[kind]

    def wave(self, first: int, count: int, listen: Callable[[memoryview], None]) -> list[Viewer]:
        """So many new viewers, in the room."""
        coming = [Viewer(hello(token(self.secret, f"v{n}", "viewer")), listen) for n in range(first, first + count)]
        self.crowd.join(coming, at_once=200, seconds=120)
        if self.crowd.gone:
            raise Unfit(f"viewers were cut: {dict(self.crowd.gone)}")
        return coming

    def leave(self, viewers: list[Viewer]) -> None:
        for viewer in viewers:
            if viewer.sock is not None:
                fd = viewer.sock.fileno()
                del self.crowd.viewers[fd]
                viewer.sock.close()
                viewer.sock = None


def scene(server: Server) -> Scene:
    secret = (server.data / "secret").read_text("utf-8").strip().encode()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    headers = {"Authorization": f"Bearer {token(secret, 'bench', 'service', room='*')}"}
    connection.request("POST", "/v1/rooms", json.dumps({"id": OTHER, "title": "Tea"}), headers)
    if connection.getresponse().status not in (200, 201):
        raise Unfit("the second room could not be made")
    connection.close()
    crowd = Crowd(server.port, upgrade(server.port, "/v1/rooms/demo/ws", "liveroom.v1.json"))
    heard = Heard()
    host = Viewer(hello(token(secret, "host", "host")), heard.listen)
    crowd.join([host])
    return Scene(server, secret, Talk(server, secret), crowd, host, heard)


@dataclass
class Drawn:
    entries: int
    rates: list[float]
    redis_us: float
    frozen_ms: float
    drawn_ms: float
    before: tuple[float, float]
    during: tuple[float, float]


def lottery(on: Scene, entries: int, wave: int) -> Drawn:
    _, opened = on.ask(1, "lottery.open", prize="cup", winners=100, seconds=3600)
    rates, busy = [], 0.0
    for first in range(0, entries, wave):
        count = Counter()
        viewers = on.wave(first, min(wave, entries - first), count.listen)
        command, used = say("lottery.enter", cid=1, id=opened.id), on.server.helpers_cpu()
        started = time.monotonic()
        for viewer in viewers:
            on.crowd.send(viewer, command)
        on.turn_until(lambda c=count, v=viewers: c.oks + sum(c.errors.values()) >= len(v), 60, "a wave's replies")  # type: ignore[misc]
        rates.append(len(viewers) / (time.monotonic() - started))
        busy += on.server.helpers_cpu() - used
        if count.errors:
            raise Unfit(f"entries were refused: {count.errors}")
        on.leave(viewers)
    on.rest(4)
    closed, _ = on.ask(2, "lottery.close", id=opened.id)
    frozen, drawn = on.hear("lottery.frozen", 30)[0], on.hear("lottery.drawn", 30)[0]
    on.rest(1.5)
    return Drawn(
        entries,
        rates,
        1e6 * busy / entries,
        1000 * (frozen - closed),
        1000 * (drawn - closed),
        on.talk.worst_ms(closed - 3.5, closed),
        on.talk.worst_ms(closed, drawn + 1),
    )


@dataclass
class Revealed:
    answers: int
    reveal_ms: float
    first_ms: float
    last_ms: float
    during: tuple[float, float]


def quiz(on: Scene, players: int, spread_s: float) -> Revealed:
    count = Counter("quiz.result")
    viewers = on.wave(10**6, players, count.listen)
    on.rest(3)
    seconds = int(spread_s) + 2
    _, opened = on.ask(3, "quiz.open", question="?", choices=["a", "b", "c"], right=1, seconds=seconds)
    closes_at = on.hear("quiz.opened", 5)[1].closes_at
    clock = Metronome(time.monotonic_ns(), int(players / spread_s), players)

    def answer() -> bool:
        for number, _ in clock.due(time.monotonic_ns()):
            on.crowd.send(viewers[number], say("quiz.answer", cid=1, id=opened.id, choice=number % 3))
        return clock.beat >= players

    on.turn_until(answer, 30, "the answers")
    revealed, event = on.hear("quiz.revealed", 30)
    on.turn_until(lambda: len(count.pushes) >= players, 30, "the results")
    on.rest(0.5)
    if count.oks != players:
        raise Unfit(f"{players} answers, {count.oks} accepted, refused: {count.errors}")
    on.leave(viewers)
    return Revealed(
        players,
        event.ts - closes_at - 500,
        1000 * (min(count.pushes) - revealed),
        1000 * (max(count.pushes) - revealed),
        on.talk.worst_ms(revealed - 0.2, max(count.pushes) + 0.5),
    )


def ms(pair: tuple[float, float]) -> str:
    return f"{page.figure(pair[0])} / {page.figure(pair[1])}"


def drawn_table(draws: list[Drawn]) -> str:
    head = "entries|entries/s, by wave|Valkey CPU-µs per entry|frozen ms|drawn ms|other room p50/max ms before|during"
    rows = [
        [
            f"{one.entries:,}",
            page.ranged(one.rates),
            page.figure(one.redis_us),
            page.figure(one.frozen_ms),
            page.figure(one.drawn_ms),
            ms(one.before),
            ms(one.during),
        ]
        for one in draws
    ]
    return page.table(head, rows)


def quiz_table(quizzes: list[Revealed]) -> str:
    head = "answers|revealed, ms behind the bell|first result ms|last result ms|other room p50/max ms"
    rows = [
        [
            f"{one.answers:,}",
            page.figure(one.reveal_ms),
            page.figure(one.first_ms),
            page.figure(one.last_ms),
            ms(one.during),
        ]
        for one in quizzes
    ]
    return page.table(head, rows)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench_rounds", description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--wave", type=int, default=8000, help="viewers in the room at a time")
    parser.add_argument("--players", type=int, default=8000, help="of the quiz")
    parser.add_argument("--spread", type=float, default=3, help="seconds over which they answer")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--page", type=Path, default=page.today("rounds"))
    return parser.parse_args()


def runs(chosen: argparse.Namespace) -> Iterator[tuple[Drawn, Revealed]]:
    for _ in range(chosen.repetitions):
        with served(contestants()["liveroom"], Cores.here()) as server:
            on = scene(server)
            yield lottery(on, chosen.entries, chosen.wave), quiz(on, chosen.players, chosen.spread)


def main(chosen: argparse.Namespace) -> None:
    done = list(runs(chosen))
    parts = ["## Lottery", drawn_table([one for one, _ in done]), "## Quiz", quiz_table([one for _, one in done]), NOTE]
    page.write(chosen.page, f"Rounds, {time.strftime('%Y-%m-%d')}", parts)
    print(chosen.page.read_text())


if __name__ == "__main__":
    with prepared():
        main(options())
