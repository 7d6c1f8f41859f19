"""One contestant's process: started on its own core, read through /proc, stopped by its pid."""

import http.client
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.contestants import Contestant

TICK = os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).resolve().parent.parent


class Unfit(Exception):
    """This contestant cannot be measured here; the text says why, for the page."""


@dataclass(frozen=True)
class Cores:
    """Who runs where: the server alone on one core, the crowd and the server's Redis on the rest."""

    server: frozenset[int]
    others: frozenset[int]

    @classmethod
    def here(cls) -> "Cores":
        first, *rest = sorted(os.sched_getaffinity(0))
        return cls(frozenset({first}), frozenset(rest or {first}))


@dataclass
class Server:
    """A running contestant. Times are CPU seconds since its start, user and system together."""

    contestant: Contestant
    port: int
    data: Path
    process: subprocess.Popen[bytes]
    cores: Cores
    helpers: dict[int, str] = field(default_factory=dict)  # pid → when it started, for a pid may come again

    def adopt(self) -> None:
        """Finds the processes the contestant started, such as its Redis, and moves them off its core."""
        for pid in children(self.process.pid):
            self.helpers[pid] = started_at(pid)
            pin(pid, self.cores.others)

    def cpu(self) -> float:
        return cpu_seconds(self.process.pid)

    def helpers_cpu(self) -> float:
        return sum(map(cpu_seconds, self.helpers))

    def resident_kib(self) -> int:
        """Counted page by page; VmRSS in /proc/PID/status may be some MiB behind."""
        lines = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))

    def log(self) -> str:
        """The end of its output, without this machine's paths, for it may go to a page."""
        text = (self.data / "server.log").read_text(errors="replace")[-600:].strip()
        return text.replace(str(self.data), "DATA").replace(str(ROOT), ".")


@contextmanager
def prepared() -> Iterator[None]:
    """For a bench script: enough open files for 10,000 viewers, and an end by signal that still stops the servers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def served(contestant: Contestant, cores: Cores) -> Iterator[Server]:
    """Starts the contestant on a free loopback port, waits until it is ready, and ends it whatever happens."""
    with tempfile.TemporaryDirectory(prefix="liveroom-bench-") as folder:
        server = start(contestant, cores, Path(folder))
        try:
            await_ready(server)
            server.adopt()
            yield server
        finally:
            with undisturbed():
                stop(server)


def start(contestant: Contestant, cores: Cores, data: Path) -> Server:
    port = free_port()
    command = contestant.command(port, data)
    os.sched_setaffinity(0, cores.server)  # a child inherits it
    try:
        with (data / "server.log").open("wb") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=ROOT, env={**os.environ, **contestant.environment}
            )
    except OSError as why:
        raise Unfit(f"does not start: {why.strerror}") from None
    finally:
        os.sched_setaffinity(0, cores.others)
    return Server(contestant, port, data, process, cores)


def await_ready(server: Server, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise Unfit(f"ended at start with {server.process.returncode}: {last_line(server.log())}")
        if answers(server):
            return
        time.sleep(0.1)
    raise Unfit(f"not ready after {seconds:.0f} s: {last_line(server.log())}")


def answers(server: Server) -> bool:
    try:
        if not server.contestant.ready:
            socket.create_connection(("127.0.0.1", server.port), 1).close()
            return True
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=1)
        try:
            connection.request("GET", server.contestant.ready)
            return connection.getresponse().status == 200
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        return False


@contextmanager
def undisturbed() -> Iterator[None]:
    """Holds an impatient second Ctrl-C back: a half-stopped server would stay behind."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def stop(server: Server, seconds: float = 10) -> None:
    """A contestant with helpers may end them itself; whoever is left is killed by pid."""
    server.adopt()
    if server.helpers:
        server.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.process.wait(seconds)
    server.process.kill()
    server.process.wait()
    for pid, born in server.helpers.items():
        if born and started_at(pid) == born:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def pin(pid: int, cores: frozenset[int]) -> None:
    """Moves all threads; a process that has just ended is no matter."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), cores)


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: [0] is field 3, the state. Empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def cpu_seconds(pid: int) -> float:
    fields = stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICK if fields else 0.0


def started_at(pid: int) -> str:
    fields = stat(pid)
    return fields[19] if fields else ""


def children(pid: int) -> list[int]:
    """All living descendants."""
    parents = {int(entry.name): stat(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    mine = [child for child, fields in parents.items() if fields and int(fields[1]) == pid]
    return mine + [grandchild for child in mine for grandchild in children(child)]


def last_line(text: str) -> str:
    return text.splitlines()[-1][:160] if text else "no output"
