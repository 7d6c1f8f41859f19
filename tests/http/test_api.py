"""Rooms over HTTP: each answer has the status of its code, and says the same as the socket would."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from tests.contracts.wire import wrong
from tests.gateway.test_handshake import Wire, say, seated, signed, silence
from tests.house import House, Node, make_room, numbers, token

SERVICE = token("*", "service")
STATUS = {
    "BAD_MESSAGE": 400,
    "UNKNOWN_COMMAND": 400,
    "BAD_TOKEN": 401,
    "NOT_ALLOWED": 403,
    "NO_SUCH_ROOM": 404,
    "ROOM_EXISTS": 409,
    "ROOM_CLOSED": 409,
    "IDEMPOTENCY_MISMATCH": 409,
    "TEXT_EMPTY": 422,
    "TEXT_TOO_LONG": 422,
    "DUPLICATE": 422,
    "RATE_LIMITED": 429,
}


@pytest.fixture(autouse=True)
def quiet(node: Node) -> Iterator[None]:
    with silence(node):
        yield


class Answer(NamedTuple):
    status: int
    headers: Any
    body: Any


def ask(node: Node, method: str, path: str, body: Any = None, token: str = "", **headers: str) -> Answer:
    """As `Node.http`, with the headers of the answer."""
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(node.url + path, data, method=method, headers=names)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        answer = urllib.request.urlopen(request, timeout=10)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        said = answer.read()
        assert "traceback" not in said.decode().lower()
        kind = answer.headers.get("Content-Type", "")
        return Answer(answer.status, answer.headers, json.loads(said) if kind == "application/json" else said.decode())


def refused(answer: Answer, code: str) -> Any:
    """Its parameters."""
    assert answer.status == STATUS[code], answer
    assert answer.body["t"] == "error"
    assert answer.body["code"] == code
    assert answer.body["retryable"] is (code == "RATE_LIMITED")
    assert not wrong(answer.body)
    return answer.body["params"]


def fresh() -> str:
    return f"http-{next(numbers)}"


def command(node: Node, room: str, role: str = "host", sub: str = "h1", /, idem: str = "", **said: Any) -> Answer:
    headers = {"Idempotency_Key": idem} if idem else {}
    return ask(node, "POST", f"/v1/rooms/{room}/commands", said, token(room, role, sub), **headers)


# --- create ---


def test_a_room_is_made_once(node: Node):
    room = fresh()
    made = ask(node, "POST", "/v1/rooms", {"id": room, "title": "Tea 茶", "currency": "CNY"}, SERVICE)
    assert made.status == 201
    assert made.body == {
        "id": room,
        "title": "Tea 茶",
        "state": "open",
        "viewers": 0,
        "likes": 0,
        "created": made.body["created"],
    }
    assert abs(made.body["created"] - time.time() * 1000) < 5000
    again = ask(node, "POST", "/v1/rooms", {"id": room, "title": "Tea 茶"}, SERVICE)
    assert (again.status, again.body) == (200, made.body)
    refused(ask(node, "POST", "/v1/rooms", {"id": room, "title": "Coffee"}, SERVICE), "ROOM_EXISTS")
    refused(ask(node, "POST", "/v1/rooms", {"id": room, "title": "Tea 茶", "currency": "EUR"}, SERVICE), "ROOM_EXISTS")


def test_a_room_is_made_once_whoever_asks_at_the_same_time(node: Node):
    room = fresh()
    with ThreadPoolExecutor(8) as pool:
        asked = pool.map(lambda _: ask(node, "POST", "/v1/rooms", {"id": room, "title": "T"}, SERVICE).status, range(8))
        assert sorted(asked) == [200] * 7 + [201]


def test_a_host_makes_his_own_room_only(node: Node):
    room = fresh()
    new = {"id": room, "title": "T"}
    refused(ask(node, "POST", "/v1/rooms", new), "BAD_TOKEN")
    refused(ask(node, "POST", "/v1/rooms", new, token("other", "host")), "NOT_ALLOWED")
    refused(ask(node, "POST", "/v1/rooms", new, token(room, "viewer")), "NOT_ALLOWED")
    refused(ask(node, "POST", "/v1/rooms", new, token(room, "moderator")), "NOT_ALLOWED")
    assert ask(node, "POST", "/v1/rooms", new, token(room, "host")).status == 201
    assert ask(node, "POST", "/v1/rooms", {"id": fresh(), "title": "T"}, token("*", "host")).status == 201


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"id": "a"},
        {"title": "T"},
        {"id": "", "title": "T"},
        {"id": "a" * 65, "title": "T"},
        {"id": "../etc", "title": "T"},
        {"id": "a/b", "title": "T"},
        {"id": "a b", "title": "T"},
        {"id": "a\n", "title": "T"},
        {"id": "a\u0000", "title": "T"},
        {"id": "{00}:x", "title": "T"},
        {"id": "*", "title": "T"},
        {"id": "茶", "title": "T"},
        {"id": 5, "title": "T"},
        {"id": ["a"], "title": "T"},
        {"id": None, "title": "T"},
        {"id": "a", "title": ""},
        {"id": "a", "title": "x" * 81},
        {"id": "a", "title": 5},
        {"id": "a", "title": "T", "currency": "yen"},
        {"id": "a", "title": "T", "currency": "YEN\n"},
        {"id": "a", "title": "T", "state": "closed"},
        [],
        [{"id": "a", "title": "T"}],
        None,
        "a",
        5,
    ],
)
def test_a_bad_room_is_bad_message(node: Node, body: Any):
    refused(ask(node, "POST", "/v1/rooms", json.dumps(body).encode(), SERVICE), "BAD_MESSAGE")


@pytest.mark.parametrize(
    ("path", "body", "field", "why"),
    [
        ("/v1/rooms", {"id": "a/b", "title": "T"}, "id", "Expected `str` matching regex"),
        ("/v1/rooms", {"id": "a"}, "title", "Object missing required field `title`"),
        ("/v1/rooms", {"id": "a", "title": "T", "more": 1}, "more", "Object contains unknown field `more`"),
        ("/v1/rooms", {"id": "a", "title": " "}, "title", "the title is empty"),
        ("/v1/rooms", [], None, "Expected `object`, got `array`"),
        ("/v1/rooms", b"{", None, "the body is not JSON"),
        ("/v1/rooms", b'{"id":"\xff"}', None, "the body is not JSON"),
        ("/v1/rooms", b" " * 20_000, None, "the body is over 16384 bytes"),
        ("/v1/rooms/demo/commands", b"{", None, "the body is not JSON"),
        ("/v1/rooms/demo/commands", b"[]", None, "the body is one command object"),
        ("/v1/rooms/demo/holds/h_1/confirm", {"payment_id": ""}, "payment_id", "Expected `str` of length >= 1"),
        ("/v1/rooms/demo/holds/h_1/confirm", {}, "payment_id", "Object missing required field `payment_id`"),
        ("/v1/rooms/demo/holds/h_1/cancel", {"reason": 1}, "reason", "Expected `str`, got `int`"),
    ],
)
def test_what_is_wrong_with_a_body_is_said_by_field(node: Node, path: str, body: Any, field: str | None, why: str):
    params = refused(ask(node, "POST", path, body, SERVICE), "BAD_MESSAGE")
    assert params.get("field") == field
    assert params["why"].startswith(why)
    assert " - at " not in params["why"]


def test_what_is_wrong_beside_a_body_is_said_by_field(node: Node):
    long = command(node, "demo", idem="x" * 65, t="room.notice", text="once")
    assert refused(long, "BAD_MESSAGE") == {"field": "Idempotency-Key", "why": "at most 64 characters"}
    strange = ask(node, "GET", "/v1/rooms/demo/retention?stream=first", token=SERVICE)
    assert refused(strange, "BAD_MESSAGE") == {"field": "stream", "why": "stream is 'last', or left out"}
    for query, field in (("role=king", "role"), ("room=a/b", "room"), (f"sub={'x' * 65}", "sub")):
        assert refused(ask(node, "GET", f"/dev/token?{query}"), "BAD_MESSAGE")["field"] == field


NOT_JSON = [
    b"",
    b"{",
    b"title=T&id=a",
    b"\xff\xfe",
    b'{"id":"\xff","title":"T"}',
    b'{"id":"a","title":"\\ud83d"}',
    b"[" * 10_000,
    b'{"a":' * 2000,
    b'{"id":' + b"9" * 6000 + b"}",
    b'{"id":NaN}',
    b"<xml/>",
    b"\x00" * 100,
]


@pytest.mark.parametrize("body", NOT_JSON)
@pytest.mark.parametrize("path", ["/v1/rooms", "/v1/rooms/demo/commands"])
def test_what_is_not_json_is_bad_message(node: Node, path: str, body: bytes):
    refused(ask(node, "POST", path, body, SERVICE), "BAD_MESSAGE")


@pytest.mark.parametrize("path", ["/v1/rooms", "/v1/rooms/demo/commands"])
def test_a_body_of_16_kib_is_read_and_more_is_not(node: Node, path: str):
    good = json.dumps({"id": "demo", "title": "Demo"} if path == "/v1/rooms" else {"t": "time.ping", "c0": 1})
    assert ask(node, "POST", path, good.ljust(16 * 1024).encode(), SERVICE).status == 200
    refused(ask(node, "POST", path, good.ljust(16 * 1024 + 1).encode(), SERVICE), "BAD_MESSAGE")
    chunks = b"".join(b"1000\r\n" + b" " * 4096 + b"\r\n" for _ in range(5))
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SERVICE}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Wire(node, head.encode(), chunks) as wire:
        assert wire.head()[0] == 400


def test_who_hangs_up_in_the_middle_of_a_body_is_no_error_of_the_server(node: Node):
    before = len(node.said)
    for path in ("/v1/rooms", "/v1/rooms/demo/commands"):
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SERVICE}\r\nContent-Length: 99\r\n\r\n"
        with Wire(node, head.encode(), b'{"id"'):
            time.sleep(0.1)
    time.sleep(0.2)
    assert "Traceback" not in node.said[before:]


# --- read and list ---


def test_any_token_of_a_room_reads_it(node: Node):
    room = make_room(node, "Tea")
    for role in ("viewer", "moderator", "host", "service"):
        answer = ask(node, "GET", f"/v1/rooms/{room}", token=token(room, role))
        assert answer.status == 200
        assert answer.body | {"created": 0} == {
            "id": room,
            "title": "Tea",
            "state": "open",
            "viewers": 0,
            "likes": 0,
            "created": 0,
            "rounds": [],
        }
    refused(ask(node, "GET", f"/v1/rooms/{room}", token=token("other", "service")), "NOT_ALLOWED")
    refused(ask(node, "GET", f"/v1/rooms/{room}"), "BAD_TOKEN")
    refused(ask(node, "GET", "/v1/rooms/nowhere", token=SERVICE), "NO_SUCH_ROOM")


def test_a_room_knows_its_viewers_without_staff_and_its_likes(node: Node):
    room = make_room(node)
    with seated(node, room, sub="ann") as ann, seated(node, room, sub="ann"), seated(node, room, "host"):
        ann.send(say({"t": "like.add", "n": 3, "cid": 1}))
        ann.reply(1)
        deadline = time.monotonic() + 3
        while True:
            seen = ask(node, "GET", f"/v1/rooms/{room}", token=SERVICE).body
            if (seen["viewers"], seen["likes"]) == (1, 3):
                break
            assert time.monotonic() < deadline, seen
            time.sleep(0.05)


def test_only_the_service_lists_all_rooms(node: Node):
    room = make_room(node, "Listed")
    rooms = ask(node, "GET", "/v1/rooms", token=SERVICE)
    assert rooms.status == 200
    assert [one["title"] for one in rooms.body["rooms"] if one["id"] == room] == ["Listed"]
    for claims in (("*", "host"), ("*", "viewer"), (room, "service")):
        refused(ask(node, "GET", "/v1/rooms", token=token(*claims)), "NOT_ALLOWED")
    refused(ask(node, "GET", "/v1/rooms"), "BAD_TOKEN")


@pytest.mark.parametrize("room", ["%2e%2e", "..%2f..%2fetc%2fpasswd", "a%00b", "a%0d%0aX-Bad:%201", "%ff", "a" * 5000])
def test_a_strange_room_id_in_a_path_is_no_room(node: Node, room: str):
    for method, more in (("GET", ""), ("POST", "/close"), ("POST", "/commands")):
        answer = ask(node, method, f"/v1/rooms/{room}{more}", {"t": "time.ping", "c0": 1}, SERVICE)
        assert answer.status in (400, 404)
        assert "X-Bad" not in answer.headers


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer  ",
        "Basic dTpw",
        "bearer nonsense",
        "Bearer a b",
        "Bearer \u00e9",
        "Bearer ....",
    ],
)
def test_without_a_good_token_there_is_nothing(node: Node, header: str):
    answer = ask(node, "GET", "/v1/rooms/demo", Authorization=header)
    refused(answer, "BAD_TOKEN")


def test_a_token_is_read_from_the_header_only(node: Node):
    for path in (f"/v1/rooms?token={SERVICE}", f"/v1/rooms?access_token={SERVICE}"):
        refused(ask(node, "GET", path, Cookie=f"token={SERVICE}"), "BAD_TOKEN")


# --- close ---


def test_a_host_closes_his_room_for_good(node: Node):
    room = make_room(node)
    for claims in ((room, "viewer"), (room, "moderator"), ("other", "host")):
        refused(ask(node, "POST", f"/v1/rooms/{room}/close", token=token(*claims)), "NOT_ALLOWED")
    refused(ask(node, "POST", f"/v1/rooms/{room}/close"), "BAD_TOKEN")
    with seated(node, room) as wire:
        for _ in range(2):
            assert ask(node, "POST", f"/v1/rooms/{room}/close", token=token(room, "host")).status == 200
        wire.hear("room.closed")
        assert wire.ends() == 4504
        assert sum(one["t"] == "room.closed" for one in wire.heard) == 1
    refused(command(node, room, t="chat.say", text="x"), "ROOM_CLOSED")
    refused(ask(node, "POST", "/v1/rooms", {"id": room, "title": "Test"}, SERVICE), "ROOM_CLOSED")
    assert ask(node, "GET", f"/v1/rooms/{room}", token=SERVICE).body["state"] == "closed"


def test_a_room_that_is_not_there_cannot_be_closed(node: Node):
    refused(ask(node, "POST", "/v1/rooms/nowhere/close", token=SERVICE), "NO_SUCH_ROOM")
    refused(command(node, "nowhere", t="chat.say", text="x"), "NO_SUCH_ROOM")


# --- commands ---


def test_a_command_is_answered_by_its_reply(node: Node):
    room = make_room(node)
    with seated(node, room) as wire:
        told = command(node, room, t="room.notice", text="at eight", cid=7)
        assert told.status == 200
        assert (told.body["t"], told.body["cid"]) == ("ok", 7)
        assert wire.hear("room.notice")["text"] == "at eight"
        for role in ("moderator", "host", "service"):
            said = command(node, room, role, t="chat.say", text=f"from {role}")
            assert (said.status, said.body["t"]) == (200, "ok")
            shown = wire.hear("chat.message")
            assert (shown["id"], shown["role"]) == (said.body["id"], role)
        pong = command(node, room, t="time.ping", c0=1.5)
        assert (pong.status, pong.body["t"], pong.body["c0"]) == (200, "time.pong", 1.5)
        assert command(node, room, t="like.add", n=5).body["counted"] == 5
        assert len(command(node, room, t="history.get").body["comments"]) == 3


@pytest.mark.parametrize(
    ("said", "code", "field"),
    [
        ({"t": "nope"}, "UNKNOWN_COMMAND", None),
        ({"t": "hello", "token": "x"}, "BAD_MESSAGE", None),
        ({}, "BAD_MESSAGE", "t"),
        ({"t": 5}, "BAD_MESSAGE", "t"),
        ({"t": "chat.say"}, "BAD_MESSAGE", "text"),
        ({"t": "chat.say", "text": 5}, "BAD_MESSAGE", "text"),
        ({"t": "chat.say", "text": "x", "more": 1}, "BAD_MESSAGE", "more"),
        ({"t": "like.add", "n": 51}, "BAD_MESSAGE", "n"),
        ({"t": "chat.say", "text": "  "}, "TEXT_EMPTY", None),
        ({"t": "room.notice", "text": "\u202e"}, "TEXT_EMPTY", None),
        ({"t": "room.notice", "text": "x" * 401}, "TEXT_TOO_LONG", None),
        ([], "BAD_MESSAGE", None),
        ([{"t": "time.ping", "c0": 1}], "BAD_MESSAGE", None),
        ([{"t": "time.ping", "c0": 1}] * 2, "BAD_MESSAGE", None),
        (None, "BAD_MESSAGE", None),
        ("chat.say", "BAD_MESSAGE", None),
    ],
)
def test_a_bad_command_has_the_status_of_its_code(node: Node, said: Any, code: str, field: str | None):
    cid = {"cid": 3} if isinstance(said, dict) else {}
    body = said | cid if isinstance(said, dict) else said
    data = json.dumps(body).encode()
    answer = ask(node, "POST", "/v1/rooms/demo/commands", data, token("demo", "host"))
    params = refused(answer, code)
    if field:
        assert params["field"] == field
    if code != "BAD_MESSAGE" or field:
        assert answer.body["cid"] == 3


def test_viewers_give_no_commands_over_http(node: Node):
    refused(command(node, "demo", "viewer", t="chat.say", text="x"), "NOT_ALLOWED")
    assert refused(command(node, "demo", "moderator", t="room.notice", text="x"), "NOT_ALLOWED") == {"needs": "host"}
    refused(ask(node, "POST", "/v1/rooms/demo/commands", {"t": "room.notice", "text": "x"}), "BAD_TOKEN")


def test_the_header_is_the_intention(node: Node):
    room = make_room(node)
    first = command(node, room, idem="order 5", t="room.notice", text="once")
    assert command(node, room, idem="order 5", t="room.notice", text="once").body == first.body
    assert command(node, room, t="room.notice", text="once", idem="").body["seq"] == first.body["seq"] + 1
    refused(command(node, room, idem="order 5", t="room.notice", text="twice"), "IDEMPOTENCY_MISMATCH")
    in_body = {"t": "room.notice", "text": "once", "idem": "order 5"}
    answer = ask(node, "POST", f"/v1/rooms/{room}/commands", in_body, token(room, "host", "h1"))
    assert answer.body["seq"] == first.body["seq"]
    refused(command(node, room, idem="x" * 65, t="room.notice", text="once"), "BAD_MESSAGE")


def test_too_fast_says_when_to_come_back(node: Node):
    room = make_room(node)
    secret = token(room, "moderator", "m1")
    with ThreadPoolExecutor(16) as pool:
        path = f"/v1/rooms/{room}/commands"
        said = [{"t": "time.ping", "c0": n} for n in range(140)]
        answers = list(pool.map(lambda one: ask(node, "POST", path, one, secret), said))
    late = [answer for answer in answers if answer.status == 429]
    assert late
    for answer in late:
        refused(answer, "RATE_LIMITED")
        assert answer.headers["Retry-After"] == "1"
        assert 0 < answer.body["retry_after_ms"] <= 1000


def test_half_an_emoji_in_a_name_is_no_error_of_the_server(node: Node):
    secret = signed({"role": "host", "name": "Ann \ud83d"})
    answer = ask(node, "POST", "/v1/rooms/demo/commands", {"t": "chat.say", "text": "x"}, secret)
    assert answer.status in (200, 401)


# --- the rest of the house ---


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/rooms/demo/close", 405),
        ("PUT", "/v1/rooms", 405),
        ("DELETE", "/v1/rooms/demo", 405),
        ("POST", "/livez", 405),
        ("GET", "/v1/rooms/demo/ws", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/%2e%2e/page.js", 404),
        ("GET", "/page/index.html", 404),
        ("TRACE", "/", 405),
    ],
)
def test_what_is_not_there_is_404_and_what_cannot_be_done_405(node: Node, method: str, path: str, status: int):
    answer = ask(node, method, path, token=SERVICE)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/json"
    error = answer.body
    assert (error["t"], error["code"], error["retryable"]) == ("error", "UNKNOWN_COMMAND", False)
    assert error["message"]
    assert not wrong(error)


def test_what_may_be_done_instead_is_told(node: Node):
    for method, path, methods in (
        ("PUT", "/v1/rooms", "GET, HEAD, POST"),
        ("GET", "/v1/rooms/demo/commands", "POST"),
        ("DELETE", "/metrics", "GET, HEAD"),
    ):
        answer = ask(node, method, path)
        assert (answer.status, answer.headers["Allow"]) == (405, methods)
        assert methods in answer.body["message"]
    assert "Allow" not in ask(node, "GET", "/nowhere").headers


def test_head_of_what_is_not_there_has_no_body(node: Node):
    with Wire(node, b"HEAD /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") as wire:
        status, head = wire.head()
        assert (status, wire.rest()) == (404, b"")
        assert "content-type: application/json" in head


def test_the_node_says_that_it_lives_and_is_ready(node: Node):
    assert node.http("GET", "/livez")[0] == 200
    assert node.http("GET", "/readyz") == (200, {"ready": True})


def test_a_node_that_is_leaving_is_not_ready(house: House):
    node = house.node(drain_seconds=1)
    with seated(node, "demo") as wire:
        node.process.terminate()
        bye = wire.hear("bye")
        assert 0 <= bye["retry_after_ms"] <= 1000
        status, body = node.http("GET", "/readyz")
        assert (status, body["ready"]) == (503, False)
        assert body["reason"]
        assert node.http("GET", "/livez")[0] == 200
        assert wire.ends() == 4000
    assert node.process.wait(15) == 0
    assert "Traceback" not in node.said


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node whose pages come from elsewhere."""
    house = House(tmp_path_factory.mktemp("shop") / "data")
    try:
        yield house.node(origins="https://shop.example,https://other.example")
    finally:
        house.stop()


