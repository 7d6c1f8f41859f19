"""`make load`: a server of its own, a crowd for a minute, a verdict, and the exit code that it deserves."""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from loadtest.crowd.disguises import LISTED

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0
STOP_SECONDS = 20.0
SPARE_SECONDS = 90  # joining, the last round, what is awaited behind the end
JOINS_PER_SECOND = 100


@contextmanager
def served(data: Path, number: int, words: Path) -> Iterator[str]:
    """A node on a free port; its URL. Ended whatever happens, with its output where it did not end well."""
    log = data.with_suffix(f".{number}.log")
    command = [sys.executable, "-m", "liveroom", "run", "--dev", "--port", "0", "--data", str(data)]
    with log.open("wb") as out:
        server = subprocess.Popen(
            command,
            env=os.environ | {"LIVEROOM_WORD_LIST": str(words)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield wait_for_url(server, log)
    finally:
        if stop(server):
            print(f"The server ended with {server.returncode}:\n{log.read_text(errors='replace')[-4000:]}")
    if server.returncode:
        raise SystemExit(1)


def wait_for_url(server: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text(errors="replace")):
            return found[0]
        time.sleep(0.05)
    raise SystemExit("loadtest: the server did not start")


def stop(server: subprocess.Popen[bytes]) -> int:
    server.terminate()
    try:
        return server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        return server.wait()


def locust(options: argparse.Namespace, urls: Sequence[str], data: str, *more: str) -> int:
    """Its exit code. It ends by itself when the show is over; a show that does not end is cut off."""
    longest = options.seconds + options.users // JOINS_PER_SECOND + SPARE_SECONDS
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtest" / "locustfile.py")]
    command += ["--headless", "--only-summary", "--run-time", str(longest), "--loglevel", "WARNING", *more]
    command += ["--host", urls[0], "--nodes", ",".join(urls)]
    command += ["--users", str(options.users), "--spawn-rate", str(JOINS_PER_SECOND)]
    command += ["--profile-file", str(options.profile), "--show-seconds", str(options.seconds)]
    if data:
        command += ["--data", data]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT))))}
    running = subprocess.Popen(command, env=environ, stderr=subprocess.STDOUT)  # the table goes before the verdict
    try:
        return running.wait(longest + SPARE_SECONDS)
    except BaseException:
        running.kill()
        running.wait()
        raise


def main() -> int:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    parser = argparse.ArgumentParser(prog="python -m loadtest.crowd", description=__doc__)
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--profile", default="evening", help="a name in loadtest/profiles, or a file")
    parser.add_argument("--nodes", type=int, default=2, help="of the server that is started")
    parser.add_argument("--url", default="", help="a server that runs already, or its nodes with commas between")
    parser.add_argument("--data", default="", help="the data folder of that server, to look into its ledger")
    options = parser.parse_args()
    named = ROOT / "loadtest" / "profiles" / f"{options.profile}.toml"
    options.profile = named if named.is_file() else Path(options.profile)
    if options.url:
        return locust(options, options.url.split(","), options.data)
    os.environ.pop("LIVEROOM_SECRET", None)  # the server makes one
    with tempfile.TemporaryDirectory(prefix="locust-") as folder, ExitStack() as ends:
        data, words = Path(folder) / "data", Path(folder) / "words.txt"
        words.write_text("\n".join(LISTED), "utf-8")
        urls = [ends.enter_context(served(data, number, words)) for number in range(options.nodes)]
        return locust(options, urls, str(data), "--listed")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
