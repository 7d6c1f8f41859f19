"""What the staff command in a chat, done."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from msgspec import UNSET, Raw
from redis.exceptions import RedisError

from gameplay.danmaku import Message
from gameplay.moderation import (
    EITHER,
    NO_SUCH_COMMENT,
    ON_A_HOST,
    ON_HIMSELF,
    SANCTIONS,
    SLOWEST_RATE,
    TOO_SLOW,
    Ban,
    Delete,
    Dismiss,
    Mute,
    Pin,
    Report,
    Settings,
    Unban,
    Unmute,
    Unpin,
    sanction_of,
)
from gameplay.play import Code, Command, Refusal, Role
from gameplay.text import shown
from gameplay.wordlist import room_words
from liveroom.asked import Asked, Done, fields, later, order_of
from liveroom.comments import find, read_head, read_mention
from liveroom.ids import Ids, time_of
from liveroom.protocol import encode
from liveroom.room import Room
from liveroom.store.chat import Chat
from liveroom.store.inboxes import Inboxes, letter_of
from liveroom.store.orders import Order, answered
from liveroom.store.questions import Questions
from liveroom.store.reports import Reports
from liveroom.store.sanctions import Docket

NOTHING_TO_REPORT = Refusal(Code.NO_SUCH_COMMENT, message="nobody else has made such a comment, or it is gone")


class Moderation:
    """The verbs of the staff."""

    def __init__(
        self,
        docket: Docket,
        chat: Chat,
        reports: Reports,
        questions: Questions,
        inboxes: Inboxes,
        ids: Ids,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.docket = docket
        self.chat = chat
        self.reports = reports
        self.questions = questions
        self.inboxes = inboxes
        self.ids = ids
        self.verbs: dict[type[Command], Callable[[Asked], None]] = {
            **dict.fromkeys([Ban, Mute], later(spawn, self.impose)),
            **dict.fromkeys([Unban, Unmute], later(spawn, self.lift)),
            Settings: later(spawn, self.set_chat),
            Delete: later(spawn, self.delete),
            Pin: later(spawn, self.pin),
            Unpin: later(spawn, self.unpin),
            Report: later(spawn, self.report),
            Dismiss: later(spawn, self.dismiss),
        }

    async def impose(self, asked: Asked) -> Done:
        command: Any = asked.command
        if command.viewer == asked.actor.viewer:
            return ON_HIMSELF
        sanction = sanction_of(command, asked.actor.viewer, asked.actor.role, asked.at)
        done = fields(await self.docket.impose(self.order(asked), sanction))
        if sanction.kind == "ban" and not isinstance(done, Refusal):
            with suppress(RedisError, OSError, TimeoutError):  # nobody who is banned waits for an answer
                await self.questions.forget(asked.room.info.id, viewers=[sanction.viewer])
        return done

    async def lift(self, asked: Asked) -> Done:
        command: Any = asked.command
        if command.viewer == asked.actor.viewer:
            return ON_HIMSELF
        return fields(await self.docket.lift(self.order(asked), SANCTIONS[type(command)], command.viewer))

    async def set_chat(self, asked: Asked) -> Done:
        command: Any = asked.command
        if command.rate and command.rate < SLOWEST_RATE:
            return TOO_SLOW
        if command.words and isinstance(unfit := room_words(command.words), Refusal):
            return unfit
        return fields(await self.chat.set(self.order(asked), command))

    async def delete(self, asked: Asked) -> Done:
        command: Any = asked.command
        if (command.ids is UNSET) == (command.viewer is UNSET):
            return EITHER
        if command.viewer == asked.actor.viewer:
            return ON_HIMSELF
        if not asked.actor.role.may(Role.HOST) and any(by_host(asked.room, one) for one in command.ids or ()):
            return ON_A_HOST
        order = self.order(asked)
        if before := await answered(self.chat.rooms, order):
            return fields(before)
        done = fields(await self.chat.delete(order, command))
        if not isinstance(done, Refusal):
            asked.room.erased.note(command, int(asked.at))
            with suppress(RedisError, OSError, TimeoutError):  # it is done; who comes later leaves it out by himself
                await self.chat.forget(asked.room)
                await self.reports.forget(asked.room.info.id, asked.room.erased)
                viewers = () if command.viewer is UNSET else (command.viewer,)
                await self.inboxes.erase(asked.room.info.id, command.ids or (), command.viewer or "")
                await self.questions.forget(asked.room.info.id, command.ids or (), viewers)
        return done

    async def pin(self, asked: Asked) -> Done:
        command: Any = asked.command
        comment, order = await self.chat.comment(asked.room, command.id), self.order(asked)
        if comment is None:
            return fields(await answered(self.chat.rooms, order) or NO_SUCH_COMMENT)
        return fields(await self.chat.pin(order, command.id, comment, int(asked.at) + command.seconds * 1000))

    async def unpin(self, asked: Asked) -> Done:
        command: Any = asked.command
        return fields(await self.chat.unpin(self.order(asked), command.id))

    async def report(self, asked: Asked) -> Done:
        command: Any = asked.command
        comment, why = self.chat.comment_here(asked.room, command.id), shown(command.why)
        if comment is not None and read_head(comment).from_ == asked.actor.viewer:
            comment = None  # else who is muted in the shadow could tell that nobody was shown his
        comment = comment or await self.mentioned(asked, command.id)
        if comment is None:
            return NOTHING_TO_REPORT
        await self.reports.add(asked.room.info.id, command.id, comment, asked.actor.viewer, why)
        return {}

    async def mentioned(self, asked: Asked, id_: str) -> Raw | None:
        """A comment that the room need not have been shown, from the letter of whom it mentions."""
        viewer, room = asked.actor.viewer, asked.room
        letter = await self.inboxes.letter(room.info.id, viewer, letter_of(id_))
        if letter is None or room.erased.hides_letter(letter):
            return None
        told = read_mention(letter)
        by = told.by  # his name is not in it; and of the staff the room is shown everything
        return Raw(encode(Message(id_, time_of(id_), by, by, Role.VIEWER, told.text, told.of, (viewer,))))

    async def dismiss(self, asked: Asked) -> Done:
        command: Any = asked.command
        await self.reports.drop(asked.room.info.id, [command.id])
        return {}

    def order(self, asked: Asked) -> Order:
        return order_of(asked, self.docket.rooms, self.ids)


def by_host(room: Room, id_: str) -> bool:
    """Whether a comment is known to be a host's."""
    found = find(room.chat, id_) or find((pin.comment for pin in room.board.pins), id_)
    return found is not None and read_head(found).role.may(Role.HOST)
