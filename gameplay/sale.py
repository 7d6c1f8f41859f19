"""Countdown flash sale: exactly the stock is sold, and whoever was told "held" has it until he pays or lets it lapse.

    announced → open ⇄ sold_out → closed          a unit: free → held → sold
                  ⇅ paused     ↘ cancelled

Who gets a unit is decided by ``store/lua/sell.lua``, together with the numbers; what is here is the host's side. At
any time free + held + sold = stock, none is negative, and nobody has more than ``per_viewer`` held and sold.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, json
from msgspec.structs import replace

from gameplay.play import (
    BELL_MS,
    Command,
    HoldId,
    HostCommand,
    Letter,
    Millis,
    Move,
    Opened,
    OpenRound,
    Own,
    Played,
    PrivateEvent,
    Progress,
    Reading,
    Reason,
    Refusal,
    Round,
    RoundCommand,
    RoundEvent,
    Short,
    Step,
    Turn,
    bad,
    states,
)
from gameplay.text import shown

LOOK_AGAIN_MS = 5000  # whether the last hold of a closed sale is gone
LATE = "it could not be opened in time"

Stock = Annotated[int, Meta(ge=1, le=10**7)]
Quantity = Annotated[int, Meta(ge=1, le=100)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)")]
Seconds = Annotated[int, Meta(ge=1, le=86400)]


# --- messages --------------------------------------------------------------------------------------


class Relaxed(Struct, frozen=True, kw_only=True):
    """``durability`` is there where the operator sells although Redis may lose what it acknowledges."""

    durability: Literal["relaxed"] | UnsetType = UNSET


class SaleMade(Relaxed, frozen=True, kw_only=True):
    id: str


class Holding(Relaxed, frozen=True, kw_only=True):
    """The claim was good: this is his until then."""

    hold: str
    until: Millis
    qty: int


class HoldStands(Relaxed, frozen=True, kw_only=True):
    """``late``: it was paid after it had run out, and could be had all the same."""

    hold: str
    state: Literal["held", "sold", "cancelled", "expired", "refunded"]
    order: str | UnsetType = UNSET
    rank: int | UnsetType = UNSET
    late: bool | UnsetType = UNSET


class InLine(Relaxed, frozen=True, kw_only=True):
    """His place among those who wait, from 1; 0: a unit is offered to him already."""

    place: int


class Open(OpenRound, frozen=True, kw_only=True, tag="sale.open"):
    """``price`` in minor units of ``currency`` (ISO 4217; the room's, if left out)."""

    answer = SaleMade

    item: Short
    price: Annotated[int, Meta(ge=0, le=10**12)]
    stock: Stock
    per_viewer: Quantity = 1
    currency: Currency | UnsetType = UNSET
    seconds: Seconds = 180
    hold_seconds: Annotated[int, Meta(ge=1, le=3600)] = 120


class Claim(RoundCommand, frozen=True, kw_only=True, tag="sale.claim"):
    answer = Holding

    qty: Quantity = 1
    again: bool = False  # it was sent before, and perhaps not answered


class Cancel(Command, frozen=True, kw_only=True, tag="sale.cancel"):
    """A viewer lets his hold go."""

    answer = HoldStands

    hold: HoldId


class Wait(RoundCommand, frozen=True, tag="sale.wait"):
    """A unit that comes free is offered to who waits longest."""

    answer = InLine


class Extend(HostCommand, frozen=True, kw_only=True, tag="sale.extend"):
    seconds: Seconds


class Restock(HostCommand, frozen=True, kw_only=True, tag="sale.restock"):
    qty: Stock


class Pause(HostCommand, frozen=True, tag="sale.pause"):
    pass


class Resume(HostCommand, frozen=True, tag="sale.resume"):
    pass


class Close(HostCommand, frozen=True, tag="sale.close"):
    """No more claims; what is held may still be paid."""


class CancelAll(HostCommand, frozen=True, kw_only=True, tag="sale.cancel_all"):
    """The sale is off: every hold is released, every paid order is to be refunded."""

    reason: Reason


class SaleOpened(Opened, frozen=True, kw_only=True, tag="sale.opened"):
    item: str
    price: int
    currency: str
    stock: int
    per_viewer: int
    hold_seconds: int


class Announced(SaleOpened, frozen=True, kw_only=True, tag="sale.announced"):
    """The countdown runs until ``opens_at``."""


class SoldOut(RoundEvent, frozen=True, tag="sale.sold_out"):
    """Nothing is free; what is held may still come back."""


class Reopened(RoundEvent, frozen=True, tag="sale.reopened"):
    """Something is free again."""


class Paused(RoundEvent, frozen=True, tag="sale.paused"):
    reason: str = ""


class Resumed(RoundEvent, frozen=True, tag="sale.resumed"):
    closes_at: int


class Extended(RoundEvent, frozen=True, tag="sale.extended"):
    closes_at: int


class Restocked(RoundEvent, frozen=True, tag="sale.restocked"):
    qty: int
    stock: int


class Closed(RoundEvent, frozen=True, tag="sale.closed"):
    pass


class Cancelled(RoundEvent, frozen=True, tag="sale.cancelled"):
    reason: str


class InStock(Progress, frozen=True, tag="sale.stock"):
    left: int
    held: int
    sold: int


class Held(PrivateEvent, frozen=True, tag="sale.held"):
    """This is his until then."""

    hold: str
    until: Millis
    qty: int


class Released(Letter, frozen=True, tag="sale.released"):
    """The hold is over: ``why`` is expired, cancelled or refunded."""

    hold: str
    why: str
    qty: int


class Offered(Letter, frozen=True, tag="sale.offered"):
    """A claim until then gets it."""

    until: Millis
    qty: int


class Confirmed(Letter, frozen=True, tag="sale.confirmed"):
    """It is paid; ``rank`` is that of the payments, from 1."""

    hold: str
    order: str
    rank: int
    qty: int


# --- rules -----------------------------------------------------------------------------------------


def check(opens: Open) -> Refusal | None:
    return None if shown(opens.item) else bad("item", "the item is empty")


def completes(opens: Open, currency: str) -> Open:
    return replace(opens, currency=currency) if opens.currency is UNSET else opens


def counters(opens: Open) -> dict[str, int | str]:
    """What ``sell.lua`` counts, and the limits it goes by."""
    numbers = {"stock": opens.stock, "free": opens.stock, "held": 0, "sold": 0, "ranks": 0}
    limits = {"per_viewer": opens.per_viewer, "hold_ms": opens.hold_seconds * 1000}
    return {**numbers, **limits, "counts": json.encode({"left": opens.stock, "held": 0, "sold": 0}).decode()}


def offer(played: Played[Open]) -> dict[str, Any]:
    opens = played.opens
    each = f"{opens.per_viewer} each" if opens.per_viewer > 1 else "one each"
    stock = played.numbers.get("stock", opens.stock)  # more may have been brought since it was announced
    rules = f"Claim before it is gone: {stock} in stock, {each}. Held for {opens.hold_seconds} s; then pay."
    return {
        "rules": rules,
        "item": shown(opens.item),
        "price": opens.price,
        "currency": opens.currency,
        "stock": stock,
        "per_viewer": opens.per_viewer,
        "hold_seconds": opens.hold_seconds,
    }


def announcing(played: Played[Open], reading: Reading) -> Announced:
    return Announced(**offer(played))


def opening(played: Played[Open], reading: Reading) -> SaleOpened:
    return SaleOpened(**offer(played))


def off(reason: str) -> Move:
    bells = dict.fromkeys(("open", "close"))
    return Move(to="cancelled", tell=Cancelled(reason), bells={**bells, "settle": 0})


def missed(played: Played[Open]) -> Move:
    """A start that an outage kept back for long: nobody counts down to it any more."""
    return off(LATE)


def close(played: Played[Open], reading: Reading, command: Close | None = None) -> Move:
    ends = min(reading.now, played.closes_at)
    return Move(to="closed", tell=Closed(), bells={"open": None, "close": None, "settle": 0}, closes_at=ends)


def settle(played: Played[Open], reading: Reading) -> Move:
    """A sale hangs on the wall as long as something of it is held: it may still be paid."""
    if played.numbers["held"]:
        return Move(to=played.state, bells={"settle": reading.now + LOOK_AGAIN_MS})
    return Move(to=played.state, bells={"settle": None}, ends=True)


def pause(played: Played[Open], reading: Reading, command: Pause) -> Move:
    return Move(to="paused", tell=Paused())


def resume(played: Played[Open], reading: Reading, command: Resume) -> Move:
    return Move(to="open", tell=Resumed(played.closes_at))


def extend(played: Played[Open], reading: Reading, command: Extend) -> Move:
    ends = played.closes_at + command.seconds * 1000
    bells = {} if played.state == "announced" else {"close": ends + BELL_MS}
    return Move(to=played.state, tell=Extended(ends), bells=bells, closes_at=ends, amends={"closes_at": ends})


def restock(played: Played[Open], reading: Reading, command: Restock) -> Move:
    stock = played.numbers["stock"] + command.qty
    adds = {"stock": command.qty, "free": command.qty}
    return Move(to=played.state, tell=Restocked(command.qty, stock), adds=adds, amends={"stock": stock})


def cancel_all(played: Played[Open], reading: Reading, command: CancelAll) -> Move:
    return off(shown(command.reason))


def mine(own: Own) -> dict[str, Any]:
    """The newest of a viewer's parts that he may still pay, else the newest; ``all`` where there are more."""
    parts: list[dict[str, Any]] = json.decode(own.word)
    newest = next((one for one in reversed(parts) if "order" not in one), parts[-1])
    return {**newest, "all": parts} if len(parts) > 1 else newest


SELLING = states("open", "sold_out")
ON = states("announced", "open", "sold_out", "paused")

PLAY = Round(
    kind="sale",
    opens=Open,
    announced=Announced,
    opened=SaleOpened,
    announcing=announcing,
    opening=opening,
    settle=settle,
    settle_reads=frozenset(),
    events=(
        *(SoldOut, Reopened, Paused, Resumed, Extended, Restocked, Closed, Cancelled),
        *(InStock, Held, Released, Offered, Confirmed),
    ),
    check=check,
    completes=completes,
    mine=mine,
    verbs=(Claim, Cancel, Wait),
    counters=counters,
    grants=frozenset({"holds", "stock"}),
    steps={
        "close": Step(close, SELLING | {"paused"}),
        "settle": Step(settle, states("closed", "cancelled")),
    },
    turns={
        Extend: Turn(extend, ON),
        Restock: Turn(restock, ON),
        Pause: Turn(pause, SELLING, states("paused")),
        Resume: Turn(resume, states("paused"), SELLING),
        Close: Turn(close, SELLING | {"paused"}, states("closed")),
        CancelAll: Turn(cancel_all, ON, states("cancelled")),
    },
    late=missed,
)
