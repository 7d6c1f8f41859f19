"""The shop asks about a room that there is not: that is final, not something to try again."""

from tests.house import Node, token


def test_a_hold_in_a_room_that_there_is_not(node: Node):
    hold = "h_0mwqnowhere_1"
    for verb, body in (("confirm", {"payment_id": "p", "paid_at": 1}), ("cancel", {"reason": "no"})):
        path = f"/v1/rooms/nowhere/holds/{hold}/{verb}"
        status, said = node.http("POST", path, body, token("*", "service"))
        assert (status, said["code"], said["retryable"]) == (404, "NO_SUCH_ROOM", False)
