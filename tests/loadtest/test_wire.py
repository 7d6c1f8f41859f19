"""The crowd's own WebSocket, on plain threads: gevent changes what waits, not what is said."""

import socket
import subprocess
import sys
import threading

import pytest

from loadtest.contestants import token
from loadtest.crowd.stage import unpacked
from loadtest.crowd.wire import CUT, Ended, Wire, address
from tests.house import SECRET, Node, make_room


@pytest.fixture
def room(node: Node) -> str:
    return make_room(node)


def hello(room: str, viewer: str = "ann") -> dict[str, str]:
    return {"t": "hello", "token": token(SECRET.encode(), viewer, "viewer", room=room)}


def hear(wire: Wire, kind: str) -> dict[str, object]:
    while True:
        for payload in wire.hear():
            if found := next((one.message for one in unpacked(payload) if one.message["t"] == kind), None):
                return found


def test_it_says_hello_and_is_answered(node: Node, room: str) -> None:
    wire = Wire(address(node.url, room))
    wire.tell(hello(room))
    assert hear(wire, "welcome")["seq"] == 0
    wire.tell({"t": "time.ping", "cid": 1, "c0": 7})
    assert hear(wire, "time.pong")["c0"] == 7
    wire.close()


def test_it_knows_with_which_code_it_was_closed(node: Node, room: str) -> None:
    wire = Wire(address(node.url, room))
    wire.tell({"t": "hello", "token": "no token"})
    with pytest.raises(Ended) as end:
        wire.hear()
    assert end.value.code == 4500


def test_who_hears_is_told_of_the_end(node: Node, room: str) -> None:
    wire = Wire(address(node.url, room))
    threading.Timer(0.1, wire.drop).start()
    with pytest.raises(Ended) as end:
        wire.hear()
    assert end.value.code == CUT
    with pytest.raises(Ended):
        wire.tell({"t": "hello"})


def test_a_refused_handshake_says_its_status(node: Node) -> None:
    with pytest.raises(Ended) as end:
        Wire(address(f"{node.url}/nowhere", "demo"))
    assert end.value.code == 404


def test_a_handshake_that_breaks_off_is_an_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.accept()[0].close()).start()
        with pytest.raises((Ended, OSError)):
            Wire(address(f"http://127.0.0.1:{server.getsockname()[1]}", "demo"))


def test_all_viewers_of_a_tick_share_one_decoded_frame() -> None:
    payload = b'[{"t":"quiz.voided","seq":3,"ts":1,"id":"r"},{"t":"beat","seq":3,"now":1}]'
    event, beat = unpacked(payload)
    assert unpacked(bytes(bytearray(payload)))[0] is event
    assert (bool(event.digest), beat.digest) == (True, "")


def test_only_the_users_themselves_need_gevent_to_patch_everything() -> None:
    """Else importing a part here would change sockets and threads under all other tests."""
    parts = ("notes", "verdict", "profile", "shop", "ledger", "wire", "stage", "__main__")
    code = "; ".join(f"import loadtest.crowd.{part}" for part in parts)
    patched = "import gevent.monkey; raise SystemExit(gevent.monkey.is_module_patched('socket'))"
    assert subprocess.run([sys.executable, "-c", f"{code}; {patched}"], check=False).returncode == 0
