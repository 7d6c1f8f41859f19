"""An evening with a moderator is good; each thing that may go wrong spoils its check, and so does silence."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from loadtest.crowd.conduct import Conduct, Deletion, Knock, Pace, Reading, Shown, Silence, unruly
from loadtest.crowd.notes import Notes, Probe, Seat, merged, pack, unpack
from loadtest.crowd.order import order
from loadtest.crowd.verdict import Check, verdict

FLOODER, SPAMMER = "flooder-1", "spammer-2"


def an_orderly_evening() -> Notes:
    """The flooder is deleted, muted and banned, and what he said last he was not answered; the talker is heard."""
    conduct = Conduct(
        evasions=Counter(points=2),
        held_back=Counter({"flooder RATE_LIMITED": 5, "spammer DUPLICATE": 2}),
        spoken={FLOODER: [1000, 1050, 1100, 9000], SPAMMER: [1000]},
        unanswered=Counter({FLOODER: 1}),
        shown={
            "f1": Shown(FLOODER, 1000, 1010),
            "f2": Shown(FLOODER, 1050, 1060),
            "f4": Shown(FLOODER, 9000, 9010),
            "f5": Shown(FLOODER, 9950, 10_010),
        },
        mutes=[Silence(FLOODER, 2000, 7000)],
        bans={FLOODER: Silence(FLOODER, 10_000)},
        shown_out={FLOODER: 10_100},
        knocks=[Knock(FLOODER, 0, 10_200, 0), Knock(FLOODER, 0, 13_000, 4502), Knock(FLOODER, 1, 13_000, 4502)],
        deletions={4: Deletion(4, 1500, ids=("f1",)), 9: Deletion(9, 10_300, viewer=FLOODER)},
        readings=[
            Reading("history", 3, {"f1": Shown(FLOODER, 1000)}),
            Reading("snapshot", 5, {"f2": Shown(FLOODER, 1050)}),
            Reading("snapshot", 9, {}),
        ],
        frames=Counter({"bad JSON": 1}),
        waits=[20] * 99 + [9000],
    )
    return Notes(
        users=2,
        seats=[Seat("eve", "lurker", "e", 0, 9, 9, from_begin=True, to_end=True), Seat(FLOODER, "flooder", "e", 0, 5)],
        probes=[Probe("eve", ["f1", "f2", "f4", "f5", "t1"], 1)],
        said={FLOODER: ["f1", "f2", "f3", "f4"], "talker-1": ["t1"]},
        conduct=conduct,
    )


def bad(notes: Notes) -> dict[str, list[str]]:
    return {check.name: list(check.wrong) for check in order(notes) if not check.good}


def shown_or_counted(notes: Notes) -> Check:
    return next(check for check in verdict(notes, None, ()) if check.name == "each comment is shown or counted")


def test_an_orderly_evening_is_good() -> None:
    assert bad(an_orderly_evening()) == {}


def test_nothing_seen_is_nothing_proved() -> None:
    assert [check.name for check in order(Notes()) if check.good] == []


Spoil = Callable[[Notes], Any]


def shows(name: str, viewer: str, ts: int, at: int) -> Spoil:
    return lambda notes: notes.conduct.shown.update({name: Shown(viewer, ts, at)})


@pytest.mark.parametrize(
    ("check", "spoil"),
    [
        ("no listed word is shown", lambda notes: notes.conduct.let_through.append("shown: free money")),
        ("no listed word is shown", lambda notes: notes.conduct.evasions.clear()),
        ("floods are held back", lambda notes: notes.conduct.spoken[FLOODER].extend([9000] * 12)),
        ("floods are held back", lambda notes: [shows(f"x{n}", FLOODER, 1001 + n, 1020)(notes) for n in range(2)]),
        ("floods are held back", lambda notes: notes.conduct.held_back.clear()),
        ("floods are held back", lambda notes: notes.conduct.spoken.clear()),
        ("the muted and banned are silent", shows("f6", FLOODER, 5000, 5010)),
        ("the muted and banned are silent", shows("f6", FLOODER, 13_000, 13_010)),
        ("who is banned stays out", lambda notes: notes.conduct.knocks.append(Knock(FLOODER, 1, 14_000, 0))),
        ("who is banned stays out", lambda notes: notes.conduct.knocks.append(Knock(FLOODER, 1, 14_000, 4504))),
        ("who is banned stays out", lambda notes: notes.conduct.knocks.clear()),
        ("who is banned stays out", lambda notes: notes.conduct.shown_out.clear()),
        ("who is banned stays out", lambda notes: notes.conduct.shown_out.update({FLOODER: 13_000})),
        ("who is banned stays out", lambda notes: notes.conduct.shown_out.update({SPAMMER: 13_000})),
        ("who is banned stays out", lambda notes: notes.conduct.unlisted.append(FLOODER)),
        ("wrong frames are named", lambda notes: notes.conduct.misjudged.append("bad JSON: 1006, not 4501")),
        (
            "what is deleted stays gone",
            lambda notes: notes.conduct.readings[1].comments.update(f1=Shown(FLOODER, 1000)),
        ),
        (
            "what is deleted stays gone",
            lambda notes: notes.conduct.readings[2].comments.update(f2=Shown(FLOODER, 1050)),
        ),
        ("what is deleted stays gone", lambda notes: notes.conduct.undead.append("f1")),
        ("the well-behaved notice nothing", lambda notes: notes.conduct.wronged.update({"chat.say RATE_LIMITED": 1})),
        ("the well-behaved notice nothing", lambda notes: notes.conduct.waits.extend([9000] * 9)),
        ("the well-behaved notice nothing", lambda notes: notes.said["talker-1"].extend(["t2", "t3"])),
    ],
)
def test_what_goes_wrong_is_noticed(check: str, spoil: Spoil) -> None:
    notes = an_orderly_evening()
    spoil(notes)
    assert check in bad(notes)


def test_who_was_banned_is_not_missing_at_the_end_but_who_was_not_is() -> None:
    notes = an_orderly_evening()
    end = next(check for check in verdict(notes, None, ()) if check.name == "everybody heard the end")
    assert not end.wrong
    notes.conduct.shown_out.clear()
    assert [check.name for check in verdict(notes, None, ()) if check.wrong] == ["everybody heard the end"]


def test_a_comment_that_was_deleted_on_its_way_need_not_be_counted_but_any_other_must() -> None:
    notes = an_orderly_evening()
    notes.probes[0].sampled = 0
    assert shown_or_counted(notes).good  # f3: all of the flooder's are deleted
    notes.said["talker-1"].append("t2")
    assert not shown_or_counted(notes).good


@pytest.mark.parametrize("author", [FLOODER, SPAMMER])
def test_only_who_was_banned_may_not_know_what_he_said_last(author: str) -> None:
    notes = an_orderly_evening()
    notes.probes[0].seen.append("f7")
    notes.conduct.shown["f7"] = Shown(author, 9990, 10_020)
    assert not shown_or_counted(notes).good
    notes.conduct.unanswered[FLOODER] += 1
    assert shown_or_counted(notes).good == (author == FLOODER)


def test_the_pace_is_that_of_a_bucket() -> None:
    pace = Pace(1)
    assert [pace.said(ms) for ms in (5000, 5000, 5500, 7500)] == [1, 2, 2.5, 1.5]
    assert pace.now(60_000) == 0


def test_users_are_known_by_their_names() -> None:
    assert [unruly(f"{kind}-1a-2") for kind in ("flooder", "clumsy", "talker", "moderator")] == [
        True,
        True,
        False,
        False,
    ]


def test_notes_of_two_processes_become_one() -> None:
    empty = Notes()
    whole = merged(unpack(pack(one)) for one in (an_orderly_evening(), empty, an_orderly_evening()))
    assert whole.conduct.held_back["flooder RATE_LIMITED"] == 10
    assert (len(whole.conduct.bans), len(whole.conduct.mutes), len(whole.conduct.knocks)) == (1, 2, 6)
    assert isinstance(whole.conduct.unanswered, Counter)
