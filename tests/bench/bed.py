"""The lab that is measured: runs commands on it and times them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

LAB = Path(sys.executable).parent / "lab"
ROOT = Path(__file__).resolve().parents[2]


class BenchError(Exception):
    """A measured command failed, so there is no figure."""


@dataclass(frozen=True)
class Bed:
    """One lab, by name, and how to measure on it; `say` takes a line of progress."""

    lab: str
    runs: int
    say: Callable[[str], None]
    home: Path
    """Where progress and transcripts go, so that the user's own stay as they are."""
    backend: str = "docker"

    def run(self, *arguments: str, statuses: Sequence[int] = (0,)) -> str:
        """Runs a lab command on this lab and returns what it showed."""
        command = [str(LAB), arguments[0], "-l", self.lab, *arguments[1:]]
        env = {**os.environ, "XDG_DATA_HOME": str(self.home), "LAB_BACKEND": self.backend}
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1800, env=env
        )
        if done.returncode not in statuses:
            words = "\n".join(done.stderr.splitlines()[-6:])
            raise BenchError(f"{' '.join(command)} ended with {done.returncode}:\n{words}")
        return done.stdout

    def inside(self, node: str, script: str, *, user: str = "root") -> str:
        """Runs a shell script in a node."""
        return self.run("shell", node, "-u", user, "--", "sh", "-c", script)

    def timed(self, *arguments: str, statuses: Sequence[int] = (0,)) -> float:
        """Seconds of wall time that a lab command takes, its start-up included."""
        start = time.monotonic()
        self.run(*arguments, statuses=statuses)
        return time.monotonic() - start

    def timed_inside(self, node: str, script: str) -> float:
        """Seconds a script takes by the node's own clock, the way into the node left out."""
        words = self.inside(
            node, f"s=$(date +%s%N); {{ {script}; }} >/dev/null || exit; e=$(date +%s%N); echo $((e-s))"
        )
        return int(words.split()[-1]) / 1e9

    def several(
        self, what: str, measure: Callable[[], float], *, runs: int | None = None
    ) -> tuple[float, ...]:
        """The measure taken over and over."""
        values: list[float] = []
        for turn in range(runs or self.runs):
            values.append(measure())
            self.say(f"{what}: run {turn + 1}: {values[-1]:.3f}")
        return tuple(values)
