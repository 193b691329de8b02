"""`lab portal`: JupyterLab beside a whole Slurm, to try both with one command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lab.cli.app import App
from lab.cli.options import json_option, progress_option, yes_option

if TYPE_CHECKING:
    from lab.backends.docker.portal import Portal, Portals

RELEASES = ("trixie", "forky")
name_argument = click.argument("name", default="portal", metavar="[NAME]", envvar="LAB_PORTAL")


@click.group("portal", short_help="Run JupyterLab beside a whole Slurm.")
def command() -> None:
    """Run JupyterLab beside a whole Slurm, in two containers of Docker's; no lab is needed."""


@command.command("up")
@name_argument
@click.option("--release", type=click.Choice(RELEASES), default=RELEASES[0], help="Slurm 24.11 or 26.05.")
@click.option(
    "--port",
    type=click.IntRange(1024, 65535),
    help="Port on this host's loopback; any free one if not given.",
)
@json_option
@progress_option
@click.pass_obj
def up(app: App, name: str, release: str, port: int | None, as_json: bool, mode: str) -> None:
    """Bring the portal up, and print an address of its page that works once.

    The user of the page gets a token of Slurm's from slurm-token, for ten minutes at a time; no key is in the
    notebook's container. If the portal stands already, only a new address is printed.
    """
    from lab.cli.images import bring_up_to_date
    from lab.cli.output import show_json
    from lab.cli.progress_display import showing

    portals = _portals(name)
    standing = portals.find(name)
    _check_owner(app, standing, yes=False)
    if standing and standing.release not in ("", release):
        _refuse(name, f"is of {standing.release}")
    if standing and port and standing.port not in (0, port):
        _refuse(name, f"has port {standing.port}")
    bring_up_to_date(app, mode, (f"slurm-single-node-{release}", f"slurm-jupyter-{release}"))
    app.interrupted = f"part of it stands; lab portal up {name} continues, lab portal down {name} removes it"
    with showing(mode, app.environ) as progress, app.lock(f"+portal-{name}"):
        portals.up(name, release, port or 0, progress.say)
    address = portals.address(name)
    if as_json:
        show_json({"portal": name, "release": release, "address": address})
        return
    click.echo(address)


@command.command("down")
@name_argument
@yes_option
@click.pass_obj
def down(app: App, name: str, yes: bool) -> None:
    """Remove the portal with all that belongs to it, the user's files included."""
    from lab.cli.output import note

    portals = _portals(name)
    standing = portals.find(name)
    if standing is None:
        note(f"there is no portal called {name}")
        return
    _check_owner(app, standing, yes=yes)
    app.confirm(f"Remove portal {name}? All files in it are lost.", yes=yes)
    app.interrupted = f"part of it is removed; lab portal down {name} removes the rest"
    with app.lock(f"+portal-{name}"):
        portals.down(name)
    click.echo(f"removed portal {name}")


@command.command("status")
@json_option
def status(as_json: bool) -> None:
    """Show every portal on this host."""
    from dataclasses import asdict

    from lab.backends.docker.portal import Portals
    from lab.cli.output import note, show_json, show_table

    found = Portals().every()
    if as_json:
        show_json({"portals": [asdict(one) for one in found]})
        return
    if not found:
        note("there is no portal; lab portal up creates one")
        return
    show_table(
        ("PORTAL", "RELEASE", "STATE", "PORT", "OWNER", "CREATED", "PAGE"),
        [
            (one.name, one.release, one.state, str(one.port or ""), one.owner, one.created, one.evidence)
            for one in found
        ],
    )


def _portals(name: str) -> Portals:
    from lab.backends.docker.portal import Portals, check_name

    check_name(name)
    return Portals()


def _refuse(name: str, what: str) -> None:
    from lab.errors import UsageError

    raise UsageError(f"portal {name} {what}", hint=f"lab portal down {name}, or give another name")


def _check_owner(app: App, standing: Portal | None, *, yes: bool) -> None:
    from lab.account import account_name

    if standing and standing.owner not in ("", account_name()):
        app.confirm(f"Portal {standing.name} belongs to {standing.owner}. Go on?", yes=yes)
