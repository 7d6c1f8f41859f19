"""A little synthetic show: a dozen people who come, talk, like, buy, leave and return, and a host who sells."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import stat
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from liveroom.client import Closed, Message, Unanswered, Unreachable, Viewer
from liveroom.remote import Server, Trouble
from liveroom.settings import SettingsError

PEOPLE = ("Ann", "小雨", "Ben", "阿杰", "Carla", "Dimitri", "米粒", "Eva", "大熊", "Femi", "Grace", "橙子")
LINES = (
    *("hello everyone", "just got here, what did I miss?", "that colour is lovely", "does it come in blue?", "so soft"),
    *("how long does shipping take?", "I have the older one, still works", "haha", "what size are you wearing?"),
    *("my sister would love this", "can you show the back please", "wow", "the sound is good today"),
    *("主播好", "来了来了", "这个好看", "有蓝色的吗", "多少钱呀", "已经下单了", "上次买的很好用", "哈哈哈"),
    *("能再看一下背面吗", "什么时候发货", "太可爱了", "有没有小一号的", "声音很清楚", "第一次来", "给主播点赞"),
)
NOTICES = (
    "Welcome! Ask anything about what you see.",
    "欢迎新来的朋友，有问题直接问。",
    "In ten minutes: the blue one, live from the workshop.",
    "谢谢大家的点赞！",
)
GOODS = (("Teapot, celadon", 12900), ("蓝色马克杯", 4900), ("Tea towel, two of them", 3900), ("竹茶盘", 19900))
ANSWERS = ("good question, one moment", "yes, in three sizes", "有的，马上给大家看", "thank you!", "two days by post")
COMMENT_SECONDS = 12  # between two comments of one person, on average
STAY_SECONDS = 90
ALL_ALONG = 1e9  # seconds
AWAY_SECONDS = 25
NOTICE_SECONDS = 75
RETRY_SECONDS = 2
LEAST_SECONDS = 0.5
SHARE_WHO_PLAY = 0.8
THINK_SECONDS = 3
COUNTDOWN_SECONDS = 10
SALE_SECONDS = 60
HOLD_SECONDS = 15
PAY_SECONDS = 4
SHARE_WHO_PAY = 0.6
SHARE_WHO_LET_GO = 0.15
SHARE_WHO_WAIT = 0.5

Act = Callable[[Viewer], Awaitable[object]]


def about(mean_s: float) -> float:
    """A waiting time as people have them: mostly short, sometimes long."""
    return max(LEAST_SECONDS, random.expovariate(1 / mean_s))


async def say_something(viewer: Viewer) -> None:
    await viewer.say(random.choice(LINES))


async def like(viewer: Viewer) -> None:
    await viewer.ask({"t": "like.add", "n": random.randint(1, 15)})


async def answer(viewer: Viewer) -> None:
    await viewer.say(random.choice(ANSWERS))


async def notice(viewer: Viewer) -> None:
    await viewer.ask({"t": "room.notice", "text": random.choice(NOTICES)})


async def sell(viewer: Viewer) -> None:
    """Something small, with a countdown, to its end: the next one comes later."""
    await viewer.ping()
    item, price = random.choice(GOODS)
    sale = {"item": item, "price": price, "stock": random.randint(3, 5), "hold_seconds": HOLD_SECONDS}
    opens_at = int(viewer.clock.now_ms()) + COUNTDOWN_SECONDS * 1000
    await viewer.ask({"t": "sale.open", **sale, "seconds": SALE_SECONDS, "opens_at": opens_at})
    await asyncio.sleep(COUNTDOWN_SECONDS + SALE_SECONDS)


class Part(NamedTuple):
    """Somebody in the show: who it is, what it does how often, and how long it stays."""

    sub: str
    role: str
    name: str
    acts: Sequence[Act]
    weights: Sequence[int]
    pause_s: float
    stay_s: float


GUESTS = [
    Part(f"show-{n}", "viewer", name, (say_something, like), (3, 2), COMMENT_SECONDS * 3 / 5, STAY_SECONDS)
    for n, name in enumerate(PEOPLE)
]
HOST = Part("show-host", "host", "Host", (notice, answer, sell), (3, 6, 1), NOTICE_SECONDS / 3, ALL_ALONG)


class Shop(NamedTuple):
    """The shop's back end: it tells the server of payments. Raises Trouble where nobody answers."""

    server: Server
    room: str

    async def paid(self, hold: str) -> None:
        await self.tell(hold, "confirm", {"payment_id": f"show-{hold}", "paid_at": int(time.time() * 1000)})

    async def refused(self, hold: str) -> None:
        await self.tell(hold, "cancel", {"reason": "the card was refused"})

    async def tell(self, hold: str, verb: str, body: Message) -> None:
        token = self.server.mint("show-shop", self.room, "service")
        await asyncio.to_thread(self.server.call, "POST", f"/v1/rooms/{self.room}/holds/{hold}/{verb}", token, body)


async def enter(viewer: Viewer, opened: Message, _: Shop) -> None:
    """By comment where there is a keyword, else by the button."""
    if "keyword" in opened:
        await viewer.say(opened["keyword"])
    else:
        await viewer.ask({"t": "lottery.enter", "id": opened["id"]})


