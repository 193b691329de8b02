"""`lab console`: what a node wrote to its console, and the way to type there."""

from __future__ import annotations

import codecs
from typing import NoReturn

import click

from lab.cli.app import App
from lab.cli.options import lab_option, node_argument
from lab.errors import UsageError


@click.command("console", short_help="Show what a node wrote to its console, or type there.")
@node_argument
@click.option("-f", "--follow", is_flag=True, help="Go on showing what it writes; Ctrl-C leaves.")
@click.option("-n", "--lines", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@click.option("--attach", is_flag=True, help="Type into a virtual machine's console; Ctrl-] leaves.")
@lab_option
@click.pass_obj
def command(app: App, node: str, follow: bool, lines: int | None, attach: bool, lab: str | None) -> None:
    """Show what a node wrote to its console, its boot messages included.

    With --attach your terminal is the console of a virtual machine: for its login prompt, and for the
    shells that --preshell and --postshell ask for. A container's console only shows.
    """
    from lab.cluster.plan import check_names

    if attach and (follow or lines is not None):
        raise UsageError("--attach goes with neither --follow nor --lines")
    spec = app.known_spec(lab)
    check_names(spec, [node])
    app.interrupted = ""
    if attach:
        attach_console(app, spec.lab, node)
    show_console(app, spec.lab, node, follow=follow, lines=lines)


def attach_console(app: App, lab: str, node: str) -> NoReturn:
    """Becomes the program that connects the terminal to a node's console."""
    from lab.cli.output import note

    argv = app.backend.attach(lab, node)
    if not app.interactive:
        raise UsageError("--attach needs a terminal to type on", hint=f"lab console {node}")
    note(f"this is {node}'s console: Enter shows a prompt, Ctrl-] leaves")
    app.replace(argv)


def show_console(app: App, lab: str, node: str, *, follow: bool, lines: int | None) -> None:
    """Prints a node's console; what could steer the reader's terminal is left out."""
    from lab.cli.output import console_text

    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    held = ""  # an escape sequence may be cut in two
    for chunk in app.backend.console(lab, node, follow=follow, tail=lines):
        text = (held + decoder.decode(chunk)).replace("\r\n", "\n")
        cut = text.rfind("\x1b")
        held = text[cut:] if cut >= 0 and len(text) - cut < 16 and "\n" not in text[cut:] else ""
        click.echo(console_text(text[: len(text) - len(held)]), nl=False)
    click.echo(console_text(held), nl=False)
