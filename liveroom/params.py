"""What the ``params`` of an error hold, by what its code means; each is left out where it is not known."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from gameplay.play import Role


class Params(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing."""


class Bad(Params, frozen=True, kw_only=True):
    """``field`` is left out where the whole is wrong; ``max``: bytes that a body may have."""

    field: str | UnsetType = UNSET
    why: str
    max: int | UnsetType = UNSET


class Needs(Params, frozen=True, kw_only=True):
    """``max``: so many comments are pinned already."""

    needs: Role | UnsetType = UNSET
    max: int | UnsetType = UNSET


class Blocked(Params, frozen=True, kw_only=True):
    """``why``: "review", where it was not a word."""

    why: str | UnsetType = UNSET


class Standing(Params, frozen=True, kw_only=True):
    state: str | UnsetType = UNSET
    ver: int | UnsetType = UNSET


class Running(Params, frozen=True, kw_only=True):
    id: str
    since: int


class Mismatch(Params, frozen=True, kw_only=True):
    """``refund_required``: the payment that comes second has to be given back."""

    refund_required: bool | UnsetType = UNSET


class TooLong(Params, frozen=True, kw_only=True):
    max: int | UnsetType = UNSET


class Until(Params, frozen=True, kw_only=True):
    until: int | UnsetType = UNSET


class Level(Params, frozen=True, kw_only=True):
    level: int | UnsetType = UNSET


class Missing(Params, frozen=True, kw_only=True):
    """The conditions that are not met, as in ``eligible``."""

    missing: tuple[dict[str, Any], ...]


class Closed(Params, frozen=True, kw_only=True):
    closed_at: int | UnsetType = UNSET


class NotYet(Params, frozen=True, kw_only=True):
    opens_at: int | UnsetType = UNSET


class SoldOut(Params, frozen=True, kw_only=True):
    """``held`` may still come back."""

    held: int


class Most(Params, frozen=True, kw_only=True):
    per_viewer: int
    mine: dict[str, Any] | None


class Over(Params, frozen=True, kw_only=True):
    """A payment came after the hold was over and nothing was free: it has to be given back."""

    hold: str
    state: str
    late_payment: bool
    refund_required: bool


class Unknown(Params, frozen=True, kw_only=True):
    """``unknown``: perhaps it counted; sent again with the same ``idem`` it counts once."""

    unknown: bool | UnsetType = UNSET
