"""Turns what the operating system refuses into the error that users read: a full disk, a closed folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import LabError

_NOT_WRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)
_NOT_USED = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)
_EXHAUSTED = {errno.EMFILE: "ulimit -n 4096", errno.ENFILE: "sysctl fs.file-nr", errno.ENOMEM: "free -m"}
_OURS = "rackling"  # in the path of every folder that we make for a user (lab/paths.py)


def system_error(problem: OSError, place: Path | None = None) -> LabError | None:
    """The error for what the system refused; None if the cause is not the user's system.

    `place` is the file that was being written, for errors that do not name it.
    """
    number = problem.errno or 0
    name = problem.filename if isinstance(problem.filename, (str, bytes)) else None
    path = place if name is None else Path(os.fsdecode(name))
    evidence = problem.strerror or str(problem)
    if number in _EXHAUSTED:
        return LabError(
            "the system has no more room for open files or memory", evidence=evidence, hint=_EXHAUSTED[number]
        )
    if number not in (*_NOT_WRITTEN, *_NOT_USED):
        return None
    verb = "write" if number in _NOT_WRITTEN or place is not None else "use"
    return LabError(
        f"cannot {verb} {path or 'a file'}", evidence=evidence, hint=_hint(number, path, place or path)
    )


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turns a system error of the block into one that names the file; BlockingIOError and the like pass."""
    try:
        yield
    except OSError as problem:
        if (told := system_error(problem, place)) is not None:
            raise told from problem
        raise


def _hint(number: int, path: Path | None, wanted: Path | None) -> str:
    folder = "." if path is None else _existing(path)
    command = {
        errno.ENOSPC: f"df -h {folder}",
        errno.EDQUOT: "quota -s",
        errno.EROFS: f"findmnt -T {folder}",
        errno.EIO: "dmesg | tail",
    }.get(number, f"ls -ld {folder}")
    if wanted is None or _OURS not in wanted.parts:
        return command
    return f"{command}; to keep lab's files elsewhere: export HOME=FOLDER"


def _existing(path: Path) -> Path:
    """The nearest folder above the path that exists, or that at least can be seen."""
    return next((folder for folder in path.parents if os.path.lexists(folder)), Path("/"))
