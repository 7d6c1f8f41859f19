"""Sessions that scripts note as things happen against those that are found in the whole list afterwards."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liveroom.store import keys, scripts
from liveroom.store.keys import keys_of
from liveroom.store.server import client
from tests.audience.roll import EMPTY_MS, EPOCH, FORGOTTEN_MS, GRACE, LEASE, Found, Stage
from tests.audience.tally import ONE, Stay, cells_of

Play = Callable[[Callable[[Stage], Coroutine[Any, Any, None]]], None]


@pytest.fixture(scope="module")
def play(turned: str) -> Play:
    async def show(what: Callable[[Stage], Awaitable[None]]) -> None:
        redis = client(turned, 5)
        try:
            await redis.flushall()
            await scripts.load(redis)
            stage = Stage(redis)
            await stage.wait(0)
            await what(stage)
        finally:
            await redis.aclose()

    return lambda what: asyncio.run(show(what))


# random evenings


viewers, places = st.sampled_from(["ann", "bob", "cem"]), st.integers(0, 1)
pauses = st.sampled_from([0, 1, 700, GRACE - 1, GRACE, GRACE + 1, 4 * GRACE]) | st.integers(0, 2 * GRACE)
pytestmark = pytest.mark.timeout(180)  # hundreds of evenings

whys = st.sampled_from(["close", "background", "ping_timeout", "conn_error", "kick"])
acts = st.one_of(
    st.tuples(st.just("join"), viewers, places, st.sampled_from(["", "share"])),
    st.tuples(st.just("leave"), viewers, places, whys),
    st.tuples(st.just("silent"), viewers, places, st.integers(0, 5_000)),
    st.tuples(st.just("lose"), places),
    st.tuples(st.just("start")),
    st.tuples(st.just("stop")),
    st.tuples(st.just("wait"), pauses),
    st.tuples(st.just("wait"), pauses),
    st.tuples(st.just("idle")),
    st.tuples(st.just("night")),
)
# (what happens, whether it is told to Redis at once, which nodes tell it twice, whether somebody sweeps)
steps = st.tuples(acts, st.booleans(), st.sets(places), st.booleans())


async def act(stage: Stage, what: Any) -> None:
    match what:
        case "join", viewer, node, source:
            await stage.join(viewer, node, source)
        case "leave", viewer, node, why:
            await stage.leave(viewer, node, why)
        case "silent", viewer, node, ago:
            await stage.leave(viewer, node, "ping_timeout", since_heard(stage, viewer, ago))
        case "lose", node:
            await stage.note()
            await stage.lose(node)
        case ("start",):
            await stage.note()
            await stage.start()
        case ("stop",):
            await stage.note()
            await stage.stop()
        case "wait", ms:
            await stage.note()
            await stage.wait(ms)
        case _:
            await stage.note()
            for _ in range(3):
                await stage.wait(EMPTY_MS if what == ("idle",) else FORGOTTEN_MS)
                await stage.sweep()


def since_heard(stage: Stage, viewer: str, ago: int) -> int:
    """He fell silent so long ago, but not before anything else that is known of him: see the tests of ghosts."""
    known = [one.a for one in stage.ever if one.viewer == viewer]
    known += [one.b for one in stage.ever if one.viewer == viewer and one.b is not None]
    known += [end for _, end, *_ in stage.streams.values() if end]  # whoever was here then is finished
    return min(ago, stage.now - max(known, default=stage.now))


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(steps, max_size=30))
def test_what_is_noted_is_what_is_found_afterwards(play: Play, evening: list[Any]):
    async def show(stage: Stage) -> None:
        for what, at_once, twice, swept in evening:
            await act(stage, what)
            if at_once or swept:
                await stage.note(*twice)
            if swept:
                await stage.sweep()
            if at_once:
                await stage.check()
        await stage.over()
        told = await stage.told()
        known = {stream: those for stream, those in stage.known().items() if those}
        assert told == known

    play(show)


def test_cells_are_those_of_the_sessions(play: Play):
    """Field by field, also of who is here."""

    async def show(stage: Stage) -> None:
        await stage.start()
        stays = []
        for n in range(40):
            await stage.wait(1_337)
            await stage.join(f"v{n}", n % 2, ("", "share")[n % 3 == 0])
            start = stage.now - EPOCH
            stays.append(Stay(start, None, cohort=("direct", "share")[n % 3 == 0]))
            if n % 4 == 1:
                await stage.wait(n * 2_000)
                await stage.leave(f"v{n}", n % 2, "kick")
                stays[n] = stays[n]._replace(span=stage.now - EPOCH - start, why="kick")
            await stage.note()
            await stage.sweep()
        await stage.wait(GRACE + 1)
        await stage.wait(2_000)
        await stage.sweep()
        (stream,) = stage.streams
        cells, viewers = await stage.cells(stream), await stage.distinct(stream)
        of_sources = "sources", "unvouched", "S:"
        ours = {name: n for name, n in cells.items() if n and not name.startswith(of_sources)}
        assert ours == cells_of(stays)
        assert viewers[""] == 40

    play(show)


# one by one


def test_a_batch_that_is_sent_again_counts_once(play: Play):
    async def show(stage: Stage) -> None:
        await stage.join("ann", 0)
        await stage.note(0)
        await stage.wait(5_000)
        await stage.leave("ann", 0)
        await stage.note(0)
        await stage.note(0)
        await stage.over()
        assert list((await stage.told()).values()) == [[Found("ann", EPOCH, EPOCH + 5_000, True, 5_000)]]

    play(show)


def test_who_comes_and_goes_within_a_tick_was_here(play: Play):
    async def show(stage: Stage) -> None:
        await stage.join("ann", 0)
        await stage.leave("ann", 0)
        await stage.note()
        await stage.check()
        await stage.over()
        assert list((await stage.told()).values()) == [[Found("ann", EPOCH, EPOCH, True, 0)]]

    play(show)


@pytest.mark.parametrize(("gap", "sessions"), [(GRACE - 1, 1), (GRACE, 1), (GRACE + 1, 2)])
@pytest.mark.parametrize("swept", [False, True])
def test_a_gap_of_exactly_the_grace_is_none(play: Play, gap: int, sessions: int, swept: bool):
    async def show(stage: Stage) -> None:
        await stage.join("bob", 0)
        await stage.join("ann", 0)
        await stage.wait(5_000)
        await stage.leave("ann", 0)
        await stage.note()
        await stage.wait(gap)
        if swept:
            await stage.sweep()
        await stage.join("ann", 1)
        await stage.note()
        await stage.wait(5_000)
        await stage.over()
        (told,) = (await stage.told()).values()
        assert len([one for one in told if one.viewer == "ann"]) == sessions

    play(show)


def test_who_is_back_within_the_grace_is_back_though_his_node_says_so_a_tick_later(play: Play):
    """A node tells of a join within a tenth of a second, and whenever Redis answers; a sweep may come before it."""

    async def show(stage: Stage) -> None:
        await stage.join("bob", 0)
        await stage.join("ann", 0)
        await stage.wait(5_000)
        await stage.leave("ann", 0)
        await stage.note()
        await stage.wait(GRACE - 50)
        await stage.join("ann", 1)
        await stage.wait(100)
        await stage.sweep()
        await stage.note()
        await stage.wait(5_000)
        await stage.over()
        assert await stage.told() == stage.known()

    play(show)


def test_who_was_not_heard_of_when_a_stream_ended_is_known_up_to_where_he_was(play: Play):
    async def show(stage: Stage) -> None:
        await stage.start()
        await stage.join("ann", 0)
        await stage.note()
        await stage.wait(6_000)
        await stage.stop()
        await stage.leave("ann", 0, "ping_timeout", ago=2_000)
        await stage.note()
        for _ in range(3):
            await stage.wait(GRACE)
            await stage.sweep()
        (found,) = [one for those in (await stage.told()).values() for one in those]
        assert (found.ends - found.start, found.event, found.watch) == (4_000, False, 4_000)

    play(show)


def test_word_that_comes_behind_the_end_of_a_stream_begins_no_other(play: Play):
    async def show(stage: Stage) -> None:
        await stage.start()
        node = stage.nodes[0][0]
        node.came(stage.room, "ann", "")
        await stage.wait(100)
        await stage.stop()
        await node.flush()
        assert (await node.turn_stream(stage.room, "", "", "", stage.now)) == [2]
        node.came(stage.room, "bob", "", stage.now + 1)
        await stage.wait(100)
        await node.flush()
        now = await node.stream(stage.room)
        assert now is not None
        assert (now.end, now.by) == (0, "")

    play(show)


def test_batches_of_two_nodes_may_come_in_any_order(play: Play):
    async def show(stage: Stage) -> None:
        await stage.join("ann", 0)
        await stage.note()
        await stage.wait(5_000)
        await stage.join("ann", 1)
        await stage.wait(50)
        await stage.leave("ann", 0)
        await stage.nodes[0][0].flush()
        await stage.check()
        await stage.nodes[1][0].flush()
        await stage.check()
        await stage.wait(4_000)
        await stage.over()
        assert list((await stage.told()).values()) == [[Found("ann", EPOCH, EPOCH + 9_050, True, 9_050)]]

    play(show)


def test_a_lost_node_is_no_loss_of_those_who_are_on_another(play: Play):
    async def show(stage: Stage) -> None:
        for node in (0, 1):
            await stage.join("ann", node)
        await stage.join("bob", 0)
        await stage.join("cem", 0)
        await stage.note()
        await stage.wait(4_000)
        await stage.lose(0)
        await stage.join("cem", 1)
        await stage.note()
        await stage.check()
        lost = EPOCH + 4_000
        await stage.wait(2 * GRACE)
        await stage.sweep()
        assert list((await stage.told()).values()) == [[Found("bob", EPOCH, lost, True, 4_000)]]
        assert [one["why"] for one in await stage.facts()] == ["node_lost"]
        await stage.over()
        assert await stage.told() == stage.known()

    play(show)


def test_who_came_after_his_node_was_last_heard_of_was_here_for_no_time(play: Play):
    """He came back just before the tenth second, and his node was lost: he did not leave before he came."""

    async def show(stage: Stage) -> None:
        await stage.start()
        await stage.join("ann", 0)
        await stage.note()
        await stage.wait(5_000)
        await stage.leave("ann", 0)
        await stage.join("bob", 0)
        await stage.note()
        await stage.wait(4_990)
        await stage.join("cem", 0)
        stage.now += 20  # the lease is renewed only now and then
        await stage.redis.set("clock", stage.now)
        stage.nodes[0][0].came(stage.room, "ann", "")
        stage.nodes[0][1].rooms[stage.room].wanted["ann"] = 1
        await stage.redis.sadd(keys_of(stage.room, 1).here(stage.nodes[0][0].node), "ann")
        await stage.redis.hincrby(keys_of(stage.room, 1).seats, "ann", 1)
        await stage.note()
        stage.nodes[0] = stage.node()
        await stage.wait(LEASE + 1)
        await stage.bells()
        (stream,) = stage.streams
        cells = await stage.cells(stream)
        moves: Counter[int] = Counter()
        for name, n in cells.items():
            if name[:2] in ("J:", "L:"):
                moves[int(name[3:])] += n if name[0] == "J" else -n
        viewers = [sum(n for at, n in moves.items() if at <= t) for t in sorted(moves)]
        assert min(viewers) >= 0
        assert sum(moves.values()) == 0

    play(show)


async def watched(stage: Stage, viewer: str) -> list[float]:
    """As each node says."""
    return [await node.watched(stage.room, viewer) for node, _ in stage.nodes]


def test_how_long_he_watched_is_told_without_his_breaks_wherever_he_is(play: Play):
    async def show(stage: Stage) -> None:
        assert await watched(stage, "ann") == [0, 0]
        await stage.join("ann", 0)
        await stage.note()
        await stage.wait(4_000)
        assert await watched(stage, "ann") == [4, 4]
        await stage.leave("ann", 0)
        await stage.note()
        await stage.wait(GRACE)
        assert await watched(stage, "ann") == [4, 4]
        await stage.join("ann", 1)
        await stage.note()
        await stage.wait(2_500)
        assert await watched(stage, "ann") == [6.5, 6.5]
        await stage.leave("ann", 1)
        await stage.note()
        await stage.wait(GRACE + 2_000)
        await stage.sweep()
        assert await watched(stage, "ann") == [0, 0]

    play(show)


async def minutes(stage: Stage) -> dict[int, int]:
    """Who took part lightly, by minute of the stream."""
    await stage.note()
    (stream,) = stage.streams
    return {int(name.split(":")[2]): n for name, n in (await stage.cells(stream)).items() if name[:8] == "I:light:"}


@pytest.mark.parametrize("wait", [0, 15_000, 30_000, 45_000])
@pytest.mark.parametrize("nodes", [(0, 0), (0, 1)], ids=["one node", "two nodes"])
def test_who_takes_part_counts_once_in_each_minute_of_the_stream(play: Play, wait: int, nodes: tuple[int, int]):
    """Whatever minute it is on the wall."""

    async def show(stage: Stage) -> None:
        await stage.wait(wait)
        await stage.start()
        for second in range(5, 180, 10):
            await stage.wait(EPOCH + wait + second * 1000 - stage.now)
            stage.nodes[nodes[second // 10 % 2]][0].acted(stage.room, "ann", "light")
            await stage.note()
        assert await minutes(stage) == {0: 1, 1: 1, 2: 1}
        stage.nodes[0][0].acted(stage.room, "bob", "light")
        assert await minutes(stage) == {0: 1, 1: 1, 2: 2}
        (stream,) = stage.streams
        assert (await stage.distinct(stream))["light"] == 2

    play(show)


def test_who_takes_part_all_the_time_is_told_of_a_few_times_a_minute(play: Play):
    async def show(stage: Stage) -> None:
        node, told = stage.nodes[0][0], 0
        await stage.start()
        for _ in range(600):
            await stage.wait(100)
            node.acted(stage.room, "ann", "light")
            told += len(node.rolls)
            await node.flush()
        assert told <= 5

    play(show)


# ghosts


@pytest.mark.xfail(reason="a ghost that is noticed late on one node counts as watching until then")
def test_a_ghost_does_not_make_a_stay_longer_than_it_was(play: Play):
    """The connection on one node is dead since a while, which nobody knows yet, while he is back on the other."""

    async def show(stage: Stage) -> None:
        await stage.join("ann", 0)
        await stage.note()
        await stage.wait(4_000)  # here he is heard of for the last time
        await stage.wait(3_000)
        await stage.join("ann", 1)
        await stage.note()
        await stage.wait(2_000)
        await stage.leave("ann", 0, "ping_timeout", ago=5_000)
        await stage.note()
        await stage.wait(1_000)
        await stage.over()
        assert await stage.told() == stage.known()  # watch is 4 + 3 s: the union

    play(show)


def test_a_ghost_that_is_noticed_last_does_not_say_why_he_left(play: Play):
    async def show(stage: Stage) -> None:
        await stage.join("ann", 0)
        await stage.join("ann", 1)
        await stage.note()
        await stage.wait(5_000)
        await stage.leave("ann", 1, "close")
        await stage.note()
        await stage.wait(1_000)
        await stage.leave("ann", 0, "ping_timeout", ago=3_000)
        await stage.note()
        await stage.over()
        (fact,) = await stage.facts()
        assert (fact["ends"], fact["why"]) == (EPOCH + 5_000, "close")

    play(show)


def test_a_ghost_in_a_room_that_closes_does_not_shorten_the_stay(play: Play):
    async def show(stage: Stage) -> None:
        await stage.join("ann", 0)
        await stage.join("ann", 1)
        await stage.note()
        await stage.wait(5_000)
        await stage.leave("ann", 1, "close")
        await stage.note()
        await stage.wait(1_000)
        await stage.leave("ann", 0, "stream_end", ago=3_000)
        await stage.note()
        await stage.over()
        (fact,) = await stage.facts()
        assert fact["ends"] == EPOCH + 5_000

    play(show)


# streams


def test_whoever_is_here_attends_from_the_beginning_and_has_not_left_at_the_end(play: Play):
    async def show(stage: Stage) -> None:
        await stage.join("ann", 0)
        await stage.wait(3_000)
        await stage.note()
        await stage.start()
        await stage.note()
        await stage.wait(7_000)
        await stage.stop()
        await stage.sweep()
        told = await stage.told()
        assert [told[stream] for stream in stage.streams] == [
            [Found("ann", EPOCH, EPOCH + 3_000, False, 3_000)],
            [Found("ann", EPOCH + 3_000, EPOCH + 10_000, False, 7_000)],
        ]

    play(show)


def test_what_happens_as_a_stream_ends_does_not_keep_its_sessions_open(play: Play):
    """Many go as it ends: that must not silence the bell for those who stay in the room."""

    async def show(stage: Stage) -> None:
        await stage.start()
        for viewer in ("ann", "bob", "cem"):
            await stage.join(viewer, 0)
        await stage.note()
        await stage.wait(7_000)
        await stage.stop()
        await stage.leave("ann", 0)
        await stage.note()
        for _ in range(3):
            await stage.wait(1_000)
            await stage.sweep()
        (told,) = (await stage.told()).values()
        assert told == [Found(name, EPOCH, EPOCH + 7_000, False, 7_000) for name in ("ann", "bob", "cem")]

    play(show)


def test_a_stream_that_ends_as_soon_as_it_began_leaves_the_one_before_as_it_was(play: Play):
    """Nobody has swept in between."""

    async def show(stage: Stage) -> None:
        await stage.start()
        await stage.join("ann", 0)
        await stage.note()
        await stage.wait(7_000)
        await stage.stop()
        await stage.leave("ann", 0)
        await stage.start()
        await stage.stop()
        await stage.note()
        await stage.sweep()
        first = next(iter(stage.streams))
        assert (await stage.told())[first] == [Found("ann", EPOCH, EPOCH + 7_000, False, 7_000)]

    play(show)


def test_a_stream_that_began_by_itself_ends_when_nobody_was_here_for_ten_minutes(play: Play):
    async def show(stage: Stage) -> None:
        await stage.join("ann", 0)
        await stage.note()
        await stage.wait(5_000)
        await stage.leave("ann", 0)
        await stage.note()
        await stage.wait(GRACE + 2_000)
        await stage.sweep()
        await stage.wait(EMPTY_MS - 1)
        await stage.sweep()
        assert (await stage.nodes[0][0].stream(stage.room)).end == 0  # type: ignore[union-attr]
        await stage.wait(1)
        await stage.sweep()
        ended = await stage.nodes[0][0].stream(stage.room)
        assert ended is not None
        assert EPOCH + 5_000 + GRACE <= ended.end <= EPOCH + 7_000 + GRACE
        assert await stage.told() == stage.known()

    play(show)


def test_a_stream_that_a_host_forgot_ends_when_nobody_was_here_for_six_hours(play: Play):
    """A break is none; the room is told until it was."""

    async def show(stage: Stage) -> None:
        node = stage.nodes[0][0]
        told: list[str] = []

        async def forgotten(_: str, stream: str) -> None:
            told.append(stream)
            if len(told) == 1:
                raise TimeoutError

        node.forgotten = forgotten
        await stage.start()
        await stage.join("ann", 0)
        await stage.note()
        await stage.wait(5_000)
        await stage.leave("ann", 0)
        await stage.note()
        await stage.wait(GRACE + 2_000)
        await stage.sweep()
        await stage.wait(FORGOTTEN_MS - 1)
        await stage.sweep()
        assert (await node.stream(stage.room)).end == 0  # type: ignore[union-attr]
        await stage.wait(1)
        assert stage.room in await stage.rung(keys.sweeps(0))
        with pytest.raises(TimeoutError):
            await node.sweep_rooms([stage.room])
        await stage.look()
        ended = await node.stream(stage.room)
        assert ended is not None
        assert (ended.title, ended.end) == ("Evening", EPOCH + 7_000 + GRACE)
        for _ in range(2):
            await stage.wait(5_000)
            if stage.room in await stage.rung(keys.sweeps(0)):
                await node.sweep_rooms([stage.room])
        assert told == [ended.id] * 2
        assert await stage.told() == stage.known()
        assert await stage.redis.ttl(keys_of(stage.room, 1).cells(ended.id)) > 0

    play(show)


def test_the_stream_of_a_closed_room_ends_and_nobody_who_is_here_has_left(play: Play):
    async def show(stage: Stage) -> None:
        await stage.start()
        for viewer in ("ann", "bob", "cem"):
            await stage.join(viewer, 0)
        await stage.wait(3_000)
        await stage.leave("ann", 0)
        await stage.wait(GRACE + 2_000)
        await stage.leave("bob", 0)
        await stage.note()
        await stage.wait(2_000)
        await stage.nodes[0][0].close(stage.room)
        closed, stage.running = stage.now - EPOCH, ""
        await stage.leave("cem", 0, "stream_end")
        await stage.note()
        (told,) = (await stage.told()).values()
        assert told == [
            Found("ann", EPOCH, EPOCH + 3_000, True, 3_000),
            Found("bob", EPOCH, EPOCH + closed - 2_000, False, closed - 2_000),
            Found("cem", EPOCH, EPOCH + closed, False, closed),
        ]
        ended = await stage.nodes[0][0].stream(stage.room)
        assert ended is not None
        assert ended.end == EPOCH + closed
        at = keys_of(stage.room, 1)
        assert min([await stage.redis.ttl(key) for key in (at.stream, at.cells(ended.id), at.visitors(ended.id))]) > 0

    play(show)


def test_what_the_crowd_left_in_a_closed_room_is_kept_for_a_day_and_how_many_likes_for_good(play: Play):
    async def show(stage: Stage) -> None:
        at = keys_of(stage.room, 1)
        await stage.redis.lpush(at.chat, "hello")
        for key in (at.likers, at.commenters, at.likes):
            await stage.redis.hset(key, "ann", 1)
        await stage.nodes[0][0].close(stage.room)
        kept = [await stage.redis.ttl(key) for key in (at.chat, at.likers, at.commenters, at.likes)]
        assert kept == [pytest.approx(24 * 3600, abs=60)] * 3 + [-1]

    play(show)


def test_in_a_closed_room_no_stream_begins(play: Play):
    async def show(stage: Stage) -> None:
        node = stage.nodes[0][0]
        await node.close(stage.room)
        await stage.wait(1)
        node.came(stage.room, "ann", "")
        await node.flush()
        assert await node.turn_stream(stage.room, "s1", "Evening", "host", stage.now) == [3]
        assert await node.stream(stage.room) is None
        assert await stage.redis.hlen(keys_of(stage.room, 1).sessions) == 0

    play(show)


@pytest.mark.parametrize("begun", [True, False], ids=["by a host", "by itself"])
def test_what_was_closed_while_its_node_died_is_noticed_within_a_minute(play: Play, begun: bool):
    """Nobody comes or goes, so nothing else is due."""

    async def show(stage: Stage) -> None:
        node = stage.nodes[0][0]

        async def closed(rooms: Sequence[str]) -> set[str]:
            return set(rooms)

        if begun:
            await stage.start()
        await stage.join("ann", 0)
        await stage.note()
        await stage.sweep()
        await stage.wait(60_000)
        assert stage.room in await stage.rung(keys.sweeps(0))
        node.closed = closed
        await node.sweep_rooms([stage.room])
        (told,) = (await stage.told()).values()
        assert told == [Found("ann", EPOCH, EPOCH + 60_000, False, 60_000)]
        assert (await node.stream(stage.room)).end == EPOCH + 60_000  # type: ignore[union-attr]

    play(show)


def test_whether_rooms_are_closed_may_stay_unknown(play: Play):
    async def show(stage: Stage) -> None:
        node = stage.nodes[0][0]

        async def closed(_: Sequence[str]) -> set[str]:
            raise ConnectionError

        node.closed = closed
        await stage.join("ann", 0)
        await stage.note()
        await stage.wait(5_000)
        await stage.leave("ann", 0)
        await stage.note()
        await stage.wait(2 * GRACE)
        await node.sweep_rooms([stage.room])
        assert [len(those) for those in (await stage.told()).values()] == [1]

    play(show)


def test_who_came_is_told_of_a_stream_that_is_over_by_its_name(play: Play):
    """A host stopped it: it did not begin by itself, and has its title."""

    async def show(stage: Stage) -> None:
        await stage.start()
        await stage.wait(1_000)
        await stage.stop()
        ended = await stage.nodes[0][0].stream(stage.room)
        assert ended is not None
        assert (ended.title, ended.by) == ("Evening", "host")

    play(show)


def test_more_than_the_first_eleven_sources_are_others(play: Play):
    async def show(stage: Stage) -> None:
        for n in range(14):
            await stage.join(f"v{n}", 0, f"source{n % 13}")
        await stage.note()
        (stream,) = stage.streams
        cells = await stage.cells(stream)
        counted = {name.split(":")[1]: n // ONE for name, n in cells.items() if name.startswith("O:")}
        assert counted == {**{f"source{n}": 1 for n in range(11)}, "source0": 2, "other": 2}

    play(show)


def test_made_up_sources_take_no_place_of_those_that_tokens_name(play: Play):
    async def show(stage: Stage) -> None:
        node = stage.nodes[0][0]
        for n in range(14):
            node.came(stage.room, f"liar{n}", f"x{n}")
        node.came(stage.room, "ann", "")
        for n in range(13):
            node.came(stage.room, f"v{n}", f"shop{n}", vouched=True)
        node.came(stage.room, "bob", "x3", vouched=True)
        node.came(stage.room, "cem", "shop3")
        await node.flush()
        found = await node.stream(stage.room)
        assert found is not None
        cells = await stage.cells(found.id)
        counted = {name.split(":")[1]: n // ONE for name, n in cells.items() if name.startswith("O:")}
        kept = {f"{name}{n}": 1 for name, most in (("x", 11), ("shop", 10)) for n in range(most)}
        assert counted == {**kept, "direct": 1, "x3": 2, "shop3": 2, "other": 3 + 3}

    play(show)


def test_thousands_are_finished_some_at_a_time(play: Play):
    async def show(stage: Stage) -> None:
        await stage.start()
        for n in range(1_300):
            stage.nodes[0][0].came(stage.room, f"v{n}", "")
        while stage.nodes[0][0].rolls:
            await stage.nodes[0][0].flush()
        await stage.wait(5_000)
        await stage.stop()
        done: list[int] = []
        while (done[-1:] != [0] or len(done) < 3) and len(done) < 20:
            done.append(await stage.sweep())
        assert sum(done) == 1_300
        assert max(done) < 1_300
        await stage.check()

    play(show)
