"""Moderation: whom a sanction binds and how long, what a mode asks for, and what stands after many commands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from gameplay.moderation import (
    OPEN,
    Ban,
    Given,
    Kind,
    Manners,
    Mute,
    Pin,
    Sanction,
    Settings,
    Unban,
    Unmute,
    as_told,
    binding,
    changed,
    muted,
    name_of,
    sanction_of,
    standing,
    told,
    unmannerly,
)
from gameplay.play import Code, Command, Role

NOW = 1_000_000.0


def ban(by: Role = Role.MODERATOR, until: int = 0, kind: Kind = "ban") -> Sanction:
    return Sanction(kind, "eve", until, int(NOW), "mo", by)


@pytest.mark.parametrize(
    ("by", "role", "binds"),
    [
        (Role.MODERATOR, Role.VIEWER, True),
        (Role.MODERATOR, Role.MODERATOR, True),
        (Role.MODERATOR, Role.HOST, False),
        (Role.MODERATOR, Role.SERVICE, False),
        (Role.HOST, Role.HOST, True),
        (Role.SERVICE, Role.HOST, True),
        (Role.HOST, Role.SERVICE, True),
    ],
)
def test_what_a_moderator_imposes_binds_nobody_above_him(by: Role, role: Role, binds: bool):
    assert ban(by).binds(role, NOW) is binds


def test_a_sanction_ends_at_its_time_and_without_one_never():
    assert ban(until=int(NOW)).binds(Role.VIEWER, NOW - 1)
    assert not ban(until=int(NOW)).binds(Role.VIEWER, NOW)
    assert ban().binds(Role.VIEWER, 1e15)


def test_a_sanction_is_found_by_its_kind_and_viewer():
    sanctions = {name_of("ban", "eve"): ban()}
    assert binding(sanctions, "ban", "eve", Role.VIEWER, NOW) == ban()
    assert binding(sanctions, "mute", "eve", Role.VIEWER, NOW) is None
    assert binding(sanctions, "ban", "eve ", Role.VIEWER, NOW) is None
    assert binding(sanctions, "ban", "eve", Role.HOST, NOW) is None
    assert binding({}, "ban", "eve", Role.VIEWER, NOW) is None


def test_a_command_becomes_a_sanction():
    mute = sanction_of(Mute(viewer="eve", seconds=60, reason="loud", shadow=True), "mo", Role.MODERATOR, NOW)
    assert mute == Sanction("mute", "eve", int(NOW) + 60_000, int(NOW), "mo", Role.MODERATOR, "loud", True)
    assert sanction_of(Ban(viewer="eve"), "h", Role.HOST, NOW) == Sanction("ban", "eve", 0, int(NOW), "h", Role.HOST)
    assert (muted(mute).code, muted(mute).params) == (Code.MUTED, {"until": mute.until})


@pytest.mark.parametrize(
    ("manners", "level", "spoke", "code"),
    [
        (OPEN, 0, NOW, None),
        (Manners("muted"), 99, None, Code.ROOM_MUTED),
        (Manners("members", level=3), 2, None, Code.MEMBERS_ONLY),
        (Manners("members", level=3), 3, None, None),
        (Manners("slow", slow_seconds=10), 0, None, None),
        (Manners("slow", slow_seconds=10), 0, NOW, Code.SLOW_MODE),
        (Manners("slow", slow_seconds=10), 0, NOW - 9_999, Code.SLOW_MODE),
        (Manners("slow", slow_seconds=10), 0, NOW - 10_000, None),
        (Manners("slow", slow_seconds=10), 0, NOW + 1, None),  # the clock was set back
    ],
)
def test_a_mode_lets_speak_who_may(manners: Manners, level: int, spoke: float | None, code: Code | None):
    refusal = unmannerly(manners, level, spoke, NOW)
    assert (refusal and refusal.code) == code
    if code is Code.SLOW_MODE:
        assert refusal is not None
        assert refusal.retry_after_ms == 10_000 - (NOW - (spoke or 0))


@given(st.lists(st.integers(0, 30_000), max_size=9), st.integers(0, 40_000))
def test_who_is_rested_is_kept_waiting_by_nothing(times: list[int], now: int):
    manners = Manners("slow", slow_seconds=10)
    spoke = {f"u{n}": float(at) for n, at in enumerate(sorted(times))}
    rested = manners.rested(spoke, now)
    assert all(unmannerly(manners, 0, spoke[one], now) is None for one in rested)
    assert all(now - at < 10_000 for one, at in spoke.items() if one not in rested)


def test_what_is_left_out_of_settings_stays_if_it_is_the_rate_or_the_words():
    first = changed(OPEN, Settings(mode="slow", slow_seconds=30, rate=2, words=("rude",)))
    assert first == Manners("slow", 30, 0, 2, ("rude",))
    second = changed(first, Settings(mode="members", level=3))
    assert second == Manners("members", 0, 3, 2, ("rude",))
    assert changed(second, Settings(mode="open", rate=0, words=())) == OPEN


def test_a_room_is_told_what_matters_in_its_mode_and_never_the_words():
    assert (told(Settings(mode="open")).slow_seconds, told(Settings(mode="open")).level) == (0, UNSET)
    assert told(Settings(mode="slow")).slow_seconds == 10
    assert told(Settings(mode="members", slow_seconds=5)).level == 1
    assert as_told(Manners("members", 0, 3, 0.5, ("rude",))).level == 3
    assert as_told(Manners("members", 0, 3, 0.5)).rate == 0.5
    assert as_told(OPEN) == told(Settings(mode="open"))


def test_what_stands_is_what_was_commanded_last():
    commands: list[Command] = [
        Ban(viewer="eve"),
        Mute(viewer="eve", seconds=60),
        Ban(viewer="bob", seconds=5),
        Settings(mode="muted"),
        Unban(viewer="eve"),
        Unmute(viewer="nobody"),
        Pin(id="0000000000", seconds=1),
        Ban(viewer="bob", seconds=9),
    ]
    stand = standing(Given(command, "h", Role.HOST, 1000 + n) for n, command in enumerate(commands))
    assert stand.sanctions.keys() == {"mute eve", "ban bob"}
    assert stand.sanctions["ban bob"].until == 1007 + 9000
    assert stand.manners == Manners("muted")
    assert (standing([]).manners, standing([]).sanctions) == (OPEN, {})
