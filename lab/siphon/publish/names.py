"""Decides which file names from a controller are safe. slurmctld does send names such as `../up.sh`."""

from __future__ import annotations

from lab.siphon import errors
from lab.siphon.errors import SiphonError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.siphon.protocol.messages import ConfigFile

OURS = ".siphon"
"""The beginning of names that siphon itself uses: its manifest and its generations."""

LONGEST = 255
"""The most bytes in one component of a path on Linux file systems."""


class Wanted:
    """One file that the target must contain: a safe relative path, its content, whether it is executable."""

    __slots__ = ("content", "execute", "path")

    def __init__(self, path: str, content: bytes, *, execute: bool) -> None:
        self.path = path
        self.content = content
        self.execute = execute


def safe_path(name: bytes) -> str:
    """The name as a relative path inside the target. Raises `SiphonError` for any other name."""
    why = _danger(name)
    if why:
        raise SiphonError(
            errors.UNSAFE,
            f"the controller sent a file named {errors.printable(name)!r}; nothing was written",
            evidence=why,
            hint="use a plain name or an absolute path for this Prolog, Epilog or Include in its slurm.conf",
        )
    return name.decode()


def _danger(name: bytes) -> str:
    """Why a name is unsafe; empty if it is safe."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return "the name is not UTF-8"
    parts = text.split("/")
    rules = (
        (not text.isprintable(), "the name contains control characters"),
        (text.startswith("/"), "the name is absolute"),
        (".." in parts, "the name points outside the directory"),
        ("" in parts or "." in parts, "the name has an empty component"),
        (any(part.startswith(OURS) for part in parts), "the name is reserved for siphon"),
        (any(len(part.encode()) > LONGEST for part in parts), f"the name is longer than {LONGEST} bytes"),
    )
    return next((why for broken, why in rules if broken), "")


def wanted_files(files: tuple[ConfigFile, ...]) -> tuple[Wanted, ...]:
    """The files to write, sorted by path. Raises `SiphonError` for an unsafe name.

    A name that was sent twice becomes one file with the last content, executable if either was.
    """
    found: dict[str, Wanted] = {}
    for file in files:
        if not file.exists:
            continue
        path = safe_path(file.name)
        before = found.get(path)
        execute = file.execute or (before is not None and before.execute)
        found[path] = Wanted(path, file.content, execute=execute)
    folders = {path[:at] for path in found for at in range(len(path)) if path[at] == "/"}
    for path in sorted(folders.intersection(found)):
        raise SiphonError(
            errors.UNSAFE,
            f"the controller sent {errors.printable(path)!r} as a file and a directory; nothing was written",
            hint="check the names of Prolog, Epilog and Include in its slurm.conf",
        )
    return tuple(found[path] for path in sorted(found))


def unsafe_missing(files: tuple[ConfigFile, ...]) -> tuple[str, ...]:
    """Unsafe names of files that do not exist on the controller: ignored, but reported as a warning."""
    return tuple(errors.printable(file.name) for file in files if not file.exists and _danger(file.name))
