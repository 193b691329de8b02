"""Keeps the beginning of what a program writes to its standard error, however much that is."""

from __future__ import annotations

import os
import threading
from typing import IO

LONGEST = 1 << 16  # bytes that are kept
LAST_WORDS = 1.0  # seconds that a program which ended may still be heard


class Told:
    """Reads a pipe to its end in the background, so that its writer never waits; closes it then."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._kept = bytearray()
        self._reader = threading.Thread(target=self._read, name="told", daemon=True)
        self._reader.start()

    def lines(self) -> list[str]:
        """The lines that were kept, but for empty ones; waits shortly for the end."""
        self._reader.join(LAST_WORDS)
        return [line for line in self._kept.decode(errors="replace").splitlines() if line.strip()]

    def _read(self) -> None:
        with self._pipe as pipe:
            while data := os.read(pipe.fileno(), LONGEST):
                self._kept += data[: LONGEST - len(self._kept)]
