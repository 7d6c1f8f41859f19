"""The one host: a show of short rounds, one after the other."""

import itertools
import time
from collections.abc import Callable
from typing import ClassVar

import gevent
from locust import task
from locust.exception import StopUser

from loadtest.crowd.conduct import CHAT_RATE
from loadtest.crowd.disguises import OF_THE_ROOM
from loadtest.crowd.notes import Message
from loadtest.crowd.stage import BEGIN, END, stage
from loadtest.crowd.visitor import Visitor, code

ENDS = {  # what a round is over with
    "lottery": "lottery.settled",
    "quiz": "quiz.revealed",
    "count": "count.closed",
    "sprint": "sprint.closed",
    "sale": "sale.closed",
}
LATE_SECONDS = 10.0  # so long behind its end a round may be told to be over
ALL_IN_SECONDS = 30.0
SETTLE_SECONDS = 2.0
STAFF = 2  # the host and the moderator
KEYWORDS = ("想要", "teapot", "茶")


class Host(Visitor):
    """Begins when everybody is in, and says when it is over: all users of all processes act by that."""

    role = "host"
    kind = "host"
    fixed_count = 1
    wants: ClassVar[frozenset[str]] = frozenset({"room.stats", *ENDS.values()})

    def on_start(self) -> None:
        try:
            super().on_start()
        except StopUser:
            stage.over.set()  # no host, no show
            raise

    @task
    def show(self) -> None:
        settled = self.settle()
        self.wait_for_all()
        gevent.sleep(max(0.0, settled - time.monotonic()))
        self.tell(BEGIN)
        self.perform(time.monotonic() + stage.show_seconds)
        self.tell(END)
        self.rest()

    def settle(self) -> float:
        """How the chat is; and when every node knows it."""
        self.ask("chat.settings", mode="open", rate=CHAT_RATE, words=OF_THE_ROOM)
        return time.monotonic() + SETTLE_SECONDS

    def wait_for_all(self) -> None:
        """`room.stats` counts distinct viewers, without the staff."""
        with gevent.Timeout(ALL_IN_SECONDS, False):
            stage.spawned.wait()
            while (stats := self.next_news()) and stats.get("viewers", 0) < stage.users - STAFF:
                pass

    def perform(self, until: float) -> None:
        """At least one round of each kind, whatever the time."""
        acts = itertools.chain(stage.profile.show.order, itertools.cycle(stage.profile.show.order))
        for number, act in enumerate(acts):
            if number >= len(stage.profile.show.order) and time.monotonic() > until:
                break
            ACTS[act](self, number)
            stage.notes.rounds[act] += 1
            gevent.sleep(stage.profile.show.pause_seconds)

    def tell(self, text: str) -> None:
        self.ask("room.notice", text=text)

    def open(self, kind: str, **fields: object) -> Message:
        """The id of the new round."""
        return self.ask(f"{kind}.open", **fields)

    def finish(self, kind: str, opened: Message, seconds: float) -> None:
        """Wait until all are told that it is over."""
        until = time.monotonic() + seconds + LATE_SECONDS
        while not code(opened) and (left := until - time.monotonic()) > 0:
            message = self.next_news(left)
            if message and message["t"] == ENDS[kind] and message["id"] == opened["id"]:
                return
        stage.notes.faults[f"a {kind} that did not end"] += 1

    # -- acts --

    def notice(self, number: int) -> None:
        self.tell(f"Welcome, and thank you for the likes ({number})!")

    def lottery(self, number: int) -> None:
        show = stage.profile.show.lottery
        opened = self.open("lottery", prize=f"teapot {number}", winners=show.winners, seconds=show.seconds)
        self.finish("lottery", opened, show.seconds)

    def keyword_lottery(self, number: int) -> None:
        show, word = stage.profile.show.lottery, KEYWORDS[number % len(KEYWORDS)]
        prize = {"prize": f"cup {number}", "winners": show.winners}
        self.finish("lottery", self.open("lottery", keyword=word, seconds=show.seconds, **prize), show.seconds)

    def quiz(self, number: int) -> None:
        seconds = stage.profile.show.quiz.seconds
        question = {"question": f"Where is cup {number} from?", "choices": ["here", "there", "elsewhere"]}
        opened = self.open("quiz", right=number % 3, explain="It is on the label.", seconds=seconds, **question)
        self.finish("quiz", opened, seconds)

    def count(self, number: int) -> None:
        seconds = stage.profile.show.count.seconds
        opened = self.open("count", keyword=KEYWORDS[number % len(KEYWORDS)], seconds=seconds)
        self.finish("count", opened, seconds)

    def sprint(self, number: int) -> None:
        show = stage.profile.show.sprint
        self.finish("sprint", self.open("sprint", target=show.target, seconds=show.seconds), show.seconds)

    def sale(self, number: int) -> None:
        """More comes in the middle of it, and for a moment nobody may claim."""
        show = stage.profile.show.sale
        opened = self.open(
            "sale",
            item=f"cup {number}",
            price=9900,
            stock=show.stock,
            per_viewer=show.per_viewer,
            seconds=show.seconds,
            hold_seconds=show.hold_seconds,
        )
        if code(opened):
            return
        if show.pause_seconds:
            self.pause(opened["id"], show.pause_seconds)
        gevent.sleep(show.seconds / 2)
        if show.restock:
            self.ask("sale.restock", id=opened["id"], qty=show.restock)
        self.finish("sale", opened, show.seconds)

    def pause(self, sale: str, seconds: float) -> None:
        gevent.sleep(seconds)
        self.ask("sale.pause", id=sale)
        gevent.sleep(seconds)
        self.ask("sale.resume", id=sale)


ACTS: dict[str, Callable[[Host, int], None]] = {
    "notice": Host.notice,
    "lottery": Host.lottery,
    "keyword lottery": Host.keyword_lottery,
    "quiz": Host.quiz,
    "count": Host.count,
    "sprint": Host.sprint,
    "sale": Host.sale,
}
