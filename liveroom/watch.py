"""A room in the terminal: comments scroll, a line below tells likes, viewers and latency, and one may type."""

from __future__ import annotations

import asyncio
import codecs
import os
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from liveroom import telling
from liveroom.client import Closed, Message, Unanswered, Unreachable, Viewer
from liveroom.remote import Reply, Server, Trouble, trouble

STYLES = {"host": "bold magenta", "moderator": "bold cyan", "service": "bold yellow"}
MOST_TYPED = 200
STATUS_SECONDS = 5
AUDIENCE_SECONDS = 10
SHOWN_HISTORY = 20
TOLD_NUMBERS = {"host", "service"}
HALTED = ("sold_out", "paused")  # it was opened, and there is nothing to be had just now
UNSURE = {"TRY_LATER", "INTERNAL"}  # whether it was done is not known

Pay = Callable[[str], Reply]


def printable(text: str) -> str:
    """Without characters that could move a terminal's cursor."""
    return "".join(character if character.isprintable() else " " for character in text)


class Screen:
    """What one sees of a room: everything said, and how it stands."""

    def __init__(self, console: Console, viewer: Viewer, pay: Pay) -> None:
        self.console = console
        self.viewer = viewer
        self.pay = pay
        self.title = ""
        self.viewers = self.likes = 0
        self.typed = ""
        self.audience: Message | None = None  # not printed yet
        self.asked: list[str] = []  # the questions that were printed
        self.rounds: dict[str, str] = {}  # the newest of each kind
        self.claim: Message | None = None  # takes the newest that can be claimed
        self.claims: dict[str, Message] = {}  # by sale: what was asked and perhaps not answered
        self.holds: list[str] = []  # not paid yet
        self.told: dict[str, Callable[[Message], None]] = {
            "welcome": self.on_welcome,
            "room.reset": self.on_reset,
            "room.stats": self.on_stats,
            "like.total": self.on_likes,
            "chat.message": self.on_comment,
            "chat.deleted": self.on_deleted,
            "chat.pinned": self.on_pinned,
            "chat.settings": self.on_settings,
            "chat.muted": self.on_muted,
            "chat.reports": self.on_reports,
            "chat.sampled": self.on_sampled,
            "chat.mentioned": self.on_mentioned,
            "room.notice": self.on_notice,
            "room.joined": self.on_joined,
            "room.closed": self.on_closed,
            "profile.changed": self.on_profile,
            "retention.live": self.on_audience,
            "questions.live": self.on_questions,
        }

    def show(self, message: Message) -> None:
        if told := self.told.get(message["t"]):
            told(message)
        elif line := telling.line(message):
            self.say(line, "bold cyan")
        kind, _, verb = str(message["t"]).partition(".")
        if verb == "opened":
            self.rounds[kind] = message["id"]
        self.claim = telling.claimable(message) or self.claim
        if kind == "sale" and "hold" in message:
            self.holds = [hold for hold in self.holds if hold != message["hold"]]
            self.holds += [message["hold"]] if verb == "held" else []

    def say(self, text: str, style: str = "") -> None:
        self.console.print(Text(printable(text), style), soft_wrap=True)

    def on_welcome(self, message: Message) -> None:
        room = message["room"]
        self.title, self.viewers, self.likes = room["title"], room["viewers"], room["likes"]
        self.say(f"{self.title}: you are {message['viewer']['name']}", "dim")
        self.on_reset(message)

    def on_reset(self, message: Message) -> None:
        snapshot = message.get("snapshot") or {}
        for comment in snapshot.get("chat", [])[-SHOWN_HISTORY:]:
            self.on_comment(comment)
        for pin in snapshot.get("pinned", []):
            self.on_pinned(pin)
        if (settings := snapshot.get("settings", {})).get("mode", "open") != "open":
            self.on_settings(settings)
        for live in snapshot.get("rounds", []):
            if live["state"] in ("open", *HALTED):
                self.show({"t": f"{live['kind']}.opened", **live["opened"]})
            if live["state"] in HALTED:
                self.show({"t": f"{live['kind']}.{live['state']}", "id": live["id"]})
            mine = live.get("mine") or {}
            for part in mine.get("all", [mine]):
                if "hold" in part and "order" not in part:
                    self.show({"t": "sale.held", "id": live["id"], **part})
        for letter in snapshot.get("inbox", []):
            self.show(letter)

    def on_stats(self, message: Message) -> None:
        self.viewers, self.likes = message["viewers"], max(self.likes, message["likes"])

    def on_likes(self, message: Message) -> None:
        self.likes = message["total"]

    def on_comment(self, message: Message) -> None:
        style = STYLES.get(message["role"], "green")
        self.console.print(Text.assemble((f"{printable(message['name'])}: ", style), printable(message["text"])))

    def on_deleted(self, message: Message) -> None:
        n = len(message.get("ids", ()))
        what = f"{n} comment{'s' * (n > 1)}" if n else "all comments of one viewer"
        self.say(f"deleted: {what}", "dim")

    def on_pinned(self, message: Message) -> None:
        self.say(f"pinned: {message['comment']['name']}: {message['comment']['text']}", "bold yellow")

    def on_settings(self, message: Message) -> None:
        self.say(telling.chat(message), "dim")

    def on_muted(self, message: Message) -> None:
        now = self.viewer.clock.now_ms()
        left = telling.lasting((message["until"] - now) / 1000) if message["until"] > now else ""
        self.say(f"you are muted for {left}" if left else "you may comment again", "red" if left else "dim")

    def on_reports(self, message: Message) -> None:
        self.say(f"reported comments: {message['open']}", "bold red" if message["open"] else "dim")

    def on_sampled(self, message: Message) -> None:
        self.say(f"{message['shown']} of {message['total']} comments shown", "dim")

    def on_mentioned(self, message: Message) -> None:
        self.say(f"{message['by']} mentions you: {message['text']}", "bold yellow")

    def on_notice(self, message: Message) -> None:
        self.say(f"notice: {message['text']}", "bold yellow")

    def on_joined(self, message: Message) -> None:
        names, more = ", ".join(message["names"]), message.get("more", 0)
        self.say(f"{names}{f' and {more} more' if more else ''} joined", "dim")

    def on_closed(self, _: Message) -> None:
        self.say("the room is closed", "dim")

    def on_profile(self, message: Message) -> None:
        less = message["why"] == "slow"
        self.say(f"{'slow connection' if less else 'calm connection'}: profile {message['profile']}", "dim")

    def on_audience(self, message: Message) -> None:
        self.audience = message

    def on_questions(self, message: Message) -> None:
        """When others are the first three."""
        asked = [one["id"] for one in message["questions"][:3]]
        if asked != self.asked:
            self.say(telling.questions(message), "bold yellow")
        self.asked = asked

    def wish(self, text: str) -> Message | None:
        """The command that was typed. A claim that was perhaps not answered is the same when it is typed again."""
        command = telling.typed(text, self.rounds, self.claim)
        if command and command["t"] == "sale.claim":
            return self.claims.setdefault(command["id"], {**command, "idem": os.urandom(8).hex()})
        return command

    def answered(self, command: Message, *, surely: bool) -> None:
        if command["t"] == "sale.claim":
            self.claims.pop(command["id"], None)
            if not surely:
                self.claims[command["id"]] = {**command, "again": True}

    def status(self) -> str:
        return f"{self.title} · {telling.viewers(self.viewers)} · {self.likes} likes · {self.latency()}"

    def latency(self) -> str:
        if not self.viewer.seated.is_set():
            return "cut off, reconnecting"
        return "…" if self.viewer.clock.rtt_ms is None else f"{self.viewer.clock.rtt_ms:.0f} ms"

    def __rich__(self) -> Group:
        return Group(Text(printable(self.status()), "reverse"), Text(f"> {self.typed}"))


