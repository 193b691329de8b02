"""A shell in a node, told apart from its prompts and echoes: run a command, get status and output.

How it is never fooled: the shell's prompt *is* the end marker. It holds a random word that is only
ever typed in two halves, the number of the command and its exit status. So an echo cannot look like
it, nothing typed ahead can be swallowed by the command, and a late answer is known by its number.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

import pexpect

from lab.errors import LabError
from lab.paths import private_folder
from lab.run import short

ROWS, COLUMNS = 50, 200
CONNECT = 10.0  # seconds a shell may take to answer for the first time
NUDGE = 1.5  # seconds after which the opening lines are typed again: a slow start may drop them
GRACE = 1.0  # seconds a command gets to die of each signal
PATIENCE = 0.02  # seconds a closed shell gets to leave by itself
FAREWELL = 0.5  # seconds a shell gets to end by itself
PIECE = 3000  # a terminal takes at most 4096 characters a line
SHOWN = 5  # lines of output shown as evidence
TAIL = 256  # longer than any marker: how far back a search goes on
CTRL_C, CTRL_BACKSLASH, CTRL_Z = b"\x03", b"\x1c", b"\x1a"
# What a user may have set to see things in another form, or to be told of mail before a prompt.
TASTES = (
    "MAIL MAILPATH MAILCHECK CDPATH SINFO_FORMAT SINFO_PARTITION SINFO_SORT SQUEUE_FORMAT SQUEUE_SORT"
    " SQUEUE_STATES SQUEUE_PARTITION SQUEUE_USERS SACCT_FORMAT SLURM_TIME_FORMAT"
)
# Appended, so that a learner's spoilt PATH still finds the system's programs.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Result:
    """What one command did: its exit status, and what it wrote to the terminal, errors included."""

    exit_status: int
    output: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the command said that it succeeded."""
        return self.exit_status == 0


class CommandTimeout(LabError):
    """A command did not end in its time; it has been killed, and `output` is what it wrote until then."""

    def __init__(self, command: str, timeout: float, output: str) -> None:
        super().__init__(f"`{_brief(command)}` did not end within {timeout:g} s", evidence=last_lines(output))
        self.output = output


