"""A room that sells, on several nodes: who is in it, what they ask, and a sale in sixty lines that says what is right.

The model is told one thing after the other. Where the order is not known (two at once, a hold that runs out meanwhile),
there are several worlds; each answer ends those in which it is wrong, and one must be left.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, cast

from websockets.exceptions import WebSocketException

from liveroom.cli.reconcile import compared
from liveroom.reconcile import differences
from liveroom.settings import Settings
from tests.house import Guest, House, Node, join, make_room, numbers, token
from tests.rounds.stage import Message, get, of, same_log

MUG: Message = {"item": "mug", "price": 990, "stock": 2}
UNTAKEN = "refused by a latch that may be right"
SURE = 20.0  # seconds in which what must happen does
LATCH_SECONDS = 0.5
AWAY = (AssertionError, OSError, TimeoutError, WebSocketException, ValueError)  # what a dead node's viewers see
Part = tuple[list[str], list[str], bool, bool]
PRIVATE = ("sale.held", "sale.released", "sale.offered", "sale.confirmed")


# --- the model ---------------------------------------------------------------------------------------


@dataclass
class Hold:
    viewer: str
    qty: int
    until: float
    state: str = "held"
    payment: str = ""
    rank: int = 0


@dataclass
class Sale:
    """A sale as it should be. Every verb gives the set of answers that are right; ``new`` is the hold that it told."""

    stock: int
    limit: int
    offer_ms: float = 0
    free: int = -1
    state: str = "open"
    ranks: int = 0
    holds: dict[str, Hold] = field(default_factory=dict)
    idems: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    queue: list[str] = field(default_factory=list)
    offers: dict[str, float] = field(default_factory=dict)  # viewer -> no end before then
    refused: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.free = self.stock if self.free < 0 else self.free

    def units(self, *states: str, viewer: str = "") -> int:
        return sum(one.qty for one in self.holds.values() if one.state in states and viewer in ("", one.viewer))

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Stock, left, held and sold."""
        return self.stock, self.free, self.units("held") + len(self.offers), self.units("sold")

    @property
    def shown(self) -> str:
        return "sold_out" if self.state == "open" and not self.free else self.state

    def part(self, viewer: str) -> Part:
        """What a viewer is shown: his holds, what of it is paid, and whether he waits or is offered one."""
        has = sorted((name, one.state) for name, one in self.holds.items() if one.viewer == viewer)
        kept = [name for name, state in has if state in ("held", "sold")]
        return kept, [name for name, state in has if state == "sold"], viewer in self.queue, viewer in self.offers

    def shut(self) -> set[str]:
        why = {"paused": "SALE_PAUSED", "closed": "ROUND_CLOSED", "cancelled": "ROUND_STATE"}
        return {why[self.state]} if self.state in why else set()

    def claim(self, viewer: str, idem: str, qty: int, new: str, until: float) -> set[str]:
        if (viewer, idem) in self.idems:
            before, hold = self.idems[viewer, idem]
            return {f"ok {hold}" if before == qty else "IDEMPOTENCY_MISMATCH"}
        if shut := self.shut():
            return shut
        has, left = self.units("held", "sold", viewer=viewer), self.free + (viewer in self.offers)
        wrong = ({"SALE_LIMIT"} if has + qty > self.limit else set()) | ({"SALE_SOLD_OUT"} if left < qty else set())
        if wrong:
            return wrong - {"SALE_SOLD_OUT"} if has >= self.limit else wrong
        self.free = left - qty
        self.offers.pop(viewer, None)
        self.queue = [one for one in self.queue if one != viewer]
        self.idems[viewer, idem] = qty, new
        fresh = new not in self.holds
        self.holds[new] = Hold(viewer, qty, until)
        return {f"ok {new}"} if fresh else {"a hold that is new"}

    def wait(self, viewer: str, now: float) -> set[str]:
        if shut := self.shut():
            return shut
        if self.units("held", "sold", viewer=viewer) >= self.limit:
            return {"SALE_LIMIT"}
        if viewer not in self.queue and viewer not in self.offers:
            self.queue.append(viewer)
            self.serve(now)
        return {"ok"}

    def serve(self, now: float) -> None:
        while self.state == "open" and self.free and self.queue:
            first = self.queue.pop(0)
            if self.units("held", "sold", viewer=first) < self.limit:
                self.free -= 1
                self.offers[first] = now + self.offer_ms

    def let_go(self, hold: Hold, state: str, now: float) -> None:
        hold.state = state
        self.free += hold.qty
        self.serve(now)

    def cancel(self, viewer: str, name: str, now: float) -> set[str]:
        hold = self.holds.get(name)
        if not hold or hold.viewer != viewer:
            return {"NO_SUCH_HOLD"}
        if hold.state in ("sold", "refunded"):
            return {"ROUND_STATE"}
        if hold.state == "held":
            self.let_go(hold, "cancelled", now)
        return {f"ok {hold.state} 0"}

    def release(self, name: str, now: float) -> set[str]:
        hold = self.holds.get(name)
        if not hold:
            return {"NO_SUCH_HOLD"}
        if hold.state in ("held", "sold"):
            self.let_go(hold, "refunded" if hold.state == "sold" else "cancelled", now)
        return {f"ok {hold.state} {hold.rank}"}

    def confirm(self, name: str, payment: str) -> set[str]:
        hold = self.holds.get(name)
        if not hold:
            return {"NO_SUCH_HOLD"}
        if hold.state == "sold":
            return {f"ok sold {hold.rank}" if hold.payment == payment else "IDEMPOTENCY_MISMATCH"}
        if hold.state == "refunded" and hold.payment == payment:
            return {f"ok refunded {hold.rank}"}  # given back already: not to be given back twice
        lapsed = hold.state == "expired" and self.free >= hold.qty
        late = lapsed and self.units("held", "sold", viewer=hold.viewer) + hold.qty <= self.limit
        if (name, payment) in self.refused or self.state == "cancelled" or not (hold.state == "held" or late):
            self.refused.add((name, payment))
            return {"HOLD_EXPIRED"}
        self.free -= hold.qty if hold.state == "expired" else 0
        self.ranks += 1
        hold.state, hold.payment, hold.rank = "sold", payment, self.ranks
        return {f"ok sold {hold.rank}"}

    def turn(self, verb: str, now: float, qty: int = 0) -> set[str]:
        """A host's command."""
        over = self.state in ("closed", "cancelled")
        to = {"pause": "paused", "resume": "open", "close": "closed", "cancel_all": "cancelled"}.get(verb, self.state)
        if over and (to != self.state or verb in ("restock", "extend")):
            return {"ROUND_STATE"}
        if verb == "restock":
            self.stock, self.free = self.stock + qty, self.free + qty
        self.state = to
        if to == "cancelled":
            for one in self.holds.values():
                one.until = 0
            self.offers = dict.fromkeys(self.offers, 0)
        self.serve(now)
        return {f"ok {self.shown}"}

    def lapsed(self, now: float) -> Iterator[Sale]:
        """What it is when one thing that may have run out by now has."""
        for name in [name for name, one in self.holds.items() if one.state == "held" and one.until <= now]:
            other = copy.deepcopy(self)
            hold = other.holds[name]
            other.let_go(hold, "cancelled" if self.state == "cancelled" else "expired", hold.until)
            yield other
        for viewer in [viewer for viewer, until in self.offers.items() if until <= now]:
            other = copy.deepcopy(self)
            other.free += 1
            other.serve(other.offers.pop(viewer))
            yield other


