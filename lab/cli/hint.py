"""`lab hint`: shows one more hint each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lab.cli.app import App
from lab.cli.context import ExerciseContext, complete_exercises, reflow
from lab.cli.options import lab_option
from lab.errors import UsageError

if TYPE_CHECKING:
    from lab.course.catalog import Exercise


@click.command(short_help="Show a hint, then a more explicit one.")
@click.argument("words", metavar="[EXERCISE] [STEP]", nargs=-1, shell_complete=complete_exercises)
@lab_option
@click.option("--again", is_flag=True, help="Show the hints you already have, and no new one.")
@click.pass_obj
def command(app: App, words: tuple[str, ...], lab: str | None, *, again: bool) -> int:
    """Show a hint, then a more explicit one each time; the last hint is the answer.

    Without STEP, the hint is for the first step that you have not solved yet.
    """
    context = ExerciseContext(app, lab)
    exercise, step = _select(context, words)
    hints = exercise.hints()[step]
    record = context.progress.record(exercise.name, exercise.formerly)
    taken = record.hints.get(step, 0)
    if again:
        if not taken:
            raise UsageError(
                f"you have had no hint for step {step} yet", hint=f"lab hint {exercise.name} {step}"
            )
        for number, text in enumerate(hints[:taken], start=1):
            _show(context, exercise, step, number, text, len(hints))
        return 0
    number = context.progress.hint(exercise.name, exercise.formerly, step, len(hints))
    _show(context, exercise, step, number, hints[number - 1], len(hints))
    if taken >= len(hints):
        click.echo(
            f"\nThere are no more hints. To see the solution typed: lab solve {exercise.name} --step {step}"
        )
    elif number < len(hints):
        click.echo(f"\nnext hint: lab hint {exercise.name} {step}")
    return 0


def _show(
    context: ExerciseContext, exercise: Exercise, step: str, number: int, text: str, count: int
) -> None:
    title = f"{exercise.step(step).title}: hint {number} of {count}"
    click.echo(click.style(title, bold=True) + "\n\n" + reflow(context.fill(text)))


def _select(context: ExerciseContext, words: tuple[str, ...]) -> tuple[Exercise, str]:
    """Returns the exercise and the step; the user may give both, one or none of them."""
    from lab.course.guide import step_for_hint

    if len(words) > 2:
        raise UsageError("too many arguments", hint="lab hint [EXERCISE] [STEP]")
    if len(words) == 2:
        exercise = context.exercise(words[0])
        return exercise, exercise.step(words[1]).id
    if words and not context.catalog.has(words[0].replace("-", "_")):
        current = context.current()
        if current and any(step.id == words[0] for step in current.steps):
            return current, words[0]
    exercise = context.exercise(words[0] if words else None)
    return exercise, step_for_hint(exercise, context.progress.record(exercise.name, exercise.formerly))