async def answer_quiz(viewer: Viewer, opened: Message, _: Shop) -> None:
    choice = random.randrange(len(opened["choices"]))
    await viewer.ask({"t": "quiz.answer", "id": opened["id"], "choice": choice})


async def cheer(viewer: Viewer, opened: Message, _: Shop) -> None:
    await viewer.ask({"t": "like.add", "n": random.randint(10, 40)})


async def say_keyword(viewer: Viewer, opened: Message, _: Shop) -> None:
    await viewer.say(opened["keyword"])


async def buy(viewer: Viewer, opened: Message, shop: Shop) -> None:
    """Claim one, then pay, have second thoughts, or forget it; who comes too late may wait."""
    sale = opened["id"]
    claimed = await viewer.ask({"t": "sale.claim", "id": sale, "idem": f"show-{random.getrandbits(64):x}"})
    if claimed["t"] == "ok":
        await decide(viewer, claimed["hold"], shop)
    elif claimed["code"] == "SALE_SOLD_OUT" and random.random() < SHARE_WHO_WAIT:
        await viewer.ask({"t": "sale.wait", "id": sale})


async def decide(viewer: Viewer, hold: str, shop: Shop) -> None:
    await asyncio.sleep(about(PAY_SECONDS))
    mood = random.random()
    if mood < SHARE_WHO_PAY:
        await shop.paid(hold)
    elif mood < SHARE_WHO_PAY + SHARE_WHO_LET_GO / 2:
        await shop.refused(hold)
    elif mood < SHARE_WHO_PAY + SHARE_WHO_LET_GO:
        await viewer.ask({"t": "sale.cancel", "hold": hold})


TAKES_PART = {
    "lottery.opened": enter,
    "quiz.opened": answer_quiz,
    "sprint.opened": cheer,
    "count.opened": say_keyword,
    "sale.opened": buy,
    "sale.offered": buy,
}


async def take_part(viewer: Viewer, opened: Message, shop: Shop) -> None:
    """Most people do, after a moment, if there is still time."""
    if random.random() < SHARE_WHO_PLAY:
        left_s = (opened["closes_at"] - opened["opens_at"]) / 1000 if "closes_at" in opened else HOLD_SECONDS
        await asyncio.sleep(min(about(THINK_SECONDS), left_s / 2))
        with suppress(Unanswered, Trouble):
            await TAKES_PART[opened["t"]](viewer, opened, shop)


async def act(viewer: Viewer, part: Part) -> None:
    while True:
        await asyncio.sleep(about(part.pause_s))
        with suppress(Unanswered):  # nobody misses one act of many
            await random.choices(part.acts, part.weights)[0](viewer)


async def visit(server: Server, room: str, part: Part) -> None:
    """Do this and that, and take part in what is opened, for as long as it lasts."""
    token = server.mint(part.sub, room, part.role, part.name)
    async with Viewer(server.url, room, token, source="show", profile="min", ping_seconds=0) as viewer:
        doing = {asyncio.create_task(act(viewer, part))}
        try:
            async for message in viewer:
                if part.role == "viewer" and message["t"] in TAKES_PART:
                    doing.add(asyncio.create_task(take_part(viewer, message, Shop(server, room))))
        finally:
            for task in doing:
                task.cancel()
            await asyncio.gather(*doing, return_exceptions=True)


async def come_and_go(server: Server, room: str, part: Part) -> None:
    """Visit again and again; a server that is away is asked again a little later."""
    while True:
        try:
            async with asyncio.timeout(about(part.stay_s)):
                await visit(server, room, part)
        except TimeoutError:
            await asyncio.sleep(about(AWAY_SECONDS))
        except (Unreachable, Closed):
            await asyncio.sleep(RETRY_SECONDS)


async def parent_gone() -> None:
    """Returns when the process that started this one has ended."""
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - the system tells nobody
        await asyncio.sleep(0.5)


async def input_closed() -> None:
    """Returns at the end of stdin, where that is a pipe."""
    if sys.stdin is None or not stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        await asyncio.Event().wait()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1024):
        pass


async def play(server: Server, room: str) -> None:
    """The whole show, until SIGTERM, SIGINT, or the end of whoever started it."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    cast = [asyncio.create_task(come_and_go(server, room, part)) for part in (*GUESTS, HOST)]
    ends = [asyncio.create_task(end) for end in (stop.wait(), parent_gone(), input_closed())]
    done, _ = await asyncio.wait([*cast, *ends], return_when=asyncio.FIRST_COMPLETED)
    for task in (*cast, *ends):
        task.cancel()
    await asyncio.gather(*cast, *ends, return_exceptions=True)
    for task in done:
        task.result()  # a surprise ends the show, and is raised


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m liveroom.show", description=__doc__)
    parser.add_argument("--url")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--room", default="demo")
    options = parser.parse_args()
    try:
        asyncio.run(play(Server(options.url, None, options.data), options.room))
    except (SettingsError, Trouble) as error:
        sys.exit(f"liveroom show: {error}")


if __name__ == "__main__":
    main()
