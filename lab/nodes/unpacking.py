"""Writes what a node sends, which is untrusted, below one new folder of the host and nowhere else.

The rules are those of tarfile's filter "data" (Python 3.12), which the oldest supported Python lacks: no
names and no links that lead out of the folder, no devices, nobody else's write permission. Every part of a
path must be a real folder, so nothing is ever written through a link.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, cast

CHUNK = 1 << 20
MODE = 0o755  # what may be kept of a file's mode
KINDS = {tarfile.CHRTYPE: "a device", tarfile.BLKTYPE: "a device", tarfile.FIFOTYPE: "a named pipe"}


class Damaged(Exception):
    """What came is no archive, or only the beginning of one."""


@dataclass(frozen=True)
class LeftOut:
    """What is not written, and why."""

    name: str
    reason: str


class Archive:
    """An archive that is read once, from its beginning to its end, in constant memory; raises Damaged."""

    def __init__(self, stream: IO[bytes]) -> None:
        try:
            self._tar = tarfile.open(  # noqa: SIM115 - nothing of ours is open in it
                fileobj=stream, mode="r|", bufsize=CHUNK, encoding="utf-8", errors="surrogateescape"
            )
        except (tarfile.TarError, ValueError, EOFError) as problem:
            raise Damaged(str(problem)) from problem

    def next(self) -> tarfile.TarInfo | None:
        """The next member; None at the end."""
        try:
            member = self._tar.next()
        except (tarfile.TarError, ValueError, OverflowError, EOFError) as problem:
            raise Damaged(str(problem)) from problem
        vars(self._tar)["members"] = []  # else it remembers them all
        return member

    def copy(self, member: tarfile.TarInfo, file: int, *, holes: bool = True) -> None:
        """Writes the content of the present member to an open file; keeps its holes."""
        source = cast("IO[bytes]", self._tar.fileobj)
        sparse: list[tuple[int, int]] | None = getattr(member, "sparse", None)
        for start, size in [(0, member.size)] if sparse is None else sparse:
            if holes:
                os.lseek(file, start, os.SEEK_SET)
            self._copy(source, file, size)
        if holes:
            os.ftruncate(file, member.size)

    def _copy(self, source: IO[bytes], file: int, size: int) -> None:
        while size > 0:
            data = self._read(source, min(size, CHUNK))
            size -= len(data)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(file, rest) :]

    def _read(self, source: IO[bytes], size: int) -> bytes:
        try:
            data = source.read(size)
        except (tarfile.TarError, ValueError, OverflowError, EOFError) as problem:
            raise Damaged(str(problem)) from problem
        if len(data) < size:
            raise Damaged("it ends too early")
        return data


class NewFolder:
    """One new folder, filled from an archive; `left_out` is what did not get in."""

    def __init__(self, path: bytes) -> None:
        self._path = path
        self.left_out: list[LeftOut] = []
        self._open: list[tuple[bytes, tarfile.TarInfo]] = []  # folders whose content still comes
        self._sure = b""  # the parent that was looked at last
        os.mkdir(path, 0o700)

    def add(self, archive: Archive, member: tarfile.TarInfo) -> None:
        """Writes one member, or adds it to `left_out`; OSError when the host refuses."""
        parts = _parts(member.name)
        reason = _why_not(member, parts)
        if parts is None or reason:
            self.left_out.append(LeftOut(member.name, reason))
            return
        path = b"/".join((self._path, *parts))
        self._close_all_but(path)
        if not self._is_free(path, member):
            self.left_out.append(LeftOut(member.name, "another file of that name is there"))
        elif member.isdir():
            self._open.append((path, member))
        elif member.issym():
            os.symlink(_encoded(member.linkname), path)
            _set_time(path, member)
        elif member.islnk():
            self._link(member, path)
        else:
            write_file(archive, member, path)

    def close(self) -> None:
        """Gives the last folders their modes and times."""
        self._close_all_but(b"")

    def _close_all_but(self, path: bytes) -> None:
        """A folder's time changes with each name in it, so it is set when the folder is complete."""
        while self._open and not path.startswith(self._open[-1][0] + b"/"):
            folder, member = self._open.pop()
            os.chmod(folder, member.mode & MODE | 0o700)
            _set_time(folder, member)

    def _is_free(self, path: bytes, member: tarfile.TarInfo) -> bool:
        """Makes room for a member; False where that is impossible. A folder is made here."""
        if path != self._path and not self._has_parent(os.path.dirname(path)):
            return False
        try:
            there = os.lstat(path)
        except FileNotFoundError:
            if member.isdir():
                os.mkdir(path, 0o700)
            return True
        if stat.S_ISDIR(there.st_mode) or member.isdir():
            return stat.S_ISDIR(there.st_mode) and member.isdir()
        os.unlink(path)
        return True

    def _has_parent(self, folder: bytes) -> bool:
        """Whether each part of a path below us is a real folder; makes those that are missing."""
        if folder == self._sure:
            return True
        here = self._path
        for part in folder[len(self._path) :].split(b"/")[1:]:
            here += b"/" + part
            with suppress(FileExistsError):
                os.mkdir(here, 0o700)
            if not stat.S_ISDIR(os.lstat(here).st_mode):
                return False
        self._sure = folder
        return True

    def _link(self, member: tarfile.TarInfo, path: bytes) -> None:
        parts = _parts(member.linkname)
        old = b"/".join((self._path, *parts)) if parts else b""
        try:
            if not old or not self._has_parent(os.path.dirname(old)) or not _is_plain(old):
                self.left_out.append(LeftOut(member.name, "a link to a file that did not come"))
                return
            os.link(old, path, follow_symlinks=False)
        except OSError:  # this file system has no hard links
            shutil.copy2(old, path, follow_symlinks=False)


