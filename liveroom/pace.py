"""How well one connection keeps up with its room: told less while its buffer stays high, more after a long calm.

Looked at once a second. Each fall doubles the calm that is asked for before the next rise, so that a link which carries
little is not tried every minute.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from liveroom.protocol import Profile

BELOW: dict[Profile, Profile] = {"full": "lite", "lite": "min"}
ABOVE: dict[Profile, Profile] = {"min": "lite", "lite": "full"}
MOST_DOUBLED = 4

Change = tuple[Profile, Literal["slow", "calm"]]  # and why


class Pace(Struct, gc=False):
    """Of one viewer whose buffer was high at least once; ``asked`` is what he himself wants."""

    asked: Profile
    high: int = 0  # looks in a row
    calm: int = 0
    falls: int = 0

    def look(self, profile: Profile, waiting: int, most: int, *, patience: int, calm: int) -> Change | None:
        """What he is to be told from now on, and why, if that changes; ``waiting`` and ``most`` in bytes."""
        self.high = self.high + 1 if waiting > most else 0
        self.calm = 0 if waiting else self.calm + 1
        if self.high >= patience and profile in BELOW:
            self.high = self.calm = 0
            self.falls += 1
            return BELOW[profile], "slow"
        if profile != self.asked and self.calm >= calm << min(self.falls - 1, MOST_DOUBLED):
            self.calm = 0
            return ABOVE[profile], "calm"
        return None
