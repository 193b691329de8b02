"""Finds xterm.js, the terminal in the browser: Debian's package, else npm's by version and hash."""

from __future__ import annotations

import io
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab import npm
from lab.errors import LabError
from lab.paths import private_folder

DEBIAN = Path("/usr/share/javascript/xterm")
NEW_ENOUGH = b"onWriteParsed"  # an event of xterm.js 5.1 and newer; Debian 12 has 3.8


@dataclass(frozen=True)
class Package:
    """A package of npm's at one version; `integrity` is npm's own word for the archive's SHA-512."""

    name: str
    version: str
    integrity: str


XTERM = Package(
    "@xterm/xterm",
    "6.0.0",
    "sha512-TQwDdQGtwwDt+2cgKDLn0IRaSxYu1tSUjgKarSDkUM0ZNiSRXFpjxEsvc/Zgc5kq5omJ+V0a8/kIM2WD3sMOYg==",
)
WANTED = ("package/lib/xterm.js", "package/css/xterm.css", "package/LICENSE")


@dataclass(frozen=True)
class Parts:
    """The files of xterm.js."""

    script: Path
    style: Path


def find(cache: Path, debian: Path = DEBIAN) -> Parts:
    """Returns the files that are here; raises a LabError that says how to get them."""
    if parts := _parts_in(debian) or _parts_in(_fetched(cache)):
        return parts
    raise LabError(
        "xterm.js, the terminal of the page, is not here",
        evidence=f"neither in {debian} (Debian 13: libjs-xterm) nor fetched by npm",
        hint="lab web --fetch",
    )


def fetch(cache: Path) -> Parts:
    """Has npm fetch xterm.js, and keeps it below `cache`; raises a LabError if it is not what we know."""
    target = _fetched(cache)
    if parts := _parts_in(target):
        return parts
    files = unpack(download(XTERM), WANTED)
    private_folder(target)
    for name, data in files.items():
        (target / Path(name).name).write_bytes(data)
    return find(cache, debian=target)


def _fetched(cache: Path) -> Path:
    return cache / f"xterm-{XTERM.version}"


def _parts_in(folder: Path) -> Parts | None:
    parts = Parts(folder / "xterm.js", folder / "xterm.css")
    whole = parts.style.is_file() and parts.script.is_file() and NEW_ENOUGH in parts.script.read_bytes()
    return parts if whole else None


def download(package: Package) -> bytes:
    """Has npm fetch a package's archive, and compares it with the hash."""
    if shutil.which("npm") is None:
        raise LabError(
            "npm is not here", hint="sudo apt-get install npm; on Debian 13: sudo apt-get install libjs-xterm"
        )
    with tempfile.TemporaryDirectory() as folder:
        data = npm.pack(package.name, package.version, Path(folder))
    found = npm.integrity_of(data, package.integrity)
    if found != package.integrity:
        raise LabError(
            f"{package.name} {package.version} is not the one that we know",
            evidence=f"{found}, and not {package.integrity}",
        )
    return data


def unpack(archive: bytes, names: tuple[str, ...]) -> dict[str, bytes]:
    """Reads named files of an archive."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        found = {name: tar.extractfile(name) for name in names}
        return {name: file.read() for name, file in found.items() if file is not None}
