"""The command line: run a server, try it out, look at its data."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec.structs import replace

from liveroom.settings import SECRET_BYTES, Settings, SettingsError, read_settings

if TYPE_CHECKING:
    from liveroom.remote import Reply, Server

RUN, TRY, DATA = "Run", "Try", "Data"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
WRONG = 2  # exit: cannot be done as asked
REFUSED = 1  # exit: the server said no, or the account does not add up

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich", help=__doc__
)
rooms = typer.Typer(invoke_without_command=True, help="List the rooms, create one, or close one.")
app.add_typer(rooms, name="rooms", rich_help_panel=DATA)


class Role(StrEnum):
    viewer = "viewer"
    moderator = "moderator"
    host = "host"
    service = "service"


def duration(text: str | float) -> float:
    """Typer hands defaults to a parser too: those are seconds already."""
    from liveroom.remote import seconds

    try:
        return seconds(text) if isinstance(text, str) else float(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Url = Annotated[str | None, typer.Option(help="Address of the server; left out: what --data keeps, else port 8000.")]
Token = Annotated[str | None, typer.Option(help="A token of yours, instead of one made with the secret.")]
Data = Annotated[Path | None, typer.Option(help="Data folder of a --dev server, for its secret and address.")]
Config = Annotated[Path | None, typer.Option(help="A TOML file with settings.")]
Redis = Annotated[str | None, typer.Option(help="A Redis or Valkey server of yours, as redis://HOST:PORT/DB.")]
Room = Annotated[str, typer.Option(help="Id of the room.")]
Seconds = Annotated[float | None, typer.Option(parser=duration, metavar="TIME", help="Stop after this long.")]


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
    well = all([remark(fine, line) for fine, line in remarks(url)])
    raise typer.Exit(0 if well else REFUSED)


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
    from liveroom.remote import argument

    said = dict(map(argument, arguments or ()))
    there = server(url, token, data)
    path = f"{room_path(room)}/commands"
    echo(there.call("POST", path, there.token_for("cli", room, "host", "Host"), {"t": command, **said}))


@app.command(rich_help_panel=TRY)
def watch(
    room: Annotated[str, typer.Argument(help="Id of the room.")],
    name: Annotated[str, typer.Option(help="Name that others see.")] = "Terminal",
    limit: Seconds = None,
    url: Url = None,
    token: Token = None,
    data: Data = None,
) -> None:
    """Watch a room in the terminal, and type to comment."""
    from liveroom.watch import run_watch

    run_watch(server(url, token, data), room, name, limit)


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
    from liveroom.replay import run_replay

    there = server(url, token, data)
    good = run_replay(there, file, room, speed=speed, viewers=viewers, start=start, end=end, limit_s=limit)
    raise typer.Exit(0 if good else REFUSED)


@rooms.callback()
def list_rooms(context: typer.Context, url: Url = None, token: Token = None, data: Data = None) -> None:
    if context.invoked_subcommand:
        context.obj = (url, token, data)
        return
    from rich.console import Console
    from rich.table import Table

    there = server(url, token, data)
    reply = there.call("GET", "/v1/rooms", service(there))
    if not reply.good:
        complain(reply)
    table = Table("id", "title", "state", "viewers", "likes")
    for room in reply.body if isinstance(reply.body, list) else reply.body["rooms"]:
        table.add_row(*(str(room.get(column.header, "")) for column in table.columns))
    Console().print(table)


@rooms.command("create")
def create_room(
    context: typer.Context,
    room: Annotated[str, typer.Argument(metavar="ID", help="Id of the new room.")],
    title: Annotated[str, typer.Option(help="Title of the new room.")],
    url: Url = None,
    token: Token = None,
    data: Data = None,
) -> None:
    """Create a room; once more with the same title is no error."""
    there = server(*either(context, url, token, data))
    echo(there.call("POST", "/v1/rooms", service(there), {"id": room, "title": title}))


@rooms.command("close")
def close_room(
    context: typer.Context,
    room: Annotated[str, typer.Argument(metavar="ID", help="Id of the room.")],
    url: Url = None,
    token: Token = None,
    data: Data = None,
) -> None:
    """Close a room for good."""
    there = server(*either(context, url, token, data))
    echo(there.call("POST", f"{room_path(room)}/close", service(there)))


def settings_from(config: Path | None, flags: dict[str, Any]) -> Settings:
    """Settings from everywhere; warnings go to stderr. Raises SettingsError."""
    try:
        toml = config.read_text("utf-8") if config else ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the configuration file {config} cannot be read: {error}") from None
    settings, warnings = read_settings(toml, os.environ, flags)
    for warning in warnings:
        typer.echo(f"liveroom: {warning}", err=True)
    return settings


def with_secret(settings: Settings) -> Settings:
    """The same settings, able to judge tokens. Raises SettingsError."""
    if settings.dev and settings.host not in LOOPBACK:
        raise SettingsError(f"--dev serves this machine only: leave out --host {settings.host}, or leave out --dev")
    if settings.secret and settings.jwks:
        raise SettingsError("both a secret and jwks are set: one family of keys is accepted, take one of them away")
    if settings.secret and len(settings.secret.encode()) < SECRET_BYTES:
        raise SettingsError(f"the secret is too short: LIVEROOM_SECRET needs at least {SECRET_BYTES} bytes")
    if settings.secret or settings.jwks:
        return settings
    if not settings.dev:
        raise SettingsError("no secret: set LIVEROOM_SECRET (32 bytes or more) or jwks, or use --dev to try it out")
    return replace(settings, secret=kept_secret(Path(settings.data)))


def kept_secret(data: Path) -> str:
    """The secret in the data folder, made on first use; of several processes one makes it and all read it."""
    from liveroom.settings import find_secret

    kept = data / "secret"
    if not kept.is_file():
        try:
            make_secret(kept)
        except OSError as error:
            raise SettingsError(f"no secret can be kept in {data} ({error.strerror}): use another --data") from None
    return find_secret({}, data)


def make_secret(kept: Path) -> None:
    """Linked into place when whole: nobody reads half a secret, and the first one wins."""
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=kept.parent, prefix="secret-")  # made with O_EXCL and mode 600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(SECRET_BYTES))
        with suppress(FileExistsError):
            os.link(draft, kept)
    finally:
        os.unlink(draft)


def running(data: Path) -> str:
    """The URL of the embedded server of a data folder, if it runs now."""
    kept = data / "socket"
    path = kept.read_text("utf-8").strip() if kept.is_file() else ""
    return f"unix://{path}" if path and Path(path).is_socket() else ""


def remarks(redis: str) -> list[tuple[bool, str]]:
    import asyncio

    from liveroom.remote import Trouble
    from liveroom.store.server import WeakServer, inspect

    try:
        return asyncio.run(inspect(redis)).remarks
    except WeakServer as error:
        raise Trouble(str(error)) from None


def remark(fine: bool, line: str) -> bool:
    typer.echo(f"{'ok' if fine else 'warn':<5} {line}")
    return fine


def server(url: str | None, token: str | None, data: Path | None) -> Server:
    from liveroom.remote import Server

    return Server(url, token, data)


def service(there: Server) -> str:
    return there.token_for("cli", "*", "service")


def room_path(room: str) -> str:
    from urllib.parse import quote

    return f"/v1/rooms/{quote(room, safe='')}"


def either(context: typer.Context, *own: Any) -> list[Any]:
    """Options may stand before or after the subcommand."""
    return [one or before for one, before in zip(own, context.obj, strict=True)]


def echo(reply: Reply) -> None:
    import json

    if not reply.good or not isinstance(reply.body, dict) or reply.body.get("t") == "error":
        complain(reply)
    typer.echo(json.dumps(reply.body, ensure_ascii=False))


def complain(reply: Reply) -> None:
    typer.echo(f"liveroom: {reply.complaint}", err=True)
    raise typer.Exit(REFUSED)


def main() -> None:
    """The entry point: what an operator can mend is one line on stderr and exit 2."""
    from liveroom.remote import Trouble

    try:
        app()
    except (SettingsError, Trouble) as error:
        typer.echo(f"liveroom: {error}", err=True)
        sys.exit(WRONG)
