"""Runs other programs within bounds of time and output. The only place that starts any."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PIECE = 1 << 16


@dataclass(frozen=True)
class Finished:
    """How a program ended. `problem` says why it has no status: time, output, or no such program."""

    status: int
    out: bytes = b""
    err: bytes = b""
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with status 0."""
        return not self.problem and self.status == 0

    def evidence(self) -> str:
        """Why it failed, in its own words: they are untrusted, so show them through `printable`."""
        words = (self.err.strip() or self.out.strip()).decode("utf-8", "backslashreplace")
        last = words.splitlines()[-1] if words else ""
        return "; ".join(part for part in (self.problem or f"status {self.status}", last) if part)


def run(
    command: Sequence[str], timeout: float, *, limit: int = 1 << 26, env: Mapping[str, str] | None = None
) -> Finished:
    """Runs a program to its end, at most `timeout` seconds and `limit` bytes of output, without input.

    It gets a process group of its own, which is killed if a bound is exceeded.
    """
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=None if env is None else dict(env),
        )
    except OSError as error:
        return Finished(127, problem=f"cannot start {command[0]}: {error.strerror}")
    with child:
        try:
            return _collected(child, timeout, limit)
        finally:
            if child.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)


def _collected(child: subprocess.Popen[bytes], timeout: float, limit: int) -> Finished:
    end = time.monotonic() + timeout
    streams = [stream for stream in (child.stdout, child.stderr) if stream is not None]
    pieces = {stream.fileno(): bytearray() for stream in streams}
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, end - time.monotonic()))
            if not ready:
                return Finished(-1, problem=f"no answer within {timeout:g} s")
            for key, _ in ready:
                piece = os.read(key.fd, PIECE)
                pieces[key.fd] += piece
                if not piece:
                    selector.unregister(key.fileobj)
            if sum(map(len, pieces.values())) > limit:
                return Finished(-1, problem=f"more than {limit} bytes of output")
    out, err = (bytes(pieces[stream.fileno()]) for stream in streams)
    try:
        return Finished(child.wait(max(0.0, end - time.monotonic())), out, err)
    except subprocess.TimeoutExpired:
        return Finished(-1, out, err, problem=f"no end within {timeout:g} s")
