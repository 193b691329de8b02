"""Tar archives: of a single file, and the command that unpacks one in a node."""

from __future__ import annotations

import io
import tarfile
import time

from lab.errors import LabError

SPEC_FOLDER, SPEC_FILE = "/etc/rackling", "cluster.json"
"""Where the SMS finds the description of its cluster (lab/guest/setup)."""


def tar_single_file(name: str, text: str) -> bytes:
    """A tar archive of one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(text.encode())
        entry.mtime = int(time.time())
        archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def read_single_file(data: bytes) -> bytes | None:
    """The content of the one file in a tar archive; None when it holds no such thing."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for entry in archive:
            file = archive.extractfile(entry)
            if file is not None:
                return file.read()
    return None


def unpack_command(folder: str) -> list[str]:
    """What a node runs to unpack the archive on its standard input into a folder."""
    return ["tar", "-x", "-f", "-", "-C", folder]


def description_refused(sms: str, problem: LabError) -> LabError:
    """What to say when an SMS that is up refused its new description."""
    return LabError(
        f"{sms} refused its new description",
        evidence=problem.evidence or problem.message,
        hint=f"lab power cycle {sms}: it reads the description again when it boots",
    )
