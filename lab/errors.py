"""The one base class of errors that a user is meant to read, and the exit codes."""

from __future__ import annotations

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


class LabError(Exception):
    """Something failed: one sentence, the evidence, and the next command to type."""

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
