"""Recordings are read whatever is wrong with some lines, and the account of a replay is true."""

import asyncio
import gzip
import itertools
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.progress import Progress
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.frames import Frame, Opcode

from liveroom.client import Closed
from liveroom.remote import Server, Trouble
from liveroom.replay.account import Account
from liveroom.replay.filler import made_up
from liveroom.replay.formats import Broken, Comment, read
from liveroom.replay.line import split_frames
from liveroom.replay.performance import perform, troupe
from liveroom.replay.player import Player
from liveroom.replay.recording import closed_gaps, load, window
from liveroom.replay.report import report, rows, verdict

SECRET = "a secret for tests, long enough for all"
REAL = Path(__file__).parents[2] / "shared/data/twitch_asiagodtone_2017/chat_events.csv.gz"


def told(content: str) -> list[Comment | Broken]:
    return list(read(content.encode()))


# reading


def test_jsonl_takes_each_of_the_names():
    assert told(
        '{"t":1,"viewer":"a","text":"hi"}\n{"ts":2000000000000,"uid":7,"text":"你好"}\n{"time":3,"user":"b","text":"x"}'
    ) == [Comment(1, "a", "hi"), Comment(2e9, "7", "你好"), Comment(3, "b", "x")]


def test_csv_makes_up_texts_of_the_recorded_length():
    found = told("vod,t_epoch,uid,text_len,is_short\n1,1480664483,a,3,1\n1,1480664486,b,12,0\n1,1480664487,c,900,0\n")
    texts = [one.text for one in found if isinstance(one, Comment)]
    assert [len(text) for text in texts] == [3, 12, 100]


def test_csv_with_texts_may_quote_them():
    assert told('time,user,text\r\n1,a,"one, ""two"""\r\n') == [Comment(1, "a", 'one, "two"')]


def test_xml_as_a_recorder_writes_it():
    found = told(
        '<?xml version="1.0" encoding="utf-8"?>\n<i>\n<chatserver>chat</chatserver>\n'
        '  <d p="1.5,1,25,16777215,1700000000000,0,abcd,0" user="小雨">好看 &amp; 便宜</d>\n'
        '  <gift ts="2" user="x" />\n'
        '  <d p="2.5,1,25,16777215,1700000001000,0,abcd,0">no name</d>\n</i>'
    )
    assert found == [Comment(1.5, "小雨", "好看 & 便宜"), Comment(2.5, "abcd", "no name")]


def test_gzip_and_a_byte_order_mark_make_no_difference():
    content = '\ufeff{"t":1,"viewer":"a","text":"hi"}\n'.encode()
    assert list(read(gzip.compress(content))) == list(read(content)) == [Comment(1, "a", "hi")]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('{"t":1,"viewer":"a","text":"x"}\n\n{"t":2,"viewer":"a",\n{"t":3,"viewer":"a","text":"y"}', 3),
        ('{"t":1,"viewer":"a","text":"x"}\n[1]\n{"t":3,"viewer":"a","text":"y"}', 2),
        ('{"t":1,"viewer":"a","text":"x"}\n{"t":"noon","viewer":"a","text":"x"}\n{"t":3,"viewer":"a","text":"y"}', 2),
        ('{"t":1,"viewer":"a","text":"x"}\n{"t":2,"text":"x"}\n{"t":3,"viewer":"a","text":"y"}', 2),
        ('t,uid,text\n1,a,x\n2,a,"open\n3,a,y\n', 3),
        ('{"t":1,"viewer":"a","text":"x"}\n{"t":2,"viewer":"a","text_len":[]}\n{"t":3,"viewer":"a","text":"y"}', 2),
        (f'{{"t":1,"viewer":"a","text":"x"}}\n{{"t":{"9" * 400}}}\n{{"t":3,"viewer":"a","text":"y"}}', 2),
        ("t,uid,text\n1,a,x\n2,a\n3,a,y\n", 3),
        ("t,uid,text\n1,a,x\nnan,a,z\n3,a,y\n", 3),
        ("t,uid,text\n1,a,x\n2,a, \n3,a,y\n", 3),
        (f"t,uid,text\n1,a,x\n2,a,{'z' * 4000}\n3,a,y\n", 3),
        ('<i>\n<d p="1" user="a">x</d>\n<d p="2" user="a">no end\n<d p="3" user="a">y</d>\n</i>', 3),
        ('<i>\n<d p="1" user="a">x</d>\n<d p="2" user="a>&bad;</d>\n<d p="3" user="a">y</d>', 3),
        ('<i>\n<d p="1" user="a">x</d>\n<d p="2" />\n<d p="3" user="a">y</d>', 3),
    ],
)
def test_a_broken_line_is_named_and_stops_nothing(content: str, line: int):
    found = told(content)
    assert [one.line for one in found if isinstance(one, Broken)] == [line]
    assert [one for one in found if isinstance(one, Comment)] == [Comment(1, "a", "x"), Comment(3, "a", "y")]


