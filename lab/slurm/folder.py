"""Files below one directory, reached from its descriptor and never through a symbolic link.

Whoever may write in the directory can put a link where a folder was; a path would follow it, a
descriptor cannot.
"""

from __future__ import annotations

import os
import stat

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
PRIVATE = 0o700


class Place:
    """A relative path resolved but for its last part: the folder's descriptor and the name in it."""

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
    """What is at a path, links not followed; None where nothing is, or something is in the way."""
    try:
        with Place(root, path) as place:
            return os.stat(place.name, dir_fd=place.fd, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == _TOO_MANY_LINKS:  # a symbolic link stands where a folder should
            return None
        raise


_TOO_MANY_LINKS = 40  # ELOOP; the module errno is one more import


def read(root: int, path: str, limit: int = -1) -> bytes | None:
    """The content of a regular file, or None where there is none."""
    found = look(root, path)
    if found is None or not stat.S_ISREG(found.st_mode):
        return None
    with Place(root, path) as place:
        descriptor = os.open(place.name, FILE_FLAGS, dir_fd=place.fd)
    with open(descriptor, "rb", buffering=0) as file:
        return file.read(limit) if limit >= 0 else file.readall()


def read_link(root: int, path: str) -> str | None:
    """The text of a symbolic link, or None where there is none."""
    found = look(root, path)
    if found is None or not stat.S_ISLNK(found.st_mode):
        return None
    with Place(root, path) as place:
        return os.readlink(place.name, dir_fd=place.fd)


def write(
    root: int, path: str, content: bytes, mode: int, *, folders: int, group: int | None, sync: bool
) -> None:
    """A new file with exactly this mode; its folders are made."""
    with Place(root, path, create=folders) as place:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(place.name, flags, 0o600, dir_fd=place.fd)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fchmod(descriptor, mode if _give(descriptor, group) else _without_group(mode))
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _give(descriptor: int, group: int | None) -> bool:
    """Keeps the group of the file that is replaced; whether that worked or was not needed."""
    if group is None or os.fstat(descriptor).st_gid == group:
        return True
    try:
        os.fchown(descriptor, -1, group)
    except PermissionError:
        return False
    return True


def _without_group(mode: int) -> int:
    """The mode where the group is another than before: nothing for it that others do not have."""
    return mode & ~0o070 | (mode & 0o007) << 3


def link(source: int, target: int, path: str, *, folders: int) -> bool:
    """The same file under the same path in another tree; False where the system does not allow it."""
    with Place(source, path) as old, Place(target, path, create=folders) as new:
        try:
            os.link(old.name, new.name, src_dir_fd=old.fd, dst_dir_fd=new.fd, follow_symlinks=False)
        except OSError:
            return False
    return True


def remove(root: int, path: str) -> None:
    """Takes a file or link away, if it is there."""
    try:
        with Place(root, path) as place:
            os.unlink(place.name, dir_fd=place.fd)
    except (FileNotFoundError, NotADirectoryError):
        return


def remove_tree(parent: int, name: str) -> None:
    """Takes a whole tree away, if it is there; links are removed, not followed."""
    try:
        fd = os.open(name, FOLDER_FLAGS, dir_fd=parent)
    except FileNotFoundError:
        return
    try:
        for entry in os.listdir(fd):
            found = os.stat(entry, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                remove_tree(fd, entry)
            else:
                os.unlink(entry, dir_fd=fd)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=parent)


def prune(root: int, folders: set[str]) -> None:
    """Takes these folders away where they are empty, inner ones first."""
    for folder in sorted(folders, key=len, reverse=True):
        _prune_one(root, folder)


def _prune_one(root: int, folder: str) -> None:
    try:
        with Place(root, folder) as place:
            os.rmdir(place.name, dir_fd=place.fd)
    except OSError:
        return  # not empty, or not there: not ours to remove


def parents(paths: set[str]) -> set[str]:
    """Every folder that these paths need."""
    return {path[:at] for path in paths for at, char in enumerate(path) if char == "/"}
