"""What becomes of a comment: judged, counted where it enters rounds, shown to the room, told to whom it names."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from msgspec import UNSET, Struct, json, structs
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gameplay.danmaku import Mentioned, Message, Reply, Say, misnamed, too_much
from gameplay.moderation import NO_SUCH_COMMENT, Sanction, binding, muted
from gameplay.play import Command, Refusal
from gameplay.questions import Asker
from gameplay.text import typed
from liveroom.asked import Asked, digest, once_key
from liveroom.comments import find, read_head
from liveroom.entrance import Entrance, Outcome
from liveroom.ids import Ids
from liveroom.judge import SHADOWED, Judge, resent, take_back
from liveroom.limits import OTHER, too_fast
from liveroom.protocol import HistoryGet, encode
from liveroom.review import DENIED, Review
from liveroom.room import Room
from liveroom.settings import Settings
from liveroom.store.chat import Chat
from liveroom.store.crowd import Comment, Crowd, as_said
from liveroom.store.crowd import Said as CommentSaid
from liveroom.store.gather import UNKNOWN
from liveroom.store.inboxes import Mention, letter_of
from liveroom.store.mail import Mail
from liveroom.store.questions import Questions
from liveroom.store.rooms import MISMATCH, REMEMBER_SECONDS, TRY_LATER, Rooms
from liveroom.wall import OnWall


class Draft(Struct, frozen=True):
    """A comment that may be said. ``again``: said before; ``alone``: only its author is to think that it is shown."""

    asked: Asked
    message: Message
    outcome: Outcome
    again: bool
    alone: bool


class Speech:
    """Obeys the commands of comments. Every one is answered once, when it is known what became of it."""

    def __init__(
        self,
        settings: Settings,
        ids: Ids,
        rooms: Rooms,
        live: Redis,
        crowd: Crowd,
        entrance: Entrance,
        judge: Judge,
        review: Review,
        chat: Chat,
        mail: Mail,
        questions: Questions,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.settings = settings
        self.ids = ids
        self.rooms = rooms
        self.live = live
        self.crowd = crowd
        self.entrance = entrance
        self.judge = judge
        self.review = review
        self.chat = chat
        self.mail = mail
        self.questions = questions
        self.spawn = spawn
        self.entering: dict[str, Asked] = {}  # comments that enter rounds at this moment, by their idempotency key
        self.verbs: dict[type[Command], Callable[[Asked], None]] = {
            Say: self.say,
            Reply: self.reply,
            HistoryGet: self.history,
        }

    def say(self, asked: Asked) -> None:
        """A comment that is an entry too is counted first, and counts even if nobody is shown it."""
        command, actor = asked.command, asked.actor
        assert isinstance(command, Say)
        if not actor.staff and (wait := actor.person.owes(OTHER.shared(actor.person.homes), asked.at / 1000)):
            return asked.refused(too_fast(wait))
        text = typed(command.text)
        if refusal := too_much(text) or misnamed(command.mentions):
            return self.refuse(asked, refusal)
        if (mute := mute_of(asked)) and not mute.shadow:
            return self.refuse(asked, muted(mute))
        again = resent(asked, text)
        rounds = self.entrance.entered_by(asked, text, again=again)
        if not rounds:
            return self.publish(asked, text, again, Outcome({}))
        if refusal := self.too_many(asked):
            return asked.refused(refusal)
        if command.idem is UNSET:
            return self.entrance.enter_all(asked, rounds, lambda outcome: self.publish(asked, text, again, outcome))
        return self.enter_once(asked, rounds, text, again)

    def publish(self, asked: Asked, text: str, again: bool, outcome: Outcome) -> None:
        """Show a comment to the room; ``outcome`` is what it entered."""
        if outcome.unknown:
            return asked.refused(UNKNOWN)
        refusal = self.too_many(asked) or self.alone(asked, text) if again else self.judge.judge(asked, text)
        if refusal is not None and refusal is not SHADOWED:
            return self.unshown(asked, refusal, outcome)
        if (mute := mute_of(asked)) and not mute.shadow:
            return self.unshown(asked, muted(mute), outcome)
        alone = refusal is SHADOWED or mute is not None
        draft = Draft(asked, self.message(asked, text), outcome, again, alone)
        if not self.review.on or asked.actor.staff:
            return self.show(draft)
        self.spawn(self.show_if(draft))
        return None

    async def show_if(self, draft: Draft) -> None:
        """Show a comment if the review allows it."""
        asked = draft.asked
        refusal = await self.review.judge(asked, draft.message)
        alone = draft.alone
        if refusal is DENIED and self.settings.shadow_blocked:
            refusal, alone = None, True
        if refusal is None and (mute := mute_of(asked)):
            refusal, alone = None if mute.shadow else muted(mute), True
        if refusal is None:
            return self.show(structs.replace(draft, alone=alone))
        if not draft.again:
            take_back(asked)
        return self.unshown(asked, refusal, draft.outcome)

    def message(self, asked: Asked, text: str) -> Message:
        command, actor = asked.command, asked.actor
        assert isinstance(command, Say)
        return Message(
            self.ids.new(asked.at),
            int(asked.at),
            actor.viewer,
            actor.name,
            actor.role,
            text,
            reply_to=command.reply_to,
            mentions=names(asked, command),
        )

    def show(self, draft: Draft) -> None:
        if all(one in draft.asked.room.people for one in draft.message.mentions):
            self.hand_on(draft)
        else:
            self.spawn(self.show_with_known(draft))

    async def show_with_known(self, draft: Draft) -> None:
        """Whom nobody knows the room is not told of: any words could stand for him, of any length, unread."""
        room, message = draft.asked.room, draft.message
        try:
            strangers = await self.mail.inboxes.strangers(room.info.id, message.mentions)
        except (RedisError, OSError, TimeoutError):
            return self.was_said(draft, TRY_LATER)
        known = tuple(one for one in message.mentions if one in room.people or one not in strangers)
        return self.hand_on(structs.replace(draft, message=structs.replace(message, mentions=known)))

    def hand_on(self, draft: Draft) -> None:
        """On the road to the room, also what nobody is shown: so its author is answered like any other."""
        asked, message, more = draft.asked, draft.message, draft.outcome.fields
        comment = Comment(message.id, message.from_, encode(message), asked.actor.staff, partial(self.was_said, draft))
        comment.again, comment.alone, comment.more = draft.again, draft.alone, encode(more) if more else b""
        if asked.command.idem is not UNSET:
            comment.once, comment.digest = once_key(self.rooms, asked), digest(asked.command)
        self.crowd.say(asked.room.info.id, asked.room.window_ms(self.settings.window_ms), comment)

    def was_said(self, draft: Draft, result: CommentSaid | Refusal) -> None:
        asked, message = draft.asked, draft.message
        if isinstance(result, Refusal):
            if not draft.again:
                take_back(asked)
            self.unshown(asked, result, draft.outcome)
        elif draft.alone:
            asked.done(told_before(result))
        else:
            self.said(asked, message.text, result)
            if result.id == message.id and not (asked.actor.staff or draft.outcome.entered):
                by = Asker(message.id, message.from_, message.name, message.text, message.ts)
                self.questions.heard(asked.room.info.id, by)

    # -- what is not shown --

    def refuse(self, asked: Asked, refusal: Refusal) -> None:
        """A comment that is refused is a command like any other; who may give no more of these is not read for a while.

        Whoever is read no more loses no entry by it: an entry is such a command too.
        """
        if wait := self.too_many(asked):
            asked.actor.person.unpaid = True
        asked.refused(wait or refusal)

    def unshown(self, asked: Asked, refusal: Refusal, outcome: Outcome) -> None:
        """Not shown; but what it entered, it entered."""
        if not outcome.entered:
            return self.refuse(asked, refusal)
        fields = {**outcome.fields, "shown": False, "why": refusal.code}
        if asked.command.idem is UNSET:
            return asked.done(fields)
        self.spawn(self.remember(asked, fields))
        return None

    async def remember(self, asked: Asked, fields: dict[str, Any]) -> None:
        """Sent again, it is not shown either, and answered the same."""
        key, mine, said = once_key(self.rooms, asked), digest(asked.command).encode(), CommentSaid("-", encode(fields))
        with suppress(RedisError, OSError, TimeoutError):
            kept = b"%b %b %b" % (mine, said.id.encode(), said.more)
            if not await self.live.set(key, kept, nx=True, ex=REMEMBER_SECONDS):
                before: Any = await self.live.get(key)
                theirs, _, answer = (before or kept).partition(b" ")
                if theirs != mine:
                    return asked.refused(MISMATCH)
                said = as_said(answer) or said
        return asked.done(told_before(said))

    def alone(self, asked: Asked, text: str) -> Refusal | None:
        """What is sent again and was shown to its author alone is told to nobody now either."""
        return SHADOWED if self.judge.holds(asked, text) else None

    # -- said again --

    def too_many(self, asked: Asked) -> Refusal | None:
        """A resend of the same intention is neither a comment nor a duplicate, but it is a command."""
        person = asked.actor.person
        if asked.actor.staff:
            return None
        wait = person.act(OTHER.shared(person.homes), asked.at / 1000)
        return too_fast(wait) if wait else None

    def enter_once(self, asked: Asked, rounds: Sequence[OnWall], text: str, again: bool) -> None:
        """An entry that may be sent again, while this one is under way or later, here or elsewhere."""
        key = once_key(self.rooms, asked)
        first = self.entering.get(key)
        if first is None:
            self.entering[key] = asked
            asked.also, asked.over = [], partial(self.entering.__delitem__, key)
            self.spawn(self.enter_unless(asked, key, rounds, text, again))
        elif digest(first.command) == digest(asked.command):
            first.also.append(asked)
        else:
            asked.refused(MISMATCH)

    async def enter_unless(self, asked: Asked, key: str, rounds: Sequence[OnWall], text: str, again: bool) -> None:
        """Enter, unless this was answered before: then it is answered the same."""
        try:
            kept: Any = await self.live.get(key)
        except (RedisError, OSError, TimeoutError):
            return asked.refused(TRY_LATER)
        if kept is None:
            return self.entrance.enter_all(asked, rounds, lambda outcome: self.publish(asked, text, again, outcome))
        mine, _, answer = kept.partition(b" ")
        said = as_said(answer) if mine.decode() == digest(asked.command) else None
        if said is None:
            return asked.refused(MISMATCH)
        return asked.done(told_before(said)) if self.alone(asked, text) else self.said(asked, text, said)

    # -- answers and mentions --

    def reply(self, asked: Asked) -> None:
        """The staff answer a comment: said like any other, and its author is told."""
        self.spawn(self.reply_to(asked))

    async def reply_to(self, asked: Asked) -> None:
        command = asked.command
        assert isinstance(command, Reply)
        try:
            author = await self.author(asked.room, command.id)
            again = command.idem is not UNSET and await self.live.exists(once_key(self.rooms, asked))
        except (RedisError, OSError, TimeoutError):
            return asked.refused(TRY_LATER)
        if author is None and not again:  # of one that was answered nothing may be left
            return asked.refused(NO_SUCH_COMMENT)
        said = Say(text=command.text, reply_to=command.id, cid=command.cid, idem=command.idem)
        return self.say(structs.replace(asked, command=said, answers=author))

    async def author(self, room: Room, comment: str) -> str | None:
        """Who made a comment that is still kept, or a question that waits though the room was not shown it."""
        if found := await self.chat.comment(room, comment):
            return read_head(found).from_
        asker = await self.questions.asker(room.info.id, comment)
        return None if asker is None or comment in room.erased.ids else asker.viewer

    def said(self, asked: Asked, text: str, said: CommentSaid) -> None:
        """It is said, now or before: whom it names is told in private too, for the room may not be shown it."""
        command, fields = asked.command, told_before(said)
        assert isinstance(command, Say)
        if "id" in fields and (command.mentions or command.reply_to is not UNSET) and not mute_of(asked):
            self.spawn(self.mention(asked, command, text, fields))
        else:
            asked.done(fields)

    async def mention(self, asked: Asked, command: Say, text: str, fields: dict[str, Any]) -> None:
        """The `ok` comes behind the letters, so that nothing that was acknowledged is lost with this node."""
        room, by, id_ = asked.room, asked.actor.viewer, fields["id"]
        try:
            named = dict.fromkeys(names(asked, command))
            if author := await self.answered(asked, command):
                named[author] = None
            named.pop(by, None)
            told = Mentioned(by, id_, text, command.reply_to, letter_of(id_))
            if named and not room.erased.hides_letter(body := encode(told)):
                await self.mail.post(room.info.id, Mention(told.inbox, tuple(named), body))
        finally:
            asked.done(fields)

    async def answered(self, asked: Asked, command: Say) -> str | None:
        """Who is answered. A question that the staff answers waits no more; the room may not have been shown it."""
        if command.reply_to is UNSET:
            return None
        room, author = asked.room.info.id, author_of(asked.room, command.reply_to)
        if asked.actor.staff:
            with suppress(RedisError, OSError, TimeoutError):
                if author is None and (asker := await self.questions.asker(room, command.reply_to)):
                    author = asker.viewer
                await self.questions.answered(room, command.reply_to)
        return author

    def history(self, asked: Asked) -> None:
        command = asked.command
        assert isinstance(command, HistoryGet)
        before = command.before
        older = [one for one in asked.room.chat if before is UNSET or read_head(one).id < before]
        asked.done({"comments": older[-command.limit :]})


def names(asked: Asked, command: Say) -> tuple[str, ...]:
    """Whom a comment names, and whom the staff answer with it."""
    answers = asked.answers
    return command.mentions if answers in (None, asked.actor.viewer) else (*command.mentions, answers)


def told_before(said: CommentSaid) -> dict[str, Any]:
    """What the author of a comment is answered, now and whenever he sends it again."""
    more: dict[str, Any] = json.decode(said.more) if said.more else {}
    return more if said.id == "-" else {"id": said.id, **more}


def mute_of(asked: Asked) -> Sanction | None:
    """The mute that binds him who speaks."""
    actor = asked.actor
    return binding(asked.room.sanctions, "mute", actor.viewer, actor.role, asked.at)


def author_of(room: Room, comment: str) -> str | None:
    found = find(reversed(room.chat), comment)
    return None if found is None else read_head(found).from_
