"""`lab reset`: returns an exercise or a node to its start."""

from __future__ import annotations

import click

from lab.cli.app import App
from lab.cli.context import ExerciseContext, complete_exercises
from lab.cli.options import lab_option, progress_option, yes_option
from lab.model import Role
from lab.printable import LONG, printable_line

_FATES = {
    Role.SMS: "Its disk is kept",
    Role.OUTSIDE: "Its disk is made anew",
    Role.CLIENT: "Its disk is made anew",
    Role.RUNNER: "Its disk is made anew, with its repositories and results",
}


@click.command(short_help="Return an exercise or a node to its start.")
@click.argument("name", metavar="[EXERCISE|NODE]", required=False, shell_complete=complete_exercises)
@lab_option
@yes_option
@progress_option
@click.pass_obj
def command(app: App, name: str | None, lab: str | None, mode: str, *, yes: bool) -> int:
    """Return an exercise or a node to its start. Works in any state of the lab.

    For an exercise, restore its start state on all nodes and forget your progress in it. For a node,
    replace the machine by a new one, and have Slurm give it jobs again, whoever drained it; other nodes
    are not affected. The SMS keeps its disk: its power is cut and restored.
    """
    from lab.course.runner import resolve_reset_target

    context = ExerciseContext(app, lab)
    found = (
        context.exercise(None) if name is None else resolve_reset_target(name, context.spec, context.catalog)
    )
    if isinstance(found, str):
        app.interrupted = f"{found} may be off; `lab reset {found}` continues"
        fate = _FATES.get(context.spec.node(found).role, "The SMS provisions it again")
        if context.spec.node(found).role is Role.COMPUTE:
            fate += ", and Slurm gives it jobs even if it was drained"
        app.confirm(
            f"The power of {found} will be cut, and what is in its memory will be lost. {fate}. Continue?",
            yes=yes,
        )
        with context.course(mode, yes=yes) as course:
            amiss = course.reset_node(found)
        told = f"{found} is up again, {amiss}" if amiss else f"{found} is ready again"
        click.echo(printable_line(told, LONG))
        return 0
    app.interrupted = f"the lab is between two states; `lab reset {found.name}` continues"
    with context.course(mode, yes=yes) as course:
        plan = course.plan(found)
        loss = f"{course.loss().sentence.rstrip('.')}, except the progress in {found.name}."
        app.confirm(f"{loss}\nTo reset {found.name}: {plan.summary}. Continue?", yes=yes)
        course.reset(plan)
    click.echo(f"{found.name} is at its start again")
    return 0
