"""`make audience`: viewers who come in bursts and leave by age, and whether the host is told the truth about them."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from loadtest.audience.nodes import FASTEST, GRACE_S, House, house
from loadtest.audience.plan import Plan, plan_of
from loadtest.audience.scenario import MINUTE, evening
from loadtest.audience.stage import Stage
from loadtest.audience.store import Filling, store
from loadtest.audience.truth import truth_of
from loadtest.audience.verdict import SOCKETS, STORE, kept, verdict
from loadtest.contestants import token
from loadtest.crowd import shop
from loadtest.crowd.verdict import Check, line
from loadtest.servers import prepared

NODES = 2


def read_options(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.audience", description=__doc__)
    parser.add_argument("--viewers", type=int, help="about how many come (600; 100,000 with --store)")
    parser.add_argument("--seconds", type=float, default=60, help="how long it is played (60)")
    parser.add_argument("--speed", type=float, help="seconds of the show in each (15; 60 with --store, 1 with --url)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed is the same audience")
    parser.add_argument("--store", action="store_true", help="straight into a Redis of its own, without sockets")
    parser.add_argument("--url", action="append", help="a server that runs; again for another node of it")
    parser.add_argument("--data", default="", help="its data folder, for the secret; else LIVEROOM_SECRET")
    parser.add_argument("--grace-seconds", type=float, default=GRACE_S, help="of the server at --url (60)")
    parser.add_argument("--room", default=f"audience-{random.randrange(16**6):06x}", help="made if need be")
    options = parser.parse_args(words)
    options.viewers = options.viewers or (100_000 if options.store else 600)
    options.speed = options.speed or (60.0 if options.store else 1.0 if options.url else 15.0)
    if options.viewers < 1 or not options.seconds > 0 or not options.speed > 0:
        parser.error("--viewers, --seconds and --speed are more than nothing")
    if options.speed > FASTEST and not options.store:
        parser.error(f"--speed: at most {FASTEST:g} over sockets, for a server looks at each once a second")
    return options


def planned(options: argparse.Namespace, nodes: int, grace_s: float) -> Plan:
    """``grace_s``: of the plan's own seconds."""
    minutes = options.seconds * options.speed / MINUTE
    return plan_of(evening(options.viewers, minutes, grace_s, 0.75 * grace_s, nodes), options.seed)


# -- over sockets --


def found(options: argparse.Namespace) -> House:
    """A server that runs. Ends with a message where nobody knows its secret."""
    file = Path(options.data) / "secret"
    secret = os.environ.get("LIVEROOM_SECRET") or (file.read_text("utf-8").strip() if file.is_file() else "")
    if not secret:
        sys.exit("audience: no secret: set LIVEROOM_SECRET, or name the --data folder of a --dev server")
    return House(tuple(options.url), secret, options.grace_seconds)


def make_room(at: House, room: str) -> None:
    """There already is fine too."""
    service = token(at.secret.encode(), "audience", "service", room="*")
    answer = shop.post(f"{at.urls[0].rstrip('/')}/v1/rooms", {"id": room, "title": "Audience"}, service)
    if answer.status not in (200, 201):
        sys.exit(f"audience: {at.urls[0]} does not make the room {room}: {answer.code or 'no answer'}")


async def over_sockets(options: argparse.Namespace, at: House) -> list[Check]:
    plan = planned(options, len(at.urls), at.grace_s * options.speed)
    say(plan, f"in {options.seconds:g} s over sockets, {len(at.urls)} nodes")
    stage = Stage(at, options.room, plan, options.speed)
    await stage.play()
    truth = truth_of(stage.visits(), stage.recording(), SOCKETS.near_s)
    return [*kept(stage.kept_so_far()), *verdict(stage.said, stage.live, truth, SOCKETS)]


def play(options: argparse.Namespace) -> list[Check]:
    where: AbstractContextManager[House] = nullcontext(found(options)) if options.url else house(NODES, options.speed)
    with where as at:
        make_room(at, options.room)
        return asyncio.run(over_sockets(options, at))


# -- into the store --


async def into_store(options: argparse.Namespace) -> list[Check]:
    plan = planned(options, NODES, GRACE_S)
    say(plan, "straight into the store")
    async with store() as redis:
        filling = Filling(redis, plan, options.room)
        live = [await filling.live_at(part * plan.scenario.seconds) for part in (0.4, 0.7, 1.0)]
        await filling.stop()
        return verdict(await filling.report(), live, filling.truth(), STORE)


def say(plan: Plan, how: str) -> None:
    viewers = len(set(plan.visits.viewer.tolist()))
    minutes = plan.scenario.minutes
    print(f"{viewers} viewers, {len(plan.visits.viewer)} connections, {minutes:g} minutes {how}", flush=True)


def main() -> int:
    options = read_options()
    with prepared():
        checks = asyncio.run(into_store(options)) if options.store else play(options)
    for check in checks:
        print(line(check))
    good = all(check.good for check in checks)
    print("good" if good else "NOT GOOD", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
