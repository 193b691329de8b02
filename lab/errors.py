"""Errors that a user reads, the exit codes, and the `did you mean` of error messages."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command; docs/commands.md documents them."""

    OK = 0
    NOT_SOLVED = 1
    USAGE = 2
    BROKEN = 3
    LOCKED = 4
    UNKNOWN = 5
    INTERRUPTED = 130
    UNREAD = 141  # 128 + SIGPIPE: whoever read the output has gone, as in `lab ls | head -1`


class LabError(Exception):
    """Says what failed in one sentence, with the evidence and the next command to type."""

    def __init__(
        self,
        message: str,
        *,
        evidence: str = "",
        hint: str = "",
        code: Exit = Exit.BROKEN,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.evidence = evidence
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        lines = [self.message, *(f"  {line}" for line in self.evidence.splitlines())]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class UsageError(LabError):
    """The command line or the configuration is wrong; nothing was changed."""

    def __init__(self, message: str, *, evidence: str = "", hint: str = "") -> None:
        super().__init__(message, evidence=evidence, hint=hint, code=Exit.USAGE)


def closest(name: str, known: Iterable[str]) -> str | None:
    """Returns the known name that is most like a mistyped one, or None where none is."""
    import difflib  # only after a mistake: `lab --help` stays quick

    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def did_you_mean(name: str, known: Iterable[str], *, list_all: bool = False) -> str:
    """Writes the end of an error message: the closest known name; with `list_all`, else all of them."""
    names = list(known)
    found = closest(name, names)
    if found is not None:
        return f"; did you mean {found}?"
    return f"; there are: {', '.join(names)}" if list_all and names else ""
