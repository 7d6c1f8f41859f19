"""The file of the word list is followed while the server runs; what is no list leaves the old one as it was."""

import asyncio
import os
import threading
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gameplay.wordlist import WordList, room_words
from liveroom import wordfile
from liveroom.wordfile import BadWords, WordFile

Logs = list[MutableMapping[str, Any]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "words.txt"
    file.write_text("bad\n", "utf-8")
    return file


def looked(words: WordFile, times: int = 2) -> Logs:
    """Two looks: a file counts when it is as it was at the look before."""

    async def look() -> None:
        for _ in range(times):
            await words.look()

    with capture_logs() as logs:
        asyncio.run(look())
    return logs


def write(path: Path, content: bytes) -> None:
    """Also within one tick of the file system's clock the time of the file changes."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_bytes(content)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def test_the_list_is_read_at_once(path: Path):
    assert WordFile(path).blocked("so b.a.d") == ("bad", 1, "words.txt")


def test_a_new_file_is_a_new_list(path: Path):
    words = WordFile(path)
    write(path, "good\r\n代购\r\n".encode())
    logs = looked(words)
    assert (words.blocked("bad"), words.words.size) == (None, 2)
    assert [(line["event"], line["words"]) for line in logs] == [("the word list is in use", 2)]
    assert looked(words) == []


def test_a_file_that_is_being_written_is_left_alone(path: Path):
    words = WordFile(path)
    for content in (b"", b"go", b"good\n"):
        write(path, content)
        assert looked(words, 1) == []
        assert words.blocked("bad")
    looked(words, 1)
    assert words.blocked("good")


def test_an_empty_file_is_an_empty_list(path: Path):
    words = WordFile(path)
    write(path, b"# nothing\n")
    looked(words)
    assert words.blocked("bad") is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("bad".encode("utf-16"), "line 1: it is not UTF-8"),
        (b"a\nb\n", "line 1: one letter"),
        (b"x" * 101, "larger than"),
        (None, "No such file"),
    ],
)
def test_what_is_no_list_leaves_the_old_one_and_is_told_once(
    path: Path, content: bytes | None, why: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(wordfile, "MOST_BYTES", 100)
    words = WordFile(path)
    if content is None:
        path.unlink()
    else:
        write(path, content)
    told = [line["why"] for line in looked(words, 5)]
    assert len(told) == 1
    assert why in told[0]
    assert words.blocked("bad")


def test_a_list_comes_back_after_it_was_none(path: Path):
    words = WordFile(path)
    path.unlink()
    looked(words)
    write(path, b"good\n")
    looked(words)
    assert words.blocked("good")


def test_lines_that_are_skipped_are_told_in_one_line(path: Path):
    path.write_bytes(b"a\nbad\n\xff\xfe\n" + b"b\n" * 10)
    with capture_logs() as logs:
        words = WordFile(path)
    skipped = [line for line in logs if "skipped" in line]
    assert words.blocked("bad")
    assert [line["skipped"] for line in skipped] == [12]
    assert skipped[0]["lines"].startswith("line 1: one letter")
    assert "line 3: it is not UTF-8" in skipped[0]["lines"]
    assert "line 12" not in skipped[0]["lines"]


def test_a_server_is_told_at_its_start_that_there_is_no_list(tmp_path: Path):
    with pytest.raises(BadWords, match="No such file"):
        WordFile(tmp_path / "none.txt")


def test_the_words_of_a_room_count_too(path: Path):
    words, mine = WordFile(path), room_words(["mine"])
    assert isinstance(mine, WordList)
    assert words.blocked("mine", "zh", [mine]) == ("mine", 1, "room")
    assert words.blocked("mine", "zh") is None


def test_the_file_is_read_beside_the_loop(path: Path, monkeypatch: pytest.MonkeyPatch):
    threads: list[str] = []
    read = wordfile.read_file

    def noted(path: Path, breath: float = 0) -> WordList:
        threads.append(threading.current_thread().name)
        return read(path, breath)

    words = WordFile(path)
    monkeypatch.setattr(wordfile, "read_file", noted)
    write(path, b"good\n" * 250)
    looked(words)
    assert threads
    assert threading.main_thread().name not in threads


def test_the_file_is_followed_until_it_is_stopped(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wordfile, "LOOK_SECONDS", 0.01)

    async def follow() -> bool:
        words = WordFile(path)
        keeping = asyncio.create_task(words.keep())
        write(path, b"good\n")
        async with asyncio.timeout(20):
            while not words.blocked("good"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        keeping.cancel()
        return keeping.done()

    assert asyncio.run(follow()) is False
