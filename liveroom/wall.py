"""What hangs on a room's wall: the rounds that are announced, open or still to be settled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Raw, Struct, json

from gameplay.play import Keyword, Opened, Round
from liveroom.menu import KINDS


class Public(Struct, frozen=True):
    """A round as ``_round.lua`` hangs it on the wall."""

    kind: str
    id: str
    state: str
    ver: int
    opened: Raw
    counts: Raw
    result: Raw = Raw(b"null")


class OnWall(Struct, gc=False):
    """A live round as this node knows it. ``counts`` is kept up with what is told of its progress."""

    kind: str
    id: str
    state: str
    ver: int
    opened: Opened
    shown: bytes  # JSON of what was opened
    counts: bytes
    result: bytes  # JSON of what was told of its end, before it is settled
    keyword: Keyword | None

    @property
    def play(self) -> Round[Any]:
        return KINDS[self.kind]


class Pin(Struct, frozen=True):
    """A pinned comment, and until when, room time in ms."""

    comment: Raw
    until: int


class Board(Struct, frozen=True):
    """What a room shows whoever comes, as of one event: JSON of what all see alike, and the live rounds."""

    seq: int
    shown: bytes
    rounds: dict[str, OnWall]
    pins: tuple[Pin, ...] = ()


EMPTY = Board(-1, b"", {})

read_public = json.Decoder(Public).decode
OPENED = {
    kind: {"announced": json.Decoder(play.announced).decode, "open": json.Decoder(play.opened).decode}
    for kind, play in KINDS.items()
}


def read_wall(live: Mapping[str, bytes]) -> dict[str, OnWall]:
    """By round. A kind that this version does not know is left out."""
    read = [read_public(one) for one in live.values()]
    return {one.id: as_on_wall(one) for one in read if one.kind in KINDS}


def as_on_wall(one: Public) -> OnWall:
    announced = one.state == "announced"
    opened: Opened = OPENED[one.kind]["announced" if announced else "open"](one.opened)
    keyword = KINDS[one.kind].keyword(opened) if one.state == "open" else None
    shown, counts, result = bytes(one.opened), bytes(one.counts), bytes(one.result)
    return OnWall(one.kind, one.id, one.state, one.ver, opened, shown, counts, result, keyword)


def just_opened(kind: str, body: bytes) -> OnWall:
    """A round by the event that opened it, before Redis was asked."""
    opened: Opened = OPENED[kind]["open"](body)
    fields: dict[str, Any] = json.decode(body)
    shown = json.encode({name: value for name, value in fields.items() if name not in ("t", "seq", "ts")})
    return OnWall(kind, opened.id, "open", 1, opened, shown, b"{}", b"null", KINDS[kind].keyword(opened))


def rounds_json(wall: Iterable[OnWall], mine: Mapping[str, bytes]) -> bytes:
    """The rounds of a snapshot; ``mine`` is the viewer's own part by round, as JSON."""
    return b",".join(
        b'{"kind":"%b","id":"%b","state":"%b","ver":%d,"opened":%b,"counts":%b,"result":%b,"mine":%b}'
        % (
            one.kind.encode(),
            one.id.encode(),
            one.state.encode(),
            one.ver,
            one.shown,
            one.counts,
            one.result,
            mine.get(one.id, b"null"),
        )
        for one in wall
    )


def next_up_json(wall: Iterable[OnWall]) -> bytes:
    """The announced round that opens first, or null."""
    coming = [one for one in wall if one.state == "announced"]
    if not coming:
        return b"null"
    first = min(coming, key=lambda one: one.opened.opens_at)
    return b'{"kind":"%b",%b' % (first.kind.encode(), first.shown[1:])
