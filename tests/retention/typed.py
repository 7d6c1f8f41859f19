"""What the command was given and what it said."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.retention.rows import HEADER, strict

GOOD = "ann,0,100,close\nben,0,200,close\ncat,50,1000,stream_end\n"


class Done(NamedTuple):
    code: int
    out: str
    errors: str

    @property
    def found(self) -> Any:
        """The one object on stdout."""
        assert (self.code, self.out.count("\n")) == (0, 1), self
        return strict(self.out)

    @property
    def told(self) -> list[str]:
        """What stderr says of the file, without the last line's clock."""
        return [re.sub(r" in [\d.]+ s", "", line) for line in self.errors.splitlines()]


Command = Callable[..., Done]


def with_header(lines: str) -> str:
    return f"{HEADER}\n{lines}"
