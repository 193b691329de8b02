"""Which of a controller's file names may become files; pure. Real controllers do send `../up.sh`."""

from __future__ import annotations

from lab.slurm import failure
from lab.slurm.failure import SiphonError
from lab.slurm.record import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.slurm.messages import ConfigFile

OURS = ".siphon"
"""Names that start so are siphon's own: its manifest, its generations."""

LONGEST = 255
"""Bytes in one component, on every file system we know."""


@dataclass(frozen=True)
class Wanted:
    """One file to have in the target: a safe relative path, what is in it, whether it runs."""

    path: str
    content: bytes
    execute: bool


def safe_path(name: bytes) -> str:
    """The name as a relative path that stays where it is put; anything else is an error."""
    why = _danger(name)
    if why:
        raise SiphonError(
            failure.UNSAFE,
            f"the controller sent a file named {failure.printable(name)!r}; nothing was written",
            evidence=why,
            hint="in its slurm.conf, give this Prolog, Epilog or Include a plain name or a full path",
        )
    return name.decode()


def _danger(name: bytes) -> str:
    """Why a name may not become a file; empty where it may."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return "the name is no UTF-8"
    parts = text.split("/")
    rules = (
        (not text.isprintable(), "the name holds control characters"),
        (text.startswith("/"), "the name is absolute"),
        (".." in parts, "the name leads out of the directory"),
        ("" in parts or "." in parts, "the name has an empty component"),
        (any(part.startswith(OURS) for part in parts), "the name is one of siphon's own"),
        (any(len(part.encode()) > LONGEST for part in parts), f"the name is longer than {LONGEST} bytes"),
    )
    return next((why for broken, why in rules if broken), "")


def wanted_files(files: tuple[ConfigFile, ...]) -> tuple[Wanted, ...]:
    """The files to write, by path. A name sent twice is one file: its last content, any execute mark."""
    found: dict[str, Wanted] = {}
    for file in files:
        if not file.exists:
            continue
        path = safe_path(file.name)
        before = found.get(path)
        execute = file.execute or (before is not None and before.execute)
        found[path] = Wanted(path, file.content, execute)
    folders = {path[:at] for path in found for at in range(len(path)) if path[at] == "/"}
    for path in sorted(folders.intersection(found)):
        raise SiphonError(
            failure.UNSAFE,
            f"the controller sent {failure.printable(path)!r} as a file and as a folder; nothing was written",
            hint="in its slurm.conf, look for a Prolog, Epilog or Include inside another",
        )
    return tuple(found[path] for path in sorted(found))


def unsafe_missing(files: tuple[ConfigFile, ...]) -> tuple[str, ...]:
    """Names of files that do not exist and could not be written either: ignored, but worth a word."""
    return tuple(failure.printable(file.name) for file in files if not file.exists and _danger(file.name))
