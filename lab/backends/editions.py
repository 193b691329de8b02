"""Editions of images and disks, and names of snapshots: what may be called how."""

from __future__ import annotations

import os
import re

from lab.backends.base import HANDOUT
from lab.errors import UsageError

_EDITION = re.compile(r"[a-z][a-z0-9_.-]{0,30}\Z")  # never like a digest's twelve digits and letters alone
_SNAPSHOT = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z")


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
