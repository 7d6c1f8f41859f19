"""What gets past a list although it should not, and what does not although it should: the figures of the page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct, json

from gameplay.wordlist import blocked, read_list

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "moderation.md"
LINES = (HERE / "list.txt").read_text("utf-8").splitlines()
LIST = read_list(LINES, "list.txt")


class Evasion(Struct, frozen=True):
    how: str
    of: str
    text: str
    caught: bool


EVASIONS = [json.decode(line, type=Evasion) for line in (HERE / "evasions.jsonl").read_bytes().splitlines()]
CAUGHT = [one for one in EVASIONS if one.caught]
OUT_OF_REACH = [one for one in EVASIONS if not one.caught]

# Near misses that are blocked all the same: what stands in them is the word, for a machine that knows no sense.
MISTAKEN = {
    "is it free? money is tight this month": "free money",
    "what is free, money or points?": "free money",
    "cheap! followers get more off?": "cheap followers",
    "click, the link opened": "click the link",
    "her dm, me neither": "dm me",
    "what's app doing, it is slow today": "whatsapp",
    "a scampi recipe, yum": "scam*",
    "scamper off to bed now": "scam*",
    "the VX-5 model?": "vx",
    "微信支付可以吗？": "微信",
    "稍微信你一次": "微信",
    "时代购物中心有店吗": "代购",
    "当代购物节快到了": "代购",
    "垃圾袋吗": "垃圾",
    "有垃圾桶卖吗": "垃圾",
    "垃圾分类贴纸好可爱": "垃圾",
    "高仿真花吗": "高仿",
    "刷,单号发我一下": "刷单",
    "兼 职业套装有吗": "兼职",
    "骗 子母车": "骗子",
}


def section(name: str) -> Iterator[str]:
    here = ""
    for line in (HERE / "ordinary.txt").read_text("utf-8").splitlines():
        if line.startswith("# "):
            here = line[2:]
        elif here == name:
            yield line


ORDINARY, NEAR_MISSES = list(section("ordinary")), list(section("near misses"))


def found(text: str) -> str | None:
    hit = blocked(text, [LIST])
    return hit.word if hit else None


def test_the_corpora_are_as_large_as_they_are_said_to_be():
    assert not LIST.broken
    assert {one.of for one in EVASIONS} == set(LINES[1:])
    for texts in ([one.text for one in EVASIONS], ORDINARY + NEAR_MISSES):
        assert len(texts) == len(set(texts))
    figures = f"{len(CAUGHT)} of {len(EVASIONS)} evasions"
    ordinary = f"0 of {len(ORDINARY)} ordinary comments"
    near = f"{len(MISTAKEN)} of {len(NEAR_MISSES)} near misses"
    page = " ".join(PAGE.read_text("utf-8").split())
    assert [said for said in (figures, ordinary, near) if said not in page] == []


@pytest.mark.parametrize("one", CAUGHT, ids=lambda one: f"{one.how}: {one.of}")
def test_an_evasion_is_caught(one: Evasion):
    assert found(one.text) == one.of


@pytest.mark.xfail(reason="out of reach: list it, or leave it to the host", raises=AssertionError)
@pytest.mark.parametrize("one", OUT_OF_REACH, ids=lambda one: f"{one.how}: {one.of}")
def test_an_evasion_is_out_of_reach(one: Evasion):
    assert found(one.text)


def test_no_ordinary_comment_is_blocked():
    assert {text: word for text in ORDINARY if (word := found(text))} == {}


def test_of_near_misses_those_that_hold_a_word_are_blocked():
    assert {text: word for text in NEAR_MISSES if (word := found(text))} == MISTAKEN
