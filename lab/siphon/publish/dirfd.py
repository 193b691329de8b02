"""Files below one directory, accessed through its descriptor and never through a symbolic link.

A user who may write in the directory could replace a subdirectory by a link. A path would follow that link; a
descriptor does not.
"""

from __future__ import annotations

import errno
import os
import stat

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
PRIVATE = 0o700


class Place:
    """A relative path resolved except for its last part: a directory descriptor and a name in it."""

    def __init__(self, root: int, path: str, *, create: int | None = None) -> None:
        *folders, self.name = path.split("/")
        self.fd = os.dup(root)
        try:
            for folder in folders:
                self._enter(folder, create)
        except OSError:
            os.close(self.fd)
            raise

    def _enter(self, folder: str, create: int | None) -> None:
        if create is not None:
            try:
                os.mkdir(folder, PRIVATE, dir_fd=self.fd)
            except FileExistsError:
                create = None
        inner = os.open(folder, FOLDER_FLAGS, dir_fd=self.fd)
        os.close(self.fd)
        self.fd = inner
        if create is not None:
            os.fchmod(inner, create)

    def __enter__(self) -> Place:  # noqa: PYI034 - Self is not in 3.9
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def look(root: int, path: str) -> os.stat_result | None:
    """The status of the file at a path, links not followed; None if it cannot be there."""
    try:
        with Place(root, path) as place:
            return os.stat(place.name, dir_fd=place.fd, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:  # a part of the path is a symbolic link, not a directory
            return None
        raise


def read(root: int, path: str, limit: int = -1) -> bytes | None:
    """The content of a regular file, at most `limit` bytes of it, or None if there is none."""
    found = look(root, path)
    if found is None or not stat.S_ISREG(found.st_mode):
        return None
    with Place(root, path) as place:
        descriptor = os.open(place.name, FILE_FLAGS, dir_fd=place.fd)
    with open(descriptor, "rb", buffering=0) as file:
        return file.read(limit) if limit >= 0 else file.readall()


def read_link(root: int, path: str) -> str | None:
    """The text of a symbolic link, or None if there is none."""
    found = look(root, path)
    if found is None or not stat.S_ISLNK(found.st_mode):
        return None
    with Place(root, path) as place:
        return os.readlink(place.name, dir_fd=place.fd)


def write(
    root: int, path: str, content: bytes, mode: int, *, folders: int, group: int | None, sync: bool
) -> None:
    """Creates a file with exactly this mode, and its directories with the mode `folders`."""
    with Place(root, path, create=folders) as place:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(place.name, flags, 0o600, dir_fd=place.fd)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fchmod(descriptor, mode if _change_group(descriptor, group) else _without_group(mode))
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _change_group(descriptor: int, group: int | None) -> bool:
    """Gives the file the group of its predecessor; False if that is not permitted."""
    if group is None or os.fstat(descriptor).st_gid == group:
        return True
    try:
        os.fchown(descriptor, -1, group)
    except PermissionError:
        return False
    return True


def _without_group(mode: int) -> int:
    """The mode of a file with another group than its predecessor: the group may do what others may."""
    return mode & ~0o070 | (mode & 0o007) << 3


def remove(root: int, path: str) -> None:
    """Removes a file or link if it exists."""
    try:
        with Place(root, path) as place:
            os.unlink(place.name, dir_fd=place.fd)
    except (FileNotFoundError, NotADirectoryError):
        return


def remove_tree(parent: int, name: str) -> None:
    """Removes a tree if it exists. Links are removed, not followed."""
    try:
        fd = os.open(name, FOLDER_FLAGS, dir_fd=parent)
    except FileNotFoundError:
        return
    try:
        make_writable(fd)
        for entry in os.listdir(fd):
            found = os.stat(entry, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                remove_tree(fd, entry)
            else:
                os.unlink(entry, dir_fd=fd)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=parent)


def make_writable(fd: int) -> None:
    """Lets the owner remove what a directory contains: a replaced one keeps the mode that it was given."""
    mode = stat.S_IMODE(os.fstat(fd).st_mode)
    if mode & PRIVATE == PRIVATE:
        return
    try:
        os.fchmod(fd, mode | PRIVATE)
    except OSError:
        return  # the directory of another user, or a read-only file system: removing it will tell


def prune(root: int, folders: set[str]) -> None:
    """Removes those of these directories that are empty, inner ones first."""
    for folder in sorted(folders, key=len, reverse=True):
        _prune_one(root, folder)


def _prune_one(root: int, folder: str) -> None:
    try:
        with Place(root, folder) as place:
            os.rmdir(place.name, dir_fd=place.fd)
    except OSError:
        return  # not empty or absent: nothing to remove


def parents(paths: set[str]) -> set[str]:
    """All directories above these paths."""
    return {path[:at] for path in paths for at, char in enumerate(path) if char == "/"}
