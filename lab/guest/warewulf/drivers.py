"""Collects drivers, firmware and load list of a bootstrap into one part of the initial file system."""

from __future__ import annotations

import fnmatch
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lab.guest.archive.cpio import Entry
from lab.guest.archive.tree import Item, Rules, scan
from lab.guest.system import System
from lab.guest.warewulf import bootstraps, kmodules
from lab.guest.warewulf.conf import Config

COMPRESSED = (".xz", ".gz", ".zst")
TABLES = ("modules.alias", "modules.symbols", "modules.softdep")
WHOLE = ("modules.builtin", "modules.builtin.modinfo", "modules.builtin.alias.bin")


@dataclass(frozen=True)
class Source:
    """The folders of a kernel's modules and firmware on the SMS."""

    version: str
    modules: str
    firmware: str


@dataclass(frozen=True)
class Drivers:
    """The packed part, and the numbers of files that wwbootstrap prints."""

    archive: bytes
    modules: int
    firmware: int


def source(system: System, chroot: str, version: str) -> Source:
    """Finds lib/modules/VERSION in a chroot, where it may be a link to another folder."""
    place = os.path.join(chroot, "lib/modules", version)
    target = system.path(place)
    if os.path.islink(target):
        link = os.readlink(target)
        # An absolute link is relative to the chroot, not to the SMS's root.
        inside = link if link.startswith("/") else f"/lib/modules/{link}"
        place = chroot.rstrip("/") + inside
    return Source(version, place, os.path.join(chroot, "lib/firmware"))


def collect(system: System, where: Source, settings: Config) -> Drivers:
    """Packs the files that bootstrap.conf names; equal files and settings give equal bytes."""
    dep = kmodules.parse_dep(system.text(f"{where.modules}/modules.dep", ""))
    chosen = kmodules.choose(dep, settings.many("drivers"))
    chosen = [path for path in chosen if system.is_file(f"{where.modules}/{path}")]
    firmware = _firmware(system, where.firmware, settings.many("firmware"))
    with tempfile.TemporaryDirectory(prefix="wwbootstrap.") as stage:
        _lay_out(system, where, dep, chosen, stage)
        for name in firmware:
            _copy(system.path(f"{where.firmware}/{name}"), f"{stage}/lib/firmware/{name}")
        _write(f"{stage}/etc/warewulf/modprobe", "".join(f"{one}\n" for one in settings.many("modprobe")))
        _write(f"{stage}/etc/warewulf/kernel", f"{where.version}\n")
        items = _without_base(system, scan(os.fsencode(stage), Rules(())))
        # Compressed modules do not shrink further; level 0 keeps a node's boot fast.
        packed = all(path.endswith(COMPRESSED) for path in chosen)
        archive = bootstraps.gzip_member(bootstraps.archive(items), 0 if packed else 1)
    return Drivers(archive, len(chosen), len(firmware))


def _lay_out(
    system: System, where: Source, dep: dict[str, tuple[str, ...]], chosen: Sequence[str], stage: str
) -> None:
    target = f"{stage}/lib/modules/{where.version}"
    os.makedirs(target)
    for path in chosen:
        _copy(system.path(f"{where.modules}/{path}"), f"{target}/{path}")
    _write(f"{target}/modules.dep", kmodules.restricted_dep(dep, chosen))
    for name in TABLES:
        text = system.text(f"{where.modules}/{name}", "")
        if text:
            _write(f"{target}/{name}", kmodules.restricted_table(text, chosen))
    order = system.text(f"{where.modules}/modules.order", "")
    _write(f"{target}/modules.order", kmodules.restricted_order(order, chosen))
    for name in WHOLE:
        if system.is_file(f"{where.modules}/{name}"):
            _copy(system.path(f"{where.modules}/{name}"), f"{target}/{name}")
    if chosen and shutil.which("depmod"):
        # kmod needs binary tables. Without depmod, busybox can still read the text tables.
        system.run(["depmod", "-b", stage, where.version])


def _firmware(system: System, folder: str, globs: Sequence[str]) -> list[str]:
    """Firmware files that match a glob; follows links, as OpenHPC's build does."""
    if not globs or not system.is_dir(folder):
        return []
    real = system.path(folder)
    found: list[str] = []
    for place, _, names in os.walk(real):
        for name in names:
            path = os.path.relpath(os.path.join(place, name), real)
            if any(fnmatch.fnmatchcase(path, glob) for glob in globs) and os.path.isfile(f"{real}/{path}"):
                found.append(path)
    return sorted(found)


def _copy(original: str, target: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(original, target)


def _write(target: str, text: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def _without_base(system: System, items: Iterable[Item]) -> list[Item]:
    """Drops folders of the base tree and sets owner, mode and time of the rest to fixed values."""
    known = {item.entry.path for item in bootstraps.base_items(system)}
    return [
        replace(item, entry=_normalized(item.entry))
        for item in items
        if not (stat.S_ISDIR(item.entry.mode) and item.entry.path in known)
    ]


def _normalized(entry: Entry) -> Entry:
    mode = stat.S_IFDIR | 0o755 if stat.S_ISDIR(entry.mode) else stat.S_IFMT(entry.mode) | 0o644
    return replace(entry, mode=mode, uid=0, gid=0, mtime=0)
