"""Check a draw's proof file, with nothing but the standard library: `python verify_draw.py FILE`.

It shares no code with the server, so that it can be read, kept and run by somebody who does not trust the server.
Exit codes: 0 all agrees, 1 something does not, 2 the file is no proof.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

AGREES, DIFFERS, NO_PROOF = 0, 1, 2


class NoProof(Exception):
    """The file does not have the form of a proof."""


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def canonical(rules: dict[str, Any]) -> bytes:
    """JSON with sorted keys and no blanks, in UTF-8, so that a re-written file has the same hash."""
    return json.dumps(rules, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def leaf(draw: str, entry: dict[str, Any]) -> bytes:
    return sha256(f"\0lr/leaf/v1\0{draw}\0{entry['n']}\0{entry['tag']}\0{entry['weight']}".encode())


def merkle_root(leaves: list[bytes]) -> bytes:
    """RFC 6962's tree: the left part is the largest power of two that is smaller than the whole."""
    if not leaves:
        return sha256(b"lr/empty/v1")
    if len(leaves) == 1:
        return leaves[0]
    left = 1 << ((len(leaves) - 1).bit_length() - 1)
    return sha256(b"\2" + merkle_root(leaves[:left]) + merkle_root(leaves[left:]))


def score(key: bytes, entry: dict[str, Any]) -> bytes:
    """The lowest HMAC over the entry's tickets; lower is better."""
    tickets = (f"{entry['tag']}\0{number}".encode() for number in range(entry["weight"]))
    return min(hmac.digest(key, ticket, "sha256") for ticket in tickets)


def checks(proof: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """What is checked, in the order in which it was told, and whether it agrees."""
    draw, rules, entries, seed = proof["id"], proof["rules"], proof["entries"], bytes.fromhex(proof["seed"])

    yield "the seed is the one that was committed to", (
        sha256(b"lr/commit/v1\0" + draw.encode() + b"\0" + seed).hex() == proof["commit"]
    )
    yield "the rules are the ones that were told", sha256(canonical(rules)).hex() == proof["rules_hash"]
    yield "the entries are numbered without a gap", [one["n"] for one in entries] == list(range(1, len(entries) + 1))
    yield "nobody entered twice", len({one["tag"] for one in entries}) == len(entries)

    leaves = [leaf(draw, one) for one in entries]
    head = sha256(b"lr/chain0/v1\0" + draw.encode())
    for one in leaves:
        head = sha256(b"\1lr/chain/v1\0" + head + one)
    yield "the chain over the entries ends in the head that was told", head.hex() == proof["chain"]
    yield "the tree over the entries has the root that was frozen", merkle_root(leaves).hex() == proof["root"]

    told = "\0".join(["lr/draw/v1", draw, proof["rules_hash"], proof["root"], proof["beacon"]])
    key = hmac.digest(seed, told.encode(), "sha256")
    order = sorted(entries, key=lambda one: (score(key, one), one["tag"]))
    winning = min(rules.get("winners", len(proof["winners"])), len(entries))
    behind = min(rules.get("alternates", len(proof["alternates"])), len(entries) - winning)
    ranking = [one["tag"] for one in order]
    yield "the winners are the best scores", [one["tag"] for one in proof["winners"]] == ranking[:winning]
    yield "the alternates come next", proof["alternates"] == ranking[winning : winning + behind]


FORM: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("id", "rules_hash", "commit", "chain", "root", "beacon"), lambda one: isinstance(one, str)),
    "v": lambda one: one == 1,
    "rules": lambda one: isinstance(one, dict) and all(counts(one.get(name, 0)) for name in ("winners", "alternates")),
    "seed": lambda one: isinstance(one, str) and len(one) == 64 and set(one) <= set("0123456789abcdef"),
    "entries": lambda one: isinstance(one, list) and all(is_entry(entry) for entry in one),
    "winners": lambda one: isinstance(one, list) and all(is_winner(winner) for winner in one),
    "alternates": lambda one: isinstance(one, list) and all(isinstance(tag, str) for tag in one),
}


def counts(one: Any) -> bool:
    return isinstance(one, int) and not isinstance(one, bool) and one >= 0


def is_entry(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and counts(one.get("n"))
        and isinstance(one.get("tag"), str)
        and counts(one.get("weight"))
        and 1 <= one["weight"] <= 1_000_000
    )


def is_winner(one: Any) -> bool:
    return isinstance(one, dict) and isinstance(one.get("tag"), str)


def read_proof(text: str | bytes) -> dict[str, Any]:
    """The proof in a file's text. Raises NoProof."""
    try:
        proof = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NoProof(f"it is not JSON: {error}") from None
    if not isinstance(proof, dict):
        raise NoProof("it is not one JSON object")
    for name, fits in FORM.items():
        if name not in proof or not fits(proof[name]):
            raise NoProof(f"{name!r} is missing or not what a proof has there")
    return proof


def verify(path: Path, say: Callable[[str], object]) -> int:
    """Check a file, tell each step, give the exit code."""
    try:
        proof = read_proof(path.read_bytes())
    except (NoProof, OSError) as error:
        say(f"{path} is no proof: {error}")
        return NO_PROOF
    results = list(checks(proof))
    for what, agrees in results:
        say(f"{'ok  ' if agrees else 'FAIL'}  {what}")
    agrees = all(one for _, one in results)
    counted = f"{len(proof['entries'])} entries, {len(proof['winners'])} winners"
    say(f"{counted}: {'all agrees' if agrees else 'NOT as claimed'}")
    return AGREES if agrees else DIFFERS


if __name__ == "__main__":
    sys.exit(verify(Path(sys.argv[1]), lambda line: sys.stdout.write(line + "\n")) if len(sys.argv) == 2 else NO_PROOF)
