"""`lab start EXERCISE`: brings the lab from any state to an exercise's start state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lab.cli.app import App
from lab.cli.context import ExerciseContext, complete_exercises
from lab.cli.options import lab_option, progress_option, yes_option
from lab.errors import UsageError
from lab.model import Role

if TYPE_CHECKING:
    from lab.course.catalog import Exercise


JUPYTER_HINT = (
    "lab images build sms-jupyter, then: lab down -l {0}, and lab up -l {0} --set jupyter=true; "
    "or give a second lab another name"
)
RUNNER_HINT = "lab images build runner, then: lab up -l {} --set runner.count=1"


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
    context = ExerciseContext(app, lab)
    found = context.exercise(exercise)
    require_suitable(context, found)
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


def require_suitable(context: ExerciseContext, exercise: Exercise) -> None:
    """Raises a UsageError if the lab lacks a role, or a capability that also an earlier exercise may need."""
    roles = {node.role for node in context.spec.nodes}
    lacking = [role.value for role in exercise.roles if role not in roles]
    if lacking:
        raise UsageError(
            f"{exercise.name} needs a node of role {', '.join(lacking)}, and lab {context.lab} has none",
            hint=RUNNER_HINT.format(context.lab)
            if Role.RUNNER.value in lacking
            else "add such a node to lab.toml, then: lab up",
        )
    if exercise.software and not context.spec.jupyter:
        raise UsageError(
            f"{exercise.name} needs Jupyter on shared storage, and lab {context.lab} was made without it",
            hint=JUPYTER_HINT.format(context.lab),
        )
    needed = context.needs(exercise)
    if not needed:
        return
    if withheld := context.withheld(exercise):
        raise UsageError(
            f"{exercise.name} needs {', '.join(withheld)}, and root in a node of lab {context.lab} has no "
            "rights on the host",
            hint="docs/security.md; lab up -l NAME --set trust=learner makes a lab that offers it",
        )
    missing = sorted(needed & context.app.backend.probe().missing)
    if missing:
        raise UsageError(
            f"{exercise.name} needs {', '.join(missing)}, and {context.spec.backend} does not offer it here",
            hint="lab exercises shows what each exercise needs",
        )
