"""Outcomes of a run: an exit status for each kind, and the error with message, evidence and next command."""

from __future__ import annotations


class Kind:
    """A kind of outcome: its exit status, its name in `--json`, its meaning in `--help`."""

    __slots__ = ("meaning", "name", "status")

    def __init__(self, status: int, name: str, meaning: str) -> None:
        self.status = status
        self.name = name
        self.meaning = meaning


OK = Kind(0, "ok", "fetched, or nothing to do")
DIFFERS = Kind(1, "differs", "--check: the directory differs from the controller's files")
USAGE = Kind(2, "usage", "wrong usage; nothing was requested or written")
BUG = Kind(3, "bug", "siphon itself failed")
LOCKED = Kind(4, "locked", "another siphon is writing this directory")
CONNECT = Kind(10, "cannot-connect", "no controller could be reached")
TIMEOUT = Kind(11, "no-answer", "no answer within the timeout")
NOT_SLURM = Kind(12, "not-slurm", "the server is not a Slurm controller, or it requires TLS")
VERSION = Kind(13, "version", "the controller accepts none of the requested versions")
AUTH = Kind(14, "authentication", "the token or credential was refused, or has expired")
PERMISSION = Kind(15, "not-permitted", "this user may not fetch the slurmd set")
CONFIGLESS = Kind(16, "configless-off", "the controller does not serve its configuration")
STANDBY = Kind(17, "standby", "every controller is in standby")
MALFORMED = Kind(18, "malformed", "the reply is not a valid message")
UNSAFE = Kind(19, "unsafe-name", "the controller sent an unsafe file name")
WRITE = Kind(20, "cannot-write", "the directory cannot be written")
INCOMPLETE = Kind(21, "incomplete", "--strict: files are missing from the set")
CREDENTIAL = Kind(22, "no-credential", "no token, key or munged to authenticate with")
REFUSED = Kind(23, "refused", "the controller is busy or reports another error")
INTERRUPTED = Kind(130, "interrupted", "Ctrl-C")

KINDS = (
    OK,
    DIFFERS,
    USAGE,
    BUG,
    LOCKED,
    CONNECT,
    TIMEOUT,
    NOT_SLURM,
    VERSION,
    AUTH,
    PERMISSION,
    CONFIGLESS,
    STANDBY,
    MALFORMED,
    UNSAFE,
    WRITE,
    INCOMPLETE,
    CREDENTIAL,
    REFUSED,
    INTERRUPTED,
)


class SiphonError(Exception):
    """A failure that the user can act on."""

    def __init__(self, kind: Kind, message: str, *, evidence: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.evidence = evidence
        self.hint = hint


def printable(text: bytes | str, limit: int = 120) -> str:
    """Untrusted text made safe for a terminal: control characters escaped, cut after `limit` characters."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return shown if len(shown) <= limit else f"{shown[:limit]}…"
