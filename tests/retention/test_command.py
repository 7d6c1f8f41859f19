"""`liveroom retention FILE`: whatever is in the file, what can be said is said, and what cannot is one line."""

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveroom.listed import MOST, OFTEN, TOLD, Unreadable, read_listed
from tests.retention.rows import HEADER, strict
from tests.retention.typed import GOOD, Command, Done, with_header

packed = partial(gzip.compress, mtime=0)


def refused(done: Done) -> str:
    """The one line of a command that cannot be done."""
    assert (done.code, done.out) == (2, "")
    assert done.told[-1].startswith("liveroom: ")
    assert "Traceback" not in done.errors
    return done.told[-1]


# what is said


def test_json_is_one_object_and_nothing_else(tmp_path: Path):
    file = tmp_path / "who.csv"
    file.write_text(with_header(GOOD))
    words = [sys.executable, "-m", "liveroom", "retention", str(file), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found = strict(done.stdout)
    assert done.stdout.count("\n") == 1
    assert (found["uv"], found["lines"], found["broken"], found["backward"]) == (3, 3, 0, 0)
    assert re.fullmatch(r"3 connections in \d+\.\d s, 0 left out\n", done.stderr)


def test_all_numbers_of_a_file(read: Callable[..., Any]):
    assert {name: part for name, part in read(with_header(GOOD)).items() if name != "online"} == {
        **{"start": 0, "end": 1000, "grace": 60, "uv": 3, "sessions": 3, "outside": 0},
        **{"lines": 3, "broken": 0, "backward": 0},
        "stay": {
            "curve": [
                {"t": 100, "s": pytest.approx(2 / 3), "lo": ANY_SHARE, "hi": ANY_SHARE, "n": 3, "grey": True},
                {"t": 200, "s": pytest.approx(1 / 3), "lo": ANY_SHARE, "hi": ANY_SHARE, "n": 2, "grey": True},
            ],
            **{"median": 200, "rmst": None, "rmst_seconds": None, "bounce": 0},
            **{"left": 2, "still_here": 1, "late_entries": 0},
        },
        "watch": {
            **{"total": 1250, "mean_per_viewer": pytest.approx(1250 / 3), "median_per_viewer": 200},
            "mean_per_session": pytest.approx(1250 / 3),
        },
    }


class AnyShare:
    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and 0 < other < 1

    __hash__ = None  # type: ignore[assignment]


ANY_SHARE = AnyShare()


def test_the_online_curve_of_a_file(read: Callable[..., Any]):
    online = read(with_header("ann,0,25,close\nben,10,30,close\n"))["online"]
    assert online == {
        "bucket": 10,
        "curve": [
            {"t": 0, "viewers": 1, "joins": 1, "leaves": 0},
            {"t": 10, "viewers": 2, "joins": 1, "leaves": 0},
            {"t": 20, "viewers": 2, "joins": 0, "leaves": 0},
        ],
        "pcu": 2,
        "acu": 1.5,
    }


def test_the_curve_has_one_point_for_every_time_at_which_somebody_left(read: Callable[..., Any]):
    lines = [f"v{n},{n},{n + 10 * (n % 7 + 1)},{'close' if n % 3 else 'stream_end'}\n" for n in range(100)]
    curve = read(with_header("".join(lines)), "--end", "1000")["stay"]["curve"]
    left = [10 * (n % 7 + 1) for n in range(100) if n % 3]
    assert [point["t"] for point in curve] == sorted(set(left))
    shares = [1.0, *(point["s"] for point in curve)]
    assert all(before > after for before, after in pairwise(shares))


def test_people_read_words(retention: Command):
    done = retention(with_header(GOOD))
    assert (done.code, done.told) == (0, ["3 connections, 0 left out"])
    assert done.out.splitlines() == [
        "viewers      3 in 3 sessions",
        "at once      3 at most (PCU), 1.2 on average (ACU)",
        "median stay  3:20",
        "mean stay    too few to say (up to –)",
        "watched      6:57 a viewer on average, median 3:20",
        "bounce       0.0% gone within 3 s",
        "still there  1 of 3",
    ]


def test_words_say_so_where_there_is_nothing_to_say(retention: Command):
    out = retention(with_header("")).out
    assert "viewers      0 in 0 sessions" in out
    assert "– on average (ACU)" in out
    assert "bounce       – gone" in out
    assert "nan" not in out.lower()


# how many


@pytest.mark.parametrize(("viewers", "grey", "rmst"), [(1, 1, None), (29, 29, None), (30, 29, 100), (31, 29, 105)])
def test_few_are_grey_and_have_no_mean(read: Callable[..., Any], viewers: int, grey: int, rmst: float | None):
    lines = [f"v{n},0,{100 + 10 * n},close\n" for n in range(viewers)]
    stay = read(with_header("".join(lines)), "--end", "10000")["stay"]
    assert sum(point.get("grey", False) for point in stay["curve"]) == grey
    assert [point["n"] for point in stay["curve"]] == list(range(viewers, 0, -1))
    if rmst is None:
        assert (stay["rmst"], stay["rmst_seconds"]) == (None, None)
    else:
        assert stay["rmst_seconds"] == 100 + 10 * (viewers - 30)
        assert stay["rmst"] == pytest.approx(100 + (viewers - 30) * 10 * (1 - 1 / viewers))
    last = stay["curve"][-1]
    assert (last["s"], last["lo"], last["hi"]) == (0, None, None)


def test_nobody_is_no_number_and_never_nan(read: Callable[..., Any]):
    found = read(with_header(""))
    assert (found["uv"], found["sessions"], found["lines"], found["online"]["acu"]) == (0, 0, 0, None)
    assert found["watch"] == {
        **{"total": 0, "mean_per_viewer": None, "median_per_viewer": None, "mean_per_session": None}
    }
    assert (found["stay"]["curve"], found["stay"]["median"], found["stay"]["bounce"]) == ([], None, None)
    assert all(point["viewers"] == 0 for point in found["online"]["curve"])


def test_a_mean_stay_is_up_to_half_an_hour(read: Callable[..., Any]):
    stay = read(with_header("".join(f"v{n},0,{7200 + n},close\n" for n in range(100))), "--end", "9999")["stay"]
    assert (stay["rmst"], stay["rmst_seconds"]) == (1800, 1800)


# what a line may be


@pytest.mark.parametrize(
    "broken",
    [
        *("ann", "ann,0", ",0,10,close", "  ,0,10,close", "ann,,10,close", "ann,soon,10,close", "ann,0,late,close"),
        *("ann,nan,10,", "ann,0,nan,", "ann,inf,,", "ann,-inf,0,", "ann,0,inf,", "ann,0,-inf,", "ann,0,1e400,"),
        *("ann,1e400,,", "ann,-1e400,5,", "ann,0,1700000000000,", "ann,1700000000000,1700000001000,", "ann,0x10,20,"),
        *('"ann,0,10,close', 'ann,0,10,"close', '"ann"x,0,10,close', "\x00", "\ufeff,,,", "[1]", '{"viewer":"ann"}'),
    ],
)
def test_a_broken_line_is_named_and_costs_itself_only(retention: Command, broken: str):
    lines = GOOD.splitlines(keepends=True)
    done = retention(with_header("".join([lines[0], broken + "\n", *lines[1:]])), "--json")
    assert len(done.told) == 2
    assert done.told[0].startswith("line 3 cannot be read and is left out: ")
    assert done.told[1] == "4 connections, 1 left out"
    assert (done.found["uv"], done.found["lines"], done.found["broken"], done.found["backward"]) == (3, 4, 1, 0)


def test_a_line_that_lacks_columns_says_so(retention: Command):
    assert retention(with_header("ann,0\n")).told[0] == "line 2 cannot be read and is left out: a column is missing"


def test_a_line_that_ends_before_it_begins_is_left_out(retention: Command):
    done = retention(with_header(f"dan,100,99.9,close\n{GOOD}"), "--json")
    assert done.told == ["line 2 ends before it begins and is left out", "4 connections, 1 left out"]
    assert (done.found["uv"], done.found["broken"], done.found["backward"]) == (3, 0, 1)


def test_many_broken_lines_are_counted_and_some_are_named(retention: Command):
    done = retention(with_header("x\n" * 1000 + "ann,10,0,\n" * 5 + GOOD), "--json")
    assert len(done.told) == TOLD + 2
    assert done.told[0].startswith("line 2 cannot be read")
    assert done.told[-2:] == [f"… and {1005 - TOLD:,} more", "1,008 connections, 1,005 left out"]
    assert (done.found["uv"], done.found["broken"], done.found["backward"]) == (3, 1000, 5)


def test_empty_lines_are_no_lines(read: Callable[..., Any]):
    found = read("\n\n" + with_header("\n" + GOOD.replace("\n", "\n\n  \n")))
    assert (found["lines"], found["broken"], found["uv"]) == (3, 0, 3)


SAME = [
    with_header(GOOD).replace("\n", "\r\n"),
    with_header(GOOD).removesuffix("\n"),
    "\ufeff" + with_header(GOOD),
    "\ufeff" + with_header(GOOD).replace("\n", "\r\n"),
    packed(with_header(GOOD).encode()),
    packed(("\ufeff" + with_header(GOOD)).encode()),
    " Viewer , JOINED,Left, Reason \nann, 0, 100 ,close\nben,0,200,close \ncat,50, 1000 , stream_end \n",
    '"viewer","joined","left","reason"\n"ann","0","100","close"\n"ben","0","200","close"\n"cat","50","1000","stream_end"\n',
    "left,reason,viewer,joined\n100,close,ann,0\n200,close,ben,0\n1e3,stream_end,cat,50.0\n",
    "x,viewer,ip,joined,left,reason,y\n1,ann,,0,100,close,z\n,ben,::1,0,200,close\n1,cat,,50,1000,stream_end,,,,\n",
    '"note, if any",viewer,joined,left,reason\n"a, b",ann,0,100,\n,ben,0,200,\n"""",cat,50,1000,stream_end\n',
    '{"viewer":"ann","joined":0,"left":100}\n{"viewer":"ben","joined":0,"left":200.0,"ip":[1,{}]}\n'
    '{"reason":"stream_end","viewer":"cat","joined":50,"left":1e3}\n',
]


@pytest.mark.parametrize("content", SAME)
def test_however_it_is_written_it_is_the_same(read: Callable[..., Any], content: str | bytes):
    assert read(content) == read(with_header(GOOD))


def test_names_may_have_commas_and_quotation_marks(read: Callable[..., Any]):
    lines = '"Lee, Ann",0,100,close\n"Lee, Ben",0,200,close\n"Lee, Ann",100,1000,close\n"say ""hi""",0,100,close\n'
    found = read(with_header(lines))
    assert (found["uv"], found["sessions"], found["broken"]) == (3, 3, 0)


def test_an_open_quotation_mark_breaks_its_own_line_only(retention: Command):
    done = retention(with_header('"dan,0,100,close\n' + GOOD + 'eve,0,"100,close\nfox,0,100,close\n'), "--json")
    assert [line[:7] for line in done.told[:2]] == ["line 2 ", "line 6 "]
    assert (done.found["uv"], done.found["broken"]) == (4, 2)


def test_bytes_that_are_no_text_are_still_a_name(read: Callable[..., Any]):
    found = read(with_header(GOOD).encode() + b"\xff\xfe\x80,0,100,close\n")
    assert (found["uv"], found["broken"]) == (4, 0)


@pytest.mark.parametrize(
    "broken",
    [
        *('{"viewer":"x","joined":0', "{}", '{"viewer":"x"}', '{"viewer":[7],"joined":0}', '{"viewer":"","joined":0}'),
        *('{"viewer":"x","joined":"0"}', '{"viewer":"x","joined":null}', '{"viewer":"x","joined":NaN}', "ann,0,1,"),
        *(
            '{"viewer":"x","joined":1e400}',
            '{"viewer":"x","joined":0,"left":1e400}',
            '{"viewer":"x","joined":0,"left":""}',
        ),
        *('{"viewer":"x","joined":1e300}', "null", '{"viewer":"x","joined":0,"reason":7}', "[" * 100_000),
        '{"viewer":"x","joined":0,"y":' + "[" * 100_000,
    ],
)
def test_a_broken_line_of_json_is_named_too(retention: Command, broken: str):
    lines = '{"viewer":"ann","joined":0}\n' + broken + '\n{"viewer":"ben","joined":0,"left":null,"reason":"?"}\n'
    done = retention(lines, "--json", "--end", "100")
    assert done.told[0].startswith("line 2 cannot be read and is left out: ")
    assert (done.found["uv"], done.found["lines"], done.found["broken"], done.found["stay"]["still_here"]) == (
        2,
        3,
        1,
        2,
    )


@given(st.text(max_size=300) | st.lists(st.text('",\n0123456789.e-+ naninf', max_size=40)).map("\n".join))
def test_no_text_at_all_raises_anything_but_one_line(text: str):
    for start in ("", HEADER + "\n", '{"viewer":"ann","joined":0}\n'):
        with suppress(Unreadable):
            listed = read_listed((start + text).splitlines(keepends=True))
            assert len(listed.connections.viewer) == listed.lines - listed.broken - listed.backward
            assert (abs(listed.connections.joined) < MOST).all()
            assert (listed.connections.left >= listed.connections.joined).all()


def test_a_long_file_says_how_far_it_is():
    lines = [HEADER, *["ann,0,1,close"] * (2 * OFTEN)]
    heard: list[int] = []
    assert read_listed(lines, heard.append).lines == 2 * OFTEN
    assert heard == [OFTEN, 2 * OFTEN]


# what a file may not be


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "the file is empty"),
        ("\n \n\r\n", "the file is empty"),
        ("\ufeff", "the file is empty"),
        (packed(b""), "the file is empty"),
        (GOOD, "names no column viewer, joined, left"),
        ("viewer,joined,reason\nann,0,close\n", "names no column left: write viewer,joined,left,reason"),
        ("viewer;joined;left\nann;0;1\n", "names no column"),
        ('[{"viewer":"ann","joined":0}]', "names no column"),
        (with_header(GOOD).encode("utf-16"), "names no column"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "names no column"),
        ('"' + "x" * 200_000, "names no column"),
        ('"viewer,joined,left\nann,0,1\n', "names no column"),
        (b"\x1f\x8bnot gzip", "cannot be read"),
        (packed(with_header(GOOD).encode())[:-9], "cannot be read"),
        (packed(with_header(GOOD).encode())[:10] + b"\xff" * 50, "cannot be read: Error -3 while decompressing"),
    ],
)
def test_what_is_no_list_of_connections_is_one_line(retention: Command, content: str | bytes, why: str):
    done = retention(content, "--json")
    assert why in refused(done)
    assert len(done.told) == 1