@given(st.binary(max_size=300))
def test_no_bytes_at_all_raise_anything_but_a_named_fault(content: bytes):
    for start in (b"", b"{", b"<d ", b"t,uid,text\n"):
        if (start + content)[:2] != b"\x1f\x8b":
            assert all(isinstance(one, Comment | Broken) for one in read(start + content))


@given(st.integers(1, 150), st.integers(0, 10**6))
def test_made_up_texts_have_the_length_asked_for(length: int, number: int):
    text = made_up(length, number)
    assert len(text) == min(length, 100)
    assert text == text.strip()


def test_made_up_texts_are_distinct():
    for length in (2, 3, 5, 8, 30, 100):
        assert len({made_up(length, number) for number in range(20_000)}) == 20_000


def test_gaps_over_a_minute_are_closed_and_time_never_goes_back():
    moments = [100, 130, 190, 5000, 5010, 5009, 5012, 20, 25]
    at = [one.at for one in closed_gaps(Comment(moment, "a", "x") for moment in moments)]
    assert at == [0, 30, 90, 91, 101, 101, 103, 104, 109]


def test_a_window_counts_without_the_gaps():
    comments = closed_gaps(Comment(moment, "a", str(moment)) for moment in (0, 10, 9000, 9010))
    assert [one.text for one in window(comments, 10, 20)] == ["10", "9000"]


def test_a_real_recording_is_read_whole():
    if not REAL.exists():
        pytest.skip("needs the recorded streams beside the checkout")
    comments, broken = load(REAL, 0, 3600)
    assert (len(broken), comments[0].at) == (0, 0)
    assert len(comments) > 1000


@pytest.mark.parametrize("content", [b"\x1f\x8bnot gzip", gzip.compress(b'{"t":1}')[:-9]])
def test_a_damaged_file_is_one_line(tmp_path: Path, content: bytes):
    file = tmp_path / "chat.jsonl.gz"
    file.write_bytes(content)
    with pytest.raises(Trouble, match="cannot be read"):
        load(file, 0, None)


# frames


@given(st.lists(st.binary(max_size=70_000), max_size=4), st.integers(1, 50_000))
def test_frames_are_found_however_the_bytes_arrive(payloads: list[bytes], piece: int):
    stream = b"".join(Frame(Opcode.BINARY, payload).serialize(mask=False) for payload in payloads)
    found, rest = [], b""
    for start in range(0, len(stream), piece):
        frames, rest = split_frames(rest + stream[start : start + piece])
        found += frames
    assert (found, rest) == ([(0x82, payload) for payload in payloads], b"")


# replaying


