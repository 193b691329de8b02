"""A child process with a terminal of its own, and how it is ended without ever waiting long for it.

pexpect starts it. Ending it is ours: pexpect waits without a limit for a child whose terminal is closed, and
raises when a killed child is not gone a tenth of a second later. A busy host needs longer than that.
"""

from __future__ import annotations

import errno
import os
import select
import shutil
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

import pexpect

from lab.polling import Sleep, monotonic, pause, wait_for
from lab.process import reap_later

ROWS, COLUMNS = 50, 200
CHUNK = 65536
STEP_SECONDS = 0.05  # how long a child gets to be gone after each signal, before the next one
EVERY = 0.005  # seconds between two looks
Wait = Callable[[int, int], tuple[int, int]]
Kill = Callable[[int, int], None]


class PtyChild:
    """A child process behind a terminal; OSError when its program is not there."""

    def __init__(self, argv: Sequence[str]) -> None:
        if shutil.which(argv[0]) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])
        try:
            self._spawned: pexpect.spawn[bytes] = pexpect.spawn(
                argv[0], list(argv[1:]), echo=False, dimensions=(ROWS, COLUMNS)
            )
        except pexpect.ExceptionPexpect as problem:
            raise OSError(errno.ENOEXEC, str(problem), argv[0]) from problem
        self.pid = int(self._spawned.pid or 0)
        self._terminal = int(self._spawned.child_fd)
        os.set_blocking(self._terminal, False)
        self._poll = select.poll()

    def fileno(self) -> int:
        """The number of the terminal's file, for an event loop; it is never read or written elsewhere."""
        return self._terminal

    def resize(self, rows: int, columns: int) -> None:
        """Gives the terminal another size, which its programs are told."""
        self._spawned.setwinsize(rows, columns)

    def wait(self, events: int, seconds: float) -> bool:
        """Waits until bytes can be read (POLLIN) or written (POLLOUT), or the terminal was closed."""
        self._poll.register(self._terminal, events)
        return bool(self._poll.poll(max(0.0, seconds) * 1000))

    def read(self) -> bytes:
        """What has come; nothing when the other end is closed."""
        try:
            return os.read(self._terminal, CHUNK)
        except OSError as problem:
            if problem.errno == errno.EIO:  # how Linux says that nobody has the terminal open any more
                return b""
            raise

    def write(self, data: bytes) -> int:
        """Types as much as the terminal takes just now, and says how much that was."""
        try:
            return os.write(self._terminal, data)
        except BlockingIOError:
            return 0

    def end(self) -> None:
        """Hangs up and ends the process; never raises, and returns at once."""
        if self._terminal >= 0:
            self._terminal = -1
            process = vars(self._spawned)["ptyproc"]
            with suppress(OSError):
                process.fileobj.close()  # it holds the terminal
            for owner in (self._spawned, process):
                owner.closed = True  # else pexpect ends the child in its own way when it is forgotten
            end_child(self.pid)


def end_child(
    pid: int,
    *,
    kill: Kill = os.kill,
    wait: Wait = os.waitpid,
    sleep: Sleep = pause,
    later: Callable[[Callable[[], object], str], None] = reap_later,
) -> None:
    """Ends a child whose terminal has been closed: hang-up, then termination, then death.

    After SIGKILL a process may still be busy in the kernel for long, so it is reaped later.
    """
    for number in (None, signal.SIGHUP, signal.SIGTERM, signal.SIGKILL):
        if number is not None:
            with suppress(ProcessLookupError, PermissionError):
                kill(pid, number)
        if wait_for(lambda: _is_gone(pid, wait), monotonic() + STEP_SECONDS, sleep=sleep, every=EVERY):
            return
    later(lambda: _reap(pid, wait), f"reap {pid}")


def _is_gone(pid: int, wait: Wait) -> bool:
    try:
        return wait(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _reap(pid: int, wait: Wait) -> None:
    with suppress(ChildProcessError):
        wait(pid, 0)
