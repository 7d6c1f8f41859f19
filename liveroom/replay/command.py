"""``liveroom replay``: a file, a room, a progress bar, and the report."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from liveroom.client import Closed, Unreachable
from liveroom.remote import Server, Trouble, trouble
from liveroom.replay.account import Account
from liveroom.replay.formats import Comment
from liveroom.replay.performance import perform, troupe
from liveroom.replay.recording import load
from liveroom.replay.report import report

SHOWN_FAULTS = 5
SPARE_FILES = 100


def run_replay(
    server: Server,
    file: Path,
    room: str,
    *,
    speed: float,
    viewers: int,
    start: float,
    end: float | None,
    limit_s: float | None,
) -> bool:
    """Everything the command does; whether the account adds up. Raises Trouble."""
    errors = Console(stderr=True)
    comments = readable(file, start, end, errors)
    more_files(viewers)
    account = Account()
    players = troupe(server, room, viewers, account)
    bars = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    try:
        with Progress(*bars, console=errors) as progress, asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            loop.run(perform(comments, players, speed, limit_s, progress))
    except (Closed, Unreachable) as error:
        raise trouble(error, server.url, room) from None
    report(account, Console())
    return account.good


def readable(file: Path, start: float, end: float | None, errors: Console) -> list[Comment]:
    """The comments of a file; those that are broken are named. Raises Trouble."""
    comments, broken = load(file, start, end)
    for fault in broken[:SHOWN_FAULTS]:
        errors.print(f"{file.name}, line {fault.line}: {fault.why}", markup=False, highlight=False, soft_wrap=True)
    if broken:
        errors.print(f"{len(broken)} broken lines are left out", soft_wrap=True)
    if not comments:
        raise Trouble(f"{file} has no comment to replay in that time")
    return comments


def more_files(wanted: int) -> None:
    """Raise the limit of open files. Raises Trouble when that does not suffice."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = wanted + SPARE_FILES
    if resource.RLIM_INFINITY != hard < enough:
        raise Trouble(f"{wanted} viewers need {enough} open files, the limit is {hard}: raise it (ulimit -n), or fewer")
    if resource.RLIM_INFINITY != soft < enough:
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))