def test_pages_of_the_shop_may_ask_and_others_may_not(shop: Node):
    for origin, allowed in (
        ("https://shop.example", True),
        ("https://other.example", True),
        ("https://evil.example", False),
        ("https://shop.example.evil.example", False),
        ("http://shop.example", False),
        ("null", False),
    ):
        for path in ("/v1/rooms/demo", "/v1/rooms/nowhere", "/readyz"):
            answer = ask(shop, "GET", path, token=SERVICE, Origin=origin)
            assert answer.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
            assert "Access-Control-Allow-Credentials" not in answer.headers
            assert "Origin" in answer.headers.get("Vary", "")


def test_a_browser_asks_first(shop: Node):
    asks = {
        "Access_Control_Request_Method": "POST",
        "Access_Control_Request_Headers": "authorization,content-type,idempotency-key",
    }
    good = ask(shop, "OPTIONS", "/v1/rooms/demo/commands", Origin="https://shop.example", **asks)
    assert good.status == 200
    assert good.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert "POST" in good.headers["Access-Control-Allow-Methods"]
    for name in ("authorization", "content-type", "idempotency-key"):
        assert name in good.headers["Access-Control-Allow-Headers"].lower()
    bad = ask(shop, "OPTIONS", "/v1/rooms/demo/commands", Origin="https://evil.example", **asks)
    assert bad.status == 400
    assert "Access-Control-Allow-Origin" not in bad.headers


