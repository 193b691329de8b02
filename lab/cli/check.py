"""`lab check`: runs the checks of an exercise and reports which of them hold."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from lab.cli.app import App
from lab.cli.context import ExerciseContext, SettleReporter, exercise_argument, prose_width
from lab.cli.options import json_option, lab_option
from lab.cli.output import show_json, show_text, show_trace

if TYPE_CHECKING:
    from lab.checks.judgement import Judgement


@click.command(short_help="Run an exercise's checks and show which hold.")
@exercise_argument
@lab_option
@json_option
@click.option(
    "--patience",
    type=click.FloatRange(min=0, max=100),
    default=1.0,
    metavar="FACTOR",
    help="Multiply the time that a check has to come true.",
)
@click.pass_obj
def command(app: App, exercise: str | None, lab: str | None, patience: float, *, as_json: bool) -> int:
    """Run an exercise's checks and show which hold. Without EXERCISE: the one you are working on.

    Exit status: 0 all checks hold; 1 not solved yet; 3 a check could not be run; 5 there are no checks.
    """
    from lab.course.judging import judge

    context = ExerciseContext(app, lab)
    found = context.exercise(exercise)
    app.interrupted = "nothing was changed; checks only read"
    with app.cluster(context.spec) as cluster:
        judgement = judge(cluster, found, patience=patience, notice=SettleReporter())
    context.progress.judged(found.name, found.formerly, solved=judgement.solved, steps=judgement.solved_steps)
    show_judgement(app, judgement, as_json=as_json)
    if judgement.solved and not as_json and context.catalog.following(found):
        click.echo("next: lab next")
    return int(judgement.code)


def show_judgement(app: App, judgement: Judgement, *, as_json: bool) -> None:
    """Shows the verdicts on standard output, for people or as JSON."""
    from lab.checks.report import Style, as_data, render

    if as_json:
        show_json(as_data(judgement))
    else:
        unicode = "utf" in (sys.stdout.encoding or "").lower()
        show_text(render(judgement, Style(unicode=unicode, width=prose_width())), app.environ)
    if app.environ.get("LAB_DEBUG") == "1":
        for verdict in judgement.verdicts:
            if verdict.trace:
                show_trace(f"{verdict.check}:\n{verdict.trace}")
