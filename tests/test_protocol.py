"""The wire: what is read of a frame, what a bad one is told, and what errors, closes and frames look like."""

from contextlib import suppress
from secrets import token_bytes
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw, ValidationError
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close as Farewell
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from gameplay import moderation
from gameplay.danmaku import Reply, Say
from gameplay.likes import Like
from gameplay.play import Code, Command, HostCommand, OpenRound, Refusal, Role
from liveroom.menu import ROUNDS
from liveroom.protocol import (
    CODECS,
    COMMANDS,
    DEFLATED,
    ERRORS,
    JSON_CODEC,
    MOST_OUT,
    MSGPACK_CODEC,
    About,
    AuthRefresh,
    BadFrame,
    Close,
    Codec,
    Hello,
    HistoryGet,
    Malformed,
    Notice,
    PlayAnnounce,
    ProfileSet,
    Resume,
    RetentionWatch,
    RoomId,
    RoomNotice,
    Spoken,
    Stats,
    StreamStart,
    StreamStop,
    TimePing,
    Welcome,
    Who,
    close_frame,
    deflated,
    encode,
    frame,
    framed,
    join,
    read,
    read_command,
    refusal_reply,
)

BOTH = pytest.mark.parametrize("codec", CODECS.values(), ids=["json", "msgpack"])


def bytes_of(message: object, codec: Codec = JSON_CODEC) -> bytes:
    return codec.encode(message)


def one(message: object, codec: Codec = JSON_CODEC) -> Any:
    """What a frame of one message is read as."""
    (spoken,) = read(bytes_of(message, codec), codec)
    return spoken


def frames(data: bytes) -> list[Frame]:
    """The frames in these bytes, as a client's WebSocket library sees them."""
    client = ClientProtocol(parse_uri("ws://demo/"), state=State.OPEN, max_size=None)
    client.extensions = [PerMessageDeflate(True, True, 12, 12)]
    client.receive_data(data)
    if client.parser_exc:
        raise client.parser_exc
    return [event for event in client.events_received() if isinstance(event, Frame)]


def messages(data: bytes, codec: Codec = JSON_CODEC) -> list[Any]:
    """The messages in all these frames, in order."""
    found = []
    for told in frames(data):
        assert (told.opcode, told.fin) == (codec.opcode, True)
        said = codec.loose(bytes(told.data))
        found += said if isinstance(said, list) else [said]
    return found


# what is read

SPOKEN: list[tuple[dict[str, object], object]] = [
    ({"t": "hello", "token": "x"}, Hello("x")),
    (
        {"t": "hello", "token": "", "resume": {"epoch": "k3f9", "seq": 0}, "profile": "min", "source": "a-b.c_9"},
        Hello("", Resume("k3f9", 0), "min", "a-b.c_9"),
    ),
    ({"t": "time.ping", "c0": 17.5}, TimePing(c0=17.5)),
    ({"t": "time.ping", "c0": 17, "cid": 2**53 - 1}, TimePing(c0=17, cid=2**53 - 1)),
    ({"t": "history.get"}, HistoryGet()),
    ({"t": "history.get", "limit": 100, "before": "abc"}, HistoryGet(limit=100, before="abc")),
    ({"t": "profile.set", "profile": "lite"}, ProfileSet(profile="lite")),
    ({"t": "auth.refresh", "token": "y", "cid": 0}, AuthRefresh(token="y", cid=0)),
    ({"t": "room.notice", "text": "你好", "idem": "k"}, RoomNotice(text="你好", idem="k")),
    ({"t": "chat.say", "text": "hi", "mentions": ["u1"]}, Say(text="hi", mentions=("u1",))),
    ({"t": "chat.say", "text": "", "reply_to": "0a1b2c3d"}, Say(text="", reply_to="0a1b2c3d")),
    ({"n": 50, "t": "like.add"}, Like(n=50)),
]


