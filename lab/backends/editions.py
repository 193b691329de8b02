"""Which names editions of images and disks, and snapshots, may have."""

from __future__ import annotations

import os
import re

from lab.backends.base import HANDOUT
from lab.errors import UsageError

_EDITION = re.compile(r"[a-z][a-z0-9_.-]{0,30}\Z")  # must not look like a digest
_SNAPSHOT = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z")


def edition() -> str:
    """The name under which images and disks are built and used: LAB_IMAGES, else `current`.

    With an edition each, several checkouts on one computer do not affect each other.
    """
    found = os.environ.get("LAB_IMAGES") or "current"
    if not _EDITION.match(found):
        raise UsageError(
            f"LAB_IMAGES={found} is not a valid edition", hint="use small letters, digits, - _ and ."
        )
    return found


def check_snapshot_name(name: str) -> None:
    """Raises UsageError for a name that no snapshot may have."""
    if name == HANDOUT or not _SNAPSHOT.match(name):
        raise UsageError(
            f"a snapshot cannot be called {name!r}",
            hint="use small letters, digits, - _ and . ; `handout` is reserved for the lab's first state",
        )
