"""`locust -f loadtest/locustfile.py`: an evening in a live-commerce room, and a verdict on what everybody saw.

`make load` starts a server and runs this; README.md says how to run it otherwise, also in several processes.
"""

import os
import random
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import gevent
from locust import events
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtest.contestants import token
from loadtest.crowd import shop
from loadtest.crowd.disguises import LISTED, OF_THE_ROOM
from loadtest.crowd.host import Host
from loadtest.crowd.ledger import read, read_when_drained, reconcile
from loadtest.crowd.moderator import Moderator
from loadtest.crowd.notes import Notes, merged, pack, unpack
from loadtest.crowd.order import order
from loadtest.crowd.profile import ProfileError, read_profile
from loadtest.crowd.stage import stage
from loadtest.crowd.unruly import Clumsy, Evader, Flooder, Spammer
from loadtest.crowd.users import Buyer, Liker, LotteryPlayer, Lurker, QuizPlayer, Talker
from loadtest.crowd.verdict import Check, line, verdict

CROWD: dict[str, Any] = {
    "lurkers": Lurker,
    "talkers": Talker,
    "likers": Liker,
    "lottery_players": LotteryPlayer,
    "quiz_players": QuizPlayer,
    "buyers": Buyer,
    "flooders": Flooder,
    "spammers": Spammer,
    "evaders": Evader,
    "clumsy": Clumsy,
}
STAFF = (Host, Moderator)  # locust finds all of them by their names here

HERE = Path(__file__).parent
AFTER_SECONDS = 3.0  # behind the end of the show, and when nothing is held any more: the last answers come
NOTES = "notes"  # a worker's message to the master

hooks: Any = events  # its types do not know their own decorators
workers: list[str] = []  # who were there when it began
gathered: list[Notes] = []  # theirs
checks: list[Check] = []


def add_options(parser: ArgumentParser, **_: Any) -> None:
    parser.add_argument("--room", default=f"load-{random.randrange(16**6):06x}", help="Room to fill; made if need be")
    parser.add_argument("--data", default="", help="Data folder of the server: its secret and its ledger are there")
    parser.add_argument("--profile-file", default=str(HERE / "profiles" / "evening.toml"), help="Who does what")
    parser.add_argument("--nodes", default="", help="URLs of all nodes, with commas; empty: --host is the only one")
    parser.add_argument("--listed", action="store_true", help="The server's word list is the one of crowd/disguises.py")
    parser.add_argument("--show-seconds", type=float, default=60, help="How long the host goes on")


def find_secret(data: str) -> str:
    kept = Path(data) / "secret"
    return os.environ.get("LIVEROOM_SECRET") or (kept.read_text("utf-8").strip() if data and kept.is_file() else "")


def set_up(environment: Environment, **_: Any) -> None:
    if isinstance(environment.runner, MasterRunner):
        environment.runner.register_message(NOTES, gather)
    weigh(environment)


def gather(environment: Environment, msg: Any, **_: Any) -> None:
    """A worker's notes; with the last ones the run is over."""
    gathered.append(unpack(msg.data))
    if len(gathered) == len(workers):
        end(environment)


def end(environment: Environment) -> None:
    """With locust's page open, somebody may want to look at it first."""
    runner: Any = environment.runner
    if options_of(environment).headless:
        gevent.spawn(runner.quit)


def options_of(environment: Environment) -> Any:
    return environment.parsed_options


def weigh(environment: Environment) -> None:
    """The profile says how many of the crowd are what. Ends locust where the profile or the secret is wrong."""
    options = options_of(environment)
    try:
        stage.profile = read_profile(Path(options.profile_file))
    except ProfileError as error:
        sys.exit(f"loadtest: {error}")
    stage.secret = find_secret(options.data)
    if not stage.secret:
        sys.exit("loadtest: no secret: set LIVEROOM_SECRET, or name the --data folder of a --dev server")
    for name, kind in CROWD.items():
        kind.weight = getattr(stage.profile, name).weight


