"""`liveroom reconcile`: whether Redis and the ledger say the same of a room's sales."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from liveroom.cli.answer import REFUSED
from liveroom.cli.options import Config, Redis, duration
from liveroom.cli.setup import settings_from

if TYPE_CHECKING:
    from redis.asyncio import Redis as Client

    from liveroom.reconcile import Difference, Sale
    from liveroom.settings import Settings

REDIS_SECONDS = 10


def reconcile(
    room: Annotated[str, typer.Argument(help="Id of the room.")],
    data: Annotated[Path | None, typer.Option(help="Data folder.", show_default="./.liveroom")] = None,
    redis: Redis = None,
    ledger: Annotated[str | None, typer.Option(metavar="URL", help="The ledger, if not in the data folder.")] = None,
    wait: Annotated[
        float, typer.Option(parser=duration, metavar="TIME", help="How long facts may be on their way to the ledger.")
    ] = 10,
    config: Config = None,
) -> None:
    """Compare what Redis and the ledger say of a room's sales: exit 0 if they agree, 1 if not."""
    from liveroom.reconcile import differences

    settings = settings_from(config, {"data": data and str(data), "redis": redis, "ledger": ledger})
    sales = asyncio.run(compared(settings, room, wait))
    if not sales:
        typer.echo(f"room {room!r} has no sales")
    found = [(sale, differences(sale)) for sale in sales]
    for sale, some in found:
        tell(sale, some)
    raise typer.Exit(REFUSED if any(some for _, some in found) else 0)


async def compared(settings: Settings, room: str, patience: float) -> list[Sale]:
    """Raises Trouble."""
    from redis.exceptions import RedisError

    from liveroom.cli.accounts import Accounts
    from liveroom.ledger.engine import AWAY, LedgerTrouble, ledger_url, open_to_read, reason
    from liveroom.ledger.queries import Ledger
    from liveroom.remote import Trouble
    from liveroom.store.keys import SHARDS, keys_of

    redis = await reached(redis_url(settings))
    try:
        async with redis, open_to_read(ledger_url(settings.ledger, Path(settings.data))) as engine:
            shards = int(await redis.get(SHARDS) or settings.shards)
            accounts = Accounts(redis, keys_of(room, shards), Ledger(engine))
            await accounts.check()
            return await accounts.compare(patience)
    except LedgerTrouble as error:
        raise Trouble(str(error)) from None
    except (RedisError, *AWAY) as error:
        raise Trouble(f"the comparison broke off: {reason(error)}") from None


async def reached(url: str) -> Client:
    """Raises Trouble where nobody answers there, or nobody that will do."""
    from liveroom.remote import Trouble
    from liveroom.store.server import WeakServer, client, inspect, place

    try:
        await inspect(url)
        return client(url, REDIS_SECONDS)
    except WeakServer as error:
        raise Trouble(str(error)) from None
    except ValueError as error:
        raise Trouble(f"{place(url)!r} is no Redis URL ({error}); use redis://HOST:PORT or unix://PATH") from None


def redis_url(settings: Settings) -> str:
    """Raises Trouble where none is set and the embedded one does not run."""
    from liveroom.cli.commands import running
    from liveroom.remote import Trouble

    if not (url := settings.redis or running(Path(settings.data))):
        raise Trouble(f"no Redis runs in {settings.data}: name a running server's folder with --data, or --redis URL")
    return url


def tell(sale: Sale, found: Sequence[Difference]) -> None:
    from liveroom.watch import printable

    stock, free, held, sold = sale.numbers
    paid = sum(order.state == "paid" for order in sale.orders)
    numbers = f"stock {stock}  free {free}  held {held}  sold {sold}  orders {paid}"
    verdict = "equal" if not found else "1 difference" if len(found) == 1 else f"{len(found)} differences"
    only = "" if sale.after else "  (in the ledger only)"
    typer.echo(printable(f"{sale.id}  {sale.terms.item}  {numbers}{only}  {verdict}"))
    for one in found:
        typer.echo(printable(f"    {one}"))
