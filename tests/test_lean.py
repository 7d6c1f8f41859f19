"""Who asked for little: fewer ticks, few comments and the same for all, and still every event once and in order."""

from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, json

from liveroom.hub import next_tick
from liveroom.lean import Few, newest
from liveroom.protocol import JSON_CODEC, MSGPACK_CODEC, Codec, Profile
from liveroom.room import Private
from tests.test_hub import CUT, SLOW, Guest, Scene, restart

LEAN: list[Profile] = ["lite", "min"]
WINDOW = {"lite": 1000, "min": 3000}
numbers = count(1)


def comment(ts: float, id_: str = "", from_: str = "u1", role: str = "viewer", **more: str) -> Raw:
    said = {"t": "chat.message", "id": id_ or f"c{next(numbers):06}", "ts": int(ts), "from": from_, "role": role}
    return Raw(json.encode({**said, "text": "“id”:1 and so on", **more}))


def say(scene: Scene, *comments: Raw, total: int = 0) -> None:
    scene.hub.show(scene.room, list(comments), total or len(comments))


def crowded(scene: Scene, seconds: int, a_second: int, hidden: int = 0) -> None:
    """So many comments in each second, evenly."""
    for _ in range(seconds * a_second):
        say(scene, comment(scene.timers.now), total=1 + hidden)
        scene.timers.wait(1000 / a_second)


def likes(scene: Scene, total: int, delta: int) -> None:
    body = b'{"t":"like.total","total":%d,"delta":%d,"ver":%d}' % (total, delta, total)
    scene.hub.state(scene.room, "like.total", body)


def ids(guest: Guest) -> list[str]:
    return [one["id"] for one in guest.heard() if one["t"] == "chat.message"]


@pytest.fixture
def slices_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liveroom.writer.SLICE", 2)


# when


