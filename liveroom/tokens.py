"""Who a viewer is: JSON Web Tokens made by the customer's own back end, checked here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OctKey
from msgspec import Meta, Struct, ValidationError, convert, json

from gameplay.text import is_viewer_id
from liveroom.settings import Settings

LEEWAY_S = 30
JWKS_FAMILY = ["RS256", "ES256", "EdDSA", "Ed25519"]  # the last two are one: RFC 9864 gave it a new name

Role = Literal["viewer", "moderator", "host", "service"]


class BadToken(Exception):
    """Says why, in words that hold nothing of the token."""


class Claims(Struct, frozen=True, gc=False):
    """What a token says. ``exp`` and ``since`` in epoch seconds."""

    sub: Annotated[str, Meta(min_length=1, max_length=64)]
    room: str
    role: Role
    exp: float
    aud: str | list[str]
    iss: str
    name: Annotated[str, Meta(max_length=40)] = ""
    device: Annotated[str, Meta(max_length=64)] = ""
    level: int = 0
    locale: Annotated[str, Meta(max_length=35)] = ""
    source: Annotated[str, Meta(pattern=r"^[a-z0-9_.-]{0,32}$(?!\n)")] = ""
    since: float = 0


class Tokens:
    """Checks tokens with one family of keys: the secret's HS256, or the public keys of a JWKS."""

    def __init__(self, settings: Settings) -> None:
        self.audience = settings.audience
        self.issuers = frozenset(settings.issuers)
        self.most_seconds = settings.token_hours * 3600
        self.key: Any
        if settings.jwks:
            self.family = JWKS_FAMILY
            self.key = KeySet.import_key_set(read_jwks(settings.jwks))
        else:
            self.family = ["HS256"]
            self.key = OctKey.import_key(settings.secret)

    def read(self, token: str, now_s: float) -> Claims:
        """The claims of a good token. Raises BadToken."""
        try:
            said = jwt.decode(token, self.key, algorithms=self.family).claims
        except (JoseError, ValueError, TypeError, RecursionError):
            raise BadToken("the signature or the form of the token is wrong") from None
        try:
            claims = convert(said, Claims)
        except UnicodeEncodeError:
            raise BadToken("a claim holds half a character") from None
        except ValidationError as error:
            raise BadToken(what_is_wrong(str(error))) from None
        self.check(said, claims, now_s)
        return claims

    def check(self, said: dict[str, Any], claims: Claims, now_s: float) -> None:
        if self.audience not in ([claims.aud] if isinstance(claims.aud, str) else claims.aud):
            raise BadToken("the token is for another audience")
        if claims.iss not in self.issuers:
            raise BadToken("the token is by another issuer")
        if not claims.exp + LEEWAY_S > now_s:
            raise BadToken("the token has expired")
        if not claims.exp < math.inf or claims.exp > now_s + self.most_seconds + LEEWAY_S:
            raise BadToken(f"the token lasts longer than {self.most_seconds / 3600:g} hours")
        if starts := [said[name] for name in ("nbf", "iat") if name in said]:
            if not all(isinstance(start, int | float) for start in starts):
                raise BadToken("nbf and iat are numbers")
            if max(starts) > now_s + LEEWAY_S:
                raise BadToken("the token is not valid yet")
        if not is_whole(claims.sub, claims.name, claims.device, claims.locale):
            raise BadToken("a claim holds half a character")
        if not is_viewer_id(claims.sub):
            raise BadToken("sub is at most 64 bytes of printable text")


def what_is_wrong(error: str) -> str:
    """Which claim, never what it says: this is told to the client and to logs."""
    if error.startswith("Object missing"):
        return f"a claim is missing: {error.split('`')[-2]}"
    return f"a claim is wrong: {error.rpartition('$')[2].strip('.`') or 'the payload'}"


def is_whole(*texts: str) -> bool:
    """No half of a surrogate pair, as a string cut in the middle of an emoji has."""
    return all(not "\ud800" <= char <= "\udfff" for text in texts for char in text)


def read_jwks(path: str) -> Any:
    return json.decode(Path(path).read_bytes())


def mint(
    secret: str,
    *,
    sub: str,
    room: str,
    role: str = "viewer",
    name: str = "",
    ttl_s: float = 3600,
    now_s: float,
    audience: str = "liveroom",
    issuer: str = "liveroom",
    extra: Sequence[tuple[str, Any]] = (),
) -> str:
    """An HS256 token, for development, tests and tools; a shop makes its own."""
    claims = {"sub": sub, "room": room, "role": role, "exp": int(now_s + ttl_s), "aud": audience, "iss": issuer}
    claims |= {"name": name} if name else {}
    return jwt.encode({"alg": "HS256"}, claims | dict(extra), OctKey.import_key(secret))
