"""`lab show`: shows an exercise's text with the values of this lab."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click

from lab.cli.app import App
from lab.cli.context import PROSE, ExerciseContext, exercise_argument
from lab.cli.options import lab_option
from lab.cli.output import rich_screen

WHERE = {"host": "on the host", "output": "it prints"}


@click.command(short_help="Show an exercise's text.")
@exercise_argument
@lab_option
@click.option("--raw", is_flag=True, help="Print the Markdown source.")
@click.pass_obj
def command(app: App, exercise: str | None, lab: str | None, *, raw: bool) -> int:
    """Show an exercise's text. Without EXERCISE: the one you are working on."""
    context = ExerciseContext(app, lab)
    text = context.fill(context.exercise(exercise).readme())
    if raw or not sys.stdout.isatty():
        click.echo(text, nl=not text.endswith("\n"))
    else:
        render(text, app.environ)
    return 0


def render(text: str, environ: Mapping[str, str]) -> None:
    """Writes Markdown on a terminal; each command stays on one line, so that it can be copied."""
    from rich.markdown import Markdown
    from rich.text import Text

    screen = rich_screen(environ)
    width = min(PROSE, screen.width)
    for number, part in enumerate(text.split("\n```")):
        head, _, rest = part.partition("\n")
        if number % 2:  # inside a fence: its info, then its lines
            kind = (head.split() or [""])[-1]
            screen.print(Text(f"  {WHERE.get(kind, f'on {kind}')}:", style="dim"))
            look = "dim" if kind == "output" else "bold cyan"
            for line in rest.splitlines():
                screen.print(Text(line, style=look), soft_wrap=True)
        else:
            prose = part if number == 0 else rest
            if not prose.strip():
                continue
            screen.print(Markdown(prose, hyperlinks=False), width=width)
        screen.print()