@pytest.mark.parametrize("codec", [JSON_CODEC, MSGPACK_CODEC], ids=["json", "msgpack"])
@pytest.mark.parametrize("profile", LEAN)
def test_numbers_that_change_all_the_time_are_told_once_a_tick_and_only_the_newest(profile: Profile, codec: Codec):
    scene = Scene()
    lean, full = scene.guest(profile=profile, codec=codec), scene.guest()
    for n in range(1, 601):
        likes(scene, n, 1)
        scene.timers.wait(100)
    assert len(full.wire.written) == 600
    assert len(lean.wire.written) == 60_000 // WINDOW[profile]
    gaps = [later - earlier for earlier, later in pairwise(lean.wire.times)]
    assert gaps == pytest.approx([WINDOW[profile]] * len(gaps))
    totals = [one["total"] for one in lean.heard()]
    assert {later - earlier for earlier, later in pairwise(totals)} == {WINDOW[profile] // 100}


def test_likes_are_added_up_over_a_tick():
    scene = Scene()
    least = scene.guest(profile="min")
    for n in range(1, 121):
        likes(scene, 5 * n, 5)
        scene.timers.wait(500)
    heard = least.heard()
    assert sum(one["delta"] for one in heard) == heard[-1]["total"]
    assert newest(None, "like.total", b"x") == newest(b"y", "room.stats", b"x") == b"x"


@pytest.mark.parametrize("profile", LEAN)
def test_an_event_after_a_quiet_is_told_at_once_and_what_follows_with_the_next_tick(profile: Profile):
    scene = Scene()
    lean, start = scene.guest(profile=profile), scene.timers.now
    for _ in range(5):
        scene.tell()
        scene.timers.wait(50)
    assert (lean.ledger(), lean.wire.times) == ([1], [start])
    scene.timers.wait(WINDOW[profile])
    assert lean.ledger() == [1, 2, 3, 4, 5]
    assert len(lean.wire.written) == 2


@pytest.mark.parametrize("profile", LEAN)
@given(pauses=st.lists(st.integers(0, 900), max_size=60))
def test_an_event_waits_no_longer_than_a_tick(profile: Profile, pauses: list[int]):
    scene = Scene()
    lean, full = scene.guest(profile=profile), scene.guest()
    told = []
    for pause in pauses:
        scene.timers.wait(pause)
        told.append(scene.timers.now)
        scene.tell()
    scene.settle()
    assert lean.ledger() == full.ledger() == list(range(1, len(pauses) + 1))
    heard: dict[int, float] = {}
    for at, data in zip(lean.wire.times, lean.wire.written, strict=True):
        heard |= dict.fromkeys(Guest.ledger(alone(scene, data)), at)
    assert all(heard[n] - at <= WINDOW[profile] + 5 for n, at in enumerate(told, 1))


def alone(scene: Scene, data: bytes) -> Guest:
    one = Guest(scene, "one frame")
    one.wire.written = [data]
    return one


@pytest.mark.parametrize("profile", LEAN)
def test_the_others_get_no_frame_of_their_own_for_it(profile: Profile):
    def frames_of_full(*others: Profile) -> int:
        scene = Scene()
        full, *_ = scene.guest(), *[scene.guest(profile=one) for one in others]
        for n in range(200):
            likes(scene, n, 1)
            say(scene, comment(scene.timers.now))
            if not n % 20:
                scene.tell()
            scene.timers.wait(37)
        scene.settle()
        return len(full.wire.written)

    assert frames_of_full(profile, profile) == frames_of_full("full", "full")


def test_all_of_a_profile_are_handed_the_same_bytes_object():
    scene = Scene()
    for codec in (JSON_CODEC, MSGPACK_CODEC):
        for profile in LEAN:
            alike = [scene.guest(profile=profile, codec=codec) for _ in range(3)]
            likes(scene, 1, 1)
            scene.tell()
            scene.settle()
            assert len({id(one.wire.written[-1]) for one in alike}) == 1


def test_a_room_where_nobody_asks_for_little_keeps_nothing_for_them():
    scene = Scene()
    full, lite, least = scene.guest(), scene.guest(profile="lite"), scene.guest(profile="min")
    assert scene.room.lean.keys() == {"lite", "min"}
    scene.hub.change(scene.room, lite, "full")
    scene.hub.leave(scene.room, least)
    assert scene.room.lean == {}
    scene.tell()
    scene.settle()
    assert (full.ledger(), lite.ledger(), least.ledger()) == ([1], [1], [])
    assert scene.timers.waiting == []


# which comments


def test_five_comments_a_second_are_shown_and_the_rest_is_accounted_for():
    scene = Scene()
    lite, least, full = scene.guest(profile="lite"), scene.guest(profile="min"), scene.guest()
    crowded(scene, seconds=20, a_second=30, hidden=2)
    scene.settle()
    assert 95 <= len(ids(lite)) <= 105
    assert len(ids(full)) == 600
    assert set(ids(lite)) < set(ids(full))
    assert least.wire.written == []
    sampled = [one for one in lite.heard() if one["t"] == "chat.sampled"]
    assert sum(one["shown"] for one in sampled) == len(ids(lite))
    assert sum(one["total"] for one in sampled) == 20 * 30 * 3
    assert len(lite.wire.written) <= 21


def test_a_calm_room_is_shown_whole_and_nothing_is_said_of_samples():
    scene = Scene()
    lite = scene.guest(profile="lite")
    crowded(scene, seconds=10, a_second=4)
    scene.settle()
    assert len(ids(lite)) == 40
    assert "chat.sampled" not in lite.kinds()


def test_the_same_comments_are_shown_on_every_node_however_the_channel_cut_them():
    seconds = [comment(1_000_000 + n * 29) for n in range(500)]
    shown = []
    for cut, lag in ((1, 0), (3, 90), (5, 40)):
        scene = Scene()
        scene.timers.now = 1_000_000.0
        lite = scene.guest(profile="lite")
        for n in range(0, 500, cut):
            scene.timers.wait(max(0, 1_000_000 + (n + cut) * 29 + lag - scene.timers.now))
            say(scene, *seconds[n : n + cut])
        scene.settle()
        shown.append(ids(lite))
    assert len(shown[0]) > 60
    assert shown[0] == shown[1] == shown[2]


def test_the_staff_is_always_shown_then_replies_then_the_lucky():
    few = Few(5, 1000, 0)
    crowd = [comment(n, f"c{n}") for n in range(50)]
    replies = [comment(n, f"r{n}", reply_to="c1") for n in range(2)]
    staff = [comment(n, f"h{n}", role="host") for n in range(2)]
    for one in (*crowd, *staff, *replies):
        few.hear(one)
    few.over(1000)
    assert few.take() == ([], [])  # something newer may still end the second, and whom it ends with
    few.over(2000)
    shown, sampled = few.take()
    names = [json.decode(one)["id"][0] for one in shown if one]
    assert names == ["c", "h", "h", "r", "r"]
    assert sampled == [b'{"t":"chat.sampled","shown":5,"total":54}']
    for n in range(9):
        few.hear(comment(1000 + n, role="moderator"))
    few.hear(comment(1020))
    few.over(3000)
    assert len(few.take()[0]) == 9


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(-1500, 0), st.integers(0, 3)), max_size=120))
def test_no_second_shows_more_than_five_and_each_comment_is_counted_once(said: list[tuple[int, int, int]]):
    scene = Scene()
    lite, start = scene.guest(profile="lite"), scene.timers.now
    for pause, late, hidden in said:
        scene.timers.wait(pause)
        say(scene, comment(scene.timers.now + late), total=1 + hidden)
    scene.settle()
    heard, everything = lite.heard(), sum(1 + hidden for _, _, hidden in said)
    missing = sum(one["total"] - one["shown"] for one in heard if one["t"] == "chat.sampled")
    assert len(ids(lite)) == len(set(ids(lite))) == everything - missing
    assert len(ids(lite)) <= 5 * ((scene.timers.now - start) / 1000 + 2)


