"""What counts as a question, which of them are the same, and in what order they wait."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gameplay.questions import (
    NEWEST,
    Asked,
    Asker,
    alike,
    asker_of,
    features,
    fingerprint,
    grouped,
    holding,
    is_question,
    waiting,
)

CORPUS = Path(__file__).parents[1] / "questions"
PAGE = CORPUS.parents[1] / "docs/questions.md"


def labelled(name: str, mark: str) -> Iterator[tuple[str, bool]]:
    """The lines of a file, and whether they carry this mark."""
    for line in (CORPUS / name).read_text("utf-8").splitlines():
        if (line and not line.startswith("# ")) or " | " in line:
            yield line[2:], line[0] == mark


def told(name: str, right: list[bool], found: list[bool]) -> str:
    """A row of the table in the docs."""
    both = sum(a and b for a, b in zip(right, found, strict=True))
    precision, recall = 100 * both / sum(found), 100 * both / sum(right)
    return f"| {name} | {sum(right)} | {len(right) - sum(right)} | {precision:.1f} % | {recall:.1f} % |"


def measured(name: str) -> tuple[str, float, float]:
    lines = list(labelled(name, "?"))
    right, found = [is_one for _, is_one in lines], [is_question(text) for text, _ in lines]
    both = sum(a and b for a, b in zip(right, found, strict=True))
    return told(f"`{name}`", right, found), both / sum(found), both / sum(right)


@pytest.mark.parametrize(("name", "least"), [("tuned.txt", 0.98), ("heldout.txt", 0.95)])
def test_questions_are_told_from_what_else_is_said(name: str, least: float):
    row, precision, recall = measured(name)
    assert min(precision, recall) >= least
    assert row in PAGE.read_text("utf-8"), f"docs/questions.md lacks: {row}"


def test_the_same_question_in_other_words_is_the_same():
    pairs = [(text.split(" | "), same) for text, same in labelled("pairs.txt", "=")]
    right, found = [same for _, same in pairs], [alike(features(a), features(b)) for (a, b), _ in pairs]
    both = sum(a and b for a, b in zip(right, found, strict=True))
    assert (both / sum(found), both / sum(right)) >= (0.95, 0.9)
    row = told("`pairs.txt`", right, found)
    assert row in PAGE.read_text("utf-8"), f"docs/questions.md lacks: {row}"


def test_the_corpus_is_large_enough_to_say_something():
    lines = [*labelled("tuned.txt", "?"), *labelled("heldout.txt", "?")]
    assert len(lines) == len({text for text, _ in lines})
    asks = sum(is_one for _, is_one in lines)
    assert asks >= 250
    assert len(lines) - asks >= 400


@pytest.mark.parametrize("text", ["", " ", "?", "？？", "啊？", "what?", "\u200b?", "😀?"])
def test_a_mark_alone_asks_nothing(text: str):
    assert not is_question(text)


@pytest.mark.parametrize("a", ["多少钱", "MUCH?", "Is it cotton"])
def test_what_everybody_adds_makes_no_difference(a: str):
    for b in (f"主播{a}啊", f"{a}？？", f"{a} please", f"hi {a}", f"{a} 😍"):
        assert fingerprint(a) == fingerprint(b)


def test_words_that_everybody_adds_are_still_a_question_of_their_own():
    assert fingerprint("is it?") != fingerprint("can you?")
    assert features("这个呢？")


@given(st.text(max_size=200))
def test_any_text_is_judged(text: str):
    is_question(text)
    assert len(fingerprint(text)) == 16
    assert alike(features(text), features(text))


# --- waiting ---


def asked(text: str, *askers: tuple[str, str], at: int = 1000, times: int = 0) -> Asked:
    rows = tuple(Asker(id_, viewer, viewer.title(), text, at) for id_, viewer in askers)
    return Asked(rows[0], at, times or len(rows), len({one.viewer for one in rows}), rows)


def kept(*those: Asked) -> dict[str, Asked]:
    return {f"f{n}": one for n, one in enumerate(those)}


def test_what_most_asked_comes_first_then_what_waits_longest():
    found = waiting(
        kept(
            asked("包邮吗", ("c3", "cat"), at=3000),
            asked("多少钱", ("c2", "ann"), ("c4", "bob"), at=4000),
            asked("有小码吗", ("c1", "dan"), at=1000),
        ),
        5000,
    )
    assert [(one.text, one.viewers, one.waiting_ms) for one in found] == [
        ("多少钱", 2, 1000),
        ("有小码吗", 1, 4000),
        ("包邮吗", 1, 2000),
    ]


def test_questions_that_are_alike_wait_together():
    later = asked("有没有适合油皮的粉底液", ("c2", "bob"), at=2000)
    first = asked("有没有适合油皮用的粉底液", ("c1", "ann"), ("c3", "bob"))
    (found,) = waiting(kept(later, first), 9000)
    assert (found.id, found.from_, found.name, found.asked) == ("c1", "ann", "Ann", 1000)
    assert (found.times, found.viewers, found.ids) == (3, 2, ("c1", "c2", "c3"))


def test_only_the_newest_comments_are_named():
    many = asked("多少钱", *((f"c{n:02}", f"v{n}") for n in range(15)))
    more = asked("多少钱呀 多少钱呀", *((f"d{n:02}", f"w{n}") for n in range(15)), at=2000)
    (found,) = waiting(kept(many, more), 9000)
    assert found.ids == tuple([*(f"c{n:02}" for n in range(10, 15)), *(f"d{n:02}" for n in range(15))])
    assert len(found.ids) == NEWEST


def test_time_that_was_set_back_makes_nobody_wait_less_than_nothing():
    assert waiting(kept(asked("包邮吗", ("c1", "ann"), at=9000)), 1)[0].waiting_ms == 0


TEXTS = ["多少钱", "口红多少钱", "口红多少钱一支", "全国都包邮吗", "全国包邮吗", "how much", "how much to ship"]


@given(st.permutations(TEXTS))
def test_every_node_groups_alike(texts: list[str]):
    known = {text: asked(text, (text, "v"), at=len(text)) for text in texts}
    assert grouped(known) == grouped(dict(sorted(known.items())))


def test_a_comment_is_found_in_its_group_also_when_it_is_not_the_first():
    first = asked("will the dress shrink in the wash", ("c1", "ann"), ("c2", "bob"))
    known = kept(first, asked("will the red dress shrink in the wash", ("c3", "cat"), at=2000))
    for id_ in ("c1", "c2", "c3"):
        assert holding(known, id_) == ["f0", "f1"]
    assert holding(known, "c9") == []
    found = asker_of(known.values(), "c2")
    assert found
    assert found.viewer == "bob"
    assert asker_of(known.values(), "c9") is None
