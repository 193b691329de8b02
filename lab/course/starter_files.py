"""Puts the files that come with an exercise into its learner's home."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from lab.cluster.cluster import Cluster

LEARNER = "user1"
LEARNER_ID = 1001
LOOK_SECONDS = 10.0


def give(cluster: Cluster, name: str, folder: Path) -> None:
    """Puts a folder's files into /home/user1/NAME; one that is there already is the learner's, and stays."""
    home = f"/home/{LEARNER}"
    if not folder.is_dir() or cluster.sms.execute(f"test -e {home}/{name}", timeout=LOOK_SECONDS).status == 0:
        return
    cluster.sms.copy_in(packed(folder, name), home)


def packed(folder: Path, name: str) -> bytes:
    """A tar archive of a folder under another name, all of it the learner's own."""

    def owned(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        entry.uid = entry.gid = LEARNER_ID
        entry.uname = entry.gname = LEARNER
        entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        return entry

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(folder, arcname=name, filter=owned)
    return buffer.getvalue()
