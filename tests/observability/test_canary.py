"""Nothing that anybody says is in the logs, whatever goes wrong: canaries are sent, and looked for."""

import asyncio
import base64
import contextlib
import json
import logging
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from liveroom.ledger.engine import engine_of, reason, with_driver
from liveroom.logs import begin_logs, log_surprise
from tests.gateway.test_handshake import Wire, frame, hello, say, signed, upgrade
from tests.house import SECRET, Node, Plant, guests, join, make_room, token

BIRD = f"canary{secrets.token_hex(6)}"


def bird(what: str) -> str:
    return f"{BIRD}-{what}"




# Each ends in a surprise that quotes what was said: in the turn of the frame, in a task, in a callback, in one unheard.
SAY = "        text = typed(command.text)\n        if refusal := too_much(text)"
FAULT = (
    "        text = typed(command.text)\n"
    "        import asyncio\n"
    "        def burst(*_):\n            raise KeyError(text, actor.name, str(command))\n"
    "        async def wait():\n            burst()\n"
    "        if 'turn' in text: burst()\n"
    "        if 'task' in text: self.spawn(wait())\n"
    "        if 'callback' in text: asyncio.get_running_loop().call_soon(burst, text)\n"
    "        if 'unheard' in text: asyncio.get_running_loop().create_task(wait(), name=text)\n"
    "        if 'cause' in text:\n"
    "            try: burst()\n"
    "            except KeyError as error: raise ValueError(text) from error\n"
    "        if 'many' in text: raise ExceptionGroup(text, [ValueError(text), KeyError(text)])\n"
    "        if refusal := too_much(text)"
)
BURSTS = ("turn", "task", "callback", "unheard", "cause", "many")
TITLE = '        title = shown(new.title)\n        if not title:'
TITLE_FAULT = TITLE.replace("if not", "if 'burst' in title:\n            raise RuntimeError(title)\n        if not")


def malformed(said: str) -> Iterator[bytes]:
    """Frames that are wrong in all ways we know, each with the text in it."""
    yield frame(said.encode())
    yield frame(said.encode() + b"\xff")
    yield frame(json.dumps([said]).encode())
    yield frame(('{"t":"chat.say","text":"' + said).encode())
    yield frame(json.dumps({said: said}).encode(), opcode=0x2)
    for wrong in wrong_commands(said):
        yield say(wrong)


def wrong_commands(said: str) -> list[dict[str, Any]]:
    wrong: tuple[dict[str, Any], ...] = (
        {"t": said},
        {"t": "chat.say", "text": [said]},
        {"t": "chat.say", "text": said, said: said},
        {"t": "chat.say", "text": said, "mentions": said},
        {"t": "chat.say", "text": said, "cid": said},
        {"t": "chat.say", "text": said, "idem": said * 9},
        {"t": "chat.say", "text": said * 30},
        {"t": "chat.say", "text": said, "reply_to": said},
        {"t": "profile.set", "profile": said},
        {"t": "auth.refresh", "token": said},
        {"t": "lottery.enter", "id": said},
        {"t": "sale.claim", "id": said, "idem": said},
        {"t": "inbox.ack", "ids": [said]},
        {"t": "share.add", "to": said},
        {"t": "lottery.open", "prize": said, "winners": said},
    )
    return [{"cid": 1000, **one} for one in wrong]


