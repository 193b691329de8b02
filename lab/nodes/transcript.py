"""Keeps what checks and solutions type into a node and what came back: for the owner only, and bounded.

A node that prints without end fills no disk: the end of what it printed is kept.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from lab.paths import private_folder
from lab.system_errors import writing

MIB = 1 << 20
PER_FILE = 4 * MIB  # a fuller one becomes NAME.old, in place of the one before
PER_LAB = 32 * MIB
IN_ALL = 128 * MIB
OLD = ".old"


class Transcript:
    """The record of one user's shells in one node; several shells may add to it at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1
        with writing(path):
            private_folder(path.parent)
            self._open()

    def write(self, data: bytes) -> None:
        """Adds bytes; LabError where the disk is full."""
        with writing(self.path):
            if self._size + len(data) > PER_FILE and self._size:
                self.close()
                with suppress(FileNotFoundError):  # another command did this, or pruned it
                    self.path.replace(f"{self.path}{OLD}")
                self._open()
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._file, rest) :]
        self._size += len(data)

    def close(self) -> None:
        """Ends the record."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _open(self) -> None:
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size


def prune(lab: Path) -> None:
    """Removes the oldest transcripts of a lab, and of all labs in the folder above, beyond the bounds."""
    for folder, pattern, most in ((lab, "*.log*", PER_LAB), (lab.parent, "*/*.log*", IN_ALL)):
        found = []
        for path in folder.glob(pattern):
            with suppress(OSError):
                found.append((path.lstat().st_mtime, path.lstat().st_size, path))
        taken = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if taken <= most:
                break
            with suppress(OSError):  # another command is removing it, too
                path.unlink()
            taken -= size
