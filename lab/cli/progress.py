"""`lab progress`: shows the learner's progress, or exports it as JSON or CSV."""

from __future__ import annotations

import click

from lab.cli.app import App
from lab.cli.context import ExerciseContext
from lab.cli.options import json_option, lab_option
from lab.cli.output import show_json, show_table
from lab.errors import UsageError


@click.command(short_help="Show or export your progress.")
@lab_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print the progress in every lab as CSV.")
@click.pass_obj
def command(app: App, lab: str | None, *, as_json: bool, as_csv: bool) -> int:
    """Show your progress in this lab, or export the progress in every lab as JSON or CSV."""
    if as_json and as_csv:
        raise UsageError(
            "--json and --csv cannot be combined", hint="lab progress --json, or lab progress --csv"
        )
    context = ExerciseContext(app, lab)
    if as_json or as_csv:
        _export(context, csv=as_csv)
        return 0
    rows = []
    for exercise in context.catalog.exercises:
        record = context.progress.record(exercise.name, exercise.formerly)
        rows.append(
            [
                exercise.name,
                record.state,
                f"{len(record.steps)}/{len(exercise.steps)}",
                str(record.checks_run),
                str(sum(record.hints.values())),
                record.solved or record.started or "-",
            ]
        )
    show_table(["EXERCISE", "STATE", "STEPS", "CHECKS RUN", "HINTS", "SINCE"], rows)
    return 0


def _export(context: ExerciseContext, *, csv: bool) -> None:
    from lab.course.progress import as_csv, as_data

    labs = context.progress.labs()
    if csv:
        click.echo(as_csv(labs), nl=False)
    else:
        show_json(as_data(labs))
