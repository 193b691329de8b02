"""`lab doctor`: tests whether this host can run labs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lab.cli.app import App
from lab.cli.options import json_option
from lab.errors import Exit, LabError

if TYPE_CHECKING:
    from lab.backends.base import Finding, Protection

NEEDED_GIB = 5.0  # for the images, for building them, and for what changes in a lab
NEEDED_INSTANCES = 8192
INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
_MARKS = {True: ("ok", "green"), False: ("FAILED", "red"), None: ("unknown", "magenta")}
_GIVEN = {True: "yes", False: "no", None: "unknown"}
_HEADINGS = ("PROTECTION", "HERE", "PROTECTS", "EVIDENCE", "WHAT TO DO")
_FOLDED = 3  # of these columns


@click.command("doctor", short_help="Test whether this host can run labs, and name fixes.")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Test whether this host can run labs, and name fixes.

    A table says what protects this host from root in a node. None of its rows changes the exit status.

    Exit status: 0 everything is there; 3 something is missing; 5 something could not be tested.
    """
    from lab.cli.output import show_json
    from lab.printable import LONG, printable_line

    app: App = ctx.obj
    capabilities = app.backend.probe()
    findings = [*capabilities.findings, *_findings(app, usable=capabilities.usable)]
    protections = capabilities.protections()
    if as_json:
        show_json({"findings": list(map(vars, findings)), "protections": list(map(vars, protections))})
    else:
        for found in findings:
            word, colour = _MARKS[found.ok]
            click.secho(f"{word:7}  ", fg=colour, nl=False)
            click.echo(printable_line(f"{found.subject}: {found.evidence}", LONG))
            if found.ok is not True and found.fix:
                click.echo(f"{'':7}  fix: {printable_line(found.fix, LONG)}")
        _show_protections(protections)
    ctx.exit(_verdict(findings))


def _show_protections(protections: Sequence[Protection]) -> None:
    """Shows the table, where there is an engine to look at."""
    from lab.cli.output import show_table

    if not protections:
        return
    click.echo("\nProtection of this host from root in a node (docs/security.md):")
    rows = [
        (one.name, _GIVEN[one.given], one.protects, one.evidence, "" if one.given else one.advice)
        for one in protections
    ]
    show_table(_HEADINGS, rows, folded=_FOLDED)


def _verdict(findings: list[Finding]) -> Exit:
    if any(found.ok is False for found in findings):
        return Exit.BROKEN
    return Exit.UNKNOWN if any(found.ok is None for found in findings) else Exit.OK


def _findings(app: App, *, usable: bool) -> Iterator[Finding]:
    from lab.backends.base import Finding

    looks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("disk space", lambda: _disk(app)),
        ("inotify instances", _inotify),
        *([("images", lambda: _images(app))] if usable else []),
    )
    for subject, find in looks:
        try:
            yield find()
        except (OSError, ValueError) as problem:
            yield Finding(subject, None, str(problem), "")
        except LabError as problem:
            yield Finding(subject, None, problem.message, problem.hint)


def _disk(app: App) -> Finding:
    """Tests the fullest of the disks that a lab is written to."""
    from lab.backends.base import Finding

    storage = app.backend.storage()
    folders = [_there(folder) for folder in (storage.folder, app.paths.data) if folder is not None]
    places = [(shutil.disk_usage(place).free / 2**30, place) for place in folders]
    free, place = min(places, key=lambda one: one[0])
    evidence = f"{free:.1f} GiB free in {place}, {NEEDED_GIB:.0f} needed"
    return Finding("disk space", free >= NEEDED_GIB, evidence, storage.cleanup)


def _there(folder: Path) -> Path:
    """Returns the folder, or its nearest parent that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _inotify() -> Finding:
    from lab.backends.base import Finding

    limit = int(INSTANCES.read_text())
    return Finding(
        "inotify instances",
        limit >= NEEDED_INSTANCES,
        f"the limit for each user is {limit}; ten labs need {NEEDED_INSTANCES}",
        f"sudo sysctl fs.inotify.max_user_instances={NEEDED_INSTANCES}",
    )


def _images(app: App) -> Finding:
    from lab.backends.base import Finding
    from lab.images.provider import images_of

    found = images_of(app.backend).inventory(optional=True)
    missing = [record.name for record in found if record.needed and not record.built]
    outdated = [record.name for record in found if record.variant and record.outdated]
    lists = (("not built", missing), ("outdated, and labs that are made of them are refused", outdated))
    evidence = "; ".join(f"{what}: {', '.join(names)}" for what, names in lists if names)
    fix = " ".join(["lab --backend", app.backend.name, "images build", *outdated])
    return Finding("images", not evidence, evidence or "all are up to date", fix)
