"""Starts host processes: argument lists, a time limit, and an error that shows the evidence.

Ending one never blocks and never fails. A killed process may take long to be gone, as on a busy host or while
its disk does not answer; it is then reaped in the background.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from lab.errors import LabError
from lab.polling import Limit, with_reason

SHOWN_LINES = 5
LONGEST_LINE = 1000  # characters of them
SHOWN_COMMAND = 120
STOP_SECONDS = 0.2  # between two looks at `stop`
TIDY_SECONDS = 10.0  # that a stopped program has to remove what it made
KILLED_SECONDS = 0.5  # how long a killed process is waited for
MOST = 64 << 20  # bytes of each stream that a program may write to us
CHUNK = 1 << 16
LOOK_AGAIN = 2.0  # seconds after which the remaining time of a limit is computed again


class ProcessTimeout(LabError):
    """A host process did not end in its time; it has been killed."""


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
    timeout: float | Limit,
    stdin: bytes = b"",
    check: bool = True,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    stop: threading.Event | None = None,
) -> Done:
    """Runs a program to its end; with `check`, a status other than 0 is a LabError.

    `timeout` is in seconds, or a Limit that follows the host's speed; ProcessTimeout when it runs out. The
    program gets a process group of its own, so Ctrl-C reaches us and not it. No exception reaches a thread
    from outside, so a thread gives `stop`: once that is set, the program is ended as by Ctrl-C, and a
    LabError raised.
    """
    start = time.monotonic()
    status, out, err = _run(argv, stdin, timeout, check=check, cwd=cwd, environ=environ, stop=stop)
    return Done(tuple(argv), status, _text(out), _text(err), seconds=time.monotonic() - start)


def run_bytes(
    argv: Sequence[str], *, timeout: float | Limit, stdin: bytes = b"", check: bool = True
) -> bytes:
    """The same, for a program whose standard output is no text: returns that output as it is."""
    return _run(argv, stdin, timeout, check=check)[1]


def _run(
    argv: Sequence[str],
    stdin: bytes,
    timeout: float | Limit,
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
        raise not_started(argv, problem) from problem
    limit = timeout if isinstance(timeout, Limit) else Limit(timeout)
    out, err = _wait(process, argv, stdin, limit, stop)
    status = process.returncode
    if check and status != 0:
        raise LabError(f"{short(argv)} ended with status {status}", evidence=last_lines(_text(err)))
    return status, out, err


def replace(argv: Sequence[str]) -> NoReturn:
    """Becomes another program; returns only by raising."""
    try:
        os.execvp(argv[0], list(argv))
    except OSError as problem:
        raise not_started(argv, problem) from problem


def not_started(argv: Sequence[str], problem: OSError) -> LabError:
    """What to say of a program that the system did not start."""
    missing = isinstance(problem, FileNotFoundError)
    hint = "./quickstart installs what labs need; lab doctor shows what is missing" if missing else ""
    return LabError(f"cannot start {argv[0]}", evidence=str(problem), hint=hint)


def short(argv: Sequence[str]) -> str:
    """A command as a person would type it, cut to a readable length."""
    text = shlex.join(argv)
    return text if len(text) <= SHOWN_COMMAND else text[: SHOWN_COMMAND - 1] + "…"


def reap_later(wait: Callable[[], object], name: str) -> None:
    """Waits in the background for a killed child, so that it does not stay a zombie.

    A thread for each such child: it ends with the child, and with this process. No handler of SIGCHLD, which
    would take children of others, such as `subprocess`.
    """
    threading.Thread(target=wait, name=name, daemon=True).start()


def _wait(
    process: subprocess.Popen[bytes],
    argv: Sequence[str],
    stdin: bytes,
    limit: Limit,
    stop: threading.Event | None,
) -> tuple[bytes, bytes]:
    pipes = _Pipes(process, stdin)
    turn = LOOK_AGAIN if stop is None else STOP_SECONDS
    try:
        while (left := limit.left()) > 0:
            if pipes.ended(min(left, turn)):
                return pipes.out, pipes.err
            if pipes.overfull:
                raise LabError(f"{short(argv)} wrote more than {MOST >> 20} MiB")  # noqa: TRY301 - as below
            if stop is not None and stop.is_set():
                _interrupt_group(process, pipes)
                raise LabError(f"{short(argv)} was stopped")  # noqa: TRY301 - cleaned up below
        _kill_group(process)
        pipes.ended(KILLED_SECONDS)  # not for long: a child of it may hold the pipes open
        err = last_lines(_text(pipes.err))
        message = f"{short(argv)} did not end within {limit.waited:g} s"
        raise ProcessTimeout(message, evidence=with_reason(err, limit))  # noqa: TRY301 - cleaned up below
    except BaseException:
        _kill_group(process)
        _leave(process)
        raise
    finally:
        pipes.close()


class _Pipes:
    """Gives a program its input and takes its output, as `communicate` does, but never more than `MOST`."""

    def __init__(self, process: subprocess.Popen[bytes], stdin: bytes) -> None:
        self._process = process
        self._rest = memoryview(stdin)
        self._selector = selectors.DefaultSelector()
        self._taken: dict[int, bytearray] = {}
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                self._selector.register(pipe, selectors.EVENT_READ)
                self._taken[pipe.fileno()] = bytearray()
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            self._selector.register(process.stdin, selectors.EVENT_WRITE)
        self._out, self._err = self._taken.values()

    @property
    def out(self) -> bytes:
        """What the program wrote to its standard output so far."""
        return bytes(self._out)

    @property
    def err(self) -> bytes:
        """What the program wrote to its standard error so far."""
        return bytes(self._err)

    @property
    def overfull(self) -> bool:
        """Whether it wrote too much; nothing more is taken then."""
        return max(len(self._out), len(self._err)) > MOST

    def ended(self, seconds: float) -> bool:
        """Serves the pipes for so long; whether all are closed and the program has ended."""
        until = time.monotonic() + seconds
        while self._selector.get_map():
            left = until - time.monotonic()
            if left <= 0 or self.overfull:
                return False
            for key, _ in self._selector.select(left):
                self._serve(key.fd)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, until - time.monotonic()))
        return self._process.returncode is not None

    def close(self) -> None:
        """Forgets the pipes."""
        self._selector.close()

    def _serve(self, number: int) -> None:
        if number in self._taken:
            data = os.read(number, CHUNK)
            self._taken[number] += data
            done = not data
        else:
            done = self._give(number)
        if done:
            key = self._selector.unregister(number)
            key.fileobj.close()  # type: ignore[union-attr]  # the stubs allow numbers, too

    def _give(self, number: int) -> bool:
        """Writes what the pipe takes of the input; whether that was the end, or nobody reads it."""
        with contextlib.suppress(BlockingIOError):
            try:
                self._rest = self._rest[os.write(number, self._rest[:CHUNK]) if self._rest else 0 :]
            except BrokenPipeError:
                return True
        return not self._rest


def _interrupt_group(process: subprocess.Popen[bytes], pipes: _Pipes) -> None:
    """Ends a program as Ctrl-C would, and gives it some time to remove what it made."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGINT)
    pipes.ended(TIDY_SECONDS)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kills a program and its children; what runs as root, by sudo, takes no signal from us and is left."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _leave(process: subprocess.Popen[bytes]) -> None:
    """Closes a killed program's pipes, and reaps it now or in the background."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what was still to be written to it
                pipe.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=KILLED_SECONDS)
    if process.returncode is None:
        reap_later(process.wait, f"reap {process.pid}")


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")


def last_lines(text: str) -> str:
    """The end of what a program wrote, as evidence."""
    return "\n".join(line[-LONGEST_LINE:] for line in text.strip().splitlines()[-SHOWN_LINES:])
