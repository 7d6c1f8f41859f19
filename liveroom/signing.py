"""Signatures of what is posted to the shop's servers, as Standard Webhooks has them."""

from __future__ import annotations

import base64
import binascii
import hmac
from hashlib import sha256

PREFIX = "whsec_"


def key_of(secret: str) -> bytes:
    """The key that a secret is: the base64 behind ``whsec_``, or the text itself. Raises ValueError."""
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("what follows whsec_ is not base64") from None


def headers(key: bytes, id_: str, at_s: int, body: bytes) -> dict[str, str]:
    """The three headers by which the receiver knows who posts this, and when."""
    signed = hmac.digest(key, b"%b.%d.%b" % (id_.encode(), at_s, body), sha256)
    signature = f"v1,{base64.b64encode(signed).decode()}"
    return {"webhook-id": id_, "webhook-timestamp": str(at_s), "webhook-signature": signature}