@BOTH
@pytest.mark.parametrize(("message", "meant"), SPOKEN)
def test_a_message_is_read_as_what_it_means(message: dict[str, object], meant: object, codec: Codec):
    assert one(message, codec) == meant


@BOTH
def test_a_frame_may_hold_several_messages(codec: Codec):
    assert read(bytes_of([message for message, _ in SPOKEN], codec), codec) == [meant for _, meant in SPOKEN]
    assert read(bytes_of([{"t": "like.add", "n": 1}] * 70_000, codec), codec) == [Like(n=1)] * 70_000
    assert read(bytes_of([], codec), codec) == []


def test_blanks_in_front_of_json_are_nothing():
    assert read(b' \t\r\n[ {"t":"like.add","n":1} ] ') == read(b'\n {"t":"like.add","n":1}\n') == [Like(n=1)]


def test_one_bad_message_does_not_spoil_its_neighbours():
    good, bad, worse, last = read(b'[{"t":"like.add","n":1},{"t":"like.add","n":0,"cid":7},5,{"t":"like.add","n":2}]')
    assert (good, last) == (Like(n=1), Like(n=2))
    assert isinstance(bad, Malformed)
    assert isinstance(worse, Malformed)
    assert (bad.cid, worse.cid) == (7, UNSET)


BAD = Code.BAD_MESSAGE
UNKNOWN = Code.UNKNOWN_COMMAND
HELLO = {"t": "hello", "token": "x"}
LIKE = {"t": "like.add", "n": 1}
SAY = {"t": "chat.say", "text": "hi"}

MALFORMED: list[tuple[object, Code, str | None]] = [
    (5, BAD, None),
    ("hello", BAD, None),
    (None, BAD, None),
    (True, BAD, None),
    ([LIKE], BAD, None),
    ({}, BAD, "t"),
    ({"n": 1}, BAD, "t"),
    ({"t": 5}, BAD, "t"),
    ({"t": None}, BAD, "t"),
    ({"t": {}}, BAD, "t"),
    ({"t": ""}, UNKNOWN, None),
    ({"t": "no.such", "n": 1}, UNKNOWN, None),
    ({"t": "Like.add", "n": 1}, UNKNOWN, None),
    ({"t": "chat.message"}, UNKNOWN, None),
    ({"t": "hello"}, BAD, "token"),
    (HELLO | {"token": None}, BAD, "token"),
    (HELLO | {"profile": "big"}, BAD, "profile"),
    (HELLO | {"source": "Shop"}, BAD, "source"),
    (HELLO | {"source": "x" * 33}, BAD, "source"),
    (HELLO | {"resume": 5}, BAD, "resume"),
    (HELLO | {"resume": {"epoch": "a"}}, BAD, "resume"),
    (HELLO | {"resume": {"epoch": "a", "seq": -1}}, BAD, "resume.seq"),
    (HELLO | {"resume": {"epoch": "a", "seq": 2**53}}, BAD, "resume.seq"),
    (HELLO | {"resume": {"epoch": "a" * 65, "seq": 1}}, BAD, "resume.epoch"),
    (HELLO | {"cid": 1}, BAD, "cid"),
    ({"t": "like.add"}, BAD, "n"),
    (LIKE | {"n": 0}, BAD, "n"),
    (LIKE | {"n": 51}, BAD, "n"),
    (LIKE | {"n": 1.5}, BAD, "n"),
    (LIKE | {"n": "1"}, BAD, "n"),
    (LIKE | {"n": True}, BAD, "n"),
    (LIKE | {"cid": -1}, BAD, "cid"),
    (LIKE | {"cid": 2**53}, BAD, "cid"),
    (LIKE | {"cid": True}, BAD, "cid"),
    (LIKE | {"cid": "1"}, BAD, "cid"),
    (LIKE | {"idem": ""}, BAD, "idem"),
    (LIKE | {"idem": "x" * 65}, BAD, "idem"),
    (LIKE | {"more": 1}, BAD, "more"),
    ({"t": "chat.say"}, BAD, "text"),
    (SAY | {"text": 5}, BAD, "text"),
    (SAY | {"reply_to": ""}, BAD, "reply_to"),
    (SAY | {"reply_to": None}, BAD, "reply_to"),
    (SAY | {"mentions": "u1"}, BAD, "mentions"),
    (SAY | {"mentions": ["u1"] * 6}, BAD, "mentions"),
    (SAY | {"mentions": ["u1", 2]}, BAD, "mentions[1]"),
    ({"t": "history.get", "limit": 0}, BAD, "limit"),
    ({"t": "history.get", "limit": 101}, BAD, "limit"),
    ({"t": "history.get", "before": "x" * 33}, BAD, "before"),
    ({"t": "profile.set", "profile": "none"}, BAD, "profile"),
    ({"t": "time.ping", "c0": "0"}, BAD, "c0"),
    ({"t": "auth.refresh"}, BAD, "token"),
    ({"t": "room.notice", "text": ["a"]}, BAD, "text"),
]


