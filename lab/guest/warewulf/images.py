"""VNFS images on the SMS's disk.

An image is a file, not a value in the datastore: nginx serves the file itself, so there is one copy
instead of three (store, cache, page cache). The file name contains the checksum, so that a new image
never replaces a file that a node is downloading.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil

from lab.guest.system import System
from lab.guest.warewulf.errors import WarewulfError
from lab.guest.warewulf.model import Kind, Record, cleared
from lab.guest.warewulf.store import Store

FOLDER = "/srv/warewulf/vnfs"
READERS = "www-data"
"""nginx's group on Debian."""
CHUNK = 4 << 20
NAME = re.compile(r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$")


class ImageError(WarewulfError):
    """The image cannot be stored or does not exist."""


def folder(name: str) -> str:
    """The folder with the images of a VNFS; raises ImageError for a name that no VNFS can have."""
    if not NAME.match(name) or cleared(name):
        raise ImageError(f"VNFS name '{name}' contains invalid characters")
    return f"{FOLDER}/{name}"


def path(record: Record) -> str:
    """The file with the current image of a VNFS."""
    return f"{folder(record.name)}/image.{record.one('CHECKSUM')}"


def is_current(system: System, record: Record | None, checksum: str, size: int) -> bool:
    """Whether the store and the disk already have this image."""
    if record is None or record.one("CHECKSUM") != checksum:
        return False
    try:
        return system.lstat(path(record)).st_size == size
    except FileNotFoundError:
        return False


def describe(store: Store, name: str, values: dict[str, str]) -> Record:
    """Stores an image's keys under its name; nodes that use the name get the image from now on."""
    with store.transaction():
        record = store.named(Kind.VNFS, name) or Record(Kind.VNFS, {"NAME": name})
        for key, value in values.items():
            record = record.put(key, value)
        return store.put(record) if record.id else store.add(record)


def take(system: System, source: str, name: str) -> tuple[str, int]:
    """Copies an image file to its place, whole or not at all; returns checksum and size in bytes."""
    place = folder(name)
    system.make_dir(place)
    checksum = hashlib.md5(usedforsecurity=False)
    temporary = system.path(f"{place}/.import.{os.getpid()}.new")
    try:
        with open(system.path(source), "rb") as file, open(temporary, "wb") as target:
            while chunk := file.read(CHUNK):
                checksum.update(chunk)
                target.write(chunk)
        guard(system, temporary)
        size = os.path.getsize(temporary)
        os.rename(temporary, system.path(f"{place}/image.{checksum.hexdigest()}"))
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
    return checksum.hexdigest(), size


def copy(system: System, record: Record, target: str) -> None:
    """Writes the current image of a VNFS to a file that only root can read."""
    with system.replacing(target, 0o600) as temporary:
        shutil.copyfile(system.path(path(record)), temporary)


def guard(system: System, file: str) -> None:
    """Restricts an image to root and nginx, which serves it: images contain shadow files."""
    os.chmod(file, 0o640)
    system.give_to_group(system.inside(file), READERS)


def prune(system: System, record: Record) -> None:
    """Removes old images except the newest of them, which a node may be downloading."""
    place = folder(record.name)
    current = f"image.{record.one('CHECKSUM')}"
    old = [name for name in system.names(place) if name.startswith("image.") and name != current]
    old.sort(key=lambda name: system.lstat(f"{place}/{name}").st_mtime_ns)
    for name in old[:-1]:
        system.remove(f"{place}/{name}")