def test_a_file_that_is_not_there_is_one_line(retention: Command, tmp_path: Path):
    words = [sys.executable, "-m", "liveroom", "retention"]
    for path in (tmp_path / "nowhere.csv", tmp_path):
        done = subprocess.run([*words, str(path)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert f"{path} cannot be read" in done.stderr


@pytest.mark.parametrize("content", [with_header(GOOD).encode(), packed(with_header(GOOD).encode())])
def test_a_pipe_is_read_as_a_file_is(content: bytes):
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "wb") as end:
        end.write(content)
    words = [sys.executable, "-m", "liveroom", "retention", f"/dev/fd/{ours}", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, pass_fds=[ours])
    os.close(ours)
    assert strict(done.stdout)["uv"] == 3


# from when to when


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--end", "-1"], "the recording ends (-1) before it begins (0): mend --start or --end"),
        (["--start", "50", "--end", "49"], "before it begins"),
        (["--start", "2000"], "before it begins"),
        (["--start", "nan"], "are numbers of seconds"),
        (["--end", "nan"], "are numbers of seconds"),
        (["--end", "inf"], "are numbers of seconds"),
        (["--grace", "inf"], "are numbers of seconds"),
        (["--end", "1e10"], "the recording lasts 115,741 days"),
        (["--html", "no/folder/page.html"], "cannot be written"),
    ],
)
def test_what_cannot_be_asked_is_one_line(retention: Command, words: list[str], why: str):
    assert why in refused(retention(with_header(GOOD), "--json", *words))


