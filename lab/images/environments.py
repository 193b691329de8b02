"""Unpacks pinned wheels as a virtual environment for an image's Python; nothing of them runs on the host."""

from __future__ import annotations

import platform
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from lab.errors import LabError
from lab.host_speed import measured_limit
from lab.images.leftovers import put
from lab.images.recipe import Environment
from lab.ownership import owned_by
from lab.process import run

FETCH_MINUTES = 10
PLATFORMS = ("manylinux_2_28", "manylinux2014")
LEFT_OUT = {"test", "tests", "include"}
BESIDE = ("etc", "share")
"""What belongs beside `lib`. The programs in `bin` begin with the host's Python, and are left out."""


def made_environment(environment: Environment, cache: Path) -> Path:
    """Returns the path of the tar file of an environment, whether it exists or not."""
    return cache / f"{environment.name}-{environment.key}.tar"


def make_environment(environment: Environment, target: Path) -> None:
    """Makes the tar file of an environment; a run that fails leaves no incomplete file under its name."""
    unfinished = target.with_suffix(".part")
    with tempfile.TemporaryDirectory(prefix="rackling-", dir=target.parent) as name:
        folder = Path(name)
        _fetch(environment, folder)
        packages = f"lib/python{environment.python}/site-packages"
        with tarfile.open(unfinished, "w") as archive:
            for path in sorted(folder.iterdir()):
                if path.name != "bin":
                    inside = path.name if path.name in BESIDE else f"{packages}/{path.name}"
                    archive.add(path, arcname=inside, filter=_keeping(environment.without))
    put(unfinished, target, environment.name)


def _keeping(without: tuple[str, ...]) -> Callable[[tarfile.TarInfo], tarfile.TarInfo | None]:
    """Packages' own tests and headers stay out: nobody needs them there, and some tests hold keys."""

    def kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        out = entry.name in without or LEFT_OUT & {*entry.name.split("/")}
        return None if out else owned_by()(entry)

    return kept


def _fetch(environment: Environment, folder: Path) -> None:
    """Lets pip download and unpack the wheels; each must have one of the hashes in the file of pins."""
    here = platform.machine()
    words = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile", "--require-hashes")
    wheels = ("--only-binary=:all:", f"--python-version={environment.python}", "--implementation=cp")
    platforms = [f"--platform={one}_{here}" for one in PLATFORMS]
    pip = [sys.executable, "-m", "pip", "install", *words, *wheels, *platforms]
    try:
        run(
            [*pip, f"--target={folder}", "-r", str(environment.pins)],
            timeout=measured_limit(FETCH_MINUTES * 60),
        )
    except LabError as problem:
        raise LabError(
            f"the wheels of {environment.pins.name} could not be fetched",
            evidence=f"{problem.message}\n{problem.evidence}",
            hint="pip must reach its index: python3 -m pip download jupyterlab shows what it says",
        ) from problem
