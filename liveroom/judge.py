"""Whether a comment may be said: how the chat is, how often, whether again, and whether its words may be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import UNSET

from gameplay.danmaku import Said, Say, repeats
from gameplay.moderation import unmannerly
from gameplay.play import Code, Refusal
from gameplay.text import folded
from liveroom.asked import Asked
from liveroom.limits import Rate, full, too_fast
from liveroom.settings import Settings
from liveroom.store.rooms import REMEMBER_SECONDS

# A text, the words of the room, the viewer's locale: the word that it holds, or None.
Match = Callable[[str, Sequence[str], str], str | None]

SHADOWED = Refusal(Code.WORD_BLOCKED, message="shown to its author alone")
BLOCKED = Refusal(Code.WORD_BLOCKED, message="a word in it is not allowed here")
AGAIN_MS = (REMEMBER_SECONDS - 60) * 1000  # so long a comment that is sent again is surely known


class Judge:
    """Judges comments in the order of the rules; only what is accepted counts."""

    def __init__(self, settings: Settings, match: Match) -> None:
        self.settings = settings
        self.match = match

    def judge(self, asked: Asked, text: str) -> Refusal | None:
        """Why this may not be said; None, or SHADOWED: it is noted as said."""
        person, now, said = asked.actor.person, asked.at, compared(asked, text)
        if refusal := None if asked.actor.staff else self.too_often(asked):
            return refusal
        if person.said is None:
            person.said = {}
        if repeats(person.said, said, now, self.settings.duplicate_seconds * 1000):
            return Refusal(Code.DUPLICATE, message="you have just said that")
        if self.holds(asked, text):
            if not self.settings.shadow_blocked:
                return BLOCKED
            self.accept(asked, said)
            return SHADOWED
        self.accept(asked, said)
        return None

    def holds(self, asked: Asked, text: str) -> bool:
        """A word that is not allowed."""
        found = None if asked.actor.staff else self.match(text, asked.room.manners.words, asked.actor.locale)
        return found is not None

    def too_often(self, asked: Asked) -> Refusal | None:
        """How the chat is, then the rate."""
        person, room, now = asked.actor.person, asked.room, asked.at
        if refusal := unmannerly(room.manners, asked.actor.level, room.spoke.get(asked.actor.viewer), now):
            return refusal
        rate = self.rate(asked)
        if person.chat is None:
            person.chat = full(rate, now / 1000)
        wait = person.chat.wait(rate, now / 1000)
        return too_fast(wait) if wait else None

    def rate(self, asked: Asked) -> Rate:
        per_second = asked.room.manners.rate or self.settings.chat_rate
        return Rate(per_second, self.settings.chat_burst).shared(asked.actor.person.homes)

    def accept(self, asked: Asked, said: str) -> None:
        person, idem, viewer = asked.actor.person, asked.command.idem, asked.actor.viewer
        assert person.said is not None
        person.said[said] = Said(said, asked.at, "" if idem is UNSET else idem)
        if person.chat is not None:
            person.chat.spend()
        if asked.room.manners.mode == "slow" and not asked.actor.staff:
            asked.room.spoke.pop(viewer, None)
            asked.room.spoke[viewer] = asked.at


def compared(asked: Asked, text: str) -> str:
    """What must not be said twice; of the staff, what they answer with it too, for "yes" answers many questions."""
    command = asked.command
    assert isinstance(command, Say)
    answers = command.reply_to if asked.actor.staff and command.reply_to is not UNSET else ""
    return f"{answers} {folded(text)}".strip()


def resent(asked: Asked, text: str) -> bool:
    """The same intention was said here before, and Redis still knows how that was answered."""
    said, idem = asked.actor.person.said, asked.command.idem
    if idem is UNSET or not said:
        return False
    one = said.get(compared(asked, text))
    return one is not None and one.idem == idem and asked.at - one.at < AGAIN_MS


def take_back(asked: Asked) -> None:
    """A comment that was not said costs nothing and may be said again."""
    person = asked.actor.person
    if person.said:
        person.said = {text: one for text, one in person.said.items() if one.at != asked.at}
    if person.chat:
        person.chat.spend(-1)
    if asked.room.spoke.get(asked.actor.viewer) == asked.at:
        del asked.room.spoke[asked.actor.viewer]