def test_a_clock_that_is_set_back_an_hour_leaves_comments_coming():
    scene = Scene()
    lite = scene.guest(profile="lite")
    crowded(scene, seconds=2, a_second=2)
    scene.set_forward = -3_600_000.0
    for _ in range(4):
        say(scene, comment(scene.timers.now - 3_600_000))
        scene.timers.wait(1000)
    scene.settle()
    assert len(ids(lite)) == 8


def test_what_is_deleted_before_it_is_shown_is_not_shown():
    scene = Scene()
    lite = scene.guest(profile="lite")
    start = scene.timers.now
    say(scene, *(comment(start, *who) for who in (("aaa",), ("bbb", "spam"), ("ccc", "spam"), ("ddd",))))
    scene.timers.wait(20)
    for what in (b'"ids":["ddd"]', b'"viewer":"spam"'):
        scene.tell(b'chat.deleted",%b,"x":"' % what)
        scene.timers.wait(20)
    scene.settle()
    assert ids(lite) == ["aaa"]
    chosen = Few(5, 1000, 0)
    chosen.hear(comment(0, "aaa"))
    chosen.over(1000)
    chosen.delete(b'{"t":"chat.deleted","ids":["aaa"]}')
    assert chosen.take() == ([None], [])


# who comes and changes in between


def pending(scene: Scene, profile: Profile) -> Guest:
    """Somebody whose tick holds events 2 and 3, and a number, that he was not told yet."""
    lean = scene.guest(profile=profile)
    scene.timers.now = next_tick(scene.timers.now, WINDOW[profile], scene.room.lean[profile].phase) + 1
    for _ in range(3):
        scene.tell()
        scene.timers.wait(10)
    likes(scene, 7, 7)
    scene.timers.wait(10)
    assert lean.ledger() == [1]
    return lean


