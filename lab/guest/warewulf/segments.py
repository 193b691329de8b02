"""Packs a tree as compressed segments, each kept by a digest of what is in it.

The archive is the segments one after the other: readers of zstd and gzip take joined frames for one
stream. Where a segment ends depends on nothing but the paths in it, so one changed file costs one
segment, however many files come before it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lab.guest.system import System
from lab.guest.warewulf import cpio
from lab.guest.warewulf.errors import WarewulfError
from lab.guest.warewulf.tree import Item

CUT = 128
"""One path in so many ends a segment: some 3.5 MB of an operating system's files."""
MOST = 16 << 20
"""Bytes after which a segment ends in any case."""
CHUNK = 1 << 20
ONCE = ".once"
"""Marks a segment that must be packed anew next time."""
RECENT_NS = 50_000_000
"""A file touched so shortly before it was read may change again without its time telling."""


class PackError(WarewulfError):
    """The tree could not be packed."""


@dataclass(frozen=True)
class Segment:
    """A run of files and the digest that names their compressed form."""

    items: tuple[Item, ...]
    digest: str


def cut(items: Sequence[Item], salt: str) -> list[Segment]:
    """Divides a tree into segments; the salt stands for the compressor and its settings."""
    segments: list[Segment] = []
    run: list[Item] = []
    size = 0
    for item in items:
        if run and (size > MOST or _begins(item.entry.path)):
            segments.append(_segment(run, salt))
            run, size = [], 0
        run.append(item)
        size += item.entry.size
    return [*segments, _segment(run, salt)] if run else segments


def _begins(path: bytes) -> bool:
    # Not crc32: it is linear, so that names which differ in a digit or two may all miss.
    return int.from_bytes(hashlib.blake2b(path, digest_size=4).digest(), "big") % CUT == 0


def _segment(items: Sequence[Item], salt: str) -> Segment:
    digest = hashlib.blake2b(salt.encode(), digest_size=20)
    for item in items:
        digest.update(repr((_fields(item), item.mtime_ns, item.data)).encode())
    return Segment(tuple(items), digest.hexdigest())


def _fields(item: Item) -> tuple[object, ...]:
    # dataclasses.astuple copies deeply and takes ten times as long.
    return tuple(vars(item.entry).values())


def pack(
    system: System,
    segments: Sequence[Segment],
    folder: str,
    command: Sequence[str],
    *,
    workers: int,
    started_ns: int,
) -> list[str]:
    """Compresses what is not kept yet; returns the files of all segments, in order."""
    wanted = {segment.digest: segment for segment in segments}
    missing = [one for name, one in wanted.items() if not os.path.exists(os.path.join(folder, name))]
    passing: set[str] = set()

    def build(segment: Segment) -> None:
        recent = any(item.mtime_ns > started_ns - RECENT_NS for item in segment.items)
        name = segment.digest + (ONCE if recent else "")
        if recent:
            passing.add(segment.digest)
        _compress(system, _stream(segment.items), os.path.join(folder, name), command)

    with ThreadPoolExecutor(max(1, workers)) as pool:
        # Large ones first, so that no core waits for a straggler at the end.
        missing.sort(key=lambda one: -sum(item.entry.size for item in one.items))
        for _ in pool.map(build, missing):
            pass
    return [os.path.join(folder, one.digest + (ONCE if one.digest in passing else "")) for one in segments]


def _compress(system: System, stream: Iterator[bytes], target: str, command: Sequence[str]) -> None:
    temporary = f"{target}.new"
    done = system.pour(command, stream, temporary)
    if done.status:
        raise PackError(f"{command[0]} ended with status {done.status}: {_complaint(done.err)}")
    os.rename(temporary, target)


def _complaint(err: bytes) -> str:
    return err.decode(errors="replace").strip()


def _stream(items: Sequence[Item]) -> Iterator[bytes]:
    """The bytes of the archive for these files, in pieces that are worth a system call."""
    buffer = bytearray()
    for item in items:
        buffer += cpio.header(item.entry)
        if item.data:
            buffer += item.data
        elif item.entry.size and stat.S_ISREG(item.entry.mode):
            for chunk in _content(item):
                buffer += chunk
                if len(buffer) >= CHUNK:
                    yield bytes(buffer)
                    buffer.clear()
        buffer += cpio.padding(item.entry.size)
    yield bytes(buffer)


def _content(item: Item) -> Iterator[bytes]:
    left = item.entry.size
    with open(item.source, "rb", buffering=0) as file:
        while left:
            chunk = file.read(min(left, CHUNK))
            if not chunk:
                path = os.fsdecode(item.entry.path)
                raise PackError(f"{path} became shorter while it was being packed\nhint: run it again")
            left -= len(chunk)
            yield chunk


def join(files: Sequence[str], target: str, last: bytes) -> tuple[str, int]:
    """Writes segments and the compressed trailer into one file; returns its MD5 and size."""
    checksum = hashlib.md5(usedforsecurity=False)
    size = 0
    with open(target, "wb", buffering=0) as out:

        def put(data: bytes) -> None:
            nonlocal size
            checksum.update(data)
            out.write(data)
            size += len(data)

        for path in files:
            with open(path, "rb", buffering=0) as file:
                while chunk := file.read(4 * CHUNK):
                    put(chunk)
        put(last)
    return checksum.hexdigest(), size


def compressed(system: System, data: bytes, command: Sequence[str]) -> bytes:
    """A few bytes through the compressor."""
    done = system.run(command, data)
    if done.status:
        raise PackError(f"{command[0]} ended with status {done.status}: {_complaint(done.err)}")
    return done.out
