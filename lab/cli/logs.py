"""`lab logs`: shows a node's journal, or its console before the node has booted."""

from __future__ import annotations

import click

from lab.cli.app import App
from lab.cli.options import lab_option, node_argument


@click.command("logs", short_help="Show a node's journal.")
@node_argument
@click.option("-f", "--follow", is_flag=True, help="Keep showing new entries; Ctrl-C ends it.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(min=0),
    metavar="N",
    default=200,
    show_default=True,
    help="Show only the last N lines.",
)
@click.option("-u", "--unit", metavar="UNIT", help="Show only this unit, such as slurmctld.")
@click.option("--raw", is_flag=True, help="Show the journal as it is, control characters included.")
@lab_option
@click.pass_obj
def command(
    app: App, node: str, follow: bool, lines: int, unit: str | None, raw: bool, lab: str | None
) -> int:
    """Show a node's journal, or its console if the node has not booted yet.

    Programs and users of the node write there. What could steer your terminal is left out, unless you
    ask for it with --raw.
    """
    from lab.cli.console import show_console
    from lab.cli.output import note
    from lab.cluster.plan import check_names
    from lab.model import BOOTED

    spec = app.known_spec(lab)
    check_names(spec, [node])
    app.interrupted = ""
    statuses = {status.name: status for status in app.backend.status(spec.lab)}
    stage = statuses[node].stage if node in statuses else ""
    if stage != BOOTED:
        note(f"{node} has no journal yet (stage {stage or 'unknown'}); showing its console")
        show_console(app, spec.lab, node, follow=follow, lines=lines)
        return 0
    words = ["journalctl", "--no-pager", "-n", str(lines), *(["-f"] if follow else [])]
    words += [f"--unit={unit}"] if unit else []
    return app.enter(spec.lab, node, words, user="root", harmless=not raw)
