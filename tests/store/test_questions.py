"""How questions go to Redis: few calls, each batch until it was answered, and no more than so many."""

import asyncio
import threading
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gameplay.questions import Asker
from liveroom.store.questions import LONGEST, MOST_AT_ONCE, MOST_WAITING, Kept, Questions

Calls = list[tuple[str, Any, list[Any]]]


def ask(questions: Questions, count: int, text: str = "{}号多少钱", room: str = "demo") -> None:
    for n in range(count):
        questions.heard(room, Asker(f"c{n}", f"v{n}", "", text.format(n), n))


def flushed(monkeypatch: pytest.MonkeyPatch, questions: Questions, *answers: object) -> Calls:
    """What a few flushes ask of Redis, which answers so."""
    asked: Calls = []
    coming = iter(answers)

    async def run(_: object, calls: Calls) -> list[object]:
        answer = next(coming)
        asked.extend(calls)
        if isinstance(answer, BaseException):
            raise answer
        return [answer] * len(calls)

    async def show() -> None:
        for _ in answers:
            await questions.flush()

    monkeypatch.setattr("liveroom.store.questions.scripts.run", run)
    asyncio.run(show())
    return asked


@pytest.fixture
def questions() -> Questions:
    """Never connected to anything."""
    return Questions(Redis(), 16, "n1", 1, lambda: 9000)


def test_a_loud_room_costs_one_call_however_many_ask(monkeypatch: pytest.MonkeyPatch, questions: Questions):
    ask(questions, MOST_AT_ONCE)
    assert len(flushed(monkeypatch, questions, [1])) == 1
    assert questions.sheets == {}


def test_what_is_no_question_costs_nothing(questions: Questions):
    ask(questions, 100, "好看")
    assert questions.sheets == {}


def test_the_same_words_are_sent_together(monkeypatch: pytest.MonkeyPatch, questions: Questions):
    ask(questions, 5, "多少钱")
    ask(questions, 5, "主播多少钱啊")
    ((_, _, args),) = flushed(monkeypatch, questions, [1])
    assert len(args) == 6 + 2


def test_a_batch_that_was_not_answered_is_sent_again_under_its_number(
    monkeypatch: pytest.MonkeyPatch, questions: Questions
):
    ask(questions, 2)
    calls = flushed(monkeypatch, questions, RedisError("gone"), RedisError("again"), [1], [1])
    assert [args[1] for _, _, args in calls] == [1, 1, 1]
    ask(questions, 1)
    assert [args[1] for _, _, args in flushed(monkeypatch, questions, [1])] == [2]


def test_while_redis_is_away_the_newest_wait_and_go_in_parts(monkeypatch: pytest.MonkeyPatch, questions: Questions):
    ask(questions, MOST_WAITING + 7)
    assert len(questions.sheets["demo"].waiting) == MOST_WAITING
    calls = flushed(monkeypatch, questions, *([[1]] * 11))
    assert len(calls) == MOST_WAITING // MOST_AT_ONCE


def test_a_long_comment_is_kept_in_short(monkeypatch: pytest.MonkeyPatch, questions: Questions):
    ask(questions, 1, "多少钱" * 60)
    ((_, _, args),) = flushed(monkeypatch, questions, [1])
    assert ("多少钱" * 60)[:LONGEST].encode() in args[-1]
    assert ("多少钱" * 60)[: LONGEST + 1].encode() not in args[-1]


def test_what_an_answer_clears_is_found_beside_the_ticks(monkeypatch: pytest.MonkeyPatch):
    found: list[threading.Thread] = []

    async def nothing(*_: object) -> Kept:
        return Kept()

    for name in ("flush", "read"):
        monkeypatch.setattr(Questions, name, nothing)
    monkeypatch.setattr("liveroom.store.questions.holding", lambda *_: found.append(threading.current_thread()))
    asyncio.run(Questions(Redis(), 16, "n1", 1, lambda: 0).answered("demo", "c1"))
    assert found != [threading.main_thread()]
    assert len(found) == 1
