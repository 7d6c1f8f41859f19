"""`liveroom export` writes what the ledger has, row by row, as people and their tools can read it."""

import asyncio
import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from liveroom import cli
from liveroom.ledger.engine import open_ledger, open_to_read
from liveroom.ledger.export import dated, defused, iso
from liveroom.ledger.facts import Fact
from liveroom.ledger.queries import PAGE, Ledger, exported
from liveroom.ledger.recorder import Recorder
from tests.ledger.outbox import (
    NOW,
    Shelf,
    bought,
    claimed,
    commanded,
    created,
    entered,
    entry,
    finished,
    held,
    hold,
    moved,
    owed,
    refunded,
    sale_moved,
    session,
    win,
)

WHEN = "2025-11-20T12:00:00.000Z"


class Done(NamedTuple):
    code: int
    out: str
    errors: str


Export = Callable[..., Done]


def show() -> list[Fact]:
    return [
        created(),
        commanded("lottery.open", "r_1", prize="Ein Becher", seconds=60),
        commanded("room.notice", at=NOW - 1, text='=1+1, "quoted"\nand more'),
        moved(),
        entered([entry(1, "ann", "Ann"), entry(2, "bob", '=HYPERLINK("x")'), entry(3, "eve", "小红 🎉")]),
        moved(state="drawn", ver=2, wins=[win("ann", 2), win("eve", 1)]),
        claimed("eve"),
        moved("r_2", "quiz"),
        entered([entry(1, "ann", word="1"), entry(2, "bob", word="0")], "r_2", "quiz"),
        created("other"),
        moved("r_3", room="other"),
        entered([entry(1, "stranger")], "r_3", room="other"),
    ]


async def keep(url: str, facts: list[Fact]) -> None:
    engine = await open_ledger(url)
    await Recorder(engine, Shelf(facts)).finish()
    await engine.dispose()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a ledger in it, in a clean environment."""
    for name in [name for name in os.environ if name.startswith("LIVEROOM_")]:
        monkeypatch.delenv(name)
    asyncio.run(keep(f"sqlite:///{tmp_path}/ledger.db", show()))
    return tmp_path


@pytest.fixture
def export(data: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Export:
    def typed(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["liveroom", "export", "--data", str(data), *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capfd.readouterr()
        return Done(int(end.value.code or 0), said.out, said.err)

    return typed


@pytest.fixture
def many() -> list[Fact]:
    pages = [[entry(n * 500 + k) for k in range(500)] for n in range(9)]
    return [created("busy"), *(entered(page, "r_9", room="busy") for page in pages)]


def rows(done: Done) -> list[dict[str, str]]:
    assert (done.code, done.errors) == (0, ""), done
    return list(csv.DictReader(io.StringIO(done.out)))


def lines(done: Done) -> list[dict[str, Any]]:
    assert (done.code, done.errors) == (0, ""), done
    return [json.loads(line) for line in done.out.splitlines()]


def refused(done: Done) -> str:
    assert (done.code, done.out, done.errors.count("\n")) == (2, "", 1), done
    return done.errors


# what is written


def test_entries_are_those_of_every_round_of_the_room(export: Export):
    found = rows(export("demo", "--what", "entries"))
    assert [(row["round"], row["n"], row["viewer"], row["kind"]) for row in found] == [
        *(("r_1", "1", "ann", "lottery"), ("r_1", "2", "bob", "lottery"), ("r_1", "3", "eve", "lottery")),
        *(("r_2", "1", "ann", "quiz"), ("r_2", "2", "bob", "quiz")),
    ]
    assert (found[2]["name"], found[0]["at"], found[0]["at_utc"]) == ("小红 🎉", str(NOW), WHEN)


def test_answers_are_the_entries_of_quiz_questions(export: Export):
    found = rows(export("demo", "--what", "answers"))
    assert [(row["viewer"], row["choice"]) for row in found] == [("ann", "1"), ("bob", "0")]


def test_one_round_alone(export: Export):
    assert [row["round"] for row in rows(export("demo", "--what", "entries", "--round", "r_2"))] == ["r_2"] * 2


def test_winners_are_in_the_order_of_their_places(export: Export):
    found = lines(export("demo", "--what", "winners", "--format", "jsonl"))
    assert [(row["place"], row["viewer"], row["state"], row["at"]) for row in found] == [
        (1, "eve", "claimed", NOW + 2),
        (2, "ann", "won", NOW + 2),
    ]


def test_commands_are_in_the_order_of_time_and_say_all(export: Export):
    found = lines(export("demo", "--what", "commands", "--format", "jsonl"))
    assert [row["kind"] for row in found] == ["room.notice", "lottery.open"]
    assert found[1]["body"] == {"t": "lottery.open", "prize": "Ein Becher", "seconds": 60}
    assert json.loads(rows(export("demo", "--what", "commands"))[1]["body"]) == found[1]["body"]


@pytest.fixture
def sales(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A sale that is over, and one that was cancelled."""
    facts = [
        created(),
        sale_moved("closed"),
        held(hold("h_1", name='=HYPERLINK("x")'), hold("h_2", "bob", state="expired", v=2, made=NOW - 1)),
        held(bought("h_3", "eve", rank=2), bought("h_4", "zoe", late=True)),
        refunded(owed("h_2", "bob", at=NOW + 9)),
        sale_moved("cancelled", round_id="r_t"),
        held(bought("h_5"), bought("h_6", "bob", v=3, state="refunded"), hold("h_7", "eve"), round_id="r_t"),
        held(bought("h_8", "zoe", payment="q"), round_id="r_t"),
        refunded(owed("h_8", "zoe", "q", "paid twice"), owed("h_7", "eve"), round_id="r_t"),
        sale_moved("cancelled", round_id="r_u", room="other"),
        held(bought("h_9"), round_id="r_u", room="other"),
    ]
    url = f"sqlite:///{tmp_path_factory.mktemp('sales')}/ledger.db"
    asyncio.run(keep(url, facts))
    return ["demo", "--ledger", url, "--what"]


