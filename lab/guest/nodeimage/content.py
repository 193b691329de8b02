"""What an image holds of its tree: without what belongs to one machine or one run, and with the stamp."""

from __future__ import annotations

import hashlib
import os
import stat
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lab.guest.archive.cpio import Entry
from lab.guest.archive.tree import Item, Rules, scan
from lab.guest.nodeimage.errors import UNKNOWN, NodeImageError

STAMP = b"etc/image-release"
MACHINE_ID = b"etc/machine-id"
LEFT_OUT = (
    # of the running system
    "/proc/*", "/sys/*", "/run/*", "/tmp/*", "/var/tmp/*",  # noqa: S108 - patterns of a tree
    # of one machine: two nodes with the same of these would be mistaken for each other
    "/etc/ssh/ssh_host_*", "/var/lib/dbus/machine-id", "/var/lib/systemd/random-seed",
    "/var/lib/systemd/credential.secret", "/etc/udev/rules.d/70-persistent-net.rules",
    # of the run that made the tree: they hold its time, and no two images would be equal
    "/var/log/apt/*", "/var/log/dpkg.log", "/var/log/alternatives.log", "/var/log/bootstrap.log",
    "/var/log/journal/*", "/var/log/dnf*", "/var/log/hawkey.log", "/var/cache/ldconfig/aux-cache",
    "/var/cache/apt/archives/*", "/var/cache/apt/*.bin", "/var/cache/dnf/*", "/root/.ansible", "/root/.cache",
    "/etc/.pwd.lock",
)  # fmt: skip
"""Paths that no image holds; a folder before /* stays, empty."""


def need_tree(tree: str) -> None:
    """Refuses what is no system that a node could boot."""
    if not os.path.isdir(tree):
        raise NodeImageError(
            UNKNOWN, f"there is no tree {tree}", hint="nodeimage tree FOLDER, or name one: --tree DIR"
        )
    if not any(os.path.lexists(os.path.join(tree, path)) for path in ("sbin/init", "usr/sbin/init", "init")):
        raise NodeImageError(
            UNKNOWN, f"{tree} has no /sbin/init, so no node could boot it", hint=f"ls {tree}; is it a system?"
        )


def read_tree(tree: str, exclude: Sequence[str]) -> list[Item]:
    """The files of a tree that belong into an image, by what `lstat` says of them."""
    return scan(os.fsencode(tree), Rules([*LEFT_OUT, *exclude]))


def tree_digest(items: Sequence[Item]) -> str:
    """Tells two states of a tree apart; made of names, sizes and times of change, not of contents.

    Any change of a file changes its ctime, which no program can set.
    """
    digest = hashlib.blake2b(digest_size=20)
    for item in items:
        digest.update(repr((*vars(item.entry).values(), item.mtime_ns, item.ctime_ns, item.data)).encode())
    return digest.hexdigest()


def stamp(facts: Mapping[str, Any]) -> bytes:
    """The text of /etc/image-release, in the form of os-release(5), from the facts of a manifest."""
    keys = ("role", "ref", "commit", "date", "packages")
    return "".join(f"IMAGE_{key.upper()}={_quoted(facts[key])}\n" for key in keys).encode()


def _quoted(value: str) -> str:
    plain = value.replace("-", "").replace("_", "").replace(".", "").replace(":", "").replace("/", "")
    if plain.isalnum() and plain.isascii():
        return value
    return '"' + "".join(f"\\{letter}" if letter in '"\\$`' else letter for letter in value) + '"'


def for_image(items: Sequence[Item], stamped: bytes, seconds: int) -> list[Item]:
    """The items as they are packed: no later than the commit, with the stamp and /init, without a machine ID.

    Nothing is written to the tree, so neither a link in it nor a second run can stamp anything else.
    """
    etc = next((item for item in items if item.entry.path == b"etc"), None)
    if etc is None or not stat.S_ISDIR(etc.entry.mode):
        raise NodeImageError(
            UNKNOWN, "the tree has no folder /etc for the stamp", hint="is it a whole system?"
        )
    kept = [item for item in items if item.entry.path not in (STAMP, MACHINE_ID)]
    kept.append(_made(STAMP, stat.S_IFREG | 0o644, stamped, seconds))
    if any(item.entry.path == MACHINE_ID for item in items):
        # systemd makes a new one at boot where this file is empty: machine-id(5), "First Boot Semantics".
        kept.append(_made(MACHINE_ID, stat.S_IFREG | 0o444, b"", seconds))
    if not any(item.entry.path == b"init" for item in items):
        # What a kernel starts of an initramfs: its Documentation/admin-guide/initrd.rst, rdinit.
        kept.append(_made(b"init", stat.S_IFLNK | 0o777, b"sbin/init", seconds))
    return sorted((_dated(item, seconds) for item in kept), key=lambda item: item.entry.path)


def _made(path: bytes, mode: int, data: bytes, seconds: int) -> Item:
    entry = Entry(path, mode, len(data), mtime=seconds, inode=zlib.crc32(path))
    return Item(entry, b"", data)


def _dated(item: Item, seconds: int) -> Item:
    # The time of change takes the place of the time that tells whether a cached segment is still right: trees
    # that are made reproducibly carry the same dates, whatever they hold.
    entry = item.entry if item.entry.mtime <= seconds else replace(item.entry, mtime=seconds)
    return Item(entry, item.source, item.data, item.ctime_ns, item.ctime_ns)
