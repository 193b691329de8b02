"""Fetches again and again, and runs a command after each change; ends on SIGTERM.

A poll, not a subscription: sackd registers with the controller and has to stay reachable, siphon does not.
"""

from __future__ import annotations

import os
import signal
import time

from lab.slurm.failure import SiphonError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Sleep = Callable[[float], None]
    Warn = Callable[[str], None]

SHELL = "/bin/sh"


class Stopped(BaseException):
    """SIGTERM came; everything on the way out cleans up after itself."""


def _stop(_number: int, _frame: object) -> None:
    raise Stopped


def run(
    once: Callable[[], bool],
    failed: Callable[[SiphonError], None],
    seconds: float,
    command: str | None,
    warn: Warn,
    sleep: Sleep = time.sleep,
) -> None:
    """Calls `once` at an interval until SIGTERM. The first failure ends it; later ones are only told."""
    before = signal.signal(signal.SIGTERM, _stop)
    told = ""
    try:
        first = True
        while True:
            try:
                changed = once()
                told = ""
            except SiphonError as error:
                if first:
                    raise
                changed = False
                if error.message != told:  # the same trouble is told once
                    failed(error)
                told = error.message
            first = False
            if changed and command is not None:
                _run_command(command, warn)
            sleep(seconds)
    except Stopped:
        return
    finally:
        signal.signal(signal.SIGTERM, before)


def _run_command(command: str, warn: Warn) -> None:
    child = os.posix_spawn(SHELL, [SHELL, "-c", command], os.environ, setsigdef=[signal.SIGTERM])
    try:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except BaseException:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        raise
    if status:
        warn(f"--on-change ended with {'signal' if status < 0 else 'status'} {abs(status)}")
