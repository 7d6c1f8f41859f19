"""What Redis and the ledger say of a room's sales, and whether that is the same."""

from __future__ import annotations

import asyncio
import time

from liveroom.cli.reconcile import compared
from liveroom.reconcile import Sale, differences
from liveroom.remote import Trouble
from liveroom.settings import Settings
from tests.house import House

PATIENCE = 15  # seconds for facts on their way to the ledger


async def looked_up(house: House, room: str, redis: str) -> list[Sale]:
    """A server that ends with its node takes a moment to be there again."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            settings = Settings(data=str(house.data), redis=redis or f"unix://{house.redis_socket}")
            return await compared(settings, room, PATIENCE)
        except Trouble:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)


async def accounts(house: House, room: str, redis: str = "") -> dict[str, Sale]:
    """Every sale of the room, of which free, held and sold are the stock, and the ledger says what Redis says."""
    sales = await looked_up(house, room, redis)
    found = [str(one) for sale in sales for one in differences(sale)]
    assert found == []
    for sale in sales:
        stock, *parts = sale.numbers
        assert sum(parts) == stock
        assert min(parts) >= 0
    return {sale.id: sale for sale in sales}
