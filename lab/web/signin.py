"""Who may see a page: addresses that work once, and the sessions that they open."""

from __future__ import annotations

import hashlib
import secrets
import threading
from dataclasses import dataclass

SESSIONS = 32
"""The most sessions at a time; the oldest ends when another one begins."""


@dataclass(frozen=True)
class Session:
    """One browser that has signed in."""

    csrf: str  # what every change must carry, beside the cookie


class Sessions:
    """One-time codes and the sessions of one server, in memory only: they end with it.

    Codes and cookies are looked up by digest, so that how long a look-up takes tells nothing of either.
    """

    def __init__(self) -> None:
        self._codes: set[bytes] = set()
        self._sessions: dict[bytes, Session] = {}
        self._lock = threading.Lock()

    def new_code(self) -> str:
        """Makes a code that signs one browser in."""
        code = secrets.token_urlsafe(24)
        with self._lock:
            self._codes.add(_digest(code))
        return code

    def open(self, code: str) -> str | None:
        """Uses a code up; returns the cookie of a new session, or None for a code that is not valid."""
        with self._lock:
            if _digest(code) not in self._codes:
                return None
            self._codes.discard(_digest(code))
            cookie = secrets.token_urlsafe(32)
            self._sessions[_digest(cookie)] = Session(secrets.token_urlsafe(24))
            while len(self._sessions) > SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            return cookie

    def find(self, cookie: str) -> Session | None:
        """The session of a cookie, if it is one of ours."""
        with self._lock:
            return self._sessions.get(_digest(cookie))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
