"""`lab power`: powers nodes on and off."""

from __future__ import annotations

import click

from lab.cli.app import App
from lab.cli.options import lab_option, nodes_argument, progress_option, timeout_option, wait_option


@click.command("power", short_help="Power nodes on, off, or off and on.")
@click.argument("action", type=click.Choice(["on", "off", "cycle", "reset"]))
@nodes_argument(required=True)
@click.option("--hard", is_flag=True, help="With off and cycle: cut the power instead of shutting down.")
@lab_option
@wait_option
@timeout_option
@progress_option
@click.pass_obj
def command(
    app: App,
    action: str,
    nodes: tuple[str, ...],
    hard: bool,
    lab: str | None,
    wait: bool,
    timeout: float | None,
    mode: str,
) -> None:
    """Power nodes on, off, or off and on.

    off shuts the node's system down; cycle is off, then on; reset cuts the power and restores it.
    Other nodes are not affected.
    """
    from lab.cli.progress_display import showing
    from lab.cluster.plan import check_names

    spec = app.known_spec(lab)
    check_names(spec, nodes)
    app.interrupted = f"some nodes may be off; lab power on {' '.join(nodes)} powers them on"
    with (
        showing(mode, app.environ) as progress,
        app.cluster(spec, progress) as cluster,
        app.lock(spec.lab),
    ):
        if timeout is not None:
            cluster.timeout = timeout
        if action == "on":
            cluster.power_on(nodes, wait=wait)
        elif action == "off":
            cluster.power_off(nodes, hard=hard)
        else:
            cluster.cycle(*nodes, hard=hard or action == "reset", wait=wait)
    click.echo(f"power {action}: {', '.join(nodes)}")