class ConsoleLost(LabError):
    """The shell's node went away under it (reboot, poweroff), or it could not be opened."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message, evidence=last_lines(output))
        self.output = output


class Wire:
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
            raise ConsoleLost("the shell is gone", self.take()) from problem

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
                raise ConsoleLost("the shell ended", self.take()) from None
            self._buffer += data
            self.note(data)

    def knock(
        self, opening: bytes, answer: re.Pattern[bytes], pace: float, *, gently: bool = False
    ) -> re.Match[bytes]:
        """Types opening lines until a shell answers; closes and raises ConsoleLost when none does in time.

        A line cut short by a shell that was still starting may have left it in a quotation; Ctrl-C gets it
        out. But that kills what is not a shell yet, as on a busy machine: then another is started, gently.
        """
        seconds = CONNECT * pace
        deadline = time.monotonic() + seconds
        tries = 0
        try:
            while time.monotonic() < deadline:
                self.send((CTRL_C if tries > 1 and not gently else b"") + opening)
                if match := self.read_until(answer, min(deadline, time.monotonic() + NUDGE * pace)):
                    return match
                tries += 1
        except ConsoleLost as problem:
            if tries > 1 and not gently:
                self._child.close(force=True)
                self._child = self._spawn()
                return self.knock(opening, answer, pace, gently=True)
            self.close()
            raise ConsoleLost(f"cannot open a shell with {short(self.argv)}", problem.output) from None
        output = self.take()
        self.close()
        raise ConsoleLost(f"no shell answered {short(self.argv)} within {seconds:g} s", output)

    def cut(self, match: re.Match[bytes]) -> bytes:
        """Removes everything up to the end of a match, and returns what stood before it."""
        before = bytes(self._buffer[: match.start()])
        end = match.end()
        del match  # a live match would lock the buffer's size
        del self._buffer[:end]
        return before

    def take(self) -> str:
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


class Console:
    """A plain POSIX shell in a node, for facts and checks; each command runs in a subshell of its own.

    Commands read nothing (`</dev/null`), cannot change or end the shell they run in, and see no
    alias, rc file or prompt of the user. The console opens itself at the first command, and again
    at the next one when it was lost.
    """

    def __init__(self, argv: Sequence[str], transcript: Path | None = None, *, pace: float = 1.0) -> None:
        self._argv = list(argv)
        self._pace = pace  # of a slow machine: all limits are that many times wider
        self._transcript = transcript
        self._wire: Wire | None = None
        self._lock = threading.Lock()
        self._halves = (secrets.token_hex(8), secrets.token_hex(8))
        self._number = 0
        self._shell_pid = 0

    def run(self, command: str, timeout: float = 30.0) -> Result:
        """Runs a command and waits for it; raises CommandTimeout or ConsoleLost."""
        timeout *= self._pace
        with self._lock:
            wire = self._usable_wire()
            start = time.monotonic()
            deadline = start + timeout
            wire.note(f"\n$ {command}\n".encode())
            try:
                self._type(wire, command, deadline)
                match = wire.read_until(self._end(), deadline)
            except ConsoleLost as problem:
                self._drop()
                seen = self._output(problem.output.encode())
                raise ConsoleLost(f"the node went away during `{_brief(command)}`", seen) from None
            if match is None:
                output = self._output(wire.take().encode())
                self._interrupt(wire)
                raise CommandTimeout(command, timeout, output)
            status = int(match.group(1))
            output = self._output(wire.cut(match))
            return Result(status, output, time.monotonic() - start)

    def close(self) -> None:
        """Ends the shell; a later `run` opens another one."""
        with self._lock:
            self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _usable_wire(self) -> Wire:
        """An open shell; reconnects once when the old one died while nobody used it."""
        if self._wire is not None:
            try:
                self._wire.read_until(re.compile(rb"(?!)"), time.monotonic() + 0.0005)
                self._wire.take()
                return self._wire
            except ConsoleLost:
                self._drop()
        return self._open()

    def _open(self) -> Wire:
        wire = Wire(self._argv, self._transcript)
        self._number += 1
        # An rc file may swallow the first line: the token shows that the shell is the one we asked for.
        opening = b"exec /bin/sh -s rackling\n" + self._opening() + b"\n"
        match = wire.knock(opening, self._end(), self._pace)
        self._shell_pid = int(match.group(2))
        wire.cut(match)
        self._wire = wire
        return wire

    def _opening(self) -> bytes:
        first, second = self._halves
        return (
            ' [ "$1" = rackling ] && {'
            " stty -echo -opost -ixon 2>/dev/null; unalias -a; unset PS1 PS2 ENV HISTFILE PROMPT_COMMAND;"
            f" unset {TASTES};"
            " set +o emacs; set +o vi; set -m 2>/dev/null;"
            f" PATH=$PATH:{PATH}; PS2=; PS4='+ ';"
            " export PATH LC_ALL=C.UTF-8 TERM=dumb PAGER=cat SYSTEMD_PAGER=cat SYSTEMD_COLORS=0;"
            f" rk_n={self._number}; PS1='{first}''{second}['\"\\$rk_n:\\$?:$$\"']'; }}"
        ).encode()

    def _begin(self) -> re.Pattern[bytes]:
        return re.compile(f"{''.join(self._halves)}<{self._number}>".encode())

    def _end(self) -> re.Pattern[bytes]:
        return re.compile(rf"{''.join(self._halves)}\[{self._number}:(\d+):(\d+)\]".encode())

    def _type(self, wire: Wire, command: str, deadline: float) -> None:
        """Types a command as base64, in pieces that fit a terminal line, then the line that runs it."""
        first, second = self._halves
        text = base64.b64encode(command.encode()).decode()
        pieces = [text[i : i + PIECE] for i in range(0, len(text), PIECE)] or [""]
        for index, piece in enumerate(pieces[:-1]):
            self._number += 1
            kept = "${rk_c}" if index else ""
            wire.send(f"rk_n={self._number}; rk_c={kept}{piece}\n".encode())
            match = wire.read_until(self._end(), deadline)
            if match is None:
                return
            wire.cut(match)
        self._number += 1
        kept = "${rk_c}" if len(pieces) > 1 else ""
        wire.send(
            f"rk_n={self._number}; printf '%s%s<%s>' {first} {second} $rk_n;"
            f' (eval "$(printf %s {kept}{pieces[-1]} | base64 -d)") </dev/null\n'.encode()
        )

    def _output(self, raw: bytes) -> str:
        """What the command wrote: all that follows its begin marker."""
        match = self._begin().search(raw)
        return decode(raw[match.end() :] if match else raw)

    def _interrupt(self, wire: Wire) -> None:
        """Kills the command in the foreground, gently first; drops the shell when nothing helps."""
        try:
            for key in (CTRL_C, CTRL_BACKSLASH, CTRL_Z):
                wire.send(key)
                if self._in_step(wire):
                    if key == CTRL_Z:  # it is stopped, not dead; its obituary comes before a prompt
                        wire.send(b"kill -KILL %% 2>/dev/null; fg >/dev/null 2>&1\n")
                        self._in_step(wire)
                    return
        except ConsoleLost:
            pass
        pid = self._shell_pid
        self._drop()
        self._kill_children(pid)

    def _in_step(self, wire: Wire) -> bool:
        """Whether the shell answers again: a new number must come back."""
        self._number += 1
        wire.send(f"\nrk_n={self._number}\n".encode())
        match = wire.read_until(self._end(), time.monotonic() + GRACE * self._pace)
        if match is not None:
            wire.cut(match)
        return match is not None

    def _kill_children(self, pid: int) -> None:
        """From a new shell, kills what an unreachable one left running."""
        try:
            wire = self._open()
            self._number += 1
            wire.send(f"rk_n={self._number}; {_KILL_TREE.format(pid=pid)}\n".encode())
            wire.read_until(self._end(), time.monotonic() + GRACE * self._pace)
            wire.take()
        except ConsoleLost:
            self._drop()

    def _drop(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None


_KILL_TREE = (
    "rk_kill() {{ for rk_p in $(sed -n 's/^\\([0-9]*\\) (.*) [A-Za-z] \\([0-9]*\\) .*/\\1 \\2/p'"
    " /proc/[0-9]*/stat 2>/dev/null | while read -r p q; do [ $q = $1 ] && echo $p; done);"
    " do (rk_kill $rk_p); kill -KILL $rk_p 2>/dev/null; done; }}; rk_kill {pid}; kill -KILL {pid} 2>/dev/null"
)


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


def _brief(command: str) -> str:
    line = " ".join(command.split())
    return line if len(line) <= 80 else line[:79] + "…"
