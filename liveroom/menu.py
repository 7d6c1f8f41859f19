"""The plays of the menu, found by what they are asked for by."""

from __future__ import annotations

from typing import Any

from gameplay import PLAYS
from gameplay.play import Command, Event, Round

ROUNDS: dict[type[Command], Round[Any]] = {play.opens: play for play in PLAYS if isinstance(play, Round)}
KINDS: dict[str, Round[Any]] = {play.kind: play for play in ROUNDS.values()}
ENTERS: dict[type[Command], Round[Any]] = {play.enters: play for play in KINDS.values() if play.enters}
CLAIMS: dict[type[Command], Round[Any]] = {play.claims: play for play in KINDS.values() if play.claims}
TURNS: dict[type[Command], Round[Any]] = {turn: play for play in KINDS.values() for turn in play.turns}
BELLS: dict[str, Round[Any]] = {bell: play for play in KINDS.values() for bell in play.grants}  # not the referee's


def tag(event: type[Event] | type[Command]) -> str:
    return str(event.__struct_config__.tag)


REVEALS = frozenset(tag(event) for play in KINDS.values() for event in play.reveals)