@BOTH
@pytest.mark.parametrize(("message", "code", "field"), MALFORMED)
def test_a_bad_message_is_told_what_is_wrong_and_where(message: object, code: Code, field: str | None, codec: Codec):
    (bad,) = read(bytes_of([message], codec), codec)
    assert isinstance(bad, Malformed)
    assert (bad.refusal.code, bad.refusal.params.get("field")) == (code, field)
    assert bad.refusal.message
    assert ("why" in bad.refusal.params) == (code is BAD)


@pytest.mark.parametrize(
    ("cid", "answered"),
    [(0, 0), (17, 17), (2**53 - 1, 2**53 - 1), (2**53, UNSET), (-1, UNSET), (True, UNSET), ("1", UNSET), (1.0, UNSET)],
)
def test_a_bad_message_is_answered_by_its_number_if_it_has_a_good_one(cid: object, answered: object):
    assert one({"t": "no.such", "cid": cid}).cid == one({"t": "like.add", "cid": cid}).cid == answered


NOT_JSON = [
    *(b"", b" ", b"{", b"}", b"[", b"[,]", b"hello", b"{'t':1}", b'{"t":"hello","token":"x"}x', b"\x00", b"\xff"),
    *(b'"\xff"', b'{"t":"chat.say","text":"\xff"}', b'{"t":"chat.say","text":"\xed\xa0\x80"}', b'{"t":"\\ud800"}'),
    *(b"[1,]", b"01", b"NaN", b"1e999", b'{"t":"time.ping","c0":1e999}', b"\xef\xbb\xbf{}", b"[" * 1000),
    *(b"[" * 1000 + b"]" * 1000, b'{"a":' * 2000 + b"1" + b"}" * 2000, b'[{"t":"like.add","n":1},{]'),
    b'{"t":"time.ping","c0":1' + b"0" * 4999 + b"}",
]


@pytest.mark.parametrize("data", NOT_JSON, ids=lambda data: repr(data[:16]))
def test_what_is_no_json_is_a_bad_frame(data: bytes):
    with pytest.raises(BadFrame):
        read(data)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\xc1", b"\x81", b"\x81\xa1", b"\x92\xc0", b"\xa1\xff", b"\x81\xa1t\xa1\xff", b"\xdd\xff\xff\xff\xff"),
        *(b"\x81\x80\xc0", b"\x91\x81\x91\x80\xc0", b"\xc0\xc0", b"\x91" * 4000 + b"\xc0", b"\x81\xa1a" * 1300),
        b"\x91\x81\xa1t\xc7\x0c\xff" + b"\xff" * 12,  # a time out of range
    ],
    ids=lambda data: repr(data[:8]),
)
def test_what_is_no_messagepack_is_a_bad_frame(data: bytes):
    with pytest.raises(BadFrame):
        read(data, MSGPACK_CODEC)


