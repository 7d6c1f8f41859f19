"""A snapshot is JSON made of what is JSON already, and shows no more than the newest comments."""

import msgspec
from msgspec import Raw

from gameplay.moderation import Deleted, Manners
from liveroom.room import Limits, Room, RoomInfo
from liveroom.snapshot import board_json, manners, pins, snapshot
from liveroom.wall import Board

NOTICE = b'{"t":"room.notice","seq":3,"text":"sale at eight","from":"h1"}'


def room_with(comments: int, **board: bytes) -> Room:
    room = Room(RoomInfo("demo", "Demo", "", "open", 0), "k3f9", 0, Limits())
    room.chat.extend(Raw(b'{"id":%d}' % n) for n in range(comments))
    room.board = Board(3, board_json(board), {})
    return room


def test_an_empty_room_is_shown_as_one():
    assert msgspec.json.decode(snapshot(room_with(0))) == {
        "chat": [],
        "pinned": [],
        "notice": None,
        "settings": {"mode": "open", "slow_seconds": 0, "stream_delay_ms": 0},
        "rounds": [],
        "next_up": None,
        "inbox": [],
    }


def test_the_last_notice_hangs_on_the_board():
    shown = msgspec.json.decode(snapshot(room_with(0, notice=NOTICE, other=b"5")))
    assert shown["notice"] == msgspec.json.decode(NOTICE)


def test_the_newest_fifty_comments_are_shown_oldest_first():
    shown = msgspec.json.decode(snapshot(room_with(60)))
    assert [one["id"] for one in shown["chat"]] == list(range(10, 60))
    assert len(msgspec.json.decode(snapshot(room_with(50)))["chat"]) == 50


def test_the_inbox_is_ones_own():
    shown = msgspec.json.decode(snapshot(room_with(1), {}, [b'{"inbox":1}', b'{"inbox":2}']))
    assert shown["inbox"] == [{"inbox": 1}, {"inbox": 2}]


def test_pins_are_shown_until_they_run_out_and_settings_without_their_number():
    comment = b'{"t":"chat.message","id":"aaaaaaaa","ts":1,"from":"ann","role":"viewer","text":"look"}'
    settings = b'{"t":"chat.settings","seq":4,"ts":9,"mode":"slow","slow_seconds":5,"rate":2.5}'
    on_board = {"settings": settings, "words": b'["rude"]', "pin aaaaaaaa": b'{"comment":%b,"until":1000}' % comment}
    room = room_with(0)
    room.board = Board(4, board_json(on_board), {}, pins(on_board))
    shown = msgspec.json.decode(snapshot(room, now=999))
    assert shown["pinned"] == [{"comment": msgspec.json.decode(comment), "until": 1000}]
    assert shown["settings"] == {"mode": "slow", "slow_seconds": 5, "rate": 2.5, "stream_delay_ms": 0}
    assert manners(on_board) == Manners("slow", 5, 0, 2.5, ("rude",))
    assert msgspec.json.decode(snapshot(room, now=1000))["pinned"] == []
    room.erased.note(Deleted(ids=("aaaaaaaa",)), 5)
    assert msgspec.json.decode(snapshot(room, now=999))["pinned"] == []


def test_a_mode_of_a_newer_version_is_shown_as_it_is_and_taken_as_open():
    on_board = {"settings": b'{"mode":"quiet","slow_seconds":0}', "words": b'["rude"]'}
    assert manners(on_board) == Manners(words=("rude",))
    room = room_with(0)
    room.board = Board(4, board_json(on_board), {})
    assert msgspec.json.decode(snapshot(room))["settings"]["mode"] == "quiet"
