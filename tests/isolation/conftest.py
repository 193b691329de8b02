"""Two small labs on one engine: root in a node of the first must not reach the second, or the host."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from lab.backends.docker.engine import container_name
from tests.cases.conftest import Lab

SIZE = ("--set", "root=overlay", "--set", "g.count=0")


def _lab(name: str) -> Iterator[Lab]:
    made = Lab(name)
    try:
        up = made.run("up", *SIZE)
        assert up.returncode == 0, up.stderr.decode(errors="replace")
        yield made
    finally:
        made.run("down", "-y")


@pytest.fixture(scope="session")
def one() -> Iterator[Lab]:
    """The lab of the hostile learner: c1, c2, login, client and outside."""
    yield from _lab(f"isoa{os.getpid()}")


@pytest.fixture(scope="session")
def other() -> Iterator[Lab]:
    """Somebody else's lab, with the same names and addresses."""
    yield from _lab(f"isob{os.getpid()}")


def remake(lab: Lab, node: str) -> None:
    """Gives a lab a new node in place of one that was spoilt."""
    lab.run("down", "-y", node)
    up = lab.run("up")
    assert up.returncode == 0, up.stderr.decode(errors="replace")


def inside(lab: Lab, node: str, script: str) -> str:
    """Runs a script in the node's container, outside the node: in its chassis."""
    words = ["docker", "exec", container_name(lab.name, node), "sh", "-c", script]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
