"""Who is in the crowd and how each behaves, as a TOML file says it: `loadtest/profiles/*.toml`."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct, ValidationError, convert

Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(gt=0, le=3600)]
Round = Annotated[int, Meta(ge=1, le=3600)]  # how long a round is open
Positive = Annotated[int, Meta(ge=1)]
Loudness = Annotated[float, Meta(ge=0, le=100)]
Weight = Annotated[int, Meta(ge=0)]
Act = Literal["notice", "lottery", "keyword lottery", "quiz", "count", "sprint", "sale"]


class ProfileError(Exception):
    """One line: the file, the key, and what is wrong with it."""


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`weight`: so many of them, beside the weights of the others."""

    weight: Weight


class Lurkers(Part, frozen=True, kw_only=True):
    """They watch. `probes` of them note every comment; `returning` of the others are cut off now and then."""

    probes: Positive
    returning: Share
    stay_seconds: Seconds
    away_seconds: Seconds


class Thinkers(Part, frozen=True, kw_only=True):
    think_seconds: Seconds


class Talkers(Thinkers, frozen=True, kw_only=True):
    """`rhythm`: see `rhythm.py`."""

    rhythm: Annotated[tuple[tuple[Loudness, Loudness], ...], Meta(min_length=1)]


class Likers(Part, frozen=True, kw_only=True):
    think_seconds: Seconds
    most: Annotated[int, Meta(ge=1, le=50)]


class Players(Part, frozen=True, kw_only=True):
    """`plays` of them take part in a round, after a moment."""

    think_seconds: Seconds
    plays: Share


class Buyers(Players, frozen=True, kw_only=True):
    """`pays` and `cancels` of those who hold something; the others let it lapse. `waits` of those who got nothing.

    `greedy` of them claim once more than they may.
    """

    pay_seconds: Seconds
    pays: Share
    cancels: Share
    waits: Share
    greedy: Share


class Flooders(Part, frozen=True, kw_only=True):
    per_second: Annotated[int, Meta(ge=1, le=100)]


class Moderator(Struct, frozen=True, forbid_unknown_fields=True):
    """There is one."""

    think_seconds: Seconds
    mute_seconds: Round


class Lottery(Struct, frozen=True, forbid_unknown_fields=True):
    seconds: Round
    winners: Positive


class Timed(Struct, frozen=True, forbid_unknown_fields=True):
    seconds: Round


class Sprint(Struct, frozen=True, forbid_unknown_fields=True):
    seconds: Round
    target: Positive


class Sale(Struct, frozen=True, forbid_unknown_fields=True):
    """`restock` units come in the middle of it; `pause_seconds` of it nobody may claim."""

    seconds: Round
    stock: Positive
    per_viewer: Positive
    hold_seconds: Round
    restock: Weight
    pause_seconds: Annotated[float, Meta(ge=0)]


class Show(Struct, frozen=True, forbid_unknown_fields=True):
    """What the host does, again and again, in this order."""

    order: Annotated[tuple[Act, ...], Meta(min_length=1)]
    pause_seconds: Seconds
    lottery: Lottery
    quiz: Timed
    count: Timed
    sprint: Sprint
    sale: Sale


class Profile(Struct, frozen=True, forbid_unknown_fields=True):
    """`again`: the share of comments, likes, entries, answers and claims that are sent twice with one `idem`."""

    again: Share
    lurkers: Lurkers
    talkers: Talkers
    likers: Likers
    lottery_players: Players
    quiz_players: Players
    buyers: Buyers
    flooders: Flooders
    spammers: Thinkers
    evaders: Thinkers
    clumsy: Thinkers
    moderator: Moderator
    show: Show

    @property
    def disorderly(self) -> bool:
        """Whether there is something of everything that a moderator has to do."""
        return all(part.weight for part in (self.flooders, self.spammers, self.evaders, self.clumsy))


def read_profile(path: Path) -> Profile:
    """Raises ProfileError."""
    try:
        values = tomllib.loads(path.read_text("utf-8"))
        profile = convert(values, Profile)
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path}: not TOML: {error}") from None
    except ValidationError as error:
        raise ProfileError(f"{path}: {what_is_wrong(str(error))}") from None
    if wrong := contradiction(profile):
        raise ProfileError(f"{path}: {wrong}")
    return profile


def what_is_wrong(error: str) -> str:
    """`key: what`, of msgspec's "what - at `$.key`"."""
    why, _, where = error.partition(" - at `$")
    key = where.strip("`.")
    if why.startswith("Object"):  # it names the key itself, without the table
        name = why.split("`")[-2]
        key, why = f"{key}.{name}".strip("."), "is missing" if "missing" in why else "no such key"
    return f"{key}: {why}" if key else why


def contradiction(profile: Profile) -> str:
    """What types cannot say."""
    sums = profile.buyers.pays + profile.buyers.cancels
    if sums > 1:
        return f"buyers.cancels: with buyers.pays it is {sums:g}, but there is only one whole"
    if profile.lurkers.weight == 0:
        return "lurkers.weight: without lurkers nobody notes which comments are shown"
    return ""
