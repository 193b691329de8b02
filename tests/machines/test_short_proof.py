"""The short proof on virtual machines: a lab boots, LOGIN-1 is proven, and SEC-3 for its true reason.

The whole course is for `nox -s exercises -- --backend libvirt`. SEC-3 comes after eight exercises, whose
solutions take a quarter of an hour to type. Only two of them matter to it: LOGIN-1's, and that of the one
which puts a firewall into the image. `ci` proves one of the two, in turn by day.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lab.course.catalog import Exercise, load
from lab.paths import data_folder
from tests.exercises.labs import PLAIN, Lab, today
from tests.exercises.test_proof import BRIEFLY, unsolved

CATALOG = load(data_folder("exercises"))
FIRST, FIREWALL, MODULES = map(CATALOG.get, ("login_node", "intruder_ban", "missing_modules"))
SHAPE = ("--set", "c.count=1", "--set", "g.count=0", "--set", "client.count=0")
LIMIT = 1800.0  # of the whole; it takes a third of that

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


def in_turn(number: int) -> pytest.MarkDecorator:
    """Marks one of two tests: the quick selection takes it every second day."""
    return pytest.mark.quick if number == today() % 2 else pytest.mark.engine


def fails(lab: Lab, exercise: Exercise) -> set[str]:
    """The checks that fail by themselves; none of an unsolved exercise may pass."""
    return set(unsolved(lab.check(exercise, *BRIEFLY, code=1)))


def solve(lab: Lab, exercise: Exercise) -> None:
    """Types the solution, and wants every check to pass."""
    lab.run("solve", exercise.name)
    lab.check(exercise, code=0)


def proven(lab: Lab, exercise: Exercise, state: str) -> None:
    """Proves an exercise three ways from where the lab stands, which is kept as a snapshot meanwhile."""
    lab.run("snapshot", state)
    unsolved_by = fails(lab, exercise)
    solve(lab, exercise)
    lab.run("restore", state, "-y")
    assert fails(lab, exercise) == unsolved_by


@in_turn(1)
def test_nodes_boot_by_their_firmware_and_the_first_lesson_holds(lab: Lab) -> None:
    proven(lab, FIRST, "handed-out")


@in_turn(0)
def test_a_driver_that_is_missing_is_missed_by_the_kernel_of_the_node(lab: Lab) -> None:
    for exercise in (FIRST, FIREWALL):
        lab.run("solve", exercise.name)
    proven(lab, MODULES, "firewall-without-modules")