def heeded(data: bytes, codec: Codec) -> list[Spoken | Malformed]:
    """What a frame says; a bad message in it can be answered."""
    said = read(data, codec)
    for spoken in said:
        if isinstance(spoken, Malformed):
            assert encode(refusal_reply(spoken.refusal, spoken.cid))
        else:
            assert isinstance(spoken, Hello | Command)
    return said


@BOTH
@given(data=st.binary(max_size=300))
def test_random_bytes_are_read_or_are_a_bad_frame(data: bytes, codec: Codec):
    with suppress(BadFrame):
        heeded(data, codec)


@BOTH
@given(message=st.sampled_from([message for message, _ in SPOKEN]), data=st.data())
def test_a_frame_that_was_damaged_is_read_or_is_a_bad_frame(codec: Codec, message: object, data: st.DataObject):
    whole = bytes_of(data.draw(st.sampled_from([message, [message, message]])), codec)
    cut = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:cut] + data.draw(st.binary(max_size=3)) + whole[cut + data.draw(st.integers(0, 3)) :]
    with suppress(BadFrame):
        heeded(damaged, codec)


TAGS = st.sampled_from(["hello", "no.such", "", *(str(message["t"]) for message, _ in SPOKEN)])
NAMES = st.sampled_from(["t", "cid", "idem", "n", "text", "token", "resume", "epoch", "seq", "c0", "` - at `$", ""])
PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    PLAIN | st.text(max_size=9) | TAGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(), inner, max_size=4),
    max_leaves=12,
)
MESSAGES = st.builds(lambda tag, more: {**more, "t": tag}, TAGS, st.dictionaries(NAMES, VALUES, max_size=5))


def gist(spoken: object) -> object:
    """Without the wording, which differs a little between the encodings."""
    if isinstance(spoken, Malformed):
        return spoken.refusal.code, spoken.refusal.params.get("field"), spoken.cid
    return spoken


@settings(deadline=None)
@given(MESSAGES | VALUES | st.lists(MESSAGES, max_size=3))
@example({"t": "like.add", "n": 1, "": 1})
def test_whatever_is_json_is_read_and_messagepack_means_the_same(value: object):
    as_text, as_binary = (heeded(bytes_of(value, codec), codec) for codec in CODECS.values())
    assert [*map(gist, as_text)] == [*map(gist, as_binary)]


@pytest.mark.parametrize(("kind", "text"), [(RoomId, "demo\n"), (Hello, {"t": "hello", "token": "", "source": "a\n"})])
def test_no_name_ends_in_a_line_break(kind: Any, text: object):
    with pytest.raises(ValidationError):
        msgspec.convert(text, kind)


@pytest.mark.parametrize("room", ["", "x" * 65, "a b", "a/b", "a|b", "{01}", "房间", "a.b"])
def test_a_room_is_named_by_letters_digits_dashes_and_underscores(room: str):
    assert msgspec.convert("A-z_09", RoomId) == "A-z_09"
    with pytest.raises(ValidationError):
        msgspec.convert(room, RoomId)


# over HTTP


def test_http_brings_one_command():
    assert read_command(b'{"t":"like.add","n":3}') == Like(n=3)
    assert isinstance(read_command(b'{"t":"like.add","n":0}'), Malformed)


@pytest.mark.parametrize("body", [b"[]", b'[{"t":"like.add","n":3}]', b"[1,2]", b'{"t":"hello","token":"x"}'])
def test_http_brings_neither_many_nor_a_hello(body: bytes):
    bad = read_command(body)
    assert isinstance(bad, Malformed)
    assert bad.refusal.code is BAD


def test_a_body_that_is_no_json_is_a_bad_frame():
    with pytest.raises(BadFrame):
        read_command(b"t=like.add")