def test_orders_are_in_the_order_of_payment(export: Export, sales: list[str]):
    found = lines(export(*sales, "orders", "--format", "jsonl"))
    assert [(row["round"], row["order_id"], row["hold"], row["rank"], row["state"]) for row in found] == [
        ("r_s", "o_4", "h_4", 1, "paid"),
        ("r_s", "o_3", "h_3", 2, "paid"),
        ("r_t", "o_5", "h_5", 1, "paid"),
        ("r_t", "o_6", "h_6", 1, "refunded"),
        ("r_t", "o_8", "h_8", 1, "paid"),
    ]
    first = found[0]
    assert [first[name] for name in ("item", "price", "currency", "payment", "late")] == [
        "Teapot",
        1999,
        "EUR",
        "p_4",
        1,
    ]
    assert (first["paid_at_utc"], first["at_utc"]) == (WHEN.replace("000Z", "050Z"), WHEN.replace("000Z", "002Z"))


def test_holds_are_in_the_order_in_which_they_were_made(export: Export, sales: list[str]):
    found = rows(export(*sales, "holds", "--round", "r_s"))
    assert [(row["hold"], row["state"], row["order_id"]) for row in found] == [
        ("h_2", "expired", ""),
        ("h_1", "held", ""),
        ("h_3", "sold", "o_3"),
        ("h_4", "sold", "o_4"),
    ]
    second = found[1]
    assert second["name"] == '\'=HYPERLINK("x")'
    assert (second["made_utc"], second["until_utc"], second["paid_at_utc"]) == (
        WHEN,
        WHEN.replace("00:00", "02:00"),
        "",
    )


def test_refunds_are_what_got_nothing_and_what_was_paid_of_cancelled_sales(export: Export, sales: list[str]):
    found = rows(export(*sales, "refunds"))
    assert [(row["round"], row["hold"], row["payment"], row["why"]) for row in found] == [
        ("r_s", "h_2", "p", "paid too late"),
        ("r_t", "h_7", "p", "paid too late"),
        ("r_t", "h_8", "q", "paid twice"),
        ("r_t", "h_5", "p_5", "the sale was cancelled"),
    ]
    assert (found[0]["at_utc"], found[3]["paid_at"]) == (WHEN.replace("000Z", "009Z"), str(NOW + 50))
    assert [row["hold"] for row in rows(export(*sales, "refunds", "--round", "r_s"))] == ["h_2"]


