"""Who may take part in a round: conditions as data, judged by facts that were read before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, structs

Count = Annotated[int, Meta(ge=1, le=10**6)]


class Condition(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One condition: exactly one of these is set."""

    level: Annotated[int, Meta(ge=0, le=10**6)] | UnsetType = UNSET
    watched_seconds: Count | UnsetType = UNSET
    liked: Count | UnsetType = UNSET
    commented: Count | UnsetType = UNSET
    answered_right: Annotated[str, Meta(min_length=1, max_length=40)] | UnsetType = UNSET
    bought: Count | UnsetType = UNSET
    not_won_days: Annotated[int, Meta(ge=1, le=3650)] | UnsetType = UNSET
    one_per_device: bool | UnsetType = UNSET

    @property
    def asked(self) -> list[tuple[str, Any]]:
        return [(name, value) for name, value in structs.asdict(self).items() if value is not UNSET]


Conditions = Annotated[tuple[Condition, ...], Meta(max_length=10)]


class Eligible(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """All of these, and any of those where there are some."""

    all_of: Conditions = ()
    any_of: Conditions = ()

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return self.all_of + self.any_of

    def asks(self, name: str) -> list[Any]:
        """Every value that a condition of this name has."""
        return [value for one in self.conditions for key, value in one.asked if key == name]


class Facts(Struct, frozen=True):
    """What is known of a viewer when he enters. What no condition asks for need not be known."""

    level: int = 0
    watched_seconds: float = 0
    liked: int = 0
    commented: int = 0
    answered_right: frozenset[str] = frozenset()  # rounds
    bought: int = 0
    won_lately: bool = False  # within the days of the round
    device: str = ""


def malformed(eligible: Eligible) -> str:
    """What is wrong with conditions that types cannot say; empty if nothing is."""
    if any(len(one.asked) != 1 for one in eligible.conditions):
        return "each condition is an object with one key"
    if len(set(eligible.asks("not_won_days"))) > 1:
        return "not_won_days has one value in a round"
    if False in eligible.asks("one_per_device"):
        return "one_per_device is true or left out"
    if any(one.one_per_device is True for one in eligible.any_of):
        return "one_per_device belongs in all_of"
    return ""


def holds(name: str, wanted: Any, facts: Facts) -> bool:
    match name:
        case "answered_right":
            return wanted in facts.answered_right
        case "not_won_days":
            return not facts.won_lately
        case "one_per_device":
            return bool(facts.device)  # that nobody else uses it is judged with the entry
    return bool(getattr(facts, name) >= wanted)


def missing(eligible: Eligible | None, facts: Facts) -> list[dict[str, Any]]:
    """The conditions that a viewer does not meet; of ``any_of`` all, when he meets none. Empty: he may."""
    if eligible is None:
        return []
    lacks = list(unmet(eligible.all_of, facts))
    others = list(unmet(eligible.any_of, facts))
    return lacks + (others if eligible.any_of and len(others) == len(eligible.any_of) else [])


def unmet(conditions: Iterable[Condition], facts: Facts) -> Iterable[dict[str, Any]]:
    return (
        {name: wanted} for one in conditions for name, wanted in one.asked if not holds(name, wanted, facts)
    )