def test_what_moves_a_round_and_notices_are_the_hosts_and_what_moderates_the_staffs():
    hosts = {RoomNotice, StreamStart, StreamStop, RetentionWatch, PlayAnnounce, moderation.Settings}
    hosts |= {kind for kind in COMMANDS if issubclass(kind, OpenRound | HostCommand)}
    assert {kind for kind in COMMANDS if kind.needs is Role.HOST} == hosts
    staff = {Reply, *(kind for kind in COMMANDS if issubclass(kind, moderation.ForStaff))}
    assert {kind for kind in COMMANDS if kind.needs is Role.MODERATOR} == staff
    assert {kind.needs for kind in COMMANDS} == {Role.HOST, Role.MODERATOR, Role.VIEWER}
    assert {kind for play in ROUNDS.values() for kind in (play.opens, *play.turns)} <= hosts


# errors and closes

NO, YES = False, True


def test_every_error_has_its_status_and_says_whether_to_try_again():
    assert {
        Code(name): (http, retryable)
        for names, http, retryable in [
            ("BAD_MESSAGE UNKNOWN_COMMAND", 400, NO),
            ("BAD_TOKEN", 401, NO),
            ("NOT_ALLOWED", 403, NO),
            ("NO_SUCH_ROOM NO_SUCH_ROUND NO_SUCH_COMMENT NO_SUCH_VIEWER NO_SUCH_HOLD NO_STREAM", 404, NO),
            ("ROOM_EXISTS ROOM_CLOSED ROUND_STATE STREAM_RUNNING KEYWORD_TAKEN IDEMPOTENCY_MISMATCH", 409, NO),
            ("TEXT_EMPTY TEXT_TOO_LONG DUPLICATE WORD_BLOCKED", 422, NO),
            ("MUTED ROOM_MUTED MEMBERS_ONLY NOT_ELIGIBLE", 403, NO),
            ("SLOW_MODE RATE_LIMITED", 429, YES),
            ("ROUND_CLOSED ALREADY_ANSWERED NO_SUCH_CHOICE", 409, NO),
            ("SALE_NOT_OPEN SALE_PAUSED", 409, YES),
            ("SALE_SOLD_OUT SALE_LIMIT HOLD_EXPIRED WEAK_DURABILITY", 409, NO),
            ("TRY_LATER", 503, YES),
            ("INTERNAL", 500, YES),
        ]
        for name in names.split()
    } == {code: (meaning.http, meaning.retryable) for code, meaning in ERRORS.items()}
    assert ERRORS.keys() == set(Code)


def test_every_close_has_its_code():
    assert {close.name: close.value for close in Close} == {
        "GOING_AWAY": 4000,
        "TOO_SLOW": 4001,
        "HEARTBEAT_LOST": 4002,
        "CONTINUITY_LOST": 4003,
        "NO_HELLO": 4408,
        "TOO_MANY_JOINS": 4429,
        "BAD_TOKEN": 4500,
        "PROTOCOL_ERROR": 4501,
        "BANNED": 4502,
        "REPLACED": 4503,
        "ROOM_GONE": 4504,
        "BAD_UTF8": 1007,
        "TOO_BIG": 1009,
        "INTERNAL": 1011,
        "TRY_LATER": 1013,
    }


def test_a_refusal_is_told_as_an_error():
    slow = Refusal(Code.RATE_LIMITED, message="too fast", retry_after_ms=300)
    assert msgspec.json.decode(encode(refusal_reply(slow, 17))) == {
        "t": "error",
        "cid": 17,
        "code": "RATE_LIMITED",
        "retryable": True,
        "retry_after_ms": 300,
        "params": {},
        "message": "too fast",
    }
    muted = Refusal(Code.MUTED, {"until": 5})
    assert encode(refusal_reply(muted, UNSET)) == (
        b'{"t":"error","code":"MUTED","retryable":false,"params":{"until":5},"message":""}'
    )


def test_events_have_the_names_of_the_wire():
    assert encode(Notice("hi", "h1")) == b'{"t":"room.notice","text":"hi","from":"h1"}'
    assert encode(Stats(0, 0, 0.0, 0)) == b'{"t":"room.stats","viewers":0,"likes":0,"rate":0.0,"ver":0}'


