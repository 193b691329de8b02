"""Files of an exercise as text, so that a check can lay out its own copy of them in a node."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path


def packed_files(check: str) -> str:
    """The files given with the exercise of this `check.py`; `echo … | base64 -d | tar -xz` lays them out."""
    folder = Path(check).parent / "files"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in sorted(folder.iterdir()):
            if path.is_file():
                archive.add(path, arcname=path.name, filter=_owned_by_root)
    return base64.b64encode(buffer.getvalue()).decode()


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry
