"""One millisecond late counts, 400 ms late does not: what Redis decides, asked with chosen times on a real server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
from redis.asyncio import Redis

from gameplay import count, lottery, quiz
from gameplay.play import GRACE_MS, Code, Entry, Played, Reading, Refusal, Round
from liveroom.menu import KINDS
from liveroom.store import scripts
from liveroom.store.embedded import Embedded
from liveroom.store.rooms import Rooms
from liveroom.store.rounds import BELL, NO_KEY, Entered, Gate, Moved, Place, Rounds, Row
from liveroom.store.server import client
from tests.house import Node, guests, join, make_room, numbers

ENTERED, AGAIN, EARLY, CLOSED, TOO_LATE = 0, 1, -1, -2, -3  # see enter_round.lua
OLD_MS = 2000  # who was read so long ago may have given up
OPENS: dict[str, Any] = {
    "lottery": lottery.Open(prize="cup", winners=1, seconds=60),
    "quiz": quiz.Open(question="Which?", choices=("this", "that"), right=0, seconds=60),
    "count": count.Open(keyword="tea", seconds=60),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    embedded = Embedded(tmp_path_factory.mktemp("grace") / "data")
    embedded.start()
    try:
        yield embedded.url
    finally:
        embedded.stop()


class Table:
    """A room of a server without nodes: nothing rings, and time is what the server says."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.rooms = Rooms(redis, 16, 1000, lambda _: None, no_ledger)
        self.rounds = Rounds(self.rooms, redis)
        self.room = f"room-{next(numbers)}"

    async def now(self) -> int:
        seconds, micros = await self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    async def open(self, kind: str, closes_at: int, opens_at: int = 0) -> str:
        """A round that closes at this time, which may be over; announced if ``opens_at`` is given."""
        play: Round[Any] = KINDS[kind]
        id_ = f"r_{next(numbers)}"
        start = opens_at or closes_at - 60_000
        planned = Played(
            id=id_,
            room=self.room,
            state="",
            ver=0,
            opens=OPENS[kind],
            opened=None,
            opens_at=start,
            opened_at=0,
            closes_at=closes_at,
        )
        first = play.announce if opens_at else play.begin
        move = first(planned, Reading(await self.now(), seed=bytes(32)))
        late = await self.now() + 1000
        said = await self.rounds.open(planned, move, f"f{id_}", BELL, keyword="", once=NO_KEY, not_after=late)
        assert said == id_
        return id_

    async def enter(self, id_: str, kind: str, *rows: Row) -> Entered:
        gate = Gate(self.room, id_, kind, KINDS[kind].often)
        entered = await self.rounds.enter(gate, f"f{next(numbers)}", rows)
        assert isinstance(entered, Entered)
        return entered

    async def how(self, id_: str, kind: str, viewer: str, at: float, word: str = "") -> int:
        (place,) = (await self.enter(id_, kind, row(viewer, at, word))).places
        return place.how

    async def entries(self, id_: str) -> list[Entry]:
        return await self.rounds.entries(self.room, id_)

    async def close(self, id_: str) -> None:
        kept = await self.rounds.read(self.room, id_)
        assert kept is not None
        move = KINDS[kept.kind].close(kept.played, Reading(await self.now()))
        assert isinstance(await self.rounds.move(kept.played, move, f"f{next(numbers)}", BELL), Moved)


async def no_ledger(_: str) -> None:
    return None


def row(viewer: str, at: float, word: str = "") -> Row:
    return Row(viewer, viewer.title(), f"tag of {viewer}", word, 0, at)


@contextlib.asynccontextmanager
async def laid(url: str) -> AsyncIterator[Table]:
    redis = client(url, 5)
    try:
        await scripts.load(redis)
        table = Table(redis)
        await table.rooms.create(table.room, "Test", "", f"f{next(numbers)}")
        yield table
    finally:
        await redis.aclose()


def shown(url: str, what: Callable[[Table], Coroutine[Any, Any, None]]) -> None:
    async def show() -> None:
        async with laid(url) as table:
            await what(table)

    asyncio.run(show())


@pytest.mark.parametrize("kind", OPENS)
@pytest.mark.parametrize(
    ("late", "how"),
    [
        (-60_000, TOO_LATE),
        *((late, ENTERED) for late in (-1, 0, 1, 299, 300)),
        *((late, CLOSED) for late in (301, 400, 499)),
    ],
)
def test_what_counts_is_when_an_entry_was_read(server: str, kind: str, late: int, how: int) -> None:
    async def show(table: Table) -> None:
        closes_at = await table.now() - 500  # as late as a bell may ring
        id_ = await table.open(kind, closes_at)
        assert await table.how(id_, kind, "ann", closes_at + late, "0") == how
        kept = await table.entries(id_)
        if kind != "count":
            assert [one.at for one in kept] == ([closes_at + late] if how == ENTERED else [])

    assert GRACE_MS == 300
    shown(server, show)


