"""A room on two nodes, ten lines that say what should become of its rounds, and what must be true of any such show."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import ConnectionClosed

from liveroom import verify_draw
from tests.house import Guest, Node, join, make_room, token

Message = dict[str, Any]

NOT_EVENTS = ("beat", "welcome", "room.reset", "ok")
LAST = {"lottery": {"settled", "cancelled", "voided"}, "quiz": {"revealed", "voided"}}
ONCE = ("opened", "frozen", "drawn", "settled", "cancelled", "revealed", "voided")  # in the life of a round
TURNS = {  # from where, to where
    "lottery.close": ({"open"}, "closed"),
    "lottery.cancel": ({"open"}, "cancelled"),
    "lottery.void": ({"closed"}, "voided"),
    "quiz.close": ({"open"}, "closed"),
    "quiz.void": ({"open", "closed"}, "voided"),
}

numbers = itertools.count(1)


@dataclass
class Model:
    """What a round should be, as far as its host and its viewers were answered."""

    kind: str
    id: str
    secret: str = ""  # stands in the explanation of a quiz, and nowhere else
    right: int = 0
    winners: int = 0
    keyword: str = ""
    claims: bool = False
    state: str = "open"
    entered: dict[str, Any] = field(default_factory=dict)  # viewer -> choice; "" in a lottery
    receipts: dict[str, Message] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)  # viewers whose entry may or may not count

    def code(self, viewer: str, word: Any) -> str:
        """What an entry should be answered."""
        if viewer in self.entered:
            return "ok" if self.entered[viewer] == word else "ALREADY_ANSWERED"
        if self.state == "open":
            self.entered[viewer] = word
            return "ok"
        return "ROUND_STATE" if self.state in ("cancelled", "voided") else "ROUND_CLOSED"

    def turned(self, command: str) -> str:
        """What a host's command should be answered."""
        when, to = TURNS[command]
        if self.state in when:
            self.state = to
        return "ok" if self.state == to else "ROUND_STATE"


def code(reply: Message) -> str:
    return "ok" if reply["t"] == "ok" else str(reply["code"])


def events(guest: Guest) -> list[Message]:
    """What a connection was told of the room's log."""
    return [one for one in guest.heard if "seq" in one and one["t"] not in NOT_EVENTS]


def last_seq(guest: Guest) -> int:
    heard = events(guest)
    return int(heard[-1]["seq"] if heard else guest.welcome["seq"])


def of(messages: Iterable[Message], kind: str, id_: str) -> list[Message]:
    return [one for one in messages if one["t"] == kind and one.get("id") == id_]


