"""`lab setup`: from an engine that answers to a lab, with its first exercise proven."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lab.account import account_name
from lab.cli.app import App
from lab.cli.options import json_option, lab_option, progress_option
from lab.cli.output import note
from lab.cli.signals import ended_by_exit
from lab.errors import LabError, UsageError
from lab.printable import console_text

if TYPE_CHECKING:
    from lab.checks.judgement import Judgement
    from lab.course.catalog import Exercise
    from lab.model import ClusterSpec

PACKAGES = {
    "docker": "docker.io mmdebstrap debian-archive-keyring uidmap",
    "libvirt": "libvirt-daemon-system libvirt-clients "
    "qemu-system-x86 qemu-utils ipxe-qemu e2fsprogs fdisk dosfstools "
    "openssh-client iproute2 mmdebstrap debian-archive-keyring uidmap libvirt-dev pkg-config gcc python3-dev",
}
"""Debian's packages that a backend needs; quickstart installs the same."""
JOINED = "RACKLING_JOINED_DOCKER"
"""Set by quickstart when this login has not been in the group docker from its beginning."""


@click.command("setup", short_help="Build the images, bring the lab up, and prove the first exercise.")
@click.option(
    "--backend",
    type=click.Choice(("docker", "libvirt")),
    help="Run nodes as containers (docker, the default) or virtual machines (libvirt) [LAB_BACKEND].",
)
@click.option("--proof/--no-proof", default=True, help="Offer to prove the first exercise (the default).")
@click.option("-y", "--yes", is_flag=True, envvar="LAB_YES", help="Prove it without asking [LAB_YES].")
@lab_option
@json_option
@progress_option
@click.pass_context
def command(
    ctx: click.Context,
    backend: str | None,
    proof: bool,
    yes: bool,
    lab: str | None,
    as_json: bool,
    mode: str,
) -> None:
    """Build the images, bring the lab up, and prove the first exercise on a throw-away lab.

    The proof checks that the exercise fails unsolved, types its solution, and checks that it passes.
    Run the command again and it does only what is missing. Before work in a lab would be lost it asks,
    with -y too.
    """
    app: App = ctx.obj
    if backend:
        app.environ = {**app.environ, "LAB_BACKEND": backend}
    with ended_by_exit():
        _run(ctx, lab, mode, proof=proof, yes=yes, as_json=as_json)


def _run(ctx: click.Context, lab: str | None, mode: str, *, proof: bool, yes: bool, as_json: bool) -> None:
    from lab.cli.context import open_catalog
    from lab.cli.images import bring_up_to_date

    app: App = ctx.obj
    _require_engine(app)
    _announce("building the node images: minutes the first time, a second when nothing has changed", mode)
    bring_up_to_date(app, mode)
    _announce("bringing the lab up", mode)
    spec = _bring_up(app, lab, mode)
    exercise = open_catalog().exercises[0]
    proven = _wants_proof(app, lab, exercise, proof=proof, yes=yes)
    if proven:
        _prove(app, exercise, mode, as_json=as_json)
    app.interrupted = "the lab is up"
    _close(ctx, spec, exercise, proven=proven, as_json=as_json)


def _announce(text: str, mode: str) -> None:
    if mode not in {"json", "quiet"}:
        note(text)


def _require_engine(app: App) -> None:
    """Raises a LabError, with the command that installs or starts the engine, where none answers."""
    name = app.backend_name
    try:
        app.backend.labs()
    except LabError as problem:
        if problem.hint.startswith("newgrp"):
            raise
        refused = "Permission denied" in problem.evidence
        hint = _installation(name, app.folder, refused=refused)
        raise LabError(problem.message, evidence=problem.evidence, hint=hint) from problem


def _installation(backend: str, folder: Path, *, refused: bool) -> str:
    """The command that makes the engine answer: the checkout's own, else what Debian offers."""
    from lab.paths import PACKAGE

    script = PACKAGE.parent / "quickstart"
    if script.is_file():
        place = "./quickstart" if folder.resolve() == script.parent else str(script)
        return place if backend == "docker" else f"{place} --backend {backend}"
    if refused:
        return f"sudo usermod -aG docker {account_name()}   then log in again; its members can become root"
    return f"sudo apt-get install {PACKAGES[backend]}"


