"""The command line does what was typed, or says in one line on stderr what is wrong and what to do."""

import json
import os
import re
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from websockets.sync.server import ServerConnection, serve

from liveroom import cli, remote
from liveroom.cli.options import seconds
from liveroom.cli.setup import kept_secret
from liveroom.settings import Settings, SettingsError
from liveroom.tokens import Tokens
from liveroom.watch import Typing, printable

SECRET = "a secret for tests, long enough for all"


class Done(NamedTuple):
    code: int
    out: str
    errors: str


Cli = Callable[..., Done]
Message = dict[str, Any]


@pytest.fixture
def liveroom(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """Type a command, in an empty folder and a clean environment."""
    for name in [name for name in os.environ if name.startswith("LIVEROOM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def typed(*words: str, **environ: str) -> Done:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["liveroom", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        return Done(int(end.value.code or 0), said.out, said.err)

    return typed


def refused(done: Done) -> str:
    """The one line of a command that cannot be done."""
    assert (done.code, done.out, done.errors.count("\n")) == (2, "", 1), done
    return done.errors


class Asked(NamedTuple):
    method: str
    path: str
    token: str
    body: Any


class Shop:
    """An HTTP server that answers everything with one answer and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answer: tuple[int, Any] = (200, {"t": "ok"})
        shop = self

        class Counter(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                token = self.headers["Authorization"].removeprefix("Bearer ")
                shop.asked.append(Asked(self.command, self.path, token, json.loads(body) if body else None))
                status, answer = shop.answer
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Counter)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("NO_PROXY", "*")
    shop = Shop()
    thread = threading.Thread(target=shop.server.serve_forever, args=(0.01,))
    thread.start()
    yield shop
    shop.server.shutdown()
    thread.join()
    shop.server.server_close()


def test_help_is_quick_and_grouped():
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "liveroom", "--help"], capture_output=True, text=True, check=True)
    assert time.monotonic() - began < 3 * 0.5
    for word in ("Run", "Try", "Data", "run", "check", "token", "send", "watch", "replay", "rooms"):
        assert re.search(rf"\b{word}\b", done.stdout), word


# run


def test_no_secret_outside_dev_is_no_start(liveroom: Cli):
    assert "no secret: set LIVEROOM_SECRET" in refused(liveroom("run"))


def test_dev_serves_this_machine_only(liveroom: Cli):
    assert "leave out --host 0.0.0.0" in refused(liveroom("run", "--dev", "--host", "0.0.0.0"))
    assert not Path(".liveroom").exists()


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({"LIVEROOM_SECRET": "short"}, "32 bytes"),
        ({"LIVEROOM_SECRET": SECRET, "LIVEROOM_JWKS": "keys.json"}, "one family"),
        ({"LIVEROOM_SECRET": SECRET, "LIVEROOM_PORT": "99999"}, "port"),
    ],
)
def test_a_bad_setting_is_no_start(liveroom: Cli, environ: dict[str, str], why: str):
    assert why in refused(liveroom("run", **environ))


def test_a_configuration_file_is_read_and_its_mistakes_named(liveroom: Cli, tmp_path: Path):
    file = tmp_path / "liveroom.toml"
    file.write_text("prot = 1")
    assert "did you mean 'port'" in refused(liveroom("run", "--config", str(file)))
    assert "cannot be read" in refused(liveroom("run", "--config", "nowhere.toml"))


def served(monkeypatch: pytest.MonkeyPatch, liveroom: Cli, *words: str, **environ: str) -> tuple[Settings, bool]:
    """The settings with which `run` would serve."""
    import types

    calls: list[tuple[Settings, bool]] = []
    app = types.ModuleType("liveroom.app")

    def serve(settings: Settings, *, show: bool) -> int:
        calls.append((settings, show))
        return 7

    app.serve = serve  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "liveroom.app", app)
    assert liveroom("run", *words, **environ).code == 7
    return calls[0]


def test_run_hands_over_all_it_was_told(monkeypatch: pytest.MonkeyPatch, liveroom: Cli):
    words = ["--dev", "--show", "--host", "localhost", "--port", "0", "--data", "d", "--redis", "redis://h:1/0"]
    settings, show = served(monkeypatch, liveroom, *words)
    where = (settings.dev, settings.host, settings.port, settings.data, settings.redis)
    assert where == (True, "localhost", 0, "d", "redis://h:1/0")
    assert show


def test_flags_that_are_left_out_leave_the_environment_alone(monkeypatch: pytest.MonkeyPatch, liveroom: Cli):
    settings, _ = served(monkeypatch, liveroom, LIVEROOM_PORT="81", LIVEROOM_DEV="true", LIVEROOM_SECRET=SECRET)
    assert (settings.port, settings.dev, settings.secret) == (81, True, SECRET)
    assert not Path(".liveroom").exists()


def test_an_unknown_variable_is_a_warning(liveroom: Cli):
    assert "did you mean LIVEROOM_SECRET?" in liveroom("run", LIVEROOM_SECRETT="x").errors


def test_dev_makes_a_secret_once_and_keeps_it_to_itself(monkeypatch: pytest.MonkeyPatch, liveroom: Cli):
    first, _ = served(monkeypatch, liveroom, "--dev")
    second, _ = served(monkeypatch, liveroom, "--dev")
    kept = Path(".liveroom/secret")
    assert first.secret == second.secret == kept.read_text()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", first.secret)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert os.listdir(kept.parent) == ["secret"]


def test_of_many_that_make_a_secret_one_wins(tmp_path: Path):
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(kept_secret, [tmp_path / "new" / "data"] * 64))
    assert len(found) == 1


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="use another --data"):
        kept_secret(tmp_path / "file" / "data")


# token


def test_a_token_and_nothing_else_is_printed(liveroom: Cli):
    done = liveroom("token", "--room", "demo", "--sub", "u1", "--name", "Ann", "--ttl", "10m", LIVEROOM_SECRET=SECRET)
    assert (done.code, done.errors, done.out.count("\n")) == (0, "", 1)
    claims = Tokens(Settings(secret=SECRET)).read(done.out.strip(), time.time())
    assert (claims.sub, claims.room, claims.role, claims.name) == ("u1", "demo", "viewer", "Ann")
    assert claims.exp == pytest.approx(time.time() + 600, abs=5)


def test_a_token_is_signed_with_the_secret_of_the_data_folder(liveroom: Cli, tmp_path: Path):
    secret = kept_secret(tmp_path / "d")
    done = liveroom("token", "--room", "*", "--sub", "s", "--role", "service", "--data", "d")
    assert Tokens(Settings(secret=secret)).read(done.out.strip(), time.time()).role == "service"


@pytest.mark.parametrize(
    ("words", "environ", "why"),
    [
        ([], {}, "no secret"),
        (["--ttl", "25h"], {"LIVEROOM_SECRET": SECRET}, "at most 24 hours"),
    ],
)
def test_a_token_that_nobody_would_take_is_not_made(liveroom: Cli, words: list[str], environ: dict[str, str], why: str):
    assert why in refused(liveroom("token", "--room", "demo", "--sub", "u1", *words, **environ))


@pytest.mark.parametrize("words", [["--ttl", "soon"], ["--role", "king"]])
def test_a_bad_option_is_exit_2(liveroom: Cli, words: list[str]):
    done = liveroom("token", "--room", "demo", "--sub", "u1", *words, LIVEROOM_SECRET=SECRET)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.errors


# send and rooms


def test_send_posts_one_command_as_host_and_prints_the_reply(liveroom: Cli, shop: Shop):
    shop.answer = (200, {"t": "ok", "id": "r_1", "text": "你好"})
    words = ["text=123", "n=3", "on=true", 'ids=["a","b"]', "who=ann", "keyword=true", "viewer=7", "x="]
    done = liveroom("send", "demo", "room.notice", *words, "--url", shop.url, LIVEROOM_SECRET=SECRET)
    assert (done.code, json.loads(done.out)) == (0, shop.answer[1])
    assert "你好" in done.out
    [asked] = shop.asked
    assert (asked.method, asked.path) == ("POST", "/v1/rooms/demo/commands")
    assert asked.body == {
        **{"t": "room.notice", "text": "123", "n": 3, "on": True, "ids": ["a", "b"]},
        **{"who": "ann", "keyword": "true", "viewer": "7", "x": ""},
    }
    claims = Tokens(Settings(secret=SECRET)).read(asked.token, time.time())
    assert (claims.role, claims.room) == ("host", "demo")


def test_a_refusal_is_said_on_stderr_with_exit_1(liveroom: Cli, shop: Shop):
    shop.answer = (403, {"t": "error", "code": "NOT_ALLOWED", "message": "only hosts"})
    done = liveroom("send", "demo", "room.notice", "text=x", "--url", shop.url, "--token", "mine")
    assert done == Done(1, "", "liveroom: NOT_ALLOWED: only hosts\n")
    assert shop.asked[0].token == "mine"


def test_an_answer_that_is_no_reply_is_a_refusal(liveroom: Cli, shop: Shop):
    shop.answer = (502, "bad gateway")
    assert liveroom("send", "demo", "x.y", "--url", shop.url, "--token", "t").errors.startswith("liveroom: 502")


def test_an_argument_without_a_value_is_one_line(liveroom: Cli):
    assert "write key=value" in refused(liveroom("send", "demo", "room.notice", "hello", LIVEROOM_SECRET=SECRET))


def test_nobody_at_the_address_is_one_line_that_says_what_to_do(liveroom: Cli):
    environ = {"LIVEROOM_SECRET": SECRET, "NO_PROXY": "*"}
    assert "liveroom run --dev" in refused(liveroom("send", "demo", "x.y", "--url", "http://127.0.0.1:9", **environ))
    assert "liveroom run --dev" in refused(liveroom("watch", "demo", "--url", "http://127.0.0.1:9", **environ))
    assert "no address of a server" in refused(liveroom("rooms", "--url", "localhost:8000", **environ))


def test_somebody_who_speaks_no_http_is_one_line(liveroom: Cli):
    with socket.create_server(("127.0.0.1", 0)) as other:

        def mumble() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        mumbling = threading.Thread(target=mumble)
        mumbling.start()
        url = f"http://127.0.0.1:{other.getsockname()[1]}"
        assert "no server at" in refused(liveroom("rooms", "--url", url, LIVEROOM_SECRET=SECRET, NO_PROXY="*"))
        mumbling.join()


def test_the_address_is_the_one_that_the_data_folder_keeps(liveroom: Cli, shop: Shop, tmp_path: Path):
    (tmp_path / "url").write_text(shop.url + "\n")
    assert liveroom("send", "demo", "x.y", "--data", str(tmp_path), LIVEROOM_SECRET=SECRET).code == 0
    assert remote.kept_url(tmp_path / "nowhere") == "http://127.0.0.1:8000"


def test_rooms_are_listed(liveroom: Cli, shop: Shop):
    shop.answer = (200, {"rooms": [{"id": "demo", "title": "Demo", "state": "open", "viewers": 12, "likes": 340}]})
    done = liveroom("rooms", "--url", shop.url, LIVEROOM_SECRET=SECRET)
    assert all(word in done.out for word in ("demo", "Demo", "open", "12", "340"))
    assert Tokens(Settings(secret=SECRET)).read(shop.asked[0].token, time.time()).role == "service"


@pytest.mark.parametrize("before", [True, False])
def test_rooms_are_created_and_closed(liveroom: Cli, shop: Shop, before: bool):
    where = ["--url", shop.url, "--token", "t"]

    def rooms(*words: str) -> Done:
        return liveroom("rooms", *(where if before else []), *words, *([] if before else where))

    assert rooms("create", "a", "--title", "A b").code == 0
    assert rooms("close", "a").code == 0
    assert shop.asked == [
        Asked("POST", "/v1/rooms", "t", {"id": "a", "title": "A b"}),
        Asked("POST", "/v1/rooms/a/close", "t", None),
    ]


# check


def test_check_without_a_redis_says_that_run_brings_its_own(liveroom: Cli):
    done = liveroom("check")
    assert (done.code, done.errors) == (0, "")
    assert "starts its own" in done.out


def test_check_of_a_redis_that_is_away_is_one_line(liveroom: Cli):
    done = liveroom("check", "--redis", "redis://127.0.0.1:9/0")
    assert (done.code, done.errors.count("\n")) == (2, 1)
    assert "no answer from Redis" in done.errors


# watch


def test_watch_without_a_terminal_prints_lines_and_ends_with_the_room(liveroom: Cli):
    def room(socket: ServerConnection) -> None:
        hello = json.loads(socket.recv())
        claims = Tokens(Settings(secret=SECRET)).read(hello["token"], time.time())
        viewer = {"id": claims.sub, "name": claims.name, "role": claims.role}
        about = {"id": "demo", "title": "The demo", "viewers": 2, "likes": 5}
        snapshot: Message = {"chat": [{"id": "c0", "name": "Ben", "role": "viewer", "text": "earlier [b]"}]}
        snapshot |= {"pinned": [{"comment": {"name": "Ben", "text": "look"}, "until": 9}]}
        snapshot |= {"settings": {"mode": "slow", "slow_seconds": 5}}
        welcome = {"t": "welcome", "viewer": viewer, "room": about, "epoch": "e", "seq": 1, "now": 1}
        socket.send(json.dumps(welcome | {"heartbeat_ms": 15000, "recovered": False, "snapshot": snapshot}))
        socket.send(
            json.dumps(
                [
                    {"t": "chat.settings", "mode": "members", "level": 3, "slow_seconds": 0},
                    {"t": "chat.settings", "mode": "quiet", "slow_seconds": 0},
                    {"t": "chat.pinned", "comment": {"name": "Ann", "text": "and here"}, "until": 9},
                    {"t": "chat.unpinned", "id": "c0"},
                    {"t": "chat.deleted", "ids": ["c0"]},
                    {"t": "chat.deleted", "viewer": "u1"},
                    {"t": "chat.muted", "until": (time.time() + 3600) * 1000 + 999},
                    {"t": "chat.muted", "until": 0},
                    {"t": "chat.reports", "open": 2, "ver": 7},
                    {"t": "chat.message", "id": "c1", "name": "小雨", "role": "host", "text": "hi\x1b[2J"},
                    {"t": "room.notice", "seq": 2, "text": "soon", "from": "Host"},
                    {"t": "profile.changed", "profile": hello["profile"], "why": "slow"},
                    {"t": "from.the.future"},
                    {"t": "questions.live", "questions": asked[:2], "now": 1},
                    {"t": "questions.live", "questions": asked[:2], "now": 2},
                    {"t": "questions.live", "questions": asked, "now": 3, "more": 2},
                    {"t": "questions.live", "questions": [], "now": 4},
                    {"t": "room.closed", "seq": 3},
                ]
            )
        )
        socket.close(4504)

    asked = [{"id": f"c{n}", "text": f"how much {n}\x1b", "viewers": 9 - n, "waiting_ms": 61_000} for n in range(4)]
    with serve(room, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        done = liveroom("watch", "demo", "--url", url, "--limit", "5", "--profile", "min", LIVEROOM_SECRET=SECRET)
    assert (done.code, done.errors) == (0, "")
    assert re.sub(r"(?<=muted for )[\d:]+", "an hour", done.out).splitlines() == [
        "The demo: you are Terminal",
        "Ben: earlier [b]",
        "pinned: Ben: look",
        "slow mode: one comment every 5 s",
        "members of level 3 may comment",
        "the chat is quiet",
        "pinned: Ann: and here",
        "deleted: 1 comment",
        "deleted: all comments of one viewer",
        "you are muted for an hour",
        "you may comment again",
        "reported comments: 2",
        "小雨: hi [2J",
        "notice: soon",
        "slow connection: profile min",
        "waiting for an answer: how much 0  (9×, 1:01)  how much 1  (8×, 1:01)",
        "waiting for an answer: how much 0  (9×, 1:01)  how much 1  (8×, 1:01)  how much 2  (7×, 1:01)  and 3 more",
        "waiting for an answer: nothing",
        "the room is closed",
    ]


def test_a_closed_room_cannot_be_watched(liveroom: Cli):
    def room(socket: ServerConnection) -> None:
        socket.recv()
        socket.close(4504)

    with serve(room, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        assert "closed or unknown" in refused(liveroom("watch", "nope", "--url", url, LIVEROOM_SECRET=SECRET))


def test_typing_knows_backspace_ctrl_u_and_characters_of_several_bytes():
    typing = Typing()
    assert typing.typed(b"helo\x7flo") == []
    assert typing.text == "hello"
    assert typing.typed("\x15你好".encode()[:-1]) == []
    assert typing.typed("你好".encode()[-1:] + b"\r  \nnext") == ["你好"]
    assert typing.text == "next"


def test_nothing_said_moves_the_cursor():
    assert printable("a\x1b[31mb\r\nc\x07") == "a [31mb  c "


# durations


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("1.5", 1.5), ("10m", 600), ("1h30m", 5400), ("1:30:00", 5400), ("2:05", 125), ("1d", 86400)],
)
def test_a_duration(text: str, expected: float):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "m", "-5", "ten", "1m30", "1:2:3:4", "5 m"])
def test_no_duration(text: str):
    with pytest.raises(ValueError, match="no duration"):
        seconds(text)


# the little show


def test_the_show_stops_when_its_parent_lets_go():
    environ = {"LIVEROOM_SECRET": SECRET}
    words = [sys.executable, "-m", "liveroom.show", "--url", "http://127.0.0.1:9"]
    show = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ)
    time.sleep(0.6)
    assert show.poll() is None
    out, errors = show.communicate(timeout=5)
    assert (show.returncode, out, errors) == (0, b"", b"")
