"""Bounds what a copy takes of the host's disk: a node may send without end, or promise huge files."""

from __future__ import annotations

import os

PART = 0.9  # of what is free: the rest stays free for the host
MIB = 1 << 20


class NoRoom(Exception):
    """A copy needs more than it may take."""


class Room:
    """What one copy may take of the file system of a folder or an open file; each `take` lessens it.

    A file counts with its holes, since whoever writes to it later fills them.
    """

    def __init__(self, place: bytes | int) -> None:
        now = os.statvfs(place)
        self._block = now.f_frsize
        self._most = self._bytes = int(now.f_bavail * now.f_frsize * PART)
        # A file system such as btrfs has no fixed number of files, and says 0.
        self._names = int(now.f_favail * PART) if now.f_files else 1 << 62

    def take(self, size: int) -> None:
        """Counts a new file, folder or link of that many bytes; raises NoRoom."""
        self.pour(size + -size % self._block + self._block)
        self._names -= 1
        if self._names < 0:
            raise NoRoom("it has too many files: a copy may take nine tenths of the free inodes")

    def pour(self, size: int) -> None:
        """Counts bytes that are added to a file; raises NoRoom."""
        self._bytes -= size
        if self._bytes < 0:
            raise NoRoom(f"it needs more than {self._most // MIB} MiB, nine tenths of the free space")
