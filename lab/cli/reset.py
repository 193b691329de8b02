"""`lab reset`: an exercise or one node back to its start."""

from __future__ import annotations

import click

from lab.cli.app import App
from lab.cli.context import ExerciseContext, complete_exercises
from lab.cli.options import lab_option, progress_option, yes_option


@click.command(short_help="Put an exercise, or one node, back to its start.")
@click.argument("name", metavar="[EXERCISE|NODE]", required=False, shell_complete=complete_exercises)
@lab_option
@yes_option
@progress_option
@click.pass_obj
def command(app: App, name: str | None, lab: str | None, mode: str, *, yes: bool) -> int:
    """Put an exercise, or one node, back to its start.

    An exercise: its start state is restored on all nodes, and what you did in it is forgotten. A node:
    its plug is pulled and put back; the others are not touched. Works however broken things are.
    """
    from lab.course.runner import resolve_reset_target

    desk = ExerciseContext(app, lab)
    found = desk.exercise(None) if name is None else resolve_reset_target(name, desk.spec, desk.catalog)
    if isinstance(found, str):
        app.interrupted = f"{found} may be without power; `lab reset {found}` carries on"
        kept = "its disk is kept" if found == desk.spec.sms.name else "it is made anew by the SMS"
        app.confirm(f"{found} loses its power, and what is in its memory; {kept}. Go on?", yes=yes)
        with desk.course(mode) as course:
            course.reset_node(found)
        click.echo(f"{found} is up again")
        return 0
    app.interrupted = f"the lab is between two states; `lab reset {found.name}` carries on"
    with desk.course(mode) as course:
        plan = course.plan(found)
        loss = f"{course.loss().sentence.rstrip('.')}, except that of {found.name}."
        app.confirm(f"{loss}\nTo reset {found.name}: {plan.summary}. Go on?", yes=yes)
        course.reset(plan)
    click.echo(f"{found.name} is at its start again")
    return 0
