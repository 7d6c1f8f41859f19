"""A node or the server dies in the middle of a show on two nodes: who was told that it counts is in the result once."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
import redis

from tests.house import House, Node, guests, join, retried, token
from tests.rounds.stage import Message, Model, Show, code, complaints, get, of

SLOW = 20  # seconds for what takes two or three
slow = pytest.mark.slow
HERE = ("h0", "h1", "h2")  # on the node that lives
THERE = ("t0", "t1", "t2")
EVERYBODY = tuple(name for both in zip(HERE, THERE, strict=True) for name in both)


Act = Callable[[Show, Node], Awaitable[None]]


def shown(house: House, what: Act, point: str, *, server_dies: bool = False) -> None:
    """A show on a node that lives and one that will die at this point; all must be well at its end."""

    async def show() -> None:
        if server_dies:  # the server is run by the node that was there first, and ends with it
            dies = house.node(crash_at=point)
            lives = await asyncio.to_thread(house.node)
        else:
            lives = house.node()
            dies = await asyncio.to_thread(house.node, crash_at=point)
        on = await Show((lives, dies)).begin(*EVERYBODY)
        await what(on, dies)
        await on.end(SLOW)
        assert complaints(on) == []
        await on.leave()
        assert "Traceback" not in lives.said

    asyncio.run(show())


async def dead(node: Node) -> None:
    assert await asyncio.to_thread(node.process.wait, SLOW) == -signal.SIGKILL


async def entered(on: Show, round_: Model) -> int:
    """How many entries there are, as anybody may see."""
    _, seen = await get(on.nodes[0], f"/v1/rooms/{on.room}/rounds/{round_.id}", token(on.room, sub="nobody"))
    return int(seen["counts"]["entered"])


async def part(on: Show, round_: Model, name: str) -> Message:
    """What somebody has in a round, whether or not his node lived to tell him."""
    path = f"/v1/rooms/{on.room}/rounds/{round_.id}"
    return dict((await get(on.nodes[0], path, token(on.room, sub=name)))[1]["mine"])


@pytest.mark.parametrize(
    ("point", "server_dies"),
    [
        ("after_lua", False),
        ("before_reply", True),
        pytest.param("after_lua", True, marks=slow),
        pytest.param("before_reply", False, marks=slow),
    ],
)
def test_an_entry_whose_reply_was_lost_is_there_once_and_is_answered_elsewhere(
    house: House, point: str, server_dies: bool
) -> None:
    async def show(on: Show, dies: Node) -> None:
        lottery, quiz = await on.lottery(winners=3, keyword="tea"), await on.quiz(right=1)
        for n, name in enumerate(HERE):
            assert await on.try_to_enter(name, lottery)
            assert await on.try_to_enter(name, quiz, n)
        lost, word = (lottery, 0) if point == "after_lua" else (quiz, 1)
        assert not await on.try_to_enter("t0", lost, word)
        await dead(dies)
        await asyncio.to_thread(on.nodes[0].wait_until, "/readyz", 200)
        await on.lose(dies)
        assert await entered(on, lost) == 4
        again = await enter_at_last(on, "t0", lost, word)
        assert again.get("receipt", {"n": 4})["n"] == 4
        if lost is quiz:
            assert code(await retried(lambda: on.enter("t0", quiz, 0))) == "ALREADY_ANSWERED"
        assert await entered(on, lost) == 4
        assert (await retried(lambda: on.say("t1", lottery)))["t"] == "ok"
        await enter_at_last(on, "t2", quiz, 2)

    shown(house, show, point, server_dies=server_dies)


@slow
def test_a_crowd_whose_node_dies_comes_back_and_everybody_counts_once(house: House) -> None:
    async def show(on: Show, dies: Node) -> None:
        lottery, quiz = await on.lottery(winners=2), await on.quiz(right=2)
        both = [(name, one, n) for one in (lottery, quiz) for n, name in enumerate(THERE)]
        told = await asyncio.gather(*(on.try_to_enter(name, one, n) for name, one, n in both))
        assert not any(told)
        await dead(dies)
        await on.lose(dies)
        before = await entered(on, lottery) + await entered(on, quiz)
        assert 1 <= before <= 6
        for name, one, n in both:
            await enter_at_last(on, name, one, n)
        assert (await entered(on, lottery), await entered(on, quiz)) == (3, 3)

    shown(house, show, "after_lua")


@pytest.mark.parametrize(
    ("point", "server_dies"),
    [
        ("before_settle", False),
        pytest.param("before_settle", True, marks=slow),
        pytest.param("before_freeze", False, marks=slow),
        pytest.param("after_settle", False, marks=slow),
    ],
)
def test_a_draw_goes_on_when_the_node_dies_that_was_told_to_close(house: House, point: str, server_dies: bool) -> None:
    async def show(on: Show, dies: Node) -> None:
        lottery = await on.lottery(winners=2, claim_seconds=600)
        for name in EVERYBODY:
            assert await on.try_to_enter(name, lottery)
        await press_close(on, "lottery.close", lottery)
        await dead(dies)
        await asyncio.to_thread(on.nodes[0].wait_until, "/readyz", 200)
        await on.lose(dies)
        drawn = await on.host.hear("lottery.drawn", SLOW, id=lottery.id)
        assert drawn["winners_total"] == 2
        assert "delayed" not in drawn
        for name in HERE:
            await on.inside[name].hear("lottery.result", SLOW, id=lottery.id)
        assert sorted([(await part(on, lottery, name))["result"]["rank"] for name in EVERYBODY]) == [1, 2, 3, 4, 5, 6]
        assert (await enter_at_last(on, "t0", lottery))["receipt"] == lottery.receipts["t0"]

    shown(house, show, point, server_dies=server_dies)


@slow
@pytest.mark.parametrize("point", ["before_settle", "after_settle"])
def test_a_quiz_is_revealed_when_the_node_dies_that_was_told_to_close(house: House, point: str) -> None:
    async def show(on: Show, dies: Node) -> None:
        quiz = await on.quiz(right=1, series="tour")
        for n, name in enumerate(EVERYBODY):
            assert await on.try_to_enter(name, quiz, n % 3)
        await press_close(on, "quiz.close", quiz)
        await dead(dies)
        await on.lose(dies)
        revealed = await on.host.hear("quiz.revealed", SLOW, id=quiz.id)
        assert revealed["counts"] == [2, 2, 2]
        for name in HERE:
            await on.inside[name].hear("quiz.result", SLOW, id=quiz.id)
        for n, name in enumerate(EVERYBODY):
            assert (await part(on, quiz, name))["result"]["correct"] is (n % 3 == 1)

    shown(house, show, point)


async def press_close(on: Show, command: str, round_: Model) -> None:
    """The host of the node that dies; whether he is answered is luck."""
    await on.hosts[1].send({"t": command, "cid": 99, "id": round_.id})
    round_.state = "closed"


@slow
@pytest.mark.parametrize(
    ("kind", "point"), [("lottery", "before_close"), ("lottery", "after_close"), ("quiz", "before_close")]
)
def test_a_bell_that_its_node_did_not_live_to_answer_rings_on_the_other(house: House, kind: str, point: str) -> None:
    async def show(on: Show, dies: Node) -> None:
        round_ = await (on.lottery(seconds=1) if kind == "lottery" else on.quiz(seconds=1, right=1))
        for n, name in enumerate(EVERYBODY):
            assert await on.try_to_enter(name, round_, n % 3)
        os.kill(on.nodes[0].process.pid, signal.SIGSTOP)  # so that the bell is heard by the other one
        try:
            await dead(dies)
        finally:
            os.kill(on.nodes[0].process.pid, signal.SIGCONT)
        round_.state = "closed"
        await asyncio.to_thread(on.nodes[0].wait_until, "/readyz", 200)
        await on.lose(dies)
        await on.ended(round_, SLOW)

    shown(house, show, point)


@slow
def test_an_announced_round_opens_on_the_other_node(house: House) -> None:
    async def show(on: Show, dies: Node) -> None:
        opens_at = (await on.host.ask("time.ping", c0=0))["s1"] + 1000
        said = await on.hosts[1].ask("lottery.open", prize="cup", winners=1, seconds=600, opens_at=opens_at)
        lottery = on.put(Model("lottery", said["id"], winners=1))
        os.kill(on.nodes[0].process.pid, signal.SIGSTOP)
        try:
            await dead(dies)
        finally:
            os.kill(on.nodes[0].process.pid, signal.SIGCONT)
        await asyncio.to_thread(on.nodes[0].wait_until, "/readyz", 200)
        await on.lose(dies)
        assert (await on.host.hear("lottery.opened", SLOW, id=lottery.id))["opens_at"] == opens_at
        for name in EVERYBODY:
            assert await on.try_to_enter(name, lottery)

    shown(house, show, "before_open")


def test_entries_that_were_acknowledged_outlive_a_killed_server_and_the_round_ends_by_itself(
    house: House, valkey: Callable[[], redis.Redis]
) -> None:
    async def show() -> None:
        one = house.node()
        two = await asyncio.to_thread(house.node)
        on = await Show((one, two)).begin(*EVERYBODY)
        lottery, quiz = await on.lottery(winners=2, seconds=4), await on.quiz(seconds=4, right=1)
        for name in EVERYBODY[:3]:
            assert await on.try_to_enter(name, lottery)
            assert await on.try_to_enter(name, quiz, 1)
        late = [(name, round_) for name in EVERYBODY[3:] for round_ in (lottery, quiz)]
        entering = [asyncio.create_task(enter_at_last(on, name, round_)) for name, round_ in late]
        os.kill(valkey().info()["process_id"], signal.SIGKILL)
        await asyncio.gather(*entering)
        for node in (one, two):
            await asyncio.to_thread(node.wait_until, "/readyz", 200)
        for name in EVERYBODY:
            again = await enter_at_last(on, name, lottery)
            assert again["receipt"] == lottery.receipts[name]
            assert code(await retried(partial(on.enter, name, quiz, 0))) == "ALREADY_ANSWERED"
        for round_ in (lottery, quiz):
            await on.ended(round_, SLOW)
            round_.state = "closed"
        assert of(on.host.heard, "quiz.revealed", quiz.id)[0]["counts"] == [0, 6, 0]
        assert not [m for _, guest in on.ever for m in guest.heard if m["t"] == "room.reset"]
        await on.end(SLOW)
        assert complaints(on) == []
        await on.leave()
        assert "Traceback" not in one.said + two.said

    asyncio.run(show())


async def close_at_last(on: Show, round_: Model) -> None:
    said = await retried(lambda: on.host.ask(f"{round_.kind}.close", id=round_.id))
    assert said["t"] == "ok", said


async def enter_at_last(on: Show, name: str, round_: Model, choice: int = 1) -> Message:
    """What a client does: again, until it is told."""
    said = await retried(lambda: on.enter(name, round_, choice))
    assert said["t"] == "ok", said
    return said


@slow
def test_a_server_killed_between_the_close_and_the_draw_settles_nothing_twice(
    house: House, valkey: Callable[[], redis.Redis]
) -> None:
    async def show() -> None:
        one = house.node()
        two = await asyncio.to_thread(house.node)
        for _ in range(3):
            on = await Show((one, two)).begin(*EVERYBODY)
            lottery, quiz = await on.lottery(winners=2), await on.quiz(right=1)
            for name in EVERYBODY:
                assert await on.try_to_enter(name, lottery)
                assert await on.try_to_enter(name, quiz, 1)
            pid = valkey().info()["process_id"]
            for round_ in (lottery, quiz):
                await press_close(on, f"{round_.kind}.close", round_)
            os.kill(pid, signal.SIGKILL)
            for round_ in (lottery, quiz):
                await close_at_last(on, round_)
                await on.ended(round_, SLOW)
            await on.end(SLOW)
            assert complaints(on) == []
            await on.leave()
        assert "Traceback" not in one.said + two.said

    asyncio.run(show())


# --- a node that hears late what the others are told ---

LAG_SECONDS = 0.1


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, late: Callable[[], float]) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            await asyncio.sleep(late())
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def slow_news(path: str) -> AsyncIterator[str]:
    """A way to a server on which answers come at once, and what it publishes a little later."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, there = await asyncio.open_unix_connection(path)
        listens = False

        async def asked() -> None:
            nonlocal listens
            with contextlib.suppress(OSError):
                while data := await reader.read(65536):
                    listens = listens or b"SUBSCRIBE" in data
                    there.write(data)
            there.close()

        await asyncio.gather(asked(), pipe(back, writer, lambda: LAG_SECONDS if listens else 0))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def with_a_late_node(house: House, what: Callable[[Show], Awaitable[None]]) -> None:
    async def show() -> None:
        prompt = house.node()
        async with slow_news(house.redis_socket) as url:
            late = await asyncio.to_thread(house.node, "--redis", url)
            on = await Show((prompt, late)).begin(*EVERYBODY)
            await what(on)
            await on.end(SLOW)
            assert complaints(on) == []
            await on.leave()
            assert "Traceback" not in prompt.said + late.said
            await asyncio.to_thread(late.stop)

    asyncio.run(show())