def test_a_page_of_the_shop_may_read_when_to_come_back(shop: Node):
    answer = ask(shop, "GET", "/v1/rooms/demo", token=SERVICE, Origin="https://shop.example")
    assert "retry-after" in answer.headers.get("Access-Control-Expose-Headers", "").lower()


def test_without_origins_no_page_from_elsewhere_may_ask(node: Node):
    answer = ask(node, "GET", "/v1/rooms/demo", token=SERVICE, Origin="https://shop.example")
    assert answer.status == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("origin", "may"),
    [
        ("http://localhost:5173", True),
        ("http://127.0.0.1:3000", True),
        ("http://[::1]:8080", True),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://localhost@evil.example", False),
    ],
)
def test_in_dev_pages_of_this_machine_may_ask(node: Node, origin: str, may: bool):
    asks = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization,content-type"}
    for answer in (
        ask(node, "OPTIONS", "/v1/rooms/demo/commands", Origin=origin, **asks),
        ask(node, "GET", "/v1/rooms/demo", token=SERVICE, Origin=origin),
        ask(node, "GET", "/nowhere", Origin=origin),
    ):
        assert answer.headers.get("Access-Control-Allow-Origin") == (origin if may else None)


def test_answers_do_not_say_what_the_server_is_made_of(node: Node):
    for path in ("/livez", "/v1/rooms/demo", "/nowhere"):
        assert "Server" not in ask(node, "GET", path).headers
