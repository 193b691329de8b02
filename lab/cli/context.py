"""Gives the course's commands the exercises, the learner's progress and the lab they work on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import click

from lab.cli.output import note
from lab.errors import LabError, UsageError
from lab.printable import printable_line

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from lab.checks.runner import Notice
    from lab.cli.app import App
    from lab.course.catalog import Catalog, Exercise
    from lab.course.progress import ProgressFile
    from lab.course.runner import Course
    from lab.model import ClusterSpec

PROSE = 100  # columns; longer lines are hard to read
REMIND = 5.0  # seconds between two lines about the same check


def open_catalog() -> Catalog:
    """Loads the exercises that are installed with this program."""
    from lab.course.catalog import load
    from lab.paths import data_folder

    return load(data_folder("exercises"))


def complete_exercises(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Returns the names of exercises, for the shell's completion."""
    del ctx, param
    from click.shell_completion import CompletionItem

    try:
        exercises = open_catalog().exercises
    except LabError:
        return []
    return [CompletionItem(e.name, help=e.title) for e in exercises if e.name.startswith(incomplete)]


exercise_argument = click.argument(
    "exercise", metavar="[EXERCISE]", required=False, shell_complete=complete_exercises
)


class ExerciseContext:
    """What a command of the course works on: exercises, progress and lab, each loaded on first use."""

    def __init__(self, app: App, given: str | None) -> None:
        self.app = app
        self._given = given
        self.lab = app.lab_name(given)

    @cached_property
    def catalog(self) -> Catalog:
        """The catalog of all exercises."""
        return open_catalog()

    @cached_property
    def progress(self) -> ProgressFile:
        """The learner's progress in this lab."""
        from lab.course.progress import ProgressFile

        return ProgressFile(self.app.paths.data, self.lab, warn=note)

    @cached_property
    def spec(self) -> ClusterSpec:
        """The specification that the engine has of the lab; raises a UsageError if there is no lab."""
        return self.app.known_spec(self._given)

    @cached_property
    def likely_spec(self) -> ClusterSpec:
        """The lab's specification, or the one that `lab up` would use if there is no lab."""
        try:
            return self.spec
        except LabError:
            return self.app.spec(None, (), self._given)

    def current(self) -> Exercise | None:
        """Returns the exercise that the learner is working on, if any."""
        from lab.course.guide import current_exercise

        return current_exercise(self.catalog, self.progress)

    def withheld(self, exercise: Exercise) -> list[str]:
        """Lists what an exercise needs and this lab does not offer: rights on the host, software.

        Without a lab: the one that `lab up` would make.
        """
        from lab.course.suitability import withheld

        return withheld(self.catalog, exercise, self.likely_spec, self.app.backend)

    def exercise(self, name: str | None) -> Exercise:
        """Returns the named exercise, else the one that the learner is working on."""
        if name is not None:
            return self.catalog.get(name)
        found = self.current()
        if found is None:
            first = self.catalog.exercises[0].name
            raise UsageError(
                "no exercise has been started in this lab", hint=f"lab start {first}, or: lab exercises"
            )
        return found

    def fill(self, text: str) -> str:
        """Fills this lab's values into a text."""
        from lab.course.variables import fill_text

        return fill_text(text, self.likely_spec)

    @contextmanager
    def course(self, mode: str, *, yes: bool = False) -> Iterator[Course]:
        """Locks the lab and opens the course on it, with progress shown in the given mode.

        `yes`: the user has agreed to everything.
        """
        from lab.cli.progress_display import showing
        from lab.course.opening import open_course

        with (
            self.app.lock(self.lab, yes=yes),
            showing(mode, self.app.environ) as shown,
            self.app.cluster(self.spec, shown) as cluster,
        ):
            yield open_course(self.catalog, self.progress, cluster, shown.say)


class SettleReporter:
    """Prints on stderr every few seconds which checks are not true yet, and what they found."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def __call__(self, notice: Notice) -> None:
        """Prints a notice of the runner, unless it is too soon after the last one of the same check."""
        if not notice.found or notice.waited - self._last.get(notice.check.name, 0.0) < REMIND:
            return
        self._last[notice.check.name] = notice.waited
        found = " ".join(printable_line(notice.found).split())
        note(
            f"waiting for “{notice.check.sentence}” "
            f"({notice.waited:.0f} s of at most {notice.check.settle:.0f} s): {found}"
        )


def prose_width() -> int | None:
    """Returns how many columns prose may take on stdout; None if stdout is not a terminal."""
    if not sys.stdout.isatty():
        return None
    import shutil

    return min(PROSE, shutil.get_terminal_size().columns)


def reflow(text: str) -> str:
    """Breaks paragraphs at the width of the terminal; code and lists stay as they are."""
    width = prose_width()
    if width is None:
        return text
    import textwrap

    return "\n\n".join(
        part
        if part.lstrip() != part or part.startswith(("```", "- ", "* ")) or "\n    " in part
        else textwrap.fill(" ".join(part.split()), width, break_long_words=False, break_on_hyphens=False)
        for part in text.split("\n\n")
    )