def test_a_node_that_hears_late_takes_part_in_all_of_it(house: House) -> None:
    async def show(on: Show) -> None:
        lotteries = [await on.lottery(winners=2, keyword=f"tea {n}", claim_seconds=600) for n in range(3)]
        quizzes = [await on.quiz(n % 2, right=n) for n in range(3)]
        for n, name in enumerate(EVERYBODY):
            for lottery in lotteries[1:]:
                assert "receipt" in await on.enter(name, lottery)
            for quiz in quizzes:
                assert (await on.enter(name, quiz, n % 3))["t"] == "ok"
        for name in ("h0", "t0"):
            assert "receipt" in await on.say(name, lotteries[0])
        await on.back("t1", 0)
        for one in (*lotteries, *quizzes):
            await on.turn(f"{one.kind}.close", one, 0, 1)
        await on.back("h1", 1)
        await on.back("t2", 1)

    with_a_late_node(house, show)


def test_a_node_that_hears_late_shows_the_newest_counts_of_all_rounds(house: House) -> None:
    async def show(on: Show) -> None:
        quizzes = []
        for _ in range(4):
            quizzes.append(await on.quiz())
            await asyncio.sleep(LAG_SECONDS / 4)
        for quiz in quizzes:
            await on.enter("h0", quiz)
        for quiz in quizzes:
            await on.inside["watcher1"].hear("quiz.progress", id=quiz.id, answered=1)
        async with guests(join(on.nodes[1], on.room, sub="eve")) as (eve,):
            counts = {one["id"]: one["counts"] for one in eve.welcome["snapshot"]["rounds"]}
            assert counts == {quiz.id: {"answered": 1} for quiz in quizzes}

    with_a_late_node(house, show)


def test_who_comes_to_a_node_that_hears_late_while_it_ends_is_told_his_part(house: House) -> None:
    async def show(on: Show) -> None:
        lottery, quiz = await on.lottery(winners=6), await on.quiz(right=1)
        for name in EVERYBODY:
            await on.enter(name, lottery)
            await on.enter(name, quiz, 1)

        async def cut_off(n: int, name: str) -> None:
            await asyncio.sleep(LAG_SECONDS * n / len(EVERYBODY))
            await on.back(name, 1, resume=n % 2 == 0)

        await asyncio.gather(
            on.turn("lottery.close", lottery),
            on.turn("quiz.close", quiz),
            *(cut_off(n, name) for n, name in enumerate(EVERYBODY)),
        )

    with_a_late_node(house, show)
