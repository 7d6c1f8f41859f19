"""Who is in the crowd, and what each of them does."""

import random
import time
from typing import Any

import gevent
from locust import task

from loadtest.crowd.conduct import CHAT_BURST, Pace, Shown, unruly
from loadtest.crowd.lines import LINES
from loadtest.crowd.notes import Message, Probe
from loadtest.crowd.rhythm import Rhythm
from loadtest.crowd.stage import EVASION, about, stage
from loadtest.crowd.visitor import Visitor, code
from loadtest.crowd.wire import Ended

NEARLY = CHAT_BURST - 1.5  # comments: who said less lately was not too fast, by anybody's clock


class Lurker(Visitor):
    """Watches. The first ones note every comment; some of the others lose their network and come back."""

    kind = "lurker"

    def on_start(self) -> None:
        super().on_start()
        self.gone: set[str] = set()  # deleted by id
        if len(stage.notes.probes) < stage.profile.lurkers.probes:
            self.probe = Probe(self.me)
            stage.notes.probes.append(self.probe)

    def told(self, message: Message) -> None:
        super().told(message)
        if self.probe is None:
            return
        if message["t"] == "chat.message":
            self.probe.seen.append(message["id"])
            self.sees(message, message["text"].rpartition(" #")[2])
        elif message["t"] == "chat.deleted":
            self.gone.update(message.get("ids", ()))
        elif message["t"] == "chat.sampled":
            self.probe.sampled += message["total"] - message["shown"]

    def sees(self, message: Message, mark: str) -> None:
        """From the sender's clock to this screen, where the sender is of this process; and who should not be seen."""
        conduct = stage.notes.conduct
        if sent := stage.sent.get(mark):
            self.report("comment → screen", sent)
        if unruly(message["from"]):
            conduct.shown.setdefault(message["id"], Shown(message["from"], message["ts"], self.now()))
        if mark.startswith(f"{EVASION}-"):
            conduct.let_through.append(f"shown: {message['text']}")
        if message["id"] in self.gone:
            conduct.undead.append(message["id"])

    @task
    def watch(self) -> None:
        lurkers = stage.profile.lurkers
        stage.begun.wait()
        if self.probe or random.random() >= lurkers.returning:
            self.rest()
        while not stage.over.wait(about(lurkers.stay_seconds)):
            self.come_back(about(lurkers.away_seconds))
        self.rest()

    def come_back(self, away_s: float) -> None:
        """The network is gone for a while; then he goes on where he was, on any node."""
        self.leave(self.wire.drop)
        self.node = stage.node()
        gevent.sleep(away_s)
        try:
            welcome = self.join({"resume": {"epoch": self.seat.epoch, "seq": self.seat.last}})
        except (Ended, OSError) as error:
            stage.notes.faults[f"a resume that failed: {error}"] += 1
            return
        if not welcome["recovered"]:
            stage.notes.faults["a resume that was not met"] += 1
        self.seat.resumes += 1
        self.reader = gevent.spawn(self.listen)


class Talker(Visitor):
    """Says something now and then, and knows when it was too soon."""

    kind = "talker"

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.pace = Pace()
        self.rhythm = Rhythm(stage.profile.talkers.rhythm)

    @task
    def talk(self) -> None:
        stage.begun.wait()
        gevent.sleep(self.until_next())
        if stage.over.is_set():
            self.rest()
        mark = stage.new("c")
        stage.sent[mark] = time.perf_counter()
        self.ask("chat.say", text=f"{random.choice(LINES)} #{mark}")

    def until_next(self) -> float:
        """Seconds, by the rhythm of the show."""
        patience = about(stage.profile.talkers.think_seconds) / stage.show_seconds
        return self.rhythm.wait(stage.part, patience) * stage.show_seconds

    def insist(self, command: Message) -> Message:
        """What he is refused although he kept his pace is for the verdict."""
        before, began = self.pace.now(self.now()), time.perf_counter()
        reply = super().insist(command)
        why, conduct = code(reply), stage.notes.conduct
        if not why:
            conduct.waits.append(int((time.perf_counter() - began) * 1000))
        elif why != "RATE_LIMITED" or before < NEARLY:
            conduct.wronged[f"{command['t']} {why}"] += 1
        return reply

    def said(self, command: Message, reply: Message) -> None:
        super().said(command, reply)
        self.pace.said(self.now())


class Liker(Visitor):
    kind = "liker"

    @task
    def like(self) -> None:
        likers = stage.profile.likers
        stage.begun.wait()
        gevent.sleep(about(likers.think_seconds))
        if stage.over.is_set():
            self.rest()
        self.ask("like.add", n=random.randint(1, likers.most))


class Player(Visitor):
    """Waits for what it wants to hear, and takes part in it after a moment."""

    abstract = True

    @property
    def manners(self) -> Any:
        raise NotImplementedError

    @task
    def play(self) -> None:
        message = self.next_news()
        if message is None or random.random() >= self.manners.plays:
            return
        gevent.sleep(about(self.manners.think_seconds))
        if not stage.over.is_set():
            self.take_part(message)

    def take_part(self, message: Message) -> None:
        raise NotImplementedError


