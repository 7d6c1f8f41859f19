"""Comments are found by their id alone, and what was deleted is known when it comes late."""

from typing import Any

from msgspec import Raw, json

from gameplay.danmaku import Mentioned
from gameplay.moderation import Delete, Deleted
from liveroom.comments import MOST_IDS, MOST_VIEWERS, Erased, find, read_head
from liveroom.ids import Ids


def comment(id_: str, viewer: str = "ann", ts: int = 5, **more: Any) -> Raw:
    said = {"t": "chat.message", "id": id_, "ts": ts, "from": viewer, "role": "viewer", "text": "hi", **more}
    return Raw(json.encode(said))


def test_a_comment_is_found_by_its_id_and_not_by_what_it_says_or_answers():
    one = comment("aaaaaaaa", text='"id":"bbbbbbbb"', reply_to="bbbbbbbb", name='","id":"bbbbbbbb"')
    two = comment("bbbbbbbb")
    assert find([one, two], "bbbbbbbb") is two
    assert find([one], "bbbbbbbb") is None
    assert read_head(one).id == "aaaaaaaa"


def test_what_was_deleted_by_its_id_is_gone_whenever_it_comes():
    erased = Erased()
    assert erased.left([comment("aaaaaaaa")]) == [comment("aaaaaaaa")]
    erased.note(Deleted(ids=("aaaaaaaa",)), 9)
    assert erased.left([comment("aaaaaaaa"), comment("bbbbbbbb")]) == [comment("bbbbbbbb")]


def test_of_a_viewer_all_is_gone_that_he_said_until_then():
    erased = Erased()
    erased.note(Delete(viewer="eve"), 9)
    said = [comment("a" * 8, "eve", 9), comment("b" * 8, "eve", 10), comment("c" * 8, "ann", 9)]
    assert erased.left(said) == said[1:]


def test_the_oldest_deletions_are_forgotten():
    erased = Erased()
    erased.note(Deleted(ids=tuple(f"{n:08}" for n in range(MOST_IDS + 1))), 1)
    for n in range(MOST_VIEWERS + 1):
        erased.note(Deleted(viewer=f"u{n}"), 1)
    assert (len(erased.ids), len(erased.viewers)) == (MOST_IDS, MOST_VIEWERS)
    assert "00000000" not in erased.ids
    assert "u0" not in erased.viewers


def letter(id_: str, viewer: str) -> bytes:
    return json.encode(Mentioned(viewer, id_, "hi", inbox=f"m_{id_}"))


def test_a_letter_that_quotes_what_was_deleted_is_hidden_and_no_other():
    erased, ids = Erased(), Ids("n")
    before, after, other = letter(ids.new(9), "eve"), letter(ids.new(10), "eve"), letter(ids.new(9), "ann")
    prize = b'{"t":"lottery.won","id":"r_1","prize":"cup"}'
    assert not erased.hides_letter(before)
    erased.note(Delete(viewer="eve"), 9)
    assert [erased.hides_letter(one) for one in (before, after, other, prize)] == [True, False, False, False]
    erased.note(Deleted(ids=(json.decode(other)["id"],)), 9)
    assert [erased.hides_letter(one) for one in (before, after, other, prize)] == [True, False, True, False]
