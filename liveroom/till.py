"""The till: what viewers and the shop ask of a sale, gathered, judged by one script, answered when it is on disk.

When everything is gone most clicks need no Redis: see ``latch.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from msgspec import UNSET, json

from gameplay.play import Code, Own, Refusal
from gameplay.sale import Cancel, Claim, Wait, mine
from liveroom.asked import Asked, Done, wrong_state
from liveroom.ids import Ids
from liveroom.latch import Latches
from liveroom.store.clock import Clock
from liveroom.store.durable import Durability
from liveroom.store.gather import Gatherer
from liveroom.store.rooms import MISMATCH, TRY_LATER
from liveroom.store.sales import Sales, Shelf, Verdict, Wish

STALE_MS = 1500  # what waited longer would be refused by the script: it costs Redis nothing, and the queue gets short
TOO_LATE = -3
AT_ONCE = 500  # holds that expire with one call
RETRY_MS = 1000

NO_SUCH_HOLD = Refusal(Code.NO_SUCH_HOLD, message="there is no such hold in this room")
BUYERS_ONLY = Refusal(Code.NOT_ELIGIBLE, {"missing": [{"role": "viewer"}]}, "only viewers buy")
PAID_TWICE = Refusal(
    Code.IDEMPOTENCY_MISMATCH, {"refund_required": True}, "another payment was there first: give this one back"
)
PAUSED = Refusal(Code.SALE_PAUSED, message="the sale is paused", retry_after_ms=RETRY_MS)
DONE = (0, 1)


class Till:
    """Hands wishes in, and says how they went."""

    def __init__(
        self,
        sales: Sales,
        durability: Durability,
        clock: Clock,
        ids: Ids,
        *,
        seconds: float,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        crash: Callable[[str], None],
    ) -> None:
        self.sales = sales
        self.durability = durability
        self.clock = clock
        self.ids = ids
        self.spawn = spawn
        self.gatherer: Gatherer[Shelf, Wish, Verdict] = Gatherer(self.hand_in, seconds, spawn, crash)
        self.latches = Latches(sales, spawn)
        self.verbs: dict[type[Any], Callable[[Asked], None]] = {
            Claim: self.claim,
            Cancel: self.cancel,
            Wait: self.wait,
        }

    async def hand_in(self, shelf: Shelf, wishes: list[Wish]) -> Sequence[Verdict] | Refusal:
        if refusal := await self.durability.refusal():
            return refusal
        oldest = self.clock.now_ms() - STALE_MS
        fresh = [one for one in wishes if one.at >= oldest]
        if not fresh:
            return TRY_LATER
        verdicts = await self.sales.sell(shelf, self.ids.new(self.clock.now_ms()), fresh)
        if isinstance(verdicts, Refusal):
            return verdicts
        self.latches.note(shelf, verdicts[-1].stand)
        if len(fresh) == len(wishes):
            return verdicts
        late, judged = Verdict(TOO_LATE, b"", verdicts[-1].stand), iter(verdicts)
        return [next(judged) if one.at >= oldest else late for one in wishes]

    # -- viewers --

    def claim(self, asked: Asked) -> None:
        command, actor = asked.command, asked.actor
        assert isinstance(command, Claim)
        if actor.staff:
            return asked.refused(BUYERS_ONLY)
        shelf = Shelf(asked.room.info.id, command.id)
        held = self.latches.held(shelf, actor.viewer, command.qty, again=command.again)
        if held is not None:
            return asked.refused(sold_out(held))
        word = "" if command.idem is UNSET else command.idem
        hold = f"h{command.id.removeprefix('r')}_{self.ids.new(asked.at)}"
        wish = Wish("claim", asked.at, actor.viewer, actor.name, hold, command.qty, word)
        self.latches.asks(shelf, actor.viewer)

        def end(verdict: Verdict | Refusal) -> None:
            self.latches.answered(shelf, actor.viewer)
            asked.end(self.answer(verdict))

        return self.gatherer.add(shelf, wish, end)

    def cancel(self, asked: Asked) -> None:
        """A viewer lets his hold go."""
        command = asked.command
        assert isinstance(command, Cancel)
        wish = Wish("cancel", asked.at, asked.actor.viewer, hold=command.hold)
        self.gatherer.add(shelf_of(asked.room.info.id, command.hold), wish, lambda one: asked.end(self.of_hold(one)))

    def wait(self, asked: Asked) -> None:
        command = asked.command
        assert isinstance(command, Wait)
        if asked.actor.staff:
            return asked.refused(BUYERS_ONLY)
        wish = Wish("wait", asked.at, asked.actor.viewer)
        shelf = Shelf(asked.room.info.id, command.id)
        return self.gatherer.add(shelf, wish, lambda one: asked.end(self.answer(one)))

    # -- the shop --

    async def confirm(self, room: str, hold: str, payment: str, paid_at: int) -> Done:
        """A payment: the hold becomes an order."""
        wish = Wish("confirm", self.clock.now_ms(), hold=hold, word=payment, more=str(paid_at))
        return self.of_hold(await self.gatherer.ask(shelf_of(room, hold), wish))

    async def release(self, room: str, hold: str, reason: str) -> Done:
        """No payment will come, or it was given back."""
        wish = Wish("release", self.clock.now_ms(), hold=hold, more=reason)
        return self.of_hold(await self.gatherer.ask(shelf_of(room, hold), wish))

    # -- bells --

    def ring(self, room: str, round_id: str, what: str) -> None:
        """Holds have run out, or it is time to tell what is in stock."""
        self.spawn(self.rung(Shelf(room, round_id), what))

    async def rung(self, shelf: Shelf, what: str) -> None:
        verb = {"holds": "expire", "stock": "show"}[what]
        done = await self.gatherer.ask(shelf, Wish(verb, self.clock.now_ms(), qty=AT_ONCE))
        if isinstance(done, Refusal) and done.code is Code.NO_SUCH_ROUND:
            await self.sales.silence(shelf, what)

    # -- answers --

    def answer(self, verdict: Verdict | Refusal) -> Done:
        """What who claims, or waits, is told."""
        if isinstance(verdict, Refusal):
            return verdict
        if verdict.how in DONE:
            return {**json.decode(verdict.said), **self.durability.remark}
        return WHY_NOT[verdict.how](verdict)

    def of_hold(self, verdict: Verdict | Refusal) -> Done:
        """What is told of a hold. It is in the name of a hold which sale it is of: no such sale, no such hold."""
        if isinstance(verdict, Refusal):
            return NO_SUCH_HOLD if verdict.code is Code.NO_SUCH_ROUND else verdict
        return self.answer(verdict)


def shelf_of(room: str, hold: str) -> Shelf:
    """The sale that a hold is of is part of its name."""
    return Shelf(room, f"r{hold.removeprefix('h').rpartition('_')[0]}")


def sold_out(held: int) -> Refusal:
    """What is held may still come back; what is sold does not."""
    more = (RETRY_MS, True) if held else (None, False)
    return Refusal(Code.SALE_SOLD_OUT, {"held": held}, "sold out", *more)


def too_early(verdict: Verdict) -> Refusal:
    opens_at = verdict.stand.opens_at
    return Refusal(Code.SALE_NOT_OPEN, {"opens_at": opens_at}, "the sale is not open yet", RETRY_MS)


def closed(verdict: Verdict) -> Refusal:
    now = verdict.stand
    if now.state == "cancelled":
        return wrong_state(now.state, now.ver)
    return Refusal(Code.ROUND_CLOSED, {"closed_at": now.closes_at}, "the sale is closed")


def at_limit(verdict: Verdict) -> Refusal:
    parts = mine(Own("", 0, "", verdict.said.decode())) if verdict.said not in (b"", b"{}", b"[]") else None
    params = {"per_viewer": verdict.stand.per_viewer, "mine": parts}
    return Refusal(Code.SALE_LIMIT, params, "that is more than one viewer may have")


def expired(verdict: Verdict) -> Refusal:
    hold = json.decode(verdict.said)
    params = {"hold": hold["hold"], "state": hold["state"], "late_payment": True, "refund_required": True}
    return Refusal(Code.HOLD_EXPIRED, params, "the hold is over and nothing is free: give the payment back")


def paid(verdict: Verdict) -> Refusal:
    """Too late to let it go."""
    state = json.decode(verdict.said)["state"]
    return Refusal(Code.ROUND_STATE, {"state": state, "ver": verdict.stand.ver}, f"the hold is {state}")


WHY_NOT: dict[int, Callable[[Verdict], Refusal]] = {
    -1: too_early,
    -2: closed,
    -3: lambda _: TRY_LATER,
    -4: lambda _: PAUSED,
    -5: lambda verdict: sold_out(verdict.stand.held),
    -6: at_limit,
    -7: lambda _: MISMATCH,
    -9: lambda _: NO_SUCH_HOLD,
    -10: expired,
    -11: paid,
    -12: lambda _: PAID_TWICE,
}
