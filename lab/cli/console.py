"""`lab console`: what a node wrote to its console."""

from __future__ import annotations

import codecs

import click

from lab.cli.app import App
from lab.cli.options import lab_option, node_argument


@click.command("console", short_help="Show what a node wrote to its console.")
@node_argument
@click.option("-f", "--follow", is_flag=True, help="Go on showing what it writes; Ctrl-C leaves.")
@click.option("-n", "--lines", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@lab_option
@click.pass_obj
def command(app: App, node: str, follow: bool, lines: int | None, lab: str | None) -> None:
    """Show what a node wrote to its console, its boot messages included."""
    from lab.plan import check_names

    spec = app.known_spec(lab)
    check_names(spec, [node])
    app.interrupted = ""
    show_console(app, spec.lab, node, follow=follow, lines=lines)


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
