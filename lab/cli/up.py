"""`lab up`: brings the lab up, or changes it to match the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lab.cli.app import App
from lab.cli.options import (
    config_option,
    json_option,
    lab_option,
    nodes_argument,
    progress_option,
    set_option,
    timeout_option,
    wait_option,
    yes_option,
)

if TYPE_CHECKING:
    from lab.backends.actions import Action
    from lab.cluster.cluster import Cluster
    from lab.cluster.readiness import Reading
    from lab.model import ClusterSpec


@click.command("up", short_help="Bring the lab up, or change it to what lab.toml says.")
@nodes_argument(required=False)
@lab_option
@config_option
@set_option
@wait_option
@timeout_option
@click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing.")
@yes_option
@json_option
@progress_option
@click.pass_obj
def command(  # noqa: PLR0917 - click hands each option over by name
    app: App,
    nodes: tuple[str, ...],
    lab: str | None,
    config: Path | None,
    sets: tuple[str, ...],
    wait: bool,
    timeout: float | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    mode: str,
) -> None:
    """Bring the lab up, or change it to what lab.toml says.

    It prints its plan first, and asks before a node is removed or remade. A second run changes nothing.
    With NODEs, only these (and the SMS) are powered on and waited for. An existing lab keeps its
    configuration unless lab.toml or --set says otherwise.
    """
    spec = wanted_spec(app, config, sets, lab)
    if dry_run:
        with app.cluster(spec) as cluster:
            _show_plan(cluster, nodes, as_json=as_json)
        return
    made: list[str] = []
    readings = bring_up(app, spec, mode, nodes, yes=yes, wait=wait, timeout=timeout, made=made)
    _show(spec, readings, as_json=as_json)
    if made and not as_json and mode != "json":
        _offer_sizes(spec, made)


def bring_up(
    app: App,
    spec: ClusterSpec,
    mode: str,
    nodes: tuple[str, ...] = (),
    *,
    yes: bool,
    wait: bool = True,
    timeout: float | None = None,
    made: list[str] | None = None,
) -> Sequence[Reading]:
    """Makes the lab what its specification says, and shows the progress; asks before something is lost.

    Adds to `made` the nodes that it makes.
    """
    from lab.backends.actions import Verb, nodes_of
    from lab.cli.progress_display import showing

    def confirm(actions: Sequence[Action]) -> None:
        _confirm(app, actions, spec, yes=yes)
        if made is not None:
            made.extend(nodes_of(actions, Verb.CREATE, Verb.REMAKE))

    app.interrupted = f"lab {spec.lab} is incomplete; lab up completes it, lab down removes it"
    with (
        showing(mode, app.environ) as progress,
        app.cluster(spec, progress) as cluster,
        app.lock(spec.lab, yes=yes),
    ):
        if timeout is not None:
            cluster.timeout = timeout
        return cluster.up(nodes, wait=wait, confirm=confirm)


def _offer_sizes(spec: ClusterSpec, made: Sequence[str]) -> None:
    from lab.cli.output import note
    from lab.cli.sizes import available_memory, offer

    for line in offer(spec, made, available_memory()).splitlines():
        note(line)


def wanted_spec(app: App, config: Path | None, sets: Sequence[str], lab: str | None) -> ClusterSpec:
    """The specification of the lab to bring up, and its backend opened."""
    spec = _wanted(app, config, sets, lab)
    if spec.backend != app.backend.name:
        app.backend = app.open_backend(spec.backend)
    return spec


def _wanted(app: App, config: Path | None, sets: Sequence[str], lab: str | None) -> ClusterSpec:
    """The configured specification; the recorded one where nothing is configured and the lab exists."""
    spec = app.spec(config, sets, lab)
    if app.config_path(config) is not None or sets or app.environ.get("LAB_SET"):
        return spec
    if spec.backend != app.backend.name:
        return spec
    for record in app.backend.labs():
        if record.lab == spec.lab and record.spec is not None:
            return replace(record.spec, backend=spec.backend)
    return spec


def _show_plan(cluster: Cluster, nodes: Iterable[str], *, as_json: bool) -> None:
    from lab.cli.output import show_json

    actions = cluster.plan(nodes)
    if as_json:
        listed = [{"action": a.verb.value, "nodes": list(a.nodes), "reason": a.reason} for a in actions]
        show_json({"lab": cluster.spec.lab, "plan": listed})
        return
    for number, action in enumerate(actions, start=1):
        click.echo(f"{number}. {action.text}")


def _confirm(app: App, actions: Sequence[Action], spec: ClusterSpec, *, yes: bool) -> None:
    """Asks about the plan that is about to be executed, where it destroys what is on a node's disk."""
    from lab.cluster.plan import losing

    if lost := "\n".join(f"  {action.text}" for action in losing(actions)):
        app.confirm(f"lab {spec.lab}:\n{lost}\nAll data on these nodes will be lost. Continue?", yes=yes)


def _show(spec: ClusterSpec, readings: Sequence[Reading], *, as_json: bool) -> None:
    from lab.cli.output import note, show_json
    from lab.cli.progress_display import describe
    from lab.cluster.rows import as_row

    if as_json:
        show_json({"lab": spec.lab, "nodes": [as_row(reading) for reading in readings]})
        return
    from lab.cluster.readiness import ProbeResult

    for reading in readings:
        if reading.answer is not ProbeResult.YES:
            note(f"not changed: {describe(reading)}")
    click.echo(f"lab {spec.lab} is {'up' if readings else 'starting; lab status shows its progress'}")
