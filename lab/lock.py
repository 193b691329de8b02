"""One lock for each lab of an engine, taken by commands that change it; commands that only read ignore it.

Labs are the engine's, so all accounts that may use it must see the same lock: the backend keeps it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from lab.errors import Exit, LabError
from lab.lock_holder import Holder, holder_from_json, this_place, this_process
from lab.system_errors import writing

NOTE_BYTES = 4096


class Locks(Protocol):
    """The locks of an engine's labs."""

    def hold(
        self, lab: str, command: str, say: Callable[[str], None], *, wait: bool = False
    ) -> AbstractContextManager[None]:
        """Locks the lab for a block; if it is locked, raises a LabError (status 4) that names the holder.

        With `wait`, passes a message about the holder to `say` and waits for the lock instead. A holder that
        was killed holds nothing.
        """


class FileLocks:
    """Locks as files, for an engine whose users all write to one folder; the kernel frees a dead holder's."""

    def __init__(self, folder: Callable[[], Path], clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock

    @contextmanager
    def hold(
        self, lab: str, command: str, say: Callable[[str], None], *, wait: bool = False
    ) -> Iterator[None]:
        """Locks the lab for a block, as `Locks` says."""
        folder = self._folder()
        path = folder / f"{lab}.lock"
        with writing(path):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._take(file, lab, say, wait=wait)
            with suppress(OSError):  # on a full disk the lock holds without its note; `lab down` frees room
                os.ftruncate(file, 0)
                os.pwrite(file, this_process(command, self._clock()).to_json().encode(), 0)
            try:
                yield
            finally:
                os.ftruncate(file, 0)
        finally:
            os.close(file)

    def _take(self, file: int, lab: str, say: Callable[[str], None], *, wait: bool) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note = os.pread(file, NOTE_BYTES, 0).decode(errors="replace")
            refusal = refused(lab, holder_from_json(note), self._clock())
            if not wait:
                raise refusal from None
            say(waiting(refusal))
            fcntl.flock(file, fcntl.LOCK_EX)  # the kernel keeps the queue; Ctrl-C ends the wait


def refused(lab: str, holder: Holder | None, now: float, more: str = "") -> LabError:
    """The error for a command that found the lab locked."""
    evidence = holder.told(this_place(), now) if holder else "it has just taken the lock"
    return LabError(
        f"another command is changing {f'the {lab[1:]}' if lab.startswith('+') else f'lab {lab}'}",
        evidence=f"{evidence}\n{more}" if more else evidence,
        hint="wait until it has ended, then repeat this command",
        code=Exit.LOCKED,
    )


def waiting(refusal: LabError) -> str:
    """The line for a command that waits instead."""
    return f"waiting: {refusal.message}: {' '.join(refusal.evidence.splitlines())}"
