"""Results on stdout, errors on stderr: tables, JSON, and text from nodes made harmless."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from lab.errors import LabError

SCHEMA = 1
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_CONTROLS = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # sequences that move and erase
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\)"  # titles, clipboards and the like
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def printable(text: str) -> str:
    """Text from a node without anything that could steer the terminal."""
    return _CONTROLS.sub("", text)


def console_text(text: str) -> str:
    """Console output of a node: colours stay, everything else that steers a terminal goes."""
    parts = _COLOURS.split(text)
    colours = [*_COLOURS.findall(text), ""]
    return "".join(printable(part) + colour for part, colour in zip(parts, colours, strict=True))


def show_json(result: Mapping[str, Any]) -> None:
    """Prints a result as JSON, with the schema number first."""
    click.echo(json.dumps({"schema": SCHEMA, **result}, indent=2, ensure_ascii=False))


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a plain table; a terminal that is too narrow for the last column has it in several lines."""
    safe = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [headings, *safe]) for i in range(len(headings))]
    click.secho(_row(headings, widths), bold=True)
    for row in safe:
        for line in _folded(row, widths):
            click.echo(line)


def show_error(problem: LabError, *, color: bool | None = None) -> None:
    """Prints what failed, the evidence, and the next command to type."""
    click.secho("error: ", fg="red", bold=True, nl=False, err=True, color=color)
    click.echo(printable(problem.message), err=True)
    for line in printable(problem.evidence).splitlines():
        click.echo(f"  {line}", err=True)
    if problem.hint:
        click.secho("hint: ", fg="cyan", nl=False, err=True, color=color)
        click.echo(printable(problem.hint), err=True)


def note(text: str) -> None:
    """One line for people, on stderr."""
    click.echo(printable(text), err=True)


def _folded(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """A row in as many lines as the terminal needs; one where stdout is none."""
    lines = [row[-1]]
    if sys.stdout.isatty():
        import shutil
        import textwrap

        left = shutil.get_terminal_size().columns - sum(width + 2 for width in widths[:-1])
        lines = textwrap.wrap(row[-1], max(left, 20), break_on_hyphens=False) or [""]
    yield _row([*row[:-1], lines[0]], widths)
    for line in lines[1:]:
        yield _row([*("" for _ in row[:-1]), line], widths)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    return "  ".join(padded).rstrip()
