"""Warewulf's programs as on the SMS, on a folder that takes the place of its root."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
NAMES = ("wwsh", "wwvnfs", "wwbootstrap", "wwinit")


class Programs:
    """A folder with Warewulf's programs, and others by name and text, for the files below a root."""

    def __init__(self, folder: Path, root: Path, others: Mapping[str, str] | None = None) -> None:
        self._folder, self._root = folder, root
        warewulf = {name: f'exec {sys.executable} -m lab.guest.main {name} "$@"' for name in NAMES}
        folder.mkdir()
        for name, text in {**warewulf, **(others or {})}.items():
            path = folder / name
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)

    def type(self, command: str, stdin: str = "") -> tuple[int, str]:
        """Runs a command in a shell that knows the programs; returns its status and all it printed."""
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
            env={
                "PATH": f"{self._folder}:{os.environ['PATH']}",
                "RACKLING_ROOT": str(self._root),
                "PYTHONPATH": str(PROJECT),
            },
        )
        return done.returncode, done.stdout