class Typing:
    """The line being typed, from the bytes of a terminal that does not edit by itself."""

    def __init__(self) -> None:
        self.text = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def typed(self, data: bytes) -> list[str]:
        """The lines that these bytes complete."""
        lines = []
        for character in self.decoder.decode(data):
            if character in "\r\n":
                lines.append(self.text.strip())
            self.text = self.edited(character)
        return [line for line in lines if line]

    def edited(self, character: str) -> str:
        if character in "\r\n\x15":  # Ctrl-U clears the line
            return ""
        if character in "\x7f\b":
            return self.text[:-1]
        return (self.text + character)[:MOST_TYPED] if character.isprintable() else self.text


@contextmanager
def unedited(terminal: int) -> Iterator[None]:
    """The terminal hands over each key and echoes nothing."""
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


async def comment(viewer: Viewer, screen: Screen, text: str) -> None:
    if text == "/help":
        return screen.say(telling.HELP, "dim")
    if text == "/pay":
        return await pay(screen)
    with suppress(Closed):  # whoever shows the room says so
        command = (screen.wish(text) if text.startswith("/") else None) or {"t": "chat.say", "text": text}
        try:
            reply = await viewer.ask(command)
        except Unanswered:
            screen.answered(command, surely=False)
            screen.say("not answered: perhaps it was not said", "red")
            return
        screen.answered(command, surely=reply.get("code") not in UNSURE)
        if reply["t"] == "error":
            screen.say(f"{reply['code']}: {reply['message']}", "red")
        elif "receipt" in reply:
            screen.say(f"you are in, number {reply['receipt']['n']}", "bold cyan")
        elif reply.get("place"):
            screen.say(f"you wait, number {reply['place']} in line", "bold cyan")


