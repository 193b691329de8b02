"""Decides where a copy goes on the host, as cp(1) does, and puts it there complete or not at all."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lab.errors import LabError, UsageError

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OURS = re.compile(r"\.lab-cp-[a-z0-9_]{8}")
STAGE = ".lab-cp-"  # a folder for what is not complete yet, beside its place


def own_name(path: str) -> str:
    """The name of a copy in another folder; "" where only the content is meant, as with `folder/.`."""
    name = os.path.basename(path.rstrip("/"))
    return "" if name in (".", "..") else name


def place_of(target: str, name: str, *, folder: bool) -> str:
    """The path of the copy; UsageError where a file and a folder would replace each other."""
    bare = target.rstrip("/") or "/"
    if os.path.isdir(target):
        place = os.path.join(target, name) if name else target
    elif os.path.lexists(bare) and bare != target:
        raise UsageError(f"{bare} is not a folder")
    elif bare != target and not folder:
        raise UsageError(f"there is no folder {bare}", hint=f"mkdir {bare}")
    else:
        place = bare
    if os.path.lexists(place) and os.path.isdir(place) is not folder:
        here, new = ("a file", "a folder") if folder else ("a folder", "a file")
        raise UsageError(f"{place} is {here} on this host, and {new} cannot replace it")
    parent = os.path.dirname(place) or "."
    if not os.path.isdir(parent):
        raise UsageError(f"there is no folder {parent} on this host", hint=f"mkdir -p {parent}")
    return os.path.realpath(place) if os.path.exists(place) else place  # a link is followed, as by cp


def folder_of(place: str) -> str:
    """The folder in which a copy to a place is made: the place itself, or the one above."""
    return place if os.path.isdir(place) else os.path.dirname(place) or "."


def stream_of(target: str) -> int | None:
    """Opens a target that can only be written to: a device, a pipe, our own output as /dev/stdout.

    None where the target is an ordinary file or folder, or does not exist.
    """
    try:
        there = os.stat(target)
    except OSError:
        return None
    with suppress(OSError):
        if os.path.samestat(there, os.fstat(1)):
            return os.dup(1)
    if stat.S_ISREG(there.st_mode) or stat.S_ISDIR(there.st_mode):
        return None
    return os.open(target, os.O_WRONLY | os.O_CLOEXEC)


@contextmanager
def staged(place: str) -> Iterator[bytes]:
    """A new folder on the file system of a place; it is removed with whatever is left in it.

    Its lock says that it is in use: a killed copy loses it, and the next copy removes the folder.
    """
    folder = folder_of(place)
    _remove_abandoned(folder)
    try:
        stage, lock = _locked_stage(folder)
    except OSError as problem:
        raise LabError(f"cannot write to {folder}", evidence=problem.strerror or "") from problem
    try:
        yield os.fsencode(stage)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        os.close(lock)


def _locked_stage(folder: str) -> tuple[str, int]:
    """A new folder and its open lock; another copy that looks for abandoned ones may be quicker once."""
    while True:
        stage = tempfile.mkdtemp(prefix=STAGE, dir=folder)
        with suppress(FileNotFoundError):
            lock = os.open(stage, FOLDER)
            with suppress(OSError):  # this file system has no locks: nobody gets one, and nothing is removed
                fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.exists(stage):
                return stage, lock
            os.close(lock)


def _remove_abandoned(folder: str) -> None:
    """Removes what killed copies of ours left in a folder: stages that no process has locked."""
    with suppress(OSError):
        for name in [name for name in os.listdir(folder) if OURS.fullmatch(name)]:
            with suppress(OSError):
                _remove_if_free(os.path.join(folder, name))


def _remove_if_free(stage: str) -> None:
    lock = os.open(stage, FOLDER)
    try:
        if os.fstat(lock).st_uid == os.geteuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(stage, ignore_errors=True)
    finally:
        os.close(lock)


def put(new: bytes, place: bytes) -> None:
    """Moves a complete copy to its place, and merges folders; UsageError on a conflict."""
    waiting = [(new, place)]
    while waiting:
        source, target = waiting.pop()
        is_folder = stat.S_ISDIR(os.lstat(source).st_mode)
        if not os.path.lexists(target):
            os.rename(source, target)
        elif stat.S_ISDIR(os.lstat(target).st_mode) is not is_folder:
            raise UsageError(
                f"{os.fsdecode(target)} is in the way: a file and a folder do not replace each other"
            )
        elif is_folder:
            waiting += [(entry.path, os.path.join(target, entry.name)) for entry in os.scandir(source)]
        else:
            os.replace(source, target)
