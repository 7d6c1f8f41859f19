"""What --dev serves to whoever asks, and only --dev."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from liveroom.settings import Settings
from liveroom.tokens import Claims, Tokens
from tests.gateway.test_handshake import hello, knocked, silence
from tests.house import SECRET, Node, guests, join, make_room, token
from tests.http.test_api import ask, refused

TOKENS = Tokens(Settings(secret=SECRET))


@pytest.fixture(autouse=True)
def quiet(node: Node) -> Iterator[None]:
    with silence(node):
        yield


def given(node: Node, query: str) -> Claims:
    answer = ask(node, "GET", f"/dev/token{query}")
    assert answer.status == 200
    assert list(answer.body) == ["token"]
    return TOKENS.read(answer.body["token"], time.time())


def test_dev_gives_a_token_for_whatever_is_asked(node: Node):
    claims = given(node, f"?room=tea&role=host&name={quote('Ann 茶')}")
    assert (claims.room, claims.role, claims.name) == ("tea", "host", "Ann 茶")
    assert given(node, "").room == "demo"
    assert given(node, "").role == "viewer"
    assert given(node, "").sub != given(node, "").sub


def test_a_token_of_dev_opens_the_demo_room(node: Node):
    with knocked(node, "demo", hello(ask(node, "GET", "/dev/token?room=demo&name=Ann").body["token"])) as wire:
        welcome = wire.hear("welcome")
        assert (welcome["room"]["title"], welcome["viewer"]["name"]) == ("Demo", "Ann")


@pytest.mark.parametrize(
    "query",
    [
        "?role=king",
        "?role=",
        "?room=",
        "?room=a/b",
        "?room=*",
        f"?room={'a' * 65}",
        "?room=demo%0a",
        "?room=%ff",
        f"?sub={'x' * 65}",
        "?sub=a%0ab",
        f"?sub={quote('密' * 22)}",
    ],
)
def test_what_cannot_be_a_token_is_bad_message(node: Node, query: str):
    refused(ask(node, "GET", f"/dev/token{query}"), "BAD_MESSAGE")


@pytest.mark.parametrize("name", ["x" * 500, "a\nb", "<script>", "\u202e", "😀" * 60])
def test_any_name_makes_a_token_that_works(node: Node, name: str):
    with knocked(node, "demo", hello(ask(node, "GET", f"/dev/token?name={quote(name)}").body["token"])) as wire:
        assert len(wire.hear("welcome")["viewer"]["name"]) <= 40


async def holding(node: Node) -> tuple[str, str]:
    """A room, and a hold in it."""
    room = make_room(node)
    sale = {"t": "sale.open", "item": "cup", "price": 1, "stock": 2}
    opened = ask(node, "POST", f"/v1/rooms/{room}/commands", sale, token(room, "host")).body["id"]
    async with guests(join(node, room)) as (ann,):
        return room, (await ann.ask("sale.claim", id=opened))["hold"]


def test_the_shop_of_dev_sells_what_is_held_once_however_often_it_is_paid(node: Node):
    room, hold = asyncio.run(holding(node))
    first, again = (ask(node, "POST", "/dev/pay", {"room": room, "hold": hold}) for _ in range(2))
    assert (first.status, first.body["state"], first.body["rank"]) == (200, "sold", 1)
    assert again.body == first.body


def test_a_payment_that_fails_lets_go(node: Node):
    room, hold = asyncio.run(holding(node))
    failed = ask(node, "POST", "/dev/pay", {"room": room, "hold": hold, "fail": True})
    assert (failed.status, failed.body["state"]) == (200, "cancelled")
    late = ask(node, "POST", "/dev/pay", {"room": room, "hold": hold})
    assert (late.status, late.body["code"], late.body["params"]["refund_required"]) == (409, "HOLD_EXPIRED", True)


def test_the_shop_of_dev_sells_nothing_that_is_not_held(node: Node):
    unknown = ask(node, "POST", "/dev/pay", {"room": "demo", "hold": "h_1_2"})
    assert (unknown.status, unknown.body["code"]) == (404, "NO_SUCH_HOLD")
    for said in (b"", b"[", {"room": "demo"}, {"room": "a/b", "hold": "h_1_2"}, {"room": "demo", "hold": "1"}):
        refused(ask(node, "POST", "/dev/pay", said), "BAD_MESSAGE")


MODULES = ("/rounds.js", "/sale.js", "/audience.js", "/questions.js", "/staff.js", "/card.js", "/verify.js")


def test_the_page_runs_no_script_but_its_own(node: Node):
    kinds = {"/": "text/html", "/page.js": "text/javascript", "/page.css": "text/css"}
    kinds |= dict.fromkeys(MODULES, "text/javascript")
    for path, kind in kinds.items():
        answer = ask(node, "GET", path)
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith(kind)
        policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    page = ask(node, "GET", "/?room=%3Cscript%3Ealert(1)%3C/script%3E").body
    assert "alert(1)" not in page
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"\son\w+=|\sstyle=|javascript:", page)


def test_without_dev_there_is_no_page_and_no_token(tmp_path: Path):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LIVEROOM_")}
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "liveroom", "run", "--port", "0", "--data", str(tmp_path / "data")],
            env=environ | {"LIVEROOM_SECRET": SECRET},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    node = Node.__new__(Node)  # a node that was started in another way
    node.process, node.log = process, log
    try:
        node.url = node.wait_for_url()
        for path in ("/", "/page.js", *MODULES, "/page.css", "/dev/token", "/dev/token?room=demo&role=host"):
            assert ask(node, "GET", path).status == 404
        assert ask(node, "POST", "/dev/pay", {"room": "demo", "hold": "h_1_2"}).status == 404
        assert ask(node, "GET", "/livez").status == 200
        assert SECRET not in node.said
    finally:
        assert node.stop() == 0