def over_sockets(node: Node, room: str) -> None:
    wires = []
    for number, wrong in enumerate(malformed(bird("text"))):
        signature = signed({"room": room, "sub": bird(f"sub{number}"), "name": bird("name"), "role": "host"})
        wires.append(Wire(node, upgrade(node, room), hello(signature), wrong))
    for greeting in (
        {"t": "hello", "token": bird("token")},
        {"t": "hello", "token": signed({"role": bird("role")}), "source": bird("Source!")},
        {"t": "hello", "token": signed({"sub": bird("sub") * 9})},
        {"t": "hello", bird("field"): 1},
        {"t": bird("kind")},
    ):
        wires += [Wire(node, upgrade(node, room), say(greeting))]
    for lines in (
        (f"Origin: https://{bird('origin')}",),
        (f"Sec-WebSocket-Protocol: {bird('protocol')}",),
        (f"Cookie: {bird('cookie')}", f"Authorization: Bearer {bird('token')}", f"X-{bird('header')}: 1"),
        (f"Sec-WebSocket-Key: {bird('key')}",),
    ):
        wires += [Wire(node, upgrade(node, room, *lines))]
    wires.append(Wire(node, upgrade(node, room, path=f"/v1/rooms/{room}/ws?token={bird('token')}")))
    wires.append(Wire(node, upgrade(node, room, path=f"/{bird('path')}?{bird('query')}")))
    wires.append(Wire(node, f"{bird('verb')} {bird('path')}\r\n\r\n".encode()))
    for wire in wires:
        wire.socket.settimeout(0.05)
        with contextlib.suppress(TimeoutError):
            wire.rest()
        wire.socket.close()


def over_http(node: Node, room: str) -> None:
    base = f"/v1/rooms/{room}"
    good = token("*", "service", sub=bird("sub"), name=bird("name"))
    for method, path, body in (
        ("POST", "/v1/rooms", {"id": f"{room}x", "title": bird("title")}),
        ("POST", "/v1/rooms", {"id": f"{room}x", "title": bird("title-burst")}),
        ("POST", "/v1/rooms", {"id": bird("id!"), "title": [bird("title")]}),
        ("POST", "/v1/rooms", {bird("field"): 1}),
        ("POST", "/v1/rooms", bird("body").encode()),
        ("POST", f"{base}/commands", {"t": "room.notice", "text": bird("notice")}),
        ("POST", f"{base}/commands", {"t": "chat.say", "text": bird("text")}),
        ("POST", f"{base}/commands", {"t": "chat.say", "text": bird("turn")}),
        ("POST", f"{base}/commands", {"t": bird("kind")}),
        ("POST", f"{base}/commands", {"t": "lottery.open", "prize": bird("prize"), "winners": bird("many")}),
        ("POST", f"{base}/commands", {"t": "stream.start", "title": bird("title")}),
        ("POST", f"{base}/holds/{bird('hold')}/confirm", {"payment_id": bird("payment")}),
        ("POST", f"{base}/holds/h_1_1/cancel", {"reason": bird("reason")}),
        ("GET", f"{base}/rounds/{bird('round')}/proof", None),
        ("GET", f"/{bird('path')}?{bird('query')}", None),
        ("GET", f"/v1/rooms?token={bird('token')}", None),
    ):
        node.http(method, path, body, good, **{"Idempotency-Key": bird("idem"), "Cookie": bird("cookie")})
        node.http(method, path, body, bird("token"))


async def as_guests(node: Node, room: str) -> None:
    """A show in which all goes well, and everything that can be said is a canary."""
    claims = {"name": bird("name"), "device": bird("device")}
    coming = [join(node, room, role, sub=bird(role), claims=claims) for role in ("host", "viewer", "moderator")]
    async with guests(*coming) as (host, ann, _):
        for command in (
            {"t": "lottery.open", "prize": bird("prize"), "winners": 1, "keyword": bird("keyword"), "seconds": 1},
            {"t": "count.open", "keyword": bird("word"), "seconds": 1},
            {"t": "quiz.open", "question": bird("question"), "choices": [bird("a"), "b"], "right": 0, "seconds": 1},
            {"t": "sale.open", "item": bird("item"), "price": 1, "stock": 1, "seconds": 2},
            {"t": "room.notice", "text": bird("notice")},
        ):
            assert (await host.ask(command.pop("t"), **command))["t"] == "ok"
        await ann.say(bird("keyword"), mentions=[bird("host")], idem=bird("idem"))
        await ann.say(bird("word"))
        sale = (await ann.hear("sale.opened"))["id"]
        assert (await ann.ask("sale.claim", id=sale, idem=bird("idem2")))["t"] == "ok"
        await host.hear("lottery.drawn")
        await host.hear("quiz.revealed")
        for wrong in wrong_commands(bird("text")):
            await ann.send(wrong)
        await ann.closing()  # for a token that is none


