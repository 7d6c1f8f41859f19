"""How long nothing has happened, as hosts who watch the audience are told it: minutes go by when the test says so."""

from typing import Any

import pytest

from gameplay import lottery, quiz, sale, sprint
from gameplay.play import Event, RoundEvent
from liveroom.protocol import PlayAnnounced
from tests.audience.balcony import MINUTE, Balcony, Sit, heard
from tests.test_hub import Guest

MUG: dict[str, Any] = {
    **{"id": "r_1", "rules": "", "opens_at": 1, "closes_at": 1, "item": "Mug", "price": 990, "currency": "EUR"},
    **{"stock": 1, "per_viewer": 1, "hold_seconds": 120},
}


def hints(host: Guest) -> list[tuple[float, str]]:
    return [(one["minutes"], one["level"]) for one in heard(host, "rhythm.hint")]


async def after(balcony: Balcony, ms: int) -> None:
    await balcony.stage.wait(ms)
    await balcony.push()


@pytest.mark.parametrize(
    ("ms", "level"),
    [
        (0, "fine"),
        (15 * MINUTE - 1, "fine"),
        (15 * MINUTE, "warn"),
        (20 * MINUTE - 1, "warn"),
        (20 * MINUTE, "alarm"),
        (300 * MINUTE, "alarm"),
    ],
)
def test_a_quarter_of_an_hour_without_anything_is_a_warning_and_twenty_minutes_an_alarm(sit: Sit, ms: int, level: str):
    async def show(balcony: Balcony) -> None:
        host = balcony.watching("h1")
        await after(balcony, ms)
        assert hints(host) == [(round(ms / MINUTE, 1), level)]

    sit(show)


def test_it_is_said_once_a_minute_and_when_it_gets_worse_or_better(sit: Sit):
    async def show(balcony: Balcony) -> None:
        host = balcony.watching("h1")
        for _ in range(16 * 4):
            await after(balcony, MINUTE // 4)
        assert [minutes for minutes, _ in hints(host)] == [0.2, *range(1, 17)]
        assert len(heard(host)) == 64  # the numbers come every time
        balcony.happens(sale.SoldOut(id="r_1"))
        await after(balcony, 0)
        await after(balcony, 1)
        assert hints(host)[-2:] == [(16.0, "warn"), (0.0, "fine")]

    sit(show)


@pytest.mark.parametrize(
    "event",
    [
        sale.SaleOpened(**MUG),
        sale.SoldOut(id="r_1"),
        lottery.Drawn((), 0, (), "", lottery.Proof("", ""), id="r_1"),
        quiz.Revealed(0, "", (), id="r_1"),
        sprint.Reached(500, id="r_1"),
    ],
    ids=lambda event: event.__struct_config__.tag,
)
def test_what_is_opened_drawn_revealed_reached_or_sold_out_is_a_high_point(sit: Sit, event: RoundEvent):
    async def show(balcony: Balcony) -> None:
        host = balcony.watching("h1")
        await balcony.stage.wait(19 * MINUTE)
        balcony.happens(event)
        await after(balcony, 15 * MINUTE - 1)
        await after(balcony, 1)
        assert hints(host) == [(15.0, "fine"), (15.0, "warn")]

    sit(show)


@pytest.mark.parametrize(
    "event",
    [
        sale.Announced(**MUG),
        sale.Restocked(1, 2, id="r_1"),
        sale.Reopened(id="r_1"),
        sale.Closed(id="r_1"),
        lottery.Cancelled('{"t":"lottery.opened"}', id="r_1"),
        PlayAnnounced("sale.opened", 1),
    ],
    ids=lambda event: event.__struct_config__.tag,
)
def test_what_only_prepares_or_ends_something_is_none(sit: Sit, event: Event):
    async def show(balcony: Balcony) -> None:
        host = balcony.watching("h1")
        await balcony.stage.wait(19 * MINUTE)
        balcony.happens(event)
        await after(balcony, MINUTE)
        assert hints(host) == [(20.0, "alarm")]

    sit(show)


def test_the_newest_high_point_counts_and_none_of_the_stream_before(sit: Sit):
    async def show(balcony: Balcony) -> None:
        host = balcony.watching("h1")
        balcony.happens(sale.SoldOut(id="r_1"))
        await balcony.stage.wait(10 * MINUTE)
        balcony.happens(sale.SoldOut(id="r_2"))
        await after(balcony, 6 * MINUTE)
        await balcony.stage.stop()
        await balcony.stage.wait(90 * MINUTE)
        await balcony.stage.start()
        await after(balcony, 14 * MINUTE)
        await after(balcony, 6 * MINUTE)
        assert hints(host) == [(6.0, "fine"), (14.0, "fine"), (20.0, "alarm")]

    sit(show)


def test_nothing_has_to_happen_when_the_stream_is_over(sit: Sit):
    async def show(balcony: Balcony) -> None:
        host = balcony.watching("h1")
        await after(balcony, 15 * MINUTE)
        await balcony.stage.stop()
        await after(balcony, 30 * MINUTE)
        assert hints(host) == [(15.0, "warn")]
        assert [one["stream"]["live"] for one in heard(host)] == [True, False]

    sit(show)


def test_it_says_how_many_left_in_the_last_minute_and_how_much_is_said(sit: Sit):
    async def show(balcony: Balcony) -> None:
        host, stage = balcony.watching("h1"), balcony.stage
        for viewer in ("ann", "bob", "cem"):
            await stage.join(viewer, 0)
        await stage.note()
        await stage.wait(10 * MINUTE)
        await stage.leave("ann", 0)
        await stage.note()
        await stage.wait(5 * MINUTE)
        for viewer in ("bob", "cem"):
            await stage.leave(viewer, 0)
        await stage.note()
        for _ in range(3):
            balcony.scene.say(6)
            balcony.scene.hub.second(balcony.room)
        await after(balcony, 30_000)
        await after(balcony, 45_000)
        assert [one["leaves"] for one in heard(host, "rhythm.hint")] == [2, 0]
        assert heard(host, "rhythm.hint")[0]["comments"] == pytest.approx(6 * (1 - (2 / 3) ** 3), abs=0.05)

    sit(show)
