"""Pages from elsewhere open no sockets: an `Origin` is the server's own host, on the list, or loopback in --dev."""

import pytest
from starlette.types import Receive, Scope, Send

from liveroom.gateway.origin import Cors, origin_allowed

SHOP = ("https://shop.example", "capacitor://localhost", "null")
HOST = "live.example"
HERE = "127.0.0.1:8000"

# origin, host, origins, let in, let in with --dev
TABLE: list[tuple[str | None, str, tuple[str, ...], bool, bool]] = [
    # no browser
    (None, HOST, (), True, True),
    (None, "", (), True, True),
    # the server's own host
    ("https://live.example", HOST, (), True, True),
    ("http://live.example", HOST, (), True, True),
    ("https://LIVE.example", "Live.Example", (), True, True),
    ("https://live.example:8443", "live.example:8443", (), True, True),
    ("http://[2001:db8::1]:8000", "[2001:db8::1]:8000", (), True, True),
    ("http://127.0.0.1:8000", HERE, (), True, True),
    ("http://localhost:8000", "localhost:8000", (), True, True),
    # another host, or another port
    ("https://evil.example", HOST, (), False, False),
    ("https://live.example:8443", HOST, (), False, False),
    ("https://live.example", "live.example:8443", (), False, False),
    ("https://live.example.evil.example", HOST, (), False, False),
    ("https://evil-live.example", HOST, (), False, False),
    ("https://sub.live.example", HOST, (), False, False),
    ("https://example", HOST, (), False, False),
    ("https://live.example@evil.example", HOST, (), False, False),
    ("https://evil.example/live.example", HOST, (), False, False),
    ("https://evil.example?live.example", HOST, (), False, False),
    ("https://evil.example#live.example", HOST, (), False, False),
    ("https://evil.example\\@live.example", HOST, (), False, False),
    # no origin of a web page
    ("", HOST, (), False, False),
    ("", "", (), False, False),
    ("null", HOST, (), False, False),
    ("file://", "", (), False, False),
    ("file://localhost", "localhost", (), False, False),
    ("http://", "", (), False, False),
    ("//live.example", HOST, (), False, False),
    ("live.example", HOST, (), False, False),
    ("ftp://live.example", HOST, (), False, False),
    ("chrome-extension://live.example", HOST, (), False, False),
    ("http://[::1", "[::1", (), False, False),
    # on the list, letter by letter
    ("https://shop.example", HOST, SHOP, True, True),
    ("capacitor://localhost", HOST, SHOP, True, True),
    ("null", HOST, SHOP, True, True),
    ("http://shop.example", HOST, SHOP, False, False),
    ("https://shop.example:443", HOST, SHOP, False, False),
    ("https://www.shop.example", HOST, SHOP, False, False),
    # loopback, from any port
    ("http://localhost:5173", HERE, (), False, True),
    ("https://LOCALHOST:3000", HERE, (), False, True),
    ("http://127.0.0.1", HERE, (), False, True),
    ("http://[::1]:3000", HERE, (), False, True),
    ("http://localhost.evil.example", HERE, (), False, False),
    ("http://127.0.0.1.evil.example", HERE, (), False, False),
    ("http://evil.example:8000", HERE, (), False, False),
    ("http://192.168.0.9:3000", HERE, (), False, False),
    ("ftp://localhost", HERE, (), False, False),
    ("http://localhost@evil.example", HERE, (), False, False),
    ("http://evil.example@localhost", HERE, (), False, False),
    ("http://evil.example\\@localhost:5173", HERE, (), False, False),
]


@pytest.mark.parametrize(("origin", "host", "origins", "let_in", "in_dev"), TABLE)
def test_who_is_let_in(origin: str | None, host: str, origins: tuple[str, ...], let_in: bool, in_dev: bool):
    assert origin_allowed(origin, host, origins, dev=False) == let_in
    assert origin_allowed(origin, host, origins, dev=True) == in_dev


async def nothing(_: Scope, __: Receive, ___: Send) -> None: ...


@pytest.mark.parametrize(("origin", "host", "origins", "let_in", "in_dev"), TABLE[2:])
def test_the_same_may_ask_over_http(origin: str, host: str, origins: tuple[str, ...], let_in: bool, in_dev: bool):
    if origin_allowed(origin, host, (), dev=False):
        return  # its own page
    assert Cors(nothing, dev=False, allow_origins=origins).is_allowed_origin(origin) == let_in
    assert Cors(nothing, dev=True, allow_origins=origins).is_allowed_origin(origin) == in_dev


def test_any_loopback_is_let_in_by_dev():
    assert origin_allowed("http://127.0.0.2:3000", HERE, (), dev=True)
