"""A token is good in one family of keys, for one audience, from one issuer, and for a while."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from msgspec import convert

from liveroom.settings import Settings
from liveroom.tokens import LEEWAY_S, BadToken, Claims, Tokens, mint

NOW = 1_763_640_000
SECRET = "a secret for tests, long enough for all"
HOUR = 3600
TOKENS = Tokens(Settings(secret=SECRET))


def signed(header: dict[str, Any] | None = None, key: Any = None, without: str = "", **claims: Any) -> str:
    said = {"sub": "u1", "room": "demo", "role": "viewer", "exp": NOW + HOUR, "aud": "liveroom", "iss": "liveroom"}
    said = {name: value for name, value in (said | claims).items() if name != without}
    header = header or {"alg": "HS256"}
    return jwt.encode(header, said, key or OctKey.import_key(SECRET), algorithms=[header["alg"]])


def test_a_minted_token_is_read():
    token = mint(SECRET, sub="u1", room="demo", name="Ann", now_s=NOW, ttl_s=60, extra=[("device", "d1"), ("level", 3)])
    claims = TOKENS.read(token, NOW)
    who = {"sub": "u1", "room": "demo", "role": "viewer", "aud": "liveroom", "iss": "liveroom"}
    assert claims == convert({**who, "exp": NOW + 60, "name": "Ann", "device": "d1", "level": 3}, Claims)


def test_the_audience_may_be_a_list():
    assert TOKENS.read(signed(aud=["other", "liveroom"]), NOW).sub == "u1"


@pytest.mark.parametrize("claim", ["sub", "room", "role", "exp", "aud", "iss"])
def test_what_is_required_is_required(claim: str):
    with pytest.raises(BadToken):
        TOKENS.read(signed(without=claim), NOW)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "others"},
        {"aud": []},
        {"aud": 5},
        {"iss": "others"},
        {"iss": ["liveroom"]},
        {"role": "king"},
        {"sub": ""},
        {"sub": "密" * 22},
        {"sub": "a\nb"},
        {"sub": 7},
        {"name": "n" * 41},
        {"source": "Über"},
        {"exp": "soon"},
        {"exp": NOW + 25 * HOUR},
        {"nbf": NOW + HOUR},
        {"iat": NOW + HOUR},
        {"nbf": "now"},
    ],
)
def test_a_wrong_claim_is_a_bad_token(claims: dict[str, Any]):
    with pytest.raises(BadToken):
        TOKENS.read(signed(**claims), NOW)


def test_half_a_minute_of_leeway_and_no_more():
    token = signed(exp=NOW)
    assert TOKENS.read(token, NOW + LEEWAY_S - 1).exp == NOW
    with pytest.raises(BadToken, match="expired"):
        TOKENS.read(token, NOW + LEEWAY_S)


def test_another_secret_is_a_bad_token():
    with pytest.raises(BadToken):
        TOKENS.read(mint(SECRET + "!", sub="u1", room="demo", now_s=NOW), NOW)


def test_an_unsigned_token_is_a_bad_token():
    head, body, _ = signed().split(".")
    unsigned = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
    for token in (f"{unsigned}.{body}.", f"{unsigned}.{body}", f"{head}.{body}."):
        with pytest.raises(BadToken):
            TOKENS.read(token, NOW)


def test_another_algorithm_of_the_same_secret_is_a_bad_token():
    with pytest.raises(BadToken):
        TOKENS.read(signed({"alg": "HS512"}), NOW)


def by_hand(header: dict[str, Any], secret: bytes) -> str:
    """A token that no library would make."""
    head, body = part(json.dumps(header).encode()), signed().split(".")[1]
    return f"{head}.{body}.{part(hmac.new(secret, f'{head}.{body}'.encode(), hashlib.sha256).digest())}"


def part(said: bytes) -> str:
    return base64.urlsafe_b64encode(said).rstrip(b"=").decode()


def test_a_token_made_by_hand_is_as_good():
    assert TOKENS.read(by_hand({"alg": "HS256"}, SECRET.encode()), NOW).sub == "u1"


def test_a_critical_header_nobody_understands_is_a_bad_token():
    with pytest.raises(BadToken):
        TOKENS.read(by_hand({"alg": "HS256", "crit": ["exotic"], "exotic": True}, SECRET.encode()), NOW)


@given(st.text(max_size=200))
def test_any_other_text_is_a_bad_token(text: str):
    with pytest.raises(BadToken):
        TOKENS.read(text, NOW)


def test_what_is_wrong_is_said_without_the_token():
    token = signed(role="king", sub="canary")
    with pytest.raises(BadToken) as caught:
        TOKENS.read(token, NOW)
    assert "canary" not in str(caught.value)
    assert token not in str(caught.value)


@pytest.fixture(params=[("RS256", RSAKey), ("ES256", ECKey), ("EdDSA", OKPKey)], ids=lambda param: param[0])
def public(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Any, Tokens]:
    """An algorithm, its private key, and the tokens of a server that knows the public one."""
    algorithm, kind = request.param
    size = {"RS256": 2048, "ES256": "P-256", "EdDSA": "Ed25519"}[algorithm]
    key = kind.generate_key(size, {"kid": "k1"})
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    return algorithm, key, Tokens(Settings(jwks=str(file)))


def test_a_key_of_the_jwks_is_as_good_as_the_secret(public: tuple[str, Any, Tokens]):
    algorithm, key, tokens = public
    assert tokens.read(signed({"alg": algorithm, "kid": "k1"}, key), NOW).sub == "u1"


def test_with_a_jwks_no_secret_is_accepted_not_even_the_public_key(public: tuple[str, Any, Tokens]):
    _, key, tokens = public
    for secret in (SECRET.encode(), key.as_pem(private=False)):
        with pytest.raises(BadToken):
            tokens.read(by_hand({"alg": "HS256", "kid": "k1"}, secret), NOW)


def test_with_a_secret_no_public_key_is_accepted():
    key = RSAKey.generate_key(2048)
    with pytest.raises(BadToken):
        TOKENS.read(signed({"alg": "RS256"}, key), NOW)
