"""Bootstraps: the bundles that wwbootstrap makes, and the files that nodes boot from.

A bundle is a cpio archive of `kernel` and `drivers.gz`; the latter is a part of an initial file system
without the trailer. `build` joins it with the base tree: kernels unpack concatenated gzip members as one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from lab.guest.archive import cpio
from lab.guest.archive.tree import Item, Rules, scan
from lab.guest.system import System
from lab.guest.warewulf.errors import WarewulfError
from lab.guest.warewulf.model import Kind, Record, cleared
from lab.guest.warewulf.store import Store

BUNDLES = "/var/lib/warewulf/bootstrap"
SERVED = "/srv/warewulf/bootstrap"
BASE = "/usr/lib/rackling/initramfs"
"""The base tree of every bootstrap: busybox and the boot agent."""
BASE_CACHE = "/var/cache/warewulf/.initramfs"
CAPABILITIES = ("provision-files", "provision-vnfs", "setup-filesystems", "transport-http")
"""Warewulf's names for what the boot agent in the base tree can do."""

NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.+~-]*$")

Say = Callable[[str], None]


class BootstrapError(WarewulfError):
    """The bootstrap cannot be stored or built."""


def check_name(name: str) -> None:
    """Raises BootstrapError for a name that no bootstrap can have."""
    if not NAME.match(name) or cleared(name):
        raise BootstrapError(f"Bootstrap name '{name}' contains invalid characters")


def bundle(kernel: bytes, drivers: bytes) -> bytes:
    """Joins kernel and drivers into a bundle, which `wwsh bootstrap` imports and exports."""
    parts = {b"kernel": kernel, b"drivers.gz": drivers}
    entries = [
        cpio.member(cpio.Entry(name, stat.S_IFREG | 0o644, len(data), inode=number), data)
        for number, (name, data) in enumerate(parts.items(), 1)
    ]
    return b"".join((*entries, cpio.TRAILER))


def split_bundle(data: bytes) -> tuple[bytes, bytes]:
    """Splits a bundle into kernel and drivers."""
    try:
        parts = cpio.read(data)
        return parts[b"kernel"], parts[b"drivers.gz"]
    except (KeyError, ValueError) as error:
        raise BootstrapError(f"Not a Warewulf bootstrap: {error}") from error


def gzip_member(data: bytes, level: int) -> bytes:
    """One gzip member without name and time, so that equal data give equal bytes."""
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def keep(system: System, store: Store, name: str, data: bytes, arch: str) -> Record:
    """Stores a bundle under a name and replaces an older one; nodes that use the name get the new one."""
    split_bundle(data)  # raises for anything else
    checksum = hashlib.md5(data, usedforsecurity=False).hexdigest()
    with store.transaction():
        record = store.named(Kind.BOOTSTRAP, name) or Record(Kind.BOOTSTRAP, {"NAME": name})
        for key, value in {"ARCH": arch, "SIZE": str(len(data)), "CHECKSUM": checksum}.items():
            record = record.put(key, value)
        record = store.put(record) if record.id else store.add(record)
        # Inside the transaction: if writing fails, the store does not name a missing bundle.
        system.write(f"{BUNDLES}/{record.id}", data, 0o644)
    return record


def content(system: System, record: Record) -> bytes:
    """The bundle of a bootstrap."""
    try:
        return system.read(f"{BUNDLES}/{record.id}")
    except FileNotFoundError as error:
        raise BootstrapError(f"{BUNDLES}/{record.id} is missing\nhint: wwbootstrap {record.name}") from error


def folder(record: Record) -> str:
    """The folder that nodes download a bootstrap from."""
    return f"{SERVED}/{record.one('ARCH')}/{record.id}"


def build(system: System, record: Record, say: Say) -> None:
    """Writes kernel and initial file system of a bootstrap to the folder that nodes download from."""
    say(f"Integrating the Warewulf bootstrap: {record.name}")
    base = base_archive(system)
    for capability in CAPABILITIES:
        say(f"Including capability: {capability}")
    kernel, drivers = split_bundle(content(system, record))
    say("Compressing the initramfs")
    place = folder(record)
    system.write(f"{place}/initfs.gz", base + drivers + gzip_member(cpio.TRAILER, 1))
    say("Locating the kernel object")
    system.write(f"{place}/kernel", kernel)
    system.write(f"{place}/cookie", f"{record.one('CHECKSUM')}\n".encode())
    say(f"Bootstrap image '{record.name}' is ready")


def remove(system: System, record: Record) -> None:
    """Removes the files of a deleted bootstrap."""
    system.remove_tree(folder(record))
    system.remove(f"{BUNDLES}/{record.id}")


def base_items(system: System) -> list[Item]:
    """The files of the base tree; in the archive all of them belong to root."""
    if not system.is_dir(BASE):
        raise BootstrapError(f"The base tree of initial file systems is missing: {BASE}")
    items = scan(os.fsencode(system.path(BASE)), Rules(()))
    return [replace(item, entry=replace(item.entry, uid=0, gid=0)) for item in items]


def base_archive(system: System) -> bytes:
    """The base tree as a gzip member; cached, since it rarely changes."""
    items = base_items(system)
    listing = json.dumps([(repr(item.entry), item.mtime_ns, item.data.hex()) for item in items])
    digest = hashlib.blake2b(listing.encode(), digest_size=20).hexdigest()
    kept = f"{BASE_CACHE}/{digest}"
    if system.is_file(kept):
        return system.read(kept)
    data = gzip_member(archive(items), 6)
    system.remove_tree(BASE_CACHE)
    system.make_dir(BASE_CACHE, 0o700)
    system.write(kept, data)
    return data


def archive(items: Sequence[Item]) -> bytes:
    """A cpio archive of these files without the trailer."""
    try:
        cpio.check_sizes(item.entry for item in items)
    except cpio.TooLargeError as error:
        raise BootstrapError(f"{error}\nhint: remove it from the tree that wwbootstrap packs") from error
    return b"".join(cpio.member(item.entry, _data(item)) for item in items)


def _data(item: Item) -> bytes:
    if not item.source or not stat.S_ISREG(item.entry.mode) or not item.entry.size:
        return item.data
    with open(item.source, "rb") as file:
        return file.read()