async def burst(node: Node, room: str, what: str) -> None:
    guest = await join(node, room, sub=bird(what), claims={"name": bird("name")})
    with contextlib.suppress(AssertionError, TimeoutError):
        await guest.ask("chat.say", within=2, text=bird(what))
    await guest.leave()


def sung(output: str) -> list[str]:
    """Where a canary, or a token that was made of one, is."""
    hidden = [base64.urlsafe_b64encode(BIRD[n:].encode())[:12].decode() for n in range(3)]
    return [line for line in output.splitlines() if any(one in line for one in (BIRD, *hidden, SECRET))]


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_canary_is_in_any_log(plant: Plant, form: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    house = plant(("liveroom/speech.py", SAY, FAULT), ("liveroom/http/api.py", TITLE, TITLE_FAULT))
    node = house.node(log_format=form, log_level="debug")
    room = make_room(node, bird("title"))
    asyncio.run(as_guests(node, room))
    over_sockets(node, room)
    over_http(node, room)
    for what in BURSTS:
        asyncio.run(burst(node, room, what))
    house.stop()
    said = node.said
    assert sung(said + (house.data / "valkey.log").read_text()) == []
    assert said.count("KeyError") >= len(BURSTS), "the surprises themselves are logged"
    assert "closed" in said  # so debug is on
    lines = said[said.index("stops it.\n") + 10 :].splitlines()
    assert form == "console" or all(isinstance(json.loads(line), dict) for line in lines)


def test_a_log_line_of_another_library_is_like_ours(capsys: pytest.CaptureFixture[str]):
    with begun("json"):
        try:
            raise ValueError(bird("text"))
        except ValueError:
            logging.getLogger("another").warning("it %s", "failed", exc_info=True)
        logging.getLogger("another").info("this is too much")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"]) == ("it failed", "warning")
    assert line["exception"].endswith("\nValueError")


def test_what_the_system_says_is_kept(capsys: pytest.CaptureFixture[str]):
    with begun("json"):
        try:
            raise OSError(28, "No space left on device")
        except OSError as error:
            log_surprise(asyncio.new_event_loop(), {"message": "a callback", "exception": error, "handle": bird("x")})
    line = json.loads(capsys.readouterr().err)
    assert "No space left on device" in line["exception"]
    assert BIRD not in str(line)


def test_levels_below_the_setting_are_not_said(capsys: pytest.CaptureFixture[str]):
    with begun("console", "warning"):
        structlog.get_logger().info("quiet")
        structlog.get_logger().warning("loud")
    said = capsys.readouterr().err
    assert "loud" in said
    assert "quiet" not in said


@contextlib.contextmanager
def begun(form: str, level: str = "info") -> Iterator[None]:
    """The logs as a node has them, and as they were again."""
    root, hooks = logging.getLogger(), (sys.excepthook, sys.unraisablehook)
    handlers, root_level = root.handlers[:], root.level
    begin_logs(form, level)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.handlers[:], (sys.excepthook, sys.unraisablehook) = handlers, hooks
        root.setLevel(root_level)
        structlog.reset_defaults()


def test_the_ledger_does_not_quote_what_it_could_not_write(tmp_path: Path):
    async def failed(*writing: Any) -> StatementError:
        engine = engine_of(with_driver(f"sqlite:///{tmp_path / 'ledger.db'}"))
        try:
            async with engine.begin() as connection:
                await connection.exec_driver_sql("create table if not exists t (name text unique)")
            async with engine.begin() as connection:
                for parameters in writing:
                    await connection.execute(text("insert into t values (:name)"), parameters)
        except StatementError as error:
            return error
        finally:
            await engine.dispose()
        raise AssertionError("it was written")

    for writing in ([{"other": bird("name")}], [{"name": bird("name")}] * 2):
        error = asyncio.run(failed(*writing))
        assert BIRD not in f"{error} {reason(error)}"
