"""Reads what a user's server tells the Hub: the port that it listens at, and nothing else.

Whoever owns the server owns what it sends. So nothing but one number is taken from it, and only as a number.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

LONGEST = 64  # bytes: far more than {"port": 65535}, and too few to nest deeply
LOWEST, HIGHEST = 1024, 65535


class CallbackError(ValueError):
    """What a server sent is not a port; the text says why, and repeats nothing of it."""


def port_of(body: bytes) -> int:
    """Returns the port that a server's message names; raises CallbackError for any other message."""
    if len(body) > LONGEST:
        raise CallbackError(f"more than {LONGEST} bytes")
    try:
        told = json.loads(body.decode("ascii"), object_pairs_hook=_alone, parse_constant=_no_constant)
    except (ValueError, RecursionError) as problem:
        raise CallbackError("not an object with a port") from problem
    if not isinstance(told, _Port):
        raise CallbackError("not an object with a port")
    # bool is an int to Python, and 8888.0 equals 8888: only the type itself counts.
    if type(told.value) is not int or not LOWEST <= told.value <= HIGHEST:
        raise CallbackError(f"not a port between {LOWEST} and {HIGHEST}")
    return told.value


class _Port:
    """The value of an object whose only key is `port`."""

    def __init__(self, value: object) -> None:
        self.value = value


def _alone(pairs: list[tuple[str, Any]]) -> _Port:
    """Accepts an object with one key: a repeated one would otherwise hide all but its last value."""
    if [key for key, _ in pairs] != ["port"]:
        raise CallbackError("not an object with a port")
    return _Port(pairs[0][1])


def _no_constant(name: str) -> NoReturn:
    raise CallbackError(f"{name} is no JSON")