def _bring_up(app: App, lab: str | None, mode: str) -> ClusterSpec:
    from lab.cli.up import bring_up, wanted_spec

    spec = wanted_spec(app, None, (), lab)
    try:
        bring_up(app, spec, mode, yes=False)
    except UsageError as problem:
        hint = f"lab up -l {spec.lab} asks again; with -y it continues"
        raise UsageError(problem.message, evidence=problem.evidence, hint=hint) from problem
    return spec


def _wants_proof(app: App, lab: str | None, exercise: Exercise, *, proof: bool, yes: bool) -> bool:
    """Whether to prove the exercise: as the options say, else as the user answers."""
    from lab.cli.context import ExerciseContext
    from lab.course.suitability import require_suitable

    if not proof:
        return False
    try:
        context = ExerciseContext(app, lab)
        require_suitable(context.catalog, exercise, context.spec, app.backend)
    except UsageError as problem:
        note(f"no proof: {problem.message}")
        return False
    if yes or not app.interactive:
        return yes
    time = "about a minute" if app.backend.name == "docker" else "some minutes"
    question = f"Watch the first exercise being solved on a throw-away lab? ({time})"
    return click.confirm(question, default=False, err=True)


def _prove(app: App, exercise: Exercise, mode: str, *, as_json: bool) -> None:
    from lab.cli.check import show_judgement
    from lab.cli.progress_display import showing
    from lab.course.judging import judge
    from lab.course.proof import PROOF_LAB, prove
    from lab.course.solving import type_blocks

    def judged() -> Judgement:
        judgement = judge(cluster, exercise)
        if not as_json:
            show_judgement(app, judgement, as_json=False)
        return judgement

    def solve() -> None:
        name = f"{exercise.name}/solution.sh"
        type_blocks(cluster, name, exercise.solution(), show=_hide if as_json else _show, say=progress.say)

    _announce(f"proving the first exercise, {exercise.name}, on a throw-away lab: {PROOF_LAB}", mode)
    spec = app.spec(None, (), PROOF_LAB)
    app.interrupted = f"the lab is up; lab setup repeats the proof, lab ls shows whether {PROOF_LAB} is left"
    with (
        app.lock(PROOF_LAB),
        showing(mode, app.environ) as progress,
        app.cluster(spec, progress) as cluster,
    ):
        prove(cluster, exercise.name, judge=judged, solve=solve, say=progress.say)


def _show(text: str) -> None:
    sys.stdout.write(console_text(text))
    sys.stdout.flush()


def _hide(text: str) -> None:
    del text


def _close(ctx: click.Context, spec: ClusterSpec, exercise: Exercise, *, proven: bool, as_json: bool) -> None:
    """Shows the state of the lab, and what to type next."""
    from lab.cli import status
    from lab.cli.output import show_json

    app: App = ctx.obj
    call = _call(app)
    lab = "" if app.lab_name(None) == spec.lab else f" -l {spec.lab}"
    start = f"{call} start {exercise.name}{lab}"
    if as_json:
        show_json(
            {
                "lab": spec.lab,
                "backend": spec.backend,
                "exercise": exercise.name,
                "proven": proven,
                "next": start,
            }
        )
        return
    click.echo("ready\n")
    ctx.invoke(status.command, lab=spec.lab, as_json=False)
    click.echo(f"\nYour first exercise: {exercise.title}. Type:\n\n    {start}\n")
    for line in _advice(app, call):
        click.echo(line)


def _advice(app: App, call: str) -> Iterator[str]:
    """What has to be typed before, in this terminal or in each."""
    if app.environ.get(JOINED):
        yield "Your login began before you were in the group docker. Until you log in again, type in each"
        yield "terminal first: newgrp docker"
    if app.backend.name == "libvirt":
        yield "For virtual machines in all commands of this shell: export LAB_BACKEND=libvirt"
    if call != "lab":
        yield f"To type only lab in this shell: . {Path(sys.prefix) / 'bin' / 'activate'}"


def _call(app: App) -> str:
    """How the user can call lab here: by its name where PATH leads to this program, else by its place."""
    program = Path(sys.prefix) / "bin" / "lab"
    found = shutil.which("lab", path=app.environ.get("PATH", os.defpath))
    if found is not None and Path(found).resolve() == program.resolve():
        return "lab"
    return str(program.relative_to(app.folder)) if program.is_relative_to(app.folder) else str(program)