def spread(worlds: Iterable[Sale], now: float) -> list[Sale]:
    """These worlds, and all that they may have become by now."""
    found: list[Sale] = []
    fresh = list(worlds)
    while fresh:
        one = fresh.pop()
        if one not in found:
            found.append(one)
            fresh += one.lapsed(now)
    return found


def lasting(world: Sale, now: float) -> bool:
    """Whether nothing of it has run out by now."""
    return not any(world.lapsed(now))


# --- the room ----------------------------------------------------------------------------------------

Act = tuple[Callable[[Sale, str, float], set[str]], Coroutine[Any, Any, str]]


class Wrong(AssertionError):
    """Something was found wrong."""


class Stall:
    """One room with a host, and viewers who have a device on each node; ``wrong`` is all that was found wrong."""

    def __init__(self, nodes: list[Node], data: Path | None = None, *, offer_ms: float = 0) -> None:
        self.nodes = nodes
        self.data = data
        self.offer_ms = offer_ms
        self.room = make_room(nodes[0])
        self.devices: dict[str, list[Guest]] = {}
        self.ever: list[tuple[str, Guest]] = []
        self.sale = ""
        self.worlds: list[Sale] = []
        self.told: dict[str, set[str]] = {}  # hold -> the orders that were told of it
        self.last_gone = 0.0  # when everything was gone, by the loop's time
        self.wrong: list[str] = []
        self.steps = 0
        self.disturbed = False  # a node died

    async def begin(self, *viewers: str) -> Stall:
        for name in ("host", "watcher", *viewers):
            self.devices[name] = [await self.come(name, n) for n, _ in enumerate(self.nodes)]
        return self

    async def come(self, name: str, node: int) -> Guest:
        guest = await join(self.nodes[node], self.room, "host" if name == "host" else "viewer", name)
        self.ever.append((name, guest))
        return guest

    @property
    def inside(self) -> dict[str, Guest]:
        return {f"{name} at {n}": one for name, all_ in self.devices.items() for n, one in enumerate(all_)}

    async def leave(self) -> None:
        for _, guest in self.ever:
            await guest.leave()

    # -- asking --

    async def ask(self, name: str, node: int, kind: str, **fields: Any) -> Message:
        """A command, sent until it is known how it went: what a careful client does."""
        said: Message = {}
        for _ in range(100):
            try:
                said = await self.devices[name][node].ask(kind, 3, **fields)
            except AWAY:
                await self.reconnect(name, node)
                said = {"t": "error", "code": "TRY_LATER"}
            if said["t"] == "ok" or said["code"] not in ("TRY_LATER", "RATE_LIMITED"):
                return said
            fields |= {"again": True} if kind == "sale.claim" else {}
            await asyncio.sleep(0.3)
        raise AssertionError(f"{kind} was never answered: {said}")

    async def reconnect(self, name: str, node: int) -> None:
        with suppress(*AWAY):
            if self.devices[name][node].closed is not None:
                self.devices[name][node] = await self.come(name, node)

    async def shop(self, verb: str, hold: str, body: object, node: int = 0) -> tuple[int, Any]:
        """The shop's back end says that a hold was paid, or is not to be."""
        path = f"/v1/rooms/{self.room}/holds/{hold}/{verb}"
        for _ in range(100):
            key = token(self.room, "service", "shop")
            try:
                status, said = await asyncio.to_thread(self.nodes[node].http, "POST", path, body, key)
            except (OSError, HTTPException):
                status, said = 503, {}
            if status != 503:
                return status, said
            await asyncio.sleep(0.3)
        raise AssertionError(f"{path} was never answered")

    async def look(self, viewer: str = "watcher", node: int = 0, sale: str = "") -> Message:
        """The sale as a viewer may see it."""
        path = f"/v1/rooms/{self.room}/rounds/{sale or self.sale}"
        for _ in range(100):
            with suppress(OSError, ValueError, HTTPException):
                status, seen = await get(self.nodes[node], path, token(self.room, sub=viewer))
                if status == 200:
                    return dict(seen)
            await asyncio.sleep(0.3)
        raise AssertionError(f"{path} was never answered")

    # -- doing what the model does too --

    async def open(self, node: int = 0, **fields: Any) -> None:
        usual = {**MUG, "seconds": 86_400, "hold_seconds": 600}
        said = await self.ask("host", node, "sale.open", idem=f"open {next(numbers)}", **usual | fields)
        assert said["t"] == "ok", said
        self.sale = said["id"]
        terms = usual | fields
        self.worlds = [Sale(terms["stock"], terms.get("per_viewer", 1), self.offer_ms)]
        for guest in self.inside.values():
            await guest.wait(lambda one: one["t"] == "sale.opened" and one["id"] == self.sale)

    def claiming(self, viewer: str, node: int, idem: str, qty: int = 1, *, again: bool = True) -> Act:
        until = 0.0

        async def doing() -> str:
            nonlocal until
            may_be_latched = not again and self.time() < self.last_gone + LATCH_SECONDS + 0.1
            surely_not = await self.knows(viewer, node)
            more = {"again": True} if again else {}
            said = await self.ask(viewer, node, "sale.claim", id=self.sale, idem=idem, qty=qty, **more)
            until = said.get("until", 0.0)
            if said.get("code") == "SALE_SOLD_OUT" and may_be_latched:
                return "SALE_SOLD_OUT" if surely_not else UNTAKEN
            return f"ok {said['hold']}" if said["t"] == "ok" else str(said["code"])

        return lambda sale, said, now: sale.claim(viewer, idem, qty, said.removeprefix("ok "), until), doing()

    async def knows(self, viewer: str, node: int) -> bool:
        """Whether his node must know that he has something: it has heard of all that became of the sale."""
        if not all(world.units("held", "sold", viewer=viewer) for world in self.worlds):
            return False
        ver = max((one["ver"] for one in of(self.devices[viewer][node].heard, "sale.stock", self.sale)), default=0)
        return bool(ver >= (await self.look(node=node))["ver"])

    def waiting(self, viewer: str, node: int) -> Act:
        async def doing() -> str:
            return plain(await self.ask(viewer, node, "sale.wait", id=self.sale))

        return lambda sale, said, now: sale.wait(viewer, now), doing()

    def cancelling(self, viewer: str, node: int, hold: str) -> Act:
        async def doing() -> str:
            return of_hold(await self.ask(viewer, node, "sale.cancel", hold=hold))

        return lambda sale, said, now: sale.cancel(viewer, hold, now), doing()

    def confirming(self, hold: str, node: int, payment: str) -> Act:
        async def doing() -> str:
            _, said = await self.shop("confirm", hold, {"payment_id": payment, "paid_at": 1}, node)
            self.told.setdefault(hold, set()).update([said["order"]] if "order" in said else [])
            return of_hold(said)

        return lambda sale, said, now: sale.confirm(hold, payment), doing()

    def releasing(self, hold: str, node: int) -> Act:
        async def doing() -> str:
            return of_hold((await self.shop("cancel", hold, {"reason": "so"}, node))[1])

        return lambda sale, said, now: sale.release(hold, now), doing()

    def turning(self, verb: str, node: int, **fields: Any) -> Act:
        idem, more = f"{verb} {next(numbers)}", dict(fields)
        more |= {"reason": "so"} if verb == "cancel_all" else {}
        more |= {"seconds": 10} if verb == "extend" else {}

        async def doing() -> str:
            said = await self.ask("host", node, f"sale.{verb}", id=self.sale, idem=idem, **more)
            return f"ok {said['state']}" if said["t"] == "ok" else str(said["code"])

        return lambda sale, said, now: sale.turn(verb, now, fields.get("qty", 0)), doing()

    async def do(self, *acts: Act) -> list[str]:
        """All of these at once; then every answer must be right, in some order, and every number too."""
        before = now_ms()
        said = await asyncio.gather(*(doing for _, doing in acts))
        after = now_ms()
        done = [(rule, one) for (rule, _), one in zip(acts, said, strict=True) if one != UNTAKEN]
        worlds: list[Sale] = []
        for order in itertools.permutations(done):
            for world in spread(self.worlds, after):
                worlds += [one for one in self.after(world, order, before, after) if one not in worlds]
        if not worlds:
            right = [rule(copy.deepcopy(world), one, before) for world in self.worlds for rule, one in done]
            self.wrong.append(f"answered {said}, right alone: {right}, as it was: {self.worlds[0]}")
        self.worlds = worlds or self.worlds
        await self.check()
        self.stop_if_wrong()
        return said

    def stop_if_wrong(self) -> None:
        """Behind a wrong answer nobody knows what is right."""
        if self.wrong:
            raise Wrong("\n".join(self.wrong))

    def after(self, world: Sale, order: Sequence[Any], before: float, after: float) -> Iterator[Sale]:
        """What a world is behind all of these, if these answers are right in it."""
        if not order:
            yield world
            return
        (rule, said), *rest = order
        other = copy.deepcopy(world)
        if said in rule(other, said, before):
            for one in spread([other], after):
                yield from self.after(one, rest, before, after)

    # -- what must be true --

    async def check(self) -> None:
        """The numbers are right, also in themselves, and everybody still has what he was told he has."""
        self.steps += 1
        node = self.steps % len(self.nodes)
        seen = await self.look(node=node)
        stock, left, held, sold = counts = numbers_of(seen)
        if left + held + sold != stock or min(counts) < 0:
            self.wrong.append(f"left {left} + held {held} + sold {sold} is not the stock {stock}")
        if not left:
            self.last_gone = self.time()
        self.agree(f"{seen['state']} {counts}", lambda world: f"{world.shown} {world.counts}")
        for viewer in self.viewers:
            part = part_of(await self.look(viewer, node))
            self.agree(f"{viewer} has {part}", partial(has_part, viewer))
            if any(world.units("held", "sold", viewer=viewer) > world.limit for world in self.worlds):
                self.wrong.append(f"{viewer} has more than he may")

    def agree(self, seen: str, view: Callable[[Sale], str]) -> None:
        """Only worlds that look like that are left."""
        worlds = spread(self.worlds, now_ms())  # something may have run out just before it was looked at
        found = [world for world in worlds if view(world) == seen]
        if not found:
            self.wrong.append(f"seen: {seen}, right: {sorted({view(world) for world in worlds})}")
        self.worlds = found or self.worlds

    @property
    def viewers(self) -> list[str]:
        return [name for name in self.devices if name not in ("host", "watcher")]

    async def rest(self, margin_ms: float = 400) -> None:
        """Wait until nothing is left that has run out by now, or will soon."""
        deadline = self.time() + SURE
        while not self.wrong and not all(lasting(world, now_ms() + margin_ms) for world in self.worlds):
            now = now_ms()
            await asyncio.sleep(0.1)
            await self.check()
            settled = [world for world in self.worlds if lasting(world, now)]
            if self.time() > deadline and not settled:
                self.wrong.append(f"what ran out is still there: {self.worlds[0]}")
        self.stop_if_wrong()

    async def lapse(self, hold: str) -> None:
        """Wait until a hold has run out."""
        deadline = self.time() + SURE
        while self.worlds[0].holds[hold].state == "held" and not self.wrong:
            await asyncio.sleep(0.1)
            await self.check()
            if self.time() > deadline:
                self.wrong.append(f"what ran out is still there: {hold}")
        self.stop_if_wrong()

    def time(self) -> float:
        return asyncio.get_running_loop().time()

    # -- a node dies --

    async def kill(self, n: int, start: Callable[[], Node]) -> None:
        self.disturbed = True
        await asyncio.to_thread(self.nodes[n].kill)
        self.nodes[n] = await asyncio.to_thread(start)
        for name, devices in self.devices.items():
            devices[n].drop()
            for _ in range(100):
                try:
                    devices[n] = await self.come(name, n)
                    break
                except AWAY:
                    await asyncio.sleep(0.2)

    # -- the end --

    async def end(self) -> None:
        """Everybody has heard all, and the ledger has it."""
        text = f"the end {next(numbers)}"
        assert (await self.ask("host", 0, "room.notice", text=text, idem=text))["t"] == "ok"
        for guest in self.inside.values():
            await guest.hear("room.notice", SURE, text=text)
        await self.rest()
        await self.heard_all()
        self.wrong += [] if self.disturbed else list(same_log(cast(Any, self)))
        self.wrong += [*self.lives(), *self.private(), *self.orders()]
        if self.data:
            self.wrong += [f"reconcile: {one}" for one in await differing(self.data, self.room)]
            await self.recorded()

    async def heard_all(self) -> None:
        """Wait for the letters that the model knows of; those that do not come are missed below."""
        (world, *_) = self.worlds
        want = [(one.viewer, name) for name, one in world.holds.items() if one.payment]
        for viewer, name in want:
            for guest in self.devices[viewer]:
                with suppress(TimeoutError, AssertionError):
                    if not any(one.get("hold") == name for one in letters(guest, "sale.confirmed")):
                        await guest.hear("sale.confirmed", 5, hold=name)

    def lives(self) -> Iterator[str]:
        """The state goes only where it may, and each turn is told once."""
        heard = (one for _, guest in self.ever for one in guest.heard)
        log = {one["seq"]: one for one in heard if "seq" in one and one.get("id") == self.sale}
        state = ""
        for told in (log[seq] for seq in sorted(log)):
            step = state, told["t"].partition(".")[2]
            if step not in STATES:
                yield f"{step[1]} was told when it was {state}"
                return
            state = STATES[step]

    def private(self) -> Iterator[str]:
        """What is of one viewer is told to him, once on each of his connections, and to nobody else."""
        (world, *_) = self.worlds
        for name, guest in self.ever:
            heard = [one for one in guest.heard if one["t"] in PRIVATE and one["id"] == self.sale]
            for one in heard:
                hold = world.holds.get(one.get("hold", ""))
                if name not in self.viewers or (hold and hold.viewer != name) or ("hold" in one and not hold):
                    yield f"{name} was told {one}"
            told = Counter((one["t"], one["hold"], one.get("why", "")) for one in heard if "hold" in one)
            for (kind, which, _), often in told.items():
                if often > 1 and not self.disturbed:
                    yield f"{name} was told {kind} of {which} {often} times"
        for which, hold in world.holds.items():
            want = {"sale.confirmed"} if hold.payment else set()
            want |= {"sale.released"} if hold.state in ("expired", "cancelled", "refunded") else set()
            for guest in self.devices[hold.viewer]:
                found = {kind for kind in PRIVATE if any(one.get("hold") == which for one in letters(guest, kind))}
                if want - found:
                    yield f"{hold.viewer} was not told {want - found} of {which}"

    def orders(self) -> Iterator[str]:
        """One order for each payment that counted, and each its own."""
        (world, *_) = self.worlds
        for hold, orders in self.told.items():
            if len(orders) > 1:
                yield f"hold {hold} has the orders {orders}"
        all_ = [order for orders in self.told.values() for order in orders]
        if len(set(all_)) < len(all_):
            yield f"two holds have one order: {all_}"
        ranks = sorted(one.rank for one in world.holds.values() if one.rank)
        if ranks != list(range(1, len(ranks) + 1)):
            yield f"ranks are {ranks}"

    async def recorded(self) -> None:
        """The ledger has every hold as it is, and every order that was told, once."""
        (world, *_) = self.worlds
        assert self.data
        want = {name: (one.viewer, one.qty, one.state, one.rank) for name, one in world.holds.items()}
        asked = "select hold, viewer, qty, state, rank from holds where round = ?"
        holds = {name: tuple(rest) for name, *rest in House(self.data).recorded(asked, self.sale)}
        for name, (viewer, qty, now, rank) in want.items():  # its time was over since we looked
            if now == "held" and holds.get(name, ("",) * 4)[2] == "expired":
                want[name] = (viewer, qty, "expired", rank)
        if holds != want:
            self.wrong.append(f"the ledger has the holds {holds}, right: {want}")
        asked = "select hold, id, state from orders where round = ?"
        orders = sorted((hold, id_, state) for hold, id_, state in House(self.data).recorded(asked, self.sale))
        state = {name: "refunded" if one.state == "refunded" else "paid" for name, one in world.holds.items()}
        told = sorted((hold, one, state.get(hold, "")) for hold, all_ in self.told.items() for one in all_)
        if orders != told:
            self.wrong.append(f"the ledger has the orders {orders}, told: {told}")


