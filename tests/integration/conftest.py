"""Real labs for the integration tests: made by the command a learner types, looked at from inside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests import leaks

LAB = [sys.executable, "-m", "lab.cli.main"]
SETTLE = 20.0  # seconds after which the engine has let go of everything


@dataclass(frozen=True)
class Lab:
    """A lab by its name, driven as from a terminal."""

    name: str

    def command(
        self, *words: str, check: bool = True, timeout: float = 240
    ) -> subprocess.CompletedProcess[str]:
        """Runs `lab WORDS… -l NAME` without a terminal."""
        done = subprocess.run(
            [*LAB, words[0], "-l", self.name, *words[1:]],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=dict(os.environ, NO_COLOR="1"),
        )
        if check:
            assert done.returncode == 0, (
                f"lab {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def on(
        self, node: str, command: str, *, user: str = "root", check: bool = True, timeout: float = 60
    ) -> str:
        """Runs a shell command in a node and returns what it printed, errors included."""
        argv = [
            "docker",
            "exec",
            "-i",
            f"rackling-{self.name}-{node}",
            "/chassis/enter",
            user,
            "sh",
            "-c",
            command,
        ]
        done = subprocess.run(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False
        )
        if check:
            assert done.returncode == 0, f"{node}: {command}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def states(self) -> dict[str, str]:
        """State of each node in Slurm, by name."""
        lines = self.on("sms", "sinfo -hN -o '%N %T'").splitlines()
        return dict(line.split() for line in lines)

    def status(self) -> dict[str, dict[str, Any]]:
        """What `lab status --json` says of each node."""
        found = json.loads(self.command("status", "--json").stdout)
        return {node["node"]: node for node in found["nodes"]}


def wait_until(
    what: Callable[[], bool], seconds: float, told: str, evidence: Callable[[], object] = lambda: ""
) -> None:
    """Looks until it is so; fails with what was waited for and what is there instead."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return
        time.sleep(0.3)
    pytest.fail(f"not within {seconds:.0f} s: {told}; {evidence()}")


@pytest.fixture(autouse=True, scope="session")
def nothing_left() -> Iterator[None]:
    """The host must look after the tests as it did before."""
    before = leaks.take()
    yield
    end = time.monotonic() + SETTLE
    while (new := leaks.take().new_since(before)) and time.monotonic() < end:
        time.sleep(0.5)
    assert not new


@pytest.fixture(scope="session")
def lab(nothing_left: None) -> Iterator[Lab]:
    """The cluster as it is handed out."""
    made = Lab(leaks.LABS[0])
    made.command("down", "-y", check=False)
    try:
        made.command("up")
        yield made
    finally:
        if not os.environ.get("LAB_KEEP"):
            made.command("down", "-y")
