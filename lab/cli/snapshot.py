"""`lab snapshot`: keeps the lab's state under a name."""

from __future__ import annotations

import re

import click

from lab.cli.app import App
from lab.cli.options import json_option, lab_option, progress_option

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")


@click.command("snapshot", short_help="Keep the lab's present state under a name.")
@click.argument("name", required=False, metavar="[NAME]")
@lab_option
@json_option
@progress_option
@click.pass_obj
def command(app: App, name: str | None, lab: str | None, as_json: bool, mode: str) -> None:
    """Keep the lab's present state under a name; without a NAME, list what is kept.

    A snapshot of the same name is replaced.
    """
    from lab.cli.live import showing
    from lab.cli.output import note, show_json, show_table
    from lab.errors import UsageError

    spec = app.known_spec(lab)
    if name is None:
        kept = app.backend.snapshots(spec.lab)
        if as_json:
            show_json({"lab": spec.lab, "snapshots": list(kept)})
        elif kept:
            show_table(("SNAPSHOT",), [(item,) for item in kept])
        else:
            note(f"lab {spec.lab} has no snapshot; lab snapshot NAME keeps one")
        return
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot name a snapshot", hint="letters, digits, and . _ : - within")
    app.interrupted = f"no snapshot {name} was kept; the lab goes on"
    with (
        showing(mode, app.environ) as progress,
        app.cluster(spec, progress) as cluster,
        app.lock(spec.lab),
    ):
        cluster.snapshot(name)
    if as_json:
        show_json({"lab": spec.lab, "snapshots": list(app.backend.snapshots(spec.lab))})
    else:
        click.echo(f"kept as {name}; lab restore {name} goes back to it")
