"""The command line: run a server, try it out, look at its data."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from liveroom.cli.answer import REFUSED, echo
from liveroom.cli.export import export
from liveroom.cli.options import Config, Data, Redis, Room, Seconds, Token, Url, duration
from liveroom.cli.reconcile import reconcile
from liveroom.cli.retention import retention
from liveroom.cli.rooms import rooms
from liveroom.cli.setup import settings_from, with_secret
from liveroom.cli.there import room_path, server

RUN, TRY, DATA = "Run", "Try", "Data"

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich", help=__doc__
)
app.add_typer(rooms, name="rooms", rich_help_panel=DATA)
app.command(rich_help_panel=DATA)(export)
app.command(rich_help_panel=DATA)(retention)
app.command(rich_help_panel=DATA)(reconcile)


class Role(StrEnum):
    viewer = "viewer"
    moderator = "moderator"
    host = "host"
    service = "service"


class Profile(StrEnum):
    full = "full"
    lite = "lite"
    min = "min"


@app.command(rich_help_panel=RUN)
def run(
    dev: Annotated[bool, typer.Option("--dev", help="For development: a secret, a demo room, a page.")] = False,
    show: Annotated[bool, typer.Option("--show", help="A little synthetic show in the room demo.")] = False,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.", show_default="8000")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder.", show_default="./.liveroom")] = None,
    redis: Redis = None,
    config: Config = None,
) -> None:
    """Serve until it is stopped."""
    flags = {"host": host, "port": port, "data": data and str(data), "redis": redis, "dev": dev or None}
    settings = with_secret(settings_from(config, flags))
    from liveroom.app import serve

    raise SystemExit(serve(settings, show=show))


@app.command(rich_help_panel=RUN)
def check(redis: Redis = None, data: Data = None, config: Config = None) -> None:
    """Look at the settings and at Redis, and say what to mend."""
    settings = settings_from(config, {"redis": redis, "data": data and str(data)})
    typer.echo("ok    settings")
    if not (url := settings.redis or running(Path(settings.data))):
        typer.echo("ok    redis: none is set, so `run` starts its own, with every write on disk")
        return
    found = remarks(url)
    for fine, line in found:
        typer.echo(f"{'ok' if fine else 'warn':<5} {line}")
    raise typer.Exit(0 if all(fine for fine, _ in found) else REFUSED)


@app.command(rich_help_panel=TRY)
def token(
    room: Annotated[str, typer.Option(help="Id of the room, or * for all.")],
    sub: Annotated[str, typer.Option(help="Id of the viewer.")],
    name: Annotated[str, typer.Option(help="Name that others see; left out: the id.")] = "",
    role: Annotated[Role, typer.Option(help="What the token allows.")] = Role.viewer,
    ttl: Annotated[float, typer.Option(parser=duration, metavar="TIME", help="How long it is good.")] = 3600,
    data: Data = None,
) -> None:
    """Print a token."""
    typer.echo(server(None, None, data).mint(sub, room, role.value, name, ttl))


@app.command(rich_help_panel=TRY)
def send(
    room: Annotated[str, typer.Argument(help="Id of the room.")],
    command: Annotated[str, typer.Argument(help="For instance room.notice.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="key=value …", metavar="KEY=VALUE")] = None,
    url: Url = None,
    token: Token = None,
    data: Data = None,
) -> None:
    """Send one command as host and print the reply."""
    from liveroom.cli.words import argument

    said = dict(map(argument, arguments or ()))
    there = server(url, token, data)
    path = f"{room_path(room)}/commands"
    echo(there.call("POST", path, there.token_for("cli", room, "host", "Host"), {"t": command, **said}))


@app.command(rich_help_panel=TRY)
def watch(
    room: Annotated[str, typer.Argument(help="Id of the room.")],
    name: Annotated[str, typer.Option(help="Name that others see.")] = "Terminal",
    role: Annotated[Role, typer.Option("--as", help="As host, with a line of the audience every 10 s.")] = Role.viewer,
    profile: Annotated[Profile, typer.Option(help="On a weak network: few comments, or none.")] = Profile.full,
    limit: Seconds = None,
    url: Url = None,
    token: Token = None,
    data: Data = None,
) -> None:
    """Watch a room in the terminal, and type to comment."""
    from liveroom.watch import run_watch

    run_watch(server(url, token, data), room, name, limit, role.value, profile.value)


@app.command(rich_help_panel=RUN)
def top(
    url: Annotated[
        list[str] | None, typer.Option(help="A node; may be given several times. Left out: what --data keeps.")
    ] = None,
    every: Annotated[float, typer.Option(parser=duration, metavar="TIME", help="Between two looks.")] = 2,
    limit: Seconds = None,
    token: Token = None,
    data: Data = None,
) -> None:
    """Show how nodes and rooms do, until q is pressed; into a pipe, once. LIVEROOM_METRICS_TOKEN opens /metrics."""
    from liveroom.top import run_top

    if every <= 0:
        raise typer.BadParameter("--every takes more than 0 seconds")
    urls: list[str | None] = [*dict.fromkeys(url)] if url else [None]
    good = run_top([server(one, token, data) for one in urls], every, limit)
    raise typer.Exit(0 if good else REFUSED)


@app.command(rich_help_panel=DATA)
def replay(
    file: Annotated[Path, typer.Argument(help="JSONL, CSV or BililiveRecorder XML, gzipped or not.")],
    room: Room,
    speed: Annotated[float, typer.Option(min=0.01, help="So many times as fast as recorded.")] = 1,
    viewers: Annotated[int, typer.Option(min=1, help="So many real viewers say it all.")] = 100,
    start: Annotated[
        float, typer.Option("--from", parser=duration, metavar="TIME", help="Begin here in the recording.")
    ] = 0,
    end: Annotated[
        float | None, typer.Option("--to", parser=duration, metavar="TIME", help="End here in the recording.")
    ] = None,
    limit: Annotated[
        float | None, typer.Option(parser=duration, metavar="TIME", help="Stop after so long on the clock on the wall.")
    ] = None,
    url: Url = None,
    token: Token = None,
    data: Data = None,
) -> None:
    """Replay a recorded chat with real viewers, and account for every comment.

    Gaps over 60 s in the recording are closed; --from and --to count without them.
    """
    from liveroom.replay.command import run_replay

    there = server(url, token, data)
    good = run_replay(there, file, room, speed=speed, viewers=viewers, start=start, end=end, limit_s=limit)
    raise typer.Exit(0 if good else REFUSED)


@app.command("verify-draw", rich_help_panel=DATA)
def verify_draw(file: Annotated[Path, typer.Argument(help="The proof file of a draw.")]) -> None:
    """Check a draw: exit 0 if all agrees, 1 if not, 2 if the file is no proof. Needs no server."""
    from liveroom.verify_draw import verify

    raise typer.Exit(verify(file, typer.echo))


def running(data: Path) -> str:
    """The URL of the embedded server of a data folder, if it runs now."""
    kept = data / "socket"
    path = kept.read_text("utf-8").strip() if kept.is_file() else ""
    return f"unix://{path}" if path and Path(path).is_socket() else ""


def remarks(redis: str) -> list[tuple[bool, str]]:
    """What there is to say of a Redis, and whether it is well so. Raises Trouble."""
    import asyncio

    from liveroom.remote import Trouble
    from liveroom.store.server import WeakServer, inspect

    try:
        return asyncio.run(inspect(redis)).remarks
    except WeakServer as error:
        raise Trouble(str(error)) from None
