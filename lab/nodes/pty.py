"""A child process behind a terminal: bytes in, bytes out, and a search for markers."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import pexpect

from lab.errors import LabError
from lab.paths import private_folder
from lab.process import short

ROWS, COLUMNS = 50, 200
CONNECT = 10.0  # seconds a shell may take to answer for the first time
NUDGE = 1.5  # seconds after which the opening lines are typed again: a slow start may drop them
PATIENCE = 0.02  # seconds a closed shell gets to leave by itself
FAREWELL = 0.5  # seconds a shell gets to end by itself
SHOWN = 5  # lines of output shown as evidence
TAIL = 256  # longer than any marker: how far back a search goes on
CTRL_C, CTRL_BACKSLASH, CTRL_Z = b"\x03", b"\x1c", b"\x1a"


class ConsoleLost(LabError):
    """The shell's node went away under it (reboot, poweroff), or it could not be opened."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message, evidence=last_lines(output))
        self.output = output


class PtyTransport:
    """A child process behind a terminal: bytes in, bytes out, and a search for markers."""

    def __init__(self, argv: Sequence[str], transcript: Path | None) -> None:
        self.argv = list(argv)
        self._transcript = _open_private(transcript)
        self._buffer = bytearray()
        self._child = self._spawn()

    def _spawn(self) -> pexpect.spawn[bytes]:
        try:
            child: pexpect.spawn[bytes] = pexpect.spawn(
                self.argv[0],
                self.argv[1:],
                timeout=None,
                echo=False,
                dimensions=(ROWS, COLUMNS),
                use_poll=True,
            )
        except pexpect.ExceptionPexpect as problem:
            if self._transcript is not None:
                self._transcript.close()
            raise ConsoleLost(f"cannot start {short(self.argv)}", str(problem)) from problem
        child.delaybeforesend = None
        for owner in (child, vars(child)["ptyproc"]):
            owner.delayafterterminate = owner.delayafterclose = PATIENCE
        return child

    def send(self, data: bytes) -> None:
        """Types bytes."""
        try:
            self._child.send(data)
        except OSError as problem:
            raise ConsoleLost("the shell is gone", self.drain()) from problem

    def resize(self, rows: int, columns: int) -> None:
        """Tells the far end how large the terminal is."""
        self._child.setwinsize(rows, columns)

    def read_until(
        self, marker: re.Pattern[bytes], deadline: float, on_data: Callable[[bytearray], None] | None = None
    ) -> re.Match[bytes] | None:
        """Reads until the marker is there; None at the deadline. `take_match` then cuts it out."""
        start = 0
        while True:
            if match := marker.search(self._buffer, start):
                return match
            start = max(0, len(self._buffer) - TAIL)
            if on_data is not None:
                on_data(self._buffer)
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            try:
                data = self._child.read_nonblocking(65536, timeout=left)
            except pexpect.TIMEOUT:
                return None
            except pexpect.EOF:
                raise ConsoleLost("the shell ended", self.drain()) from None
            self._buffer += data
            self.note(data)

    def handshake(
        self, opening: bytes, answer: re.Pattern[bytes], timeout_scale: float, *, gently: bool = False
    ) -> re.Match[bytes]:
        """Types opening lines until a shell answers; closes and raises ConsoleLost when none does in time.

        A line cut short by a shell that was still starting may have left it in a quotation; Ctrl-C gets it
        out. But that kills what is not a shell yet, as on a busy machine: then another is started, gently.
        """
        seconds = CONNECT * timeout_scale
        deadline = time.monotonic() + seconds
        tries = 0
        try:
            while time.monotonic() < deadline:
                self.send((CTRL_C if tries > 1 and not gently else b"") + opening)
                if match := self.read_until(answer, min(deadline, time.monotonic() + NUDGE * timeout_scale)):
                    return match
                tries += 1
        except ConsoleLost as problem:
            if tries > 1 and not gently:
                self._child.close(force=True)
                self._child = self._spawn()
                return self.handshake(opening, answer, timeout_scale, gently=True)
            self.close()
            raise ConsoleLost(f"cannot open a shell with {short(self.argv)}", problem.output) from None
        output = self.drain()
        self.close()
        raise ConsoleLost(f"no shell answered {short(self.argv)} within {seconds:g} s", output)

    def consume(self, match: re.Match[bytes]) -> bytes:
        """Removes everything up to the end of a match, and returns what stood before it."""
        before = bytes(self._buffer[: match.start()])
        end = match.end()
        del match  # a live match would lock the buffer's size
        del self._buffer[:end]
        return before

    def drain(self) -> str:
        """Removes and returns all that was read and not yet used."""
        text = decode(bytes(self._buffer))
        self._buffer = bytearray()
        return text

    def note(self, data: bytes) -> None:
        """Writes to the transcript."""
        if self._transcript is not None:
            self._transcript.write(data)

    def close(self) -> None:
        """Ends the process, whatever it is doing.

        The shell is asked first: killing an engine's client leaves what it started in the node running.
        """
        with suppress(ConsoleLost):
            self.send(CTRL_C + b"\nexit\n")
            self.read_until(re.compile(rb"(?!)"), time.monotonic() + FAREWELL)
        self._child.close(force=True)
        if self._transcript is not None:
            self._transcript.close()


def _open_private(path: Path | None) -> BinaryIO | None:
    """Opens a transcript for its owner only, to add to it."""
    if path is None:
        return None
    private_folder(path.parent)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    return os.fdopen(file, "ab", buffering=0)


def decode(data: bytes) -> str:
    """Bytes of a node as text; what is not UTF-8 becomes U+FFFD."""
    return data.decode("utf-8", errors="replace")


def last_lines(text: str) -> str:
    """The end of an output, as evidence."""
    return "\n".join(text.strip().splitlines()[-SHOWN:])
