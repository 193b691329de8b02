"""Replaces a whole directory: a new one is made beside it and takes its name by one rename.

The result contains plain files. The parent must be writable. The target must not be a mount point or a
working directory and must not contain directories of others; for such targets see symlinks.py.
"""

from __future__ import annotations

import fcntl
import os
import stat

from lab.siphon.publish import dirfd
from lab.siphon.publish.staging import link_as, stage
from lab.siphon.publish.target import MANIFEST, Plan, Target, check_replaceable, compare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.siphon.publish.names import Wanted
    from lab.siphon.publish.settings import PublishOptions

AT_FDCWD, RENAME_EXCHANGE = -100, 2


class CannotExchange(Exception):
    """This directory cannot be replaced as a whole. Nothing was changed."""


def is_possible(place: str, wanted: tuple[Wanted, ...]) -> bool:
    """Whether the directory can be replaced by one rename, as far as this can be known in advance."""
    parent = os.path.dirname(place)
    if not os.access(parent, os.W_OK | os.X_OK):
        return False
    try:
        here = os.stat(place)
    except FileNotFoundError:
        return True
    if os.path.ismount(place) or os.geteuid() not in (0, here.st_uid) or _attributes(place):
        return False
    working = _working_folder()
    if working is None or working == place or working.startswith(f"{place}/"):
        return False  # the caller's shell would stay in the old directory
    target = Target(place)
    try:
        ours = dirfd.parents({file.path for file in wanted} | set(target.owned))
        return target.generation is None and _only_files(target.fd, "", ours)
    finally:
        target.close()


def _working_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def _attributes(place: str) -> bool:
    """Whether the directory has access lists or other attributes, which a new directory would lack."""
    try:
        return any(not name.startswith("security.") for name in os.listxattr(place))
    except OSError:
        return False


def _only_files(root: int, prefix: str, ours: set[str]) -> bool:
    """Whether everything here can be linked into a new directory: files and siphon's directories."""
    with dirfd.Place(root, f"{prefix}." if prefix else ".") as place:
        names = os.listdir(place.fd)
    for name in names:
        found = dirfd.look(root, prefix + name)
        if found is None or stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode):
            continue
        if not stat.S_ISDIR(found.st_mode) or prefix + name not in ours:
            return False
        if not _only_files(root, f"{prefix}{name}/", ours):
            return False
    return True


class StagingDir:
    """The locked directory beside the target in which the new tree is made."""

    def __init__(self, parent: int, name: str, fd: int) -> None:
        self.parent = parent
        self.name = name
        self.fd = fd

    def finish(self, target: Target | None) -> None:
        """Removes the unfinished new tree or the replaced old one, but not that of another siphon.

        What cannot be removed stays for the next siphon: it is no reason to call a finished change a failure,
        nor to hide why a change failed.
        """
        try:
            found = dirfd.look(self.parent, self.name)
            mine = [os.fstat(fd) for fd in (self.fd, *(() if target is None else (target.fd,)))]
            if found is not None and any(os.path.samestat(found, own) for own in mine):
                dirfd.remove_tree(self.parent, self.name)
        except OSError:
            return


def replace_directory(
    staging: StagingDir,
    place: str,
    target: Target | None,
    wanted: tuple[Wanted, ...],
    options: PublishOptions,
) -> Plan:
    """Replaces the directory by a new one, or creates it. Raises `CannotExchange` if that is impossible."""
    try:
        _empty(staging.fd)
    except OSError:
        raise CannotExchange from None  # a leftover that this user cannot remove
    plan = compare(target, wanted, options.modes)
    if target is None:
        stage(staging.fd, None, wanted, plan, options)
        os.fchmod(staging.fd, options.modes.folder)
        os.rename(staging.name, os.path.basename(place), src_dir_fd=staging.parent, dst_dir_fd=staging.parent)
    else:
        if target.generation is not None:
            raise CannotExchange
        check_replaceable(target, plan)
        if not plan.needed():
            return plan
        stage(staging.fd, target, wanted, plan, options)
        carried = _carry(target, staging.fd, "", {*plan.written, *plan.removed, *plan.unchanged, MANIFEST})
        _copy_owner_and_mode(staging.fd, os.fstat(target.fd))
        _exchange(staging, place, target)
        _rescue(target, staging.fd, carried)
    if options.sync:
        os.fsync(staging.parent)
    return plan


def _empty(fd: int) -> None:
    """Removes what a killed siphon left behind."""
    dirfd.make_writable(fd)
    for name in os.listdir(fd):
        found = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            dirfd.remove_tree(fd, name)
        else:
            os.unlink(name, dir_fd=fd)


def _carry(target: Target, new: int, prefix: str, ours: set[str]) -> set[str]:
    """Hard-links every file of others into the new directory; returns their paths."""
    carried: set[str] = set()
    with dirfd.Place(target.fd, f"{prefix}.") as place:
        names = os.listdir(place.fd)
    for name in names:
        path = prefix + name
        found = dirfd.look(target.fd, path)
        if path in ours or found is None:
            continue
        if stat.S_ISDIR(found.st_mode):
            carried |= _carry(target, new, f"{path}/", ours)
            continue
        if not link_as(target.fd, path, new, path, stat.S_IMODE(found.st_mode) | 0o755):
            raise CannotExchange
        carried.add(path)
    return carried


def _copy_owner_and_mode(fd: int, like: os.stat_result) -> None:
    """Gives the new directory the owner and mode of the one that it replaces."""
    own = os.fstat(fd)
    if (own.st_uid, own.st_gid) != (like.st_uid, like.st_gid):
        try:
            os.fchown(fd, like.st_uid, like.st_gid)
        except PermissionError:
            raise CannotExchange from None
    os.fchmod(fd, stat.S_IMODE(like.st_mode))


def _exchange(staging: StagingDir, place: str, target: Target) -> None:
    """Gives the new directory the name of the target, in one step."""
    try:
        # The staging name then belongs to the old directory. It stays locked until it is removed, so that no
        # other siphon uses it.
        fcntl.flock(target.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.listdir(target.fd):
            _exchange_names(f"{os.path.dirname(place)}/{staging.name}", place)
        else:
            os.rename(
                staging.name, os.path.basename(place), src_dir_fd=staging.parent, dst_dir_fd=staging.parent
            )
    except OSError:
        raise CannotExchange from None
    fcntl.flock(staging.fd, fcntl.LOCK_UN)


def _exchange_names(one: str, other: str) -> None:
    """Exchanges two directories by renameat2(2), which the standard library lacks."""
    try:
        import ctypes

        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (ImportError, AttributeError, OSError):
        raise CannotExchange from None
    if rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE):
        raise CannotExchange


def _rescue(old: Target, new: int, carried: set[str]) -> None:
    """Copies files that others created in the old directory while the new one was made."""
    try:
        names = os.listdir(old.fd)
    except OSError:
        return  # the old directory was empty and is gone: on FUSE it cannot be listed any more
    for name in names:
        found = dirfd.look(old.fd, name)
        if name in carried or name == MANIFEST or found is None or not stat.S_ISREG(found.st_mode):
            continue
        if name not in old.owned and dirfd.look(new, name) is None:
            link_as(old.fd, name, new, name, 0o755)
