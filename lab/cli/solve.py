"""`lab solve`: types the solution where the learner can watch."""

from __future__ import annotations

import sys

import click

from lab.cli.app import App
from lab.cli.context import ExerciseContext, exercise_argument, type_blocks
from lab.cli.options import lab_option
from lab.cli.output import console_text, note


@click.command(short_help="Type an exercise's solution while you watch.")
@exercise_argument
@lab_option
@click.option("--slow", is_flag=True, help="Type and show everything at reading speed.")
@click.option("--step", "step", metavar="STEP", help="Type only what belongs to this step.")
@click.option("--pause", is_flag=True, help="Wait for Enter before each command.")
@click.pass_obj
def command(
    app: App, exercise: str | None, lab: str | None, step: str | None, *, slow: bool, pause: bool
) -> int:
    """Type an exercise's solution while you watch, line by line, as you would.

    It stops at the first line that goes wrong. The exercise then counts as shown, not as solved by
    you; `lab reset` lets you try yourself.
    """
    from lab.cluster.wait_ready import await_entry

    desk = ExerciseContext(app, lab)
    found = desk.exercise(exercise)
    blocks = found.solution()
    if step is not None:
        wanted = found.step(step).id
        blocks = tuple(block for block in blocks if block.step == wanted)
    app.interrupted = f"part of the solution has been typed; `lab reset {found.name}` goes back to the start"
    spec = desk.spec
    with app.lock(desk.lab), app.cluster(spec) as cluster:
        cluster.say = _tell
        for block in blocks[:1]:
            await_entry(cluster, block.node)  # before the exercise counts as shown
        desk.progress.shown(found.name, found.formerly)
        type_blocks(
            cluster,
            f"{found.name}/solution.sh",
            blocks,
            show=_show,
            say=_tell,
            before=(lambda _: _pause()) if pause else (lambda _: None),
            slow=slow,
        )
    note(f"next: lab check {found.name}")
    return 0


def _tell(line: str) -> None:
    note(f"# {line}")


def _show(text: str) -> None:
    sys.stdout.write(console_text(text))
    sys.stdout.flush()


def _pause() -> None:
    click.pause("", err=True)
