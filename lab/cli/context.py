"""What the commands of the course share: catalogue, progress, the lab's checks and its solutions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import click

from lab.cli.output import note, printable
from lab.errors import LabError, UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from lab.checks.report import Judgement, Style
    from lab.checks.runner import Notice
    from lab.cli.app import App
    from lab.cluster.cluster import Cluster
    from lab.course.catalog import Catalog, Exercise
    from lab.course.progress import ProgressFile
    from lab.course.runner import Course
    from lab.course.script import Block
    from lab.model import ClusterSpec
    from lab.nodes.client import NodeClient

PROSE = 100  # columns of prose at most
REMIND = 5.0  # seconds between two lines about one check that is waited for


def open_catalog() -> Catalog:
    """The exercises that came with this program."""
    from lab.course.catalog import load
    from lab.paths import data_folder

    return load(data_folder("exercises"))


def complete_exercises(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of exercises, for the shell's completion."""
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
    """A learner's place in one lab."""

    def __init__(self, app: App, given: str | None) -> None:
        self.app = app
        self._given = given
        self.lab = app.lab_name(given)

    @cached_property
    def catalog(self) -> Catalog:
        """All exercises."""
        return open_catalog()

    @cached_property
    def progress(self) -> ProgressFile:
        """What this learner has done in this lab."""
        from lab.course.progress import ProgressFile

        return ProgressFile(self.app.paths.data, self.lab, warn=note)

    @cached_property
    def spec(self) -> ClusterSpec:
        """The lab as the engine remembers it; a UsageError when there is none."""
        return self.app.known_spec(self._given)

    @property
    def likely_spec(self) -> ClusterSpec:
        """The lab's specification, or what it would be if it were brought up now."""
        try:
            return self.spec
        except LabError:
            return self.app.spec(None, (), self._given)

    def current(self) -> Exercise | None:
        """The exercise being worked on, if any."""
        name = self.progress.lab().current
        return self.catalog.get(name) if name and self.catalog.has(name) else None

    def exercise(self, name: str | None) -> Exercise:
        """The exercise that is meant: the one named, else the one being worked on."""
        if name is not None:
            return self.catalog.get(name)
        found = self.current()
        if found is None:
            first = self.catalog.exercises[0].name
            raise UsageError(
                "no exercise has been started in this lab", hint=f"lab exercises, or: lab start {first}"
            )
        return found

    def fill(self, text: str) -> str:
        """A text with the handout's values in place."""
        from lab.course.variables import fill_text

        return fill_text(text, self.likely_spec)

    @contextmanager
    def course(self, mode: str) -> Iterator[Course]:
        """The course in motion on a lab that nobody else changes meanwhile."""
        from lab.cli.progress_display import showing
        from lab.course.runner import Course

        with (
            self.app.lock(self.lab),
            showing(mode, self.app.environ) as shown,
            self.app.cluster(self.spec, shown) as cluster,
        ):
            yield Course(
                self.catalog,
                self.progress,
                cluster,
                solve=lambda exercise: type_blocks(
                    cluster, exercise.name, exercise.solution(), show=lambda _: None, say=shown.say
                ),
                judge=lambda exercise: judge(cluster, exercise),
                say=shown.say,
                prepare=lambda exercise: prepare(cluster, exercise, shown.say),
            )


def prepare(cluster: Cluster, exercise: Exercise, say: Callable[[str], None]) -> None:
    """Gives the learner the files of an exercise, and types what makes its start state."""
    from lab.course.starter_files import give

    give(cluster, exercise.name, exercise.folder / "files")
    blocks = exercise.preparation()
    if blocks:
        say(f"preparing {exercise.name}")
        type_blocks(cluster, f"{exercise.name}/prepare.sh", blocks, show=lambda _: None, say=lambda _: None)


def judge(
    cluster: Cluster,
    exercise: Exercise,
    *,
    patience: float = 1.0,
    notice: Callable[[Notice], None] = lambda _: None,
) -> Judgement:
    """Runs all checks of an exercise."""
    from lab.checks.report import Judgement, Step
    from lab.checks.runner import Runner
    from lab.checks.shell_pool import ShellPool
    from lab.nodes.shell import CommandTimeout
    from lab.polling import monotonic

    timeout_scale = cluster.backend.timeout_scale
    patience *= (
        timeout_scale**0.5
    )  # much of what settles waits for clocks, which slow machines have like others
    room = ShellPool(
        cluster.spec,
        lambda node, user: cluster.node(node).open_console(user),
        lambda: cluster.backend.status(cluster.spec.lab),
        slow=CommandTimeout,
    )
    started = monotonic()
    try:
        verdicts = Runner(
            exercise.checks(), room, patience=patience, timeout_scale=timeout_scale, notice=notice
        ).run()
    finally:
        room.close()
    steps = tuple(Step(step.id, step.title) for step in exercise.steps)
    return Judgement(exercise.name, exercise.title, steps, verdicts, monotonic() - started)


def type_blocks(
    cluster: Cluster,
    name: str,
    blocks: tuple[Block, ...],
    *,
    show: Callable[[str], None],
    say: Callable[[str], None],
    before: Callable[[str], None] = lambda _: None,
    slow: bool = False,
) -> None:
    """Types a script into the lab's nodes."""
    from lab.cluster.wait_ready import await_entry
    from lab.course.replay import ScriptReplayer

    def entered(node: str) -> NodeClient:
        await_entry(cluster, node)
        return cluster.node(node)

    ScriptReplayer(
        cluster.spec,
        lambda node, user: entered(node).session(user, show, slow=slow),
        lambda node, user: entered(node).open_console(user),
        say=say,
        before=before,
        timeout_scale=cluster.backend.timeout_scale,
    ).type(name, blocks)


class SettleReporter:
    """Tells on stderr, now and then, which checks are waited for and what they see."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def __call__(self, notice: Notice) -> None:
        """Takes one notice of the runner."""
        if not notice.found or notice.waited - self._told.get(notice.check.name, 0.0) < REMIND:
            return
        self._told[notice.check.name] = notice.waited
        found = " ".join(printable(notice.found).split())
        note(
            f"waiting for “{notice.check.sentence}” "
            f"({notice.waited:.0f} s of at most {notice.check.settle:.0f} s): {found}"
        )


def style(app: App) -> Style:
    """What stdout can show."""
    from lab.checks.report import Style

    colour = sys.stdout.isatty() and not app.environ.get("NO_COLOR")
    return Style(colour=colour, unicode="utf" in (sys.stdout.encoding or "").lower(), width=prose_width())


def prose_width() -> int | None:
    """Columns that prose may take on stdout; None where nobody reads it on a terminal."""
    if not sys.stdout.isatty():
        return None
    import shutil

    return min(PROSE, shutil.get_terminal_size().columns)


def reflow(text: str) -> str:
    """Text in paragraphs, broken where the terminal ends; code and lists stay as they are."""
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
