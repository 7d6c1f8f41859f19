"""Rounds as Redis keeps them: opened, entered, moved on by compare-and-set, read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, json, structs, to_builtins
from redis.asyncio import Redis

from gameplay.play import GRACE_MS, Code, Entry, Move, Opened, Played, Progress, Refusal, Role, RoundEvent
from liveroom.kept import Kept, as_kept, read_entry
from liveroom.menu import ROUNDS
from liveroom.protocol import encode
from liveroom.store import keys
from liveroom.store.inboxes import KEEP_LETTERS_S
from liveroom.store.keys import Keys
from liveroom.store.rooms import CLOSED, MISMATCH, NO_SUCH_ROOM, REMEMBER_SECONDS, ROOM_CLOSED, TRY_LATER, By, Rooms
from liveroom.store.sanctions import as_sanctions
from liveroom.store.scripts import LATE, NoRoom, Word

KEEP_BARRED_S = 32 * 24 * 3600  # longer than any round is announced ahead
KEEP_ROUND_S = 24 * 3600  # in Redis, after its end; the ledger keeps it for good
LEASE_MS = 2000  # the node that moved a round goes on with it by itself; after that any node does
MOST_FACTS = 1_000_000  # that wait for the ledger
MOST_LIVE = 20  # rounds of a room at a time
PAGE = 2000  # entries read at once
PAGE_OF_RESULTS = 1000
TAKEN, FULL, NO_ROUND = -6, -7, -8

NO_SUCH_ROUND = Refusal(Code.NO_SUCH_ROUND, message="there is no such round in this room")
KEYWORD_TAKEN = Refusal(Code.KEYWORD_TAKEN, message="another open round of the room has this keyword")
TOO_FULL = Refusal(
    Code.TRY_LATER, message="too many rounds are open, or too much waits for the ledger", retry_after_ms=5000
)


SHOW_MS = 250  # between two tellings of what is in stock

BELL = By()

class Moved(Struct, frozen=True):
    ver: int
    seq: int
    ts: int
    state: str


class Before(Struct, frozen=True):
    """What the same intention was answered."""

    ver: int
    state: str


class Once(Struct, frozen=True):
    """An idempotency key as Redis knows it, and a hash of what is asked for."""

    key: str = ""
    digest: str = ""


class Elsewhere(Struct, frozen=True):
    """The round was at another revision by then."""

    ver: int
    state: str


NO_KEY = Once()


class Rounds:
    """The verbs on rounds. Raises redis-py's errors and TimeoutError where Redis does not answer."""

    def __init__(self, rooms: Rooms, live: Redis, offer_seconds: float = 30) -> None:
        self.rooms = rooms
        self.redis = rooms.redis
        self.live = live
        self.offer_ms = int(offer_seconds * 1000)

    # -- opening and moving --

    async def open(
        self,
        played: Played[Any],
        move: Move,
        fact: str,
        by: By,
        *,
        keyword: str,
        once: Once,
        not_after: float,
    ) -> str | Refusal:
        """The id of the round that was opened, by this call or by one with the same idempotency key before."""
        at, play = self.rooms.keys(played.room), ROUNDS[type(played.opens)]
        series = play.series(played.opens)
        names = [*self.names(at, played.id), at.info, once.key or at.once("", ""), at.series(play.kind, series)]
        spec = self.spec(at, played, move, fact, by) | {"keyword": keyword, "series": series}
        spec["first"] = encode(played.opens).decode()
        spec["fields"] |= {name: str(number) for name, number in play.counters(played.opens).items()}
        args: list[Word] = [encode(spec), once.digest, int(not_after), REMEMBER_SECONDS, MOST_FACTS, MOST_LIVE]
        try:
            answer = await self.rooms.fenced("open_round", played.room, names, args)
        except NoRoom:
            return NO_SUCH_ROOM
        match answer:
            case [0, round_id, *_]:
                return str(round_id.decode())
            case [1, round_id]:
                return round_id.decode() or MISMATCH
            case [code]:
                return REFUSALS[code]
        raise AssertionError(answer)

    async def move(
        self, played: Played[Any], move: Move, fact: str, by: By, not_after: float = 0, once: Once = NO_KEY
    ) -> Moved | Elsewhere | Before | Refusal:
        """Move a round on from the revision that was read."""
        at = self.rooms.keys(played.room)
        await self.write_results(at, played.id, move)
        letters = [at.inbox(viewer) for viewer in (*(one for one, _ in move.letters), *move.loses)]
        ends = at.round_keys(played.id) if move.ends else ()
        names = [*self.names(at, played.id), at.inboxes, once.key or at.once("", "")]
        names += [at.inbox(""), *at.sale_keys(played.id), *letters, *ends]
        spec = self.spec(at, played, move, fact, by)
        args: list[Word] = [encode(spec), played.rev, int(not_after), once.digest, REMEMBER_SECONDS]
        match await self.rooms.fenced("move_round", played.room, names, args):
            case [0, ver, seq, ts, state]:
                return Moved(ver, seq, ts, state.decode())
            case [1, ver, state]:
                return Elsewhere(ver, state.decode())
            case [2, -1, _]:
                return MISMATCH
            case [2, ver, state]:
                return Before(ver, state.decode())
            case [code]:
                return REFUSALS[code]
        raise AssertionError

    async def answered(self, once: Once) -> Before | Refusal | None:
        """What this intention was answered, if it was."""
        found: Any = await self.redis.get(once.key) if once.key else None
        if found is None:
            return None
        digest, *answer = found.decode().split()
        return Before(int(answer[0]), answer[1]) if digest == once.digest and len(answer) == 2 else MISMATCH

    async def remember(self, once: Once, played: Played[Any]) -> None:
        """An intention that changed nothing was done all the same: its key stands for it."""
        if once.key:
            kept = f"{once.digest} {played.ver} {played.state}"
            await self.redis.set(once.key, kept, nx=True, ex=REMEMBER_SECONDS)

    def names(self, at: Keys, round_id: str) -> list[str]:
        """The keys that opening and moving share."""
        of_shard = [keys.outbox(at.shard), keys.bells(at.shard)]
        return [at.meta, at.log, *of_shard, at.live, at.round(round_id), at.keywords]

    async def silence(self, room: str, round_id: str, what: str) -> None:
        """Take away a bell that has nothing more to say."""
        await self.redis.zrem(keys.bells(self.rooms.keys(room).shard), f"{room}|{round_id}|{what}")

    def spec(self, at: Keys, played: Played[Any], move: Move, fact: str, by: By) -> dict[str, Any]:
        """The move as ``_round.lua`` takes it."""
        opened = isinstance(move.tell, Opened)
        amended = structs.replace(played.opened, **move.amends) if move.amends else None
        tell = identified(move.tell, played.id)
        if opened:
            tell = structs.replace(tell, opens_at=played.opens_at, closes_at=played.closes_at)
        shows = identified(move.shows, played.id)
        fields = {"kept": encode({**played.kept, **move.keep}).decode()}
        fields |= {"opens_at": str(played.opens_at), "closes_at": str(move.closes_at or played.closes_at)}
        if opened:
            fields["opened"] = encode(without(tell, "t")).decode()
        if amended is not None:
            fields["opened"] = encode(without(amended, "t")).decode()
        if isinstance(move.tell, ROUNDS[type(played.opens)].reveals):
            fields["result"] = encode(without(tell, "t", "id")).decode()
        if shows is not None:
            fields["counts"] = encode(without(shows, "t", "id", "ver")).decode()
        return {
            "room": at.room,
            "round": played.id,
            "kind": ROUNDS[type(played.opens)].kind,
            "to": move.to,
            "fields": fields,
            "adds": dict(move.adds),
            "event": "" if tell is None else encode(tell).decode(),
            "shows": "" if shows is None else encode(shows).decode(),
            "bells": {what: -1 if due is None else int(due) for what, due in move.bells.items()},
            "letters": [letter(viewer, one, played.id) for viewer, one in move.letters],
            "prize": f"{played.id}.won",
            "wins": encode(move.wins).decode() if move.wins else "",
            "loses": encode(move.loses).decode() if move.loses else "",
            "losers": len(move.loses),
            "ends": move.ends,
            "fact": fact,
            "by": by.actor,
            "role": by.role,
            "command": by.command.decode(),
            "channel": at.channel,
            "log_length": self.rooms.log_length,
            "lease": LEASE_MS,
            "keep_letters": KEEP_LETTERS_S,
            "keep_round": KEEP_ROUND_S,
            "offer_ms": self.offer_ms,
            "show_ms": SHOW_MS,
        }

    async def write_results(self, at: Keys, round_id: str, move: Move) -> None:
        """Before the move, which nobody looks for them without; written again they are the same."""
        rows = [(viewer, encode(identified(one, round_id))) for viewer, one in move.results.items()]
        for start in range(0, len(rows), PAGE_OF_RESULTS):
            await self.redis.hset(at.results(round_id), mapping=dict(rows[start : start + PAGE_OF_RESULTS]))

    # -- entering --

    async def enter(self, gate: Gate, fact: str, rows: Sequence[Row]) -> Entered | Refusal:
        """Let many in with one call: the answers are in the order of ``rows``."""
        room, round_id = gate.room, gate.round
        at = self.rooms.keys(room)
        names = [at.meta, at.round(round_id), at.who(round_id), at.entries(round_id), keys.outbox(at.shard)]
        args: list[Word] = [room, round_id, fact, gate.kind, int(gate.often), int(gate.by_device), GRACE_MS]
        for row in rows:
            head = encode([row.viewer, row.name, row.tag, row.word, row.credit])[:-1] + b","
            args += [row.viewer, head, row.word, int(row.at), row.device]
        answer = await self.rooms.fenced("enter_round", room, [*names, at.devices(round_id)], args)
        if len(answer) == 1:
            return REFUSALS[answer[0]]
        ver, state, closes_at, *triples = answer
        places = [Place(how, n, word.decode()) for how, n, word in zip(*[iter(triples)] * 3, strict=True)]
        return Entered(ver, state.decode(), int(closes_at), places)

    async def claim(self, played: Played[Any], fact: str, viewer: str, at_ms: float, until: float) -> int | Refusal:
        """How many have claimed by now; -1: the round moved on, look again."""
        at = self.rooms.keys(played.room)
        names = [at.meta, at.round(played.id), at.claims(played.id), keys.outbox(at.shard)]
        args: list[Word] = [played.room, played.id, fact, played.ver, viewer, int(at_ms), int(until)]
        match await self.rooms.fenced("claim_prize", played.room, names, args):
            case [0, count]:
                return int(count)
            case [1, _]:
                return -1
            case [code]:
                return REFUSALS[code]
        raise AssertionError

    # -- reading --

    async def read(self, room: str, round_id: str) -> Kept | None:
        at = self.rooms.keys(room)
        async with self.redis.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(at.round(round_id))
            pipeline.llen(at.entries(round_id))
            pipeline.hlen(at.who(round_id))
            pipeline.hget(at.meta, "epoch")
            fields, entries, viewers, epoch = await pipeline.execute()
        if not fields:
            return None
        if fields.get(b"kind") == b"sale" and fields[b"state"] in (b"open", b"sold_out") and fields[b"epoch"] != epoch:
            fields[b"state"] = b"paused"  # the server lost something since: nothing is sold until the host resumes
        # Who may enter again and again is not in the list, but counted.
        named = {name.decode(): text for name, text in fields.items()}
        return as_kept(room, round_id, named, int(named["times"]) or entries, viewers)

    async def entries(self, room: str, round_id: str, after: int = 0, count: int = -1) -> list[Entry]:
        """Entries behind number ``after``, at most ``count`` of them, read in pages."""
        key = self.rooms.keys(room).entries(round_id)
        found: list[Entry] = []
        while count < 0 or len(found) < count:
            start = after + len(found)
            rows: Any = await self.redis.lrange(key, start, start + PAGE - 1)
            found += [read_entry(row) for row in rows]
            if len(rows) < PAGE:
                break
        return found

    async def claims_of(self, room: str, round_id: str) -> dict[str, int]:
        found: Any = await self.redis.hgetall(self.rooms.keys(room).claims(round_id))
        return {viewer.decode(): int(at) for viewer, at in found.items()}

    # -- what viewers did --

    async def likes(self, room: str) -> int:
        return int(await self.live.hget(self.rooms.keys(room).likes, "total") or 0)

    async def here(self, room: str) -> frozenset[str]:
        """All viewers who are in the room now."""
        found: Any = await self.live.hkeys(self.rooms.keys(room).seats)
        return frozenset(viewer.decode() for viewer in found)

    async def banned(self, room: str, now: int) -> frozenset[str]:
        """All viewers who are banned from the room now."""
        kept: Any = await self.redis.hgetall(self.rooms.keys(room).sanctions)
        bans = [one for one in as_sanctions(kept).values() if one.kind == "ban"]
        return frozenset(one.viewer for one in bans if one.binds(Role.VIEWER, now))

    async def bought(self, room: str, viewer: str) -> int:
        """Orders of a viewer in this room."""
        return int(await self.redis.hget(self.rooms.keys(room).buyers, viewer) or 0)

    async def deeds(self, room: str, viewer: str) -> tuple[int, int]:
        """Likes and comments of a viewer in this room."""
        at = self.rooms.keys(room)
        async with self.live.pipeline(transaction=False) as pipeline:
            pipeline.hget(at.likers, viewer)
            pipeline.hget(at.commenters, viewer)
            liked, commented = await pipeline.execute()
        return int(liked or 0), int(commented or 0)

    async def was_right(self, room: str, round_id: str, viewer: str) -> bool:
        found = await self.redis.hget(self.rooms.keys(room).results(round_id), viewer)
        return bool(found and json.decode(found).get("correct"))

    async def bar(self, room: str, round_id: str, viewers: Iterable[str]) -> None:
        """Write down who may not enter a round because he won lately."""
        key, barred = self.rooms.keys(room).winners_before(round_id), list(viewers)
        for start in range(0, len(barred), PAGE):
            await self.redis.sadd(key, *barred[start : start + PAGE])
        await self.redis.expire(key, KEEP_BARRED_S)

    async def is_barred(self, room: str, round_id: str, viewer: str) -> bool:
        return bool(await self.redis.sismember(self.rooms.keys(room).winners_before(round_id), viewer))

    # -- what is told to one --

    async def has_claimed(self, room: str, round_id: str, viewer: str) -> bool:
        return bool(await self.redis.hexists(self.rooms.keys(room).claims(round_id), viewer))

    async def series(self, room: str, kind: str, name: str) -> dict[str, Any]:
        """What the rounds of a series kept, those that are not voided."""
        at = self.rooms.keys(room)
        members: Any = await self.redis.smembers(at.series(kind, name))
        ids = sorted(one.decode() for one in members)
        async with self.redis.pipeline(transaction=False) as pipeline:
            for one in ids:
                pipeline.hmget(at.round(one), "state", "kept")
            rows = await pipeline.execute() if ids else []
        counts = [one for one in zip(ids, rows, strict=True) if one[1][0] not in (None, b"voided")]
        return {one: json.decode(kept) for one, (_, kept) in counts}

    async def own(self, room: str, viewers: Sequence[str], rounds: Sequence[str]) -> dict[str, list[bytes | None]]:
        """For each of these rounds what each of these viewers has in it, as ``who`` keeps it."""
        if not (viewers and rounds):
            return {}
        at = self.rooms.keys(room)
        async with self.redis.pipeline(transaction=False) as pipeline:
            for one in rounds:
                pipeline.hmget(at.who(one), list(viewers))
            rows = await pipeline.execute()
        return dict(zip(rounds, rows, strict=True))

    async def results(self, room: str, round_id: str, viewers: Sequence[str]) -> list[bytes | None]:
        found: Any = await self.redis.hmget(self.rooms.keys(room).results(round_id), list(viewers))
        return list(found)