async def pay(screen: Screen) -> None:
    """What is held longest, in the shop that comes with --dev; how it went is told to the room's viewer."""
    if not screen.holds:
        return screen.say("nothing is held for you", "red")
    try:
        reply = await asyncio.to_thread(screen.pay, screen.holds[0])
    except Trouble as why:
        return screen.say(str(why), "red")
    if not reply.good:
        shopless = reply.body is None and reply.status == 404
        screen.say("there is no shop here: it comes with --dev" if shopless else reply.complaint, "red")


def read_keys(viewer: Viewer, screen: Screen, talk: asyncio.TaskGroup, terminal: int) -> None:
    """Comment on what is typed, for as long as the loop runs."""
    typing = Typing()

    def ready() -> None:
        for line in typing.typed(os.read(terminal, 1024)):
            talk.create_task(comment(viewer, screen, line))
        screen.typed = typing.text

    asyncio.get_running_loop().add_reader(terminal, ready)


async def report(screen: Screen) -> None:
    """Where no status line stands below, the status is a line now and then."""
    before = ""
    while True:
        await asyncio.sleep(STATUS_SECONDS)
        if (now := screen.status()) != before:
            screen.say(now, "dim")
        before = now


async def numbers(viewer: Viewer, screen: Screen) -> None:
    """For a host, a line of the audience now and then; it is asked for after each welcome."""
    asked = 0
    with suppress(Closed):  # whoever shows the room says so
        while True:
            if asked != viewer.joins:
                with suppress(Unanswered):
                    asked = await tune_in(viewer, screen)
            await asyncio.sleep(AUDIENCE_SECONDS)
            if screen.audience:
                screen.say(telling.audience(screen.audience), "bold green")
            screen.audience = None


async def tune_in(viewer: Viewer, screen: Screen) -> int:
    """Which of the joins it was that asked."""
    join = viewer.joins
    reply = await viewer.ask({"t": "retention.watch", "on": True})
    if reply["t"] == "error":
        screen.say(f"{reply['code']}: {reply['message']}", "red")
    return join


async def watch(viewer: Viewer, screen: Screen, terminal: int | None, limit_s: float | None, host: bool) -> None:
    """Show the room until it closes, Ctrl-C, or the limit. Raises Closed or Unreachable."""
    loop = asyncio.get_running_loop()
    async with viewer, asyncio.TaskGroup() as tasks:
        lasting = [showing := tasks.create_task(show_all(viewer, screen))]
        if host:
            lasting.append(tasks.create_task(numbers(viewer, screen)))
        if terminal is None:
            lasting.append(tasks.create_task(report(screen)))
        else:
            read_keys(viewer, screen, tasks, terminal)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, showing.cancel)
        await asyncio.wait([showing], timeout=limit_s)
        if terminal is not None:
            loop.remove_reader(terminal)
        for task in lasting:
            task.cancel()
    if not showing.cancelled() and (end := showing.result()):
        raise end


async def show_all(viewer: Viewer, screen: Screen) -> Closed | None:
    """Show what comes; why it ended, unless the room was closed."""
    try:
        async for message in viewer:
            screen.show(message)
    except Closed as end:
        return end
    except SystemExit:
        return None  # so rich says that nobody reads what we print
    return None


def run_watch(server: Server, room: str, name: str, limit_s: float | None, role: str, profile: str) -> None:
    """Everything the command does. Raises Trouble."""
    token = server.token_for(f"watch-{os.urandom(4).hex()}", room, role, name)
    terminal = sys.stdin.fileno() if sys.stdin.isatty() and sys.stdout.isatty() else None
    console = Console(highlight=False)
    viewer = Viewer(server.url, room, token, profile=profile, source="terminal", ping_seconds=STATUS_SECONDS)
    screen = Screen(console, viewer, lambda hold: server.call("POST", "/dev/pay", token, {"room": room, "hold": hold}))
    live = Live(screen, console=console, refresh_per_second=10, transient=True, redirect_stdout=False)
    try:
        with ExitStack() as drawn:
            if terminal is not None:
                drawn.enter_context(unedited(terminal))
                drawn.enter_context(live)
            asyncio.run(watch(viewer, screen, terminal, limit_s, role in TOLD_NUMBERS))
    except (Closed, Unreachable) as end:
        raise trouble(end, server.url, room) from None
