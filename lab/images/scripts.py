"""Fetches a program of npm's as one file, and only if it is what the recipe names."""

from __future__ import annotations

import io
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from lab import npm
from lab.errors import LabError
from lab.images.leftovers import put
from lab.images.recipe import Script
from lab.system_errors import writing


def made(script: Script, cache: Path, say: Callable[[str], None]) -> Path:
    """Returns a tar file with the script, and fetches it first if it is not in the cache."""
    found = cache / f"{script.package}-{script.key}.tar"
    if not found.exists():
        say(f"{script.package}: downloading version {script.version}")
        with writing(found):
            _fetch(script, found)
    return found


def _fetch(script: Script, target: Path) -> None:
    if shutil.which("npm") is None:
        raise LabError(
            f"npm is not installed, and {script.package} comes from there",
            hint="sudo apt-get install npm, then: lab images build runner",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rackling-", dir=target.parent) as folder:
        packed = npm.pack(script.package, script.version, Path(folder))
        check(script, packed)
        unfinished = Path(folder) / "file"
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive, tarfile.open(unfinished, "w") as single:
            member = archive.getmember(f"package/{script.file}")
            data = archive.extractfile(member)
            entry = tarfile.TarInfo(Path(script.file).name)
            entry.size, entry.mode = member.size, 0o644
            single.addfile(entry, data)
        put(unfinished, target, script.package)


def check(script: Script, packed: bytes) -> None:
    """Raises LabError unless these are the bytes whose digest the recipe has."""
    found = npm.integrity_of(packed, script.integrity)
    if found != script.integrity:
        raise LabError(
            f"{script.package} {script.version} is not what the recipe names",
            evidence=f"expected: {script.integrity}\nfound: {found}",
            hint="do not use it; ask who publishes the package",
        )
