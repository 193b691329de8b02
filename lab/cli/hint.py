"""`lab hint`: one hint more each time it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lab.cli.app import App
from lab.cli.context import ExerciseContext, complete_exercises, reflow
from lab.cli.options import lab_option
from lab.errors import UsageError

if TYPE_CHECKING:
    from lab.course.catalog import Exercise


@click.command(short_help="Give a hint, then a bigger one.")
@click.argument("words", metavar="[EXERCISE] [STEP]", nargs=-1, shell_complete=complete_exercises)
@lab_option
@click.option("--again", is_flag=True, help="Repeat the hints you have had, and take no new one.")
@click.pass_obj
def command(app: App, words: tuple[str, ...], lab: str | None, *, again: bool) -> int:
    """Give a hint, then a bigger one each time you ask; the last is the answer.

    Without a step, the hint is for the first step that has not held yet.
    """
    desk = ExerciseContext(app, lab)
    exercise, step = _meant(desk, words)
    hints = exercise.hints()[step]
    record = desk.progress.record(exercise.name, exercise.formerly)
    taken = record.hints.get(step, 0)
    if again:
        if not taken:
            raise UsageError(
                f"no hint of step {step} has been taken", hint=f"lab hint {exercise.name} {step}"
            )
        for number, text in enumerate(hints[:taken], start=1):
            _show(desk, exercise, step, number, text, len(hints))
        return 0
    number = desk.progress.hint(exercise.name, exercise.formerly, step, len(hints))
    _show(desk, exercise, step, number, hints[number - 1], len(hints))
    if taken >= len(hints):
        click.echo(f"\nThere are no more. To watch it being done: lab solve {exercise.name} --step {step}")
    elif number < len(hints):
        click.echo(f"\nmore: lab hint {exercise.name} {step}")
    return 0


def _show(desk: ExerciseContext, exercise: Exercise, step: str, number: int, text: str, count: int) -> None:
    title = f"{exercise.step(step).title}: hint {number} of {count}"
    click.echo(click.style(title, bold=True) + "\n\n" + reflow(desk.fill(text)))


def _meant(desk: ExerciseContext, words: tuple[str, ...]) -> tuple[Exercise, str]:
    """The exercise and the step: both, either or none of them may be given."""
    if len(words) > 2:
        raise UsageError("at most an exercise and a step can be given", hint="lab hint [EXERCISE] [STEP]")
    if len(words) == 2:
        exercise = desk.exercise(words[0])
        return exercise, exercise.step(words[1]).id
    if words and not desk.catalog.has(words[0].replace("-", "_")):
        current = desk.current()
        if current and any(step.id == words[0] for step in current.steps):
            return current, words[0]
    exercise = desk.exercise(words[0] if words else None)
    held = desk.progress.record(exercise.name, exercise.formerly).steps
    return exercise, next((step.id for step in exercise.steps if step.id not in held), exercise.steps[-1].id)
