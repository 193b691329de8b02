"""`lab credentials`: shows the accounts of the lab and the MACs to register."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from lab.cli.app import App
from lab.cli.options import json_option, lab_option

if TYPE_CHECKING:
    from lab.cluster.cluster import Cluster

PLACE = "/etc/rackling/credentials.json"
READ_SECONDS, READ_MOST = 10.0, 1 << 18


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
    from lab.hostile_json import read_json

    done = cluster.sms.execute(f"head -c {READ_MOST} {PLACE}", timeout=READ_SECONDS)
    if done.status != 0:
        raise LabError(
            "the accounts cannot be read from the SMS", evidence=done.stderr.strip(), hint="lab status"
        )
    try:
        last = done.stdout.strip().rpartition("\n")[2]  # a profile may print a greeting first
        users = read_json(last)["users"]
        return [{"name": _word(user["name"]), "password": _word(user["password"])} for user in users]
    except (ValueError, KeyError, TypeError) as problem:
        raise LabError(
            f"{PLACE} on the SMS has an unexpected form",
            evidence=f"{type(problem).__name__}: {problem}",
            hint="lab restore handout writes it again",
        ) from problem


def _word(value: object) -> str:
    """A name or a password: visible ASCII, so that a table of them cannot be mistaken for anything else."""
    from lab.hostile_json import text_of

    if not re.fullmatch("[!-~]{1,100}", text_of(value)):
        raise ValueError("a name or a password is no word")
    return str(value)
