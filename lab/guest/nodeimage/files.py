"""Copies of files with their sizes and SHA-256 digests, and folders that are safe on the disk."""

from __future__ import annotations

import hashlib
import os
from typing import Any

CHUNK = 1 << 20


def described(data: bytes) -> dict[str, Any]:
    """Size and SHA-256 digest of some bytes, as a manifest names them."""
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def digest(path: str) -> dict[str, Any]:
    """Size and SHA-256 digest of a file. Follows no link."""
    found = hashlib.sha256()
    size = 0
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
            size += len(chunk)
    return {"size": size, "sha256": found.hexdigest()}


def copied(source: str, target: str) -> dict[str, Any]:
    """Copies a file, waits until it is on the disk, and tells what was copied."""
    found = hashlib.sha256()
    size = 0
    with open(source, "rb", buffering=0) as file, open(target, "wb") as out:
        while chunk := file.read(CHUNK):
            found.update(chunk)
            size += len(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return {"size": size, "sha256": found.hexdigest()}


def sync_folder(path: str) -> None:
    """Waits until the names in a folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
