"""`lab restore`: puts the lab back to a snapshot."""

from __future__ import annotations

import difflib

import click

from lab.cli.app import App
from lab.cli.options import lab_option, progress_option, timeout_option, wait_option, yes_option


@click.command("restore", short_help="Put the lab back to a snapshot.")
@click.argument("name")
@lab_option
@wait_option
@timeout_option
@yes_option
@progress_option
@click.pass_obj
def command(
    app: App, name: str, lab: str | None, wait: bool, timeout: float | None, yes: bool, mode: str
) -> None:
    """Put the lab back to a snapshot, whatever state it is in.

    Nodes get the power they had when the snapshot was taken.
    """
    from lab.cli.progress_display import showing
    from lab.errors import UsageError

    spec = app.known_spec(lab)
    kept = app.backend.snapshots(spec.lab)
    if name not in kept:
        close = difflib.get_close_matches(name, kept, n=1)
        raise UsageError(
            f"lab {spec.lab} has no snapshot {name}",
            evidence=f"there are: {', '.join(kept)}" if kept else "there is none",
            hint=f"lab restore {close[0]}" if close else "lab snapshot lists them",
        )
    app.confirm(f"Put lab {spec.lab} back to {name}? What was done since then is lost.", yes=yes)
    app.interrupted = f"the lab is between two states; lab restore {name} again completes it"
    with (
        showing(mode, app.environ) as progress,
        app.cluster(spec, progress) as cluster,
        app.lock(spec.lab),
    ):
        if timeout is not None:
            cluster.timeout = timeout
        cluster.restore(name, wait=wait)
    click.echo(f"lab {spec.lab} is back at {name}")
