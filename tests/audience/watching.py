"""What tests of live curves share: a house with a short grace, the host's report, and waiting for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from tests.house import House, Node, token

GRACE_SECONDS = 1
LEASE_SECONDS = 3
SETTINGS: dict[str, object] = {"grace_seconds": GRACE_SECONDS, "lease_seconds": LEASE_SECONDS, "ping_seconds": 1}
NEAR = 0.3  # seconds

Report = dict[str, Any]


def seconds() -> float:
    """Of the clock that Redis has as well."""
    return time.time()


def open_node(house: House, *flags: str, **settings: object) -> Node:
    return house.node(*flags, **{**SETTINGS, **settings})


async def ask(node: Node, room: str, role: str = "host") -> tuple[int, Any]:
    return await asyncio.to_thread(node.http, "GET", f"/v1/rooms/{room}/retention", None, token(room, role))


async def report_when(node: Node, room: str, wanted: Callable[[Report], bool], within: float = 20) -> Report:
    """The first report of which this is true."""
    deadline = time.monotonic() + within
    while True:
        status, said = await ask(node, room)
        if status == 200 and wanted(said):
            return dict(said)
        assert time.monotonic() < deadline, (status, said)
        await asyncio.sleep(0.2)


def left(report: Report) -> int:
    """How many sessions ended in a departure, for sure."""
    return sum(report["reasons"].values())
