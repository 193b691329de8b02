"""Writes a set of files into a directory, all or nothing: staged first, then published in one step.

There are two ways to publish, in exchange.py and symlinks.py. Even if siphon is killed, readers find the old
files or the new ones, never a mixture.
"""

from __future__ import annotations

import errno
import fcntl
import os

from lab.siphon import errors
from lab.siphon.errors import SiphonError
from lab.siphon.publish import dirfd
from lab.siphon.publish.target import HIDDEN, Plan, Target, check_replaceable, compare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.siphon.publish.names import Wanted
    from lab.siphon.publish.settings import PublishOptions

STAGING = ".siphon"
"""The end of the name of the staging directory beside the target."""


def examine(path: str, wanted: tuple[Wanted, ...], options: PublishOptions) -> Plan:
    """What `write` would change. Raises `SiphonError` if it would fail."""
    try:
        target = _open(os.path.realpath(path))
        try:
            plan = compare(target, wanted, options.modes)
            if target is not None:
                check_replaceable(target, plan)
            return plan
        finally:
            if target is not None:
                target.close()
    except OSError as error:
        raise cannot_write(path, error) from None


def write(path: str, wanted: tuple[Wanted, ...], options: PublishOptions) -> Plan:
    """Writes these files into the directory, and removes other files that an earlier siphon wrote there.

    Raises `SiphonError` if the directory cannot be written; its contents are then unchanged.
    """
    place = os.path.realpath(path)
    try:
        _tidy(place)
        plan = examine(place, wanted, options)
        if plan.needed():
            plan = _write(place, wanted, options)
        return plan
    except OSError as error:
        raise cannot_write(path, error) from None


def _write(place: str, wanted: tuple[Wanted, ...], options: PublishOptions) -> Plan:
    # Imported here, because most fetches find nothing to write.
    from lab.siphon.publish.exchange import CannotExchange, is_possible

    os.makedirs(os.path.dirname(place), exist_ok=True)
    if is_possible(place, wanted):
        try:
            return _exchange(place, wanted, options)
        except CannotExchange:
            pass  # not supported by this file system or mount; links always work
    return _links(place, wanted, options)


def _tidy(place: str) -> None:
    """Removes what a killed siphon left beside the target, unless another siphon works there."""
    parent, name = os.path.dirname(place), _staging_name(place)
    if not os.path.lexists(f"{parent}/{name}"):
        return
    fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        held = _try_lock(fd, name, place)
        if held is not None:
            try:
                dirfd.remove_tree(fd, name)
            except OSError:
                pass  # it does no harm there: links need no staging directory (_write)
            finally:
                os.close(held)
    finally:
        os.close(fd)


def _staging_name(place: str) -> str:
    return f".{os.path.basename(place)}{STAGING}"


def _exchange(place: str, wanted: tuple[Wanted, ...], options: PublishOptions) -> Plan:
    from lab.siphon.publish.exchange import StagingDir, replace_directory

    parent = os.open(os.path.dirname(place), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        name = _staging_name(place)
        fd = _lock(parent, name, place, options)
        try:
            # The target is examined again under the lock: another siphon may have written it meanwhile.
            target = _open(place)
            staging = StagingDir(parent, name, fd)
            try:
                return replace_directory(staging, place, target, wanted, options)
            finally:
                staging.finish(target)
                if target is not None:
                    target.close()
        finally:
            os.close(fd)
    finally:
        os.close(parent)


def _links(place: str, wanted: tuple[Wanted, ...], options: PublishOptions) -> Plan:
    from lab.siphon.publish.symlinks import switch_links, undo

    if not os.path.isdir(place):
        os.mkdir(place, dirfd.PRIVATE)
        os.chmod(place, options.modes.folder)
    root = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = _lock(root, HIDDEN, place, options)
        try:
            os.fchmod(fd, 0o755)
            target = Target(place)
            try:
                return switch_links(fd, target, wanted, options)
            except BaseException:
                undo(fd, root)
                raise
            finally:
                target.close()
        finally:
            os.close(fd)
    finally:
        os.close(root)


def _open(place: str) -> Target | None:
    try:
        return Target(place)
    except FileNotFoundError:
        return None


def _lock(parent: int, name: str, place: str, options: PublishOptions) -> int:
    """Creates and locks a directory beside or in the target. The lock ends with the process that holds it."""
    waited = 0.0
    while True:
        _make(parent, name)
        fd = _try_lock(parent, name, place)
        if fd is not None:
            return fd
        if waited >= options.patience:
            raise SiphonError(
                errors.LOCKED,
                f"another siphon has been writing {errors.printable(place)} for {waited:.0f} s",
                evidence=f"it holds the lock on {errors.printable(name)}",
                hint="try again when it has finished",
            )
        options.sleep(0.05)
        waited += 0.05


def _try_lock(parent: int, name: str, place: str) -> int | None:
    fd = _open_own(parent, name, place)
    if fd is None:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _still_there(parent, name, fd):
            return fd
    except BlockingIOError:
        pass
    os.close(fd)
    return None


def _make(parent: int, name: str) -> None:
    try:
        os.mkdir(name, dirfd.PRIVATE, dir_fd=parent)
    except FileExistsError:
        return  # in use by another siphon, or left by a killed one


def _open_own(parent: int, name: str, place: str) -> int | None:
    try:
        fd = os.open(name, dirfd.FOLDER_FLAGS, dir_fd=parent)
    except FileNotFoundError:
        return None  # the other siphon has just finished
    owner = os.fstat(fd).st_uid
    if owner != os.geteuid():
        os.close(fd)
        raise SiphonError(
            errors.WRITE,
            f"cannot write {errors.printable(place)}: {errors.printable(name)} belongs to another user",
            evidence=f"its owner has uid {owner}, siphon runs as uid {os.geteuid()}",
            hint="run siphon as that user, or choose another directory: -o DIR",
        )
    return fd


def _still_there(parent: int, name: str, fd: int) -> bool:
    """Whether the name still belongs to the locked directory: its previous holder may have moved it."""
    found = dirfd.look(parent, name)
    own = os.fstat(fd)
    return found is not None and (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)


def cannot_write(path: str, error: OSError) -> SiphonError:
    """The error for a failed operation of the file system."""
    shown = errors.printable(path)
    hints = {
        errno.ENOSPC: f"df -h {shown}",
        errno.EDQUOT: "quota -s",
        errno.EROFS: f"the file system is read-only: findmnt -T {shown}",
    }
    hint = hints.get(error.errno or 0, f"ls -ld {shown}, or choose another directory: -o DIR")
    what = error.strerror or str(error)
    name = error.filename if isinstance(error.filename, (str, bytes)) else ""
    return SiphonError(
        errors.WRITE,
        f"cannot write {shown}; its contents are unchanged",
        evidence=f"{errors.printable(name)}: {what}" if name else what,
        hint=hint,
    )
