"""Every guest of every test compares what he hears with the contract: what differs from it is found."""

import pytest

from tests.contracts.wire import wrong

STOCK = {"t": "sale.stock", "id": "r_1", "left": 1, "held": 0, "sold": 0, "ver": 2}
ERROR = {"t": "error", "cid": 1, "code": "ROUND_STATE", "retryable": False, "params": {"state": "open"}, "message": ""}


def test_what_is_said_as_published_is_right():
    assert not wrong(STOCK)
    assert not wrong(ERROR)
    assert not wrong({"t": "ok", "cid": 1, "counted": 5}, "like.add")
    assert not wrong({"t": "ok", "cid": 1}, "presence.set")
    assert not wrong({"t": "time.pong", "cid": 1, "c0": 1, "s1": 2, "s2": 3}, "time.ping")


@pytest.mark.parametrize(
    ("message", "command"),
    [
        (STOCK | {"free": 1}, ""),
        ({name: value for name, value in STOCK.items() if name != "ver"}, ""),
        (STOCK | {"left": "1"}, ""),
        (STOCK | {"seq": 5, "ts": 5}, ""),  # it is not of the ledger
        ({"t": "sale.sold_out", "id": "r_1"}, ""),  # it is, and has no number
        ({"t": "sale.gone", "id": "r_1"}, ""),
        (ERROR | {"code": "NOT_A_CODE"}, ""),
        (ERROR | {"params": {"status": "open"}}, ""),
        (ERROR | {"code": "SALE_SOLD_OUT", "params": {}}, ""),
        ({"t": "ok", "cid": 1}, "like.add"),
        ({"t": "ok", "cid": 1, "counted": 5, "of": 6}, "like.add"),
        ({"t": "ok", "cid": 1, "seq": 5}, "presence.set"),
    ],
)
def test_what_is_said_otherwise_is_found(message: dict[str, object], command: str):
    assert wrong(message, command)
