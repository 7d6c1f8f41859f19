"""Two hosts, each on a node of his own, press at the same moment: one thing happens, and both are told which."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.house import Node
from tests.rounds.stage import Message, Model, Show, code, complaints, of

Pair = tuple[Node, Node]
VIEWERS = ("ann", "bob", "cem")


def shows(pair: Pair, rooms: int, what: Callable[[Show], Awaitable[None]]) -> None:
    """The same in many rooms at once."""

    async def show() -> None:
        on = await Show(pair).begin(*VIEWERS)
        await what(on)
        await on.end(20)
        assert complaints(on) == []
        await on.leave()

    async def all_of_them() -> None:
        await asyncio.gather(*(show() for _ in range(rooms)))

    asyncio.run(all_of_them())


@pytest.mark.parametrize("kind", ["lottery", "quiz"])
@pytest.mark.parametrize(("rooms", "times"), [(6, 5), pytest.param(20, 10, marks=pytest.mark.slow)])
def test_both_close_and_there_is_one_end(pair: Pair, kind: str, rooms: int, times: int) -> None:
    async def show(on: Show) -> None:
        for n in range(times):
            round_ = await (on.lottery(n % 2) if kind == "lottery" else on.quiz(n % 2, right=n % 3))
            entering = [on.enter(name, round_, n % 3) for name in VIEWERS]
            said, _ = await asyncio.gather(on.turn(f"{kind}.close", round_, 0, 1), asyncio.gather(*entering))
            assert {one["id"] for one in said} == {round_.id}
            await on.ended(round_, 20)
        for guest in on.inside.values():
            ends = ["lottery.frozen", "lottery.drawn", "lottery.settled"] if kind == "lottery" else ["quiz.revealed"]
            for round_id in on.rounds:
                for end in ends:
                    await guest.hear(end, 20, id=round_id)
            assert len([one for one in guest.heard if one["t"] in ends]) == times * len(ends)

    shows(pair, rooms, show)


def test_one_closes_while_the_other_cancels(pair: Pair) -> None:
    async def show(on: Show) -> None:
        for n in range(5):
            lottery = await on.lottery()
            await on.enter("ann", lottery)
            first, second = on.hosts if n % 2 else reversed(on.hosts)
            closed, cancelled = await asyncio.gather(
                first.ask("lottery.close", id=lottery.id),
                second.ask("lottery.cancel", id=lottery.id, reason="a mistake"),
            )
            assert sorted([code(closed), code(cancelled)]) == ["ROUND_STATE", "ok"]
            lottery.state = "closed" if code(closed) == "ok" else "cancelled"
            await on.ended(lottery, 20)
            assert bool(of(on.host.heard, "lottery.cancelled", lottery.id)) is (lottery.state == "cancelled")

    shows(pair, 6, show)


@pytest.mark.parametrize("kind", ["lottery", "quiz"])
def test_one_closes_and_the_other_voids_what_is_being_settled(pair: Pair, kind: str) -> None:
    async def show(on: Show) -> None:
        for _ in range(5):
            round_ = await (on.lottery() if kind == "lottery" else on.quiz())
            await on.enter("ann", round_)
            await on.turn(f"{kind}.close", round_, 0)
            await on.turn(f"{kind}.void", round_, 1, 0, 1)
            voided = await on.host.hear(f"{kind}.voided", id=round_.id)
            await asyncio.sleep(0.02)
            late = [one for one in on.host.heard if one.get("id") == round_.id and one.get("seq", 0) > voided["seq"]]
            assert late == []

    shows(pair, 6, show)


@pytest.mark.parametrize("kind", ["lottery", "count"])
def test_both_open_with_one_keyword_and_one_of_them_may(pair: Pair, kind: str) -> None:
    async def show(on: Show) -> None:
        more: Message = {"prize": "cup", "winners": 1} if kind == "lottery" else {}
        for n in range(5):
            asking = [host.ask(f"{kind}.open", keyword=f"tea {n}", seconds=600, **more) for host in on.hosts]
            said = await asyncio.gather(*asking)
            assert sorted(map(code, said)) == ["KEYWORD_TAKEN", "ok"]
            (id_,) = [one["id"] for one in said if one["t"] == "ok"]
            if kind == "lottery":
                on.put(Model("lottery", id_, winners=1))
            else:
                await on.host.ask("count.close", id=id_)
                await on.host.hear("count.closed", id=id_)

    shows(pair, 6, show)


@pytest.mark.parametrize("kind", ["lottery", "quiz"])
def test_one_host_on_two_nodes_opens_one_round_with_one_key(pair: Pair, kind: str) -> None:
    async def show(on: Show) -> None:
        there = await on.come("host0", 1, "host")
        here = await on.come("host0", 0, "host")
        lottery: Message = {"prize": "cup", "winners": 1}
        fields = lottery if kind == "lottery" else {"question": "?", "choices": ["a", "b"], "right": 1}
        for n in range(5):
            opening = {"idem": f"key {n}", "seconds": 600, **fields}
            said = await asyncio.gather(*(one.ask(f"{kind}.open", **opening) for one in (here, there, here)))
            assert len({one["id"] for one in said}) == 1
            round_ = on.put(Model(kind, said[0]["id"], "no explanation", 1, 1))
            await on.turn(f"{kind}.close", round_)
            await on.ended(round_, 20)
        assert len([one for one in here.heard if one["t"] == f"{kind}.opened"]) == 5

    shows(pair, 3, show)
