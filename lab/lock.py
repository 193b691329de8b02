"""One lock for each lab, taken by commands that change it; commands that only read ignore it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lab.errors import Exit, LabError
from lab.paths import private_folder
from lab.system_errors import writing


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock, its command, and since when (seconds since 1970)."""

    pid: int
    command: str
    since: float


class Lock:
    """A held lock; the kernel releases it when the process ends."""

    def __init__(self, file: int) -> None:
        self._file: int | None = file

    def release(self) -> None:
        """Releases the lock; a second call does nothing."""
        if self._file is None:
            return
        os.ftruncate(self._file, 0)
        os.close(self._file)
        self._file = None


@contextmanager
def hold(
    path: Path,
    lab: str,
    command: str,
    clock: Callable[[], float] = time.time,
    wait: Callable[[str], None] | None = None,
) -> Iterator[Lock]:
    """Locks the lab for a block; if it is locked, raises a LabError (exit status 4) that names the holder.

    With `wait`, passes a message about the holder to it and waits for the lock instead.
    """
    lock = _take(path, lab, command, clock, wait)
    try:
        yield lock
    finally:
        lock.release()


def _take(
    path: Path, lab: str, command: str, clock: Callable[[], float], wait: Callable[[str], None] | None
) -> Lock:
    with writing(path):
        private_folder(path.parent)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        refusal = _refusal(lab, _read(file), clock())
        if wait is None:
            os.close(file)
            raise refusal from None
        wait(f"waiting: {refusal.message}: {refusal.evidence}")
        fcntl.flock(file, fcntl.LOCK_EX)  # the kernel keeps the queue; Ctrl-C ends the wait
    me = Holder(os.getpid(), command, clock())
    with suppress(OSError):  # on a full disk the lock holds without its note, and `lab down` frees room
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps({"pid": me.pid, "command": me.command, "since": me.since}).encode(), 0)
    return Lock(file)


def _read(file: int) -> Holder:
    try:
        found = json.loads(os.pread(file, 4096, 0))
        return Holder(int(found["pid"]), str(found["command"]), float(found["since"]))
    except (ValueError, KeyError, TypeError):
        return Holder(0, "", 0.0)  # it has just taken the lock and not yet written its name


def _refusal(lab: str, found: Holder, now: float) -> LabError:
    if found.pid:
        evidence = f"{found.command} (process {found.pid}) has held the lock for {now - found.since:.0f} s"
    else:
        evidence = "it has just taken the lock"
    return LabError(
        f"another command is changing {f'the {lab[1:]}' if lab.startswith('+') else f'lab {lab}'}",
        evidence=evidence,
        hint="wait until it has ended, then repeat this command",
        code=Exit.LOCKED,
    )
