"""A demo shop: given a hold it takes the payment, or fails to, and tells the room over HTTP.

This is all that a shop's back end has to do: one `payment_id` for each payment, sent again until there is an answer.
"""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

TRIES = 6
FIRST_PAUSE_SECONDS = 0.2  # doubled with each try
PATIENCE_SECONDS = 5.0


class Answer(NamedTuple):
    """What the room said; status 0: it did not answer."""

    status: int
    body: dict[str, Any]

    @property
    def again(self) -> bool:
        """Whether the payment took effect is not known, or it was not looked at: the same one is sent again."""
        return self.status in (0, 429) or self.status >= 500

    @property
    def code(self) -> str:
        return str(self.body.get("code", "" if self.status == 200 else self.status))


Post = Callable[[str, dict[str, Any], str], Answer]


def post(url: str, body: dict[str, Any], token: str) -> Answer:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return answered(urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST"))


def get(url: str, token: str) -> Answer:
    return answered(urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"}))


def answered(request: urllib.request.Request) -> Answer:
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return Answer(answer.status, read(answer.read()))
    except urllib.error.HTTPError as refusal:
        with refusal:
            return Answer(refusal.code, read(refusal.read()))
    except (OSError, http.client.HTTPException):
        return Answer(0, {})


def read(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


class Shop:
    """Takes payments for the holds of one room; `token` is of role service."""

    def __init__(
        self, url: str, room: str, token: str, post: Post = post, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self.holds = f"{url.rstrip('/')}/v1/rooms/{quote(room, safe='')}/holds"
        self.token = token
        self.post = post
        self.sleep = sleep

    def confirm(self, hold: str, payment_id: str, paid_at: int) -> Answer:
        """The payment was taken, at this time (epoch ms)."""
        return self.insist(hold, "confirm", {"payment_id": payment_id, "paid_at": paid_at})

    def cancel(self, hold: str, reason: str) -> Answer:
        """The payment failed, or the buyer changed his mind: the units are free again."""
        return self.insist(hold, "cancel", {"reason": reason})

    def insist(self, hold: str, verb: str, body: dict[str, Any]) -> Answer:
        """The same request until it is answered; the last answer if that takes too long."""
        answer = self.post(f"{self.holds}/{hold}/{verb}", body, self.token)
        for attempt in range(TRIES - 1):
            if not answer.again:
                break
            self.sleep(FIRST_PAUSE_SECONDS * 2**attempt)
            answer = self.post(f"{self.holds}/{hold}/{verb}", body, self.token)
        return answer
