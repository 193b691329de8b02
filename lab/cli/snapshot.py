"""`lab snapshot`: saves the lab's state under a name, and lists or deletes snapshots."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING

import click

from lab.backends.base import HANDOUT
from lab.cli.app import App
from lab.cli.options import json_option, lab_option, progress_option

if TYPE_CHECKING:
    from lab.backends.base import State

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")


@click.command("snapshot", short_help="Save the lab's state under a name.")
@click.argument("name", required=False, metavar="[NAME]")
@click.option("--list", "listing", is_flag=True, help="List the snapshots, as without NAME.")
@click.option("--delete", is_flag=True, help="Delete the snapshots that match NAME; * and ? are wildcards.")
@lab_option
@json_option
@progress_option
@click.pass_obj
def command(
    app: App, name: str | None, lab: str | None, listing: bool, delete: bool, as_json: bool, mode: str
) -> None:
    """Save the lab's state under a name; without NAME, list the snapshots.

    A snapshot of the same name is replaced. Start states of exercises (after-…) are made when an
    exercise first needs them, and serve every lab; a deleted start state is made again when needed.
    They outlive all labs: --list and --delete find them where there is no lab, too.
    """
    from lab.cli.progress_display import showing
    from lab.errors import UsageError

    if delete and (name is None or listing):
        raise UsageError(
            "--delete needs a NAME", hint="lab snapshot --delete NAME; lab snapshot lists the names"
        )
    if delete:
        _delete(app, lab, str(name))
        return
    if name is None or listing:
        _list(app, lab, as_json=as_json)
        return
    spec = app.known_spec(lab)
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not a valid snapshot name", hint="use letters, digits and . _ : -")
    app.interrupted = f"snapshot {name} was not made; the lab is unchanged"
    with (
        showing(mode, app.environ) as progress,
        app.cluster(spec, progress) as cluster,
        app.lock(spec.lab),
    ):
        cluster.snapshot(name)
    if as_json:
        _list(app, lab, as_json=True)
    else:
        click.echo(f"saved as {name}; lab restore {name} returns to it")


def _list(app: App, lab: str | None, *, as_json: bool) -> None:
    from lab.cli.output import note, show_json, show_table

    name, kept, states = _all(app, lab)
    if as_json:
        listed = [{"name": s.name, "created": s.created, "size": s.size} for s in states]
        show_json({"lab": name, "snapshots": list(kept), "states": listed})
    elif kept or states:
        if not kept:
            note(f"there is no lab called {name}; every lab has these start states")
        rows = [(item, f"lab {name}", "") for item in kept]
        rows += [(state.name, "every lab", f"{state.size / 2**20:.0f} MiB") for state in states]
        show_table(("NAME", "FOR", "SIZE"), rows)
    else:
        note(f"there is no lab called {name}, and no start state")


def _all(app: App, lab: str | None) -> tuple[str, tuple[str, ...], tuple[State, ...]]:
    """The lab's name, its snapshots (none if there is no such lab) and the start states of all labs."""
    name, shared = app.lab_name(lab), app.backend.shared_states
    exists = any(record.lab == name for record in app.backend.labs())
    return name, app.backend.snapshots(name) if exists else (), shared.list() if shared else ()


def _delete(app: App, lab: str | None, pattern: str) -> None:
    from lab.errors import UsageError

    with app.lock(app.lab_name(lab)):
        of, kept, shared_states = _all(app, lab)
        mine = [name for name in kept if name != HANDOUT and fnmatch.fnmatch(name, pattern)]
        states = [state.name for state in shared_states if fnmatch.fnmatch(state.name, pattern)]
        if not mine and not states:
            why = "the snapshot handout takes no space and cannot be deleted" if pattern == HANDOUT else ""
            raise UsageError(f"no snapshot matches {pattern}", evidence=why, hint="lab snapshot --list")
        for name in mine:
            app.backend.forget(of, name)
        if app.backend.shared_states:
            app.backend.shared_states.delete(states)
    click.echo(f"deleted {', '.join([*mine, *states])}")
