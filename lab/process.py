"""The one door to host processes: argument lists, a time limit, and an error that shows the evidence."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from lab.errors import LabError

SHOWN_LINES = 5
SHOWN_COMMAND = 120
STOP_SECONDS = 0.2  # between two looks at `stop`
TIDY_SECONDS = 10.0  # that a stopped program has to remove what it made


@dataclass(frozen=True)
class Done:
    """A host process that has ended."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str
    seconds: float


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    stdin: bytes = b"",
    check: bool = True,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    stop: threading.Event | None = None,
) -> Done:
    """Runs a program to its end; with `check`, a status other than 0 is a LabError.

    The program gets a process group of its own, so Ctrl-C reaches us and not it. No exception reaches a
    thread from outside, so it gives `stop`: once that is set, the program is ended as by Ctrl-C, and a
    LabError raised.
    """
    start = time.monotonic()
    status, out, err = _run(argv, stdin, timeout, check=check, cwd=cwd, environ=environ, stop=stop)
    return Done(tuple(argv), status, _text(out), _text(err), seconds=time.monotonic() - start)


def run_bytes(argv: Sequence[str], *, timeout: float, stdin: bytes = b"", check: bool = True) -> bytes:
    """The same, for a program whose standard output is no text: returns that output as it is."""
    return _run(argv, stdin, timeout, check=check)[1]


def _run(
    argv: Sequence[str],
    stdin: bytes,
    timeout: float,
    *,
    check: bool,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    stop: threading.Event | None = None,
) -> tuple[int, bytes, bytes]:
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=dict(environ) if environ is not None else None,
            process_group=0,
        )
    except OSError as problem:
        raise LabError(f"cannot start {argv[0]}", evidence=str(problem)) from problem
    out, err = _wait(process, argv, stdin, timeout, stop)
    status = process.returncode
    if check and status != 0:
        raise LabError(f"{short(argv)} ended with status {status}", evidence=_last_lines(_text(err)))
    return status, out, err


def replace(argv: Sequence[str]) -> NoReturn:
    """Becomes another program; returns only by raising."""
    try:
        os.execvp(argv[0], list(argv))
    except OSError as problem:
        raise LabError(f"cannot start {argv[0]}", evidence=str(problem)) from problem


def short(argv: Sequence[str]) -> str:
    """A command as a person would type it, cut to a readable length."""
    text = shlex.join(argv)
    return text if len(text) <= SHOWN_COMMAND else text[: SHOWN_COMMAND - 1] + "…"


def _wait(
    process: subprocess.Popen[bytes],
    argv: Sequence[str],
    stdin: bytes,
    timeout: float,
    stop: threading.Event | None,
) -> tuple[bytes, bytes]:
    with process:
        try:
            if stop is None:
                return process.communicate(stdin, timeout=timeout)
            return _communicate(process, argv, timeout, stop)
        except subprocess.TimeoutExpired as problem:
            _kill_group(process)
            _, err = process.communicate()
            raise LabError(
                f"{short(argv)} did not end within {timeout:g} s", evidence=_last_lines(_text(err))
            ) from problem
        except BaseException:
            _kill_group(process)
            raise


def _communicate(
    process: subprocess.Popen[bytes], argv: Sequence[str], timeout: float, stop: threading.Event
) -> tuple[bytes, bytes]:
    """Waits in short turns, so that `stop` is seen soon."""
    deadline = time.monotonic() + timeout
    while not stop.is_set():
        left = deadline - time.monotonic()
        try:
            return process.communicate(timeout=min(STOP_SECONDS, max(left, 0)))
        except subprocess.TimeoutExpired:
            if left <= 0:
                raise
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=TIDY_SECONDS)
    raise LabError(f"{short(argv)} was stopped")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-SHOWN_LINES:])
