"""Who is compared: how each is started, what its viewers say on entering, and how a comment is sent to it."""

import base64
import hmac
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS_PYTHON = HERE / ".peers-venv" / "bin" / "python"
ROOM = "demo"

Hello = Callable[[str, str], bytes]  # (viewer id, role) → first text; empty when the contestant wants none


@dataclass(frozen=True)
class Contestant:
    """`answers`: each comment gets an `ok` or an `error` with its `cid`; else what was sent counts as accepted."""

    name: str
    command: Callable[[int, Path], list[str]]
    greeter: Callable[[Path], Hello]
    say: Callable[[int, str], bytes]
    path: str = "/"
    subprotocol: str = ""
    ready: str = ""
    answers: bool = False
    likes: bool = False
    environment: dict[str, str] = field(default_factory=dict)


def liveroom_command(port: int, data: Path) -> list[str]:
    return [sys.executable, "-m", "liveroom", "run", "--dev", "--data", str(data), "--port", str(port)]


def liveroom_greeter(data: Path) -> Hello:
    secret = (data / "secret").read_text("utf-8").strip().encode()

    def hello(viewer: str, role: str) -> bytes:
        return json.dumps({"t": "hello", "token": token(secret, viewer, role)}).encode()

    return hello


def liveroom_say(number: int, text: str) -> bytes:
    return f'{{"t":"chat.say","cid":{number},"text":"{text}"}}'.encode()


def peer_say(number: int, text: str) -> bytes:
    """What liveroom's viewers would receive, since a peer passes on what it is given."""
    return (
        f'{{"t":"chat.message","id":"{number:012x}","ts":{time.time_ns() // 1_000_000},"from":"h{number % 60}",'
        f'"name":"h{number % 60}","role":"host","text":"{text}"}}'
    ).encode()


def token(secret: bytes, viewer: str, role: str, seconds: int = 7200, room: str = ROOM) -> str:
    """An HS256 JWT for the room under test, or for another."""
    now = int(time.time())
    claims = {"sub": viewer, "name": viewer, "room": room, "role": role, "iat": now, "exp": now + seconds}
    body = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({**claims, 'aud': 'liveroom', 'iss': 'liveroom'})}"
    return f"{body}.{unpadded(hmac.digest(secret, body.encode(), 'sha256'))}"


def part(claims: Mapping[str, object]) -> str:
    return unpadded(json.dumps(claims, separators=(",", ":")).encode())


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def peer(name: str, script: str, python: Path = PEERS_PYTHON) -> Contestant:
    def command(port: int, data: Path) -> list[str]:
        return [str(python), str(HERE / "peers" / script), str(port)]

    return Contestant(name, command, lambda data: lambda viewer, role: b"", peer_say)


def contestants(python: Path = PEERS_PYTHON) -> dict[str, Contestant]:
    """By name, in the order of the page."""
    everyone = (
        Contestant(
            "liveroom",
            liveroom_command,
            liveroom_greeter,
            liveroom_say,
            path=f"/v1/rooms/{ROOM}/ws",
            subprotocol="liveroom.v1.json",
            ready="/readyz",
            answers=True,
            likes=True,
            environment={"LIVEROOM_CROWD_BUDGET": "100000"},
        ),
        peer("websockets.broadcast", "websockets_room.py", python),
        peer("starlette", "starlette_room.py", python),
        peer("socketify", "socketify_room.py", python),
    )
    return {one.name: one for one in everyone}
