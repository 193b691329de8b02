"""The image's programs, by the name they are called by: the page's, the terminal's, `health`, `url`."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from lab.slurm_jupyter import commands, panel, visit
from lab.slurm_jupyter.places import FOLDER, Places
from lab.slurm_jupyter.sentences import sentence

USER = "SLURM_JUPYTER_USER"
TOKEN = "SLURM_JUPYTER_TOKEN_FILE"  # noqa: S105 - the name of a variable


def main(argv: list[str], environ: Mapping[str, str] = os.environ) -> int:
    """Runs one program. The first word is its path: `panel/squeue` is the page's, `bin/squeue` a person's."""
    program = Path(argv[0])
    if program.name == "health":
        status, told = visit.health(_places(environ))
        sys.stdout.write(f"{told}\n")
        return status
    if program.name == "url":
        sys.stdout.write(f"{visit.new_address(_places(environ))}\n")
        return 0
    caller = _caller(environ)
    if program.parent.name == "panel":
        return _for_the_page(program.name, argv[1:], caller, environ)
    sys.stderr.write(f"error: {commands.become(caller, environ, [program.name, *argv[1:]])}\n")
    return 1


def _for_the_page(name: str, words: list[str], caller: commands.Caller, environ: Mapping[str, str]) -> int:
    run = partial(commands.run, caller, environ)
    try:
        done = panel.PROGRAMS[name](words, run, panel.User(caller.name, caller.uid))
    except panel.RefusedError as problem:
        done = commands.Done(2, "", str(problem))
    if done.status and name == "squeue":
        commands.brake(caller, time.time(), threading.Event().wait)
    sys.stdout.write(done.out)
    told = sentence(done.err)
    if told and done.status:
        sys.stderr.write(f"{told}\n")
        _log(f"{name}: {told}")
    return done.status


def _log(line: str) -> None:
    """A line in the container's log: the page's programs have their own streams."""
    try:
        with Path("/proc/1/fd/2").open("w", encoding="utf-8") as log:
            log.write(f"slurm-jupyter: {line}\n")
    except OSError:
        return


def _places(environ: Mapping[str, str]) -> Places:
    return Places(Path(environ[FOLDER])) if environ.get(FOLDER) else Places()


def _caller(environ: Mapping[str, str]) -> commands.Caller:
    """The user by `start`'s variables, or in a `docker exec` by the container's own."""
    places = _places(environ)
    name = environ.get(USER) or environ.get("SLURM_USER", "").partition(":")[0]
    named = environ.get(TOKEN) or environ.get("SLURM_JWT_FILE")
    file = Path(named) if named else places.token
    if environ.get("MUNGE_KEY_FILE"):
        return commands.Caller(name, os.getuid(), None, places)
    return commands.Caller(name, os.getuid(), file, places)