@pytest.mark.parametrize("kind", OPENS)
def test_a_round_whose_end_is_far_lets_everybody_in(server: str, kind: str) -> None:
    async def show(table: Table) -> None:
        now = await table.now()
        id_ = await table.open(kind, now + 60_000)
        said = await table.enter(id_, kind, *(row(f"v{n}", now - n * 100, "1") for n in range(10)))
        assert [place.how for place in said.places] == [ENTERED] * 10
        assert [place.n for place in said.places] == list(range(1, 11))
        assert (said.state, said.closes_at) == ("open", now + 60_000)

    shown(server, show)


@pytest.mark.parametrize("kind", OPENS)
def test_who_claims_to_come_from_the_future_came_now(server: str, kind: str) -> None:
    async def show(table: Table) -> None:
        before = await table.now()
        id_ = await table.open(kind, before + 60_000)
        assert await table.how(id_, kind, "ann", before + 3_600_000, "0") == ENTERED
        if kind != "count":
            (kept,) = await table.entries(id_)
            assert before <= kept.at <= await table.now()
        over = await table.open(kind, before - 500)
        assert await table.how(over, kind, "ann", before + 3_600_000, "0") == CLOSED

    shown(server, show)


@pytest.mark.parametrize("kind", OPENS)
@pytest.mark.parametrize(("old", "how"), [(1000, ENTERED), (OLD_MS + 50, TOO_LATE), (3_600_000, TOO_LATE)])
def test_an_entry_that_was_under_way_too_long_is_not_made(server: str, kind: str, old: int, how: int) -> None:
    async def show(table: Table) -> None:
        id_ = await table.open(kind, await table.now() + 60_000)
        assert await table.how(id_, kind, "ann", await table.now() - old, "0") == how
        assert (await table.rounds.read(table.room, id_)).played.entered == (how == ENTERED)  # type: ignore[union-attr]

    shown(server, show)


@pytest.mark.parametrize("kind", OPENS)
def test_behind_the_close_nothing_counts_whenever_it_was_read(server: str, kind: str) -> None:
    async def show(table: Table) -> None:
        closes_at = await table.now() - 500
        id_ = await table.open(kind, closes_at)
        assert await table.how(id_, kind, "ann", closes_at, "0") == ENTERED
        await table.close(id_)
        now = await table.now()
        times = [closes_at - 1000, closes_at - 1, closes_at, closes_at + 1, closes_at + 299, now, now + 60_000]
        said = await table.enter(id_, kind, *(row(f"v{n}", at, "0") for n, at in enumerate(times)))
        assert [place.how for place in said.places] == [CLOSED] * len(times)
        assert (said.state, said.closes_at) == ("closed", closes_at)
        assert (await table.rounds.read(table.room, id_)).played.entered == 1  # type: ignore[union-attr]

    shown(server, show)


@pytest.mark.parametrize("kind", OPENS)
def test_a_host_who_ends_it_early_moves_the_end(server: str, kind: str) -> None:
    async def show(table: Table) -> None:
        id_ = await table.open(kind, await table.now() + 60_000)
        said = await table.now()
        await table.close(id_)
        assert await table.how(id_, kind, "ann", said - 1, "0") == CLOSED
        kept = await table.rounds.read(table.room, id_)
        assert kept is not None
        assert said <= kept.played.closes_at <= await table.now()

    shown(server, show)


@pytest.mark.parametrize("kind", ["lottery", "quiz"])
def test_who_is_in_is_answered_the_same_at_any_time(server: str, kind: str) -> None:
    async def show(table: Table) -> None:
        closes_at = await table.now() - 500
        id_ = await table.open(kind, closes_at)
        first = (await table.enter(id_, kind, row("bob", closes_at, "1"), row("ann", closes_at, "1"))).places[1]
        assert (first.how, first.n, first.word) == (ENTERED, 2, "1")
        for at in (closes_at, closes_at + 400, closes_at - 60_000, await table.now() + 60_000):
            assert (await table.enter(id_, kind, row("ann", at, "0"))).places == [Place(AGAIN, 2, "1")]
        await table.close(id_)
        assert (await table.enter(id_, kind, row("ann", await table.now(), "0"))).places == [Place(AGAIN, 2, "1")]
        assert len(await table.entries(id_)) == 2

    shown(server, show)


