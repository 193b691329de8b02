"""Starts Slurm's own programs with the user's token, read anew for each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.slurm_jupyter import token
from lab.slurm_jupyter.places import CONFIGURATION, PROGRAMS, Places

REFUSED = b"Protocol authentication error"  # Slurm's src/common/slurm_errno.c
SECONDS = 50  # the page waits for 60
BETWEEN_FAILURES = 5.0
"""Seconds, as between two successful reads of the panel."""
SETTINGS_OF_OTHERS = ("SQUEUE_", "SACCT_", "SCANCEL_", "SLURM_TIME_FORMAT")
"""Variables that would change what a program prints, or does, for the page."""


@dataclass(frozen=True)
class Caller:
    """The notebook's user and its files, as `start` handed them on."""

    name: str
    uid: int
    token_file: Path | None
    places: Places
    configuration: Path = CONFIGURATION
    programs: Path = PROGRAMS


@dataclass(frozen=True)
class Done:
    """A program that has ended."""

    status: int
    out: str
    err: str


def ready(caller: Caller) -> token.Token:
    """The token for the next command, or why none can work: no good token, or no configuration yet."""
    found = token.Token() if caller.token_file is None else token.read(caller.token_file, caller.name)
    if found.trouble:
        why = _told(caller.places.trouble("token"))
        return token.Token(trouble=f"{found.trouble} ({why})") if why not in ("", found.trouble) else found
    if not (caller.configuration / "slurm.conf").exists():
        why = _told(caller.places.trouble("configuration"))
        return token.Token(trouble=why or "Slurm's configuration is not here yet: wait some seconds")
    if other := _told(caller.places.trouble("release")):
        return token.Token(trouble=other)
    return found


def _told(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")[:500]
    except (OSError, ValueError):
        return ""


def run(caller: Caller, environ: Mapping[str, str], words: Sequence[str]) -> Done:
    """Runs a program for the page; trouble that is known before stands in `err`."""
    found = ready(caller)
    if found.trouble:
        return Done(1, "", found.trouble)
    kept = {name: value for name, value in environ.items() if not name.startswith(SETTINGS_OF_OTHERS)}
    try:
        done = subprocess.run(
            [str(caller.programs / words[0]), *words[1:]],
            env=with_token(kept, found),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Done(1, "", f"{words[0]} did not end within {SECONDS} s")
    except OSError as problem:
        return Done(127, "", f"{words[0]} cannot be started: {problem.strerror}")
    if done.returncode and REFUSED in done.stderr:
        with suppress(OSError):
            caller.places.refused.touch()
    return Done(done.returncode, *(text.decode("utf-8", "replace") for text in (done.stdout, done.stderr)))


def brake(caller: Caller, now: float, wait: Callable[[float], object]) -> None:
    """Waits before a failure of squeue is told, if one was told just now.

    jupyterlab-slurm 4.1.0 asks again at once after a failure while its table is empty, nine times a second.
    """
    with suppress(OSError):
        ago = now - caller.places.failed.stat().st_mtime
        if 0 <= ago < BETWEEN_FAILURES:
            wait(BETWEEN_FAILURES - ago)
    with suppress(OSError):
        caller.places.failed.touch()


def become(caller: Caller, environ: Mapping[str, str], words: Sequence[str]) -> str:
    """Becomes the program, as typed in a terminal; returns only what is wrong."""
    found = ready(caller)
    if found.trouble:
        return found.trouble
    try:
        os.execve(caller.programs / words[0], list(words), with_token(environ, found))
    except OSError as problem:
        return f"{words[0]} cannot be started: {problem.strerror}"


def with_token(environ: Mapping[str, str], found: token.Token) -> dict[str, str]:
    """The environment with the token in it."""
    return {**environ, "SLURM_JWT": found.text} if found.text else dict(environ)
