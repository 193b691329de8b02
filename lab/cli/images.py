"""`lab images`: builds and lists the images of nodes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from lab.cli.app import App
from lab.cli.options import json_option, progress_option

if TYPE_CHECKING:
    from lab.images.pipeline import ImageRecord

LOCK = "+images"  # no lab can have this name; two builds at once would move each other's image names


@click.group("images", short_help="Build and list the node images.")
def command() -> None:
    """Build and list the node images."""


@command.command("build")
@click.argument("names", nargs=-1, metavar="[IMAGE]...")
@click.option("--all", "every", is_flag=True, help="Build every image, those that no lab needs included.")
@click.option("--force", is_flag=True, help="Build again what has not changed.")
@progress_option
@click.pass_obj
def build_images(app: App, names: tuple[str, ...], every: bool, force: bool, mode: str) -> None:
    """Build the named images, or those that a lab needs; only what has changed is built.

    With the backend libvirt and without names, build the disk of the SMS. A name means a container
    image, but sms-jupyter is a disk there.
    """
    from lab.images import recipe

    if every and names:
        raise click.UsageError("--all builds every image: leave out the names, or --all")
    bring_up_to_date(app, mode, recipe.names() if every else names, force=force)
    click.echo("the images are up to date")


def bring_up_to_date(app: App, mode: str, names: tuple[str, ...] = (), *, force: bool = False) -> None:
    """Builds the named images, or those a lab needs on this backend, and shows the progress."""
    from lab.cli.progress_display import showing
    from lab.cli.signals import ended_by_exit
    from lab.images.leftovers import remove_leftovers
    from lab.images.pipeline import kept_names
    from lab.images.provider import images_of
    from lab.paths import private_folder

    app.interrupted = "finished images are kept; lab images build continues"
    with (
        ended_by_exit(),
        showing(mode, app.environ) as progress,
        app.lock(LOCK, wait=progress.say),
    ):
        cache = private_folder(app.paths.cache)
        images_of(app.backend).build(names, cache, progress.say, force=force)
        remove_leftovers(cache, kept_names(), time.time())


@command.command("ls")
@json_option
@click.pass_obj
def list_images(app: App, as_json: bool) -> None:
    """List the images, whether built or not.

    BUILT is outdated where there is only an image of an earlier recipe, of which new nodes would be made.
    """
    from lab.cli.output import note, show_json, show_table
    from lab.images.provider import images_of

    records = images_of(app.backend).inventory(optional=True)
    shared = app.backend.shared_states
    states = shared.list() if shared else ()
    taken = sum(state.size for state in states)
    if as_json:
        rows = [
            {
                "name": r.name,
                "key": r.key,
                "built": r.built,
                "outdated": r.outdated,
                "size": r.size,
                "created": r.created,
            }
            for r in records
        ]
        show_json({"images": rows, "states": {"count": len(states), "size": taken}})
        return
    show_table(
        ("IMAGE", "BUILT", "SIZE", "CREATED", "KEY"),
        [(r.name, _built(r), f"{r.size / 2**20:.0f} MiB", r.created, r.key[:12]) for r in records],
    )
    if states:
        note(
            f"start states of exercises: {len(states)}, {taken / 2**20:.0f} MiB; "
            "lab snapshot --list shows them"
        )


def _built(record: ImageRecord) -> str:
    return "yes" if record.built else "outdated" if record.outdated else "no"
