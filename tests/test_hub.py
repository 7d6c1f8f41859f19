"""The tick: who is told what, when, how often and in which order, with time moved by hand."""

import heapq
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Raw
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.protocol import State
from websockets.uri import parse_uri

from gameplay.danmaku import Mentioned
from gameplay.moderation import Deleted
from gameplay.play import Role
from liveroom.hub import REPLAY_BYTES, Hub, next_tick, phase_of
from liveroom.limits import Bucket
from liveroom.protocol import JSON_CODEC, MSGPACK_CODEC, Codec, Profile, encode
from liveroom.room import Limits, LogEvent, Private, Room, RoomInfo
from liveroom.writer import Frames, send

SLOW, CUT = 64 * 1024, 256 * 1024


class ByHand:
    """A loop whose time, in ms, is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.numbers = count()
        self.waiting: list[tuple[float, int, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now / 1000

    def call_soon(self, callback: Callable[[], None], /) -> None:
        self.call_later(0, callback)

    def call_later(self, delay: float, callback: Callable[[], None], /) -> None:
        heapq.heappush(self.waiting, (self.now + delay * 1000, next(self.numbers), callback))

    def turn(self) -> None:
        """Do the next thing, whenever it is due."""
        due, _, callback = heapq.heappop(self.waiting)
        self.now = max(self.now, due)
        callback()

    def wait(self, ms: float) -> None:
        until = self.now + ms
        while self.waiting and self.waiting[0][0] <= until:
            self.turn()
        self.now = until


class Wire:
    """A transport that keeps what it is given, and says that as much waits as it is told to say."""

    def __init__(self, timers: ByHand) -> None:
        self.timers = timers
        self.written: list[bytes] = []
        self.times: list[float] = []
        self.waiting = 0
        self.closing = False

    def write(self, data: bytes) -> None:
        assert not self.closing, "uvloop raises here"
        self.written.append(data)
        self.times.append(self.timers.now)

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return self.waiting


@dataclass(eq=False)
class Guest:
    """A seat, and what its viewer was told."""

    scene: "Scene"
    viewer: str
    codec: Codec = JSON_CODEC
    profile: Profile = "full"
    name: str = "Ann"
    role: Role = Role.VIEWER
    staff: bool = False
    device: str = ""
    source: str = ""
    vouched: bool = False
    knew: int = 0  # the number of the last event before he came
    ends: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wire = Wire(self.scene.timers)

    @property
    def transport(self) -> Wire:
        return self.wire

    def cut(self) -> bool:
        self.gone(4001, "too slow")
        return True

    def gone(self, code: int, reason: str) -> None:
        self.ends.append(code)
        self.scene.hub.leave(self.scene.room, self)

    def heard(self) -> list[Any]:
        client = ClientProtocol(parse_uri("ws://demo/"), state=State.OPEN, max_size=None)
        client.receive_data(b"".join(self.wire.written))
        said = [self.codec.loose(bytes(one.data)) for one in client.events_received() if isinstance(one, Frame)]
        return [message for one in said for message in (one if isinstance(one, list) else [one])]

    def kinds(self) -> list[str]:
        return [message["t"] for message in self.heard()]

    def ledger(self) -> list[int]:
        return [message["seq"] for message in self.heard() if message["t"] == "room.notice"]


class Scene:
    """A hub with one room, as of event number ``seq``."""

    def __init__(self, room: str = "demo", seq: int = 0, **limits: Any) -> None:
        self.timers = ByHand()
        self.set_forward = 0.0  # the room's clock, in ms
        self.hub = Hub(Limits(**limits), self.timers, lambda: self.timers.now + self.set_forward)
        self.room = self.another(room, seq)
        self.numbers = count(1)

    def another(self, room: str, seq: int = 0) -> Room:
        return Room(RoomInfo(room, "Demo", "", "open", 0), "k3f9", seq, self.hub.limits)

    def guest(self, viewer: str = "", **fields: Any) -> Guest:
        """Somebody sits down who was shown the room as of what its viewers were told."""
        guest = Guest(self, viewer or f"u{next(self.numbers)}", knew=self.room.flushed, **fields)
        self.hub.sit(self.room, guest)
        return guest

    def guests(self, number: int) -> list[Guest]:
        return [self.guest() for _ in range(number)]

    def tell(self, kind: bytes = b"room.notice", pad: int = 0) -> int:
        """The next event of the log."""
        seq = self.room.seq + 1
        body = b'{"t":"%b","seq":%d,"pad":"%b"}' % (kind, seq, b"x" * pad)
        self.hub.feed(self.room, LogEvent(seq, int(self.timers.now), body))
        return seq

    def say(self, shown: int = 1, total: int = 0) -> None:
        comments = [Raw(b'{"t":"chat.message","id":%d}' % n) for n in range(shown)]
        self.hub.show(self.room, comments, total or shown)

    def settle(self) -> None:
        while self.timers.waiting:
            self.timers.turn()


@pytest.fixture
def slices_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liveroom.writer.SLICE", 2)


# when


def test_the_first_thing_after_a_quiet_leaves_at_once():
    scene = Scene()
    ann, start = scene.guest(), scene.timers.now
    scene.tell()
    scene.settle()
    assert (ann.ledger(), ann.wire.times) == ([1], [start])
    scene.timers.wait(1000)
    scene.tell()
    scene.settle()
    assert ann.wire.times == [start, start + 1000]


def test_what_follows_waits_for_the_next_point_of_the_grid_and_leaves_together():
    scene = Scene()
    ann, *_ = scene.guests(500)  # a window of 50 ms
    start = scene.timers.now
    for _ in range(100):
        scene.tell()
        scene.timers.wait(7)
    scene.timers.wait(50)
    first, *others = ann.wire.times
    assert first == start
    assert all(later - earlier == pytest.approx(50) for earlier, later in pairwise(others))
    assert 14 <= len(others) <= 16
    assert ann.ledger() == list(range(1, 101))


def test_nothing_waits_longer_than_a_window():
    scene = Scene()
    ann, *_ = scene.guests(500)
    for pause in (0, 3, 49, 50, 51, 20, 99, 101, 1, 1, 1, 48):
        scene.timers.wait(pause)
        before, told = scene.timers.now, len(ann.wire.written)
        scene.tell()
        scene.timers.wait(50.001)
        assert len(ann.wire.written) > told
        assert ann.wire.times[-1] - before <= 50.001


@pytest.mark.parametrize(("others", "at_once"), [(False, True), (True, False)])
def test_a_node_waits_for_a_whole_window_only_where_others_publish_too(others: bool, at_once: bool):
    scene = Scene()
    ann, *_ = scene.guests(500)
    scene.tell()
    scene.timers.wait(47)  # of 50 ms
    scene.room.shared_until = scene.timers.now + 1000 if others else 0
    scene.say()
    scene.timers.wait(0)
    assert ("chat.message" in ann.kinds()) is at_once
    scene.timers.wait(50)
    assert ann.kinds() == ["room.notice", "chat.message"]


def test_a_number_that_changed_gets_no_tick_of_its_own_between_two_of_comments():
    scene = Scene()
    ann, *_ = scene.guests(500)
    scene.say()
    scene.timers.wait(47)
    scene.hub.state(scene.room, "room.stats", b'{"t":"room.stats"}')
    scene.timers.wait(0)
    assert ann.kinds() == ["chat.message"]
    scene.say()
    scene.timers.wait(0)
    assert ann.kinds() == ["chat.message", "room.stats", "chat.message"]
    scene.timers.wait(200)
    assert len(ann.wire.written) == 2


def test_a_room_that_takes_long_to_tell_is_told_less_often():
    scene = Scene()
    scene.guests(1000)
    scene.room.flush_ms = 90
    assert scene.room.window_ms(100) == 100
    scene.room.flush_ms = 100
    assert scene.room.window_ms(100) == 125


def test_a_beat_in_a_quiet_room_does_not_make_its_tick_longer():
    scene = Scene()
    ann = scene.guest()
    for seconds in (0, 100):  # before anything was ever told, and long after
        scene.timers.wait(seconds * 1000)
        scene.hub.beat(scene.room)
        scene.settle()
        assert scene.room.window_ms(100) == 5
        scene.tell()
        scene.settle()
    assert ann.kinds() == ["beat", "room.notice", "beat", "room.notice"]


def test_a_clock_that_is_set_does_not_make_the_tick_longer():
    scene = Scene()
    scene.guests(600)
    scene.tell()
    scene.timers.turn()
    scene.set_forward = 3_600_000.0  # between the slices of a flush
    scene.settle()
    assert scene.room.window_ms(100) == 60


def test_a_machine_that_stood_still_does_not_make_the_tick_longer_than_a_second():
    scene = Scene()
    scene.guests(600)
    scene.tell()
    scene.timers.turn()  # the first slice
    scene.timers.now += 3_600_000
    scene.settle()
    assert scene.room.window_ms(100) == 1000


@pytest.mark.parametrize(
    ("seats", "longest", "window"),
    [
        *((0, 100, 5), (1, 100, 5), (50, 100, 5), (60, 100, 6), (500, 100, 50), (1000, 100, 100), (5000, 100, 100)),
        *((500, 20, 20), (0, 1, 5)),
    ],
)
def test_the_window_grows_with_the_room_between_two_bounds(seats: int, longest: int, window: float):
    scene = Scene()
    scene.room.seats = dict.fromkeys(Guest(scene, "u") for _ in range(seats))
    assert scene.room.window_ms(longest) == window


@given(st.floats(1e12, 2e12), st.floats(5, 100), st.floats(0, 0.999))
def test_the_grid_goes_on_for_ever(now: float, window: float, where: float):
    due = next_tick(now, window, where * window)
    assert now - 1e-3 <= due <= now + window + 1e-3
    assert next_tick(due + 1e-3, window, where * window) == pytest.approx(due + window, abs=4e-3)


def test_rooms_do_not_tick_together():
    phases = [phase_of(f"room-{n}", 100) for n in range(1000)]
    assert all(0 <= phase < 100 for phase in phases)
    assert max(Counter(int(phase // 10) for phase in phases).values()) < 200


def test_two_rooms_of_a_hub_tick_at_different_times():
    scene = Scene("demo")
    other = scene.another("tea")
    ann = scene.guest()
    bob = Guest(scene, "bob")
    scene.hub.sit(other, bob)
    for n in range(1, 40):
        scene.tell()
        scene.hub.feed(other, LogEvent(n, 0, b'{"t":"room.notice","seq":%d}' % n))
        scene.timers.wait(1)
    scene.settle()
    assert ann.ledger() == bob.ledger() == list(range(1, 40))
    assert ann.wire.times[0] == bob.wire.times[0]
    assert not set(ann.wire.times[1:]) & set(bob.wire.times[1:])


# what, and for whom


def test_all_are_handed_the_same_bytes_object():
    scene = Scene()
    usual = scene.guests(3)
    packed = [scene.guest(codec=MSGPACK_CODEC) for _ in range(3)]
    lite = [scene.guest(profile="lite") for _ in range(2)]
    scene.tell()
    scene.say(2)
    scene.settle()
    for alike in (usual, packed, lite):
        assert len({id(guest.wire.written[0]) for guest in alike}) == 1
    assert usual[0].heard() == packed[0].heard()
    assert usual[0].kinds() == ["room.notice", "chat.message", "chat.message"]


def test_a_frame_is_made_once_and_only_when_it_is_needed():
    frames = Frames([b'{"t":"a"}'], [b'{"t":"b"}'])
    assert frames.get(JSON_CODEC, lean=True) == b'\x81\x09{"t":"a"}'
    assert frames.get(JSON_CODEC, lean=False) == b'\x81\x15[{"t":"a"},{"t":"b"}]'
    assert frames.get(MSGPACK_CODEC, lean=False) is frames.get(MSGPACK_CODEC, lean=False)
    assert Frames([]).get(JSON_CODEC, lean=False) == b""


def test_a_tick_tells_the_ledger_then_the_state_then_the_crowd():
    scene = Scene()
    ann = scene.guest()
    scene.hub.announce(scene.room, b'{"t":"room.joined"}')
    scene.say()
    scene.hub.state(scene.room, "like.total", b'{"t":"like.total"}')
    scene.tell()
    scene.settle()
    assert len(ann.wire.written) == 1
    assert ann.kinds() == ["room.notice", "like.total", "chat.message", "room.joined"]


def test_of_each_kind_of_state_only_the_newest_is_told():
    scene = Scene()
    ann = scene.guest()
    for n in range(3):
        scene.hub.state(scene.room, "like.total", b'{"t":"like.total","total":%d}' % n)
        scene.hub.state(scene.room, "room.stats", b'{"t":"room.stats","viewers":%d}' % n)
    scene.settle()
    assert ann.heard() == [{"t": "like.total", "total": 2}, {"t": "room.stats", "viewers": 2}]


def test_comments_are_kept_for_late_joiners_once_they_were_told():
    scene = Scene(history=3)
    scene.say(5)
    assert list(scene.room.chat) == []
    scene.settle()
    assert [json.loads(bytes(one))["id"] for one in scene.room.chat] == [2, 3, 4]


ESSENTIAL, EVERYTHING = ["room.notice", "like.total"], ["room.notice", "like.total", "chat.message"]


@pytest.mark.parametrize("codec", [JSON_CODEC, MSGPACK_CODEC], ids=["json", "msgpack"])
@pytest.mark.parametrize(
    ("profile", "waiting", "told", "ends"),
    [
        ("full", 0, EVERYTHING, []),
        ("full", SLOW, EVERYTHING, []),
        ("full", SLOW + 1, ESSENTIAL, []),
        ("full", CUT, ESSENTIAL, []),
        ("full", CUT + 1, [], [4001]),
        ("lite", 0, EVERYTHING, []),
        ("min", 0, ESSENTIAL, []),
        ("lite", CUT, ESSENTIAL, []),
        ("min", CUT + 1, [], [4001]),
    ],
)
def test_the_slow_get_the_essential_and_the_stuck_are_cut(
    profile: Profile, waiting: int, told: list[str], ends: list[int], codec: Codec
):
    scene = Scene()
    ann, neighbour = scene.guest(profile=profile, codec=codec), scene.guest()
    ann.wire.waiting = waiting
    scene.tell()
    scene.hub.state(scene.room, "like.total", b'{"t":"like.total"}')
    scene.say()
    scene.settle()
    assert (ann.kinds(), ann.ends) == (told, ends)
    assert (ann in scene.room.seats) is not bool(ends)
    assert neighbour.kinds() == EVERYTHING


def test_a_tick_of_comments_only_is_nothing_to_the_slow():
    scene = Scene()
    slow, lite, least = scene.guest(), scene.guest(profile="lite"), scene.guest(profile="min")
    slow.wire.waiting = lite.wire.waiting = SLOW + 1
    scene.say()
    scene.settle()
    assert slow.wire.written == lite.wire.written == least.wire.written == []


def test_nothing_is_written_to_a_connection_that_closes():
    scene = Scene()
    ann, bob = scene.guest("ann"), scene.guest("bob")
    ann.wire.closing, ann.wire.waiting = True, CUT + 1
    scene.tell()
    scene.hub.whisper(scene.room, Private("ann", 1, b"{}"))
    scene.settle()
    send(ann, b"{}")
    assert (ann.wire.written, ann.ends, bob.ledger()) == ([], [], [1])


def test_a_flush_with_nothing_to_tell_writes_nothing():
    scene = Scene()
    ann = scene.guest()
    scene.tell()
    scene.hub.flush(scene.room)
    scene.settle()
    assert len(ann.wire.written) == 1


def test_what_nobody_hears_is_remembered():
    scene = Scene()
    scene.tell()
    scene.settle()
    assert [event.seq for event in scene.hub.missed(scene.room, "k3f9", 0) or ()] == [1]


# a flush in slices


@pytest.mark.usefixtures("slices_of_two")
def test_a_big_flush_lets_other_rooms_tick_in_between():
    scene = Scene()
    guests, other = scene.guests(5), scene.another("tea")
    bob = Guest(scene, "bob")
    scene.hub.sit(other, bob)
    scene.tell()
    scene.timers.turn()
    scene.hub.feed(other, LogEvent(1, 0, b'{"t":"room.notice","seq":1}'))
    scene.timers.turn()
    scene.timers.turn()
    assert bob.ledger() == [1]
    assert [guest.ledger() for guest in guests] == [[1], [1], [1], [1], []]
    scene.settle()
    assert [guest.ledger() for guest in guests] == [[1]] * 5


@pytest.mark.usefixtures("slices_of_two")
def test_who_is_told_and_up_to_where_is_fixed_before_the_first_byte():
    scene = Scene()
    guests = scene.guests(5)
    scene.tell()
    scene.timers.turn()
    assert [len(guest.wire.written) for guest in guests] == [1, 1, 0, 0, 0]
    assert scene.room.flushed == 1
    late = scene.guest()  # was shown what the room was told: event 1
    scene.tell()
    assert scene.room.flushed == 1
    scene.settle()
    assert scene.room.flushed == 2
    assert [guest.ledger() for guest in guests] == [[1, 2]] * 5
    assert late.ledger() == [2]


@pytest.mark.usefixtures("slices_of_two")
def test_a_flush_does_not_overtake_one_that_is_still_written():
    scene = Scene()
    guests = scene.guests(5)
    scene.tell()
    scene.timers.turn()
    scene.tell()
    scene.hub.flush(scene.room)
    assert scene.room.flushed == 1
    scene.settle()
    assert [guest.ledger() for guest in guests] == [[1, 2]] * 5


STEPS = st.one_of(
    st.just(("tell", 0, 0)),
    st.just(("say", 0, 0)),
    st.just(("turn", 0, 0)),
    st.tuples(st.just("wait"), st.integers(0, 12) | st.sampled_from([300, 1100, 3100]), st.just(0)),
    st.tuples(st.sampled_from(["join", "resume"]), st.integers(0, 9), st.integers(0, 3)),
    st.tuples(st.just("leave"), st.integers(0, 20), st.just(0)),
    st.tuples(st.just("slow"), st.integers(0, 20), st.sampled_from([0, SLOW + 1, CUT, CUT + 1])),
    st.tuples(st.just("change"), st.integers(0, 20), st.sampled_from(["full", "lite", "min"])),
    st.tuples(st.just("whisper"), st.integers(0, 20), st.integers(0, 1)),
)


@settings(deadline=None)
@given(st.lists(STEPS, max_size=80))
@example([("tell", 0, 0), ("join", 0, 1), ("turn", 0, 0), ("tell", 0, 0), ("whisper", 3, 0)])
def test_whoever_comes_whenever_hears_each_event_once_and_in_order(steps: list[tuple[str, int, Any]]):
    kinds: list[dict[str, Any]] = [{}, {"profile": "lite"}, {"codec": MSGPACK_CODEC}, {"profile": "min"}]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("liveroom.writer.SLICE", 2)
        scene = Scene()
        room, everybody = scene.room, scene.guests(3)
        for step, n, more in steps:
            if step == "tell":
                scene.tell()
            elif step == "say":
                scene.say()
            elif step == "turn" and scene.timers.waiting:
                scene.timers.turn()
            elif step == "wait":
                scene.timers.wait(n)
            elif step in ("join", "resume"):  # as the door lets somebody in
                guest = Guest(scene, "late", knew=max(0, room.flushed - n), **kinds[more])
                missed = scene.hub.missed(room, "k3f9", guest.knew) if step == "resume" else None
                for body in scene.hub.since(room, guest.knew) if missed is None else [one.body for one in missed]:
                    send(guest, body)
                scene.hub.sit(room, guest)
                everybody.append(guest)
            elif step == "leave":
                scene.hub.leave(room, everybody[n % len(everybody)])
            elif step == "slow":
                everybody[n % len(everybody)].wire.waiting = more
            elif step == "change":
                scene.hub.change(room, everybody[n % len(everybody)], more)
            elif step == "whisper":
                viewer, after = everybody[n % len(everybody)].viewer, room.seq + more
                scene.hub.whisper(room, Private(viewer, after, b'{"t":"lottery.won","after":%d}' % after))
        scene.settle()
    for guest in everybody:
        heard, last = guest.ledger(), guest.knew
        for message in guest.heard():
            assert message.get("after", 0) <= last
            last = message.get("seq", last)
        assert heard == list(range(guest.knew + 1, guest.knew + 1 + len(heard)))
        assert guest not in room.seats or guest.knew + len(heard) == room.seq


@pytest.mark.usefixtures("slices_of_two")
def test_nothing_is_written_behind_the_close_of_who_left_between_two_slices():
    scene = Scene()
    *_, last = scene.guests(5)
    scene.tell()
    scene.timers.turn()
    last.gone(4503, "this device came again")
    scene.settle()
    assert last.wire.written == []


# private messages


def test_a_private_message_comes_right_behind_the_frame_with_its_event():
    scene = Scene()
    ann, again, bob = scene.guest("ann"), scene.guest("ann", codec=MSGPACK_CODEC), scene.guest("bob")
    scene.hub.whisper(scene.room, Private("ann", scene.room.seq + 1, b'{"t":"lottery.won"}'))
    scene.say()
    scene.tell()
    scene.settle()
    assert ann.kinds() == again.kinds() == ["room.notice", "chat.message", "lottery.won"]
    assert bob.kinds() == ["room.notice", "chat.message"]
    assert len(ann.wire.written) == 2


@pytest.mark.usefixtures("slices_of_two")
def test_a_private_message_waits_until_all_slices_are_written():
    scene = Scene()
    first, *_, last = scene.guests(5)
    scene.tell()
    scene.hub.whisper(scene.room, Private(first.viewer, 1, b'{"t":"lottery.won"}'))
    scene.hub.whisper(scene.room, Private(last.viewer, 1, b'{"t":"lottery.won"}'))
    scene.timers.turn()
    scene.hub.whisper(scene.room, Private(first.viewer, 1, b'{"t":"lottery.result"}'))
    scene.settle()
    assert first.kinds() == ["room.notice", "lottery.won", "lottery.result"]
    assert last.kinds() == ["room.notice", "lottery.won"]


def test_a_private_message_needs_no_event_and_is_told_to_the_slow_too():
    scene = Scene()
    ann, bob = scene.guest("ann"), scene.guest("bob", profile="min")
    ann.wire.waiting = CUT
    for viewer in ("ann", "bob", "nobody"):
        scene.hub.whisper(scene.room, Private(viewer, 0, b'{"t":"chat.mentioned"}'))
    scene.settle()
    assert ann.kinds() == bob.kinds() == ["chat.mentioned"]


def test_whoever_left_before_the_flush_is_told_nothing():
    scene = Scene()
    ann, _ = scene.guest("ann"), scene.guest("bob")
    scene.hub.whisper(scene.room, Private("ann", 0, b"{}"))
    scene.hub.leave(scene.room, ann)
    scene.settle()
    assert ann.wire.written == []


def test_a_private_message_waits_for_an_event_that_is_late():
    scene = Scene()
    ann = scene.guest("ann")
    scene.hub.whisper(scene.room, Private("ann", 1, b'{"t":"lottery.won"}'))
    scene.settle()
    scene.timers.wait(1000)  # the event was lost on the way and is read from the log
    scene.tell()
    scene.settle()
    assert ann.kinds() == ["room.notice", "lottery.won"]


# coming back


def missed(scene: Scene, seq: int, epoch: str = "k3f9") -> list[int] | None:
    events = scene.hub.missed(scene.room, epoch, seq)
    return None if events is None else [event.seq for event in events]


def test_who_comes_back_is_given_what_he_missed_up_to_what_the_room_was_told():
    scene = Scene(seq=10)
    scene.tell()
    scene.tell()
    scene.settle()
    scene.tell()  # 13 is in nobody's frame yet
    assert [missed(scene, seq) for seq in (10, 11, 12)] == [[11, 12], [12], []]
    assert [json.loads(body)["seq"] for body in scene.hub.since(scene.room, 10)] == [11, 12]


@pytest.mark.parametrize(("seq", "epoch"), [(9, "k3f9"), (13, "k3f9"), (12, "other"), (12, "")])
def test_what_cannot_be_told_whole_is_not_told(seq: int, epoch: str):
    scene = Scene(seq=10)
    scene.tell()
    scene.tell()
    scene.settle()
    scene.tell()
    assert missed(scene, seq, epoch) is None


def test_who_missed_more_events_than_are_kept_is_shown_a_snapshot():
    scene = Scene(resume_events=5)
    for _ in range(8):
        scene.tell()
    scene.settle()
    assert (missed(scene, 3), missed(scene, 2)) == ([4, 5, 6, 7, 8], None)


def test_who_missed_something_too_long_ago_is_shown_a_snapshot():
    scene = Scene(resume_seconds=2)
    for _ in range(2):
        scene.tell()
        scene.settle()
        scene.timers.wait(1000)
    assert (missed(scene, 0), missed(scene, 1)) == ([1, 2], [2])
    scene.timers.wait(1)
    assert (missed(scene, 0), missed(scene, 1), missed(scene, 2)) == (None, [2], [])


def test_who_missed_more_than_128_kib_is_shown_a_snapshot():
    scene = Scene()
    empty = len(b'{"t":"room.notice","seq":1,"pad":""}')
    scene.tell(pad=REPLAY_BYTES // 2 - empty)
    scene.tell(pad=REPLAY_BYTES // 2 - empty)
    scene.settle()
    assert REPLAY_BYTES == 128 * 1024
    assert missed(scene, 0) == [1, 2]
    scene.tell()
    scene.settle()
    assert (missed(scene, 0), missed(scene, 1)) == (None, [2, 3])


# once a second


def test_a_quiet_room_hears_a_beat_once_a_heartbeat():
    scene = Scene(seq=5, heartbeat_ms=3000)
    ann, lite = scene.guest(), scene.guest(profile="min", codec=MSGPACK_CODEC)
    scene.tell()
    scene.settle()
    for _ in range(7):
        scene.timers.wait(1000)
        scene.hub.second(scene.room)
    beats = [(message["now"], message["seq"]) for message in ann.heard() if message["t"] == "beat"]
    assert [now for now, _ in beats] == [1_002_000, 1_004_000, 1_006_000]
    assert {seq for _, seq in beats} == {6}
    assert ann.heard() == lite.heard()


def test_a_room_that_hears_only_comments_hears_a_beat_too_for_not_all_are_told_them():
    scene = Scene(heartbeat_ms=3000)
    least = scene.guest(profile="min")
    scene.tell()
    for _ in range(3):
        scene.say()
        scene.settle()
        scene.timers.wait(1000)
        scene.hub.second(scene.room)
    assert least.kinds() == ["room.notice", "beat"]


def test_where_something_is_told_or_nobody_sits_no_beat_is_heard():
    scene = Scene(heartbeat_ms=3000)
    scene.hub.second(scene.room)
    ann = scene.guest()
    for _ in range(5):
        scene.tell()
        scene.settle()
        scene.timers.wait(1000)
        scene.hub.second(scene.room)
    assert ann.kinds() == ["room.notice"] * 5


@pytest.mark.usefixtures("slices_of_two")
def test_a_beat_does_not_overtake_a_flush_that_is_still_written():
    scene = Scene(heartbeat_ms=1)
    *_, last = scene.guests(3)
    scene.tell()
    scene.timers.turn()
    scene.hub.second(scene.room)
    scene.settle()
    assert last.kinds() == ["room.notice"]


def test_the_stuck_are_cut_by_a_beat_too():
    scene = Scene()
    ann = scene.guest()
    ann.wire.waiting = CUT + 1
    scene.hub.beat(scene.room)
    assert (ann.ends, ann.wire.written) == ([4001], [])


def test_comments_left_out_are_told_once_a_second():
    scene = Scene()
    ann = scene.guest()
    scene.say(shown=2, total=5)
    scene.hub.show(scene.room, [], 4)
    scene.hub.second(scene.room)
    scene.settle()
    assert [one for one in ann.heard() if one["t"] == "chat.sampled"] == [{"t": "chat.sampled", "shown": 2, "total": 9}]
    scene.timers.wait(1000)
    scene.say(shown=3)
    scene.hub.second(scene.room)
    scene.settle()
    assert ann.kinds().count("chat.sampled") == 1


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20), st.booleans())))
def test_each_comment_left_out_is_accounted_for_once(blobs: list[tuple[int, int, bool]]):
    scene = Scene()
    ann = scene.guest()
    for shown, hidden, second in blobs:
        scene.hub.show(scene.room, [Raw(b'{"t":"chat.message"}')] * shown, shown + hidden)
        if second:
            scene.hub.second(scene.room)
        scene.timers.wait(10)
    scene.hub.second(scene.room)
    scene.settle()
    sampled = [one for one in ann.heard() if one["t"] == "chat.sampled"]
    assert sum(one["total"] - one["shown"] for one in sampled) == sum(hidden for _, hidden, _ in blobs)
    assert ann.kinds().count("chat.message") == sum(shown for shown, _, _ in blobs)


def test_the_rate_of_comments_follows_slowly_and_comes_to_rest():
    scene, rates = Scene(), []
    for said in [30] * 20 + [0] * 40:
        scene.say(shown=1, total=said) if said else None
        scene.hub.second(scene.room)
        rates.append(scene.room.comments_rate)
    assert rates[0] == pytest.approx(10)
    assert rates[19] == pytest.approx(30, abs=0.1)
    assert rates[20] == pytest.approx(20, abs=0.1)
    assert rates[-1] == 0


# starting anew, and the end


def restart(scene: Scene, seq: int = 2) -> None:
    message = b'{"t":"room.reset","epoch":"new","seq":%d}' % seq
    scene.hub.restart(scene.room, RoomInfo("demo", "Demo", "", "open", 0), "new", seq, message)


def test_a_new_epoch_voids_what_was_numbered_before():
    scene = Scene(seq=40)
    ann = scene.guest("ann")
    scene.tell()
    scene.settle()
    scene.tell()
    scene.hub.whisper(scene.room, Private("ann", 42, b'{"t":"chat.mentioned"}'))
    restart(scene)
    assert (missed(scene, 41), missed(scene, 2, "new"), missed(scene, 1, "new")) == (None, [], None)
    scene.tell()
    scene.settle()
    assert [(one["t"], one.get("seq")) for one in ann.heard()] == [
        ("room.notice", 41),
        ("room.reset", 2),
        ("room.notice", 3),
        ("chat.mentioned", None),
    ]
    assert missed(scene, 2, "new") == [3]


def test_an_event_of_the_old_epoch_is_never_replayed_in_the_new_one():
    scene = Scene(seq=40)
    scene.tell()
    scene.tell()
    scene.settle()
    restart(scene, seq=42)
    scene.settle()
    assert (missed(scene, 41, "new"), missed(scene, 42, "new"), scene.hub.since(scene.room, 40)) == (None, [], [])


@pytest.mark.usefixtures("slices_of_two")
def test_a_new_epoch_in_the_middle_of_a_flush_is_told_to_all_behind_it():
    scene = Scene()
    guests = scene.guests(5)
    scene.tell()
    scene.timers.turn()
    restart(scene)
    scene.settle()
    assert [guest.kinds() for guest in guests] == [["room.notice", "room.reset"]] * 5


def test_comments_that_wait_outlive_a_new_epoch():
    scene = Scene()
    ann = scene.guest()
    scene.say()
    restart(scene)
    scene.settle()
    assert len(scene.room.chat) == ann.kinds().count("chat.message") == 1


def test_a_closed_room_is_told_so_and_then_left_by_all():
    scene = Scene()
    guests = [scene.guest(), scene.guest(codec=MSGPACK_CODEC), scene.guest(profile="min")]
    scene.tell()
    scene.tell(b"room.closed")
    scene.settle()
    assert scene.room.info.state == "closed"
    assert [guest.kinds() for guest in guests] == [["room.notice", "room.closed"]] * 3
    assert [guest.ends for guest in guests] == [[4504]] * 3
    assert (scene.room.seats, scene.room.people) == ({}, {})


def test_a_notice_about_closing_closes_nothing():
    scene = Scene()
    ann = scene.guest()
    text = json.dumps({"t": "room.notice", "seq": 1, "text": '"t":"room.closed"'}, separators=(",", ":"))
    scene.hub.feed(scene.room, LogEvent(1, 0, text.encode()))
    scene.settle()
    assert (scene.room.info.state, ann.ends) == ("open", [])


@pytest.mark.usefixtures("slices_of_two")
def test_a_room_closed_in_the_middle_of_a_flush_is_told_so_before_it_ends():
    scene = Scene()
    guests = scene.guests(5)
    scene.tell()
    scene.timers.turn()
    scene.tell(b"room.closed")
    scene.settle()
    assert [guest.kinds() for guest in guests] == [["room.notice", "room.closed"]] * 5
    assert [guest.ends for guest in guests] == [[4504]] * 5


# people


def test_a_person_leaves_with_his_last_seat():
    scene = Scene()
    one, two = scene.guest("ann"), scene.guest("ann")
    person = scene.room.people["ann"]
    assert scene.hub.leave(scene.room, one) is None
    assert scene.hub.leave(scene.room, one) is None
    assert scene.hub.leave(scene.room, two) is person
    assert (scene.room.seats, scene.room.people) == ({}, {})


@pytest.mark.parametrize("limit", ["chat", "likes", "other"])
def test_who_did_something_is_remembered_for_a_while(limit: str):
    scene = Scene()
    ann, bob = scene.guest("ann"), scene.guest("bob")
    person = scene.room.people["ann"]
    for viewer in ("ann", "bob"):
        setattr(scene.room.people[viewer], limit, Bucket(0, 0))
    scene.hub.leave(scene.room, ann)
    scene.timers.wait(60_000)
    scene.hub.forget(scene.room, 60)
    assert scene.hub.sit(scene.room, ann) is person
    scene.hub.leave(scene.room, ann)
    scene.timers.wait(60_001)
    scene.hub.forget(scene.room, 60)
    assert scene.room.people.keys() == {"bob"}
    assert scene.room.people["bob"].seats == [bob]


# a clock that was set back


def test_a_room_whose_clock_was_set_back_is_told_as_before():
    scene = Scene()
    ann, *_ = scene.guests(500)
    scene.tell()
    scene.timers.wait(200)
    scene.room.last_flush = scene.room.last_told = scene.timers.now + 3_600_000  # as seen after an hour back
    scene.tell()
    scene.timers.wait(50)
    assert ann.ledger() == [1, 2]


def test_who_may_still_wait_is_told_the_essential():
    scene = Scene()
    ann = scene.guest()
    ann.cut = lambda: False  # type: ignore[method-assign]
    ann.wire.waiting = 10_000_000
    scene.tell()
    scene.say()
    scene.timers.wait(200)
    assert ann.kinds() == ["room.notice"]


def test_whom_a_deleted_comment_mentions_is_not_told_of_it_in_the_next_tick():
    scene = Scene()
    for id_ in ("00000000a0000n", "00000000b0000n"):
        body = encode(Mentioned("eve", id_, "hi"))
        scene.room.tick.private.append(Private("ann", 0, body))
    scene.room.erased.note(Deleted(ids=("00000000a0000n",)), 1)
    scene.hub.erase(scene.room)
    assert [json.loads(one.body)["id"] for one in scene.room.tick.private] == ["00000000b0000n"]
