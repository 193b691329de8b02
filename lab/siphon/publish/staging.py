"""Builds the complete new tree in an empty directory, before any reader can see it."""

from __future__ import annotations

import os
import stat

from lab.siphon.publish import dirfd
from lab.siphon.publish.target import MANIFEST, Plan, Target, manifest_text, mode_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.siphon.publish.names import Wanted
    from lab.siphon.publish.settings import PublishOptions


def stage(
    fd: int, target: Target | None, wanted: tuple[Wanted, ...], plan: Plan, options: PublishOptions
) -> None:
    """Writes the new tree into the empty directory `fd`. Unchanged files become hard links."""
    folders = options.modes.folder
    unchanged = set(plan.unchanged)
    for file in wanted:
        old = None if target is None else target.status(file.path)
        if target is not None and file.path in unchanged:
            real = target.real(file.path)
            if real is not None and link_as(target.fd, real, fd, file.path, folders):
                continue
        mode = mode_for(file, options.modes, old)
        group = old.st_gid if old is not None and stat.S_ISREG(old.st_mode) else None
        dirfd.write(fd, file.path, file.content, mode, folders=folders, group=group, sync=options.sync)
        if old is not None and file.path in unchanged:
            with dirfd.Place(fd, file.path) as place:
                os.utime(place.name, ns=(old.st_atime_ns, old.st_mtime_ns), dir_fd=place.fd)
    text = manifest_text(frozenset(file.path for file in wanted))
    dirfd.write(fd, MANIFEST, text, 0o644, folders=folders, group=None, sync=options.sync)
    if options.sync:
        os.fsync(fd)


def link_as(source: int, real: str, target: int, path: str, folders: int) -> bool:
    """Makes a hard link in another tree; False if the file system refuses it."""
    with dirfd.Place(source, real) as old, dirfd.Place(target, path, create=folders) as new:
        try:
            os.link(old.name, new.name, src_dir_fd=old.fd, dst_dir_fd=new.fd, follow_symlinks=False)
        except OSError:
            return False  # another file system, too many links, or a file of another user
    return True
