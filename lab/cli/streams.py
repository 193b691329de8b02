"""Standard streams that are closed, or that lead to a full disk."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from typing import IO, Any

from lab.errors import LabError
from lab.system_errors import system_error

_WRITERS = ("click", "rich", "lab.cli", "lab.foreground", "__main__")
"""What writes to standard output, or flushes it at the end."""


def open_missing() -> None:
    """Opens the standard streams that were closed; files that are opened later would take their numbers.

    Standard output can then only be read, so that a command with a result fails as if it were closed.
    """
    for number, name, flags in (
        (0, "stdin", os.O_RDONLY),
        (1, "stdout", os.O_RDONLY),
        (2, "stderr", os.O_WRONLY),
    ):
        if getattr(sys, name) is not None:
            continue
        found = os.open(os.devnull, flags)
        if found != number:  # its number is taken already
            os.dup2(found, number)
            os.close(found)
        stream = open(number, "r" if name == "stdin" else "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)


def told(problem: OSError) -> LabError | None:
    """The error for what the system refused; None if the cause is not the user's system."""
    if _is_of_output(problem):
        silence(sys.stdout)
        return LabError(
            "cannot write to standard output",
            evidence=problem.strerror or str(problem),
            hint="send the output elsewhere: lab … >FILE; df -h shows full disks",
        )
    if isinstance(problem, FileNotFoundError) and not _has_folder():
        return LabError("the current folder no longer exists", hint="cd, then repeat the command")
    return system_error(problem)


def silence(stream: IO[Any]) -> None:
    """Lets a stream lead nowhere, so that leaving the process does not fail once more."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _is_of_output(problem: OSError) -> bool:
    """Whether the results of a command were being written: by click, by rich, or at the end."""
    if problem.filename is not None or isinstance(problem, BrokenPipeError):
        return False
    frames = [frame for frame, _ in traceback.walk_tb(problem.__traceback__)]
    last = frames[-1].f_globals["__name__"] if frames else ""
    return any(last == name or last.startswith(f"{name}.") for name in _WRITERS)


def _has_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 (which is what Path.cwd calls)
    except FileNotFoundError:
        return False
    return True
