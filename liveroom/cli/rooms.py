"""`liveroom rooms`: list, create, close."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from liveroom.cli.answer import complain, echo
from liveroom.cli.options import Data, Token, Url
from liveroom.cli.there import room_path, server

if TYPE_CHECKING:
    from liveroom.remote import Server

rooms = typer.Typer(invoke_without_command=True, help="List the rooms, create one, or close one.")


@rooms.callback()
def list_rooms(context: typer.Context, url: Url = None, token: Token = None, data: Data = None) -> None:
    if context.invoked_subcommand:
        context.obj = (url, token, data)
        return
    from rich.console import Console
    from rich.table import Table

    there = server(url, token, data)
    reply = there.call("GET", "/v1/rooms", service_token(there))
    if not reply.good or not isinstance(reply.body, dict):
        complain(reply)
    table = Table("id", "title", "state", "viewers", "likes")
    for room in reply.body["rooms"]:
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
    echo(there.call("POST", "/v1/rooms", service_token(there), {"id": room, "title": title}))


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
    echo(there.call("POST", f"{room_path(room)}/close", service_token(there)))


def service_token(there: Server) -> str:
    return there.token_for("cli", "*", "service")


def either(context: typer.Context, *own: Any) -> list[Any]:
    """Options may stand before or after the subcommand."""
    return [one or before for one, before in zip(own, context.obj, strict=True)]
