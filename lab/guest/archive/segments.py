"""Packs a tree as compressed segments, each cached under a digest of its content.

The archive is the concatenation of the segments: zstd and gzip read concatenated frames as one stream.
Only the paths in a segment decide where it ends, so a changed file costs one segment, no matter how many
files come before it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.guest.archive import cpio
from lab.guest.archive.errors import ArchiveError
from lab.guest.archive.tree import Item
from lab.guest.system import System

CUT = 128
"""One in this many paths begins a segment: about 3.5 MB of an operating system's files each."""
MOST = 16 << 20
"""A segment that is larger than this, in bytes, ends with the next file."""
CHUNK = 1 << 20
ONCE = ".once"
"""Suffix of a segment that the next run must pack again."""
RECENT_NS = 50_000_000
"""A file modified this shortly before it was read may change again without a new modification time."""


class PackError(ArchiveError):
    """The tree could not be packed."""


class ChangedError(PackError):
    """A file changed while it was being packed; another run may succeed."""


@dataclass(frozen=True)
class Segment:
    """Consecutive files, and the digest that names their compressed form."""

    items: tuple[Item, ...]
    digest: str


def cut(items: Sequence[Item], salt: str) -> list[Segment]:
    """Divides a tree into segments; the salt identifies the compressor and its settings."""
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
    # Not crc32: it is linear, so paths that differ in one or two digits might never begin a segment.
    return int.from_bytes(hashlib.blake2b(path, digest_size=4).digest(), "big") % CUT == 0


def _segment(items: Sequence[Item], salt: str) -> Segment:
    digest = hashlib.blake2b(salt.encode(), digest_size=20)
    for item in items:
        digest.update(repr((_fields(item), item.mtime_ns, item.data)).encode())
    return Segment(tuple(items), digest.hexdigest())


def _fields(item: Item) -> tuple[object, ...]:
    # dataclasses.astuple makes a deep copy and takes ten times as long.
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
    """Compresses the segments that are not cached; returns the files of all segments, in order."""
    uncached: set[str] = set()

    def build(segment: Segment) -> None:
        recent = any(item.mtime_ns > started_ns - RECENT_NS for item in segment.items)
        name = segment.digest + (ONCE if recent else "")
        if recent:
            uncached.add(segment.digest)
        _compress(system, _stream(segment.items), os.path.join(folder, name), command)

    from concurrent.futures import ThreadPoolExecutor  # not needed, and slow to load, when all is packed

    with ThreadPoolExecutor(max(1, workers)) as pool:
        # Largest first, so that no core idles while the last segment is compressed.
        todo = missing(segments, folder)
        todo.sort(key=lambda one: -sum(item.entry.size for item in one.items))
        for _ in pool.map(build, todo):
            pass
    return [os.path.join(folder, one.digest + (ONCE if one.digest in uncached else "")) for one in segments]


def _compress(system: System, stream: Iterator[bytes], target: str, command: Sequence[str]) -> None:
    temporary = f"{target}.new"
    done = system.pour(command, stream, temporary)
    if done.status:
        raise PackError(f"{command[0]} ended with status {done.status}: {_complaint(done.err)}")
    os.rename(temporary, target)


def _complaint(err: bytes) -> str:
    return err.decode(errors="replace").strip()


def _stream(items: Sequence[Item]) -> Iterator[bytes]:
    """The archive of these files, in chunks of about CHUNK bytes."""
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
                raise ChangedError(f"{path} shrank while it was being packed", path)
            left -= len(chunk)
            yield chunk


def join(files: Sequence[str], target: str, last: bytes, algorithm: str = "md5") -> tuple[str, int]:
    """Writes segments and the compressed trailer to one file; returns its digest and size in bytes.

    MD5 is what Warewulf names an image by.
    """
    checksum = hashlib.new(algorithm, usedforsecurity=False)
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


def missing(segments: Sequence[Segment], folder: str) -> list[Segment]:
    """The segments that are not cached, and that `pack` is going to compress."""
    wanted = {segment.digest: segment for segment in segments}
    return [one for name, one in wanted.items() if not os.path.exists(os.path.join(folder, name))]


def tidy(folder: str, keep: Sequence[str]) -> None:
    """Removes all files of a cache but these."""
    wanted = set(keep)
    for name in os.listdir(folder):
        if name not in wanted:
            os.unlink(os.path.join(folder, name))


def compressed(system: System, data: bytes, command: Sequence[str]) -> bytes:
    """Compresses a small amount of data."""
    done = system.run(command, data)
    if done.status:
        raise PackError(f"{command[0]} ended with status {done.status}: {_complaint(done.err)}")
    return done.out