def test_a_batch_is_judged_one_by_one(server: str) -> None:
    async def show(table: Table) -> None:
        closes_at = await table.now() - 500
        id_ = await table.open("quiz", closes_at)
        rows = [
            row("ann", closes_at + 301, "0"),
            row("ann", closes_at + 300, "1"),
            row("ann", closes_at - 10, "0"),
            row("bob", closes_at - 60_000, "0"),
            row("bob", closes_at + 1, "0"),
            row("cem", closes_at + 400, "0"),
        ]
        said = await table.enter(id_, "quiz", *rows)
        assert [place.how for place in said.places] == [CLOSED, ENTERED, AGAIN, TOO_LATE, ENTERED, CLOSED]
        assert [(one.viewer, one.word, one.at) for one in await table.entries(id_)] == [
            ("ann", "1", closes_at + 300),
            ("bob", "0", closes_at + 1),
        ]

    shown(server, show)


@pytest.mark.parametrize("kind", OPENS)
def test_before_the_time_nobody_is_let_in_and_from_then_on_everybody(server: str, kind: str) -> None:
    async def show(table: Table) -> None:
        now = await table.now()
        coming = await table.open(kind, now + 90_000, opens_at=now + 30_000)
        assert await table.how(coming, kind, "ann", now, "0") == EARLY
        assert await table.how(coming, kind, "ann", now + 40_000, "0") == EARLY
        due = await table.open(kind, now + 60_000, opens_at=now - 10)  # no bell has rung
        assert await table.how(due, kind, "ann", now, "0") == ENTERED

    shown(server, show)


def test_a_round_of_another_kind_or_none_is_not_entered(server: str) -> None:
    async def show(table: Table) -> None:
        id_, now = await table.open("quiz", await table.now() + 60_000), await table.now()
        for round_, kind in ((id_, "lottery"), ("r_nobodys", "quiz")):
            said = await table.rounds.enter(Gate(table.room, round_, kind), "f", [row("ann", now, "0")])
            assert isinstance(said, Refusal)
            assert said.code is Code.NO_SUCH_ROUND
        assert await table.entries(id_) == []

    shown(server, show)


# --- as viewers see it ---


def test_nothing_is_frozen_or_revealed_before_half_a_second_behind_the_end(node: Node) -> None:
    async def show() -> None:
        room = make_room(node)
        async with guests(join(node, room, "host"), join(node, room, sub="ann")) as (host, ann):
            await host.ask("lottery.open", prize="cup", winners=1, seconds=1)
            await host.ask("quiz.open", question="Which?", choices=["this", "that"], right=0, seconds=1)
            await host.ask("count.open", keyword="tea", seconds=1)
            for opened, ended in (("lottery", "frozen"), ("quiz", "revealed"), ("count", "closed")):
                closes_at = (await ann.hear(f"{opened}.opened"))["closes_at"]
                assert closes_at + 500 <= (await ann.hear(f"{opened}.{ended}"))["ts"] < closes_at + 500 + 5000

    asyncio.run(show())


def test_who_presses_until_he_is_refused_is_let_in_until_the_end_and_not_much_longer(node: Node) -> None:
    async def show() -> None:
        room = make_room(node)
        async with guests(join(node, room, "host"), *(join(node, room, sub=f"v{n}") for n in range(40))) as people:
            host, *viewers = people
            id_ = (await host.ask("lottery.open", prize="cup", winners=1, seconds=1))["id"]
            closes_at = (await host.hear("lottery.opened"))["closes_at"]
            said = []
            for viewer in viewers:
                sent = (await viewer.ask("time.ping", c0=0))["s1"]
                reply = await viewer.ask("lottery.enter", id=id_)
                said.append((sent, reply, (await viewer.ask("time.ping", c0=0))["s1"]))
                await asyncio.sleep(0.05)
            frozen = await host.hear("lottery.frozen")
            accepted = [one for one in said if one[1]["t"] == "ok"]
            assert frozen["n"] == len(accepted)
            for before, reply, after in said:
                if after <= closes_at + GRACE_MS:
                    assert reply["t"] == "ok"
                if before > closes_at + GRACE_MS:
                    assert (reply["code"], reply["params"]) == ("ROUND_CLOSED", {"closed_at": closes_at})
            assert any(before > closes_at + GRACE_MS for before, _, _ in said)

    asyncio.run(show())
