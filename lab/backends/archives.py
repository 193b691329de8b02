"""Tar archives: of a single file, and the command that unpacks one in a node."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterable

from lab.errors import LabError

SPEC_FOLDER, SPEC_FILE = "/etc/rackling", "cluster.json"
"""Where the SMS finds the description of its cluster (lab/guest/setup)."""
LARGEST = 1 << 20  # bytes of a node's file that are read; a description has some thousand
AROUND = 20 << 10  # bytes of headers before a file and of zeros behind it


def tar_single_file(name: str, text: str) -> bytes:
    """A tar archive of one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(text.encode())
        entry.mtime = int(time.time())
        archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def read_single_file(chunks: Iterable[bytes], most: int = LARGEST) -> bytes | None:
    """The content of the one plain file in a tar archive; None when it holds no such thing, or a larger one.

    Of a larger one no more is taken from `chunks` than is needed to see that.
    """
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > most + AROUND:
            return None
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            entry = archive.next()
            file = archive.extractfile(entry) if entry is not None and entry.isreg() else None
            return None if file is None else file.read()
    except tarfile.TarError:
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
