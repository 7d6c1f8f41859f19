"""A cheap crowd: thousands of viewer sockets in one epoll loop that reads frame headers and throws payloads away.

A client that parses what it receives is slower than the server it should measure. So a viewer only walks from header to
header through one shared buffer; the few viewers with `listen` set get whole payloads. `Crowd.turn` handles a bounded
number of ready sockets and returns, so that a caller's schedule is kept within a millisecond or two.

Drains wait in an epoll of their own that is visited at most every 50 ms: what came for a viewer meanwhile is one recv.
So the crowd costs the same however finely a server cuts its frames; those who listen are read at once.
"""

import select
import socket
import struct
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import Enum
from errno import EINPROGRESS
from types import TracebackType
from typing import Self

from loadtest.frames import CLOSE, PING, PONG, TEXT, frame

READ = 256 * 1024
LARGEST = 1024 * 1024  # the protocol's limit for a server frame
BUFFER = bytearray(LARGEST + 2 * READ)
VIEW = memoryview(BUFFER)
EVENTS_PER_TURN = 256
DRAIN_EVERY = 0.05
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # no TIME_WAIT: the next run needs the ports


class Step(Enum):
    """What a viewer on his way in waits for."""

    UPGRADE = 1
    WELCOME = 2


class Gone(Exception):
    """The server ended this viewer's connection; the text says how."""


class Viewer:
    """One socket and what it received. `hello` is sent after the upgrade; `listen` turns the drain into a reader."""

    __slots__ = ("bytes", "frames", "hello", "listen", "out", "skip", "sock", "tail")

    def __init__(self, hello: bytes = b"", listen: Callable[[memoryview], None] | None = None) -> None:
        self.hello = hello
        self.listen = listen
        self.sock: socket.socket | None = None
        self.bytes = self.frames = self.skip = 0
        self.tail = b""
        self.out = b""

    def read(self) -> None:
        """One recv, then every frame that begins in it."""
        assert self.sock is not None
        if self.tail:
            kept = len(self.tail)
            BUFFER[:kept] = self.tail
            got = self.sock.recv_into(VIEW[kept:], READ)
        else:
            kept = 0
            got = self.sock.recv_into(BUFFER, READ)
        if not got:
            raise Gone("end of stream")
        self.bytes += got
        self.walk(kept + got)

    def walk(self, end: int) -> None:
        """Counts the frames in BUFFER[:end]; `tail` keeps what needs more bytes, `skip` what is still to be drained."""
        at = self.skip
        while end - at >= 2:
            first, size, body = BUFFER[at], BUFFER[at + 1], at + 2
            if size > 125:
                body += 2 if size == 126 else 8
                if body > end:
                    break
                size = int.from_bytes(VIEW[at + 2 : body], "big")
            if (first & 8 or self.listen) and body + size > end:
                if size > LARGEST:
                    raise Gone("frame too large")
                break
            at = body + size
            if first & 8:
                self.control(first & 15, bytes(VIEW[body:at]))
                continue
            self.frames += 1
            if self.listen:
                self.listen(VIEW[body:at])
        self.skip = max(at - end, 0)
        self.tail = bytes(VIEW[at:end])

    def control(self, opcode: int, payload: bytes) -> None:
        if opcode == CLOSE:
            raise Gone(f"closed {int.from_bytes(payload[:2], 'big')}")
        if opcode == PING and self.sock is not None:
            with suppress(BlockingIOError):
                self.sock.send(frame(payload, PONG))

    def upgraded(self) -> bool:
        """Reads the answer to the upgrade; True once it is complete and was a 101."""
        assert self.sock is not None
        self.tail += self.sock.recv(READ)
        head, end, rest = self.tail.partition(b"\r\n\r\n")
        if not self.tail or (end and b" 101 " not in head.splitlines()[0]):
            raise Gone(head[:40].decode("latin-1").splitlines()[0] if head else "end of stream")
        if not end:
            return False
        BUFFER[: len(rest)] = rest
        self.walk(len(rest))
        return True


