"""Has npm fetch a package, and says what its bytes are; nothing of the package runs."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from lab.host_speed import measured_limit
from lab.process import run

FETCH_MINUTES = 5


def pack(name: str, version: str, folder: Path) -> bytes:
    """Has npm put a package's archive into an empty folder, and returns its bytes."""
    command = ["npm", "pack", "--silent", "--ignore-scripts", f"--pack-destination={folder}"]
    run([*command, f"{name}@{version}"], timeout=measured_limit(FETCH_MINUTES * 60))
    (archive,) = folder.glob("*.tgz")
    return archive.read_bytes()


def integrity_of(data: bytes, like: str) -> str:
    """The integrity of an archive, by the method of another (W3C, Subresource Integrity): `sha512-...`."""
    method = like.partition("-")[0]
    return f"{method}-{base64.b64encode(hashlib.new(method, data).digest()).decode()}"
