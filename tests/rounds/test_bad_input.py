"""Whatever is wrong with a command to a round: it gets its code, and nothing becomes of the round."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from tests.house import Guest, Node, guests, join, make_room, numbers, token
from tests.rounds.stage import Message, code, get, of, text_of

HOUR_MS = 3_600_000
STATUS = {  # protocol, section 5
    "BAD_MESSAGE": 400,
    "NOT_ALLOWED": 403,
    "NO_SUCH_ROUND": 404,
    "ROOM_CLOSED": 409,
    "ROUND_STATE": 409,
    "KEYWORD_TAKEN": 409,
    "IDEMPOTENCY_MISMATCH": 409,
    "NOT_ELIGIBLE": 403,
    "ROUND_CLOSED": 409,
    "ALREADY_ANSWERED": 409,
    "NO_SUCH_CHOICE": 409,
    "TRY_LATER": 503,
}
PARAMS = {
    "NOT_ALLOWED": {"needs"},
    "ROUND_STATE": {"state", "ver"},
    "ROUND_CLOSED": {"closed_at"},
    "NOT_ELIGIBLE": {"missing"},
    "BAD_MESSAGE": {"field", "why"},
}
OPENINGS: dict[str, Message] = {
    "lottery": {"prize": "cup", "winners": 1},
    "quiz": {"question": "Which?", "choices": ["this", "that"], "right": 0, "explain": "That is so."},
    "sprint": {"target": 100, "levels": [10, 50]},
    "count": {"keyword": "tea"},
}
REASON = {"reason": "so it goes"}
TURNS: dict[str, Message] = {
    "lottery.close": {},
    "lottery.cancel": REASON,
    "lottery.void": REASON,
    "quiz.close": {},
    "quiz.void": REASON,
    "sprint.close": {},
    "count.close": {},
}
ENTRIES: dict[str, Message] = {"lottery.enter": {}, "lottery.claim": {}, "quiz.answer": {"choice": 0}}
NOBODYS = "r_nobodys"


class Hall:
    """A room with a host and two viewers; what it refuses changes nothing."""

    def __init__(self, node: Node, room: str, host: Guest, ann: Guest, bob: Guest) -> None:
        self.node = node
        self.room = room
        self.host = host
        self.ann = ann
        self.bob = bob
        self.rounds: list[str] = []

    async def now(self) -> int:
        return int((await self.host.ask("time.ping", c0=0))["s1"])

    async def open(self, kind: str, **fields: Any) -> str:
        said = await self.host.ask(f"{kind}.open", **OPENINGS[kind] | fields)
        assert said["t"] == "ok", said
        self.rounds.append(said["id"])
        told = (f"{kind}.opened", f"{kind}.announced")
        for guest in (self.ann, self.bob):
            await guest.wait(lambda one: one["t"] in told and one["id"] == said["id"])
        return str(said["id"])

    async def turn(self, command: str, id_: str) -> Message:
        said = await self.host.ask(command, id=id_, **TURNS[command])
        assert said["t"] == "ok", said
        return said

    async def bring(self, kind: str, state: str) -> str:
        """A round in this state. Ann took part in it, if anybody did."""
        if state == "announced":
            return await self.open(kind, opens_at=await self.now() + HOUR_MS)
        id_ = await self.open(kind, **({"claim_seconds": 600} if state == "drawn" else {}))
        if state == "open":
            return id_
        if kind in ("lottery", "quiz"):
            await self.ann.ask("lottery.enter" if kind == "lottery" else "quiz.answer", **entry(kind, id_))
        if state == "cancelled":
            await self.turn("lottery.cancel", id_)
        else:
            await self.turn(f"{kind}.close", id_)
            ended = {"lottery": "drawn" if state == "drawn" else "settled", "quiz": "revealed"}.get(kind, "closed")
            await self.host.hear(f"{kind}.{ended}", id=id_)
        if state == "voided":
            await self.turn(f"{kind}.void", id_)
            await self.host.hear(f"{kind}.voided", id=id_)
        return id_

    async def look(self, viewer: str = "bob") -> list[Message]:
        """Every round as a viewer may see it. While it is under way its version rises by itself."""
        found = []
        for one in self.rounds:
            _, seen = await get(self.node, f"/v1/rooms/{self.room}/rounds/{one}", token(self.room, sub=viewer))
            found.append({**seen, "ver": 0} if seen.get("state") in ("open", "drawn") else seen)
        return found

    async def told(self) -> int:
        """How much the room was told by now."""
        status, said = await self.http("room.notice", text="how late is it?")
        assert status == 200, said
        return int(said["seq"])

    async def refuses(self, wanted: str, command: str, by: Guest | None = None, **fields: Any) -> Message:
        """The parameters of the refusal, which is the same over HTTP where a host gives the command."""
        before, told = await self.look(), await self.told()
        said = await (by or self.host).ask(command, **fields)
        assert code(said) == wanted, said
        assert said["retryable"] is (wanted == "TRY_LATER")
        assert PARAMS.get(wanted, set()) <= said["params"].keys(), said
        if by is None:
            status, body = await self.http(command, **fields)
            assert (status, body["code"]) == (STATUS[wanted], wanted), body
            assert body["params"].keys() == said["params"].keys()
        assert await self.look() == before
        assert await self.told() == told + 1
        return dict(said["params"])

    async def http(self, command: str, role: str = "host", sub: str = "", **fields: Any) -> tuple[int, Any]:
        """The same command over HTTP; each time from another host, for hosts too may be too fast."""
        key = token(self.room, role, sub or f"host-{next(numbers)}")
        path, body = f"/v1/rooms/{self.room}/commands", {"t": command, **fields}
        return await asyncio.to_thread(self.node.http, "POST", path, body, key)


def entry(kind: str, id_: str) -> Message:
    return {"id": id_, **({"choice": 0} if kind == "quiz" else {})}


@contextlib.asynccontextmanager
async def opened(node: Node) -> AsyncIterator[Hall]:
    room = make_room(node)
    async with guests(join(node, room, "host"), join(node, room, sub="ann"), join(node, room, sub="bob")) as people:
        yield Hall(node, room, *people)


def shown(node: Node, what: Callable[[Hall], Coroutine[Any, Any, None]]) -> None:
    async def show() -> None:
        async with opened(node) as hall:
            await what(hall)

    asyncio.run(show())


# --- rounds that are not meant ---


def test_a_round_that_there_never_was(node: Node) -> None:
    async def show(hall: Hall) -> None:
        await hall.open("lottery")
        for command, fields in TURNS.items():
            await hall.refuses("NO_SUCH_ROUND", command, id=NOBODYS, **fields)
        for command, fields in ENTRIES.items():
            await hall.refuses("NO_SUCH_ROUND", command, hall.ann, id=NOBODYS, **fields)
        for path in ("", "/proof"):
            assert (await text_of(node, f"/v1/rooms/{hall.room}/rounds/{NOBODYS}{path}", token(hall.room)))[0] == 404

    shown(node, show)


@pytest.mark.parametrize("id_", ["", "R_1", "r 1", "r_1\n", "r" * 41, "r|1", "../r_1", 1, None, ["r_1"]])
def test_an_id_that_cannot_be_one(node: Node, id_: Any) -> None:
    async def show(hall: Hall) -> None:
        for command, fields in (TURNS | ENTRIES).items():
            by = None if command in TURNS else hall.ann
            assert (await hall.refuses("BAD_MESSAGE", command, by, id=id_, **fields))["field"] == "id"

    shown(node, show)


def test_a_round_of_another_room(node: Node) -> None:
    async def show(hall: Hall) -> None:
        async with opened(node) as other:
            for kind in OPENINGS:
                theirs = await other.open(kind)
                before = await other.look()
                for command, fields in TURNS.items():
                    await hall.refuses("NO_SUCH_ROUND", command, id=theirs, **fields)
                for command, fields in ENTRIES.items():
                    await hall.refuses("NO_SUCH_ROUND", command, hall.ann, id=theirs, **fields)
                path = f"/v1/rooms/{hall.room}/rounds/{theirs}"
                assert (await text_of(node, path, token(hall.room)))[0] == 404
                assert await other.look() == before
                assert not of(hall.bob.heard, f"{kind}.opened", theirs)

    shown(node, show)


@pytest.mark.parametrize("kind", OPENINGS)
def test_a_round_of_another_kind(node: Node, kind: str) -> None:
    async def show(hall: Hall) -> None:
        id_ = await hall.open(kind)
        for command, fields in (TURNS | ENTRIES).items():
            if not command.startswith(kind):
                by = None if command in TURNS else hall.ann
                await hall.refuses("NO_SUCH_ROUND", command, by, id=id_, **fields)

    shown(node, show)


# --- at the wrong time ---

NOT_YET = ("lottery.enter", "lottery.claim", "lottery.close", "lottery.void")
NO_MORE = ("lottery.enter", "lottery.claim", "lottery.close", "lottery.cancel")
WRONG: dict[tuple[str, str], dict[str, str]] = {
    ("lottery", "announced"): dict.fromkeys(NOT_YET, "ROUND_STATE"),
    ("lottery", "open"): {"lottery.claim": "ROUND_STATE", "lottery.void": "ROUND_STATE"},
    ("lottery", "drawn"): {
        "lottery.enter": "ROUND_CLOSED",
        "lottery.claim": "NOT_ELIGIBLE",
        "lottery.cancel": "ROUND_STATE",
    },
    ("lottery", "settled"): {
        "lottery.enter": "ROUND_CLOSED",
        "lottery.claim": "NOT_ELIGIBLE",
        "lottery.cancel": "ROUND_STATE",
    },
    ("lottery", "cancelled"): dict.fromkeys(NOT_YET, "ROUND_STATE"),
    ("lottery", "voided"): dict.fromkeys(NO_MORE, "ROUND_STATE"),
    ("quiz", "announced"): {"quiz.answer": "ROUND_STATE", "quiz.close": "ROUND_STATE"},
    ("quiz", "revealed"): {"quiz.answer": "ROUND_CLOSED"},
    ("quiz", "voided"): {"quiz.answer": "ROUND_STATE", "quiz.close": "ROUND_STATE"},
    ("sprint", "announced"): {"sprint.close": "ROUND_STATE"},
    ("count", "announced"): {"count.close": "ROUND_STATE"},
}
HOLDS_ALREADY = [
    ("lottery", "drawn", "lottery.close"),
    ("lottery", "settled", "lottery.close"),
    ("lottery", "cancelled", "lottery.cancel"),
    ("lottery", "voided", "lottery.void"),
    ("quiz", "revealed", "quiz.close"),
    ("quiz", "voided", "quiz.void"),
    ("sprint", "settled", "sprint.close"),
    ("count", "settled", "count.close"),
]


@pytest.mark.parametrize(("kind", "state"), WRONG)
def test_a_command_in_the_wrong_state_is_told_the_state(node: Node, kind: str, state: str) -> None:
    async def show(hall: Hall) -> None:
        id_ = await hall.bring(kind, state)
        for command, wanted in WRONG[kind, state].items():
            by, fields = (None, TURNS[command]) if command in TURNS else (hall.bob, ENTRIES[command])
            params = await hall.refuses(wanted, command, by, id=id_, **fields)
            if wanted == "ROUND_STATE":
                assert params["state"] == state
                assert params["ver"] >= 1

    shown(node, show)


@pytest.mark.parametrize(("kind", "state", "command"), HOLDS_ALREADY)
def test_what_holds_already_is_answered_ok_and_told_once(node: Node, kind: str, state: str, command: str) -> None:
    async def show(hall: Hall) -> None:
        id_ = await hall.bring(kind, state)
        before, told = await hall.look(), await hall.told()
        for idem in ("a", "a", "b"):
            said = await hall.turn(command, id_)
            assert said["state"] == state
            assert said["ver"] == before[0]["ver"] or state == "drawn"
            status, body = await hall.http(command, id=id_, idem=idem, **TURNS[command])
            assert (status, body["state"]) == (200, state)
        assert await hall.look() == before
        assert await hall.told() == told + 1

    shown(node, show)


def test_who_is_too_early_may_come_again(node: Node) -> None:
    async def show(hall: Hall) -> None:
        opens_at = await hall.now() + 700
        lottery = await hall.open("lottery", keyword="tea", opens_at=opens_at)
        quiz = await hall.open("quiz", opens_at=opens_at)
        await hall.refuses("ROUND_STATE", "lottery.enter", hall.ann, id=lottery)
        await hall.refuses("ROUND_STATE", "quiz.answer", hall.ann, id=quiz, choice=1)
        assert "receipt" not in await hall.ann.say("tea")
        await asyncio.gather(hall.ann.hear("lottery.opened"), hall.ann.hear("quiz.opened"))
        assert (await hall.ann.ask("lottery.enter", id=lottery))["receipt"]["n"] == 1
        assert (await hall.ann.ask("quiz.answer", id=quiz, choice=0))["t"] == "ok"

    shown(node, show)


def test_a_closed_room_takes_no_commands_but_shows_its_rounds(node: Node) -> None:
    async def show(hall: Hall) -> None:
        open_, over = await hall.open("lottery"), await hall.bring("lottery", "settled")
        path = f"/v1/rooms/{hall.room}/close"
        assert (await asyncio.to_thread(node.http, "POST", path, None, token(hall.room, "host")))[0] == 200
        for kind, fields in OPENINGS.items():
            assert (await hall.http(f"{kind}.open", **fields))[1]["code"] == "ROOM_CLOSED"
        for command, fields in TURNS.items():
            assert (await hall.http(command, id=open_, **fields))[1]["code"] == "ROOM_CLOSED"
        assert [one["state"] for one in await hall.look()] == ["open", "settled"]
        assert (await text_of(node, f"/v1/rooms/{hall.room}/rounds/{over}/proof"))[0] == 200

    shown(node, show)


@pytest.mark.parametrize(("kind", "state"), [*WRONG, ("sprint", "settled"), ("count", "settled")])
def test_whoever_took_part_may_look_at_a_round_whatever_became_of_it(node: Node, kind: str, state: str) -> None:
    async def show(hall: Hall) -> None:
        id_ = await hall.bring(kind, state)
        for viewer in ("ann", "bob"):
            (seen,) = await hall.look(viewer)
            assert (seen.get("id"), seen.get("state")) == (id_, state), seen
            took_part = viewer == "ann" and kind in ("lottery", "quiz") and state not in ("announced", "open")
            assert (seen["mine"] is not None) is took_part

    shown(node, show)


# --- twice ---


@pytest.mark.parametrize("kind", OPENINGS)
def test_an_opening_that_is_sent_again_opens_nothing_more(node: Node, kind: str) -> None:
    async def show(hall: Hall) -> None:
        said = await asyncio.gather(*(hall.host.ask(f"{kind}.open", idem="a", **OPENINGS[kind]) for _ in range(5)))
        id_ = said[0]["id"]
        hall.rounds.append(id_)
        assert [one["id"] for one in said] == [id_] * 5
        host = hall.host.welcome["viewer"]["id"]
        assert await hall.http(f"{kind}.open", sub=host, idem="a", **OPENINGS[kind]) == (200, {"t": "ok", "id": id_})
        for other in OPENINGS:
            changed = {"seconds": 59} if other == kind else {}
            more = OPENINGS[other] | changed | {"idem": "a"}
            before = await hall.look()
            assert code(await hall.host.ask(f"{other}.open", **more)) == "IDEMPOTENCY_MISMATCH"
            status, body = await hall.http(f"{other}.open", sub=host, **more)
            assert (status, body["code"]) == (409, "IDEMPOTENCY_MISMATCH")
            assert await hall.look() == before
        assert code(await hall.host.ask("room.notice", text="hello", idem="a")) == "IDEMPOTENCY_MISMATCH"
        assert await hall.told() == 2

    shown(node, show)


@pytest.mark.parametrize("kind", ["lottery", "quiz", "sprint"])
def test_another_key_is_another_round_and_so_is_another_host(node: Node, kind: str) -> None:
    async def show(hall: Hall) -> None:
        async with guests(join(node, hall.room, "host")) as (second,):
            said = [
                await hall.host.ask(f"{kind}.open", idem="a", **OPENINGS[kind]),
                await hall.host.ask(f"{kind}.open", idem="b", **OPENINGS[kind]),
                await hall.host.ask(f"{kind}.open", **OPENINGS[kind]),
                await second.ask(f"{kind}.open", idem="a", **OPENINGS[kind]),
            ]
            assert len({one["id"] for one in said}) == 4
            await hall.bob.wait(lambda one: one.get("seq") == 4)

    shown(node, show)


@pytest.mark.parametrize("idem", ["", "x" * 65, 1, None])
def test_a_key_that_is_none(node: Node, idem: Any) -> None:
    async def show(hall: Hall) -> None:
        for kind, fields in OPENINGS.items():
            assert (await hall.refuses("BAD_MESSAGE", f"{kind}.open", idem=idem, **fields))["field"] == "idem"

    shown(node, show)


def test_a_key_stands_for_what_it_asked_for_also_where_that_changed_nothing(node: Node) -> None:
    async def show(hall: Hall) -> None:
        id_ = await hall.open("lottery", keyword="tea")
        await hall.turn("lottery.close", id_)
        await hall.host.hear("lottery.settled", id=id_)
        said = [await hall.host.ask("lottery.close", id=id_, idem="k") for _ in range(2)]
        assert [(one["t"], one["state"], one["ver"]) for one in said] == [("ok", "settled", said[0]["ver"])] * 2
        other = await hall.host.ask("lottery.void", id=id_, reason="no", idem="k")
        assert code(other) == "IDEMPOTENCY_MISMATCH"
        assert (await hall.look())[0]["state"] == "settled"

    shown(node, show)


def test_a_second_entry_is_the_first_whatever_its_key(node: Node) -> None:
    async def show(hall: Hall) -> None:
        id_ = await hall.open("lottery", keyword="tea")
        idems: list[Message] = [{"idem": "a"}, {"idem": "a"}, {"idem": "b"}, {}]
        said = await asyncio.gather(*(hall.ann.ask("lottery.enter", id=id_, **one) for one in idems))
        said += [await hall.ann.say("tea"), await hall.ann.say("TEA ")]
        assert [one["receipt"] for one in said] == [said[0]["receipt"]] * 6
        assert said[0]["receipt"]["n"] == 1
        assert (said[5]["shown"], said[5]["why"]) == (False, "DUPLICATE")
        assert {"entered": 1, "viewers": 1}.items() <= (await hall.look())[0]["counts"].items()
        assert (await hall.look("ann"))[0]["mine"] == {"receipt": said[0]["receipt"]}
        await hall.turn("lottery.cancel", id_)
        assert (await hall.ann.ask("lottery.enter", id=id_))["receipt"] == said[0]["receipt"]

    shown(node, show)


def test_the_first_answer_counts_whatever_its_key(node: Node) -> None:
    async def show(hall: Hall) -> None:
        id_ = await hall.open("quiz")
        first = await hall.ann.ask("quiz.answer", id=id_, choice=1, idem="a")
        assert first == {"t": "ok", "cid": first["cid"]}
        idems: list[Message] = [{"idem": "a"}, {"idem": "b"}, {}]
        for idem in idems:
            said = await hall.ann.ask("quiz.answer", id=id_, choice=1, **idem)
            assert said == {"t": "ok", "cid": said["cid"]}
            await hall.refuses("ALREADY_ANSWERED", "quiz.answer", hall.ann, id=id_, choice=0, **idem)
        assert {"entered": 1, "viewers": 1}.items() <= (await hall.look())[0]["counts"].items()
        await hall.turn("quiz.close", id_)
        assert (await hall.ann.hear("quiz.revealed"))["counts"] == [0, 1]
        assert (await hall.ann.ask("quiz.answer", id=id_, choice=1))["t"] == "ok"
        await hall.refuses("ALREADY_ANSWERED", "quiz.answer", hall.ann, id=id_, choice=0)

    shown(node, show)


def test_a_prize_that_is_taken_twice_is_taken_once_and_answered_alike(node: Node) -> None:
    async def show(hall: Hall) -> None:
        id_ = await hall.bring("lottery", "drawn")
        said = await asyncio.gather(*(hall.ann.ask("lottery.claim", id=id_, idem="a") for _ in range(3)))
        assert [code(one) for one in said] == ["ok"] * 3
        await hall.ann.hear("lottery.settled")
        assert len([one for one in hall.ann.heard if one["t"] == "lottery.settled"]) == 1
        again = await hall.ann.ask("lottery.claim", id=id_, idem="a")
        assert {**again, "cid": 0} == {**said[0], "cid": 0}

    shown(node, show)


# --- by the wrong person ---


def test_only_hosts_open_and_turn_rounds(node: Node) -> None:
    async def show(hall: Hall) -> None:
        ids = {kind: await hall.open(kind) for kind in OPENINGS}
        commands = {f"{kind}.open": fields for kind, fields in OPENINGS.items()}
        commands |= {name: {"id": ids[name.partition(".")[0]], **fields} for name, fields in TURNS.items()}
        async with guests(join(node, hall.room, "moderator")) as (moderator,):
            for command, fields in commands.items():
                for person in (hall.ann, moderator):
                    params = await hall.refuses("NOT_ALLOWED", command, person, **fields)
                    assert params == {"needs": "host"}
                for role in ("viewer", "moderator"):
                    before = await hall.look()
                    status, body = await hall.http(command, role, **fields)
                    assert (status, body["code"]) == (403, "NOT_ALLOWED")
                    assert await hall.look() == before

    shown(node, show)


@pytest.mark.parametrize("role", ["host", "moderator", "service"])
def test_who_works_here_does_not_take_part(node: Node, role: str) -> None:
    async def show(hall: Hall) -> None:
        ids = {"lottery": await hall.open("lottery", keyword="tea"), "quiz": await hall.open("quiz")}
        count = await hall.open("count")
        async with guests(join(node, hall.room, role)) as (staff,):
            for command in ("lottery.enter", "quiz.answer"):
                fields = entry(command.partition(".")[0], ids[command.partition(".")[0]])
                params = await hall.refuses("NOT_ELIGIBLE", command, staff, **fields)
                assert params["missing"] == [{"role": "viewer"}]
                status, body = await hall.http(command, role, **fields)
                assert (status, body["code"]) == (403, "NOT_ELIGIBLE")
            before = await hall.look()
            said = await staff.say("tea")
            assert said == {"t": "ok", "cid": said["cid"], "id": said["id"]}
            assert await hall.look() == before
            await hall.turn("count.close", count)
            told = await hall.bob.hear("count.closed")
            assert (told["viewers"], told["times"]) == (0, 0)

    shown(node, show)


def test_who_lacks_something_is_told_what(node: Node) -> None:
    async def show(hall: Hall) -> None:
        asks = {"all_of": [{"level": 3}, {"liked": 1}, {"one_per_device": True}], "any_of": [{"commented": 9}]}
        id_ = await hall.open("lottery", keyword="tea", eligible=asks)
        lacks = [{"level": 3}, {"liked": 1}, {"one_per_device": True}, {"commented": 9}]
        params = await hall.refuses("NOT_ELIGIBLE", "lottery.enter", hall.ann, id=id_)
        assert params["missing"] == lacks
        said = await hall.ann.say("tea")
        assert said["refused"] == {"id": id_, "code": "NOT_ELIGIBLE", "params": {"missing": lacks}}
        assert "receipt" not in said
        assert {"entered": 0, "viewers": 0}.items() <= (await hall.look())[0]["counts"].items()

    shown(node, show)


# --- keywords ---

UNSEEN = ["", " ", "\t\n", "\u200b", "\u00ad\u2060", "\ufeff \u200d", "\u202e\u202c", "\u3000", "\U000e0041"]


@pytest.mark.parametrize("keyword", UNSEEN)
def test_a_keyword_of_which_nothing_is_left(node: Node, keyword: str) -> None:
    async def show(hall: Hall) -> None:
        for kind in ("lottery", "count"):
            fields = OPENINGS[kind] | {"keyword": keyword}
            assert (await hall.refuses("BAD_MESSAGE", f"{kind}.open", **fields))["field"] == "keyword"

    shown(node, show)


@pytest.mark.parametrize("kind", ["lottery", "count"])
@pytest.mark.parametrize("first_is", ["open", "announced"])
def test_two_open_rounds_of_a_kind_do_not_have_one_keyword(node: Node, kind: str, first_is: str) -> None:
    async def show(hall: Hall) -> None:
        later = {"opens_at": await hall.now() + HOUR_MS} if first_is == "announced" else {}
        first = await hall.open(kind, keyword="Straße 茶", **later)
        for same in ("Straße 茶", "STRASSE 茶", "ｓｔｒａｓｓｅ　茶", " stras\u200bse  茶 "):
            for opens_at in ({}, {"opens_at": await hall.now() + HOUR_MS}):
                await hall.refuses("KEYWORD_TAKEN", f"{kind}.open", **OPENINGS[kind] | {"keyword": same} | opens_at)
        await hall.open(kind, keyword="Straße 茶 2")
        if first_is == "open" or kind == "lottery":  # a count that is announced cannot be called off
            await hall.turn("lottery.cancel" if first_is == "announced" else f"{kind}.close", first)
            await hall.open(kind, keyword="STRASSE 茶")

    shown(node, show)


def test_a_keyword_is_taken_in_one_room_by_one_kind(node: Node) -> None:
    async def show(hall: Hall) -> None:
        lottery, count = await hall.open("lottery", keyword="tea"), await hall.open("count", keyword="TEA")
        async with opened(node) as other:
            await other.open("lottery", keyword="tea")
        assert (await hall.ann.say("tea"))["receipt"]["n"] == 1
        assert [one["counts"]["entered"] for one in await hall.look()] == [1, 1]
        assert {lottery, count} == set(hall.rounds)

    shown(node, show)


@pytest.mark.parametrize("end", ["lottery.cancel", "lottery.close"])
def test_a_keyword_is_free_again_when_its_round_takes_no_more_entries(node: Node, end: str) -> None:
    async def show(hall: Hall) -> None:
        for _ in range(3):
            await hall.turn(end, await hall.open("lottery", keyword="tea"))
        last = await hall.open("lottery", keyword="tea")
        assert (await hall.ann.say("tea"))["receipt"]["n"] == 1
        assert (await hall.look())[-1]["id"] == last
        assert (await hall.look("ann"))[-1]["mine"]

    shown(node, show)


def test_a_round_that_was_refused_takes_no_keyword(node: Node) -> None:
    async def show(hall: Hall) -> None:
        await hall.refuses("BAD_MESSAGE", "lottery.open", prize=" ", winners=1, keyword="tea")
        await hall.refuses("NOT_ALLOWED", "lottery.open", hall.ann, prize="cup", winners=1, keyword="tea")
        await hall.open("lottery", keyword="tea")

    shown(node, show)


# --- values ---

LEFT_OUT = object()
LONG = "字" * 80
BAD: list[tuple[str, str, list[Any]]] = [
    ("lottery", "prize", ["", LONG + "字", " ", "\u202e", 5, None, ["cup"], LEFT_OUT]),
    ("lottery", "winners", [0, -1, 1001, 1.5, "1", True, None, LEFT_OUT]),
    ("lottery", "seconds", [0, -1, 3601, 1.5, "60"]),
    ("lottery", "alternates", [-1, 1001, "1"]),
    ("lottery", "claim_seconds", [0, 86_401, "1"]),
    ("lottery", "match", ["like", "", 1]),
    ("lottery", "presence", ["yes", 1, None]),
    ("lottery", "keyword", [LONG + "字", 5, None]),
    ("lottery", "right", [0]),
    ("lottery", "eligible", [[], 5, "level", {"all_of": [{}]}, {"all_of": [{"level": 1, "liked": 1}]}]),
    ("lottery", "eligible", [{"all_of": [{"height": 180}]}, {"all_of": [{"level": -1}]}, {"most_of": []}]),
    ("lottery", "eligible", [{"all_of": [{"level": 1}] * 11}, {"any_of": [{"one_per_device": True}]}]),
    ("lottery", "eligible", [{"all_of": [{"one_per_device": False}]}, {"all_of": {"level": 1}}]),
    ("lottery", "eligible", [{"all_of": [{"not_won_days": 1}], "any_of": [{"not_won_days": 2}]}]),
    ("quiz", "question", ["", LONG * 5 + "字", " ", 5, LEFT_OUT]),
    ("quiz", "choices", [[], ["one"], list("abcdefghijk"), ["a", ""], ["a", LONG + "字"], ["a", 5], "ab", LEFT_OUT]),
    ("quiz", "right", [-1, 2, 9, 10, 0.5, "0", None, True, LEFT_OUT]),
    ("quiz", "explain", [LONG * 5 + "字", 5, None]),
    ("quiz", "seconds", [0, 601, 2.5]),
    ("quiz", "series", ["", LONG + "字", 5]),
    ("quiz", "winners", [1]),
    ("sprint", "target", [0, -1, 10**9 + 1, 1.5, "9", LEFT_OUT]),
    ("sprint", "levels", [[0], [50, 50], [50, 10], [100], [101], list(range(1, 12)), 5, [1.5]]),
    ("sprint", "seconds", [0, 3601]),
    ("count", "keyword", [LONG + "字", 5, None, LEFT_OUT]),
    ("count", "seconds", [0, 3601]),
    *((kind, "id", ["r_1"]) for kind in OPENINGS),
    *((kind, "surprise", [None, {"a": []}]) for kind in OPENINGS),
    *((kind, "opens_at", [-1, 1.5, "soon", None, 2**53, 2**53 - 1]) for kind in OPENINGS),
]


@pytest.mark.parametrize(("kind", "field", "values"), BAD)
def test_an_opening_with_a_bad_value_opens_nothing(node: Node, kind: str, field: str, values: list[Any]) -> None:
    async def show(hall: Hall) -> None:
        for value in values:
            fields = OPENINGS[kind] | ({} if value is LEFT_OUT else {field: value})
            if value is LEFT_OUT:
                del fields[field]
            params = await hall.refuses("BAD_MESSAGE", f"{kind}.open", **fields)
            assert params["field"].startswith(field), (value, params)

    shown(node, show)


def test_a_blank_choice_is_none(node: Node) -> None:
    async def show(hall: Hall) -> None:
        await hall.refuses("BAD_MESSAGE", "quiz.open", **OPENINGS["quiz"] | {"choices": ["this", " \u202e"]})

    shown(node, show)


def test_the_longest_texts_are_taken_whole(node: Node) -> None:
    async def show(hall: Hall) -> None:
        await hall.open("lottery", prize=LONG, winners=1000, keyword=LONG, alternates=1000, claim_seconds=86_400)
        assert (await hall.bob.hear("lottery.opened"))["prize"] == LONG
        most: Message = {"question": LONG * 5, "choices": [LONG] * 10, "right": 9, "explain": LONG * 5, "series": LONG}
        status, said = await hall.http("quiz.open", **most)  # a socket's frames are shorter than that
        assert status == 200, said
        told = await hall.bob.hear("quiz.opened")
        assert (told["question"], told["choices"]) == (LONG * 5, [LONG] * 10)
        for kind in ("lottery.opened", "quiz.opened"):
            assert len((await hall.bob.hear(kind))["rules"]) <= 400
        await hall.open("sprint", target=10**9, levels=list(range(1, 11)), seconds=3600)

    shown(node, show)


def test_a_round_is_announced_a_month_ahead_at_most_and_opens_at_once_if_its_time_is_over(node: Node) -> None:
    async def show(hall: Hall) -> None:
        now, day = await hall.now(), 24 * HOUR_MS
        for kind, fields in OPENINGS.items():
            params = await hall.refuses("BAD_MESSAGE", f"{kind}.open", opens_at=now + 31 * day, **fields)
            assert params["field"] == "opens_at"
            await hall.open(kind, opens_at=now + 29 * day, **({"keyword": "later"} if kind == "count" else {}))
            id_ = await hall.open(kind, opens_at=1)
            told = await hall.bob.hear(f"{kind}.opened", id=id_)
            assert told["opens_at"] >= now

    shown(node, show)


@pytest.mark.parametrize("command", [name for name in TURNS if TURNS[name]])
@pytest.mark.parametrize("reason", ["", "字" * 201, 5, None, LEFT_OUT])
def test_an_end_without_a_good_reason_is_none(node: Node, command: str, reason: Any) -> None:
    async def show(hall: Hall) -> None:
        kind = command.partition(".")[0]
        id_ = await hall.open(kind)
        more = {} if reason is LEFT_OUT else {"reason": reason}
        assert (await hall.refuses("BAD_MESSAGE", command, id=id_, **more))["field"] == "reason"

    shown(node, show)


@pytest.mark.parametrize("command", [*TURNS, *ENTRIES])
def test_a_field_that_nobody_knows(node: Node, command: str) -> None:
    async def show(hall: Hall) -> None:
        kind = command.partition(".")[0]
        fields = (TURNS | ENTRIES)[command] | {"id": await hall.open(kind), "surprise": 1}
        by = hall.ann if command in ENTRIES else None
        assert (await hall.refuses("BAD_MESSAGE", command, by, **fields))["field"] == "surprise"

    shown(node, show)


@pytest.mark.parametrize("choice", [2, 9, 10, 10**6])
def test_a_choice_that_is_not_offered(node: Node, choice: int) -> None:
    async def show(hall: Hall) -> None:
        id_ = await hall.open("quiz")
        await hall.refuses("NO_SUCH_CHOICE", "quiz.answer", hall.ann, id=id_, choice=choice)
        assert (await hall.ann.ask("quiz.answer", id=id_, choice=1))["t"] == "ok"
        await hall.refuses("NO_SUCH_CHOICE", "quiz.answer", hall.ann, id=id_, choice=choice)

    shown(node, show)


@pytest.mark.parametrize("choice", [-1, 0.5, "0", None, True, [0], LEFT_OUT])
def test_a_choice_that_is_no_number(node: Node, choice: Any) -> None:
    async def show(hall: Hall) -> None:
        more = {} if choice is LEFT_OUT else {"choice": choice}
        params = await hall.refuses("BAD_MESSAGE", "quiz.answer", hall.ann, id=await hall.open("quiz"), **more)
        assert params["field"] == "choice"

    shown(node, show)


def test_a_room_has_no_more_than_twenty_rounds_at_a_time(node: Node) -> None:
    async def show(hall: Hall) -> None:
        for _ in range(20):
            await hall.open("quiz")
        said = await hall.host.ask("quiz.open", **OPENINGS["quiz"])
        assert (said["code"], said["retryable"]) == ("TRY_LATER", True)
        await hall.turn("quiz.close", hall.rounds[0])
        await hall.bob.hear("quiz.revealed")
        await hall.open("quiz")

    shown(node, show)


def test_commands_one_by_one_or_many_in_a_frame_are_answered_alike(node: Node) -> None:
    async def show(hall: Hall) -> None:
        id_ = await hall.open("quiz")
        await hall.ann.send(
            [
                {"t": "quiz.answer", "cid": 1, "id": id_, "choice": 1},
                {"t": "quiz.answer", "cid": 2, "id": id_, "choice": 0},
                {"t": "quiz.answer", "cid": 3, "id": id_, "choice": 2},
                {"t": "quiz.answer", "cid": 4, "id": NOBODYS, "choice": 2},
                {"t": "quiz.answer", "cid": 5, "id": id_},
                {"t": "quiz.answer", "cid": 6, "id": id_, "choice": 1},
            ]
        )
        said = [await hall.ann.wait(lambda one, cid=cid: one.get("cid") == cid) for cid in range(1, 7)]  # type: ignore[misc]
        assert [code(one) for one in said] == [
            "ok",
            "ALREADY_ANSWERED",
            "NO_SUCH_CHOICE",
            "NO_SUCH_ROUND",
            "BAD_MESSAGE",
            "ok",
        ]

    shown(node, show)
