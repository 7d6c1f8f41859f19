"""What is told of rounds and of the audience, as lines to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

Message = Mapping[str, Any]

HELP = (
    "what is typed is said; /1, /2 … answer a quiz; /enter enters a draw;"
    " /claim takes the newest that can be claimed, a prize you won or one of a sale;"
    " /wait waits for one of a sale; /pay pays what is held, in the shop of --dev"
)
CLAIMABLE = {  # what told of something that /claim takes, and the command
    "lottery.won": "lottery.claim",
    **dict.fromkeys(["sale.opened", "sale.reopened", "sale.offered"], "sale.claim"),
}
CURRENCIES = {  # ISO 4217: digits of their minor units; 2 where it is not said
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
DIGITS = {currency: digits for digits, currencies in CURRENCIES.items() for currency in currencies.split()}


def names(message: Message) -> str:
    return ", ".join(one["name"] for one in message["winners"]) or "nobody"


def drawn(message: Message) -> str:
    more = message["winners_total"] - len(message["winners"])
    return f"the winners are {names(message)}" + (f" and {more} more" if more else "")


def quiz(message: Message) -> str:
    choices = "  ".join(f"/{number} {choice}" for number, choice in enumerate(message["choices"], 1))
    return f"{message['question']}  {choices}"


def revealed(message: Message) -> str:
    counts = "  ".join(f"/{number}: {count}" for number, count in enumerate(message["counts"], 1))
    return f"right is /{message['right'] + 1}. {message['explain']} ({counts})"


def result(message: Message) -> str:
    right = "right" if message["correct"] else "wrong"
    return f"you are {right}: {message['points']} points, rank {message['rank']}"


def board(message: Message) -> str:
    top = "  ".join(f"{one['rank']}. {one['name']} {one['points']}" for one in message["top"])
    return f"{message['series']}: {top}"


def reason(message: Message) -> str:
    kind, _, verb = message["t"].partition(".")
    return f"the {kind} is {verb}: {message['reason']}"


def rules(message: Message) -> str:
    return str(message["rules"])


def paused(message: Message) -> str:
    return "the sale is paused" + (f": {message['reason']}" if "reason" in message else "")


def price(units: int, currency: str) -> str:
    """An amount in minor units, as people write it."""
    digits = DIGITS.get(currency, 2)
    whole, part = divmod(units, 10**digits)
    return f"{whole:,}" + (f".{part:0{digits}d}" if digits else "") + f" {currency}"


def sale(message: Message) -> str:
    return f"{item(message)}. {message['rules']} (/claim takes one)"


def item(message: Message) -> str:
    return f"{message['item']}, {price(message['price'], message['currency'])}"


def soon(message: Message) -> str:
    seconds = f" in {round((message['opens_at'] - message['ts']) / 1000)} s" if "ts" in message else ""
    return f"for sale{seconds}: {item(message)}"


def held(message: Message) -> str:
    return f"{message['qty']} held for you: /pay buys, before the time is up"


def released(message: Message) -> str:
    why = {"expired": "the time to pay ran out", "refunded": "your payment was given back"}
    return f"{message['qty']} not held for you any more: {why.get(message['why'], message['why'])}"


CHATS: dict[str, Callable[[Message], str]] = {
    "open": lambda _: "everybody may comment",
    "slow": lambda one: f"slow mode: one comment every {one['slow_seconds']} s",
    "members": lambda one: f"members of level {one['level']} may comment",
    "muted": lambda _: "comments are off",
}


def chat(settings: Message) -> str:
    """How a chat is."""
    told = CHATS.get(settings["mode"])
    return told(settings) if told else f"the chat is {settings['mode']}"


BARS = "▁▂▃▄▅▆▇█"
SPARKS = 20


def sparks(values: Sequence[int]) -> str:
    """A curve as small as a word: the newest points, from nobody to the most of them."""
    newest = values[-SPARKS:]
    most = max(newest, default=0) or 1
    return "".join(BARS[max(0, round(one / most * (len(BARS) - 1)))] for one in newest)


def lasting(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def median_stay(report: Message) -> str:
    """Where half has not left yet, at least how long somebody was seen to stay."""
    stay = report["stay"]
    if stay["median"] is not None:
        return lasting(stay["median"])
    if not stay["n"]:
        return "–"
    ends = [points[-1]["t"] for points in (stay["curve"], report["provisional"]) if points]
    return f"more than {lasting(max(0.0, oldest(report), *ends))}"


def oldest(report: Message) -> float:
    """How long somebody who is here has stayed, at least: by when more had come than ever left. 0 where not known."""
    curve, bucket = report["online"]["curve"], report["online"]["bucket"]
    if len(curve) > 1 and curve[1]["t"] > bucket:
        return 0.0  # of a thinned curve
    left, came = sum(one["leaves"] for one in curve), accumulate(one["joins"] for one in curve)
    first = next((one["t"] for one, n in zip(curve, came, strict=True) if n > left), None)
    return 0.0 if first is None else report["stay"]["as_of"] - first


def viewers(number: int) -> str:
    return f"{number} viewer{'s' * (number != 1)}"


def audience(report: Message) -> str:
    """The numbers of a stream while it runs."""
    online = report["online"]
    here = viewers(online["now"]) if report["stream"]["live"] else "the stream is over"
    points = [one["viewers"] for one in online["curve"]]
    return f"{here} · UV {report['uv']} · median stay {median_stay(report)} · {sparks(points)}"


def coming(message: Message) -> str:
    return f"in {lasting(max(0.0, (message['at'] - message['ts']) / 1000))}: {message['what']}"


def rhythm(message: Message) -> str | None:
    if message["level"] == "fine":
        return None
    quiet = f"nothing has happened for {int(message['minutes'])} minutes"
    return f"{message['level']}: {quiet}; {message['leaves']} left in the last one"


def questions(message: Message) -> str:
    """What waits longest for an answer, most asked first."""
    top = message["questions"][:3]
    first = [f"{one['text']} ({one['viewers']}×, {lasting(one['waiting_ms'] / 1000)})" for one in top]
    more = len(message["questions"]) + message.get("more", 0) - len(first)
    return "waiting for an answer: " + ("  ".join(first) or "nothing") + (f"  and {more} more" if more else "")


QUIET = {"chat", "room", "like", "time"}  # not of rounds

LINES: dict[str, Callable[[Message], str | None]] = {
    "stream.started": lambda one: f"the stream begins: {one['title']}" if one["title"] else "the stream begins",
    "stream.stopped": lambda _: "the stream is over",
    "play.announced": coming,
    "rhythm.hint": rhythm,
    "lottery.opened": rules,
    "lottery.frozen": lambda one: f"{one['n']} entries are frozen, their root is {one['root'][:16]}…",
    "lottery.drawn": drawn,
    "lottery.replaced": lambda one: f"{one['why']}: the prize goes to {names(one)}",
    "lottery.won": lambda one: f"you won: {one['prize']}" + (" (/claim takes it)" if "claim_by" in one else ""),
    "lottery.result": lambda one: f"your rank was {one['rank']} of {one['of']}",
    "quiz.opened": quiz,
    "quiz.revealed": revealed,
    "quiz.result": result,
    "quiz.leaderboard": board,
    "sprint.opened": rules,
    "sprint.reached": lambda one: f"{one['level']} likes reached",
    "sprint.closed": lambda one: f"{one['likes']} likes" + ("" if one["reached"] else ", not enough"),
    "count.opened": rules,
    "count.closed": lambda one: f"{one['viewers']} viewers said it {one['times']} times",
    "sale.announced": soon,
    "sale.opened": sale,
    "sale.sold_out": lambda _: "sold out (/wait waits for one that comes back)",
    "sale.reopened": lambda _: "there is some again (/claim takes one)",
    "sale.paused": paused,
    "sale.resumed": lambda _: "the sale goes on",
    "sale.extended": lambda _: "the sale lasts longer",
    "sale.restocked": lambda one: f"{one['qty']} more in stock",
    "sale.closed": lambda _: "the sale is closed; what is held can still be paid",
    "sale.held": held,
    "sale.released": released,
    "sale.offered": lambda _: "one is kept for you, not for long (/claim takes it)",
    "sale.confirmed": lambda one: f"yours: order {one['order']}, number {one['rank']}",
    **dict.fromkeys(["lottery.voided", "quiz.voided"], reason),
    **dict.fromkeys([f"{kind}.cancelled" for kind in ("lottery", "sprint", "count", "sale")], reason),
}


def line(message: Message) -> str | None:
    """One line; None for what is not told of a round, or is news of another kind."""
    told = LINES.get(message["t"])
    kind, _, verb = str(message["t"]).partition(".")
    if told:
        return told(message)
    if "id" not in message or kind in QUIET or verb in ("progress", "stock", "announced", "settled"):
        return None
    return rules(message) if "rules" in message else plain(message)


def plain(message: Message) -> str:
    """A message of a play that has no words of its own here."""
    fields = {name: value for name, value in message.items() if name not in ("t", "id", "seq", "ts", "ver", "inbox")}
    return f"{message['t']}: " + ", ".join(f"{name} {value}" for name, value in fields.items())


def claimable(message: Message) -> dict[str, Any] | None:
    """The command that takes what a message tells of, if it is there to be taken."""
    command = CLAIMABLE.get(message["t"])
    if command is None or (command == "lottery.claim" and "claim_by" not in message):
        return None
    return {"t": command, "id": message["id"]}


def typed(text: str, heard: Mapping[str, str], claim: Message | None = None) -> dict[str, Any] | None:
    """The command behind a line that begins with a slash.

    ``heard`` is the newest round of each kind, ``claim`` the command that takes the newest that was claimable.
    """
    word = text.removeprefix("/")
    if word.isdigit() and "quiz" in heard:
        return {"t": "quiz.answer", "id": heard["quiz"], "choice": int(word) - 1 if int(word) else 9999}
    if word == "claim" and claim:
        return dict(claim)
    if word in ("enter", "claim") and "lottery" in heard:
        return {"t": f"lottery.{word}", "id": heard["lottery"]}
    if word == "wait" and "sale" in heard:
        return {"t": "sale.wait", "id": heard["sale"]}
    return None