class Room:
    """Says back what is said; shows one of so many comments, refuses another, and counts the rest as sampled."""

    def __init__(self, show_one_of: int = 1, refuse_one_of: int = 10**9, lose_one_of: int = 10**9) -> None:
        self.show, self.refuse, self.lose = show_one_of, refuse_one_of, lose_one_of
        self.sockets: set[ServerConnection] = set()
        self.numbers = itertools.count(1)

    async def serve(self, socket: ServerConnection) -> None:
        hello = json.loads(await socket.recv())
        viewer = {"id": json.loads(token_body(hello["token"]))["sub"], "name": "x", "role": "viewer"}
        await socket.send(json.dumps({"t": "welcome", "viewer": viewer, "epoch": "e", "seq": 1, "heartbeat_ms": 15000}))
        self.sockets.add(socket)
        try:
            async for said in socket:
                await self.hear(socket, viewer["id"], json.loads(said))
        finally:
            self.sockets.discard(socket)

    async def hear(self, socket: ServerConnection, who: str, said: dict[str, Any]) -> None:
        number = next(self.numbers)
        if number % self.refuse == 0:
            await socket.send(json.dumps({"t": "error", "cid": said["cid"], "code": "RATE_LIMITED"}))
            return
        await socket.send(json.dumps({"t": "ok", "cid": said["cid"], "id": f"c{number}"}))
        self.tell(number, who, said["text"])

    def tell(self, number: int, who: str, text: str) -> None:
        message = {"t": "chat.message", "id": f"c{number}", "ts": 1, "from": who, "name": who, "role": "viewer"}
        if number % self.lose == 0:
            return
        if number % self.show:
            broadcast(self.sockets, json.dumps([{"t": "chat.sampled", "shown": 0, "total": 1}]))
        else:
            broadcast(self.sockets, json.dumps([message | {"text": text}]))


def token_body(token: str) -> bytes:
    import base64

    part = token.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@asynccontextmanager
async def serving(room: Room) -> AsyncIterator[str]:
    async with serve(room.serve, "127.0.0.1", 0, subprotocols=["liveroom.v1.json"]) as server:  # type: ignore[list-item]
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def comments(count: int) -> list[Comment]:
    return [Comment(number / 10, f"u{number % 7}", f"text {number}") for number in range(count)]


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setenv("LIVEROOM_SECRET", SECRET)
    monkeypatch.setattr("liveroom.replay.performance.DRAIN_SECONDS", 0.5)
    return Account()


async def replayed(url: str, account: Account, said: list[Comment], **more: Any) -> list[Player]:
    players = troupe(Server(url, more.get("token"), None), "demo", more.get("viewers", 20), account)
    await perform(said, players, more.get("speed", 100), more.get("limit_s"), Progress(disable=True))
    return players


def test_every_comment_is_accounted_for_by_every_probe(account: Account):
    async def story() -> None:
        async with serving(Room(show_one_of=3, refuse_one_of=10)) as url:
            await replayed(url, account, comments(100))

    asyncio.run(story())
    assert (account.sent, len(account.accepted), account.refused["RATE_LIMITED"]) == (100, 90, 10)
    assert len(account.probes) == 10
    assert all(0 < account.delivered(probe) == 90 - probe.sampled for probe in account.probes)
    assert account.good
    assert verdict(account)[:2] == [
        "sent = accepted + refused: yes",
        "accepted = delivered + sampled for each of 10 probes: yes",
    ]
    assert ("  RATE_LIMITED", "10") in rows(account)


def test_a_comment_that_no_probe_sees_is_missed(account: Account):
    async def story() -> None:
        async with serving(Room(lose_one_of=50)) as url:
            await replayed(url, account, comments(100))

    asyncio.run(story())
    assert not account.good
    assert "10 probes: NO, probe 0: 2 missing, probe 1: 2 missing" in verdict(account)[1]
    assert "missing: accepted, but neither delivered nor counted as sampled" in verdict(account)


def test_sampled_comments_that_nobody_had_accepted_are_too_many(account: Account):
    account.probe().take({"t": "chat.sampled", "shown": 0, "total": 3})
    assert not account.good
    assert verdict(account)[1].endswith("NO, probe 0: 3 too many")
    assert verdict(account)[2].startswith("too many: ")