@pytest.fixture
def watched(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two streams, and one in another room."""
    late = session("=ann", NOW + 1000, "s_2", event=0, why="stream_end", rtt=0)
    facts = [
        created(),
        finished(late, session("eve", source="ad", watch=30_000.4)),
        finished(session("bob", why="")),
        finished(session("zoe"), room="other"),
    ]
    url = f"sqlite:///{tmp_path_factory.mktemp('watched')}/ledger.db"
    asyncio.run(keep(url, facts))
    return ["demo", "--ledger", url, "--what", "sessions"]


def test_sessions_are_in_the_order_in_which_they_began(export: Export, watched: list[str]):
    found = lines(export(*watched, "--format", "jsonl"))
    assert [(row["stream"], row["viewer"], row["why"], row["event"]) for row in found] == [
        ("s_1", "bob", "", 1),
        ("s_1", "eve", "close", 1),
        ("s_2", "=ann", "stream_end", 0),
    ]
    assert found[1] == {
        **{"room": "demo", "stream": "s_1", "viewer": "eve", "start": NOW, "ends": NOW + 60_000, "watch": 30_000},
        **{"event": 1, "why": "close", "source": "ad", "rtt": 40},
        **{"start_utc": WHEN, "ends_utc": WHEN.replace("00:00", "01:00")},
    }


def test_sessions_as_a_sheet(export: Export, watched: list[str]):
    done = export(*watched)
    header = "room,stream,viewer,start,ends,watch,event,why,source,rtt,start_utc,ends_utc"
    assert done.out.splitlines()[0] == header
    assert [row["viewer"] for row in rows(done)] == ["bob", "eve", "'=ann"]


def test_sessions_are_of_no_round(export: Export, watched: list[str]):
    assert "leave --round out" in refused(export(*watched, "--round", "r_1"))


def test_nothing_recorded_is_a_header_or_nothing(export: Export):
    assert export("other", "--what", "winners").out == "room,round,place,viewer,name,tag,prize,state,at,at_utc\n"
    assert export("other", "--what", "winners", "--format", "jsonl") == Done(0, "", "")


def test_a_file_instead_of_the_terminal(export: Export, tmp_path: Path):
    file = tmp_path / "answers.csv"
    assert export("demo", "--what", "answers", "--out", str(file)) == Done(0, "", "")
    assert file.read_text("utf-8") == export("demo", "--what", "answers").out


def test_a_ledger_by_its_url(export: Export, data: Path, tmp_path_factory: pytest.TempPathFactory):
    url = f"sqlite:///{tmp_path_factory.mktemp('elsewhere')}/shop.db"
    asyncio.run(keep(url, [created("shop"), commanded("room.notice", room="shop")]))
    assert len(lines(export("shop", "--what", "commands", "--format", "jsonl", "--ledger", url))) == 1


def test_many_rows_come_a_page_at_a_time(export: Export, url: str, many: list[Fact]):
    async def sizes() -> list[int]:
        await keep(url, many)
        async with open_to_read(url) as engine, aclosing(Ledger(engine).pages(exported("entries", "busy"))) as pages:
            return [len(page) async for page in pages]

    assert asyncio.run(sizes()) == [PAGE] * 4 + [500]
    found = rows(export("busy", "--what", "entries", "--ledger", url))
    assert [int(row["n"]) for row in found] == list(range(4500))


# what a spreadsheet makes of it


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_text_that_a_spreadsheet_would_run_stays_text(text: str):
    assert defused(text) == f"'{text}"


@pytest.mark.parametrize("cell", ["Ann", "", "1-1", "a=b", -1, 0, NOW])
def test_other_cells_stay_as_they_are(cell: object):
    assert defused(cell) == cell


def test_a_name_that_is_a_formula_is_defused_in_csv_only(export: Export):
    wanted = '=HYPERLINK("x")'
    assert rows(export("demo", "--what", "entries"))[1]["name"] == f"'{wanted}"
    assert lines(export("demo", "--what", "entries", "--format", "jsonl"))[1]["name"] == wanted


def test_times_are_told_twice():
    assert dated({"n": 1, "at": NOW}) == {"n": 1, "at": NOW, "at_utc": WHEN}
    assert dated({"paid_at": 0, "until": NOW}) == {"paid_at": 0, "until": NOW, "until_utc": WHEN, "paid_at_utc": ""}
    assert (iso(0), iso(1), iso(-1)) == (
        "1970-01-01T00:00:00.000Z",
        "1970-01-01T00:00:00.001Z",
        "1969-12-31T23:59:59.999Z",
    )
    assert iso(2**53) == ""


# beside a server, and when something is wrong


def test_while_something_is_being_recorded_what_is_committed_is_written(export: Export, data: Path):
    writing = sqlite3.connect(data / "ledger.db", isolation_level=None)
    writing.execute("BEGIN IMMEDIATE")
    writing.execute("DELETE FROM entries")
    assert len(rows(export("demo", "--what", "entries"))) == 5
    writing.execute("COMMIT")
    writing.close()
    assert rows(export("demo", "--what", "entries")) == []


def test_nobody_who_reads_on_is_no_trouble(data: Path, many: list[Fact]):
    asyncio.run(keep(f"sqlite:///{data}/ledger.db", many))
    command = [sys.executable, "-m", "liveroom", "export", "busy", "--what", "entries", "--data", str(data)]
    done = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.stdout
    assert done.stdout.readline().startswith(b"room,round")
    done.stdout.close()
    assert done.stderr
    assert (done.stderr.read(), done.wait(10)) == (b"", 1)
    done.stderr.close()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nowhere"], "knows no room 'nowhere'"),
        (["demo", "--round", "r_3"], "no round 'r_3' of room 'demo'"),
        (["demo", "--data", "/proc/none"], "no ledger at /proc/none/ledger.db"),
        (["demo", "--ledger", "mysql://shop"], "use SQLite or PostgreSQL"),
        (["demo", "--out", "/proc/none/file"], "No such file"),
    ],
)
def test_what_cannot_be_done_is_one_line(export: Export, words: list[str], why: str):
    assert why in refused(export(*words, "--what", "entries"))


def test_a_file_that_is_there_stays_where_the_room_is_unknown(export: Export, tmp_path: Path):
    file = tmp_path / "kept.csv"
    file.write_text("mine")
    refused(export("nowhere", "--what", "entries", "--out", str(file)))
    assert file.read_text() == "mine"


def test_a_ledger_that_breaks_on_the_way_is_one_line(export: Export, data: Path):
    with sqlite3.connect(data / "ledger.db") as connection:
        connection.execute("DROP TABLE winners")
    connection.close()
    assert "the export broke off" in refused(export("demo", "--what", "winners", "--format", "jsonl"))
