"""Runs a program in the foreground for a person or a script, and ends what it started elsewhere.

A killed client of an engine leaves its command running in the node. So when the client or we are gone too
early, a second program is started that ends the command. A guard starts it even after SIGKILL.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import IO, Self

from lab.printable import ConsoleText
from lab.process import not_started

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
RELAY_SECONDS = 0.2  # between two looks at whether a signal came
CLIENT_SECONDS = 2.0  # that a client may take to end after a signal
HANG_UP_SECONDS = 15.0  # that we wait until the command has ended in the node
UNREAD = 128 + signal.SIGPIPE
CHUNK = 1 << 16
LOST = 255  # ssh's status when it lost the other side (ssh(1), EXIT STATUS)
# An empty line dismisses the guard; a number is the signal to pass on; end of file: we are gone.
_GUARD = 'read -r word || word=1; [ -z "$word" ] || exec "$@" "$word"'


class Guard:
    """Sees to it that a command in a node is ended; `argv` ends it, with a signal's number added to it."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C and a closed terminal do not reach it
        )

    def dismiss(self) -> None:
        """Nothing is left to be ended."""
        self._tell("")

    def hang_up(self, number: int = signal.SIGHUP) -> None:
        """Ends the command, by this signal first, and waits until that is done, though not for ever."""
        self._tell(str(number))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.dismiss()
        else:
            self.hang_up()

    def _tell(self, word: str) -> None:
        if self._process.returncode is not None:
            return  # it has been told
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._process.communicate(word.encode() + b"\n", timeout=HANG_UP_SECONDS)


class _Heard:
    """Signals that came while a client runs: passed on to it, which is killed if it does not end."""

    def __init__(self) -> None:
        self.first = 0
        self._client: subprocess.Popen[bytes] | None = None

    def watch(self, client: subprocess.Popen[bytes]) -> None:
        self._client = client
        if self.first:
            self._pass_on(self.first)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.first and (self._client is None or self._client.returncode is not None):
            raise KeyboardInterrupt  # nobody waits for ever for the end in the node
        self.first = self.first or number
        self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        if self._client is not None:
            self._client.send_signal(number)
            killer = threading.Timer(CLIENT_SECONDS, self._client.kill)
            killer.daemon = True
            killer.start()


class _Relay:
    """Passes on what a client writes, without what steers a terminal, until nobody reads it any more."""

    def __init__(self, pipe: IO[bytes], target: int) -> None:
        self.problem: OSError | None = None
        self._pipe = pipe
        self._target = target
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def wait(self, heard: _Heard) -> None:
        """Waits until all of it is read; after a signal nobody waits for a slow reader."""
        while self._thread.is_alive() and not heard.first:
            self._thread.join(RELAY_SECONDS)

    def _pass_on(self) -> None:
        harmless = ConsoleText(colours=False)
        try:
            with self._pipe:  # closed early, it ends a client that goes on writing
                while data := os.read(self._pipe.fileno(), CHUNK):
                    self._write(harmless.feed(data))
                self._write(harmless.feed(b"", final=True))
        except OSError as problem:
            self.problem = problem

    def _write(self, text: str) -> None:
        data = text.encode()
        while data:
            data = data[os.write(self._target, data) :]


def attend(argv: Sequence[str], hang_up: Sequence[str], *, harmless: bool = False) -> int:
    """Runs a client on our own input, output and terminal; returns the status as a shell reports it.

    With `harmless`, its output comes without what steers a terminal.

    `hang_up` is what ends the command in the node (`Guard`). It runs when we hear SIGINT, SIGTERM, SIGHUP or
    SIGQUIT or are killed, and when the client is killed, as by SIGPIPE once nobody reads any more.
    """
    heard = _Heard()
    with hearing(ENDS, heard), _same_terminal():
        try:
            client = subprocess.Popen(list(argv), stdout=_output(harmless), stderr=_pipe(harmless))
        except OSError as problem:
            raise not_started(argv, problem) from problem
        guard = Guard(hang_up)
        heard.watch(client)
        relays = [
            _Relay(pipe, fd) for pipe, fd in ((client.stdout, 1), (client.stderr, 2)) if pipe is not None
        ]
        status = client.wait()
        if lost := bool(heard.first) or status < 0 or status == LOST:
            guard.hang_up(heard.first or signal.SIGHUP)
        flaw = _flaw(relays, heard)
        if not lost:
            guard.dismiss()
    if isinstance(flaw, BrokenPipeError):
        return UNREAD
    if flaw is not None:
        raise flaw
    return 128 + (heard.first or -status) if heard.first or status < 0 else status


def _output(harmless: bool) -> int | None:  # noqa: FBT001 - private
    return _pipe(harmless) if _takes_output() else subprocess.DEVNULL


def _pipe(harmless: bool) -> int | None:  # noqa: FBT001 - private
    return subprocess.PIPE if harmless else None


def _flaw(relays: Sequence[_Relay], heard: _Heard) -> OSError | None:
    """Why the output could not be passed on; None if all of it was."""
    for relay in relays:
        relay.wait(heard)
    return next((relay.problem for relay in relays if relay.problem is not None), None)


def _takes_output() -> bool:
    """Whether standard output is open for writing: a closed one is opened for reading (cli/streams.py)."""
    return fcntl.fcntl(1, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY


@contextlib.contextmanager
def hearing(
    numbers: Sequence[signal.Signals], handler: Callable[[int, FrameType | None], object]
) -> Iterator[None]:
    """Handles these signals, except those that somebody had us ignore, as nohup(1) does."""
    before = {number: signal.getsignal(number) for number in numbers}
    heard_now = [number for number in numbers if before[number] is not signal.SIG_IGN]
    for number in heard_now:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in heard_now:
            signal.signal(number, before[number])


@contextlib.contextmanager
def _same_terminal() -> Iterator[None]:
    """Returns the terminal to the mode it had: a client that was killed left it raw."""
    mode = None
    with contextlib.suppress(termios.error, OSError, ValueError, AttributeError):
        mode = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        if mode is not None:
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, mode)
