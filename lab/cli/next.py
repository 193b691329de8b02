"""`lab next`: the exercise to do next."""

from __future__ import annotations

import click

from lab.cli.app import App
from lab.cli.context import ExerciseContext
from lab.cli.options import json_option, lab_option
from lab.cli.output import show_json


@click.command(short_help="Name the exercise to do next.")
@lab_option
@json_option
@click.pass_obj
def command(app: App, lab: str | None, *, as_json: bool) -> int:
    """Name the exercise to do next.

    Where it begins as the solved one ends, it becomes the one you are working on, and the lab stays
    as it is.
    """
    desk = ExerciseContext(app, lab)
    current = desk.current()
    chosen = current
    carries_on = False
    if current is None:
        chosen = desk.catalog.exercises[0]
    elif desk.progress.record(current.name, current.formerly).state in ("solved", "shown"):
        chosen = desk.catalog.following(current)
        carries_on = chosen is not None and chosen.builds_on == current.name
    if chosen is not None and carries_on:
        with desk.course("quiet") as course:
            course.carry_on(chosen)
    if as_json:
        show_json({"exercise": chosen.name if chosen else None, "ready": carries_on or chosen == current})
    elif chosen is None:
        click.echo("That was the last exercise. You have finished the course.")
    elif chosen == current:
        click.echo(f"{chosen.name}: {chosen.title} is not solved yet\nnext: lab check, or lab hint")
    elif carries_on:
        click.echo(
            f"{chosen.name}: {chosen.title} ({chosen.minutes} minutes) begins where you are\nnext: lab show"
        )
    else:
        click.echo(f"{chosen.name}: {chosen.title} ({chosen.minutes} minutes)\nnext: lab start {chosen.name}")
    return 0
