"""Keyword lottery: everybody may enter once; a seed that was committed to before picks the lucky ones.

    announced → open → closed, when the entries are frozen and their root is told → drawn → settled

The steps of a draw are those of ``fairdraw``. Who wins and does not claim in time, or is gone where being there was
asked for, is replaced by the next alternate, for all to see; the proof of the draw stays what it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from gameplay.eligible import Eligible, malformed
from gameplay.fairdraw import Ticket, chain, commitment, draw_key, first_head, leaf, merkle_root, ranked, rules_hash
from gameplay.play import (
    GRACE_MS,
    Code,
    Entry,
    HostCommand,
    Keyword,
    Letter,
    Move,
    Opened,
    OpenRound,
    Own,
    Played,
    PrivateEvent,
    Progress,
    Reading,
    Reason,
    Receipt,
    Refusal,
    Round,
    RoundCommand,
    RoundEvent,
    Short,
    Step,
    Turn,
    Win,
    bad,
    closed_by_host,
    states,
)
from gameplay.text import folded, shown

LISTED = 50  # winners and alternates that the room is told; the rest is in the proof
WINNERS_BYTES, BENCH_BYTES = 9 * 1024, 5 * 1024  # of them, for an event has at most 16 KiB
RANKS_TOLD = 10_000  # with more entries a rank is told to those who ask
NO_BEACON = ""
BELL_AFTER_CLAIM = GRACE_MS + 100


# --- messages --------------------------------------------------------------------------------------


class Open(OpenRound, frozen=True, tag="lottery.open"):
    prize: Short
    winners: Annotated[int, Meta(ge=1, le=1000)]
    keyword: Short | UnsetType = UNSET
    match: Literal["exact", "contains"] = "exact"
    alternates: Annotated[int, Meta(ge=0, le=1000)] | UnsetType = UNSET
    claim_seconds: Annotated[int, Meta(ge=1, le=86_400)] | UnsetType = UNSET
    presence: bool = False
    eligible: Eligible | UnsetType = UNSET


class Entered(Struct, frozen=True):
    receipt: Receipt


class Claimed(Struct, frozen=True):
    id: str


class Enter(RoundCommand, frozen=True, tag="lottery.enter"):
    answer = Entered


class Claim(RoundCommand, frozen=True, tag="lottery.claim"):
    """A winner takes his prize."""

    answer = Claimed


class Close(HostCommand, frozen=True, tag="lottery.close"):
    """Entries end now; freeze, root and draw follow by themselves."""


class Cancel(HostCommand, frozen=True, tag="lottery.cancel"):
    reason: Reason


class Void(HostCommand, frozen=True, tag="lottery.void"):
    reason: Reason


class Announced(Opened, frozen=True, tag="lottery.announced"):
    pass


class LotteryOpened(Opened, frozen=True, tag="lottery.opened"):
    prize: str
    winners: int
    alternates: int
    commit: str  # hash of the seed
    rules_hash: str
    keyword: str | UnsetType = UNSET
    match: str | UnsetType = UNSET
    claim_seconds: int | UnsetType = UNSET
    presence: bool = False
    eligible: Eligible | UnsetType = UNSET


class Entrants(Progress, frozen=True, tag="lottery.progress"):
    """So many entered; ``head`` is that of the chain over the first ``n`` entries."""

    entrants: int
    n: int
    head: str


class Frozen(RoundEvent, frozen=True, tag="lottery.frozen"):
    n: int
    root: str


class Winner(Struct, frozen=True):
    viewer: str
    name: str
    tag: str
    prize: str


class Waiting(Struct, frozen=True):
    """An alternate."""

    viewer: str
    name: str
    tag: str


Person = TypeVar("Person", Winner, Waiting)


class Proof(Struct, frozen=True):
    url: str
    sha256: str


class Drawn(RoundEvent, frozen=True, tag="lottery.drawn"):
    winners: tuple[Winner, ...]
    winners_total: int
    alternates: tuple[Waiting, ...]
    seed: str
    proof: Proof
    undersubscribed: bool = False
    delayed: bool = False


class Replaced(RoundEvent, frozen=True, tag="lottery.replaced"):
    """So many prizes were lost; these lost them, and these got them."""

    lost: int
    out: tuple[str, ...]  # tags
    winners: tuple[Winner, ...]
    why: Literal["absent", "banned", "unclaimed"]


class Settled(RoundEvent, frozen=True, tag="lottery.settled"):
    winners_total: int


class Cancelled(RoundEvent, frozen=True, tag="lottery.cancelled"):
    reason: str


class Voided(RoundEvent, frozen=True, tag="lottery.voided"):
    reason: str
    seed: str


class Won(Letter, frozen=True, tag="lottery.won"):
    """To a winner."""

    prize: str
    claim_by: int | UnsetType = UNSET


class Result(PrivateEvent, frozen=True, tag="lottery.result"):
    """To everybody who entered."""

    rank: int
    of: int


# --- opening and entering --------------------------------------------------------------------------


def check(opens: Open) -> Refusal | None:
    if not shown(opens.prize):
        return bad("prize", "the prize is empty")
    if opens.keyword is not UNSET and not folded(opens.keyword):
        return bad("keyword", "nothing is left of the keyword when it is folded")
    if opens.eligible is not UNSET and (why := malformed(opens.eligible)):
        return bad("eligible", why)
    return None


def alternates(opens: Open) -> int:
    """Left out: as many as winners, where a prize may go to the next."""
    if opens.alternates is not UNSET:
        return opens.alternates
    return opens.winners if opens.presence or opens.claim_seconds is not UNSET else 0


def rules(opens: Open) -> dict[str, Any]:
    """What was promised, as the proof shows it."""
    given: dict[str, Any] = {"prize": shown(opens.prize), "winners": opens.winners, "alternates": alternates(opens)}
    given |= {"seconds": opens.seconds, "presence": opens.presence}
    if opens.keyword is not UNSET:
        given |= {"keyword": shown(opens.keyword), "match": opens.match}
    if opens.claim_seconds is not UNSET:
        given["claim_seconds"] = opens.claim_seconds
    if opens.eligible is not UNSET:
        given["eligible"] = {
            name: [dict(one.asked) for one in conditions]
            for name, conditions in (("all_of", opens.eligible.all_of), ("any_of", opens.eligible.any_of))
        }
    return given


def how_to_enter(opens: Open) -> str:
    say = f"Comment “{shown(opens.keyword)}” or press Enter" if opens.keyword is not UNSET else "Press Enter"
    lucky = "1 winner" if opens.winners == 1 else f"{opens.winners} winners"
    claim = "" if opens.claim_seconds is UNSET else f" A prize is claimed within {opens.claim_seconds} seconds."
    there = " Winners must be in the room at the draw." if opens.presence else ""
    return f"{say} before the bell. {lucky} of: {shown(opens.prize)}. Each viewer once.{claim}{there}"


def opening(played: Played[Open], reading: Reading) -> LotteryOpened:
    opens = played.opens
    return LotteryOpened(
        rules=how_to_enter(opens),
        prize=shown(opens.prize),
        winners=opens.winners,
        alternates=alternates(opens),
        commit=commitment(played.id, reading.seed),
        rules_hash=rules_hash(rules(opens)),
        keyword=opens.keyword if opens.keyword is UNSET else shown(opens.keyword),
        match=UNSET if opens.keyword is UNSET else opens.match,
        claim_seconds=opens.claim_seconds,
        presence=opens.presence,
        eligible=opens.eligible,
    )


def keyword(opened: LotteryOpened) -> Keyword | None:
    return None if opened.keyword is UNSET else Keyword(folded(opened.keyword), opened.match == "contains")


def eligible(opened: LotteryOpened) -> Eligible | None:
    return None if opened.eligible is UNSET else opened.eligible


def receipt(own: Own) -> dict[str, Any]:
    """Complete at once; the next head that is told with ``n`` or more binds it."""
    ticket = Ticket(own.n, own.tag)
    proves = {"n": own.n, "tag": own.tag, "weight": ticket.weight, "leaf": leaf(own.round, ticket).hex()}
    return {"receipt": {**proves, "draw": own.round}}


def tickets(entries: Iterable[Entry], first: int = 1) -> list[Ticket]:
    return [Ticket(n, entry.tag) for n, entry in enumerate(entries, first)]


def progress(played: Played[Open], reading: Reading) -> Move | None:
    """Extend the chain by the entries that came since, and tell its head."""
    n, head = head_so_far(played)
    if not reading.entries and played.kept.get("told"):
        return Move(to="open", bells={"progress": reading.now + PLAY.progress_ms})
    head = chain(head, (leaf(played.id, ticket) for ticket in tickets(reading.entries, n + 1)))
    n += len(reading.entries)
    return Move(
        to="open",
        shows=Entrants(entrants=max(n, played.entered), n=n, head=head.hex()),
        keep={"n": n, "head": head.hex(), "told": True},
        bells={"progress": 0 if n < played.entered else reading.now + PLAY.progress_ms},
    )


def head_so_far(played: Played[Open]) -> tuple[int, bytes]:
    head = played.kept.get("head")
    return played.kept.get("n", 0), bytes.fromhex(head) if head else first_head(played.id)


# --- the draw --------------------------------------------------------------------------------------


def freeze(played: Played[Open], reading: Reading) -> Move | None:
    """Tell the root over all entries, once, before the seed."""
    if "root" in played.kept:
        return None
    leaves = [leaf(played.id, ticket) for ticket in tickets(reading.entries)]
    root, head = merkle_root(leaves).hex(), chain(first_head(played.id), leaves).hex()
    return Move(
        to="closed",
        tell=Frozen(len(leaves), root),
        keep={"root": root, "n": len(leaves), "head": head},
        bells={"freeze": None, "settle": 0},
    )


def order(played: Played[Open], reading: Reading, places: int) -> list[Entry]:
    """The luckiest entries, best first."""
    seed = bytes.fromhex(played.kept["seed"]) if "seed" in played.kept else reading.seed  # told already, or not yet
    key = draw_key(seed, played.id, rules_hash(rules(played.opens)), played.kept["root"], NO_BEACON)
    return [reading.entries[ticket.n - 1] for ticket in ranked(key, tickets(reading.entries), places)]


def draw(played: Played[Open], reading: Reading) -> Move | None:
    """Nothing but what was told before, and the seed, decides who wins."""
    if "root" not in played.kept:
        return None
    if commitment(played.id, reading.seed) != played.opened.commit:
        return voided(played, reading, "the seed of this draw is lost: the server's draw key was changed")
    opens, total = played.opens, len(reading.entries)
    all_told = total <= RANKS_TOLD
    ranking = order(played, reading, total if all_told else opens.winners + alternates(opens))
    lucky = ranking[: opens.winners]
    bench = ranking[opens.winners : opens.winners + alternates(opens)]
    text = proof(played, reading.seed, reading.entries, lucky, bench)
    drawn = Drawn(
        winners=listed([winner(entry, opens) for entry in lucky], WINNERS_BYTES),
        winners_total=len(lucky),
        alternates=listed([Waiting(one.viewer, one.name, one.tag) for one in bench], BENCH_BYTES),
        seed=reading.seed.hex(),
        proof=Proof(f"/v1/rooms/{played.room}/rounds/{played.id}/proof", hashlib.sha256(text).hexdigest()),
        undersubscribed=total < opens.winners,
        delayed=bool(played.kept.get("delayed")),
    )
    holders = [[one.viewer, one.name, one.tag, claim_by(opens, reading.now)] for one in lucky]
    return Move(
        to="drawn",
        tell=drawn,
        keep={
            "seed": reading.seed.hex(),
            "lucky": [one.tag for one in lucky],
            "bench": [[one.viewer, one.name, one.tag] for one in bench],
            "alternates": [one.tag for one in bench],
            "holders": holders,
            "given": len(holders),
        },
        bells={"settle": None, "claims": 0},
        letters=[letter(holder, opens) for holder in holders],
        results=ranks_of(ranking) if all_told else {},
        wins=[win(holder, place, opens) for place, holder in enumerate(holders, 1)],
    )


def listed(those: Sequence[Person], most_bytes: int) -> tuple[Person, ...]:
    """As many of the first as are told and as fit."""
    sizes = accumulate(len(msgspec.json.encode(one)) + 1 for one in those[:LISTED])
    return tuple(one for one, size in zip(those, sizes, strict=False) if size <= most_bytes)


def ranks_of(ranking: Sequence[Entry]) -> dict[str, Result]:
    return {entry.viewer: Result(rank, len(ranking)) for rank, entry in enumerate(ranking, 1)}


def ranks(played: Played[Open], reading: Reading) -> dict[str, Result]:
    """For those who ask, where there are too many to tell them all; nobody has one where there was no draw."""
    return ranks_of(order(played, reading, len(reading.entries))) if "lucky" in played.kept else {}


def winner(entry: Entry, opens: Open) -> Winner:
    return Winner(entry.viewer, entry.name, entry.tag, shown(opens.prize))


def claim_by(opens: Open, now: int) -> int:
    return 0 if opens.claim_seconds is UNSET else now + opens.claim_seconds * 1000


def letter(holder: Sequence[Any], opens: Open) -> tuple[str, Won]:
    return holder[0], Won(shown(opens.prize), holder[3] or UNSET)


def win(holder: Sequence[Any], place: int, opens: Open) -> Win:
    return Win(holder[0], holder[1], holder[2], place, shown(opens.prize))


def proof(
    played: Played[Open], seed: bytes, entries: Sequence[Entry], lucky: Iterable[Entry], bench: Iterable[Entry]
) -> bytes:
    """The proof file of a draw, byte for byte the same whoever makes it."""
    return proof_text(played, seed.hex(), entries, [one.tag for one in lucky], [one.tag for one in bench])


def proof_text(
    played: Played[Open], seed: str, entries: Sequence[Entry], lucky: Iterable[str], bench: Iterable[str]
) -> bytes:
    promised = rules(played.opens)
    parts: Mapping[str, Any] = {
        "v": 1,
        "room": played.room,
        "id": played.id,
        "opened_at": played.opened_at,
        "closed_at": played.closes_at,
        "rules": promised,
        "rules_hash": rules_hash(promised),
        "commit": played.opened.commit,
        "entries": [],
        "chain": played.kept["head"],
        "root": played.kept["root"],
        "beacon": NO_BEACON,
        "seed": seed,
        "winners": [{"tag": tag, "prize": promised["prize"]} for tag in lucky],
        "alternates": list(bench),
    }
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    # Put in one by one: a long dump would let no other thread run meanwhile.
    rows = ",".join([f'{{"n":{one.n},"tag":"{one.tag}","weight":{one.weight}}}' for one in tickets(entries)])
    return text.replace('"entries":[]', f'"entries":[{rows}]', 1).encode()


def published(played: Played[Open], entries: Sequence[Entry]) -> bytes | None:
    """The proof file of a draw that was told, else None."""
    kept = played.kept
    return proof_text(played, kept["seed"], entries, kept["lucky"], kept["alternates"]) if "lucky" in kept else None


# --- claims ----------------------------------------------------------------------------------------


def claims(played: Played[Open], reading: Reading) -> Move:
    """Prizes that nobody took, or whose winners are gone, go to the next; then the lottery is settled."""
    opens, first = played.opens, not played.kept.get("looked")
    asked = opens.claim_seconds is not UNSET
    absent = [one for one in played.kept["holders"] if not is_there(opens, reading, one[0])] if first else []
    if absent or (opens.presence and first):
        lost, why = absent, "banned" if all(one[0] in reading.banned for one in absent) else "absent"
    else:
        unclaimed = [one for one in played.kept["holders"] if one[0] not in reading.claims]
        lost, why = [one for one in unclaimed if asked and one[3] + GRACE_MS < reading.now], "unclaimed"
    kept = [one for one in played.kept["holders"] if one not in lost]
    if lost:
        return replace(played, reading, kept, lost, why)
    waiting = [one[3] for one in kept if asked and one[0] not in reading.claims]
    if waiting:
        return Move(to="drawn", keep={"looked": True}, bells={"claims": min(waiting) + BELL_AFTER_CLAIM})
    return Move(to="settled", tell=Settled(len(kept)), bells={"claims": None}, ends=True)


def is_there(opens: Open, reading: Reading, viewer: str) -> bool:
    """Whether he may have a prize: nobody who is banned, and where that was asked for nobody who is gone."""
    return viewer not in reading.banned and (not opens.presence or viewer in reading.here)


def may_claim(played: Played[Open], viewer: str, at: int) -> int | Refusal:
    """Until when a winner may claim. Again is the same as once."""
    if played.state not in ("drawn", "settled"):
        return Refusal(Code.ROUND_STATE, {"state": played.state, "ver": played.ver}, f"the round is {played.state}")
    until = next((one[3] for one in played.kept["holders"] if one[0] == viewer), None)
    if until is None:
        return Refusal(Code.NOT_ELIGIBLE, {"missing": [{"won": True}]}, "only a winner claims")
    if not until or played.state == "settled":  # nobody had to, or everybody has
        return at
    if at > until + GRACE_MS:
        return Refusal(Code.ROUND_CLOSED, {"closed_at": until}, "the time to claim is over")
    return int(until + GRACE_MS)


def replace(played: Played[Open], reading: Reading, kept: list[Any], lost: list[Any], why: Any) -> Move:
    opens, bench = played.opens, list(played.kept["bench"])
    able = [one for one in bench if is_there(opens, reading, one[0])]
    coming = [[*one, claim_by(opens, reading.now)] for one in able[: len(lost)]]
    gone = bench.index(able[len(lost) - 1]) + 1 if len(able) >= len(lost) else len(bench)
    prize, given = shown(opens.prize), played.kept["given"]
    return Move(
        to="drawn",
        tell=Replaced(
            len(lost),
            tuple(one[2] for one in lost[:LISTED]),
            listed([Winner(one[0], one[1], one[2], prize) for one in coming], WINNERS_BYTES),
            why,
        ),
        keep={"holders": kept + coming, "bench": bench[gone:], "given": given + len(coming), "looked": True},
        bells={"claims": 0},
        letters=[letter(one, opens) for one in coming],
        wins=[win(one, place, opens) for place, one in enumerate(coming, given + 1)],
        loses=[one[0] for one in lost],
    )


# --- ends ------------------------------------------------------------------------------------------


def cancel(played: Played[Open], reading: Reading, command: Cancel) -> Move:
    return cancelled(shown(command.reason))


def cancelled(reason: str) -> Move:
    return Move(to="cancelled", tell=Cancelled(reason), bells=dict.fromkeys(BELLS), ends=True)


def void(played: Played[Open], reading: Reading, command: Void) -> Move:
    return voided(played, reading, shown(command.reason))


def voided(played: Played[Open], reading: Reading, reason: str) -> Move:
    """The seed is told, so that everybody can see what the draw would have been."""
    return Move(
        to="voided",
        tell=Voided(reason, played.kept.get("seed", reading.seed.hex())),
        bells=dict.fromkeys(BELLS),
        loses=[holder[0] for holder in played.kept.get("holders", ())],
        ends=True,
    )


def late(played: Played[Open]) -> Move | None:
    """An outage over the opening cancels; one over the end only delays the draw."""
    return cancelled("the room was out of order when it should have opened") if played.state == "announced" else None


BELLS = ("open", "close", "progress", "freeze", "settle", "claims")
ALL = frozenset[Any]({"entries"})

PLAY = Round(
    kind="lottery",
    opens=Open,
    announced=Announced,
    opened=LotteryOpened,
    opening=opening,
    settle=draw,
    events=(Entrants, Frozen, Drawn, Replaced, Settled, Cancelled, Voided, Won, Result),
    check=check,
    enters=Enter,
    keyword=keyword,
    eligible=eligible,
    receipt=receipt,
    mine=receipt,
    claims=Claim,
    may_claim=may_claim,
    follows="freeze",
    progress=Step(progress, states("open"), frozenset({"fresh"})),
    steps={
        "freeze": Step(freeze, states("closed"), ALL),
        "claims": Step(claims, states("drawn"), frozenset({"claims", "here", "banned"})),
    },
    turns={
        Close: closed_by_host("drawn", "settled", follows="freeze"),
        Cancel: Turn(cancel, states("announced", "open"), states("cancelled")),
        Void: Turn(void, states("closed", "drawn", "settled"), states("voided")),
    },
    late=late,
    reveals=(Drawn,),
    ranks=ranks,
    proof=published,
)