def test_comments_of_others_are_counted_apart(account: Account):
    room = Room()

    async def story() -> None:
        async with serving(room) as url:
            replaying = asyncio.create_task(replayed(url, account, comments(30), speed=10))
            while len(account.accepted) < 5:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            room.tell(9999, "somebody", "hi")
            broadcast(room.sockets, json.dumps({"t": "chat.sampled", "shown": 0, "total": 2}))
            await replaying

    asyncio.run(story())
    assert account.good
    assert [account.surplus(probe) for probe in account.probes] == [2] * 10
    assert verdict(account)[1].endswith("cannot be told, up to 2 too many with others' among them")
    assert "others spoke too (1 comments heard)" in verdict(account)[2]


def test_a_recorded_person_speaks_through_one_viewer_and_in_the_recorded_rhythm(account: Account):
    async def story() -> None:
        async with serving(Room()) as url:
            began = asyncio.get_running_loop().time()
            await replayed(url, account, comments(11), speed=2)
            assert asyncio.get_running_loop().time() - began > 0.5

    asyncio.run(story())
    assert account.good


def test_a_limit_is_time_on_the_wall(account: Account):
    async def story() -> None:
        async with serving(Room()) as url:
            await replayed(url, account, comments(1000), speed=10, limit_s=0.5)

    asyncio.run(story())
    assert account.sent == 51
    assert account.good


def test_a_room_that_lets_nobody_in_is_said(account: Account):
    async def closes(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.close(4504)

    async def story() -> None:
        async with serve(closes, "127.0.0.1", 0) as server:
            with pytest.raises(Closed, match="4504"):
                await replayed(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", account, comments(3))

    asyncio.run(story())


def test_a_cut_leaves_comments_unanswered_and_says_so(account: Account):
    class Deaf(Room):
        async def hear(self, socket: ServerConnection, who: str, said: dict[str, Any]) -> None:
            socket.transport.abort()

    async def story() -> None:
        async with serving(Deaf()) as url:
            await replayed(url, account, comments(3))

    asyncio.run(story())
    assert account.unanswered == account.sent > 0
    assert not account.good
    assert verdict(account)[0] == f"sent = accepted + refused: NO, {account.sent} unanswered"


def test_one_token_is_not_enough_for_a_crowd(account: Account):
    with pytest.raises(Trouble, match="at most 5"):
        troupe(Server("http://h", "token", None), "demo", 6, account)


def test_with_one_token_all_comments_are_ours(account: Account):
    token = Server("http://h", None, None).mint("ann", "demo")

    async def story() -> None:
        async with serving(Room()) as url:
            await replayed(url, account, comments(10), token=token, viewers=3)

    asyncio.run(story())
    assert (len(account.accepted), [probe.foreign for probe in account.probes]) == (10, [0] * 3)
    assert account.good


def test_the_command_prints_the_table_and_what_was_broken(tmp_path: Path):
    file = tmp_path / "chat.jsonl"
    lines = [json.dumps({"t": one.at, "viewer": one.viewer, "text": one.text}) for one in comments(20)]
    file.write_text("\n".join([*lines[:5], "{broken", *lines[5:]]))

    async def story() -> tuple[int | None, str, str]:
        async with serving(Room()) as url:
            command = ["-m", "liveroom", "replay", str(file), "--room", "demo", "--speed", "20", "--viewers", "5"]
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                "--url",
                url,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={"LIVEROOM_SECRET": SECRET},
            )
            out, errors = await process.communicate()
            return process.returncode, out.decode(), errors.decode()

    code, out, errors = asyncio.run(story())
    assert code == 0, errors
    assert "for each of 5 probes: yes" in out
    assert "chat.jsonl, line 6" in errors
    assert "1 broken lines" in errors


def test_a_table_without_a_single_comment_still_prints():
    account = Account()
    account.probe()
    report(account, Console(quiet=True))
    assert ("latency p99", "none seen") in rows(account)
