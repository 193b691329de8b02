"""A shell in a node: runs a command, and tells its status and output apart from prompts and echoes.

The shell's prompt is the end marker. It holds a random word, the number of the command and its exit status.
The word is only ever typed in two halves, so an echo cannot look like the marker; nothing typed ahead can be
read by the command; and a late answer is recognized by its number.
"""

from __future__ import annotations

import base64
import re
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lab.errors import LabError
from lab.host_speed import HostSpeed
from lab.nodes.pty import (
    CTRL_BACKSLASH,
    CTRL_C,
    CTRL_Z,
    NEVER,
    ConsoleLost,
    PtyTransport,
    TooMuchOutput,
    decode,
)
from lab.polling import Limit, with_reason
from lab.process import last_lines

GRACE = 1.0  # seconds a command gets to end after each signal
PIECE = 3000  # a terminal takes at most 4096 characters a line
# Variables of a user that change the output of commands, or print news of mail before a prompt.
TASTES = (
    "MAIL MAILPATH MAILCHECK CDPATH SINFO_FORMAT SINFO_PARTITION SINFO_SORT SQUEUE_FORMAT SQUEUE_SORT"
    " SQUEUE_STATES SQUEUE_PARTITION SQUEUE_USERS SACCT_FORMAT SLURM_TIME_FORMAT"
)
# Appended, so that the system's programs are found although a learner's PATH is broken.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Result:
    """What one command did: its exit status, what it wrote to the terminal (errors included), and seconds."""

    exit_status: int
    output: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the exit status is 0."""
        return self.exit_status == 0


class CommandTimeout(LabError):
    """A command did not end within its limit and was killed; `output` is what it had written by then."""

    def __init__(self, command: str, limit: Limit, output: str) -> None:
        super().__init__(
            f"`{_brief(command)}` did not end within {limit.waited:g} s",
            evidence=with_reason(last_lines(output), limit),
        )
        self.output = output


class Console:
    """A plain POSIX shell in a node, for facts and checks; each command runs in a subshell of its own.

    Commands read nothing (`</dev/null`), cannot change or end the shell they run in, and see no alias, rc
    file or prompt of the user. The console opens at the first command, and again at the next one when it was
    lost. All limits follow `speed`.
    """

    def __init__(
        self, argv: Sequence[str], transcript: Path | None = None, *, speed: HostSpeed | None = None
    ) -> None:
        self._argv = list(argv)
        self._speed = HostSpeed(most=1.0) if speed is None else speed
        self._transcript = transcript
        self._transport: PtyTransport | None = None
        self._lock = threading.Lock()
        self._halves = (secrets.token_hex(8), secrets.token_hex(8))
        self._number = 0
        self._shell_pid = 0

    def run(self, command: str, timeout: float = 30.0) -> Result:
        """Runs a command and waits for it; raises CommandTimeout, TooMuchOutput or ConsoleLost.

        `timeout` is in seconds of a quiet host.
        """
        with self._lock:
            transport = self._usable_transport()
            start = time.monotonic()
            limit = self._speed.limit(timeout)
            transport.note(f"\n$ {command}\n".encode())
            try:
                self._type(transport, command, limit)
                match = transport.read_until(self._end(), limit)
            except ConsoleLost as problem:
                self._drop()
                seen = self._output(problem.output.encode())
                raise ConsoleLost(f"the node went away during `{_brief(command)}`", seen) from None
            except TooMuchOutput:
                self._end_endless()
                raise
            if match is None:
                output = self._output(transport.drain().encode())
                self._interrupt(transport)
                raise CommandTimeout(command, limit, output)
            status = int(match.group(1))
            output = self._output(transport.consume(match))
            return Result(status, output, time.monotonic() - start)

    def close(self) -> None:
        """Ends the shell; a later `run` opens another one."""
        with self._lock:
            self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _usable_transport(self) -> PtyTransport:
        """An open shell; reconnects once when the old one died while nobody used it."""
        if self._transport is not None:
            try:
                self._transport.read_until(NEVER, Limit(0.0005))
                self._transport.drain()
                return self._transport
            except ConsoleLost:
                self._drop()
        return self._open()

    def _open(self) -> PtyTransport:
        transport = PtyTransport(self._argv, self._transcript, self._speed)
        self._number += 1
        # An rc file may read the first line: only the shell started by `exec` has the word as its argument.
        opening = b"exec /bin/sh -s rackling\n" + self._opening() + b"\n"
        match = transport.handshake(opening, self._end())
        self._shell_pid = int(match.group(2))
        transport.consume(match)
        self._transport = transport
        return transport

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

    def _type(self, transport: PtyTransport, command: str, limit: Limit) -> None:
        """Types a command as base64, in pieces that fit a terminal line, then the line that runs it."""
        first, second = self._halves
        text = base64.b64encode(command.encode()).decode()
        pieces = [text[i : i + PIECE] for i in range(0, len(text), PIECE)] or [""]
        for index, piece in enumerate(pieces[:-1]):
            self._number += 1
            kept = "${rk_c}" if index else ""
            transport.send(f"rk_n={self._number}; rk_c={kept}{piece}\n".encode())
            match = transport.read_until(self._end(), limit)
            if match is None:
                return
            transport.consume(match)
        self._number += 1
        kept = "${rk_c}" if len(pieces) > 1 else ""
        transport.send(
            f"rk_n={self._number}; printf '%s%s<%s>' {first} {second} $rk_n;"
            f' (eval "$(printf %s {kept}{pieces[-1]} | base64 -d)") </dev/null\n'.encode()
        )

    def _output(self, raw: bytes) -> str:
        """What the command wrote: everything after its begin marker."""
        match = self._begin().search(raw)
        return decode(raw[match.end() :] if match else raw)

    def _interrupt(self, transport: PtyTransport) -> None:
        """Ends the command in the foreground, gently first; closes the shell when nothing helps."""
        try:
            for key in (CTRL_C, CTRL_BACKSLASH, CTRL_Z):
                transport.send(key)
                if self._in_step(transport):
                    if (
                        key == CTRL_Z
                    ):  # it is only stopped; `fg` prints a line about its end before the next prompt
                        transport.send(b"kill -KILL %% 2>/dev/null; fg >/dev/null 2>&1\n")
                        self._in_step(transport)
                    return
        except (ConsoleLost, TooMuchOutput):
            pass
        self._end_endless()

    def _end_endless(self) -> None:
        """Kills a command that does not end, or that prints so much that its end cannot be seen."""
        pid = self._shell_pid
        self._drop()
        self._kill_children(pid)

    def _in_step(self, transport: PtyTransport) -> bool:
        """Whether the shell answers again: the prompt must show a new number."""
        self._number += 1
        transport.send(f"\nrk_n={self._number}\n".encode())
        match = transport.read_until(self._end(), self._speed.limit(GRACE))
        if match is not None:
            transport.consume(match)
        return match is not None

    def _kill_children(self, pid: int) -> None:
        """From a new shell, kills what a shell that does not answer left running."""
        try:
            transport = self._open()
            self._number += 1
            transport.send(f"rk_n={self._number}; {_KILL_TREE.format(pid=pid)}\n".encode())
            transport.read_until(self._end(), self._speed.limit(GRACE))
            transport.drain()
        except ConsoleLost:
            self._drop()

    def _drop(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None


_KILL_TREE = (
    "rk_kill() {{ for rk_p in $(sed -n 's/^\\([0-9]*\\) (.*) [A-Za-z] \\([0-9]*\\) .*/\\1 \\2/p'"
    " /proc/[0-9]*/stat 2>/dev/null | while read -r p q; do [ $q = $1 ] && echo $p; done);"
    " do (rk_kill $rk_p); kill -KILL $rk_p 2>/dev/null; done; }}; rk_kill {pid}; kill -KILL {pid} 2>/dev/null"
)


def _brief(command: str) -> str:
    line = " ".join(command.split())
    return line if len(line) <= 80 else line[:79] + "…"
