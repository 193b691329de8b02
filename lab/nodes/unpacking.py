"""Writes what a node sends, which is untrusted, below one new folder of the host and nowhere else.

The rules are those of tarfile's filter "data" (Python 3.12), which the oldest supported Python lacks: no
names and no links that lead out of the folder, no devices, nobody else's write permission. Every part of a
path must be a real folder, so nothing is ever written through a link.
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass

from lab.nodes.archive import Archive, Damaged, Member
from lab.nodes.room import Room

MODE = 0o755  # what may be kept of a file's mode
KINDS = {b"3": "a device", b"4": "a device", b"6": "a named pipe"}
MOST_DEPTH = 200  # folders in each other: what removes them must not run out of open files
MOST_LEFT_OUT = 10_000
LONGEST_PART = 255  # bytes of a file's name (NAME_MAX)
LONGEST_PATH = 3000  # bytes of a name below the folder; with the folder's, Linux takes 4096
LONGEST_TOLD = 200  # characters of a name in a message


@dataclass(frozen=True)
class LeftOut:
    """What is not written, and why."""

    name: str
    reason: str


class NewFolder:
    """One new folder, filled from an archive; `left_out` is what did not get in."""

    def __init__(self, path: bytes, room: Room) -> None:
        self._path = path
        self._room = room
        self.left_out: list[LeftOut] = []
        self._open: list[tuple[bytes, Member]] = []  # folders whose content still comes
        self._sure = b""  # the parent that was looked at last
        os.mkdir(path, 0o700)

    def add(self, archive: Archive, member: Member) -> None:
        """Writes one member, or adds it to `left_out`.

        OSError when the host refuses, NoRoom when that is too much.
        """
        parts = _parts(member.name)
        reason = _why_not(member, parts)
        if parts is None or reason:
            _leave_out(self.left_out, member, reason)
            return
        path = b"/".join((self._path, *parts))
        self._close_all_but(path)
        self._room.take(member.size if member.is_file else 0)
        if not self._is_free(path, member):
            _leave_out(self.left_out, member, "another file of that name is there")
        elif member.is_folder:
            self._open.append((path, member))
        elif member.is_symlink:
            os.symlink(member.link, path)
            _set_time(path, member)
        elif member.is_hard_link:
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

    def _is_free(self, path: bytes, member: Member) -> bool:
        """Makes room for a member; False where that is impossible. A folder is made here."""
        if path != self._path and not self._has_parent(os.path.dirname(path)):
            return False
        try:
            there = os.lstat(path)
        except FileNotFoundError:
            if member.is_folder:
                os.mkdir(path, 0o700)
            return True
        if stat.S_ISDIR(there.st_mode) or member.is_folder:
            return stat.S_ISDIR(there.st_mode) and member.is_folder
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
                self._room.take(0)
            if not stat.S_ISDIR(os.lstat(here).st_mode):
                return False
        self._sure = folder
        return True

    def _link(self, member: Member, path: bytes) -> None:
        parts = _parts(member.link)
        old = b"/".join((self._path, *parts)) if parts else b""
        if not old or not self._has_parent(os.path.dirname(old)) or not _is_plain(old):
            _leave_out(self.left_out, member, "a link to a file that did not come")
        elif os.path.islink(old) and leads_out(
            os.readlink(old), path.count(b"/") - self._path.count(b"/") - 1
        ):
            _leave_out(self.left_out, member, "a link out of the folder")  # seen from here, not from there
        else:
            self._link_or_copy(old, path)

    def _link_or_copy(self, old: bytes, path: bytes) -> None:
        try:
            os.link(old, path, follow_symlinks=False)
        except OSError:  # this file system has no hard links, or not as many
            self._room.take(os.lstat(old).st_size)
            shutil.copy2(old, path, follow_symlinks=False)


def fill(archive: Archive, first: Member, path: bytes, room: Room) -> list[LeftOut]:
    """Writes an archive as one new folder, link or file, as its first member tells; returns the rest.

    All of the archive is read. Nothing is written for a first member that is not allowed.
    """
    member: Member | None = first
    if first.is_folder:
        folder = NewFolder(path, room)
        while member is not None:
            folder.add(archive, member)
            member = archive.next()
        folder.close()
        return folder.left_out
    left_out: list[LeftOut] = []
    if reason := _why_not(first, [b""]):
        _leave_out(left_out, first, reason)
    elif first.is_symlink:
        os.symlink(first.link, path)
    elif first.is_hard_link:
        _leave_out(left_out, first, "a link to a file that did not come")
    else:
        room.take(first.size)
        write_file(archive, first, path)
    while member := archive.next():
        _leave_out(left_out, member, "more than was asked for")
    return left_out


def _leave_out(left_out: list[LeftOut], member: Member, reason: str) -> None:
    """Remembers a member that is not written; Damaged where hardly any could be."""
    if len(left_out) >= MOST_LEFT_OUT:
        raise Damaged(f"more than {MOST_LEFT_OUT} of the files in it cannot be written here")
    left_out.append(LeftOut(_told(member.name), reason))


def write_file(archive: Archive, member: Member, path: bytes) -> None:
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


def leads_out(link: bytes, depth: int) -> bool:
    """Whether a symbolic link in a folder `depth` levels down may lead out.

    `..` is allowed only at the beginning, where it can be counted: later, it may follow another link.
    """
    parts = [part for part in link.split(b"/") if part not in (b"", b".")]
    up = next((index for index, part in enumerate(parts) if part != b".."), len(parts))
    return link.startswith(b"/") or up > depth or b".." in parts[up:]


def _why_not(member: Member, parts: list[bytes] | None) -> str:
    if parts is None:
        return "a name out of the folder"
    if len(parts) > MOST_DEPTH:
        return f"more than {MOST_DEPTH} folders deep"
    if max(map(len, parts), default=0) > LONGEST_PART or sum(map(len, parts)) + len(parts) > LONGEST_PATH:
        return "a name that is too long"
    if member.is_symlink:
        return _why_no_link(member.link, parts)
    known = member.is_file or member.is_folder or member.is_hard_link
    return "" if known else KINDS.get(member.kind, "neither a file nor a folder")


def _why_no_link(link: bytes, parts: list[bytes]) -> str:
    if not 0 < len(link) <= LONGEST_PATH:
        return "a link that leads nowhere"
    if leads_out(link, len(parts) - 1):
        return f"a link out of the folder, to {_told(link)}"
    return "" if parts else "a link in place of the folder"


def _parts(name: bytes) -> list[bytes] | None:
    """The parts of a name below the folder; None where it leads out."""
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    return None if name.startswith(b"/") or b".." in parts else parts


def _told(name: bytes) -> str:
    """A name for a message."""
    text = name.decode("utf-8", "surrogateescape")
    return text if len(text) <= LONGEST_TOLD else text[: LONGEST_TOLD - 1] + "…"


def _set_time(path: bytes, member: Member) -> None:
    with suppress(OSError, OverflowError, ValueError):  # a time that this file system cannot hold
        os.utime(path, (member.mtime, member.mtime), follow_symlinks=False)
