"""Outcomes of a run: an exit status for each kind, and the error with message, evidence and next command."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of outcome: its exit status, its name in `--json`, its meaning in `--help`."""

    status: int
    name: str
    meaning: str


OK = Kind(0, "ok", "done; after start and resume: every node runs the wanted image")
INCOMPLETE = Kind(1, "incomplete", "ended, but some nodes were left alone or failed")
USAGE = Kind(2, "usage", "wrong usage; nothing was changed")
BUG = Kind(3, "bug", "rollout itself failed; `rollout resume` continues")
LOCKED = Kind(4, "locked", "another rollout runs with this state directory")
STOPPED = Kind(5, "stopped", "stopped after the permitted number of failures")
ABORTED = Kind(6, "aborted", "aborted by `rollout abort`")
BLOCKED = Kind(7, "blocked", "floors or failed nodes left no room for longer than --patience")
SLURM = Kind(8, "no-slurm", "Slurm's commands fail; `rollout resume` continues")
STATE = Kind(9, "state", "the state directory cannot be used")
HOOK = Kind(10, "hook", "the --before-wave command failed; `rollout resume` runs it again")
NONE = Kind(11, "none", "there is no rollout to show or to continue, or it has ended")
UNFINISHED = Kind(12, "unfinished", "start: another rollout has not ended yet")
OUTPUT = Kind(20, "cannot-write", "the output cannot be written")
INTERRUPTED = Kind(130, "interrupted", "Ctrl-C or SIGTERM; `rollout resume` continues")

KINDS = (
    OK,
    INCOMPLETE,
    USAGE,
    BUG,
    LOCKED,
    STOPPED,
    ABORTED,
    BLOCKED,
    SLURM,
    STATE,
    HOOK,
    NONE,
    UNFINISHED,
    OUTPUT,
    INTERRUPTED,
)


class RolloutError(Exception):
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
    cut = text[: limit + 1]
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut)
    return shown if len(shown) <= limit else f"{shown[:limit]}…"
