"""`lab progress`: what has been done, for people and for spreadsheets."""

from __future__ import annotations

import click

from lab.cli.app import App
from lab.cli.context import ExerciseContext
from lab.cli.options import json_option, lab_option
from lab.cli.output import show_json, show_table
from lab.errors import UsageError


@click.command(short_help="Show or export what you have finished.")
@lab_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print every lab's progress as CSV.")
@click.pass_obj
def command(app: App, lab: str | None, *, as_json: bool, as_csv: bool) -> int:
    """Show what you have finished in this lab, or export that of every lab as JSON or CSV."""
    if as_json and as_csv:
        raise UsageError("--json and --csv cannot go together", hint="take one of them")
    desk = ExerciseContext(app, lab)
    if as_json or as_csv:
        _export(desk, csv=as_csv)
        return 0
    rows = []
    for exercise in desk.catalog.exercises:
        record = desk.progress.record(exercise.name, exercise.formerly)
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
    show_table(["EXERCISE", "STATE", "STEPS", "CHECKED", "HINTS", "SINCE"], rows)
    return 0


def _export(desk: ExerciseContext, *, csv: bool) -> None:
    from lab.course.progress import as_csv, as_data

    book = desk.progress.book()
    if csv:
        click.echo(as_csv(book), nl=False)
    else:
        show_json(as_data(book))
