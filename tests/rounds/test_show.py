"""Whole shows on two nodes that share a data folder: what everybody hears, and what nobody hears too early."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from liveroom import verify_draw
from tests.house import Guest, Node, guests, join, open_socket, token
from tests.rounds.stage import Message, Model, Show, complaints, events, get, of, text_of

Pair = tuple[Node, Node]
SECRET = "since the moon is in the seventh house"
QUESTION: Message = {
    "question": "Which of these is the oldest tea?",
    "choices": ["the white one", "the green one", "the dark one"],
    "right": 2,
    "explain": f"The dark one, {SECRET}.",
}
TELLING = ('"right"', '"correct"', '"points"', SECRET)


def shown(pair: Pair, what: Callable[[Show], Coroutine[Any, Any, None]], *viewers: str) -> None:
    """A show with these viewers, on the nodes in turn; at its end all must be well."""

    async def show() -> None:
        on = await Show(pair).begin(*viewers)
        try:
            await what(on)
            await on.end()
            assert complaints(on) == []
        finally:
            await on.leave()

    asyncio.run(show())


@contextlib.asynccontextmanager
async def newcomer(show: Show, node: int, sub: str = "", **hello: Any) -> AsyncIterator[Guest]:
    async with guests(join(show.nodes[node], show.room, sub=sub, **hello)) as (guest,):
        yield guest


async def now(show: Show) -> int:
    return int((await show.host.ask("time.ping", c0=0))["s1"])


async def said_over_http(show: Show, id_: str, sub: str = "") -> str:
    """All that both nodes tell of a round and of its room."""
    paths = [f"/v1/rooms/{show.room}{path}" for path in ("", f"/rounds/{id_}", f"/rounds/{id_}/proof")]
    answers = [await text_of(node, path, token(show.room, sub=sub)) for node in show.nodes for path in paths]
    return "\n".join(text for _, text in answers)


async def everywhere(show: Show, kind: str, id_: str) -> Message:
    """An event, once everybody here has heard it."""
    heard = [await guest.hear(kind, id=id_) for guest in show.inside.values()]
    assert heard == [heard[0]] * len(heard)
    return heard[0]


# --- announcing ---


def test_an_announced_round_shows_when_it_comes_and_nothing_of_what_it_is(pair: Pair) -> None:
    async def show(on: Show) -> None:
        opens_at = await now(on) + 1500
        said = await on.host.ask("quiz.open", opens_at=opens_at, seconds=600, **QUESTION)
        quiz = on.put(Model("quiz", said["id"], SECRET, right=2))
        told = await everywhere(on, "quiz.announced", quiz.id)
        assert told.keys() == {"t", "seq", "ts", "id", "opens_at", "closes_at", "rules"}
        assert (told["opens_at"], told["closes_at"]) == (opens_at, opens_at + 600_000)
        coming = {name: told[name] for name in ("id", "opens_at", "closes_at", "rules")}
        for node in (0, 1):
            async with newcomer(on, node, "eve") as eve:
                assert eve.welcome["snapshot"]["next_up"] == {"kind": "quiz", **coming}
                (shown,) = eve.welcome["snapshot"]["rounds"]
                assert (shown["state"], shown["opened"], shown["mine"]) == ("announced", coming, None)
        heard = json.dumps([[guest.welcome, *guest.heard] for _, guest in on.ever]) + await said_over_http(on, quiz.id)
        assert not [one for one in (QUESTION["question"], *QUESTION["choices"], *TELLING) if one in heard]
        told = await everywhere(on, "quiz.opened", quiz.id)
        assert opens_at <= told["ts"] < opens_at + 5000
        assert (told["opens_at"], told["closes_at"]) == (opens_at, opens_at + 600_000)
        assert (told["question"], told["choices"]) == (QUESTION["question"], QUESTION["choices"])
        async with newcomer(on, 1) as eve:
            assert eve.welcome["snapshot"]["next_up"] is None

    shown(pair, show, "ann", "bob")


def test_of_several_announced_rounds_the_first_to_open_is_next(pair: Pair) -> None:
    async def show(on: Show) -> None:
        start = await now(on) + 3_600_000
        for delay in (3000, 1000, 2000):
            await on.host.ask("sprint.open", target=5, opens_at=start + delay)
        async with newcomer(on, 1) as eve:
            assert eve.welcome["snapshot"]["next_up"]["opens_at"] == start + 1000
            assert len(eve.welcome["snapshot"]["rounds"]) == 3

    shown(pair, show)


# --- lotteries ---


def test_a_lottery_from_its_announcement_to_the_last_prize(pair: Pair, tmp_path: Path) -> None:
    names = [f"v{n}" for n in range(16)]

    async def show(on: Show) -> None:
        fields: Message = {"prize": "a teapot", "winners": 3, "keyword": "想要", "claim_seconds": 600, "alternates": 2}
        said = await on.host.ask("lottery.open", seconds=600, opens_at=await now(on) + 500, **fields)
        lottery = on.put(Model("lottery", said["id"], winners=3, keyword="想要", claims=True))
        opened = await everywhere(on, "lottery.opened", lottery.id)
        assert {name: opened[name] for name in fields} == fields
        by_comment, by_button = names[::2], names[1::2]  # on one node, and on the other
        said_so = [on.say(name, lottery, " 想要 " if name == "v2" else "") for name in by_comment]
        replies = await asyncio.gather(*said_so, *(on.enter(name, lottery) for name in by_button))
        assert sorted(one["receipt"]["n"] for one in replies) == list(range(1, 17))
        assert len({one["receipt"]["tag"] for one in replies}) == 16
        progress = await on.inside["v0"].hear("lottery.progress", id=lottery.id, n=16, entrants=16)
        assert await on.inside["v1"].hear("lottery.progress", id=lottery.id, n=16) == progress
        await on.turn("lottery.close", lottery, 1)
        frozen, drawn = [await everywhere(on, f"lottery.{one}", lottery.id) for one in ("frozen", "drawn")]
        assert frozen["seq"] < drawn["seq"]
        assert not [name for name in ("seed", "winners", "proof") if name in frozen]
        assert drawn["winners_total"] == len(drawn["winners"]) == 3
        assert len(drawn["alternates"]) == 2
        status, text = await text_of(on.nodes[1], drawn["proof"]["url"])  # without a token
        assert (status, hashlib.sha256(text.encode()).hexdigest()) == (200, drawn["proof"]["sha256"])
        (tmp_path / "proof.json").write_text(text)
        lines: list[str] = []
        assert verify_draw.verify(tmp_path / "proof.json", lines.append) == 0, lines
        proof = json.loads(text)
        assert (proof["room"], proof["chain"]) == (on.room, progress["head"])
        assert proof["rules"] == {"seconds": 600, "presence": False, "match": "exact", **fields}
        lucky = {one["viewer"] for one in drawn["winners"]}
        for name in names:
            guest = on.inside[name]
            result = await guest.hear("lottery.result", id=lottery.id)
            assert result["of"] == 16
            assert (result["rank"] <= 3) is (name in lucky)
            assert len(of(guest.heard, "lottery.result", lottery.id)) == 1
            assert len(of(guest.heard, "lottery.won", lottery.id)) == (name in lucky)
            _, seen = await get(on.nodes[0], f"/v1/rooms/{on.room}/rounds/{lottery.id}", token(on.room, sub=name))
            assert seen["mine"]["receipt"] == lottery.receipts[name]
            assert (seen["mine"]["result"]["rank"], seen["mine"]["result"]["of"]) == (result["rank"], 16)

    shown(pair, show, *names)


def test_nobody_hears_what_another_won(pair: Pair) -> None:
    async def show(on: Show) -> None:
        lottery = await on.lottery(winners=1)
        await asyncio.gather(*(on.enter(name, lottery) for name in ("ann", "bob", "cem")))
        await on.turn("lottery.close", lottery)
        (winner,) = (await everywhere(on, "lottery.drawn", lottery.id))["winners"]
        await on.inside[winner["viewer"]].hear("lottery.won")
        await everywhere(on, "lottery.settled", lottery.id)
        for name in lottery.entered:
            await on.inside[name].hear("lottery.result", id=lottery.id)
        for name, guest in on.inside.items():
            private = [one["t"] for one in guest.heard if one["t"] in ("lottery.won", "lottery.result")]
            expected = ["lottery.won"] * (name == winner["viewer"]) + ["lottery.result"] * (name in lottery.entered)
            assert sorted(private, reverse=True) == expected

    shown(pair, show, "ann", "bob", "cem")


def test_a_letter_is_sent_again_at_each_connection_until_it_is_acknowledged(pair: Pair) -> None:
    async def show(on: Show) -> None:
        lottery = await on.lottery(winners=1, claim_seconds=600)
        await on.enter("ann", lottery)
        await on.turn("lottery.close", lottery)
        letter = await on.inside["ann"].hear("lottery.won", id=lottery.id)
        assert letter["claim_by"] > letter.get("ts", 0)
        for node in (0, 1):
            again = await on.back("ann", node, resume=False)
            assert again.welcome["snapshot"]["inbox"] == [letter]
            again = await on.back("ann", node, resume=True)
            assert await again.hear("lottery.won", id=lottery.id) == letter
        async with newcomer(on, 1, "bob") as bob:
            assert bob.welcome["snapshot"]["inbox"] == []
            assert (await bob.ask("inbox.ack", ids=[letter["inbox"]]))["t"] == "ok"  # it is not his
        assert (await on.back("ann", 1, resume=False)).welcome["snapshot"]["inbox"] == [letter]
        for _ in range(2):
            assert (await on.inside["ann"].ask("inbox.ack", ids=[letter["inbox"], "nonsense"]))["t"] == "ok"
        on.read.add(lottery.id)
        for node in (0, 1):
            assert (await on.back("ann", node, resume=False)).welcome["snapshot"]["inbox"] == []
            again = await on.back("ann", node, resume=True)
            await again.ask("time.ping", c0=0)
            assert not of(again.heard, "lottery.won", lottery.id)

    shown(pair, show, "ann")


def test_a_prize_that_is_not_claimed_goes_to_the_next_for_all_to_see(pair: Pair) -> None:
    async def show(on: Show) -> None:
        lottery = await on.lottery(winners=2, alternates=2, claim_seconds=1)
        await asyncio.gather(*(on.enter(f"v{n}", lottery) for n in range(5)))
        await on.turn("lottery.close", lottery)
        drawn = await everywhere(on, "lottery.drawn", lottery.id)
        prompt, sleepy = drawn["winners"]
        next_one = drawn["alternates"][0]
        assert (await on.inside[prompt["viewer"]].ask("lottery.claim", id=lottery.id))["t"] == "ok"
        replaced = await everywhere(on, "lottery.replaced", lottery.id)
        assert (replaced["out"], replaced["why"]) == ([sleepy["tag"]], "unclaimed")
        assert replaced["winners"] == [{**next_one, "prize": "a teapot"}]
        letter = await on.inside[next_one["viewer"]].hear("lottery.won", id=lottery.id)
        assert letter["claim_by"] > replaced["ts"]
        refused = await on.inside[sleepy["viewer"]].ask("lottery.claim", id=lottery.id)
        assert refused["code"] in ("NOT_ELIGIBLE", "ROUND_CLOSED")
        assert (await on.inside[next_one["viewer"]].ask("lottery.claim", id=lottery.id))["t"] == "ok"
        settled = await everywhere(on, "lottery.settled", lottery.id)
        assert settled["winners_total"] == 2
        assert len(of(on.host.heard, "lottery.replaced", lottery.id)) == 1
        assert (await on.back(sleepy["viewer"], 0, resume=False)).welcome["snapshot"]["inbox"] == []
        lottery.claims = False
        on.read.add(lottery.id)

    shown(pair, show, *(f"v{n}" for n in range(5)))


def test_a_prize_for_those_who_are_there_goes_past_those_who_left(pair: Pair) -> None:
    async def show(on: Show) -> None:
        lottery = await on.lottery(winners=4, alternates=4, presence=True)
        await asyncio.gather(*(on.enter(f"v{n}", lottery) for n in range(8)))
        for n in range(0, 8, 2):
            await on.inside.pop(f"v{n}").leave()
        await on.host.hear("room.stats", viewers=6)  # the four who stayed, and the watchers
        await on.turn("lottery.close", lottery)
        drawn = await everywhere(on, "lottery.drawn", lottery.id)
        settled = await everywhere(on, "lottery.settled", lottery.id)
        absent = [one["tag"] for one in drawn["winners"] if one["viewer"] in ("v0", "v2", "v4", "v6")]
        replaced = of(on.host.heard, "lottery.replaced", lottery.id)
        assert [one["out"] for one in replaced] == ([absent] if absent else [])
        assert settled["winners_total"] == 4
        for one in replaced:
            assert one["why"] == "absent"
            assert {winner["viewer"] for winner in one["winners"]} <= {"v1", "v3", "v5", "v7"}
        winners = {one["viewer"] for told in [drawn, *replaced] for one in told["winners"]} - {"v0", "v2", "v4", "v6"}
        assert winners == {"v1", "v3", "v5", "v7"}

    shown(pair, show, *(f"v{n}" for n in range(8)))


def test_more_prizes_than_entrants_and_none_at_all(pair: Pair) -> None:
    async def show(on: Show) -> None:
        few, none = await on.lottery(winners=5), await on.lottery(winners=5)
        await on.enter("ann", few)
        for lottery, count in ((few, 1), (none, 0)):
            await on.turn("lottery.close", lottery)
            drawn = await everywhere(on, "lottery.drawn", lottery.id)
            assert (drawn["winners_total"], drawn["undersubscribed"]) == (count, True)
            assert (await everywhere(on, "lottery.settled", lottery.id))["winners_total"] == count

    shown(pair, show, "ann")


def test_a_lottery_ends_by_itself_while_nobody_is_there(pair: Pair) -> None:
    async def show() -> None:
        on = await Show(pair).begin("ann")
        lottery = await on.lottery(winners=1, seconds=1)
        await on.enter("ann", lottery)
        await on.leave()
        path = f"/v1/rooms/{on.room}/rounds/{lottery.id}"
        for _ in range(100):
            if (await get(pair[1], path, token(on.room)))[1]["state"] == "settled":
                break
            await asyncio.sleep(0.1)
        async with newcomer(on, 1, "ann") as ann:
            (letter,) = ann.welcome["snapshot"]["inbox"]
            assert (letter["t"], letter["id"]) == ("lottery.won", lottery.id)

    asyncio.run(show())


@pytest.mark.parametrize("announced", [False, True])
def test_whoever_says_the_keyword_the_moment_he_hears_it_is_in(pair: Pair, announced: bool) -> None:
    async def show(on: Show) -> None:
        async def at_once(name: str, keyword: str) -> Message:
            await on.inside[name].wait(lambda one: one["t"] == "lottery.opened" and one["keyword"] == keyword)
            return await on.inside[name].say(keyword)

        keywords = [f"tea {n}" for n in range(10)]
        said = [asyncio.create_task(at_once(name, keyword)) for name in ("ann", "bob") for keyword in keywords]
        later: Message = {"opens_at": await now(on) + 700} if announced else {}
        openings = [on.lottery(n % 2, keyword=keyword, **later) for n, keyword in enumerate(keywords)]
        lotteries = await asyncio.gather(*openings)
        assert ["receipt" in one for one in await asyncio.gather(*said)] == [True] * 20
        for lottery in lotteries:
            for name in ("ann", "bob"):
                assert "receipt" in await on.enter(name, lottery)
            assert sorted(one["n"] for one in lottery.receipts.values()) == [1, 2]

    shown(pair, show, "ann", "bob")


# --- quizzes ---


def test_nothing_of_the_answer_is_told_before_the_reveal(pair: Pair) -> None:
    names = [f"v{n}" for n in range(6)]

    async def show(on: Show) -> None:
        said = await on.host.ask("quiz.open", seconds=600, **QUESTION)
        quiz = on.put(Model("quiz", said["id"], SECRET, right=2))
        opened = await everywhere(on, "quiz.opened", quiz.id)
        assert opened.keys() == {"t", "seq", "ts", "id", "opens_at", "closes_at", "rules", "question", "choices"}
        for n, name in enumerate(names):
            reply = await on.enter(name, quiz, n % 3)
            assert reply.keys() == {"t", "cid"}
        progress = await on.host.hear("quiz.progress", id=quiz.id, answered=6)
        assert progress.keys() == {"t", "id", "answered", "ver"}
        async with newcomer(on, 1, "v2") as again:
            heard = json.dumps([[guest.welcome, *guest.heard] for _, guest in on.ever] + [again.welcome, *again.heard])
        for sub in ("v2", "host0", "nobody"):
            heard += await said_over_http(on, quiz.id, sub)
        assert not [one for one in TELLING if one in heard]
        before = {name: len(guest.heard) for name, guest in on.inside.items()}
        await on.turn("quiz.close", quiz, 0, 1)
        revealed = await everywhere(on, "quiz.revealed", quiz.id)
        assert (revealed["right"], revealed["explain"], revealed["counts"]) == (2, QUESTION["explain"], [2, 2, 2])
        for n, name in enumerate(names):
            result = await on.inside[name].hear("quiz.result", id=quiz.id)
            assert result["correct"] is (n % 3 == 2)
            assert (500 <= result["points"] <= 1000) if n % 3 == 2 else result["points"] == 0
            since = [one["t"] for one in on.inside[name].heard[before[name] :]]
            assert since.index("quiz.revealed") < since.index("quiz.result")
        for guest in [*on.hosts, on.inside["watcher0"]]:
            assert not of(guest.heard, "quiz.result", quiz.id)

    shown(pair, show, *names)


def test_a_series_adds_up_and_a_question_that_is_void_is_taken_out(pair: Pair) -> None:
    names = ["ann", "bob", "cem", "dee"]

    async def show(on: Show) -> None:
        points: list[dict[str, int]] = []
        questions: list[Model] = []
        for turn, answers in enumerate([{"ann": 1, "bob": 0}, {"ann": 0, "bob": 1, "cem": 1}, {"ann": 1, "dee": 1}]):
            quiz = await on.quiz(turn % 2, right=1, series="grand tour")
            questions.append(quiz)
            for name, choice in answers.items():
                await on.enter(name, quiz, choice)
            await on.turn("quiz.close", quiz)
            results = {name: await on.inside[name].hear("quiz.result", id=quiz.id) for name in answers}
            points.append({name: one["points"] for name, one in results.items()})
            board = await on.inside["watcher1"].hear("quiz.leaderboard", id=quiz.id)
            assert await on.host.hear("quiz.leaderboard", id=quiz.id) == board
            sums = totals(points)
            assert board["series"] == "grand tour"
            assert {one["viewer"]: one["points"] for one in board["top"]} == sums
            assert [one["rank"] for one in board["top"]] == list(range(1, len(sums) + 1))
            assert [one["points"] for one in board["top"]] == sorted(sums.values(), reverse=True)
            ranks = {one["viewer"]: one["rank"] for one in board["top"]}
            assert {name: one["rank"] for name, one in results.items()} == {name: ranks[name] for name in answers}
        alone = await on.quiz(right=0)
        await on.enter("cem", alone, 0)
        await on.turn("quiz.close", alone)
        assert (await on.inside["cem"].hear("quiz.result", id=alone.id))["rank"] == 1
        await on.turn("quiz.void", questions[1], 1)
        await everywhere(on, "quiz.voided", questions[1].id)
        board = await on.inside["watcher0"].wait(
            lambda one: (
                one["t"] == "quiz.leaderboard"
                and one["id"] == questions[1].id
                and "cem" not in {who["viewer"] for who in one["top"]}
            )
        )
        assert {one["viewer"]: one["points"] for one in board["top"]} == totals([points[0], points[2]])
        assert not of(on.host.heard, "quiz.leaderboard", alone.id)

    shown(pair, show, *names)


def totals(points: list[dict[str, int]]) -> dict[str, int]:
    return {name: sum(one.get(name, 0) for one in points) for name in {name for one in points for name in one}}


def test_a_question_that_is_void_is_not_revealed(pair: Pair) -> None:
    async def show(on: Show) -> None:
        quiz = await on.quiz(right=1)
        await on.enter("ann", quiz, 1)
        await on.turn("quiz.void", quiz, 0, 1)
        voided = await everywhere(on, "quiz.voided", quiz.id)
        assert voided["reason"] == "so it goes"
        said = await said_over_http(on, quiz.id, "ann")
        assert quiz.secret not in said
        assert '"correct"' not in said
        assert not of(on.inside["ann"].heard, "quiz.result", quiz.id)

    shown(pair, show, "ann")


# --- coming back ---


def test_who_comes_back_is_shown_his_own_part_on_either_node(pair: Pair) -> None:
    async def show(on: Show) -> None:
        lottery, quiz = await on.lottery(keyword="tea"), await on.quiz()
        count = (await on.host.ask("count.open", keyword="coffee", seconds=600))["id"]
        await on.say("ann", lottery)
        await on.enter("ann", quiz, 2)
        await on.inside["ann"].say("coffee")
        await on.enter("bob", quiz, 1)
        mine = {lottery.id: {"receipt": lottery.receipts["ann"]}, quiz.id: {"choice": 2}, count: None}
        his = {lottery.id: None, quiz.id: {"choice": 1}, count: None}
        for node in (0, 1):
            for name, part in (("ann", mine), ("bob", his), ("eve", dict.fromkeys(mine))):
                async with newcomer(on, node, name) as guest:
                    rounds = guest.welcome["snapshot"]["rounds"]
                    assert {one["id"]: one["mine"] for one in rounds} == part
                    assert {one["state"] for one in rounds} == {"open"}
                for id_, own in part.items():
                    path = f"/v1/rooms/{on.room}/rounds/{id_}"
                    assert (await get(on.nodes[node], path, token(on.room, sub=name)))[1]["mine"] == own
            async with guests(join(on.nodes[node], on.room, "host")) as (host,):
                assert {one["mine"] for one in host.welcome["snapshot"]["rounds"]} == {None}
        await on.host.ask("count.close", id=count)

    shown(pair, show, "ann", "bob")


def test_whoever_comes_is_shown_the_chain_as_it_was_last_told(pair: Pair) -> None:
    async def show(on: Show) -> None:
        lottery = await on.lottery()
        await on.enter("ann", lottery)
        progress = await on.inside["watcher1"].hear("lottery.progress", id=lottery.id, n=1)
        async with newcomer(on, 1) as eve:
            (shown,) = eve.welcome["snapshot"]["rounds"]
            assert shown["counts"] == {"entrants": 1, "n": 1, "head": progress["head"]}
            assert shown["ver"] >= progress["ver"]

    shown(pair, show, "ann")


def test_counts_are_there_from_the_opening_on_and_the_same_wherever_they_are_asked_for(pair: Pair) -> None:
    async def show(on: Show) -> None:
        kinds: dict[str, dict[str, Any]] = {
            "lottery": {"prize": "cup", "winners": 1, "keyword": "tea"},
            "quiz": {"question": "How many?", "choices": ["1", "2"], "right": 0, "explain": "so"},
            "sprint": {"target": 60},
            "count": {"keyword": "go"},
            "sale": {"item": "mug", "price": 100, "stock": 5},
        }
        ids = {(await on.host.ask(f"{kind}.open", seconds=600, **fields))["id"]: kind for kind, fields in kinds.items()}
        for id_, kind in ids.items():
            await on.inside["ann"].hear(f"{kind}.opened", id=id_)
        async with newcomer(on, 1) as eve:
            shown = {one["id"]: one for one in eve.welcome["snapshot"]["rounds"]}
        assert all(one["counts"] for one in shown.values())
        first = {kind: shown[id_]["counts"] for id_, kind in ids.items()}
        assert {name: first["lottery"][name] for name in ("entrants", "n")} == {"entrants": 0, "n": 0}
        assert (first["quiz"], first["count"]) == ({"answered": 0}, {"viewers": 0, "times": 0})
        assert (first["sprint"], first["sale"]) == ({"likes": 0, "target": 60}, {"left": 5, "held": 0, "sold": 0})
        for id_, one in shown.items():
            _, said = await get(on.nodes[0], f"/v1/rooms/{on.room}/rounds/{id_}", token(on.room))
            assert said["opened"] == one["opened"]
            assert one["counts"].items() <= said["counts"].items()

    shown(pair, show, "ann")


@pytest.mark.parametrize("node", [0, 1])
def test_who_resumes_over_the_end_is_told_his_part_behind_it(pair: Pair, node: int) -> None:
    async def show(on: Show) -> None:
        quiz, lottery = await on.quiz(right=1), await on.lottery(winners=1)
        await on.enter("ann", quiz, 1)
        await on.enter("ann", lottery)
        cut = on.inside["ann"]
        cut.drop()
        await on.turn("quiz.close", quiz)
        await on.turn("lottery.close", lottery)
        await on.host.hear("quiz.revealed", id=quiz.id)
        await on.host.hear("lottery.settled", id=lottery.id)
        again = await on.back("ann", node)
        assert again.welcome["recovered"] is True
        assert (await again.hear("quiz.result", id=quiz.id))["correct"] is True
        assert (await again.hear("lottery.result", id=lottery.id))["rank"] == 1
        await again.hear("lottery.won", id=lottery.id)
        heard = [one["t"] for one in again.heard]
        assert heard.index("quiz.revealed") < heard.index("quiz.result")
        assert heard.index("lottery.drawn") < heard.index("lottery.won")
        assert heard.index("lottery.drawn") < heard.index("lottery.result")

    shown(pair, show, "ann")


def test_who_resumes_from_the_first_event_hears_the_whole_show(pair: Pair) -> None:
    async def show(on: Show) -> None:
        quiz, lottery = await on.quiz(), await on.lottery()
        await on.enter("ann", quiz)
        await on.turn("quiz.close", quiz)
        await on.turn("lottery.close", lottery)
        await everywhere(on, "lottery.settled", lottery.id)
        await everywhere(on, "quiz.revealed", quiz.id)
        start = {"epoch": on.host.welcome["epoch"], "seq": 0}
        for node in (0, 1):
            async with newcomer(on, node, "eve", resume=start) as eve:
                assert eve.welcome["recovered"] is True
                await eve.wait(lambda one: one.get("seq") == len(events(on.host)))
                assert events(eve) == events(on.host)

    shown(pair, show, "ann")


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("kind", ["lottery", "quiz"])
def test_whoever_comes_back_at_the_moment_of_the_end_is_told_his_part(pair: Pair, kind: str, resume: bool) -> None:
    names = [f"v{n}" for n in range(40)]

    async def show(on: Show) -> None:
        round_ = await (on.lottery(winners=40) if kind == "lottery" else on.quiz())
        opened = await on.host.hear(f"{kind}.opened")

        async def enter_and_leave(name: str) -> None:
            guest = await on.come(name, 0)
            await on.enter(name, round_)
            await guest.leave()

        await asyncio.gather(*map(enter_and_leave, names))
        sockets = [await open_socket(on.nodes[1], on.room) for _ in names]
        seen = {"resume": {"epoch": on.host.welcome["epoch"], "seq": opened["seq"]}} if resume else {}

        async def come_back(n: int, name: str) -> None:
            await asyncio.sleep(n * 0.0004)
            await sockets[n].send(json.dumps({"t": "hello", "token": token(on.room, sub=name), **seen}))
            on.inside[name] = Guest(sockets[n], json.loads(await sockets[n].recv()))
            on.ever.append((name, on.inside[name]))

        await asyncio.gather(on.turn(f"{kind}.close", round_), *(come_back(n, name) for n, name in enumerate(names)))
        await on.end(3)
        assert complaints(on) == []

    for _ in range(6):
        shown(pair, show)


# --- sprints and counts ---


def test_a_sprint_passes_each_level_once_and_ends_at_its_target(pair: Pair) -> None:
    async def show(on: Show) -> None:
        said = await on.hosts[1].ask("sprint.open", target=60, levels=[10, 20, 55], seconds=600)
        id_ = said["id"]
        opened = await everywhere(on, "sprint.opened", id_)
        assert (opened["target"], opened["levels"]) == (60, [10, 20, 55])
        for name, n in (("ann", 12), ("bob", 13)):
            assert (await on.inside[name].ask("like.add", n=n))["counted"] == n
        await everywhere(on, "sprint.reached", id_)
        await on.host.hear("sprint.reached", id=id_, level=20)
        progress = await on.inside["watcher1"].wait(lambda one: one["t"] == "sprint.progress" and one["likes"] >= 25)
        assert (progress["likes"], progress["target"]) == (25, 60)
        async with newcomer(on, 0) as eve:
            (round_,) = eve.welcome["snapshot"]["rounds"]
            assert round_["counts"] == {"likes": 25, "target": 60}
        for name, n in (("ann", 20), ("bob", 20)):
            await on.inside[name].ask("like.add", n=n)
        closed = await everywhere(on, "sprint.closed", id_)
        assert (closed["likes"], closed["reached"]) == (65, True)
        for guest in on.inside.values():
            assert [one["level"] for one in of(guest.heard, "sprint.reached", id_)] == [10, 20, 55, 60]
            assert len(of(guest.heard, "sprint.closed", id_)) == 1

    shown(pair, show, "ann", "bob")


def test_a_sprint_that_is_closed_early_says_how_far_it_came(pair: Pair) -> None:
    async def show(on: Show) -> None:
        await on.inside["ann"].ask("like.add", n=30)  # before: these do not count
        await on.host.hear("like.total", total=30)
        id_ = (await on.host.ask("sprint.open", target=50, levels=[5, 40], seconds=600))["id"]
        await on.inside["bob"].ask("like.add", n=7)
        await on.host.hear("like.total", total=37)
        said = await asyncio.gather(*(host.ask("sprint.close", id=id_) for host in on.hosts))
        assert [one["t"] for one in said] == ["ok", "ok"]
        closed = await everywhere(on, "sprint.closed", id_)
        assert (closed["likes"], closed["reached"]) == (7, False)
        assert [one["level"] for one in of(on.host.heard, "sprint.reached", id_)] == [5]

    shown(pair, show, "ann", "bob")


def test_a_count_counts_who_says_it_and_how_often(pair: Pair) -> None:
    async def show(on: Show) -> None:
        id_ = (await on.host.ask("count.open", keyword="Bravo!", seconds=600))["id"]
        await everywhere(on, "count.opened", id_)
        for name, texts in (("ann", ["bravo!", "BRAVO!", "bravo"]), ("bob", ["ｂｒａｖｏ！", "bravo! bravo!"])):
            for text in texts:
                said = await on.inside[name].say(text)
                assert "receipt" not in said
        assert (await on.host.say("bravo!"))["t"] == "ok"
        progress = await on.inside["watcher1"].hear("count.progress", id=id_, times=3)
        assert progress["viewers"] == 2
        await on.hosts[1].ask("count.close", id=id_)
        closed = await everywhere(on, "count.closed", id_)
        assert (closed["viewers"], closed["times"]) == (2, 3)
        await on.inside["ann"].say("bravo!")
        assert len(of(on.host.heard, "count.closed", id_)) == 1

    shown(pair, show, "ann", "bob")


def test_a_comment_that_is_sent_again_counts_once(pair: Pair) -> None:
    async def show(on: Show) -> None:
        id_ = (await on.host.ask("count.open", keyword="bravo", seconds=600))["id"]
        await on.inside["ann"].hear("count.opened", id=id_)
        for _ in range(3):
            assert (await on.inside["ann"].say("bravo", idem="a"))["t"] == "ok"
        await on.host.ask("count.close", id=id_)
        assert (await everywhere(on, "count.closed", id_))["times"] == 1

    shown(pair, show, "ann")


# --- who watched ---


@pytest.mark.parametrize("talks", [False, True], ids=["silent", "talking"])
def test_how_long_somebody_watched_outlasts_a_break_and_leaves_it_out(pair: Pair, talks: bool) -> None:
    """Whatever he did before, and on whichever node he is back."""

    async def show() -> None:
        on = await Show(pair).begin()
        try:
            asks = {"all_of": [{"watched_seconds": 5}]}
            opened = await on.host.ask("lottery.open", prize="cup", winners=1, seconds=300, eligible=asks)
            came = asyncio.get_running_loop().time()
            async with newcomer(on, 0, "ann") as ann:
                if talks:
                    await ann.say("hello")
                await asyncio.sleep(2)
            await asyncio.sleep(3.5)
            for node in (0, 1):
                async with newcomer(on, node, "ann") as ann:
                    no = await ann.ask("lottery.enter", id=opened["id"])
                    assert asyncio.get_running_loop().time() - came > 5  # he came, and was away
                    assert (no["code"], no["params"]["missing"]) == ("NOT_ELIGIBLE", asks["all_of"])
            async with newcomer(on, 1, "ann") as ann:
                await asyncio.sleep(3.2)
                assert (await ann.ask("lottery.enter", id=opened["id"]))["t"] == "ok"
        finally:
            await on.leave()

    asyncio.run(show())
