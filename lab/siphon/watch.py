"""Repeats a fetch at an interval and runs a command after each change, until SIGTERM.

It polls. A subscription as sackd's requires that the controller can always connect to the client.
"""

from __future__ import annotations

import os
import signal
import time

from lab.siphon.errors import SiphonError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Sleep = Callable[[float], None]
    Warn = Callable[[str], None]

SHELL = "/bin/sh"


class Stopped(BaseException):
    """Raised on SIGTERM, so that everything cleans up after itself."""


def _stop(_number: int, _frame: object) -> None:
    raise Stopped


def run(
    fetch_once: Callable[[], bool],
    failed: Callable[[SiphonError], None],
    seconds: float,
    command: str | None,
    warn: Warn,
    sleep: Sleep = time.sleep,
) -> None:
    """Calls `fetch_once`, which returns whether files changed, every `seconds` until SIGTERM.

    The first failure is raised. Later ones are passed to `failed`, a repeated one only once.
    """
    before = signal.signal(signal.SIGTERM, _stop)
    reported = ""
    try:
        first = True
        while True:
            try:
                changed = fetch_once()
                reported = ""
            except SiphonError as error:
                if first:
                    raise
                changed = False
                if error.message != reported:
                    failed(error)
                reported = error.message
            first = False
            if changed and command is not None:
                _run_command(command, warn)
            sleep(seconds)
    except Stopped:
        return
    finally:
        signal.signal(signal.SIGTERM, before)


def _run_command(command: str, warn: Warn) -> None:
    held = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    try:
        # A SIGTERM that came just before is raised here, and must not stay blocked.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        child = os.posix_spawn(
            SHELL, [SHELL, "-c", command], os.environ, setsigmask=held, setsigdef=[signal.SIGTERM]
        )
    except BaseException:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        raise
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        # WNOWAIT leaves the ended child in the process table: its number stays ours until SIGTERM was sent.
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    except BaseException:
        os.kill(child, signal.SIGTERM)
        raise
    finally:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        warn(f"--on-change ended with {'signal' if status < 0 else 'status'} {abs(status)}")
