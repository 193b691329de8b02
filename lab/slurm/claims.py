"""What a JSON web token says of itself, read without its key: enough to warn before it is sent."""

from __future__ import annotations

from binascii import Error, a2b_base64

from lab.slurm.record import dataclass


class TokenError(ValueError):
    """The text is no JSON web token. The message never quotes it."""


@dataclass(frozen=True)
class Claims:
    """Who a token is for, and when it ends; None where the token does not say."""

    user: str | None
    expires: float | None


class _Context:
    """What the C scanner of `json` wants to know; importing `json` whole costs 8 ms."""

    strict = False
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo: dict[str, str] = {}  # noqa: RUF012 - the scanner empties it after each use


def read_claims(token: bytes) -> Claims:
    """The claims of a token as Slurm's auth/jwt reads them: `exp`, and `sun` or `username`."""
    parts = token.split(b".")
    if len(parts) != 3 or not all(parts):
        raise TokenError(f"a token has three parts between dots, this has {len([p for p in parts if p])}")
    body = parse_object(_unbase64(parts[1]))
    user = body.get("sun", body.get("username"))
    expires = body.get("exp")
    number = isinstance(expires, (int, float)) and not isinstance(expires, bool)
    return Claims(
        user=user if isinstance(user, str) else None,
        expires=float(expires) if number and isinstance(expires, (int, float)) else None,
    )


def parse_object(text: bytes) -> dict[str, object]:
    """A JSON object."""
    try:
        found = _scan(text.decode())
    except (ValueError, StopIteration, RecursionError, OverflowError):
        # From nothing: the chain of causes would quote the token.
        raise TokenError("this part of the token is no JSON") from None
    if not isinstance(found, dict):
        raise TokenError("this part of the token is no JSON object")
    return found


def _scan(text: str) -> object:
    try:
        from _json import make_scanner
    except ImportError:
        import json

        return json.loads(text)
    stripped = text.strip()
    found, end = make_scanner(_Context)(stripped, 0)  # type: ignore[arg-type] # any object with these names will do
    if end != len(stripped):
        raise ValueError("more than one value")
    return found


def _unbase64(text: bytes) -> bytes:
    try:
        return a2b_base64(text.translate(_URL_SAFE) + b"=" * (-len(text) % 4))
    except Error:
        raise TokenError("a part of the token is no base64") from None


_URL_SAFE = bytes.maketrans(b"-_", b"+/")