# frames


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536, MOST_OUT])
@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
def test_a_frame_of_any_length_is_understood(length: int, opcode: Opcode):
    (told,) = frames(frame(b"x" * length, opcode))
    assert (told.opcode, told.fin, bytes(told.data)) == (opcode, True, b"x" * length)


@pytest.mark.parametrize("reason", ["", "the room is closed", "x" * 123, "x" * 200])
def test_a_close_has_its_code_and_as_much_of_its_reason_as_fits(reason: str):
    (told,) = frames(close_frame(Close.ROOM_GONE, reason))
    assert told.opcode is Opcode.CLOSE
    assert Farewell.parse(bytes(told.data)) == Farewell(4504, reason[:123])


def test_a_reason_is_not_cut_within_a_character():
    (told,) = frames(close_frame(Close.ROOM_GONE, "é" * 100))
    assert Farewell.parse(bytes(told.data)).reason == "é" * 61


def test_one_message_is_an_object_and_several_are_an_array():
    assert join([b'{"t":"a"}']) == join([Raw(b'{"t":"a"}')]) == b'{"t":"a"}'
    assert join([b'{"t":"a"}', Raw(b'{"t":"b"}')]) == b'[{"t":"a"},{"t":"b"}]'


ALL = pytest.mark.parametrize(
    "codec", [*CODECS.values(), *DEFLATED.values()], ids=["json", "msgpack", "json deflated", "msgpack deflated"]
)


@ALL
@settings(deadline=None)
@given(values=st.lists(MESSAGES, min_size=1, max_size=8))
def test_a_client_hears_every_message_once_and_in_order(codec: Codec, values: list[dict[str, object]]):
    assert messages(framed([bytes_of(value) for value in values], codec), codec) == values


@ALL
@pytest.mark.parametrize("count", [2, 3, 1100, 5000])
def test_what_is_more_than_a_mebibyte_is_told_in_several_frames(codec: Codec, count: int):
    size = 3 * MOST_OUT // count
    values = [{"t": "x", "n": n, "text": "é" * (size // 2)} for n in range(count)]
    data = framed([bytes_of(value) for value in values], codec)
    assert messages(data, codec) == values
    assert len(frames(data)) > 1
    assert count < 1000 or all(len(told.data) <= MOST_OUT for told in frames(data))


@BOTH
def test_a_frame_is_compressed_where_that_pays(codec: Codec):
    tight = DEFLATED[codec.name]
    said = [bytes_of({"t": "chat.message", "id": f"{n:09}", "text": "hello"}) for n in range(50)]
    assert len(framed(said, tight)) < 0.2 * len(framed(said, codec))
    assert framed(said, tight)[0] == framed(said, codec)[0] | 0x40
    for little in ([said[0]], said[:2]):
        assert framed(little, tight) == framed(little, codec)
    assert deflated(token_bytes(800)) is None


def test_an_array_of_a_mebibyte_is_one_frame():
    part = b'{"t":"%b"}' % (b"x" * 66)
    parts = [part] * 13_981
    assert len(join(parts)) == MOST_OUT
    assert len(frames(framed(parts, JSON_CODEC))) == 1
    assert len(frames(framed([*parts, part], JSON_CODEC))) == 2


def test_a_welcome_holds_its_snapshot_as_json():
    who, about = Who("u1", "Ann", Role.VIEWER), About("demo", "Demo", 12, 340)
    welcome = Welcome(who, about, "k3f9", 1842, 5, 15000, False, Raw(b'{"chat":[]}'))
    assert msgspec.json.decode(encode(welcome)) == {
        "t": "welcome",
        "viewer": {"id": "u1", "name": "Ann", "role": "viewer"},
        "room": {"id": "demo", "title": "Demo", "viewers": 12, "likes": 340},
        "epoch": "k3f9",
        "seq": 1842,
        "now": 5,
        "heartbeat_ms": 15000,
        "recovered": False,
        "snapshot": {"chat": []},
    }
