"""Likes: added up on each node, flushed to the room's total a few times a second."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from gameplay.play import Command, Event, Flow


class Counted(Struct, frozen=True):
    counted: int


class Like(Command, frozen=True, tag="like.add"):
    answer = Counted

    n: Annotated[int, Meta(ge=1, le=50)]


class Total(Event, frozen=True, tag="like.total"):
    """The room's likes; ``delta`` since the last of these."""

    delivery = "state"

    total: int
    delta: int
    ver: int


PLAY = Flow((Like,), (Total,))
