"""Facts as the outbox holds them, and an outbox in memory."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from liveroom.ledger.facts import Fact

NOW = 1_763_640_000_000

numbers = itertools.count(1)


def fact(what: str, room: str = "demo", **fields: Any) -> Fact:
    """Lists and objects as JSON, None as nothing."""
    said = {"id": f"f{next(numbers)}", "room": room, "what": what} | fields
    return {name.encode(): as_bytes(value) for name, value in said.items()}


def as_bytes(value: Any) -> bytes:
    match value:
        case None:
            return b""
        case bytes():
            return value
        case list() | dict():
            return json.dumps(value, ensure_ascii=False).encode()
    return str(value).encode()


def created(room: str = "demo", title: str = "Demo", at: int = NOW) -> Fact:
    return fact("room.created", room, title=title, currency="EUR", created=at)


def told(kind: str, seq: int, room: str = "demo", ts: int = NOW, **fields: Any) -> Fact:
    return fact("event", room, epoch="e1", actor="host", event={"seq": seq, "ts": ts, "t": kind, **fields})


def commanded(kind: str, round_id: str = "", room: str = "demo", at: int = NOW, **fields: Any) -> Fact:
    body = {"t": kind, **fields}
    return fact("command", room, round=round_id, actor="host", role="host", at=at, before=0, after=1, body=body)


def moved(
    round_id: str = "r_1", kind: str = "lottery", state: str = "open", ver: int = 1, room: str = "demo", **fields: Any
) -> Fact:
    usual = {"opens_at": NOW, "opened_at": NOW, "closes_at": NOW + 60_000, "by": "host", "at": NOW + ver}
    usual |= {"opened": {"rules": "Take part."}, "kept": {"ver": ver}, "command": None, "wins": None, "loses": None}
    return fact("round", room, round=round_id, kind=kind, state=state, ver=ver, **usual | fields)


def entry(n: int, viewer: str = "", name: str = "", word: str = "", at: int = NOW) -> list[Any]:
    return [n, viewer or f"u{n}", name or f"Viewer {n}", f"{n:064x}", word, 12, at]


def entered(rows: Sequence[Any], round_id: str = "r_1", kind: str = "lottery", room: str = "demo") -> Fact:
    return fact("entries", room, round=round_id, kind=kind, entries=list(rows))


def win(viewer: str, place: int = 1, prize: str = "A cup") -> list[Any]:
    return [viewer, viewer.title(), f"tag of {viewer}", place, prize]


def claimed(*viewers: str, round_id: str = "r_1", room: str = "demo") -> Fact:
    return fact("claims", room, round=round_id, claims=[[viewer, NOW] for viewer in viewers])


SALE = {"rules": "Claim it.", "item": "Teapot", "price": 1999, "currency": "EUR", "stock": 5, "per_viewer": 2}


def hold(hold_id: str, viewer: str = "ann", state: str = "held", v: int = 1, **said: Any) -> dict[str, Any]:
    """A record as Redis keeps it: what is empty is left out."""
    usual = {"name": viewer.title(), "qty": 1, "until": NOW + 120_000, "made": NOW, "at": NOW + v, "idem": ""}
    return {"hold": hold_id, "viewer": viewer, "state": state, "v": v, **usual, **said}


def bought(hold_id: str, viewer: str = "ann", v: int = 2, **said: Any) -> dict[str, Any]:
    """One that was paid."""
    usual = {"order": f"o{hold_id[1:]}", "rank": 1, "payment": f"p{hold_id[1:]}", "paid_at": NOW + 50}
    return hold(hold_id, viewer, **{"state": "sold", "v": v, **usual, **said})


def held(*records: dict[str, Any], round_id: str = "r_s", room: str = "demo", sale: Any = SALE) -> Fact:
    return fact("holds", room, round=round_id, sale=sale, holds=list(records))


def owed(hold_id: str, viewer: str = "ann", payment: str = "p", why: str = "paid too late", at: int = NOW) -> Any:
    return {"hold": hold_id, "viewer": viewer, "qty": 1, "payment": payment, "paid_at": at, "why": why, "at": at}


def refunded(*owing: Any, round_id: str = "r_s", room: str = "demo") -> Fact:
    return fact("refunds", room, round=round_id, refunds=list(owing))


def session(viewer: str = "ann", start: float = NOW, stream: str = "s_1", **said: Any) -> dict[str, Any]:
    """Of one minute, at whose end he left."""
    usual = {"ends": start + 60_000, "watch": 60_000, "event": 1, "why": "close", "source": "direct", "rtt": 40}
    return {"stream": stream, "viewer": viewer, "start": start, **usual, **said}


def finished(*sessions: dict[str, Any], room: str = "demo") -> Fact:
    return fact("sessions", room, sessions=list(sessions))


def sale_moved(state: str = "open", ver: int = 1, round_id: str = "r_s", room: str = "demo", **fields: Any) -> Fact:
    command = {"t": "sale.open", "item": "Teapot", "price": 1999, "currency": "EUR", "stock": 5, "per_viewer": 2}
    told = SALE | {"hold_seconds": 120, "opens_at": NOW, "closes_at": NOW + 60_000}
    return moved(round_id, "sale", state, ver, room, **{"command": command, "opened": told, **fields})


class Shelf:
    """An outbox in memory, of two shards."""

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        self.places = itertools.count(1)
        self.facts: dict[int, dict[bytes, Fact]] = {0: {}, 1: {}}
        self.waiting = 0
        self.forgetful = False  # removes nothing, as if the node had died before
        self.empty = asyncio.Event()
        self.put(*facts)

    def put(self, *facts: Fact) -> None:
        self.empty.clear()
        for one in facts:
            self.facts[sum(one.get(b"room", b"")) % 2][b"%d-0" % next(self.places)] = one

    def left(self) -> int:
        return sum(map(len, self.facts.values()))

    async def take(self, count: int) -> Mapping[int, Sequence[tuple[bytes, Fact]]]:
        self.waiting = self.left()
        return {shard: list(facts.items())[:count] for shard, facts in self.facts.items() if facts}

    async def done(self, places: Mapping[int, Sequence[bytes]]) -> None:
        for shard, some in places.items():
            for place in () if self.forgetful else some:
                del self.facts[shard][place]
        if not self.left():
            self.empty.set()
