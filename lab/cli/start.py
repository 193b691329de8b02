"""`lab start EXERCISE`: from any state into the exercise's start state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lab.cli.app import App
from lab.cli.context import ExerciseContext, complete_exercises
from lab.cli.options import lab_option, progress_option, yes_option
from lab.errors import UsageError

if TYPE_CHECKING:
    from lab.course.catalog import Exercise


@click.command(short_help="Put the lab into an exercise's start state.")
@click.argument("exercise", metavar="EXERCISE", required=False, shell_complete=complete_exercises)
@click.option("--keep", is_flag=True, help="Begin in the lab's present state, and lose nothing.")
@lab_option
@yes_option
@progress_option
@click.pass_obj
def command(app: App, exercise: str | None, lab: str | None, mode: str, *, keep: bool, yes: bool) -> int:
    """Put the lab into an exercise's start state, from whatever state it is in.

    The state is restored from a snapshot. Where there is none yet, the solutions of the exercises
    before it are typed, once.
    """
    if exercise is None:
        raise UsageError("which exercise?", hint="lab exercises lists them; lab next names the next one")
    desk = ExerciseContext(app, lab)
    found = desk.exercise(exercise)
    require_suitable(desk, found)
    app.interrupted = f"the lab is between two states; `lab start {found.name}` carries on"
    with desk.course(mode) as course:
        if keep:
            course.carry_on(found)
        else:
            plan = course.plan(found)
            question = f"{course.loss().sentence}\nTo start {found.name}: {plan.summary}. Go on?"
            app.confirm(question, yes=yes)
            course.start(plan)
    click.echo(f"{found.name}: {found.title} ({found.minutes} minutes)")
    click.echo("next: lab show")
    return 0


def require_suitable(desk: ExerciseContext, exercise: Exercise) -> None:
    """Refuses an exercise that this lab or its backend cannot offer, before anything is changed."""
    roles = {node.role for node in desk.spec.nodes}
    lacking = [role.value for role in exercise.roles if role not in roles]
    if lacking:
        raise UsageError(
            f"exercise {exercise.name} needs a node of role {', '.join(lacking)}; lab {desk.lab} has none",
            hint="add it to lab.toml, then: lab up",
        )
    if not exercise.capabilities:
        return
    missing = [need for need in exercise.capabilities if need in desk.app.backend.probe().missing]
    if missing:
        raise UsageError(
            f"backend {desk.spec.backend} has no {', '.join(missing)} here, and {exercise.name} needs it",
            hint="lab exercises shows what each exercise needs",
        )