class Gate(Struct, frozen=True, gc=False):
    """The round that is entered, and how it may be."""

    room: str
    round: str
    kind: str
    often: bool = False
    by_device: bool = False


class Row(Struct, frozen=True, gc=False):
    """Who wants into a round, as he came in; ``at`` is room time in ms."""

    viewer: str
    name: str
    tag: str
    word: str
    credit: int
    at: float
    device: str = ""


class Place(Struct, frozen=True, gc=False):
    """How it went with one entry: see ``enter_round.lua``."""

    how: int
    n: int
    word: str


class Entered(Struct, frozen=True, gc=False):
    """The round at that moment, and a place for each row."""

    ver: int
    state: str
    closes_at: int
    places: list[Place]


REFUSALS = {
    LATE: TRY_LATER,
    CLOSED: ROOM_CLOSED,
    TAKEN: KEYWORD_TAKEN,
    FULL: TOO_FULL,
    NO_ROUND: NO_SUCH_ROUND,
}

def identified(event: Any, round_id: str) -> Any:
    """The event, with the round's id in it."""
    return None if event is None else structs.replace(event, id=round_id)


def without(event: RoundEvent | Progress, *names: str) -> dict[str, Any]:
    return {name: value for name, value in to_builtins(event).items() if name not in names}


def letter(viewer: str, event: RoundEvent, round_id: str) -> tuple[str, str, str]:
    """To whom, its id in his inbox (of the round and what it is), and its JSON."""
    said: dict[str, Any] = to_builtins(identified(event, round_id))
    inbox = f"{round_id}.{said['t'].partition('.')[2]}"
    return viewer, inbox, encode({**said, "inbox": inbox}).decode()
