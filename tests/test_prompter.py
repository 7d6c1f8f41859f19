"""When the staff are told which questions wait: as something changes, and no oftener."""

from __future__ import annotations

import asyncio
from typing import Any

from gameplay.questions import Asked, Asker, fingerprint
from liveroom.prompter import LOOKS, Prompter, Told
from liveroom.store.questions import KEEP_MS, Kept
from tests.test_hub import Guest, Scene


def asked(text: str, at: int) -> dict[str, Asked]:
    one = Asker(f"c{at}", "ann", "Ann", text, at)
    return {fingerprint(text): Asked(one, at, 1, 1, (one,))}


class Sheets:
    """Questions as Redis has them; how often they were read."""

    def __init__(self) -> None:
        self.kept, self.reads = Kept(), 0

    async def versions(self, rooms: list[str]) -> list[int]:
        return [self.kept.ver for _ in rooms]

    async def read(self, _: str) -> Kept:
        self.reads += 1
        return self.kept


class Desk:
    """A prompter that looks when it is told to, at a room with a host."""

    def __init__(self) -> None:
        self.scene, self.sheets = Scene(), Sheets()
        questions: Any = self.sheets
        self.prompter = Prompter(self.scene.hub, questions, 1, lambda: self.scene.timers.now)
        self.prompter.told = {"demo": Told()}
        self.host = self.comes()

    def comes(self) -> Guest:
        return self.scene.guest(staff=True)

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.prompter.looks += 1
            asyncio.run(self.prompter.look([self.scene.room]))

    def told(self, guest: Guest) -> list[list[str]]:
        return [[one["text"] for one in said["questions"]] for said in guest.heard() if said["t"] == "questions.live"]


def test_what_changed_is_told_and_what_did_not_is_not_even_read():
    desk = Desk()
    desk.look(3 * LOOKS)
    assert (desk.sheets.reads, desk.told(desk.host)) == (0, [])
    desk.sheets.kept = Kept(1, asked("how long?", 1))
    desk.look(3 * LOOKS)
    assert (desk.sheets.reads, desk.told(desk.host)) == (1, [["how long?"]])
    late = desk.comes()
    desk.look()
    assert (desk.sheets.reads, desk.told(late), desk.told(desk.host)) == (1, [["how long?"]], [["how long?"]])
    desk.sheets.kept = Kept(2)
    desk.look(3 * LOOKS)
    assert (desk.sheets.reads, desk.told(desk.host)) == (2, [["how long?"], []])


def test_it_is_told_every_two_seconds_at_most():
    desk = Desk()
    told = []
    for ver in range(1, 3 * LOOKS + 1):
        desk.sheets.kept = Kept(ver, asked(f"how much is number {ver}?", ver))
        desk.look()
        told.append(len(desk.told(desk.host)))
    assert told == [1 + look // LOOKS for look in range(3 * LOOKS)]


def test_the_same_questions_in_a_new_version_are_not_told_again():
    desk = Desk()
    for ver in (1, 2, 3):
        desk.sheets.kept = Kept(ver, asked("how long?", 1))
        desk.look(LOOKS)
    assert (desk.sheets.reads, desk.told(desk.host)) == (3, [["how long?"]])


def test_what_has_waited_for_too_long_is_told_to_be_gone_although_nothing_changed_it():
    desk = Desk()
    desk.sheets.kept = Kept(1, asked("how long?", 1))
    desk.look()
    desk.scene.timers.now = 1 + KEEP_MS
    desk.sheets.kept = Kept(1)  # as it is read now
    desk.look(LOOKS)
    assert desk.told(desk.host) == [["how long?"], []]
    desk.look(2 * LOOKS)
    assert (desk.sheets.reads, desk.told(desk.host)) == (2, [["how long?"], []])
