"""Comments as they are kept, JSON: found by their id, and forgotten when they are deleted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from msgspec import UNSET, Raw, Struct, json

from gameplay.danmaku import Mentioned
from gameplay.moderation import Delete, Deleted
from gameplay.play import Role
from liveroom.ids import time_of

MOST_IDS, MOST_VIEWERS = 2000, 500  # deleted lately, as far as a node remembers them


class Head(Struct, rename={"from_": "from"}):
    """What a comment is known by."""

    id: str
    ts: int
    from_: str
    role: Role


Body = TypeVar("Body", Raw, bytes)

read_head = json.Decoder(Head).decode
read_mention = json.Decoder(Mentioned).decode
MENTION = b'{"t":"chat.mentioned"'  # what letters that quote a comment begin with


def find(comments: Iterable[Raw], id_: str) -> Raw | None:
    """The comment with this id; in a text the quotes would be escaped."""
    wanted = f'"id":"{id_}"'.encode()
    return next((one for one in comments if wanted in bytes(one)), None)


class Erased:
    """What was deleted of a room lately: a comment may come later than the word that it is deleted."""

    def __init__(self) -> None:
        self.ids: dict[str, None] = {}
        self.viewers: dict[str, int] = {}  # all that he said until then, room time in ms

    def note(self, what: Deleted | Delete, ts: int) -> None:
        if what.ids is not UNSET:
            self.ids.update(dict.fromkeys(what.ids))
        if what.viewer is not UNSET:
            self.viewers[what.viewer] = max(ts, self.viewers.get(what.viewer, 0))
        while len(self.ids) > MOST_IDS:
            del self.ids[next(iter(self.ids))]
        while len(self.viewers) > MOST_VIEWERS:
            del self.viewers[next(iter(self.viewers))]

    def hides(self, comment: Raw | bytes) -> bool:
        head = read_head(comment)
        return self.holds(head.id, head.from_, head.ts)

    def hides_letter(self, letter: bytes) -> bool:
        """Whether this private message quotes a comment that was deleted."""
        if not (self.ids or self.viewers) or not letter.startswith(MENTION):
            return False
        mention = read_mention(letter)
        return self.holds(mention.id, mention.by, time_of(mention.id))

    def holds(self, id_: str, viewer: str, ts: int) -> bool:
        return id_ in self.ids or ts <= self.viewers.get(viewer, -1)

    def left(self, comments: Iterable[Body]) -> list[Body]:
        """Those that were not deleted."""
        return [one for one in comments if not self.hides(one)] if self.ids or self.viewers else list(comments)
