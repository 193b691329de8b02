"""Copies the files of an exercise into the learner's home."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from lab.cluster.cluster import Cluster
from lab.ownership import owned_by

LEARNER = "user1"
LEARNER_ID = 1001
LOOK_SECONDS = 10.0


def give(cluster: Cluster, name: str, folder: Path) -> None:
    """Copies a folder to /home/user1/NAME on the SMS, unless the learner already has that folder."""
    home = f"/home/{LEARNER}"
    if not folder.is_dir() or cluster.sms.execute(f"test -e {home}/{name}", timeout=LOOK_SECONDS).status == 0:
        return
    cluster.sms.copy_in(packed(folder, name), home)


def packed(folder: Path, name: str) -> bytes:
    """Packs a folder into a tar archive under another name, owned by the learner."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(folder, arcname=name, filter=owned_by(LEARNER_ID, LEARNER))
    return buffer.getvalue()