class Crowd:
    """Everybody's sockets, in one epoll. `gone` counts the ends that were not ours, by reason."""

    def __init__(self, port: int, request: bytes, opcode: int = TEXT) -> None:
        self.port = port
        self.request = request
        self.opcode = opcode  # of a hello
        self.prompt = select.epoll()  # who listens, who is on his way in, who has more to send
        self.patient = select.epoll()  # the drains in the room
        self.drain_at = time.monotonic()
        self.visited = 0
        self.viewers: dict[int, Viewer] = {}
        self.joining: dict[int, Step] = {}  # by fd, like `viewers`
        self.everyone: list[Viewer] = []
        self.gone: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for viewer in self.viewers.values():
            if viewer.sock is not None:
                viewer.sock.close()
        self.prompt.close()
        self.patient.close()

    def join(self, viewers: Iterable[Viewer], *, at_once: int = 100, seconds: float = 60) -> float:
        """Brings all in, in their order, with at most `at_once` unfinished; returns how long it took.

        In the room is who got his 101 and, when he said hello, a first frame. Stops when `seconds` are over; who then
        is missing is for the caller to see in `seated`.
        """
        waiting = deque(viewers)
        started = time.monotonic()
        while (waiting or self.joining) and time.monotonic() - started < seconds:
            while waiting and len(self.joining) < at_once:
                self.connect(waiting.popleft())
            self.turn(0.05)
        return time.monotonic() - started

    @property
    def seated(self) -> int:
        return len(self.viewers) - len(self.joining)

    def connect(self, viewer: Viewer) -> None:
        sock = viewer.sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        code = sock.connect_ex(("127.0.0.1", self.port))
        if code not in (0, EINPROGRESS):
            raise OSError(code, "connect")
        viewer.out = self.request
        self.everyone.append(viewer)
        self.viewers[sock.fileno()] = viewer
        self.joining[sock.fileno()] = Step.UPGRADE
        self.prompt.register(sock, select.EPOLLIN | select.EPOLLOUT)

    def turn(self, wait: float = 0.0) -> None:
        """Waits up to `wait` seconds for something to read, then serves the sockets that are ready, in a fair order."""
        wait = min(wait, self.drain_at - time.monotonic())
        if wait > 0:
            # select() waits in microseconds, epoll in whole milliseconds: too coarse for an open-loop schedule.
            select.select([self.prompt], [], [], wait)
        self.serve(self.prompt.poll(0, EVENTS_PER_TURN))
        if time.monotonic() >= self.drain_at:
            self.drain()

    def drain(self) -> None:
        """One slice of a visit to the drains. A visit ends after one round, though the first may have more by then."""
        ready = self.patient.poll(0, EVENTS_PER_TURN)
        self.serve(ready)
        self.visited += len(ready)
        if len(ready) < EVENTS_PER_TURN or self.visited >= len(self.viewers):
            self.visited = 0
            self.drain_at = max(self.drain_at + DRAIN_EVERY, time.monotonic())

    def serve(self, ready: list[tuple[int, int]]) -> None:
        for fd, events in ready:
            viewer = self.viewers[fd]
            try:
                if events & select.EPOLLOUT:
                    self.flush(fd, viewer)
                if events & ~select.EPOLLOUT:
                    if fd in self.joining:
                        self.greet(fd, viewer)
                    else:
                        viewer.read()
            except BlockingIOError:
                pass
            except (OSError, Gone) as why:
                self.drop(fd, viewer, str(why))

    def greet(self, fd: int, viewer: Viewer) -> None:
        """Takes one more step into the room: the 101, then (after a hello) the first frame."""
        if self.joining[fd] is Step.UPGRADE:
            if not viewer.upgraded():
                return
            if viewer.hello:
                self.joining[fd] = Step.WELCOME
                self.send(viewer, frame(viewer.hello, self.opcode))
                return
        else:
            viewer.read()
            if not viewer.frames:
                return
        del self.joining[fd]
        if not viewer.listen:
            self.prompt.unregister(fd)
            self.patient.register(fd, select.EPOLLIN)

    def send(self, viewer: Viewer, data: bytes) -> bool:
        """Sends or, while the server does not read, keeps the bytes for later; False when the viewer is gone."""
        if viewer.sock is None:
            return False
        if viewer.out:
            viewer.out += data
            return True
        fd = viewer.sock.fileno()
        try:
            sent = viewer.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as why:
            self.drop(fd, viewer, str(why))
            return False
        viewer.out = data[sent:]
        if viewer.out:
            self.epoll_of(fd, viewer).modify(fd, select.EPOLLIN | select.EPOLLOUT)
        return True

    def flush(self, fd: int, viewer: Viewer) -> None:
        if viewer.out and viewer.sock is not None:
            viewer.out = viewer.out[viewer.sock.send(viewer.out) :]
        if not viewer.out:
            self.epoll_of(fd, viewer).modify(fd, select.EPOLLIN)

    def epoll_of(self, fd: int, viewer: Viewer) -> select.epoll:
        return self.prompt if viewer.listen or fd in self.joining else self.patient

    def drop(self, fd: int, viewer: Viewer, why: str) -> None:
        self.gone[why] += 1
        self.joining.pop(fd, None)
        del self.viewers[fd]
        if viewer.sock is not None:
            viewer.sock.close()
            viewer.sock = None
