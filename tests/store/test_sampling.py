"""The crowd's budget: how many comments a node shows, what it publishes, and what each author is told."""

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gameplay.play import Refusal
from liveroom.comments import Erased
from liveroom.store.clock import Clock
from liveroom.store.crowd import Blob, Comment, Crowd, Outgoing, Said, settle
from liveroom.store.rooms import MISMATCH, TRY_LATER

NOW = 1_763_640_000.0  # room time in seconds


def crowd_of(budget: int = 30, deaf: bool = False) -> Crowd:
    """A crowd that is never connected to anything."""
    asks: Any = {"deaf": lambda: deaf, "erased": lambda _: Erased()}
    return Crowd(Redis(), Clock(), Clock(), 16, "n1", **asks, budget=budget, seconds=1, history=500)


class Told:
    """Comments and what their authors were answered."""

    def __init__(self) -> None:
        self.answers: dict[str, str | Refusal] = {}

    def comment(self, id_: str, *, staff: bool = False, once: str = "") -> Comment:
        def answer(said: Said | Refusal) -> None:
            assert id_ not in self.answers, "answered twice"
            self.answers[id_] = said.id if isinstance(said, Said) else said

        body = b'{"id":"%b"}' % id_.encode()
        return Comment(id_, f"viewer of {id_}", body, staff, answer, once, "digest" if once else "")

    def comments(self, count: int, *, staff: bool = False) -> list[Comment]:
        return [self.comment(f"{'s' if staff else 'c'}{n}", staff=staff) for n in range(count)]


def shown_of(crowd: Crowd, out: Outgoing, count: int, now: float) -> int:
    return crowd.free_places(out, Told().comments(count), now)


# how many


def test_a_quiet_room_shows_everything():
    crowd, out = crowd_of(budget=30), Outgoing("demo")
    assert [shown_of(crowd, out, 3, NOW + n / 10) for n in range(50)] == [3] * 50


def test_a_loud_room_shows_its_budget_a_second():
    crowd, out = crowd_of(budget=30), Outgoing("demo")
    assert shown_of(crowd, out, 1000, NOW) == 30
    assert sum(shown_of(crowd, out, 1000, NOW + n / 16) for n in range(1, 161)) == 300


def test_a_node_shows_its_share_and_at_least_one():
    crowd, out = crowd_of(budget=30), Outgoing("demo")
    out.share = 0.5
    assert [shown_of(crowd, out, 100, NOW), shown_of(crowd, out, 100, NOW + 1)] == [15, 15]
    out.share = 0.0
    assert [shown_of(crowd, out, 100, NOW + 2), shown_of(crowd, out, 100, NOW + 3)] == [1, 1]


def test_staff_take_no_place():
    crowd, out, told = crowd_of(budget=2), Outgoing("demo"), Told()
    assert crowd.free_places(out, told.comments(9, staff=True), NOW) == 0
    assert crowd.free_places(out, told.comments(9), NOW) == 2


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 2), st.integers(0, 200)), max_size=40), st.integers(1, 60), st.floats(0, 1))
def test_no_more_is_shown_than_the_share_of_the_budget(said: list[tuple[float, int]], budget: int, share: float):
    crowd, out, now, shown = crowd_of(budget), Outgoing("demo"), 0.0, 0
    out.share = share
    rate = max(1.0, budget * share)
    for pause, count in said:
        now += pause
        places = shown_of(crowd, out, count, now)
        assert places <= count
        shown += places
        assert shown <= rate + rate * now + 1e-6


def test_a_room_whose_clock_was_set_back_an_hour_still_shows_comments():
    crowd, out = crowd_of(budget=30), Outgoing("demo")
    shown_of(crowd, out, 5, NOW)
    assert shown_of(crowd, out, 5, NOW - 3600) > 0


# what is published


def published(blob: Blob) -> list[object]:
    """The script's arguments behind the deadline and the time to remember, four by four."""
    args = blob.call[2]
    return [tuple(args[n : n + 4]) for n in range(4, len(args), 6)]


def test_the_staff_come_first_then_the_lucky_then_the_hidden_without_their_text():
    crowd, out, told = crowd_of(budget=2), Outgoing("demo"), Told()
    out.waiting = [*told.comments(5), told.comment("s0", staff=True)]
    blob = crowd.blob(out)
    assert blob.shown[0].id == "s0"
    assert (len(blob.shown), len(blob.hidden)) == (3, 3)
    assert {one.id for one in blob.shown + blob.hidden} == {"s0", "c0", "c1", "c2", "c3", "c4"}
    assert published(blob) == [
        *((one.body, 0, "", one.id) for one in blob.shown),
        *((b"", 0, "", one.id) for one in blob.hidden),
    ]
    assert out.waiting == []


def test_what_nobody_is_to_see_takes_no_place_and_is_not_in_the_blob():
    crowd, out, told = crowd_of(budget=1), Outgoing("demo"), Told()
    secret = told.comment("secret")
    secret.alone = True
    out.waiting = [secret, told.comment("a")]
    blob = crowd.blob(out)
    assert published(blob) == [(b'{"id":"a"}', 0, "", "a"), (b"-", 0, "", "secret")]
    assert crowd.left_out == 0
    settle(blob, [1])
    assert told.answers == {"a": "a", "secret": "secret"}
    assert out.unsaved == [b'{"id":"a"}']


