"""`lab solve`: types an exercise's solution while the learner watches."""

from __future__ import annotations

import sys

import click

from lab.cli.app import App
from lab.cli.context import ExerciseContext, exercise_argument
from lab.cli.options import lab_option
from lab.cli.output import note
from lab.printable import PLAIN, console_text


@click.command(short_help="Type an exercise's solution while you watch.")
@exercise_argument
@lab_option
@click.option("--slow", is_flag=True, help="Type and show everything at reading speed.")
@click.option("--step", "step", metavar="STEP", help="Type only the commands of this step.")
@click.option("--pause", is_flag=True, help="Wait for Enter before each command.")
@click.pass_obj
def command(
    app: App, exercise: str | None, lab: str | None, step: str | None, *, slow: bool, pause: bool
) -> int:
    """Type an exercise's solution while you watch, line by line.

    Stops at the first command that fails. The exercise then counts as shown, not as solved;
    `lab reset` lets you try it yourself.
    """
    from lab.cluster.wait_ready import await_entry
    from lab.course.solving import type_blocks

    context = ExerciseContext(app, lab)
    found = context.exercise(exercise)
    blocks = found.solution()
    if step is not None:
        wanted = found.step(step).id
        blocks = tuple(block for block in blocks if block.step == wanted)
    app.interrupted = f"part of the solution has been typed; `lab reset {found.name}` returns to the start"
    spec = context.spec
    with app.lock(context.lab), app.cluster(spec) as cluster:
        cluster.say = _say
        for block in blocks[:1]:
            await_entry(cluster, block.node)  # before the exercise counts as shown
        context.progress.shown(found.name, found.formerly)
        try:
            type_blocks(
                cluster,
                f"{found.name}/solution.sh",
                blocks,
                show=_show,
                say=_say,
                before=(lambda _: _pause()) if pause else (lambda _: None),
                slow=slow,
            )
        finally:
            if sys.stdout.isatty():
                _show(PLAIN)  # no colour of the node's stays
    note(f"next: lab check {found.name}")
    return 0


def _say(line: str) -> None:
    note(f"# {line}")


def _show(text: str) -> None:
    sys.stdout.write(console_text(text))
    sys.stdout.flush()


def _pause() -> None:
    click.pause("", err=True)
