"""Swaps a directory whole: a new one is made beside it and takes its name by one rename.

What one sees are plain files. It needs a parent we may write to, and a target that is no mount point,
holds no foreign folders, and is no working directory that we know of; else links.py does it.
"""

from __future__ import annotations

import fcntl
import os
import stat

from lab.slurm import folder
from lab.slurm.stage import link_as, stage
from lab.slurm.target import MANIFEST, Plan, Target, check_replaceable, compare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.slurm.names import Wanted
    from lab.slurm.writer import Options

AT_FDCWD, RENAME_EXCHANGE = -100, 2


class CannotExchange(Exception):
    """This directory cannot be replaced whole; nothing was changed."""


def possible(place: str, wanted: tuple[Wanted, ...]) -> bool:
    """Whether one rename of the directory is possible, as far as can be seen beforehand."""
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
        return False  # whoever typed the command would sit in the old directory
    target = Target(place)
    try:
        ours = folder.parents({file.path for file in wanted} | set(target.owned))
        return target.generation is None and _only_files(target.fd, "", ours)
    finally:
        target.close()


def _working_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def _attributes(place: str) -> bool:
    """Access lists and other attributes that a new directory would not have."""
    try:
        return any(not name.startswith("security.") for name in os.listxattr(place))
    except OSError:
        return False


def _only_files(root: int, prefix: str, ours: set[str]) -> bool:
    """Whether all that is here can be linked into a new directory: files, and folders of ours."""
    with folder.Place(root, f"{prefix}." if prefix else ".") as place:
        names = os.listdir(place.fd)
    for name in names:
        found = folder.look(root, prefix + name)
        if found is None or stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode):
            continue
        if not stat.S_ISDIR(found.st_mode) or prefix + name not in ours:
            return False
        if not _only_files(root, f"{prefix}{name}/", ours):
            return False
    return True


class Aside:
    """The folder beside the target, held by us, in which the new tree is made."""

    def __init__(self, parent: int, name: str, fd: int) -> None:
        self.parent = parent
        self.name = name
        self.fd = fd

    def finish(self, target: Target | None) -> None:
        """Removes what stands aside now: the unfinished tree, or the old one. Another siphon's stays."""
        found = folder.look(self.parent, self.name)
        mine = [os.fstat(fd) for fd in (self.fd, *(() if target is None else (target.fd,)))]
        if found is not None and any(os.path.samestat(found, own) for own in mine):
            folder.remove_tree(self.parent, self.name)


def whole(
    aside: Aside, place: str, target: Target | None, wanted: tuple[Wanted, ...], options: Options
) -> Plan:
    """Replaces the directory by a new one, or makes it."""
    _empty(aside.fd)
    plan = compare(target, wanted, options.modes)
    if target is None:
        stage(aside.fd, None, wanted, plan, options)
        os.fchmod(aside.fd, options.modes.folder)
        os.rename(aside.name, os.path.basename(place), src_dir_fd=aside.parent, dst_dir_fd=aside.parent)
    else:
        if target.generation is not None:
            raise CannotExchange
        check_replaceable(target, plan)
        if not plan.needed():
            return plan
        stage(aside.fd, target, wanted, plan, options)
        carried = _carry(target, aside.fd, "", {*plan.written, *plan.removed, *plan.unchanged, MANIFEST})
        _dress(aside.fd, os.fstat(target.fd))
        _exchange(aside, place, target)
        _rescue(target, aside.fd, carried)
    if options.sync:
        os.fsync(aside.parent)
    return plan


def _empty(fd: int) -> None:
    """Clears what a killed siphon left."""
    for name in os.listdir(fd):
        found = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            folder.remove_tree(fd, name)
        else:
            os.unlink(name, dir_fd=fd)


def _carry(target: Target, new: int, prefix: str, ours: set[str]) -> set[str]:
    """Links every foreign file into the new directory, so that it stays the same file."""
    carried: set[str] = set()
    with folder.Place(target.fd, f"{prefix}.") as place:
        names = os.listdir(place.fd)
    for name in names:
        path = prefix + name
        found = folder.look(target.fd, path)
        if path in ours or found is None:
            continue
        if stat.S_ISDIR(found.st_mode):
            carried |= _carry(target, new, f"{path}/", ours)
            continue
        if not link_as(target.fd, path, new, path, stat.S_IMODE(found.st_mode) | 0o755):
            raise CannotExchange
        carried.add(path)
    return carried


def _dress(fd: int, like: os.stat_result) -> None:
    """Gives the new directory the owner and mode of the one it replaces."""
    own = os.fstat(fd)
    if (own.st_uid, own.st_gid) != (like.st_uid, like.st_gid):
        try:
            os.fchown(fd, like.st_uid, like.st_gid)
        except PermissionError:
            raise CannotExchange from None
    os.fchmod(fd, stat.S_IMODE(like.st_mode))


def _exchange(aside: Aside, place: str, target: Target) -> None:
    """The new directory gets the name, in one step."""
    try:
        # Aside is then the old directory: held until it is gone, so that no other siphon works in it.
        fcntl.flock(target.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.listdir(target.fd):
            _exchange_names(f"{os.path.dirname(place)}/{aside.name}", place)
        else:
            os.rename(aside.name, os.path.basename(place), src_dir_fd=aside.parent, dst_dir_fd=aside.parent)
    except OSError:
        raise CannotExchange from None
    fcntl.flock(aside.fd, fcntl.LOCK_UN)


def _exchange_names(one: str, other: str) -> None:
    """Two directories change places: `renameat2`, which Python does not offer."""
    try:
        import ctypes

        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (ImportError, AttributeError, OSError):
        raise CannotExchange from None
    if rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE):
        raise CannotExchange


def _rescue(old: Target, new: int, carried: set[str]) -> None:
    """Brings over what somebody else put into the old directory while the new one was made."""
    for name in os.listdir(old.fd):
        found = folder.look(old.fd, name)
        if name in carried or name == MANIFEST or found is None or not stat.S_ISREG(found.st_mode):
            continue
        if name not in old.owned and folder.look(new, name) is None:
            link_as(old.fd, name, new, name, 0o755)