def fill(archive: Archive, first: tarfile.TarInfo, path: bytes) -> list[LeftOut]:
    """Writes an archive as one new folder, link or file, as its first member tells; returns the rest.

    All of the archive is read. Nothing is written for a first member that is not allowed.
    """
    left_out: list[LeftOut] = []
    member: tarfile.TarInfo | None = first
    if first.isdir():
        folder = NewFolder(path)
        while member is not None:
            folder.add(archive, member)
            member = archive.next()
        folder.close()
        return folder.left_out
    if reason := _why_not(first, [b""]):
        left_out.append(LeftOut(first.name, reason))
    elif first.issym():
        os.symlink(_encoded(first.linkname), path)
    elif first.isreg():
        write_file(archive, first, path)
    while member := archive.next():
        left_out.append(LeftOut(member.name, "more than was asked for"))
    return left_out


def write_file(archive: Archive, member: tarfile.TarInfo, path: bytes) -> None:
    """Writes a new file with the content, mode and time of a member."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        archive.copy(member, file)
        os.fchmod(file, member.mode & MODE)
    finally:
        os.close(file)
    _set_time(path, member)


def _is_plain(path: bytes) -> bool:
    """Whether there is something other than a folder."""
    return os.path.lexists(path) and not stat.S_ISDIR(os.lstat(path).st_mode)


def leads_out(link: str, depth: int) -> bool:
    """Whether a symbolic link in a folder `depth` levels down may lead out.

    `..` is allowed only at the beginning, where it can be counted: later, it may follow another link.
    """
    parts = [part for part in link.split("/") if part not in ("", ".")]
    up = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
    return link.startswith("/") or up > depth or ".." in parts[up:]


def _why_not(member: tarfile.TarInfo, parts: list[bytes] | None) -> str:
    if parts is None:
        return "a name out of the folder"
    if member.issym() and leads_out(member.linkname, len(parts) - 1):
        return f"a link out of the folder, to {member.linkname}"
    if member.issym() and not parts:
        return "a link in place of the folder"
    known = member.isreg() or member.isdir() or member.issym() or member.islnk()
    return "" if known else KINDS.get(member.type, "neither a file nor a folder")


def _parts(name: str) -> list[bytes] | None:
    """The parts of a name below the folder; None where it leads out."""
    parts = [part for part in _encoded(name).split(b"/") if part not in (b"", b".")]
    return None if name.startswith("/") or b".." in parts else parts


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _set_time(path: bytes, member: tarfile.TarInfo) -> None:
    with suppress(OSError, OverflowError, ValueError):  # a time that this file system cannot hold
        os.utime(path, (member.mtime, member.mtime), follow_symlinks=False)