@pytest.mark.parametrize("profile", LEAN)
def test_who_sits_down_within_a_tick_is_not_told_again_what_he_knows(profile: Profile):
    scene = Scene()
    early = pending(scene, profile)
    late = scene.guest(profile=profile)
    later = scene.guest(profile=profile, codec=MSGPACK_CODEC)
    assert (late.knew, scene.room.flushed) == (3, 3)
    scene.tell()
    scene.settle()
    assert early.ledger() == [1, 2, 3, 4]
    assert late.ledger() == later.ledger() == [4]


@pytest.mark.parametrize("then", ["full", "lite", "min"])
@pytest.mark.parametrize("profile", LEAN)
def test_who_changes_his_profile_is_told_at_once_what_he_waited_for(profile: Profile, then: Profile):
    scene = Scene()
    ann, neighbour = pending(scene, profile), scene.guest(profile=then)
    scene.hub.change(scene.room, ann, then)
    assert ann.ledger() == ([1] if then == profile else [1, 2, 3])
    scene.tell()
    scene.settle()
    assert ann.ledger() == [1, 2, 3, 4]
    assert neighbour.ledger() == [4]
    assert ann.kinds().count("like.total") == 1


@pytest.mark.usefixtures("slices_of_two")
@pytest.mark.parametrize(("before", "then"), [("full", "lite"), ("lite", "full"), ("lite", "min"), ("min", "full")])
def test_a_change_between_two_slices_loses_nothing_and_tells_nothing_twice(before: Profile, then: Profile):
    scene = Scene()
    others, last = [scene.guest(profile=before) for _ in range(4)], scene.guest(profile=before)
    scene.tell()
    scene.timers.turn()
    scene.hub.change(scene.room, last, then)
    scene.tell()
    scene.settle()
    assert last.ledger() == others[0].ledger() == [1, 2]


def test_a_stuck_viewer_who_changes_is_cut():
    scene = Scene()
    ann = pending(scene, "lite")
    ann.wire.waiting = CUT + 1
    scene.hub.change(scene.room, ann, "min")
    assert (ann.ends, ann.ledger(), scene.room.lean) == ([4001], [1], {})


def test_a_profile_that_is_set_twice_or_after_he_left_changes_nothing():
    scene = Scene()
    ann = scene.guest(profile="lite")
    scene.hub.change(scene.room, ann, "lite")
    scene.hub.leave(scene.room, ann)
    scene.hub.change(scene.room, ann, "min")
    assert (ann.profile, scene.room.lean) == ("min", {})


@pytest.mark.parametrize("profile", LEAN)
def test_a_private_message_comes_at_once_and_behind_its_event(profile: Profile):
    scene = Scene()
    ann = pending(scene, profile)
    now = scene.timers.now
    scene.hub.whisper(scene.room, Private(ann.viewer, 3, b'{"t":"lottery.won"}'))
    scene.timers.wait(10)
    assert ann.kinds() == ["room.notice", "room.notice", "room.notice", "like.total", "lottery.won"]
    scene.hub.whisper(scene.room, Private(ann.viewer, 3, b'{"t":"sale.held"}'))
    scene.timers.wait(10)
    assert ann.kinds()[-1] == "sale.held"
    assert ann.wire.times[-1] <= now + 20


@pytest.mark.parametrize("profile", LEAN)
def test_a_private_message_that_comes_with_its_event_brings_it_along(profile: Profile):
    scene = Scene()
    ann = scene.guest(profile=profile)
    for seq in (1, 2, 3):
        scene.tell()
        scene.hub.whisper(scene.room, Private(ann.viewer, seq, b'{"t":"lottery.won"}'))
        scene.timers.wait(10)
    assert ann.kinds() == ["room.notice", "lottery.won"] * 3


@pytest.mark.usefixtures("slices_of_two")
def test_a_tick_that_falls_into_a_flush_comes_right_behind_it():
    scene = Scene()
    ann, full = pending(scene, "lite"), scene.guests(5)
    scene.tell()
    scene.timers.turn()
    assert [guest.ledger() for guest in full] == [[4], [4], [], [], []]
    scene.hub.strike_lean(scene.room, scene.room.lean["lite"])
    assert ann.ledger() == [1]
    scene.timers.wait(5)
    assert ann.ledger() == [1, 2, 3, 4]
    assert [guest.ledger() for guest in full] == [[4]] * 5


