"""uvicorn with our listener and our way of leaving: unready first, then a word to everybody, then the end."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from types import FrameType

import uvicorn

NOTSENT_LOWAT = 64 * 1024  # else the kernel swallows megabytes before we see that a viewer is slow
BACKLOG = 4096


class PortTaken(Exception):
    """One line for the operator: the port, and what to do."""


def listen(host: str, port: int, *, reuse_port: bool) -> socket.socket:
    """The one listening socket. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT)
    if reuse_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise PortTaken(f"cannot listen on {host} port {port}: {error.strerror}; choose another with --port") from None
    listener.setblocking(False)
    return listener


class Server(uvicorn.Server):
    """A first signal drains, a second one ends at once."""

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self.drain = drain
        self.loop = asyncio.get_running_loop()
        self.leaving: asyncio.Task[None] | None = None
        self.left = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.left:
            self.should_exit = self.force_exit = True
        else:
            self.left = True
            self.loop.call_soon_threadsafe(self.leave)

    def leave(self) -> None:
        self.leaving = self.loop.create_task(self.leave_now())

    async def leave_now(self) -> None:
        try:
            await self.drain()
        finally:
            self.should_exit = True
