"""How a connection ends: what each code asks of this client, and the exception that names it."""

from __future__ import annotations

from liveroom.protocol import CLOSES, After

CUT = 1006  # RFC 6455: the connection ended without a close frame
REFUSED: dict[int, After] = {
    408: After.RESUME,  # the two refused handshakes that are worth another try
    429: After.RESUME,
    1000: After.STOP,
}
ASKED = REFUSED | {int(code): ending.after for code, ending in CLOSES.items()}


def after(code: int) -> After:
    """Unknown codes: 45xx and refused handshakes are final, all others are worth another try."""
    final = 4500 <= code < 4600 or 400 <= code < 500
    return ASKED.get(code, After.STOP if final else After.RESUME)


class Closed(Exception):
    """The server ended it: ``code`` is the close code, or the HTTP status of a refused handshake."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"closed with {code}{': ' if reason else ''}{reason}")
        self.code = code


class BadToken(Closed):
    """4500: the token is wrong, expired, or for another room."""


class ProtocolFault(Closed):
    """4501: the server could not read what this client sent."""


class Banned(Closed):
    """4502: banned from the room."""


class Replaced(Closed):
    """4503: the same device, or a sixth connection, has taken this one's place."""


class NoRoom(Closed):
    """4504: the room is closed, or never was."""


NAMED = {4500: BadToken, 4501: ProtocolFault, 4502: Banned, 4503: Replaced, 4504: NoRoom}


def closed(code: int, reason: str = "") -> Closed:
    return NAMED.get(code, Closed)(code, reason)


class Lost(Closed):
    """A ledger event is missing: only a resume brings it, so the connection is as good as cut."""

    def __init__(self) -> None:
        super().__init__(CUT, "a ledger event is missing")


class Unreachable(Exception):
    """Nobody answered, or somebody who does not speak this protocol."""