# beats, a new epoch, the end


@pytest.mark.parametrize("profile", ["full", *LEAN])
@given(pauses=st.lists(st.integers(1, 16_000), max_size=12), noisy=st.booleans())
def test_nobody_hears_nothing_for_longer_than_a_heartbeat(profile: Profile, pauses: list[int], noisy: bool):
    scene = Scene()
    ann, start = scene.guest(profile=profile), scene.timers.now
    for pause in pauses:
        for _ in range(pause // 1000):
            scene.timers.wait(1000)
            scene.hub.second(scene.room)
        scene.timers.wait(pause % 1000)
        if noisy:
            likes(scene, int(scene.timers.now), 1)
        else:
            scene.tell()
    gaps = [later - earlier for earlier, later in pairwise([start, *ann.wire.times])]
    assert all(gap <= scene.hub.limits.heartbeat_ms + 1000 for gap in gaps)
    beats = [one for one in ann.heard() if one["t"] == "beat"]
    seq = 0
    for message in ann.heard():
        seq = max(seq, message.get("seq", 0)) if message["t"] != "beat" else seq
        assert message["t"] != "beat" or message["seq"] == seq
    assert noisy or not any(one["seq"] for one in beats) or ann.ledger()


@pytest.mark.parametrize("profile", LEAN)
def test_a_new_epoch_is_told_at_once_and_what_waited_is_void(profile: Profile):
    scene = Scene()
    ann = pending(scene, profile)
    scene.tell()
    scene.timers.wait(20)
    restart(scene, 2)
    scene.timers.wait(20)
    assert [(one["t"], one.get("seq")) for one in ann.heard()] == [("room.notice", 1), ("room.reset", 2)]
    scene.timers.wait(3000)
    scene.tell()
    scene.settle()
    assert ann.heard()[-1]["seq"] == 3


@pytest.mark.parametrize("profile", LEAN)
def test_a_room_that_closes_says_so_to_all_and_shows_them_out(profile: Profile):
    scene = Scene()
    ann, full = pending(scene, profile), scene.guest()
    scene.tell(b"room.closed")
    scene.settle()
    assert (ann.kinds()[-1], full.kinds()[-1]) == ("like.total", "room.closed")
    assert ann.kinds()[-2] == "room.closed"
    assert ann.ends == full.ends == [4504]


@pytest.mark.parametrize(("waiting", "told"), [(SLOW, ["like.total", "chat.message"]), (SLOW + 1, ["like.total"])])
def test_a_slow_viewer_of_lite_is_told_the_essential(waiting: int, told: list[str]):
    scene = Scene()
    lite = scene.guest(profile="lite")
    lite.wire.waiting = waiting
    likes(scene, 1, 1)
    say(scene, comment(scene.timers.now))
    scene.settle()
    assert lite.kinds() == told


@pytest.mark.parametrize(("codec", "most"), [(JSON_CODEC, 6 * 1024), (MSGPACK_CODEC, 6 * 1024)])
def test_a_minute_of_a_busy_room_is_six_kilobytes_where_little_is_asked(codec: Codec, most: int):
    scene = Scene()
    least = scene.guest(profile="min", codec=codec)
    for n in range(600):
        say(scene, *(comment(scene.timers.now) for _ in range(3)), total=100)
        scene.hub.announce(scene.room, b'{"t":"room.joined","names":["Ann"],"more":3}')
        likes(scene, 10_000_000 + 25 * n, 25)
        stats: dict[str, Any] = {"t": "room.stats", "viewers": 100_000 + n, "likes": 10_000_000 + n, "rate": 1000.1}
        scene.hub.state(scene.room, "room.stats", json.encode(stats | {"ver": 1763640000123 + n}))
        scene.timers.wait(100)
    assert 0 < sum(map(len, least.wire.written)) <= most
