"""`lab start EXERCISE`: brings the lab from any state to an exercise's start state."""

from __future__ import annotations

import click

from lab.cli.app import App
from lab.cli.context import ExerciseContext, complete_exercises
from lab.cli.options import lab_option, progress_option, yes_option
from lab.errors import UsageError


@click.command(short_help="Bring the lab to an exercise's start state.")
@click.argument("exercise", metavar="EXERCISE", required=False, shell_complete=complete_exercises)
@click.option("--keep", is_flag=True, help="Start in the present state of the lab; nothing is lost.")
@lab_option
@yes_option
@progress_option
@click.pass_obj
def command(app: App, exercise: str | None, lab: str | None, mode: str, *, keep: bool, yes: bool) -> int:
    """Bring the lab from any state to an exercise's start state.

    The start state is restored from a snapshot. If there is none yet, the solutions of the earlier
    exercises are typed once, and the result is saved.
    """
    if exercise is None:
        raise UsageError(
            "an exercise must be named",
            hint="lab exercises lists the exercises; lab next shows the next one",
        )
    from lab.course.suitability import require_suitable

    context = ExerciseContext(app, lab)
    found = context.exercise(exercise)
    require_suitable(context.catalog, found, context.spec, app.backend)
    app.interrupted = f"the lab is between two states; `lab start {found.name}` continues"
    with context.course(mode, yes=yes) as course:
        if keep:
            course.continue_with(found)
        else:
            plan = course.plan(found)
            question = f"{course.loss().sentence}\nTo start {found.name}: {plan.summary}. Continue?"
            app.confirm(question, yes=yes)
            course.start(plan)
    click.echo(f"{found.name}: {found.title} ({found.minutes} minutes)")
    click.echo("next: lab show")
    return 0
