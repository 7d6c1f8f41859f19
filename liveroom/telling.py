"""What is told of rounds, as lines to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Message = Mapping[str, Any]


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


QUIET = {"chat", "room", "like", "time"}  # not of rounds

LINES: dict[str, Callable[[Message], str]] = {
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
    **dict.fromkeys(["lottery.cancelled", "lottery.voided", "quiz.voided"], reason),
}


def line(message: Message) -> str | None:
    """One line; None for what is not told of a round, or is news of another kind."""
    told = LINES.get(message["t"])
    kind, _, verb = str(message["t"]).partition(".")
    if told:
        return told(message)
    if "id" not in message or kind in QUIET or verb in ("progress", "announced", "settled"):
        return None
    return rules(message) if "rules" in message else plain(message)


def plain(message: Message) -> str:
    """A message of a play that has no words of its own here."""
    fields = {name: value for name, value in message.items() if name not in ("t", "id", "seq", "ts", "ver", "inbox")}
    return f"{message['t']}: " + ", ".join(f"{name} {value}" for name, value in fields.items())


def typed(text: str, heard: Mapping[str, str]) -> dict[str, Any] | None:
    """The command behind a line that begins with a slash; ``heard`` is the newest round of each kind."""
    word = text.removeprefix("/")
    if word.isdigit() and "quiz" in heard:
        return {"t": "quiz.answer", "id": heard["quiz"], "choice": int(word) - 1 if int(word) else 9999}
    if word in ("enter", "claim") and "lottery" in heard:
        return {"t": f"lottery.{word}", "id": heard["lottery"]}
    return None
