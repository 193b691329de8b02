"""Fetches a program of npm's as one file, and only if it is what the recipe names."""

from __future__ import annotations

import base64
import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from lab.errors import LabError
from lab.host_speed import measured_limit
from lab.images.leftovers import put
from lab.images.recipe import Script
from lab.process import run
from lab.system_errors import writing

FETCH_MINUTES = 5


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
        wanted = f"{script.package}@{script.version}"
        command = ["npm", "pack", "--silent", "--ignore-scripts", f"--pack-destination={folder}", wanted]
        run(command, timeout=measured_limit(FETCH_MINUTES * 60))
        packed = next(Path(folder).glob("*.tgz"))
        check(script, packed.read_bytes())
        unfinished = Path(folder) / "file"
        with tarfile.open(packed) as archive, tarfile.open(unfinished, "w") as single:
            member = archive.getmember(f"package/{script.file}")
            data = archive.extractfile(member)
            entry = tarfile.TarInfo(Path(script.file).name)
            entry.size, entry.mode = member.size, 0o644
            single.addfile(entry, data)
        put(unfinished, target, script.package)


def check(script: Script, packed: bytes) -> None:
    """Raises LabError unless these are the bytes whose digest the recipe has."""
    method, _, wanted = script.integrity.partition("-")
    found = base64.b64encode(hashlib.new(method, packed).digest()).decode()
    if found != wanted:
        raise LabError(
            f"{script.package} {script.version} is not what the recipe names",
            evidence=f"expected: {script.integrity}\nfound: {method}-{found}",
            hint="do not use it; ask who publishes the package",
        )
