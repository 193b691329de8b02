"""Replaces files through links: files are in numbered generations, and one rename changes the current one.

The target contains links to `.siphon/current/...`, as in a Kubernetes volume. This works in every writable
directory: mount points, working directories and directories that contain those of others.
"""

from __future__ import annotations

import os
import stat

from lab.siphon.publish import dirfd
from lab.siphon.publish.staging import link_as, stage
from lab.siphon.publish.target import (
    CURRENT,
    HIDDEN,
    MANIFEST,
    Plan,
    Target,
    check_replaceable,
    compare,
    link_text,
    manifest_text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.siphon.publish.names import Wanted
    from lab.siphon.publish.settings import PublishOptions


def switch_links(hidden: int, target: Target, wanted: tuple[Wanted, ...], options: PublishOptions) -> Plan:
    """Switches the target to a new generation. `hidden` is the descriptor of its `.siphon`, locked by us."""
    plan = compare(target, wanted, options.modes)
    check_replaceable(target, plan)
    names = {file.path for file in wanted}
    if not plan.needed():
        return plan
    _clear(hidden, keep=target.generation)
    known = names | target.owned | target.stale
    loose = {path for path in known if not target.is_ours(path) and dirfd.look(target.fd, path) is not None}
    number = _last(hidden)
    if loose:
        # First replace plain files by links with the same content. After that one rename changes everything.
        number += 1
        _adopt(hidden, target, number, known, loose, options)
    new = _generation(hidden, number + 1)
    try:
        stage(new, target, wanted, plan, options)
        os.fchmod(new, options.modes.folder)
    finally:
        os.close(new)
    for path in sorted(names):
        _ensure_link(target, path, options.modes.folder)
    _point(hidden, number + 1)
    if options.sync:
        os.fsync(hidden)
    _tidy(hidden, target, number + 1, known - names)
    return plan


def _tidy(hidden: int, target: Target, number: int, gone: set[str]) -> None:
    """Removes links to files that no longer exist, and all generations but the current one."""
    try:
        for path in sorted(gone):
            if target.is_ours(path):
                dirfd.remove(target.fd, path)
        dirfd.prune(target.fd, dirfd.parents(gone))
        dirfd.remove(target.fd, MANIFEST)
        _clear(hidden, keep=str(number))
    except OSError:
        return  # readers see the new files; the next siphon tidies up


def undo(hidden: int, root: int) -> None:
    """After a failure: removes what was staged and keeps what readers see."""
    current = dirfd.read_link(hidden, CURRENT)
    _clear(hidden, keep=current)
    if current is None:
        dirfd.prune(root, {HIDDEN})


def _last(hidden: int) -> int:
    """The highest generation here, current or left by a killed siphon."""
    return max((int(name) for name in os.listdir(hidden) if name.isascii() and name.isdigit()), default=0)


def _clear(hidden: int, *, keep: str | None) -> None:
    """Removes every generation but one, and what a killed siphon left behind."""
    for name in os.listdir(hidden):
        if name in (keep, CURRENT):
            continue
        if stat.S_ISDIR(os.stat(name, dir_fd=hidden, follow_symlinks=False).st_mode):
            dirfd.remove_tree(hidden, name)
        else:
            os.unlink(name, dir_fd=hidden)


def _generation(hidden: int, number: int) -> int:
    os.mkdir(str(number), dirfd.PRIVATE, dir_fd=hidden)
    return os.open(str(number), dirfd.FOLDER_FLAGS, dir_fd=hidden)


def _point(hidden: int, number: int) -> None:
    """Makes a generation the current one. Readers see the new files from this step on."""
    temporary = f"{CURRENT}-{number}"
    os.symlink(str(number), temporary, dir_fd=hidden)
    os.rename(temporary, CURRENT, src_dir_fd=hidden, dst_dir_fd=hidden)


def _adopt(
    hidden: int, target: Target, number: int, known: set[str], loose: set[str], options: PublishOptions
) -> None:
    """Makes a generation of what readers see now, and replaces plain files by links to it."""
    fd = _generation(hidden, number)
    try:
        for path in sorted(known):
            _copy(target, path, fd, options)
        text = manifest_text(target.owned)
        dirfd.write(fd, MANIFEST, text, 0o644, folders=0o755, group=None, sync=options.sync)
        os.fchmod(fd, options.modes.folder)
    finally:
        os.close(fd)
    _point(hidden, number)
    target.generation = str(number)
    for path in sorted(loose):
        _replace_by_link(target, path, hidden)


def _copy(target: Target, path: str, fd: int, options: PublishOptions) -> None:
    """Puts the file visible at a path into a generation: as a hard link, a copied link or a copy."""
    real = target.real(path)
    found = None if real is None else dirfd.look(target.fd, real)
    if real is None or found is None:
        return
    text = dirfd.read_link(target.fd, real)
    if text is not None:
        above = os.path.join(target.path, os.path.dirname(path))
        with dirfd.Place(fd, path, create=options.modes.folder) as place:
            os.symlink(os.path.join(above, text), place.name, dir_fd=place.fd)
    elif not link_as(target.fd, real, fd, path, options.modes.folder):
        content = dirfd.read(target.fd, real) or b""
        mode = stat.S_IMODE(found.st_mode)
        dirfd.write(
            fd, path, content, mode, folders=options.modes.folder, group=found.st_gid, sync=options.sync
        )


def _replace_by_link(target: Target, path: str, hidden: int) -> None:
    temporary = "link"
    os.symlink(link_text(path), temporary, dir_fd=hidden)
    with dirfd.Place(target.fd, path) as place:
        os.rename(temporary, place.name, src_dir_fd=hidden, dst_dir_fd=place.fd)


def _ensure_link(target: Target, path: str, folders: int) -> None:
    """Makes the link for a new file. Until the new generation is current it points to no file."""
    if target.is_ours(path) or dirfd.read_link(target.fd, path) == link_text(path):
        return
    with dirfd.Place(target.fd, path, create=folders) as place:
        os.symlink(link_text(path), place.name, dir_fd=place.fd)