class LotteryPlayer(Player):
    """Presses the button, or says the word, of a lottery or a count."""

    kind = "lottery"
    wants = frozenset({"lottery.opened", "count.opened"})

    @property
    def manners(self) -> Any:
        return stage.profile.lottery_players

    def take_part(self, message: Message) -> None:
        if "keyword" in message:
            self.ask("chat.say", text=message["keyword"])
        else:
            self.ask("lottery.enter", id=message["id"])


class QuizPlayer(Player):
    kind = "quiz"
    wants = frozenset({"quiz.opened"})

    @property
    def manners(self) -> Any:
        return stage.profile.quiz_players

    def take_part(self, message: Message) -> None:
        self.ask("quiz.answer", id=message["id"], choice=random.randrange(len(message["choices"])))


class Buyer(Player):
    """Claims; then pays, changes his mind, or lets it lapse. Who gets nothing may wait for what comes free."""

    kind = "buyer"
    wants = frozenset({"sale.opened", "sale.offered"})

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.shop = stage.shop()

    @property
    def manners(self) -> Any:
        return stage.profile.buyers

    def told(self, message: Message) -> None:
        if hears := NEWS_OF_SALES.get(message["t"]):
            hears(self, message)
        super().told(message)

    def take_part(self, message: Message) -> None:
        if message["t"] == "sale.offered":
            self.claim_and_decide(message["id"], message["qty"])
            return
        most = message["per_viewer"]
        if self.claim_and_decide(message["id"], random.randint(1, most)) and random.random() < self.manners.greedy:
            self.claim(message["id"], most)

    def claim_and_decide(self, sale: str, qty: int) -> bool:
        """Whether he got it."""
        reply = self.claim(sale, qty)
        why = code(reply)
        if why == "SALE_SOLD_OUT" and random.random() < self.manners.waits:
            self.ask("sale.wait", id=sale)
        if not why:
            gevent.spawn(self.decide, reply["hold"])
        return not why

    def claim(self, sale: str, qty: int, tries: int = 3) -> Message:
        """A sale that is paused, or has units that may come back, is worth another try: a new intention."""
        reply = self.ask("sale.claim", id=sale, qty=qty)
        while tries and code(reply) and reply.get("retryable") and not stage.over.is_set():
            gevent.sleep(reply.get("retry_after_ms", 300) / 1000)
            reply, tries = self.ask("sale.claim", id=sale, qty=qty), tries - 1
        return reply

    def decide(self, hold: str) -> None:
        luck, buyers = random.random(), self.manners
        gevent.sleep(about(buyers.pay_seconds))
        if luck < buyers.pays:
            self.pay(hold)
        elif luck < buyers.pays + buyers.cancels:
            self.cancel(hold, by_shop=luck < buyers.pays + buyers.cancels / 2)

    def pay(self, hold: str) -> None:
        began, payment = time.perf_counter(), stage.new("pay")
        answer = self.shop.confirm(hold, payment, self.now())
        self.report("confirm", began, self.judged("confirm", as_reply(answer.code)), kind="HTTP")
        if "order" in answer.body:
            stage.notes.paid(hold, answer.body["order"], answer.body["rank"], self.now())

    def cancel(self, hold: str, by_shop: bool) -> None:
        stage.notes.let_go(hold, self.now())
        if not by_shop:
            self.ask("sale.cancel", hold=hold)
            return
        began = time.perf_counter()
        answer = self.shop.cancel(hold, "the card was declined")
        self.report("cancel", began, self.judged("cancel", as_reply(answer.code)), kind="HTTP")

    # -- what he is told of his own, and everybody of the sale --

    def hears_open(self, message: Message) -> None:
        stage.notes.opened(message)

    def hears_restock(self, message: Message) -> None:
        stage.notes.restocked(message)

    def hears_stock(self, message: Message) -> None:
        stage.notes.counted(message)

    def hears_held(self, message: Message) -> None:
        stage.notes.held(message["hold"], message["id"], self.me, message["qty"], self.now(), message["until"])

    def hears_order(self, message: Message) -> None:
        stage.notes.paid(message["hold"], message["order"], message["rank"], self.now())

    def hears_release(self, message: Message) -> None:
        stage.notes.released(message["hold"], message["why"], self.now())


NEWS_OF_SALES = {
    "sale.opened": Buyer.hears_open,
    "sale.restocked": Buyer.hears_restock,
    "sale.stock": Buyer.hears_stock,
    "sale.held": Buyer.hears_held,
    "sale.confirmed": Buyer.hears_order,
    "sale.released": Buyer.hears_release,
}


def as_reply(why: str) -> Message:
    """An HTTP answer, as a reply on a socket would say it."""
    return {"t": "error", "code": why} if why else {"t": "ok"}