def begin(environment: Environment, **_: Any) -> None:
    options = options_of(environment)
    nodes = options.nodes or environment.host or "http://127.0.0.1:8000"
    stage.urls, stage.room = [url.rstrip("/") for url in nodes.split(",")], options.room
    stage.words = OF_THE_ROOM + (LISTED if options.listed else ())
    stage.show_seconds = options.show_seconds
    stage.reset()
    gathered.clear()
    workers[:] = getattr(environment.runner, "clients", ())
    if not isinstance(environment.runner, WorkerRunner):
        make_room()
    if not isinstance(environment.runner, MasterRunner):
        gevent.spawn(wait_for_end, environment)


def make_room() -> None:
    """There already is fine too."""
    answer = shop.post(f"{stage.url}/v1/rooms", {"id": stage.room, "title": "Load"}, service_token())
    if answer.status not in (200, 201):
        sys.exit(f"loadtest: {stage.url} does not make the room {stage.room}: {answer.code or 'no answer'}")


def service_token() -> str:
    return token(stage.secret.encode(), "loadtest", "service", room="*")


def all_spawned(user_count: int, **_: Any) -> None:
    stage.users = stage.notes.users = user_count
    stage.spawned.set()


def wait_for_end(environment: Environment) -> None:
    """When the host has said that it is over, and a little later: the notes are complete."""
    stage.over.wait()
    gevent.sleep(stage.profile.show.sale.hold_seconds + AFTER_SECONDS)
    stage.ended.set()
    runner: Any = environment.runner
    if isinstance(runner, WorkerRunner):
        send: Any = runner.send_message
        send(NOTES, pack(stage.notes))
    else:
        end(environment)


def all_notes(runner: Any) -> Notes:
    """Of this process, or of all workers; a worker that sent none is a fault."""
    if not isinstance(runner, MasterRunner):
        return stage.notes
    notes = merged(gathered)
    if missing := len(workers) - len(gathered):
        notes.faults["a worker without notes"] += missing
    return notes


def judge(environment: Environment, **_: Any) -> None:
    """The exit code is the verdict's; a worker leaves it to the master."""
    stage.ended.set()
    if isinstance(environment.runner, WorkerRunner):
        environment.process_exit_code = 0
        return
    options = options_of(environment)
    notes, acts = all_notes(environment.runner), stage.profile.show.order
    data = Path(options.data) if options.data else None
    ledger = None
    if data:
        ledger = read_when_drained(notes, "sale" in acts, lambda: read(stage.room, data, "sale" in acts))
        if "sale" in acts:
            ledger = ledger._replace(reconciled=reconcile(stage.room, data))
    checks[:] = verdict(notes, ledger, acts)
    if stage.profile.disorderly:
        checks.extend(order(notes))
    environment.process_exit_code = 0 if all(check.good for check in checks) else 1
    hooks.quit.add_listener(lambda **_: say(notes, looked=ledger is not None))


def say(notes: Notes, looked: bool) -> None:
    """Behind locust's table."""
    print("Refusals (no failures)")
    for what, count in sorted(notes.refusals.items()):
        print(f"  {count:>6} {what}")
    resumes = sum(seat.resumes for seat in notes.seats)
    sampled = max((probe.sampled for probe in notes.probes), default=0)
    print("Moderator: " + ", ".join(f"{count} {what}" for what, count in sorted(notes.conduct.deeds.items())))
    print("Acts: " + ", ".join(f"{count} {what}" for what, count in notes.rounds.items()))
    print(f"{len(notes.comments)} comments, {sampled} of them not shown, {notes.unshown} that only entered; ", end="")
    print(f"{resumes} resumes; {time.process_time():.0f} s of CPU for this process")
    print("\nVerdict")
    for check in checks:
        print(line(check))
    if not looked:
        print("-       the ledger                        not looked at: name the server's --data folder")
    print("good" if all(check.good for check in checks) else "NOT GOOD", flush=True)


hooks.init_command_line_parser.add_listener(add_options)
hooks.init.add_listener(set_up)
hooks.test_start.add_listener(begin)
hooks.spawning_complete.add_listener(all_spawned)
hooks.quitting.add_listener(judge)
