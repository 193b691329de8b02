"""`lab next`: shows which exercise comes next."""

from __future__ import annotations

import click

from lab.cli.app import App
from lab.cli.context import ExerciseContext
from lab.cli.options import json_option, lab_option
from lab.cli.output import note, show_json


@click.command(short_help="Show which exercise comes next.")
@lab_option
@json_option
@click.pass_obj
def command(app: App, lab: str | None, *, as_json: bool) -> int:
    """Show which exercise comes next.

    If it starts from the state in which you leave the solved exercise, it becomes your current
    exercise and the lab stays as it is. Exercises that this lab cannot offer, since root in its nodes has no
    rights on the host, are left out.
    """
    from lab.course.guide import following

    context = ExerciseContext(app, lab)
    current = context.current()
    found = following(context.catalog, context.progress, context.withheld)
    chosen, continues, left_out = found.exercise, found.continues, found.left_out
    if chosen is not None and continues:
        with context.course("quiet") as course:
            course.continue_with(chosen)
    if as_json:
        ready = continues or chosen == current
        show_json({"exercise": chosen.name if chosen else None, "ready": ready, "left_out": list(left_out)})
        return 0
    if left_out:
        note(f"left out, since this lab does not offer what they need: {', '.join(left_out)}; lab exercises")
    if chosen is None:
        click.echo("This was the last exercise. You have finished the course.")
    elif chosen == current:
        click.echo(f"{chosen.name}: {chosen.title} is not solved yet\nnext: lab check, or lab hint")
    elif continues:
        click.echo(
            f"{chosen.name}: {chosen.title} ({chosen.minutes} minutes) starts from the present state\n"
            "next: lab show"
        )
    else:
        click.echo(f"{chosen.name}: {chosen.title} ({chosen.minutes} minutes)\nnext: lab start {chosen.name}")
    return 0
