"""Swaps by links: files live in numbered generations, and one rename changes which one is current.

The target holds links to `.siphon/current/...`, as Kubernetes does it in its volumes. It works in every
directory that can be written at all: mount points, folders among foreign ones, working directories.
"""

from __future__ import annotations

import os
import stat

from lab.slurm import folder
from lab.slurm.stage import link_as, stage
from lab.slurm.target import (
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
    from lab.slurm.names import Wanted
    from lab.slurm.writer import Options


def links(hidden: int, target: Target, wanted: tuple[Wanted, ...], options: Options) -> Plan:
    """Switches the target to a new generation; `hidden` is its `.siphon`, held by us."""
    plan = compare(target, wanted, options.modes)
    check_replaceable(target, plan)
    names = {file.path for file in wanted}
    if not plan.needed():
        return plan
    _clear(hidden, keep=target.generation)
    known = names | target.owned | target.stale
    loose = {path for path in known if not target.is_ours(path) and folder.look(target.fd, path) is not None}
    number = _last(hidden)
    if loose:
        # First make links of what is here, content unchanged: from then on one rename changes everything.
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
    for path in sorted(known - names):
        if target.is_ours(path):
            folder.remove(target.fd, path)
    folder.prune(target.fd, folder.parents(known - names))
    folder.remove(target.fd, MANIFEST)
    _clear(hidden, keep=str(number + 1))
    return plan


def undo(hidden: int, root: int) -> None:
    """After a failure: what was staged goes, what readers see stays."""
    current = folder.read_link(hidden, CURRENT)
    _clear(hidden, keep=current)
    if current is None:
        folder.prune(root, {HIDDEN})


def _last(hidden: int) -> int:
    """The highest generation that is here, current or left by a killed siphon."""
    return max((int(name) for name in os.listdir(hidden) if name.isascii() and name.isdigit()), default=0)


def _clear(hidden: int, *, keep: str | None) -> None:
    """Takes away every generation but one, and what a killed siphon left."""
    for name in os.listdir(hidden):
        if name in (keep, CURRENT):
            continue
        if stat.S_ISDIR(os.stat(name, dir_fd=hidden, follow_symlinks=False).st_mode):
            folder.remove_tree(hidden, name)
        else:
            os.unlink(name, dir_fd=hidden)


def _generation(hidden: int, number: int) -> int:
    os.mkdir(str(number), folder.PRIVATE, dir_fd=hidden)
    return os.open(str(number), folder.FOLDER_FLAGS, dir_fd=hidden)


def _point(hidden: int, number: int) -> None:
    """Makes a generation the current one: the step that counts."""
    aside = f"{CURRENT}-{number}"
    os.symlink(str(number), aside, dir_fd=hidden)
    os.rename(aside, CURRENT, src_dir_fd=hidden, dst_dir_fd=hidden)


def _adopt(
    hidden: int, target: Target, number: int, known: set[str], loose: set[str], options: Options
) -> None:
    """Makes a generation of what readers see now, and turns plain files into links to it."""
    fd = _generation(hidden, number)
    try:
        for path in sorted(known):
            _keep(target, path, fd, options)
        text = manifest_text(target.owned)
        folder.write(fd, MANIFEST, text, 0o644, folders=0o755, group=None, sync=options.sync)
        os.fchmod(fd, options.modes.folder)
    finally:
        os.close(fd)
    _point(hidden, number)
    target.generation = str(number)
    for path in sorted(loose):
        _replace_by_link(target, path, hidden)


def _keep(target: Target, path: str, fd: int, options: Options) -> None:
    """What is seen at a path, in a generation: the same file, or a link that leads to the same place."""
    real = target.real(path)
    found = None if real is None else folder.look(target.fd, real)
    if real is None or found is None:
        return
    text = folder.read_link(target.fd, real)
    if text is not None:
        above = os.path.join(target.path, os.path.dirname(path))
        with folder.Place(fd, path, create=options.modes.folder) as place:
            os.symlink(os.path.join(above, text), place.name, dir_fd=place.fd)
    elif not link_as(target.fd, real, fd, path, options.modes.folder):
        content = folder.read(target.fd, real) or b""
        mode = stat.S_IMODE(found.st_mode)
        folder.write(
            fd, path, content, mode, folders=options.modes.folder, group=found.st_gid, sync=options.sync
        )


def _replace_by_link(target: Target, path: str, hidden: int) -> None:
    aside = "link"
    os.symlink(link_text(path), aside, dir_fd=hidden)
    with folder.Place(target.fd, path) as place:
        os.rename(aside, place.name, src_dir_fd=hidden, dst_dir_fd=place.fd)


def _ensure_link(target: Target, path: str, folders: int) -> None:
    """A link for a new file: until its generation is current it leads nowhere, as if there were no file."""
    if target.is_ours(path) or folder.read_link(target.fd, path) == link_text(path):
        return
    with folder.Place(target.fd, path, create=folders) as place:
        os.symlink(link_text(path), place.name, dir_fd=place.fd)
