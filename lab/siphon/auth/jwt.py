"""JSON web tokens: reads the claims of one without its key, and signs new ones with HS256."""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class TokenError(ValueError):
    """The text is not a JSON web token. The message never quotes it."""


class Claims:
    """The user of a token and its expiry in seconds since 1970; None if the token does not state it."""

    __slots__ = ("expires", "user")

    def __init__(self, user: str | None, expires: float | None) -> None:
        self.user = user
        self.expires = expires


def read_claims(token: bytes) -> Claims:
    """The claims that Slurm's auth/jwt reads: `exp`, and `sun` or `username`. Raises `TokenError`."""
    parts = token.split(b".")
    if len(parts) != 3 or not all(parts):
        found = len([part for part in parts if part])
        raise TokenError(f"a token has three parts separated by dots, this one has {found}")
    body = parse_object(decode_base64(parts[1]))
    user = body.get("sun", body.get("username"))
    return Claims(user if isinstance(user, str) else None, _number(body.get("exp")))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def parse_object(text: bytes) -> dict[str, Any]:
    """Parses a JSON object. Raises `TokenError`."""
    try:
        found = json.loads(text.decode())
    except (ValueError, RecursionError):
        # `from None`: the original exception quotes the text, which may be secret.
        raise TokenError("this part of the token is not JSON") from None
    if not isinstance(found, dict):
        raise TokenError("this part of the token is not a JSON object")
    return found


def decode_base64(text: bytes) -> bytes:
    """Decodes URL-safe base64 without padding. Raises `TokenError`."""
    try:
        return urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        raise TokenError("a part of the token is not base64") from None


def sign_hs256(key: bytes, claims: dict[str, object], kid: str | None = None) -> bytes:
    """Makes a token; `kid` names the key in its header."""
    import hashlib
    import hmac

    head: dict[str, object] = {"alg": "HS256", "typ": "JWT", **({} if kid is None else {"kid": kid})}
    signed = _encode(head) + b"." + _encode(claims)
    signature = hmac.new(key, signed, hashlib.sha256).digest()
    return signed + b"." + urlsafe_b64encode(signature).rstrip(b"=")


def _encode(value: dict[str, object]) -> bytes:
    return urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=")
