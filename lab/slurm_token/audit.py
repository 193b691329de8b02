"""The audit log: one JSON object a line for each answer, never a token. Without it nothing is issued."""

from __future__ import annotations

import json
import os
import threading
import time

from lab.slurm_token.errors import TokenError


class Audit:
    """A file that lines are appended to; `-` is standard error."""

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        if path == "-":
            self._fd = 2
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._fd = os.open(path, flags, 0o640)
        except OSError as problem:
            raise TokenError(f"the audit log {path} cannot be written: {problem.strerror}") from None

    def write(self, event: str, **told: object) -> None:
        """Appends one line. Raises `TokenError` when it cannot be written in whole."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = (json.dumps({"time": stamp, "event": event, **told}) + "\n").encode("ascii")
        try:
            with self._lock:
                written = os.write(self._fd, line)
        except OSError as problem:
            raise TokenError(f"the audit log cannot be written: {problem.strerror}") from None
        if written != len(line):
            raise TokenError("the audit log cannot be written: the disk is full")
