"""Writes and reads cpio archives in the `newc` format, which kernels and Warewulf unpack; pure functions."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO

from lab.guest.archive.errors import ArchiveError

HEADER = 110
"""Length of a header without the name, in bytes."""
MAGIC = b"070701"
LARGEST = 0xFFFFFFFF
"""The largest value of a header field, which has eight hexadecimal digits."""


class TooLargeError(ArchiveError):
    """A file does not fit the format."""


@dataclass(frozen=True)
class Entry:
    """The header of one file; `size` is the length of the data that follows, in bytes."""

    path: bytes
    mode: int
    size: int = 0
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    nlink: int = 1
    inode: int = 0
    rdev: tuple[int, int] = (0, 0)


def header(entry: Entry) -> bytes:
    """Header and name of one file, padded. The layout follows cpio(5), "New ASCII format".

    A date before 1970 or after 2106 becomes the nearest one that the format holds.
    """
    numbers = (
        entry.inode,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.nlink,
        min(max(0, entry.mtime), LARGEST),
        entry.size,
        0,
        0,
        *entry.rdev,
        len(entry.path) + 1,
        0,
    )
    if max(numbers) > LARGEST:
        raise too_large(entry)
    head = MAGIC + b"".join(b"%08x" % number for number in numbers) + entry.path + b"\0"
    return head + padding(len(head))


def check_sizes(entries: Iterable[Entry]) -> None:
    """Raises TooLargeError for a file that the format cannot hold, before anything is packed."""
    for entry in entries:
        if entry.size > LARGEST:
            raise too_large(entry)


def too_large(entry: Entry) -> TooLargeError:
    """The error for a file that the format cannot hold."""
    path = os.fsdecode(entry.path)
    text = f"/{path} is too large for an image: it has {entry.size} bytes, and {LARGEST} are the most"
    return TooLargeError(text, path)


def padding(size: int) -> bytes:
    """Zeros up to the next multiple of four."""
    return b"\0" * (-size % 4)


TRAILER = header(Entry(b"TRAILER!!!", 0))


def member(entry: Entry, data: bytes = b"") -> bytes:
    """One complete file: header, name and data."""
    return header(entry) + data + padding(len(data))


def read(archive: bytes) -> dict[bytes, bytes]:
    """Names and data of the files in a small archive; raises ValueError if it is malformed or truncated."""
    found: dict[bytes, bytes] = {}
    at = 0
    while archive[at : at + 6] == MAGIC and len(archive) >= at + HEADER:
        size, length = int(archive[at + 54 : at + 62], 16), int(archive[at + 94 : at + 102], 16)
        name = archive[at + HEADER : at + HEADER + length - 1]
        if name == b"TRAILER!!!":
            return found
        start = at + HEADER + length
        start += -start % 4
        if start + size > len(archive):
            break
        found[name] = archive[start : start + size]
        at = start + size + (-size % 4)
    raise ValueError(f"not a cpio archive in the newc format, at byte {at}")


def digest(archive: IO[bytes], without: bytes) -> str:
    """A SHA-256 digest of all of an archive but one file; ValueError if it is malformed or truncated."""
    found = hashlib.sha256()
    path = b""
    while path != b"TRAILER!!!":
        head = _exactly(archive, HEADER)
        if head[:6] != MAGIC:
            raise ValueError("not a cpio archive in the newc format")
        left, length = int(head[54:62], 16), int(head[94:102], 16)
        name = _exactly(archive, length + -(HEADER + length) % 4)
        path = name[: length - 1]
        left += -left % 4
        if path != without:
            found.update(head + name)
        while left:
            piece = _exactly(archive, min(left, 1 << 20))
            left -= len(piece)
            if path != without:
                found.update(piece)
    return found.hexdigest()


def _exactly(archive: IO[bytes], count: int) -> bytes:
    data = archive.read(count) if count >= 0 else b""
    if count < 0 or len(data) < count:
        raise ValueError("a cpio archive that ends too early")
    return data
