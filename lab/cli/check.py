"""`lab check`: which statements hold, and what to look at where they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lab.cli.app import App
from lab.cli.context import ExerciseContext, SettleReporter, exercise_argument, judge, style
from lab.cli.options import json_option, lab_option
from lab.cli.output import note, show_json

if TYPE_CHECKING:
    from lab.checks.report import Judgement


@click.command(short_help="Say which of an exercise's checks hold.")
@exercise_argument
@lab_option
@json_option
@click.option(
    "--patience",
    type=click.FloatRange(min=0, max=100),
    default=1.0,
    metavar="FACTOR",
    help="Wait that many times as long for what may still settle.",
)
@click.pass_obj
def command(app: App, exercise: str | None, lab: str | None, patience: float, *, as_json: bool) -> int:
    """Say which of an exercise's checks hold: of the one named, else of the one you are working on.

    Exit status: 0 all hold; 1 not solved yet; 3 a check could not be judged; 5 nothing was judged.
    """
    desk = ExerciseContext(app, lab)
    found = desk.exercise(exercise)
    app.interrupted = "checks only look; nothing was changed"
    with app.cluster(desk.spec) as cluster:
        judgement = judge(cluster, found, patience=patience, notice=SettleReporter())
    desk.progress.judged(found.name, found.formerly, solved=judgement.solved, steps=judgement.solved_steps)
    _tell(app, judgement, as_json=as_json)
    if judgement.solved and not as_json and desk.catalog.following(found):
        click.echo("next: lab next")
    return int(judgement.code)


def _tell(app: App, judgement: Judgement, *, as_json: bool) -> None:
    from lab.checks.report import as_data, render

    if as_json:
        show_json(as_data(judgement))
    else:
        click.echo(render(judgement, style(app)))
    if app.environ.get("LAB_DEBUG") == "1":
        for verdict in judgement.verdicts:
            if verdict.trace:
                note(f"{verdict.check}:\n{verdict.trace}")
