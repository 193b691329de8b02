"""The short proof on virtual machines: a lab boots, LOGIN-1 is proven, and SEC-3 for its true reason.

The whole course is for `nox -s exercises -- --backend libvirt`. SEC-3 comes after eight exercises, whose
solutions take a quarter of an hour to type. Only two of them matter to it: LOGIN-1's, and that of the one
which puts a firewall into the image.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lab.course.catalog import Exercise, load
from lab.paths import data_folder
from tests.exercises.labs import PLAIN, Lab
from tests.exercises.test_proof import BRIEFLY, unsolved

CATALOG = load(data_folder("exercises"))
FIRST, FIREWALL, MODULES = map(CATALOG.get, ("login_node", "intruder_ban", "missing_modules"))
SHAPE = ("--set", "c.count=1", "--set", "g.count=0", "--set", "client.count=0")
LIMIT = 1800.0  # of the whole; it takes a third of that
START, READY = "handed-out", "firewall-without-modules"

pytestmark = [pytest.mark.engine, pytest.mark.timeout(LIMIT)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of the machines that these two exercises need, gone afterwards."""
    told = dict(os.environ, **PLAIN, LAB_BACKEND="libvirt")
    made = Lab.called("short", told, tmp_path_factory.mktemp("learner"))
    try:
        made.run("up", *SHAPE, "--no-wait")
        made.run("up")  # as it was only waited for now, it is kept for no other lab: that takes a minute
        yield made
    finally:
        made.run("down", "-y")


def fails(lab: Lab, exercise: Exercise) -> set[str]:
    """The checks that fail by themselves; none of an unsolved exercise may pass."""
    return set(unsolved(lab.check(exercise, *BRIEFLY, code=1)))


def solve(lab: Lab, exercise: Exercise) -> None:
    """Types the solution, and wants every check to pass."""
    lab.run("solve", exercise.name)
    lab.check(exercise, code=0)


def test_nodes_boot_by_their_firmware_and_two_lessons_hold(lab: Lab) -> None:
    lab.run("snapshot", START)
    without_login = fails(lab, FIRST)
    solve(lab, FIRST)
    lab.run("solve", FIREWALL.name)
    lab.run("snapshot", READY)
    without_modules = fails(lab, MODULES)
    solve(lab, MODULES)
    lab.run("restore", READY, "-y")
    assert fails(lab, MODULES) == without_modules
    lab.run("restore", START, "-y")
    assert fails(lab, FIRST) == without_login
