"""Keys: one shard's tag for all that one script changes, and never one key for two things."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveroom.store import keys
from liveroom.store.keys import Keys, keys_of, shard_of

ROOMS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=64)


def all_of(at: Keys) -> list[str]:
    named = [at.meta, at.info, at.log, at.board, at.channel, at.crowd, at.chat, at.likes, at.likers]
    return [*named, at.seats, at.here("n1"), at.once("u1", "k1")]


def hash_tag(key: str) -> str:
    """What a Redis cluster hashes of a key."""
    return key[key.index("{") + 1 : key.index("}")]


def test_the_names_of_a_room():
    assert all_of(Keys(7, "demo")) == [
        *("{07}:r:demo:meta", "{07}:r:demo:info", "{07}:r:demo:log", "{07}:r:demo:board", "{07}:r:demo:told"),
        *("{07}:r:demo:crowd", "{07}:r:demo:chat", "{07}:r:demo:likes", "{07}:r:demo:likers"),
        *("{07}:r:demo:seats", "{07}:r:demo:here:n1", "{07}:r:demo:once:2:u1:k1"),
    ]


def test_the_names_of_a_shard():
    shard = [keys.bells(3), keys.leases(3), keys.outbox(3), keys.rooms(3)]
    assert shard == ["{03}:bells", "{03}:leases", "{03}:outbox", "{03}:rooms"]
    assert keys.bells(1023) == "{1023}:bells"


@pytest.mark.parametrize(("room", "shards", "shard"), [("demo", 16, 0), ("demo", 1, 0), ("a", 16, 3), ("b", 16, 9)])
def test_a_room_stays_on_its_shard_whatever_python_runs(room: str, shards: int, shard: int):
    assert shard_of(room, shards) == keys_of(room, shards).shard == shard


@given(ROOMS, st.integers(1, 1024))
def test_all_of_a_room_sits_with_its_shard(room: str, shards: int):
    at = keys_of(room, shards)
    assert 0 <= at.shard < shards
    shard = [keys.bells(at.shard), keys.leases(at.shard), keys.outbox(at.shard), keys.rooms(at.shard)]
    assert {hash_tag(key) for key in [*all_of(at), *shard]} == {f"{at.shard:02d}"}


@given(ROOMS, ROOMS)
def test_two_rooms_share_no_key(one: str, other: str):
    mine, theirs = all_of(keys_of(one, 16)), all_of(keys_of(other, 16))
    assert len(set(mine)) == len(mine)
    assert one == other or not set(mine) & set(theirs)


@given(PRINTABLE, PRINTABLE)
def test_what_a_viewer_is_called_moves_no_key_to_another_shard(viewer: str, idem: str):
    assert hash_tag(keys_of("demo", 16).once(viewer, idem)) == "00"


def test_two_intentions_share_no_key():
    at = keys_of("demo", 16)
    assert at.once("shop:ann", "1") != at.once("shop", "ann:1")
