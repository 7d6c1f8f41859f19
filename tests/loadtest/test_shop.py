"""The demo shop pays once, however often it has to ask."""

from typing import Any

from loadtest.crowd.shop import TRIES, Answer, Shop

PAID = Answer(200, {"hold": "h_1", "state": "sold", "order": "o_1", "rank": 1})
AWAY, BUSY, LATE = Answer(0, {}), Answer(503, {"code": "TRY_LATER"}), Answer(409, {"code": "HOLD_EXPIRED"})


class Till:
    """What a shop sends, and the answers it gets, one after the other; the last one again and again."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, dict[str, Any], str]] = []
        self.pauses: list[float] = []
        self.shop = Shop("http://room/", "a room", "token", self.post, self.pauses.append)

    def post(self, url: str, body: dict[str, Any], token: str) -> Answer:
        self.sent.append((url, body, token))
        return self.answers[min(len(self.sent), len(self.answers)) - 1]


def test_a_payment_is_confirmed_with_its_id() -> None:
    till = Till(PAID)
    assert till.shop.confirm("h_1", "pay-1", 12).body["order"] == "o_1"
    body = {"payment_id": "pay-1", "paid_at": 12}
    assert till.sent == [("http://room/v1/rooms/a%20room/holds/h_1/confirm", body, "token")]


def test_the_same_payment_is_sent_until_it_is_answered() -> None:
    till = Till(AWAY, BUSY, PAID)
    assert till.shop.confirm("h_1", "pay-1", 12) == PAID
    assert [body["payment_id"] for _, body, _ in till.sent] == ["pay-1"] * 3
    assert till.pauses == [0.2, 0.4]


def test_a_refusal_is_an_answer() -> None:
    till = Till(LATE)
    assert till.shop.confirm("h_1", "pay-1", 12).code == "HOLD_EXPIRED"
    assert len(till.sent) == 1


def test_nobody_asks_for_ever() -> None:
    till = Till(BUSY)
    assert till.shop.cancel("h_1", "declined").code == "TRY_LATER"
    assert len(till.sent) == TRIES
