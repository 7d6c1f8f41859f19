"""What one viewer of a busy room receives in a minute: each profile, both encodings, compressed and not.

Takes a minute and a half.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import count, product
from pathlib import Path

import msgspec

from loadtest import page
from loadtest.contestants import contestants, token
from loadtest.drain import Crowd, Viewer
from loadtest.frames import BINARY, TEXT, frame, upgrade
from loadtest.rush import Metronome
from loadtest.servers import Cores, Server, Unfit, prepared, served

PROFILES = ("full", "lite", "min")
MOST_OF_MIN = 6 * 1024  # bytes a minute
NAMES = ("阿杰", "Carla", "大熊", "Ann", "小美", "Grace", "老王", "Ben")
TEXTS = (
    *("does it come in blue?", "第一次来", "my sister would love this", "尺码偏大吗", "how much is shipping to Berlin"),
    *("主播好漂亮", "666", "买了买了", "is it machine washable", "这个和上次的有什么区别", "加油", "love it"),
)
NOTE = """\
Payload: what the frames carry, as it is on the wire, without frame headers (2 or 4 bytes each), pings, TCP or TLS, and
without the welcome. All rows are of one run, of one room. A viewer who also asks (`time.ping`, `history.get`) receives
the answers besides. Comments are short, English and Chinese."""

read = msgspec.json.Decoder().decode


@dataclass
class Watcher:
    """One viewer of one kind, and what came for him."""

    profile: str
    subprotocol: str
    deflate: bool
    payload: int = 0
    frames: int = 0
    comments: int = 0  # as are the next, by those who read JSON as it is
    said: int = 0
    seat: Viewer = field(default_factory=Viewer)

    def sit(self, secret: bytes) -> Viewer:
        name = f"w-{self.profile}-{self.subprotocol}-{self.deflate:d}"
        hello = {"t": "hello", "token": token(secret, name, "viewer"), "profile": self.profile}
        self.seat = Viewer((msgspec.json if self.opcode == TEXT else msgspec.msgpack).encode(hello), self.listen)
        return self.seat

    @property
    def opcode(self) -> int:
        return TEXT if self.subprotocol == "json" else BINARY

    def listen(self, payload: memoryview) -> None:
        self.payload += len(payload)
        self.frames += 1
        if self.opcode == TEXT and not self.deflate:
            news = read(payload)
            for message in news if isinstance(news, list) else [news]:
                self.comments += message["t"] == "chat.message"
                self.said += message.get("total", 0) if message["t"] == "chat.sampled" else 0

    def begin(self) -> None:
        self.payload = self.frames = self.comments = self.said = 0


@dataclass
class Busy:
    """The room that is watched: who speaks and likes, and who comes and goes."""

    secret: bytes
    chosen: argparse.Namespace
    crowd: Crowd
    numbers: Iterator[int] = field(default_factory=count)
    speakers: list[Viewer] = field(default_factory=list)
    passing: list[Viewer] = field(default_factory=list)

    def somebody(self) -> Viewer:
        number = next(self.numbers)
        secret = token(self.secret, f"{NAMES[number % len(NAMES)]}{number}", "viewer")
        return Viewer(json.dumps({"t": "hello", "token": secret, "profile": "min"}).encode())

    def fill(self) -> None:
        self.speakers = [self.somebody() for _ in range(self.chosen.viewers)]
        self.crowd.join(self.speakers)
        if self.crowd.seated < len(self.speakers):
            raise Unfit(f"only {self.crowd.seated} came in ({dict(self.crowd.gone)})")

    def speak(self, number: int) -> None:
        text = f"{TEXTS[number * 7 % len(TEXTS)]} {next(self.numbers)}"  # nobody says the same twice
        said = json.dumps({"t": "chat.say", "text": text}, ensure_ascii=False).encode()
        self.crowd.send(self.speakers[number % len(self.speakers)], frame(said))

    def like(self, number: int) -> None:
        self.crowd.send(self.speakers[-1 - number % len(self.speakers)], frame(b'{"t":"like.add","n":1}'))

    def come(self, number: int) -> None:
        """One comes; when thirty have, the first of them goes."""
        self.passing.append(self.somebody())
        self.crowd.connect(self.passing[-1])
        if len(self.passing) > 30 and (gone := self.passing.pop(0)).sock is not None:
            self.crowd.drop(gone.sock.fileno(), gone, "left")


def watch(server: Server, chosen: argparse.Namespace) -> list[Watcher]:
    """A minute of the room, as seen by a viewer of each kind."""
    secret = (server.data / "secret").read_text("utf-8").strip().encode()
    watchers = [Watcher(*kind) for kind in product(PROFILES, ("json", "msgpack"), (False, True))]
    path, extension = server.contestant.path, "permessage-deflate"
    with ExitStack() as stack:
        crowds = []
        for one in watchers:
            asked = upgrade(server.port, path, f"liveroom.v1.{one.subprotocol}", extension if one.deflate else "")
            crowds.append(stack.enter_context(Crowd(server.port, asked, one.opcode)))
        speaking = stack.enter_context(Crowd(server.port, upgrade(server.port, path)))
        busy = Busy(secret, chosen, speaking)
        busy.fill()
        for crowd, one in zip(crowds, watchers, strict=True):
            crowd.join([one.sit(secret)])
        play(busy, [*crowds, speaking], chosen.warm, chosen)
        for one in watchers:
            one.begin()
        play(busy, [*crowds, speaking], chosen.measured, chosen)
        if lost := [dict(crowd.gone) for crowd in crowds if crowd.gone]:
            raise Unfit(f"watchers were cut: {lost}")
    return watchers


def play(busy: Busy, crowds: list[Crowd], seconds: float, chosen: argparse.Namespace) -> None:
    start = time.monotonic_ns()
    rates = ((busy.speak, chosen.comments), (busy.like, chosen.likes), (busy.come, chosen.joins))
    acts = [(act, Metronome(start, rate, int(rate * seconds))) for act, rate in rates if rate]
    while (now := time.monotonic_ns()) < start + seconds * 1e9:
        for act, metronome in acts:
            for number, _ in metronome.due(now):
                act(number)
        for crowd in crowds[:-1]:
            crowd.turn()
        crowds[-1].turn(min(metronome.wait(now) for _, metronome in acts))


def rows(watchers: list[Watcher], seconds: float) -> Iterator[list[str]]:
    minute = 60 / seconds
    most = watchers[0].payload
    shown = {one.profile: one.comments for one in watchers if one.subprotocol == "json" and not one.deflate}
    for one in watchers:
        yield [
            f"`{one.profile}`",
            "JSON" if one.subprotocol == "json" else "MessagePack",
            "yes" if one.deflate else "no",
            f"{one.payload * minute:,.0f}",
            f"{one.payload / most:.1%}",
            f"{one.frames * minute:,.0f}",
            f"{shown[one.profile] * minute:,.0f}",
        ]


HEAD = "profile|encoding|deflate|bytes/min|of the first|frames/min|comments/min"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench_bytes", description=__doc__.partition("\n")[0])
    parser.add_argument("--viewers", type=int, default=200, help="who speak and like")
    parser.add_argument("--comments", type=int, default=1000, help="per second")
    parser.add_argument("--likes", type=int, default=500, help="per second")
    parser.add_argument("--joins", type=int, default=5, help="per second")
    parser.add_argument("--budget", type=int, default=30, help="comments per second that a viewer is shown")
    parser.add_argument("--warm", type=float, default=10)
    parser.add_argument("--measured", type=float, default=60)
    parser.add_argument("--page", type=Path, default=page.today("bytes"))
    return parser.parse_args()


def main(chosen: argparse.Namespace) -> int:
    settings = {"CHAT_RATE": "20", "CHAT_BURST": "60", "COMPRESSION": "on", "CROWD_BUDGET": str(chosen.budget)}
    environment = {f"LIVEROOM_{name}": value for name, value in settings.items()}
    with served(replace(contestants()["liveroom"], environment=environment), Cores.here()) as server:
        watchers = watch(server, chosen)
    accepted = watchers[0].said / chosen.measured
    room = (
        f"One room, into which {chosen.comments:,} comments/s ({accepted:,.0f} were accepted), {chosen.likes:,} likes/s"
        f" and {chosen.joins} joins/s\nare sent; no play is running; `crowd_budget` is {chosen.budget} comments/s,"
        " `lite_budget` 5."
    )
    parts = [room, page.table(HEAD, rows(watchers, chosen.measured)), NOTE]
    page.write(chosen.page, f"Bytes per viewer and minute, {time.strftime('%Y-%m-%d')}", parts)
    print(chosen.page.read_text())
    least = max(one.payload * 60 / chosen.measured for one in watchers if one.profile == "min")
    if least > MOST_OF_MIN:
        print(f"`min` receives {least:,.0f} bytes a minute: at most {MOST_OF_MIN:,} are promised", file=sys.stderr)
    return int(least > MOST_OF_MIN)


if __name__ == "__main__":
    with prepared():
        sys.exit(main(options()))
