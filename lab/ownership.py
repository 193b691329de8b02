"""Sets the owner and the mode of what goes into a tar archive for a node or an image."""

from __future__ import annotations

import tarfile
from collections.abc import Callable

Filter = Callable[[tarfile.TarInfo], tarfile.TarInfo | None]
"""What `TarFile.add` takes as `filter`."""


def owned_by(number: int = 0, name: str = "root", *, keep_mode: bool = False) -> Filter:
    """Makes a filter that gives every entry one owner, and plain modes unless `keep_mode`.

    Plain modes are 755 for folders and programs, 644 for the rest, whatever the umask was when the
    files were checked out. With plain modes, compiled Python is left out.
    """

    def adopt(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if not keep_mode:
            if "__pycache__" in entry.name.split("/"):
                return None
            entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        entry.uid = entry.gid = number
        entry.uname = entry.gname = name
        return entry

    return adopt
