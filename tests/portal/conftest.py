"""One portal for the whole run, made by `lab portal up`; and single notebooks on its network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.portal.page import NAME, Page, docker, remove_all

ROOT = Path(__file__).resolve().parents[2]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write", action="store_true", help="keep the browser's pictures in docs/images")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs the engine."""
    for item in items:
        if "tests/portal" in item.path.as_posix():
            item.add_marker(pytest.mark.engine)


def lab(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs the command `lab`."""
    command = [sys.executable, "-m", "lab.cli.main", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ})
    assert not check or done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="session", params=["trixie", "forky"])
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def page(release: str) -> Iterator[Page]:
    """The portal's page, signed in to by its address."""
    remove_all()
    lab("portal", "down", "-y", NAME)
    told = json.loads(lab("portal", "up", NAME, "--release", release, "--json").stdout)
    try:
        yield Page(told["address"], release)
    finally:
        remove_all()
        lab("portal", "down", "-y", NAME)
        for kind in ("ps -aq", "volume ls -q", "network ls -q"):
            left = docker(*kind.split(), "--filter", f"label=rackling.portal={NAME}").stdout
            assert left == "", f"left: {kind} {left}"
