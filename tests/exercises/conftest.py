"""What the proof of the exercises may be told: one chapter, a quick selection, another backend."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from lab.cli.app import App
from lab.course.catalog import Catalog, Exercise, load
from lab.course.lint import Wrong, wrongs
from lab.paths import data_folder
from tests.exercises.labs import PLAIN, SECONDS, Lab, today

CATALOG = load(data_folder("exercises"))
FIRST = 2  # exercises of the first chapter that belong to the quick selection
BY_DAY = 1  # wrong ways of an exercise that the quick selection proves; others have their turn on other days
CHAPTERS_BY_DAY = 3  # other chapters that the quick selection takes an exercise of, in turn too
LONG = 12  # exercises of a chain that one worker takes


def pytest_addoption(parser: pytest.Parser) -> None:
    options = parser.getgroup("exercises")
    options.addoption("--chapter", action="append", default=[], help="prove this chapter's exercises only")
    options.addoption("--smoke", action="store_true", help="prove only what is quick: some of each chapter")
    options.addoption("--backend", default="", help="the backend that makes the lab")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what was not asked for; an unknown chapter is an error, not an empty run."""
    wanted = {exercise.name for exercise in chosen(config)}
    dropped = [item for item in items if (name := proves(item)) is not None and name not in wanted]
    config.hook.pytest_deselected(items=dropped)
    items[:] = [item for item in items if item not in dropped]
    limit = 2 * SECONDS * App(environ(config)).backend.timeout_scale
    for item in items:
        item.add_marker(pytest.mark.timeout(limit))


def environ(config: pytest.Config) -> dict[str, str]:
    """What the commands of this run are told."""
    backend = config.getoption("--backend")
    told = dict(os.environ, **PLAIN)
    return told | ({"LAB_BACKEND": backend} if backend else {})


def chosen(config: pytest.Config) -> tuple[Exercise, ...]:
    """The exercises that were asked for."""
    chapters = set(config.getoption("--chapter"))
    known = {chapter.id for chapter in CATALOG.chapters}
    if chapters - known:
        raise pytest.UsageError(
            f"no chapter {', '.join(chapters - known)}; there are {', '.join(sorted(known))}"
        )
    found = CATALOG.exercises
    if config.getoption("--smoke"):
        found = smoke(CATALOG, today())
    return tuple(exercise for exercise in found if not chapters or exercise.chapter in chapters)


class ByChain(LoadScopeScheduling):  # type: ignore[misc]  # it carries no types
    """One worker takes a whole chain of exercises, on one lab: then each start state is made once.

    What is behind the twelfth of a chain is for whoever has time: who needs a state first makes it.
    """

    def _split_scope(self, nodeid: str) -> str:
        found = re.search(r"\[(\w+)\]\Z", nodeid)
        if found is None or not CATALOG.has(found[1]):
            return nodeid
        exercise = CATALOG.get(found[1])
        before = CATALOG.chain(exercise)
        return exercise.name if len(before) >= LONG else (*before, exercise)[0].name


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByChain:
    return ByChain(config, log)


def proves(item: pytest.Item) -> str | None:
    """The exercise that a test proves; None for every other test."""
    parameters = (
        item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    )
    exercise = parameters.get("proven")
    return exercise.name if isinstance(exercise, Exercise) else None


def in_turn(ways: Sequence[Wrong], day: int) -> tuple[Wrong, ...]:
    """The wrong ways whose turn it is on a day, in their own order; within some days each has its turn."""
    turn = {(day * BY_DAY + number) % len(ways) for number in range(min(BY_DAY, len(ways)))}
    return tuple(way for number, way in enumerate(ways) if number in turn)


@pytest.fixture
def ways(request: pytest.FixtureRequest) -> Callable[[Exercise], Sequence[Wrong]]:
    """The wrong ways of an exercise that this run proves; LAB_TEST_DAY repeats those of an earlier day."""

    def proven(exercise: Exercise) -> Sequence[Wrong]:
        found = wrongs(exercise.folder, [])
        if not request.config.getoption("--smoke"):
            return found
        print(f"LAB_TEST_DAY={today()}")
        return in_turn(found, today())

    return proven


def smoke(catalog: Catalog, day: int) -> tuple[Exercise, ...]:
    """The first exercises of the course, and of some other chapters the first that needs no replay.

    None that needs software of an image of its own: that would take as long as all others of this selection.
    """
    first, *others = catalog.chapters
    fitting = [
        [one for one in chapter.exercises if one.builds_on is None and not one.software] for chapter in others
    ]
    heads = [exercises[0] for exercises in fitting if exercises]
    turn = {(day * CHAPTERS_BY_DAY + number) % len(heads) for number in range(CHAPTERS_BY_DAY)}
    return (*first.exercises[:FIRST], *(one for number, one in enumerate(heads) if number in turn))


@pytest.fixture
def asked_for(request: pytest.FixtureRequest) -> tuple[Exercise, ...]:
    """The exercises that this run is about."""
    return chosen(request.config)


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of this worker's own, gone afterwards; each exercise takes it over as the last one left it."""
    found = Lab.called("proof", environ(request.config), tmp_path_factory.mktemp("learner"))
    try:
        found.run("up")
        yield found
    finally:
        found.run("down", "-y")