class Show:
    """A room with a host and a watcher on each node, and viewers who come and go."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.room = make_room(nodes[0])
        self.inside: dict[str, Guest] = {}
        self.at: dict[str, Node] = {}
        self.ever: list[tuple[str, Guest]] = []  # every connection there was
        self.rounds: dict[str, Model] = {}
        self.kept: dict[str, list[Message]] = {}  # a round as each node shows it at the end
        self.proofs: dict[str, list[tuple[int, str]]] = {}
        self.wrong: list[str] = []  # what was found on the way
        self.read: set[str] = set()  # rounds whose letters were acknowledged

    async def begin(self, *viewers: str) -> Show:
        """Viewers sit on the nodes in turn."""
        for n, _ in enumerate(self.nodes):
            await self.come(f"host{n}", n, "host")
            await self.come(f"watcher{n}", n)
        for n, viewer in enumerate(viewers):
            await self.come(viewer, n)
        return self

    async def come(self, name: str, node: int, role: str = "viewer", **hello: Any) -> Guest:
        self.at[name] = self.nodes[node % len(self.nodes)]
        guest = self.inside[name] = await join(self.at[name], self.room, role, name, **hello)
        self.ever.append((name, guest))
        return guest

    async def back(self, name: str, node: int, *, resume: bool = True, rudely: bool = True) -> Guest:
        """Somebody is cut off, or leaves, and comes back, perhaps elsewhere."""
        old = self.inside[name]
        if rudely:
            old.drop()
        else:
            await old.leave()
        at = {"epoch": old.welcome["epoch"], "seq": last_seq(old)}
        hello: Message = {"resume": at} if resume else {}
        return await self.come(name, node, **hello)

    async def lose(self, node: Node) -> None:
        """A node is dead: who was there comes to another one, but its host and its watcher."""
        n = self.nodes.index(node)
        self.nodes = [one for one in self.nodes if one is not node]
        for name in [name for name, at in self.at.items() if at is node]:
            if name in (f"host{n}", f"watcher{n}"):
                del self.inside[name], self.at[name]
            else:
                await self.back(name, 0)

    @property
    def host(self) -> Guest:
        return self.inside["host0"]

    @property
    def hosts(self) -> list[Guest]:
        return [self.inside[f"host{n}"] for n, _ in enumerate(self.nodes)]

    # -- what people do --

    async def lottery(self, host: int = 0, **fields: Any) -> Model:
        usual: Message = {"prize": "a teapot", "winners": 2, "seconds": 3600}
        said = await self.hosts[host].ask("lottery.open", **usual | fields)
        assert said["t"] == "ok", said
        more = {"keyword": fields.get("keyword", ""), "claims": "claim_seconds" in fields}
        return self.put(Model("lottery", said["id"], winners=(usual | fields)["winners"], **more))

    async def quiz(self, host: int = 0, choices: int = 3, right: int = 0, **fields: Any) -> Model:
        secret = f"secret-{next(numbers)}-{hashlib.sha256(self.room.encode()).hexdigest()[:8]}"
        usual: Message = {"question": "Which one?", "seconds": 600, "choices": [f"choice {n}" for n in range(choices)]}
        told = {"right": right, "explain": f"Because of {secret}."}
        said = await self.hosts[host].ask("quiz.open", **usual | told | fields)
        assert said["t"] == "ok", said
        return self.put(Model("quiz", said["id"], secret, right))

    def put(self, round_: Model) -> Model:
        self.rounds[round_.id] = round_
        return round_

    async def enter(self, viewer: str, round_: Model, choice: int = 0, guest: Guest | None = None) -> Message:
        """By button. The reply alone says whether it counts; who should be answered what is asked of the model."""
        asking = guest or self.inside[viewer]
        if round_.kind == "lottery":
            said = await asking.ask("lottery.enter", id=round_.id)
            return self.note(viewer, round_, "", said)
        return self.note(viewer, round_, choice, await asking.ask("quiz.answer", id=round_.id, choice=choice))

    async def say(self, viewer: str, round_: Model, text: str = "") -> Message:
        """By comment."""
        guest, opened = self.inside[viewer], await self.host.hear("lottery.opened", id=round_.id)
        if guest.welcome["seq"] < opened["seq"]:
            await guest.wait(lambda one: one.get("seq", 0) >= opened["seq"])
        return self.note(viewer, round_, "", await guest.say(text or round_.keyword))

    async def try_to_enter(self, viewer: str, round_: Model, choice: int = 0) -> bool:
        """Whether he was told that it counts; if his node dies he does not know."""
        try:
            return code(await self.enter(viewer, round_, choice)) == "ok"
        except (AssertionError, TimeoutError, ConnectionClosed):
            round_.unknown.add(viewer)
            return False

    def note(self, viewer: str, round_: Model, word: Any, said: Message) -> Message:
        if said["t"] == "ok" and (round_.kind == "quiz" or "receipt" in said):
            round_.entered.setdefault(viewer, word)
            if round_.kind == "lottery":
                first = round_.receipts.setdefault(viewer, said["receipt"])
                if said["receipt"] != first:
                    self.wrong.append(f"{viewer} has two receipts: {first} and {said['receipt']}")
        if said.get("params", {}).get("unknown"):
            round_.unknown.add(viewer)
        return said

    async def turn(self, command: str, round_: Model, *hosts: int) -> list[Message]:
        """One host, or several at once."""
        more: Message = {} if command.endswith("close") else {"reason": "so it goes"}
        asking = [self.hosts[host] for host in hosts or (0,)]
        said = await asyncio.gather(*(host.ask(command, id=round_.id, **more) for host in asking))
        expected = round_.turned(command)
        assert [code(one) for one in said] == [expected] * len(said), said
        return said

    # -- the end --

    async def end(self, seconds: float = 10) -> None:
        """Close what is open, let winners claim, and wait until everybody here has heard how all of it ended."""
        for one in self.rounds.values():
            if one.state == "open":
                await self.turn(f"{one.kind}.close", one)
        for one in self.rounds.values():
            try:
                if one.claims and one.state == "closed":
                    await self.take_prizes(one, seconds)
                await self.ended(one, seconds)
            except TimeoutError:
                self.wrong.append(f"{one.kind} {one.id} does not end")
        text = f"the end {next(numbers)}"
        await self.host.ask("room.notice", text=text)
        for guest in self.inside.values():
            await guest.hear("room.notice", max(seconds, 10), text=text)
        await self.results(seconds)
        for one in self.rounds.values():
            path = f"/v1/rooms/{self.room}/rounds/{one.id}"
            self.kept[one.id] = [(await get(node, path, token(self.room, sub="nobody")))[1] for node in self.nodes]
            if one.kind == "lottery":
                self.proofs[one.id] = [await text_of(node, f"{path}/proof") for node in self.nodes]

    async def take_prizes(self, round_: Model, seconds: float) -> None:
        drawn = await self.host.hear("lottery.drawn", seconds, id=round_.id)
        for winner in drawn["winners"]:
            said = await self.inside[winner["viewer"]].ask("lottery.claim", id=round_.id)
            assert said["t"] == "ok", said

    async def ended(self, round_: Model, seconds: float) -> Message:
        kinds = {f"{round_.kind}.{one}" for one in LAST[round_.kind]}
        return await self.host.wait(lambda one: one["t"] in kinds and one.get("id") == round_.id, seconds)

    async def results(self, seconds: float) -> None:
        """Wait for what is told to one viewer each; what does not come is missed below."""
        parts = [
            self.own_part(name, guest, one, seconds)
            for name, guest in self.ever
            for one in self.rounds.values()
            if name in one.entered and self.inside.get(name) is guest
        ]
        await asyncio.gather(*parts)

    async def own_part(self, name: str, guest: Guest, round_: Model, seconds: float) -> None:
        """Who hears a result told hears his own; whoever won, that he did."""
        told = of(guest.heard, "lottery.drawn" if round_.kind == "lottery" else "quiz.revealed", round_.id)
        won = name in winners(self, round_) and keeps_letters(self, round_)
        with suppress(TimeoutError, AssertionError):
            if told:
                await guest.hear(f"{round_.kind}.result", seconds, id=round_.id)
            if won and not of(letters(guest), "lottery.won", round_.id):
                await guest.hear("lottery.won", seconds, id=round_.id)

    async def leave(self) -> None:
        for _, guest in self.ever:
            await guest.leave()


def winners(show: Show, round_: Model) -> list[str]:
    drawn = (one for one in log_of(show, round_) if one["t"] == "lottery.drawn")
    return [winner["viewer"] for one in drawn for winner in one["winners"]]


def letters(guest: Guest) -> list[Message]:
    """What somebody found in his inbox when he came, and what he heard since."""
    return [*guest.welcome.get("snapshot", {}).get("inbox", []), *guest.heard]


async def get(node: Node, path: str, key: str = "") -> tuple[int, Any]:
    status, text = await text_of(node, path, key)
    return status, json.loads(text)


async def text_of(node: Node, path: str, key: str = "") -> tuple[int, str]:
    """An HTTP answer, byte for byte; "try later" is done."""

    def ask() -> tuple[int, str]:
        request = urllib.request.Request(node.url + path, headers={"Authorization": f"Bearer {key}"} if key else {})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    for _ in range(20):
        status, text = await asyncio.to_thread(ask)
        if status != 503:
            break
        await asyncio.sleep(0.5)
    return status, text


# --- what must be true -------------------------------------------------------------------------------


def complaints(show: Show) -> list[str]:
    """What is wrong with a show that has ended."""
    found = [*show.wrong, *same_log(show)]
    for one in show.rounds.values():
        found += [f"{one.kind} {one.id}: {why}" for why in (*life(show, one), *secrets(show, one), *private(show, one))]
        found += [f"{one.kind} {one.id}: {why}" for why in (draw if one.kind == "lottery" else quiz)(show, one)]
    return found


def same_log(show: Show) -> Iterator[str]:
    """Numbers rise by one, and one number is one event, whoever hears it on whichever node."""
    log: dict[int, Message] = {}
    for name, guest in show.ever:
        start, known = guest.welcome["seq"], "snapshot" in guest.welcome
        heard = [one["seq"] for one in events(guest) if not known or one["seq"] > start]  # others are in the snapshot
        if heard != list(range(start + 1, start + 1 + len(heard))):
            yield f"{name} heard events out of order: {heard} behind {start}"
        for one in events(guest):
            if log.setdefault(one["seq"], one) != one:
                yield f"event {one['seq']} is not the same for all: {one} and {log[one['seq']]}"
    if len({last_seq(guest) for guest in show.inside.values()}) > 1:
        yield "not everybody heard the end"


def life(show: Show, round_: Model) -> Iterator[str]:
    """A round opens once, ends, and nothing happens to it twice."""
    told = Counter(one["t"].partition(".")[2] for one in log_of(show, round_))
    yield from (f"it was {one} {told[one]} times" for one in ONCE if told[one] > 1)
    kept = show.kept.get(round_.id, [{}])
    if any(one != kept[0] for one in kept):
        yield f"the nodes differ: {kept}"
    if kept[0].get("state") not in LAST[round_.kind]:
        yield f"it is still {kept[0].get('state')}"
    if round_.state in ("cancelled", "voided") and kept[0].get("state") != round_.state:
        yield f"it is {kept[0].get('state')}, but was {round_.state}"


def log_of(show: Show, round_: Model) -> list[Message]:
    """The events of a round, in their order, as anybody heard them."""
    log = {one["seq"]: one for _, guest in show.ever for one in events(guest) if one.get("id") == round_.id}
    return [log[seq] for seq in sorted(log)]


def secrets(show: Show, round_: Model) -> Iterator[str]:
    """No frame tells the answer of a quiz before the reveal, nor anything of who was right."""
    if round_.kind != "quiz":
        return
    telling = {"right", "explain", "correct", "points"}
    for name, guest in show.ever:
        if came_behind(guest, show, round_):
            continue
        for one in [guest.welcome, *guest.heard]:
            if one["t"] == "quiz.revealed" and one["id"] == round_.id:
                break
            if round_.secret in json.dumps(one):
                yield f"{name} was told the explanation before the reveal: {one}"
            if any(part.get("id") == round_.id and telling & part.keys() for part in objects(one)):
                yield f"{name} was told more than the question before the reveal: {one}"


def came_behind(guest: Guest, show: Show, round_: Model) -> bool:
    """Whether this connection began when everything was told already."""
    told = [one["seq"] for one in log_of(show, round_) if one["t"] in ("quiz.revealed", "lottery.drawn")]
    return bool(told) and guest.welcome["seq"] >= told[0]


def objects(said: Any) -> Iterator[Message]:
    """Every object in a message."""
    if isinstance(said, dict):
        yield said
    for one in said.values() if isinstance(said, dict) else said if isinstance(said, list) else ():
        yield from objects(one)


def private(show: Show, round_: Model) -> Iterator[str]:
    """Results and letters go to those whom they concern, behind the event that they belong to."""
    behind = "lottery.drawn" if round_.kind == "lottery" else "quiz.revealed"
    for name, guest in show.ever:
        kinds = [behind] if came_behind(guest, show, round_) else []
        kinds += [one["t"] for one in guest.heard if one.get("id") == round_.id]
        results, won = kinds.count(f"{round_.kind}.result"), kinds.count("lottery.won")
        if (results or won) and name not in round_.entered and name not in round_.unknown:
            yield f"{name} did not enter, and heard {kinds}"
        if results and (behind not in kinds or kinds.index(behind) > kinds.index(f"{round_.kind}.result")):
            yield f"{name} heard his result before {behind}"
        if won and behind in kinds and kinds.index(behind) > kinds.index("lottery.won"):
            yield f"{name} heard that he won before {behind}"
        told = of(guest.heard, behind, round_.id)
        if told and name in round_.entered and not results and show.inside.get(name) is guest:
            yield f"{name} heard {behind}, but not his result"


def quiz(show: Show, round_: Model) -> Iterator[str]:
    """Every answer that was acknowledged counts once, and nothing else does."""
    for revealed in (one for one in log_of(show, round_) if one["t"] == "quiz.revealed"):
        choices = Counter(round_.entered.values())
        counted = Counter({n: count for n, count in enumerate(revealed["counts"]) if count})
        if not (choices <= counted and (counted - choices).total() <= len(round_.unknown - round_.entered.keys())):
            yield f"{dict(counted)} were counted, but {dict(choices)} were acknowledged"
        if revealed["right"] != round_.right:
            yield f"{revealed['right']} was revealed"
    for name, guest in show.ever:
        for result in of(guest.heard, "quiz.result", round_.id):
            correct = round_.entered.get(name) == round_.right
            if name not in round_.unknown and (result["correct"], result["points"] > 0) != (correct, correct):
                yield f"{name} chose {round_.entered.get(name)} and was told {result}"


def draw(show: Show, round_: Model) -> Iterator[str]:
    """What was drawn is what anybody computes from what was told before; who was told "entered" is in it."""
    log = {one["t"].partition(".")[2]: one for one in log_of(show, round_)}
    texts = show.proofs.get(round_.id, [])
    if "drawn" not in log:
        yield from (f"nothing was drawn, but there is a proof: {text}" for status, text in texts if status == 200)
        if round_.state == "closed":
            yield "nothing was drawn"
        return
    drawn = log["drawn"]
    for status, text in texts:
        if status != 200 or hashlib.sha256(text.encode()).hexdigest() != drawn["proof"]["sha256"]:
            yield f"the proof is not the one that was told: {status} {text}"
    if not texts or texts[0][0] != 200:
        return
    proof = verify_draw.read_proof(texts[0][1])
    yield from (f"the proof fails: {what}" for what, agrees in verify_draw.checks(proof) if not agrees)
    yield from promises(log, proof)
    yield from heads(show, round_, proof)
    yield from entries(round_, proof)
    yield from lucky(show, round_, drawn, proof)


def promises(log: dict[str, Message], proof: Message) -> Iterator[str]:
    """What was told when the draw was opened and frozen is what the proof says, in that order."""
    opened, frozen, drawn = log["opened"], log["frozen"], log["drawn"]
    if not opened["seq"] < frozen["seq"] < drawn["seq"]:
        yield "it was not opened, frozen and drawn in this order"
    told = opened["commit"], opened["rules_hash"], frozen["root"], frozen["n"], drawn["seed"]
    if told != (proof["commit"], proof["rules_hash"], proof["root"], len(proof["entries"]), proof["seed"]):
        yield "the proof is of another draw than was promised"


def heads(show: Show, round_: Model, proof: Message) -> Iterator[str]:
    """Every head that was told while entries came in is one of the chain over the entries of the proof."""
    chain = [verify_draw.sha256(b"lr/chain0/v1\0" + round_.id.encode())]
    for one in proof["entries"]:
        chain.append(verify_draw.sha256(b"\1lr/chain/v1\0" + chain[-1] + verify_draw.leaf(round_.id, one)))
    told = {(one["n"], one["head"]) for _, guest in show.ever for one in of(guest.heard, "lottery.progress", round_.id)}
    yield from (f"head {n} is not in the chain" for n, head in told if n >= len(chain) or chain[n].hex() != head)


def entries(round_: Model, proof: Message) -> Iterator[str]:
    """Acknowledged ⊆ counted ⊆ acknowledged or unknown."""
    counted = proof["entries"]
    for viewer, receipt in round_.receipts.items():
        found = next((one for one in counted if one["n"] == receipt["n"]), None)
        if found is None or found["tag"] != receipt["tag"] or found["weight"] != receipt["weight"]:
            yield f"{viewer} was told {receipt}, which is not in the proof"
        elif verify_draw.leaf(round_.id, found).hex() != receipt["leaf"]:
            yield f"the leaf of {viewer} is not that of his entry"
    if len(counted) > len(round_.receipts.keys() | round_.unknown):
        yield f"{len(counted)} entries were counted, {len(round_.receipts)} were acknowledged"


def lucky(show: Show, round_: Model, drawn: Message, proof: Message) -> Iterator[str]:
    """Winners entered; they and nobody else got letters; everybody was told his own rank."""
    tags = [one["tag"] for one in proof["winners"]]
    told = [one["tag"] for one in drawn["winners"]]
    if told != tags[:50] or drawn["winners_total"] != len(tags):
        yield f"{told} were told to have won, {tags} have"
    replaced = [one for one in log_of(show, round_) if one["t"] == "lottery.replaced"]
    won = [winner for one in [drawn, *replaced] for winner in one["winners"]]
    for one in won:
        receipt = round_.receipts.get(one["viewer"])
        if one["viewer"] not in round_.unknown and (receipt is None or receipt["tag"] != one["tag"]):
            yield f"{one['viewer']} won, but did not enter"
    order = ranking(proof)
    for name, guest in show.ever:
        mine = round_.receipts.get(name, {}).get("tag")
        if mine is None:
            continue
        for result in of(guest.heard, "lottery.result", round_.id):
            if (result["rank"], result["of"]) != (order.index(mine) + 1, len(order)):
                yield f"{name} was told rank {result['rank']} of {result['of']}"
        has_letter, has_won = bool(of(letters(guest), "lottery.won", round_.id)), name in [one["viewer"] for one in won]
        if has_letter and not has_won:
            yield f"{name} was told to have won"
        if has_won and not has_letter and show.inside.get(name) is guest and keeps_letters(show, round_):
            yield f"{name} won, and was not told so"


def keeps_letters(show: Show, round_: Model) -> bool:
    """Letters are taken back when a draw is void, and end when they were read."""
    return round_.id not in show.read and round_.state != "voided"


def ranking(proof: Message) -> list[str]:
    """Tags, the luckiest first, computed from the proof alone."""
    told = "\0".join(["lr/draw/v1", proof["id"], proof["rules_hash"], proof["root"], proof["beacon"]])
    key = hmac.digest(bytes.fromhex(proof["seed"]), told.encode(), "sha256")
    return [one["tag"] for one in sorted(proof["entries"], key=lambda one: (verify_draw.score(key, one), one["tag"]))]
