"""What every backend needs alike: editions, names of snapshots, many machines at once, small archives."""

from __future__ import annotations

import io
import os
import re
import tarfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from lab.backends.base import HANDOUT
from lab.errors import LabError, UsageError

SPEC_FOLDER, SPEC_FILE = "/etc/rackling", "cluster.json"
"""Where the SMS finds the description of its cluster (lab/guest/handout)."""

_WORKERS = 4  # more do not help: Docker's engine is busy with two already
_EDITION = re.compile(r"[a-z][a-z0-9_.-]{0,30}\Z")  # never like a digest's twelve digits and letters alone
_SNAPSHOT = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z")
T = TypeVar("T")


def edition() -> str:
    """The name under which images and disks are built and used: LAB_IMAGES, else `current`.

    Several checkouts on one computer keep out of each other's way with an edition each.
    """
    found = os.environ.get("LAB_IMAGES") or "current"
    if not _EDITION.match(found):
        raise UsageError(
            f"LAB_IMAGES={found} cannot be an edition", hint="use small letters, digits, - _ and ."
        )
    return found


def check_snapshot_name(name: str) -> None:
    """Raises UsageError for a name that no snapshot may have."""
    if name == HANDOUT or not _SNAPSHOT.match(name):
        raise UsageError(
            f"a snapshot cannot be called {name!r}",
            hint="use small letters, digits, - _ and . ; `handout` is taken by the lab's first state",
        )


def each(items: Iterable[T], action: Callable[[T], object]) -> None:
    """Does the same to several at once; the first error is raised when all have been tried."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        for done in [pool.submit(action, item) for item in items]:
            done.result()


def not_taken_over(sms: str, problem: LabError) -> LabError:
    """What to say when an SMS that is up refused its new description."""
    return LabError(
        f"{sms} could not take over its new description",
        evidence=problem.evidence or problem.message,
        hint=f"lab power cycle {sms}: it reads the description again when it boots",
    )


def packed(name: str, text: str) -> bytes:
    """A tar archive of one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(text.encode())
        entry.mtime = int(time.time())
        archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def unpacked(data: bytes) -> bytes | None:
    """The content of the one file in a tar archive; None when it holds no such thing."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for entry in archive:
            file = archive.extractfile(entry)
            if file is not None:
                return file.read()
    return None
