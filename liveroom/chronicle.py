"""What is told of rounds to those who ask: one's own part, how a round stands or ended, and the proof of a draw."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Raw, Struct, json

from gameplay.play import Entry, Own, Played, Reading, Round
from liveroom.drawkeys import DrawKeys
from liveroom.kept import Kept
from liveroom.memory import Memory
from liveroom.menu import KINDS
from liveroom.protocol import encode
from liveroom.room import Room
from liveroom.store.inboxes import Inboxes, Letter
from liveroom.store.rounds import Rounds, without

REMEMBERED = 4  # proofs, and rankings, of the rounds last asked for
UNDECIDED = frozenset({"", "announced", "open", "closed"})


class Archive(Protocol):
    """The ledger, as far as rounds ask it. Raises OSError where it does not answer."""

    async def won_since(self, ms: int) -> set[str]:
        """Viewers who won something since then."""

    async def round(self, room: str, round_id: str) -> Kept | None: ...
    async def entries(self, round_id: str) -> list[Entry]: ...


class Mine(Struct, frozen=True, gc=False):
    """A viewer's own part: JSON by round, and letters that he has not acknowledged."""

    rounds: Mapping[str, bytes] = {}
    letters: Sequence[Letter] = ()
    mail: int = 0  # the number of a mention up to which those of his are among the letters

    def told(self, epoch: str, seq: int) -> list[bytes]:
        """The letters that one may see who knows all up to there."""
        return [letter.body for letter in self.letters if letter.told(epoch, seq)]


class Chronicle:
    """Answers from Redis, or from the ledger where Redis has forgotten a round."""

    def __init__(self, rounds: Rounds, inboxes: Inboxes, archive: Archive, keys: DrawKeys) -> None:
        self.rounds = rounds
        self.inboxes = inboxes
        self.archive = archive
        self.keys = keys
        self.proofs: Memory[bytes | None] = Memory(REMEMBERED)
        self.ranks: Memory[Mapping[str, Any]] = Memory(REMEMBERED)

    async def parts(self, room: Room, viewers: Sequence[str]) -> dict[str, Mine]:
        """What each of these viewers has in the live rounds, and his letters."""
        at = room.info.id
        own = await self.rounds.own(at, viewers, list(room.wall))
        mail, letters = await self.inboxes.read(at, viewers)
        return {
            viewer: Mine(
                {one: self.mine(room, one, viewer, rows[n]) for one, rows in own.items() if rows[n] is not None},
                letters.get(viewer, []),
                mail,
            )
            for n, viewer in enumerate(viewers)
        }

    def mine(self, room: Room, round_id: str, viewer: str, row: bytes | None) -> bytes:
        number, _, word = (row or b"0 ").decode().partition(" ")
        own = Own(round_id, int(number), self.keys.tag(room.info.id, round_id, viewer), word)
        live = room.wall.get(round_id)
        return encode(live.play.mine(own) if live and not live.play.often else None)

    async def told(self, room: str, round_id: str, viewer: str) -> dict[str, Any] | None:
        """A round as HTTP shows it, with the part of one viewer."""
        kept = await self.recall(room, round_id)
        if kept is None:
            return None
        played, play = kept.played, KINDS[kept.kind]
        about = {"kind": kept.kind, "id": round_id, "state": played.state, "ver": played.ver}
        entries = {} if play.grants else {"entered": played.entered, "viewers": played.viewers}
        counts = {**json.decode(kept.counts), **entries}  # as they were told last, and what they are now
        opened = played.opened and without(played.opened, "t")
        mine = await self.own_part(play, played, viewer)
        return {**about, "opened": opened, "counts": counts, "result": Raw(kept.result), "mine": mine}

    async def recall(self, room: str, round_id: str) -> Kept | None:
        """A round as it is, or as the ledger knows it when Redis has forgotten it."""
        return await self.rounds.read(room, round_id) or await self.archive.round(room, round_id)

    async def own_part(self, play: Round[Any], played: Played[Any], viewer: str) -> dict[str, Any] | None:
        """What a viewer has in a round: his entry, and his result once it is told."""
        (row,) = (await self.rounds.own(played.room, [viewer], [played.id]))[played.id]
        if row is None or play.often:
            return None
        number, _, word = row.decode().partition(" ")
        own = Own(played.id, int(number), self.keys.tag(played.room, played.id, viewer), word)
        if played.state in UNDECIDED or play.grants:
            return dict(play.mine(own))
        (result,) = await self.rounds.results(played.room, played.id, [viewer])
        if result is None and play.ranks:
            ranks = await self.ranks.get(played.id, lambda: self.rank(play, played))
            return {**play.mine(own), "result": ranks.get(viewer)}
        return {**play.mine(own), "result": Raw(result or b"null")}

    async def rank(self, play: Round[Any], played: Played[Any]) -> Mapping[str, Any]:
        assert play.ranks
        entries = await self.rounds.entries(played.room, played.id) or await self.archive.entries(played.id)
        reading = Reading(now=0, seed=self.keys.seed(played.id), entries=entries)
        return await asyncio.to_thread(play.ranks, played, reading)

    async def proof(self, room: str, round_id: str) -> bytes | None:
        """The proof file of a draw that was told; made anew from what was kept, byte for byte the same."""
        kept = await self.recall(room, round_id)
        if kept is None or kept.played.state in UNDECIDED or KINDS[kept.kind].proof is None:
            return None
        return await self.proofs.get(round_id, lambda: self.prove(kept))

    async def prove(self, kept: Kept) -> bytes | None:
        proof = KINDS[kept.kind].proof
        assert proof
        played = kept.played
        entries = await self.rounds.entries(played.room, played.id) or await self.archive.entries(played.id)
        return await asyncio.to_thread(proof, played, entries)
