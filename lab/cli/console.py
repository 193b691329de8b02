"""`lab console`: shows what a node wrote to its console, or connects the terminal to it."""

from __future__ import annotations

from typing import NoReturn

import click

from lab.cli.app import App
from lab.cli.options import lab_option, node_argument
from lab.errors import UsageError


@click.command("console", short_help="Show a node's console, or type on it.")
@node_argument
@click.option("-f", "--follow", is_flag=True, help="Keep showing new output; Ctrl-C ends it.")
@click.option("-n", "--lines", type=click.IntRange(min=0), metavar="N", help="Show only the last N lines.")
@click.option("--attach", is_flag=True, help="Type on a virtual machine's console; Ctrl-] ends it.")
@lab_option
@click.pass_obj
def command(app: App, node: str, follow: bool, lines: int | None, attach: bool, lab: str | None) -> None:
    """Show a node's console, boot messages included, or type on it.

    --attach connects your terminal to the console of a virtual machine: to its login prompt, or to the
    shells that --preshell and --postshell start. A container's console shows output only.
    """
    from lab.cluster.plan import check_names

    if attach and (follow or lines is not None):
        raise UsageError(
            "--attach cannot be combined with --follow or --lines", hint=f"lab console {node} --attach"
        )
    spec = app.known_spec(lab)
    check_names(spec, [node])
    app.interrupted = ""
    if attach:
        attach_console(app, spec.lab, node)
    show_console(app, spec.lab, node, follow=follow, lines=lines)


def attach_console(app: App, lab: str, node: str) -> NoReturn:
    """Replaces this process by the program that connects the terminal to a node's console."""
    from lab.cli.output import note

    argv = app.backend.attach(lab, node)
    if not app.interactive:
        raise UsageError("--attach needs a terminal", hint=f"lab console {node}")
    note(f"connected to the console of {node}: press Enter for a prompt, Ctrl-] to leave")
    app.replace(argv)


def show_console(app: App, lab: str, node: str, *, follow: bool, lines: int | None) -> None:
    """Prints a node's console, without what could steer the reader's terminal."""
    from lab.printable import ConsoleText

    harmless = ConsoleText()
    for chunk in app.backend.console(lab, node, follow=follow, tail=lines):
        click.echo(harmless.feed(chunk), nl=False)
    click.echo(harmless.feed(b"", final=True), nl=False)
