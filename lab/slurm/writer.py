"""Puts a set of files into a directory, all or nothing: staged aside, then swapped in one step.

Two ways to swap, see whole.py and links.py. Whatever kills siphon, readers find the old files
or the new ones, never a mix.
"""

from __future__ import annotations

import fcntl
import os
import time

from lab.slurm import failure, folder
from lab.slurm.failure import SiphonError
from lab.slurm.links import links, undo
from lab.slurm.record import dataclass
from lab.slurm.target import HIDDEN, Modes, Plan, Target, check_replaceable, compare
from lab.slurm.whole import Aside, CannotExchange, possible, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.slurm.names import Wanted

ASIDE = ".siphon"
"""Ends the name of the directory made beside the target."""

ENOSPC, EDQUOT, EROFS = 28, 122, 30


@dataclass(frozen=True)
class Options:
    """How to write."""

    modes: Modes = Modes()
    sync: bool = False
    """Wait until the disk has it: a power cut then leaves the old files or the new ones, too."""
    patience: float = 10.0
    """Seconds to wait for another siphon that writes the same directory."""
    sleep: Callable[[float], None] = time.sleep


def examine(path: str, wanted: tuple[Wanted, ...], options: Options) -> Plan:
    """What `write` would do; nothing is changed."""
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


def write(path: str, wanted: tuple[Wanted, ...], options: Options) -> Plan:
    """Makes the directory hold these files and none that siphon put there before and that are gone now."""
    place = os.path.realpath(path)
    try:
        _tidy(place)
        plan = examine(place, wanted, options)
        if plan.needed():
            plan = _write(place, wanted, options)
        return plan
    except OSError as error:
        raise cannot_write(path, error) from None


def _write(place: str, wanted: tuple[Wanted, ...], options: Options) -> Plan:
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if possible(place, wanted):
        try:
            return _whole(place, wanted, options)
        except CannotExchange:
            pass  # this file system or mount cannot: the other way always can
    return _links(place, wanted, options)


def _tidy(place: str) -> None:
    """Removes what a killed siphon left beside the target, unless another one is at work there."""
    parent, name = os.path.dirname(place), _aside(place)
    if not os.path.lexists(f"{parent}/{name}"):
        return
    fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        held = _try_lock(fd, name, place)
        if held is not None:
            try:
                folder.remove_tree(fd, name)
            finally:
                os.close(held)
    finally:
        os.close(fd)


def _aside(place: str) -> str:
    return f".{os.path.basename(place)}{ASIDE}"


def _whole(place: str, wanted: tuple[Wanted, ...], options: Options) -> Plan:
    parent = os.open(os.path.dirname(place), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        aside = _aside(place)
        fd = _lock(parent, aside, place, options)
        try:
            # Under the lock the target is looked at again: another siphon may just have written it.
            target = _open(place)
            beside = Aside(parent, aside, fd)
            try:
                return whole(beside, place, target, wanted, options)
            finally:
                beside.finish(target)
                if target is not None:
                    target.close()
        finally:
            os.close(fd)
    finally:
        os.close(parent)


def _links(place: str, wanted: tuple[Wanted, ...], options: Options) -> Plan:
    if not os.path.isdir(place):
        os.mkdir(place, folder.PRIVATE)
        os.chmod(place, options.modes.folder)
    root = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = _lock(root, HIDDEN, place, options)
        try:
            os.fchmod(fd, 0o755)
            target = Target(place)
            try:
                return links(fd, target, wanted, options)
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


def _lock(parent: int, name: str, place: str, options: Options) -> int:
    """A folder beside or in the target, held by one siphon at a time; the lock dies with its holder."""
    waited = 0.0
    while True:
        _make(parent, name)
        fd = _try_lock(parent, name, place)
        if fd is not None:
            return fd
        if waited >= options.patience:
            raise SiphonError(
                failure.LOCKED,
                f"another siphon has been writing {failure.printable(place)} for {waited:.0f} s",
                evidence=f"it holds {failure.printable(name)}",
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
        os.mkdir(name, folder.PRIVATE, dir_fd=parent)
    except FileExistsError:
        return  # held by another siphon, or left by a killed one


def _open_own(parent: int, name: str, place: str) -> int | None:
    try:
        fd = os.open(name, folder.FOLDER_FLAGS, dir_fd=parent)
    except FileNotFoundError:
        return None  # its holder has just finished
    owner = os.fstat(fd).st_uid
    if owner != os.geteuid():
        os.close(fd)
        raise SiphonError(
            failure.WRITE,
            f"cannot write {failure.printable(place)}: {failure.printable(name)} belongs to another user",
            evidence=f"its owner has uid {owner}, siphon runs as uid {os.geteuid()}",
            hint="run siphon as that user, or name another directory: -o DIR",
        )
    return fd


def _still_there(parent: int, name: str, fd: int) -> bool:
    """Whether the name still means the folder we locked: its holder before us may have moved it."""
    found = folder.look(parent, name)
    own = os.fstat(fd)
    return found is not None and (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)


def cannot_write(path: str, error: OSError) -> SiphonError:
    """The one error for whatever the file system refuses."""
    shown = failure.printable(path)
    hints = {
        ENOSPC: f"df -h {shown}",
        EDQUOT: "quota -s",
        EROFS: f"the file system is read-only: findmnt -T {shown}",
    }
    hint = hints.get(error.errno or 0, f"ls -ld {shown}, or name another directory: -o DIR")
    what = error.strerror or str(error)
    name = error.filename if isinstance(error.filename, (str, bytes)) else ""
    return SiphonError(
        failure.WRITE,
        f"cannot write {shown}; what was there is unchanged",
        evidence=f"{failure.printable(name)}: {what}" if name else what,
        hint=hint,
    )
