"""Reports an unexpected error: one line for people, the traceback in a file."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Mapping

from lab.errors import LabError
from lab.paths import private_folder, user_paths
from lab.printable import printable

MOST = 20  # records that are kept
LONGEST = 1 << 18  # characters of one; a message may quote what a node sent
HALF = LONGEST // 2
SHOWN = 300  # characters of the message on the terminal


def report(environ: Mapping[str, str], problem: Exception) -> LabError:
    """Writes the traceback to a file in the user's data folder and returns an error that names the file."""
    text = printable("".join(traceback.format_exception(problem)))
    message = f"unexpected {type(problem).__name__}: {' '.join(str(problem).split())[:SHOWN]}"
    if environ.get("LAB_DEBUG") == "1":
        return LabError(message, evidence=text.rstrip())
    try:
        place = user_paths(environ).crash(f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}")
        private_folder(place.parent)
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text if len(text) <= LONGEST else f"{text[:HALF]}\n[…]\n{text[-HALF:]}")
        for old in sorted(place.parent.glob("*.txt"))[:-MOST]:  # their names begin with the time
            old.unlink(missing_ok=True)
    except (OSError, LabError) as trouble:
        return LabError(message, evidence=f"the traceback cannot be saved: {trouble}\n{text.rstrip()}")
    return LabError(
        message,
        evidence=f"this is a bug in lab; the traceback is in {place}",
        hint="to see the traceback, repeat the command with LAB_DEBUG=1 before it",
    )