def test_a_time_that_is_no_time_does_not_make_a_recording_of_fifty_years(retention: Command):
    lines = with_header("ann,0,1700000100,close\nben,1700000000,1700000100,close\n")
    assert "the recording lasts 19,676 days" in refused(retention(lines))
    found = retention(lines, "--json", "--start", "1700000000").found
    assert (found["uv"], found["stay"]["late_entries"]) == (2, 1)


@pytest.mark.parametrize("words", [["--grace", "-1"], ["--grace", "nan"], ["--end", "noon"], ["--nothing"]])
def test_a_bad_option_is_exit_2(retention: Command, words: list[str]):
    done = retention(with_header(GOOD), *words)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.errors


def test_connections_outside_the_recording_are_counted_and_left_out(read: Callable[..., Any]):
    found = read(with_header(GOOD), "--start", "120", "--end", "180")
    assert (found["uv"], found["outside"], found["watch"]["total"]) == (2, 1, 120)
    assert (found["stay"]["late_entries"], found["stay"]["still_here"]) == (2, 2)
    found = read(with_header(GOOD), "--start", "5000", "--end", "6000")
    assert (found["uv"], found["outside"], found["online"]["pcu"], found["online"]["acu"]) == (0, 3, 0, 0)
    assert read(with_header(GOOD), "--end", "0", "--start", "-100")["outside"] == 1  # two join at its very end


def test_grace_is_what_was_asked(read: Callable[..., Any]):
    lines = with_header("ann,0,10,close\nann,15,100,close\nben,0,1000,close\n")
    assert [read(lines, "--grace", grace)["sessions"] for grace in ("0", "4.9", "5", "60")] == [3, 3, 2, 2]


def test_a_recording_of_one_moment(read: Callable[..., Any]):
    found = read(with_header("ann,5,5,close\n"))
    assert (found["start"], found["end"], found["uv"], found["online"]["acu"]) == (5, 5, 1, None)
    assert found["stay"]["still_here"] == 1


def test_what_has_not_ended_lasts_to_the_end(read: Callable[..., Any]):
    found = read("viewer,joined,left\nann,0,\nben,0,100\n", "--end", "500")
    assert (found["watch"]["total"], found["stay"]["still_here"], found["stay"]["left"]) == (600, 1, 1)


def test_the_order_of_lines_does_not_matter_here_either(read: Callable[..., Any]):
    def of(lines: Iterable[str]) -> Any:
        return read(with_header("".join(lines)))

    lines = GOOD.splitlines(keepends=True)
    assert of(lines) == of(reversed(lines))
    assert of(lines + lines) == of(lines) | {"lines": 6}
