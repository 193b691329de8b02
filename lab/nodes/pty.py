"""A child process behind a terminal: bytes in, bytes out, and a search for markers."""

from __future__ import annotations

import re
import select
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from lab.errors import LabError
from lab.host_speed import SHELL, HostSpeed
from lab.nodes.child import PtyChild
from lab.nodes.transcript import Transcript
from lab.polling import Limit, with_reason
from lab.printable import ConsoleText
from lab.process import LOOK_AGAIN, last_lines, short

CONNECT = 10.0  # seconds a shell may take to answer for the first time
NUDGE = 1.5  # seconds after which the opening lines are typed again: a slow start may drop them
FAREWELL = 0.5  # seconds a shell gets to end by itself
LONGEST_FAREWELL = 2.0  # the same on the slowest host: nobody waits longer for a shell to be closed
TAKES_INPUT = 10.0  # seconds after which a child that reads nothing of what is typed counts as lost
MOST_OUTPUT = 16 << 20  # bytes that wait to be used; a fact has kilobytes
TAIL = 256  # longer than any marker: how far back a search goes on
CTRL_C, CTRL_BACKSLASH, CTRL_Z = b"\x03", b"\x1c", b"\x1a"
NEVER = re.compile(rb"(?!)")


class ConsoleLost(LabError):
    """The shell's node went away under it (reboot, poweroff), or it could not be opened."""

    def __init__(self, message: str, output: str = "", limit: Limit | None = None) -> None:
        evidence = last_lines(output)
        super().__init__(
            message,
            evidence=evidence if limit is None else with_reason(evidence, limit),
            hint="lab status shows whether the node is up, lab console NODE what it does",
        )
        self.output = output


class TooMuchOutput(LabError):
    """A node printed so much that it will not end; only the end is kept, as evidence."""

    def __init__(self, output: str) -> None:
        super().__init__(f"the node printed more than {MOST_OUTPUT >> 20} MiB", evidence=last_lines(output))


class PtyTransport:
    """A child process behind a terminal: bytes in, bytes out, and a search for markers.

    All limits follow `speed`; how long a shell took to open is told to it.
    """

    def __init__(self, argv: Sequence[str], transcript: Path | None, speed: HostSpeed) -> None:
        self.argv = list(argv)
        self._speed = speed
        self._buffer = bytearray()
        self._transcript = None if transcript is None else Transcript(transcript)
        self._harmless = ConsoleText()
        self._child = self._spawn()

    def _spawn(self) -> PtyChild:
        try:
            return PtyChild(self.argv)
        except OSError as problem:
            if self._transcript is not None:
                self._transcript.close()
            raise ConsoleLost(f"cannot start {short(self.argv)}", str(problem)) from problem

    def send(self, data: bytes) -> None:
        """Types bytes; ConsoleLost when the child is gone, or reads nothing for long."""
        limit = self._speed.limit(TAKES_INPUT)
        try:
            while data := data[self._child.write(data) :]:
                if (left := limit.left()) <= 0:
                    raise ConsoleLost("the shell reads nothing of what is typed", self.drain(), limit)
                self._child.wait(select.POLLOUT, min(left, LOOK_AGAIN))
        except OSError as problem:
            raise ConsoleLost("the shell is gone", self.drain()) from problem

    def read_until(
        self, marker: re.Pattern[bytes], limit: Limit, on_data: Callable[[bytearray], None] | None = None
    ) -> re.Match[bytes] | None:
        """Reads until the marker is there; None when the limit runs out. `consume` then cuts it out.

        TooMuchOutput when more comes than is ever meant to.
        """
        start = 0
        while True:
            if match := marker.search(self._buffer, start):
                return match
            start = max(0, len(self._buffer) - TAIL)
            if on_data is not None:
                on_data(self._buffer)
            left = limit.left()
            if left <= 0:
                return None
            if self._child.wait(select.POLLIN, min(left, LOOK_AGAIN)):
                data = self._child.read()
                if not data:
                    raise ConsoleLost("the shell ended", self.drain())
                self._buffer += data
                self.note(data)
                if len(self._buffer) > MOST_OUTPUT:
                    raise TooMuchOutput(self.drain())

    def handshake(
        self, opening: bytes, answer: re.Pattern[bytes], *, gently: bool = False
    ) -> re.Match[bytes]:
        """Types opening lines until a shell answers; closes and raises ConsoleLost when none does in time.

        A line that was cut short by a shell which was still starting may have left it inside a quotation;
        Ctrl-C gets it out. But Ctrl-C kills what is not a shell yet, as on a busy host: then a new child is
        started, and with `gently` no Ctrl-C is sent.
        """
        began = time.monotonic()
        limit = self._speed.limit(CONNECT)
        tries = 0
        try:
            while limit.left() > 0:
                self.send((CTRL_C if tries > 1 and not gently else b"") + opening)
                if match := self.read_until(answer, self._speed.limit(NUDGE)):
                    self._speed.note(time.monotonic() - began, SHELL)
                    return match
                tries += 1
        except ConsoleLost as problem:
            if tries > 1 and not gently:
                self._child.end()
                self._child = self._spawn()
                return self.handshake(opening, answer, gently=True)
            self.close()
            raise ConsoleLost(f"cannot open a shell with {short(self.argv)}", problem.output) from None
        output = self.drain()
        self.close()
        raise ConsoleLost(f"no shell answered {short(self.argv)} within {limit.waited:g} s", output, limit)

    def consume(self, match: re.Match[bytes]) -> bytes:
        """Removes everything up to the end of a match, and returns what stood before it."""
        before = bytes(self._buffer[: match.start()])
        end = match.end()
        del match  # a bytearray cannot be resized while a match of it exists
        del self._buffer[:end]
        return before

    def drain(self) -> str:
        """Removes and returns all that was read and not yet used."""
        text = decode(bytes(self._buffer))
        self._buffer = bytearray()
        return text

    def note(self, data: bytes) -> None:
        """Writes to the transcript, which people read on a terminal."""
        if self._transcript is not None:
            self._transcript.write(self._harmless.feed(data).encode())

    def close(self) -> None:
        """Ends the process, whatever it is doing; never raises, and returns within seconds.

        The shell is asked first: killing an engine's client leaves what it started in the node running.
        """
        farewell = Limit(min(FAREWELL * self._speed.timeout_scale, LONGEST_FAREWELL))
        with suppress(LabError, OSError):
            self._child.write(CTRL_C + b"\nexit\n")
            self.read_until(NEVER, farewell)
        self._child.end()
        if self._transcript is not None:
            with suppress(LabError):  # a full disk
                self._transcript.write(self._harmless.feed(b"", final=True).encode())
            self._transcript.close()


def decode(data: bytes) -> str:
    """Bytes of a node as text; what is not UTF-8 becomes U+FFFD."""
    return data.decode("utf-8", errors="replace")
