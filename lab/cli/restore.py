"""`lab restore`: returns the lab to a snapshot."""

from __future__ import annotations

import click

from lab.cli.app import App
from lab.cli.options import lab_option, progress_option, timeout_option, wait_option, yes_option


@click.command("restore", short_help="Return the lab to a snapshot.")
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
    """Return the lab to a snapshot, from any state.

    Nodes that were powered off in the snapshot are powered off again.
    """
    from lab.cli.progress_display import showing
    from lab.errors import UsageError, closest

    spec = app.known_spec(lab)
    kept = app.backend.snapshots(spec.lab)
    if name not in kept:
        near = closest(name, kept)
        raise UsageError(
            f"lab {spec.lab} has no snapshot called {name}",
            evidence=f"its snapshots: {', '.join(kept)}" if kept else "it has no snapshot",
            hint=f"lab restore {near}" if near else "lab snapshot lists the snapshots",
        )
    app.confirm(f"Return lab {spec.lab} to {name}? All changes since then will be lost.", yes=yes)
    app.interrupted = f"the lab is between two states; lab restore {name} continues"
    with (
        showing(mode, app.environ) as progress,
        app.cluster(spec, progress) as cluster,
        app.lock(spec.lab, yes=yes),
    ):
        if timeout is not None:
            cluster.timeout = timeout
        cluster.restore(name, wait=wait)
    click.echo(f"lab {spec.lab} is restored to {name}")
