"""`lab ls`: lists every lab of one backend on this host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lab.cli.app import App
from lab.cli.options import json_option

if TYPE_CHECKING:
    from lab.model import LabRecord


@click.command("ls", short_help="List every lab of one backend.")
@json_option
@click.pass_obj
def command(app: App, as_json: bool) -> None:
    """List every lab of one backend on this host.

    The backend is the chosen one: `lab --backend libvirt ls` lists labs of virtual machines.

    An orphan is what is left of a lab that has lost its SMS or its description.
    """
    from lab.cli.output import note, show_json, show_table

    records = app.backend.labs()
    if as_json:
        show_json({"labs": [_as_dict(record) for record in records]})
        return
    if not records:
        note(f"there is no lab on backend {app.backend_name}; lab up creates one")
        return
    show_table(
        ("LAB", "BACKEND", "OWNER", "CREATED", "RUNNING", "NOTE"),
        [
            (
                record.lab,
                record.backend,
                record.owner,
                record.created,
                f"{record.running}/{len(record.nodes)}",
                _note(record),
            )
            for record in records
        ],
    )


def _note(record: LabRecord) -> str:
    if record.strays:
        return f"without its label: {', '.join(record.strays)}; lab down -l {record.lab}"
    if record.pending:
        return f"restore of {record.pending} interrupted: lab up -l {record.lab}"
    return f"orphan: lab down -l {record.lab}" if is_orphan(record) else ""


def is_orphan(record: LabRecord) -> bool:
    """Whether the lab has lost its description or its SMS."""
    return record.spec is None or record.spec.sms.name not in record.nodes


def is_marked(record: LabRecord) -> bool:
    """Whether anything says that it is this lab's; else only names do, and it may be somebody's."""
    return not record.strays or bool(record.created)


def _as_dict(record: LabRecord) -> dict[str, object]:
    return {
        "lab": record.lab,
        "backend": record.backend,
        "owner": record.owner,
        "created": record.created,
        "nodes": list(record.nodes),
        "running": record.running,
        "orphan": is_orphan(record),
        "pending": record.pending,
        "unlabelled": list(record.strays),
    }
