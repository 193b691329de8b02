"""Builds the whole new tree of files in an empty folder, before any reader can see it."""

from __future__ import annotations

import os
import stat

from lab.slurm import folder
from lab.slurm.target import MANIFEST, Plan, Target, manifest_text, mode_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.slurm.names import Wanted
    from lab.slurm.writer import Options


def stage(fd: int, target: Target | None, wanted: tuple[Wanted, ...], plan: Plan, options: Options) -> None:
    """The whole new tree below an empty folder; unchanged files are the old ones, time and all."""
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
        folder.write(fd, file.path, file.content, mode, folders=folders, group=group, sync=options.sync)
        if old is not None and file.path in unchanged:
            with folder.Place(fd, file.path) as place:
                os.utime(place.name, ns=(old.st_atime_ns, old.st_mtime_ns), dir_fd=place.fd)
    text = manifest_text(frozenset(file.path for file in wanted))
    folder.write(fd, MANIFEST, text, 0o644, folders=folders, group=None, sync=options.sync)
    if options.sync:
        os.fsync(fd)


def link_as(source: int, real: str, target: int, path: str, folders: int) -> bool:
    """A hard link under another path."""
    with folder.Place(source, real) as old, folder.Place(target, path, create=folders) as new:
        try:
            os.link(old.name, new.name, src_dir_fd=old.fd, dst_dir_fd=new.fd, follow_symlinks=False)
        except OSError:
            return False  # another file system, too many links, or somebody else's file
    return True
