"""File objects: stores their content together with size, checksum and format."""

from __future__ import annotations

import hashlib
import os
import stat

from lab.guest.system import System
from lab.guest.warewulf.model import Kind, Record
from lab.guest.warewulf.store import Store

_SHEBANGS = ((b"bash", "bash"), (b"perl", "perl"), (b"python", "python"), (b"/sh", "shell"))
_TYPES = {stat.S_IFLNK: "link", stat.S_IFDIR: "directory", stat.S_IFBLK: "block", stat.S_IFCHR: "character",
          stat.S_IFIFO: "fifo"}  # fmt: skip
DEFAULT_MODE = "0640"
"""The mode of a file object that has none, as File.pm (mode) gives it."""
LETTERS = {"link": "l", "directory": "d", "block": "b", "character": "c", "fifo": "p"}
"""The letters that mark types other than plain files in the answer of `WW/file`."""


def content_format(content: bytes) -> str:
    """The format of a file, by its first bytes."""
    if content.startswith(b"#!"):
        program = content.split(b"\n", 1)[0]
        for word, name in _SHEBANGS:
            if word in program:
                return name
    return "binary" if b"\0" in content[:8192] else "data"


def with_content(record: Record, content: bytes) -> Record:
    """The object with the keys that its content determines: format, size and checksum."""
    found = record.one("FILETYPE") or content_format(content)
    checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return record.put("FORMAT", found).put("SIZE", str(len(content))).put("CHECKSUM", checksum)


def save(store: Store, record: Record, content: bytes) -> Record:
    """Stores a new or changed file object with its content; must run inside a transaction."""
    record = with_content(record, content)
    stored = store.put(record) if record.id else store.add(record)
    store.set_content(stored.id, content)
    return stored


def store_generated(store: Store, name: str, path: str, content: bytes) -> None:
    """Stores a file object that the SMS generates; writes nothing if its content has not changed."""
    known = store.named(Kind.FILE, name)
    checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if known is not None and known.one("CHECKSUM") == checksum:
        return
    values = {"NAME": name, "PATH": path, "MODE": "0644", "UID": "0", "GID": "0"}
    with store.transaction():
        save(store, known or Record(Kind.FILE, values), content)


def from_path(system: System, path: str) -> tuple[dict[str, str], bytes]:
    """Attributes and content of a file of the SMS; of the link itself if it is a link."""
    info = system.lstat(path)
    kind = _TYPES.get(stat.S_IFMT(info.st_mode), "")
    values = {"MODE": f"{stat.S_IMODE(info.st_mode):04o}", "UID": str(info.st_uid), "GID": str(info.st_gid)}
    if kind:
        values["FILETYPE"] = kind
    if kind == "link":
        return values, os.fsencode(os.readlink(system.path(path)))
    if kind in ("block", "character"):
        return values, f"{os.major(info.st_rdev)} {os.minor(info.st_rdev)}".encode()
    if kind in ("directory", "fifo"):
        return values, b""
    if not stat.S_ISREG(info.st_mode):
        raise OSError("only plain files, folders, links, devices and FIFOs can be imported")
    return values, system.read(path)


def from_origins(system: System, origins: tuple[str, ...]) -> tuple[bytes, list[str]]:
    """The concatenated content of the origins, and a message for each origin that cannot be read."""
    parts: list[bytes] = []
    missing: list[str] = []
    for origin in origins:
        if origin.endswith("|"):
            done = system.run(["/bin/sh", "-c", origin[:-1]])
            if done.status:
                missing.append(f"{origin}: exit status {done.status}")
            parts.append(done.out)
            continue
        try:
            parts.append(system.read(origin))
        except OSError as error:
            missing.append(f'"{origin}" not found -- {error.strerror or error}')
    return b"".join(parts), missing
