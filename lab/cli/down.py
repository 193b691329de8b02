"""`lab down`: removes a lab, as the engine's records describe it."""

from __future__ import annotations

import getpass
from collections.abc import Sequence

import click

from lab.cli.app import App
from lab.cli.options import lab_option, nodes_argument, progress_option, yes_option


@click.command("down", short_help="Remove the lab with all that belongs to it.")
@nodes_argument(required=False)
@lab_option
@click.option("--all", "everything", is_flag=True, help="Every lab of yours on this machine.")
@click.option("--orphans", is_flag=True, help="Every lab that has lost its description or its SMS.")
@yes_option
@progress_option
@click.pass_obj
def command(
    app: App,
    nodes: tuple[str, ...],
    lab: str | None,
    everything: bool,
    orphans: bool,
    yes: bool,
    mode: str,
) -> None:
    """Remove the lab with all that belongs to it.

    Needs no configuration: the engine's labels say what belongs to a lab. With NODEs, only these
    are removed; lab up creates them again.
    """
    from lab.cli.output import note
    from lab.cli.progress_display import showing
    from lab.errors import UsageError

    if (everything or orphans) and (nodes or (everything and orphans)):
        raise UsageError(
            "--all, --orphans and NODE exclude each other", hint="lab down NODE, or: lab down --all"
        )
    labs = _meant(app, lab, everything=everything, orphans=orphans)
    if not labs:
        note("there is nothing to remove")
        return
    what = f"{', '.join(nodes)} of lab {labs[0]}" if nodes else f"lab {', lab '.join(labs)}"
    _check_nodes(app, labs[0], nodes)
    app.confirm(f"Remove {what}? All work on it is lost; progress is kept.", yes=yes)
    app.interrupted = "part of it is removed; lab down again removes the rest"
    with showing(mode, app.environ) as progress:
        for name in labs:
            with app.lock(name):
                app.backend.delete(name, progress.say, list(nodes) or None)
    click.echo(f"removed {what}")


def _meant(app: App, lab: str | None, *, everything: bool, orphans: bool) -> Sequence[str]:
    from lab.cli.ls import is_orphan

    if everything or orphans:
        records = app.backend.labs()
    if everything:
        return [record.lab for record in records if record.owner in ("", getpass.getuser())]
    if orphans:
        return [record.lab for record in records if is_orphan(record)]
    name = app.lab_name(lab)
    return [record.lab for record in app.backend.labs() if record.lab == name]


def _check_nodes(app: App, lab: str, nodes: Sequence[str]) -> None:
    from lab.errors import UsageError

    if not nodes:
        return
    known = app.record(lab).nodes
    unknown = [node for node in nodes if node not in known]
    if unknown:
        raise UsageError(f"lab {lab} has no {', '.join(unknown)}", evidence=f"there are: {', '.join(known)}")
