"""A lab of the cases' own, made by the command a learner types; `--quick` runs what needs no lab."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "lab.cli.main"]
PLAIN = {"NO_COLOR": "1", "LAB_PROGRESS": "plain"}
ONE_NODE = """
root = "overlay"
[nodes.c]
count = 1
[nodes.g]
count = 0
[nodes.login]
count = 0
[nodes.client]
count = 0
[nodes.outside]
count = 0
"""
"""The smallest lab: a head node and a compute node."""


@dataclass(frozen=True)
class Lab:
    """A lab by its name; commands may be given other variables and another folder."""

    name: str
    environ: Mapping[str, str] = field(default_factory=lambda: {**os.environ, **PLAIN})
    folder: Path | None = None

    def run(
        self, *words: str, stdin: bytes = b"", timeout: float = 300
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs `lab WORDS… -l NAME` without a terminal."""
        return subprocess.run(
            [*COMMAND, words[0], "-l", self.name, *words[1:]],
            input=stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
            env=dict(self.environ),
            cwd=self.folder,
        )

    def on(self, node: str, script: str) -> tuple[int, str]:
        """Runs a script as root in a node; its status, and all that it printed."""
        done = self.run("shell", "-u", "root", node, "--", "bash", "-c", f"exec 2>&1\n{script}")
        return done.returncode, done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A lab as it is handed out, whose nodes keep little memory."""
    made = Lab(f"cases{os.getpid()}")
    try:
        up = made.run("up", "--set", "root=overlay")
        assert up.returncode == 0, up.stderr.decode(errors="replace")
        yield made
    finally:
        made.run("down", "-y")


@pytest.fixture
def another(tmp_path: Path) -> Iterator[Lab]:
    """A second lab, which the test makes with a lab.toml in its folder."""
    made = Lab(f"other{os.getpid()}", folder=tmp_path)
    yield made
    made.run("down", "-y")
