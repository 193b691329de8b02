"""Writes results to stdout, notes and errors to stderr: text, tables and JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from lab.cli.arguments import is_plain
from lab.errors import LabError
from lab.printable import LONG, as_json, printable_line, printable_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

SCHEMA = 1
LAST_COLUMN = 20  # least width of each folded column, even on a narrower terminal


def show_json(result: Mapping[str, Any]) -> None:
    """Prints a result as JSON, with the schema number first."""
    click.echo(as_json({"schema": SCHEMA, **result}, indent=2))


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]], folded: int = 1) -> None:
    """Prints a table without borders; on a terminal, the last columns are folded to the terminal's width."""
    safe = [[printable_line(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _show_on_terminal(headings, safe, folded)
        return
    widths = [max(len(row[i]) for row in [headings, *safe]) for i in range(len(headings))]
    for row in [headings, *safe]:
        click.echo("  ".join(map(str.ljust, row, widths)).rstrip())


def rich_screen(environ: Mapping[str, str], *, stderr: bool = False) -> Console:
    """Rich's way to a terminal; a plain one gets no escape sequence."""
    from rich.console import Console

    return Console(highlight=False, stderr=stderr, color_system=None if is_plain(environ) else "auto")


def load_tables() -> None:
    """Loads rich if a table will be shown on a terminal; call it while something else is awaited."""
    if sys.stdout.isatty():
        import rich.console
        import rich.table  # noqa: F401


def _show_on_terminal(headings: Sequence[str], rows: Sequence[Sequence[str]], folded: int) -> None:
    from rich.table import Table  # only here: rich takes a tenth of a second to load
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for heading in headings[:-folded]:
        table.add_column(heading, no_wrap=True)
    for heading in headings[-folded:]:
        table.add_column(heading, overflow="fold", min_width=LAST_COLUMN)
    for row in rows:
        table.add_row(*map(Text, row))  # Text: what a node prints is no markup
    screen = rich_screen(os.environ)
    others = sum(max(map(len, column)) + 2 for column in list(zip(headings, *rows, strict=True))[:-folded])
    least = others + folded * LAST_COLUMN + (folded - 1) * 2
    screen.width = max(screen.width, least)  # rich would cut the other columns
    screen.print(table, crop=False)


def show_text(text: Text, environ: Mapping[str, str]) -> None:
    """Prints styled text whose lines are already folded: styles only on a terminal that shows them."""
    rich_screen(environ).print(text, soft_wrap=True)


def show_error(problem: LabError, *, color: bool | None = None) -> None:
    """Prints what failed, the evidence, and the next command to type."""
    click.secho("error: ", fg="red", bold=True, nl=False, err=True, color=color)
    first, *more = printable_lines(problem.message)
    click.echo(first, err=True)
    for line in (*more, *(printable_lines(problem.evidence) if problem.evidence else ())):
        click.echo(f"  {line}".rstrip(), err=True)
    if problem.hint:
        click.secho("hint: ", fg="cyan", nl=False, err=True, color=color)
        click.echo(printable_line(problem.hint, LONG), err=True)


def note(text: str) -> None:
    """Prints one line for people on stderr."""
    click.echo(printable_line(text, LONG), err=True)


def show_trace(text: str) -> None:
    """Prints a traceback on stderr; what a node said may be among it."""
    for line in printable_lines(text.rstrip()):
        click.echo(f"  {line}".rstrip(), err=True)
