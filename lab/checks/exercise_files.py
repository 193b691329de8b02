"""Packs an exercise's files into text, so that a check can unpack its own copy in a node."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path

from lab.ownership import owned_by


def packed_files(check: str) -> str:
    """Packs the files beside a `check.py`; `echo … | base64 -d | tar -xz` unpacks them."""
    folder = Path(check).parent / "files"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in sorted(folder.iterdir()):
            if path.is_file():
                archive.add(path, arcname=path.name, filter=owned_by())
    return base64.b64encode(buffer.getvalue()).decode()
