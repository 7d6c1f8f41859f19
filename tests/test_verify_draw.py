"""The verifier believes an honest proof and nothing else."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest

from gameplay.fairdraw import Ticket, chain, commitment, draw_key, first_head, leaf, merkle_root, ranked, rules_hash
from liveroom import verify_draw

SEED = bytes(range(32))


def proof_of(entries=12, winners=3, alternates=2, beacon=""):
    """An honest proof, as a server would write it."""
    rules = {"prize": "杯子", "winners": winners, "alternates": alternates}
    tickets = [Ticket(n, f"{n * 7919:032x}", 1 + n % 3) for n in range(1, entries + 1)]
    leaves = [leaf("r_1", one) for one in tickets]
    root, rules_sum = merkle_root(leaves).hex(), rules_hash(rules)
    best = [one.tag for one in ranked(draw_key(SEED, "r_1", rules_sum, root, beacon), tickets, winners + alternates)]
    return {
        "v": 1, "room": "demo", "id": "r_1", "opened_at": 1, "closed_at": 2, "rules": rules, "rules_hash": rules_sum,
        "commit": commitment("r_1", SEED), "entries": [one._asdict() for one in tickets],
        "chain": chain(first_head("r_1"), leaves).hex(), "root": root, "beacon": beacon, "seed": SEED.hex(),
        "winners": [{"tag": tag, "prize": "杯子"} for tag in best[:winners]], "alternates": best[winners:],
    }  # fmt: skip


def verdict(proof, tmp_path: Path) -> int:
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(proof) if isinstance(proof, dict) else proof, "utf-8")
    return verify_draw.verify(file, lambda _: None)


@pytest.mark.parametrize("entries", [0, 1, 2, 3, 4, 5, 8, 9, 100])
def test_an_honest_proof_agrees(entries, tmp_path):
    assert verdict(proof_of(entries), tmp_path) == 0


def test_a_beacon_and_another_order_of_fields_change_nothing(tmp_path):
    proof = proof_of(beacon="round 42")
    proof["rules"] = dict(reversed(proof["rules"].items()))
    assert verdict(dict(reversed(proof.items())), tmp_path) == 0


def removed(proof):
    del proof["entries"][4]


def removed_and_numbered_anew(proof):
    del proof["entries"][4]
    for n, one in enumerate(proof["entries"], 1):
        one["n"] = n


def swapped(proof):
    a, b = proof["entries"][2], proof["entries"][3]
    a["tag"], b["tag"] = b["tag"], a["tag"]


def added(proof):
    proof["entries"].append({"n": 13, "tag": "f" * 32, "weight": 1})


def entered_twice(proof):
    proof["entries"].append({"n": 13, "tag": proof["entries"][0]["tag"], "weight": 1})


def given_more_tickets(proof):
    proof["entries"][0]["weight"] = 100


def another_seed(proof):
    proof["seed"] = "ff" * 32


def another_seed_and_commitment(proof):
    proof["seed"] = "ff" * 32
    proof["commit"] = commitment("r_1", bytes.fromhex("ff" * 32))


def another_rule(proof):
    proof["rules"]["prize"] = "car"


def another_winner(proof):
    proof["winners"][0]["tag"] = proof["alternates"][0]


def fewer_winners(proof):
    proof["winners"].pop()


def winners_in_another_order(proof):
    proof["winners"].reverse()


def another_alternate(proof):
    proof["alternates"].reverse()


def another_beacon(proof):
    proof["beacon"] = "later"


def another_draw(proof):
    proof["id"] = "r_2"


@pytest.mark.parametrize(
    "lie",
    [removed, removed_and_numbered_anew, swapped, added, entered_twice, given_more_tickets, another_seed,
     another_seed_and_commitment, another_rule, another_winner, fewer_winners, winners_in_another_order,
     another_alternate, another_beacon, another_draw],
)  # fmt: skip
def test_a_lie_is_found(lie, tmp_path):
    proof = copy.deepcopy(proof_of())
    lie(proof)
    assert verdict(proof, tmp_path) == 1


@pytest.mark.parametrize("field", [name for name in verify_draw.FORM if name != "rules"])
def test_without_a_field_it_is_no_proof(field, tmp_path):
    proof = proof_of()
    del proof[field]
    assert verdict(proof, tmp_path) == 2


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "5", "[" * 100_000, '{"v": 2}', "\udcff".encode("utf-8", "surrogateescape").decode("latin-1")],
)
def test_what_is_no_proof_is_told_apart_from_a_lie(text, tmp_path):
    assert verdict(text, tmp_path) == 2
    assert verify_draw.verify(tmp_path / "missing.json", lambda _: None) == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [("entries", [{"n": 1}]), ("entries", [{"n": 1, "tag": "a", "weight": 0}]), ("seed", "xy"), ("v", 2),
     ("winners", ["a"]), ("alternates", [1]), ("rules", {"winners": -1}), ("rules", {"winners": True})],
)  # fmt: skip
def test_a_field_of_another_form_is_no_proof(field, value, tmp_path):
    assert verdict(proof_of() | {field: value}, tmp_path) == 2


def test_it_runs_alone_with_the_standard_library(tmp_path):
    (tmp_path / "proof.json").write_text(json.dumps(proof_of()))
    alone = tmp_path / "verify_draw.py"
    alone.write_text(Path(verify_draw.__file__).read_text("utf-8"))
    words = [sys.executable, "-I", "-S", str(alone), str(tmp_path / "proof.json")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("12 entries, 3 winners: all agrees\n")


def test_the_command_has_the_exit_codes_of_the_verifier(tmp_path):
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(proof_of()))
    assert command(file) == 0
    file.write_text(json.dumps(proof_of() | {"seed": "ff" * 32}))
    assert command(file) == 1
    file.write_text("nothing")
    assert command(file) == 2


def command(file: Path) -> int:
    words = [sys.executable, "-m", "liveroom", "verify-draw", str(file)]
    return subprocess.run(words, stdout=subprocess.DEVNULL, check=False).returncode
