"""What ends a command, and what refuses one request; neither ever holds a token."""

from __future__ import annotations

OK = 0
USAGE = 2
BUG = 3
CANNOT = 10
"""The keys, the socket or the audit log cannot be used."""
NO_SERVICE = 11
"""get: no service answered."""
REFUSED = 12
"""get: the service refused."""
INTERRUPTED = 130


class TokenError(Exception):
    """A failure that the user can act on: message, hint, exit status."""

    def __init__(self, message: str, *, hint: str = "", status: int = CANNOT) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status


class Refused(Exception):
    """A request that gets no token: HTTP status, one word for the audit log, one sentence for the caller."""

    def __init__(self, status: int, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.reason = reason
        self.sentence = sentence


def printable(text: str, limit: int = 120) -> str:
    """Untrusted text made safe for a terminal and a log: escaped and cut."""
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    return shown if len(shown) <= limit else f"{shown[:limit]}…"