def test_a_blob_names_its_script_channel_and_the_keys_that_remember():
    crowd, out, told = crowd_of(), Outgoing("demo"), Told()
    out.waiting = [told.comment("a"), told.comment("b", once="kb"), told.comment("c"), told.comment("d", once="kd")]
    name, names, args = crowd.blob(out).call
    assert (name, names, args[0]) == ("say", ["kb", "kd", "{00}:r:demo:commenters"], "{00}:r:demo:crowd")
    assert [place for _, place, _, _ in (args[n : n + 4] for n in range(4, 28, 6))] == [0, 1, 0, 2]


def test_the_head_of_a_blob_is_json_without_its_end():
    crowd, out, told = crowd_of(), Outgoing("demo"), Told()
    out.waiting = [told.comment("a")]
    out.joined, out.more = ["Ann", "Bob"], 3
    head = crowd.blob(out).call[2][1]
    assert isinstance(head, bytes)
    assert json.decode(b"{" + head + b'"total":1}') == {
        "node": "n1",
        "joined": ["Ann", "Bob"],
        "more": 3,
        "total": 1,
    }
    assert (out.joined, out.more) == ([], 0)


def test_who_joined_is_told_once_a_second():
    crowd, out = crowd_of(), Outgoing("demo")
    out.joined = ["Ann"]
    assert b"Ann" in crowd.head(out, 5000)
    out.joined = ["Bob"]
    assert b"Bob" not in crowd.head(out, 5999)
    assert b"Bob" in crowd.head(out, 6000)


# what became of it


def test_each_author_is_told_the_id_of_his_comment_shown_or_not():
    told, out = Told(), Outgoing("demo")
    shown, hidden = told.comment("a"), told.comment("b")
    settle(Blob(out, [shown], [hidden], ("say", [], [])), [2])
    assert told.answers == {"a": "a", "b": "b"}
    assert out.unsaved == [shown.body]


def test_a_resend_is_told_the_first_ones_id_and_not_kept_again():
    told, out = Told(), Outgoing("demo")
    blob = Blob(out, [told.comment("a", once="ka"), told.comment("b")], [told.comment("c", once="kc")], ("say", [], []))
    settle(blob, [2, b"earlier", b"c"])
    assert told.answers == {"a": "earlier", "b": "b", "c": "c"}
    assert out.unsaved == [b'{"id":"b"}']


def test_a_key_used_for_something_else_is_refused():
    told, out = Told(), Outgoing("demo")
    settle(Blob(out, [told.comment("a", once="ka")], [], ("say", [], [])), [0, b""])
    assert told.answers == {"a": MISMATCH}
    assert out.unsaved == []


@pytest.mark.parametrize("answer", [[-3], RedisError("gone"), TimeoutError(), None])
def test_without_a_good_answer_everybody_is_told_to_try_again(answer: object):
    told, out = Told(), Outgoing("demo")
    settle(Blob(out, [told.comment("a", once="ka")], [told.comment("b")], ("say", [], [])), answer)
    assert told.answers == {"a": TRY_LATER, "b": TRY_LATER}
    assert out.unsaved == []


def test_a_deaf_node_takes_no_comments_for_its_own_viewers_would_not_see_them():
    crowd, told = crowd_of(deaf=True), Told()
    crowd.say("demo", 5, told.comment("a"))
    assert told.answers == {"a": TRY_LATER}
    assert crowd.rooms == {}


def test_when_redis_is_silent_nobody_is_left_without_an_answer():
    crowd, told = crowd_of(), Told()
    out = crowd.out("demo", 5)
    out.waiting = [told.comment("a")]
    blob = crowd.blob(out)
    out.waiting = [told.comment("b")]
    crowd.give_up([blob])
    assert told.answers == {"a": TRY_LATER, "b": TRY_LATER}
    assert out.waiting == []


# whatever happens


@pytest.mark.parametrize("error", [RuntimeError("a surprise"), RedisError("gone"), TimeoutError()])
def test_nobody_waits_for_ever_whatever_goes_wrong(monkeypatch: pytest.MonkeyPatch, error: Exception):
    crowd, told = crowd_of(), Told()

    async def fail(*_: object) -> None:
        if not told.answers:
            crowd.say("demo", 50, told.comment("c2"))  # while the first one is in flight
        raise error

    async def show() -> None:
        monkeypatch.setattr("liveroom.store.crowd.scripts.run", fail)
        crowd.say("demo", 50, told.comment("c1"))
        with contextlib.suppress(RuntimeError, TimeoutError):
            async with asyncio.timeout(0.05):
                await crowd.run()

    asyncio.run(show())
    assert told.answers == {"c1": TRY_LATER, "c2": TRY_LATER}


def test_a_room_whose_comments_are_in_flight_is_not_forgotten(monkeypatch: pytest.MonkeyPatch):
    crowd, told = crowd_of(), Told()

    async def slow(*_: object) -> list[object]:
        await crowd.second({})
        return [[1]]

    async def show() -> None:
        monkeypatch.setattr("liveroom.store.crowd.scripts.run", slow)
        crowd.say("demo", 50, told.comment("c1"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await crowd.run()

    asyncio.run(show())
    assert told.answers == {"c1": "c1"}
    assert crowd.rooms["demo"].unsaved == [b'{"id":"c1"}']
