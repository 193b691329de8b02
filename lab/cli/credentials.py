"""`lab credentials`: shows the accounts of the lab and the MACs to register."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from lab.cli.app import App
from lab.cli.options import json_option, lab_option

if TYPE_CHECKING:
    from lab.cluster.cluster import Cluster

PLACE = "/etc/rackling/credentials.json"
READ_SECONDS = 10.0


@click.command("credentials", short_help="Show the accounts and passwords of this lab.")
@lab_option
@json_option
@click.pass_obj
def command(app: App, lab: str | None, as_json: bool) -> None:
    """Show the accounts and passwords of this lab, and the MAC and address of its login nodes."""
    from lab.cli.output import show_json, show_table
    from lab.model import Role

    spec = app.known_spec(lab)
    with app.cluster(spec) as cluster:
        users = _users(cluster)
    macs = [(node.name, node.mac, str(node.address)) for node in spec.nodes if node.role is Role.LOGIN]
    if as_json:
        listed = [{"node": name, "mac": mac, "address": address} for name, mac, address in macs]
        show_json({"lab": spec.lab, "users": users, "login": listed})
        return
    show_table(("USER", "PASSWORD"), [(user["name"], user["password"]) for user in users])
    if macs:
        click.echo()
        show_table(("NODE", "MAC", "ADDRESS"), macs)


def _users(cluster: Cluster) -> list[dict[str, Any]]:
    from lab.errors import LabError

    done = cluster.sms.execute(f"cat {PLACE}", timeout=READ_SECONDS)
    if done.status != 0:
        raise LabError(
            "the accounts cannot be read from the SMS", evidence=done.stderr.strip(), hint="lab status"
        )
    try:
        found = json.loads(done.stdout.strip().rpartition("\n")[2])[
            "users"
        ]  # a profile may print a greeting first
        return [{"name": str(user["name"]), "password": str(user["password"])} for user in found]
    except (ValueError, KeyError, TypeError) as problem:
        raise LabError(
            f"{PLACE} on the SMS has an unexpected form",
            evidence=repr(problem),
            hint="lab restore handout writes it again",
        ) from problem
