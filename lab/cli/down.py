"""`lab down`: removes a lab, as the engine's records describe it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from lab.cli.app import App
from lab.cli.options import lab_option, nodes_argument, progress_option, yes_option

if TYPE_CHECKING:
    from lab.model import LabRecord


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
        if not (everything or orphans):
            with app.lock(app.lab_name(lab), yes=yes):
                pass  # this removes the lock that a killed command has left
        note("there is nothing to remove")
        return
    names = [record.lab for record in labs]
    what = f"{', '.join(nodes)} of lab {names[0]}" if nodes else f"lab {', lab '.join(names)}"
    _check_nodes(app, names[0], nodes)
    unmarked = "" if nodes else "".join(_unmarked(record) for record in labs)
    app.confirm(f"Remove {what}? All work on it is lost; progress is kept.{unmarked}", yes=yes)
    if unmarked and yes:
        note(unmarked.strip())
    app.interrupted = "part of it is removed; lab down again removes the rest"
    with showing(mode, app.environ) as progress:
        for name in names:
            with app.lock(name, yes=yes):
                app.backend.delete(name, progress.say, list(nodes) or None)
    click.echo(f"removed {what}")


def _unmarked(record: LabRecord) -> str:
    """A line about what has a name of the lab's and does not say whose it is; "" if there is none."""
    if not record.strays:
        return ""
    return f"\nCalled as lab {record.lab}, and without its label: {', '.join(record.strays)}."


def _meant(app: App, lab: str | None, *, everything: bool, orphans: bool) -> Sequence[LabRecord]:
    from lab.account import account_name
    from lab.cli.ls import is_marked, is_orphan

    name = "" if everything or orphans else app.lab_name(lab)
    records = app.backend.labs()
    if everything:
        return [one for one in records if one.owner in ("", account_name()) and is_marked(one)]
    if orphans:
        return [one for one in records if is_orphan(one) and is_marked(one)]
    return [one for one in records if one.lab == name]


def _check_nodes(app: App, lab: str, nodes: Sequence[str]) -> None:
    from lab.errors import UsageError

    if not nodes:
        return
    known = app.record(lab).nodes
    unknown = [node for node in nodes if node not in known]
    if unknown:
        raise UsageError(f"lab {lab} has no {', '.join(unknown)}", evidence=f"there are: {', '.join(known)}")
