"""`lab web`: shows the lab and the course as a page in a browser on this host."""

from __future__ import annotations

import sys

import click

from lab.cli.app import App
from lab.cli.options import json_option, lab_option, yes_option
from lab.errors import LabError
from lab.paths import PACKAGE

PINS = PACKAGE.parent / "requirements" / "class.txt"  # in a checkout only


@click.command("web", short_help="Show lab and course as a page in your browser.")
@lab_option
@click.option(
    "--port",
    type=click.IntRange(1024, 65535),
    help="Port on this host's loopback; any free one if not given.",
)
@click.option("--open", "open_it", is_flag=True, help="Open the page in this desktop's browser.")
@click.option("--fetch", "fetch_it", is_flag=True, help="Only have npm fetch xterm.js, the page's terminal.")
@yes_option
@json_option
@click.pass_obj
def command(
    app: App, lab: str | None, port: int | None, *, open_it: bool, fetch_it: bool, yes: bool, as_json: bool
) -> None:
    """Show the lab and the course as a page in a browser on this host, until Ctrl-C.

    The page has the exercise's text, its checks and hints, terminals on every node, and the rack with what
    each node does. The address that is printed signs one browser in, once. Nobody else on the network
    reaches the page; other accounts of this host need the address.
    """
    from lab.cli.context import open_catalog
    from lab.cli.output import note, show_json

    _require_extra()
    from lab.web import browser_parts
    from lab.web.seat import Lab
    from lab.web.server import Page

    cache = app.paths.cache / "web"
    if fetch_it:
        note(f"xterm.js is in {browser_parts.fetch(cache).script.parent}")
        return
    parts = browser_parts.find(cache)
    spec = app.known_spec(lab)
    app.agree_owner(spec.lab, yes=yes)
    seat = Lab(spec.lab, app.backend, open_catalog(), app.paths.data, " ".join(["lab", *app.argv]))
    page = Page(seat, parts, port or 0)
    app.interrupted = "the page and its shells are closed; the lab stays as it is"

    def ready() -> None:
        address = page.address()
        if as_json:
            show_json({"lab": spec.lab, "address": address})
        else:
            click.echo(address)
            note("this address works once; Ctrl-C closes the page")
        if open_it:
            click.launch(address)

    try:
        page.serve(ready)
    finally:
        if cut := page.busy():
            app.interrupted = f"the page is closed in the middle of {cut}; lab up -l {spec.lab} completes it"


def _require_extra() -> None:
    try:
        import starlette
        import uvicorn
        import websockets
    except ImportError as problem:
        wanted = f"--require-hashes -r {PINS}" if PINS.exists() else "'rackling[class]'"
        raise LabError(
            f"the page needs the extra class of rackling: {problem.name} is not installed",
            hint=f"{sys.executable} -m pip install {wanted}",
        ) from problem
    del starlette, uvicorn, websockets
