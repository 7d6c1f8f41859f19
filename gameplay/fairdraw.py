"""A draw that everybody can check: committed before, frozen before it is drawn, recomputed by whoever likes.

1. ``commitment`` of the seed and ``rules_hash`` are told when the draw opens.
2. Each entry becomes a ``leaf``; the ``Chain`` of leaves has a head that is told while entries come in.
3. At the freeze the ``merkle_root`` of all leaves is told – before the seed.
4. Each entry's ``score`` is the lowest HMAC over its tickets, under a key made of seed, rules, root and beacon.
   The lowest scores win: no modulo, no bias, and every node computes the same.

The standard library is all it takes. Hashes are SHA-256; in messages they are lower-case hexadecimal.
"""

from __future__ import annotations

import hashlib
import heapq
import hmac
import json
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

PIECE = 5000  # tickets sorted at once


class Ticket(NamedTuple):
    """One entry of a draw: its number (counts from 1), the viewer's tag, and how many tickets it has."""

    n: int
    tag: str
    weight: int = 1


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def commitment(draw: str, seed: bytes) -> str:
    """What is told of the seed before the first entry."""
    return sha256(b"lr/commit/v1\0" + draw.encode() + b"\0" + seed).hex()


def rules_hash(rules: dict[str, Any]) -> str:
    """Hash of the rules as canonical JSON: sorted keys, no blanks, UTF-8."""
    return sha256(json.dumps(rules, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hex()


def tag_of(room_key: bytes, draw: str, viewer: str) -> str:
    """A viewer's name in one draw's proof; it says nothing of who he is, nor links him to another draw."""
    return hmac.new(room_key, f"{draw}\0{viewer}".encode(), hashlib.sha256).hexdigest()[:32]


def leaf(draw: str, ticket: Ticket) -> bytes:
    text = f"lr/leaf/v1\0{draw}\0{ticket.n}\0{ticket.tag}\0{ticket.weight}"
    return sha256(b"\0" + text.encode())


def first_head(draw: str) -> bytes:
    """The chain's head before the first entry."""
    return sha256(b"lr/chain0/v1\0" + draw.encode())


def next_head(head: bytes, new: bytes) -> bytes:
    return sha256(b"\1lr/chain/v1\0" + head + new)


def chain(head: bytes, leaves: Iterable[bytes]) -> bytes:
    """The head after these leaves: whoever saw an earlier head knows that nothing before it was changed."""
    for one in leaves:
        head = next_head(head, one)
    return head


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Root of a tree shaped as in RFC 6962: the left part is the largest power of two below the whole."""
    if not leaves:
        return sha256(b"lr/empty/v1")
    if len(leaves) == 1:
        return leaves[0]
    left = 1 << ((len(leaves) - 1).bit_length() - 1)
    return sha256(b"\2" + merkle_root(leaves[:left]) + merkle_root(leaves[left:]))


def draw_key(seed: bytes, draw: str, rules: str, root: str, beacon: str = "") -> bytes:
    """The key of the scores: all that was told before the draw, and the seed that was not."""
    message = "\0".join(["lr/draw/v1", draw, rules, root, beacon])
    return hmac.new(seed, message.encode(), hashlib.sha256).digest()


def score(key: bytes, tag: str, weight: int = 1) -> bytes:
    """The lowest HMAC over an entry's tickets: more tickets, more chances. Lower is better."""
    return min(hmac.digest(key, f"{tag}\0{number}".encode(), "sha256") for number in range(weight))


def ranked(key: bytes, tickets: Sequence[Ticket], places: int) -> list[Ticket]:
    """The best, in their order: winners first, then alternates."""
    if places < len(tickets) // 10:
        return heapq.nsmallest(places, tickets, key=lambda one: (score(key, one.tag, one.weight), one.tag))
    scored = [(score(key, one.tag, one.weight), one.tag, one) for one in tickets]
    # Sorted in pieces and merged: one long sort would let no other thread run meanwhile.
    pieces = [sorted(scored[start : start + PIECE]) for start in range(0, len(scored), PIECE)]
    return [one for _, _, one in islice(heapq.merge(*pieces), places)]