STATES = {  # from a state, by an event, to a state
    ("", "opened"): "open",
    ("open", "sold_out"): "sold_out",
    ("sold_out", "reopened"): "open",
    ("open", "paused"): "paused",
    ("sold_out", "paused"): "paused",
    ("paused", "resumed"): "open",
    **{(state, told): state for state in ("open", "sold_out", "paused") for told in ("restocked", "extended")},
    **{(state, "closed"): "closed" for state in ("open", "sold_out", "paused")},
    **{(state, "cancelled"): "cancelled" for state in ("open", "sold_out", "paused")},
}


def has_part(viewer: str, world: Sale) -> str:
    return f"{viewer} has {world.part(viewer)}"


def plain(said: Message) -> str:
    return "ok" if said["t"] == "ok" else str(said["code"])


def of_hold(said: Message) -> str:
    return str(said["code"]) if "code" in said else f"ok {said['state']} {said.get('rank', 0)}"


def letters(guest: Guest, kind: str) -> list[Message]:
    """What somebody found in his inbox when he came, and what he heard since."""
    return [one for one in (*guest.welcome.get("snapshot", {}).get("inbox", []), *guest.heard) if one["t"] == kind]


def numbers_of(seen: Message) -> tuple[int, int, int, int]:
    """Stock, left, held and sold of a sale as it is shown."""
    counts = seen["counts"]
    return seen["opened"]["stock"], counts["left"], counts["held"], counts["sold"]


def part_of(seen: Message) -> Part:
    """A viewer's part as it is shown to him, in the words of the model."""
    mine = seen["mine"] or {}
    parts = mine.get("all", [mine])
    kept = sorted(one["hold"] for one in parts if "hold" in one)
    paid = sorted(one["hold"] for one in parts if "order" in one)
    return kept, paid, any("waiting" in one for one in parts), any("offered" in one for one in parts)


def now_ms() -> float:
    """Room time: the server runs on this machine."""
    return time.time() * 1000


async def differing(data: Path, room: str) -> list[str]:
    """What `liveroom reconcile` finds."""
    sales = await compared(Settings(data=str(data)), room, SURE)
    return [f"{sale.id}: {one}" for sale in sales for one in differences(sale)]
