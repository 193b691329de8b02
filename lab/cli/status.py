"""`lab status`: how each node stands, by one look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lab.cli.app import App
from lab.cli.options import json_option, lab_option

if TYPE_CHECKING:
    from lab.model import NodeStatus
    from lab.probes import Reading

_WORDS = {"yes": "well", "no": "not yet", "unknown": "could not look"}


@click.command("status", short_help="Show how each node stands.")
@lab_option
@json_option
@click.pass_obj
def command(app: App, lab: str | None, as_json: bool) -> None:
    """Show how each node stands.

    Asks the engine's labels and the SMS once; needs no configuration and never waits for the lab.
    """
    from lab.cli.output import show_json, show_table
    from lab.probes import judge

    spec = app.known_spec(lab)
    with app.cluster(spec) as cluster:
        view = cluster.look(quick=True)
    readings = judge(spec, view, [node.name for node in spec.nodes])
    if as_json:
        rows = [as_row(reading, view.statuses.get(reading.node)) for reading in readings]
        show_json({"lab": spec.lab, "nodes": rows})
        return
    show_table(
        ("NODE", "ROLE", "POWER", "STAGE", "STATE", "DETAIL"),
        [
            (
                reading.node,
                spec.node(reading.node).role.value,
                str(row["power"]),
                str(row["stage"]),
                _state(reading),
                _detail(reading),
            )
            for reading in readings
            for row in [as_row(reading, view.statuses.get(reading.node))]
        ],
    )


def as_row(reading: Reading, status: NodeStatus | None = None) -> dict[str, object]:
    """A reading as plain data, with what the engine says of the node where it was asked."""
    row: dict[str, object] = {
        "node": reading.node,
        "probe": reading.probe,
        "answer": reading.answer.value,
        "evidence": reading.evidence,
    }
    if status is not None:
        row |= {"power": status.power.value, "stage": status.stage, "since": status.since}
    else:
        row |= {"power": "absent", "stage": "", "since": None}
    return row


def _state(reading: Reading) -> str:
    from lab.probes import Outlook

    return "left so" if reading.outlook is Outlook.LEFT else _WORDS[reading.answer.value]


def _detail(reading: Reading) -> str:
    return f"{reading.probe}: {reading.evidence}" if reading.evidence else reading.probe
