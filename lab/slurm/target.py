"""What the target directory holds now, and what would have to change."""

from __future__ import annotations

import os
import stat

from lab.slurm import failure, folder
from lab.slurm.failure import SiphonError
from lab.slurm.record import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.slurm.names import Wanted

MANIFEST = ".siphon-manifest"
HIDDEN = ".siphon"
"""Folder with generations, where the target is a tree of links (see swap.py)."""

CURRENT = "current"
MANIFEST_HEAD = "siphon manifest 1: the files that siphon put here, and may remove"
MANIFEST_LIMIT = 1 << 20


@dataclass(frozen=True)
class Modes:
    """The widest modes that new files and folders get."""

    file: int = 0o644
    script: int = 0o755
    folder: int = 0o755


PRIVATE = Modes(0o640, 0o750, 0o750)


@dataclass(frozen=True)
class Plan:
    """Paths by what has to be done with them."""

    written: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    record: bool = True
    """The manifest is not up to date, or a killed siphon left something."""

    def needed(self) -> bool:
        """Whether there is anything to write, be it only the manifest."""
        return self.record or self.differs()

    def differs(self) -> bool:
        """Whether a reader would see a difference."""
        return bool(self.written or self.removed)


class Target:
    """An existing target directory, held open."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.generation = self._current()
        place = MANIFEST if self.generation is None else f"{HIDDEN}/{self.generation}/{MANIFEST}"
        self.owned = self._manifest(place)
        """Files that siphon put here."""
        others = [name for name in self._hidden() if name not in (self.generation, CURRENT)]
        self.unfinished = bool(others)
        stale = (self._manifest(f"{HIDDEN}/{name}/{MANIFEST}") for name in others)
        self.stale: frozenset[str] = frozenset().union(*stale)
        """Files of which a killed siphon may have left links."""

    def close(self) -> None:
        """Lets go of the directory."""
        os.close(self.fd)

    def _current(self) -> str | None:
        """The generation that links lead to, or None where files are just files."""
        text = folder.read_link(self.fd, f"{HIDDEN}/{CURRENT}")
        return text if text is not None and text.isascii() and text.isdigit() else None

    def _hidden(self) -> list[str]:
        try:
            with folder.Place(self.fd, f"{HIDDEN}/.") as place:
                return os.listdir(place.fd)
        except OSError:
            return []

    def _manifest(self, place: str) -> frozenset[str]:
        text = folder.read(self.fd, place, MANIFEST_LIMIT)
        lines = (text or b"").decode("utf-8", "replace").split("\n")
        if lines[0] != MANIFEST_HEAD:
            return frozenset()
        # Whoever may write here can write the manifest; it must not lead out of the directory either.
        return frozenset(line for line in lines[1:] if line and not _astray(line))

    def real(self, path: str) -> str | None:
        """Where the file seen at a path is: itself, or in the generation its link leads to."""
        found = folder.look(self.fd, path)
        if found is None:
            return None
        if self.is_ours(path):
            return f"{HIDDEN}/{self.generation}/{path}"
        return path

    def is_ours(self, path: str) -> bool:
        """Whether a path is one of our links."""
        return self.generation is not None and folder.read_link(self.fd, path) == link_text(path)

    def status(self, path: str) -> os.stat_result | None:
        """What a reader finds at a path."""
        real = self.real(path)
        return None if real is None else folder.look(self.fd, real)


def _astray(line: str) -> bool:
    parts = line.split("/")
    return "" in parts or ".." in parts or "." in parts or any(part.startswith(HIDDEN) for part in parts)


def link_text(path: str) -> str:
    """What our link at a path says."""
    return f"{'../' * path.count('/')}{HIDDEN}/{CURRENT}/{path}"


def manifest_text(paths: frozenset[str]) -> bytes:
    """The content of a manifest."""
    return "\n".join((MANIFEST_HEAD, *sorted(paths), "")).encode()


def mode_for(wanted: Wanted, modes: Modes, existing: os.stat_result | None) -> int:
    """The mode a file gets: what was asked, or what it has where that is stricter."""
    mode = modes.script if wanted.execute else modes.file
    if existing is None or not stat.S_ISREG(existing.st_mode):
        return mode
    readable = 0o400 | (mode & existing.st_mode & 0o666)
    # Whoever may read a script may run it.
    runs = 0o100 | (readable & 0o044) >> 2 if wanted.execute else 0
    return readable | runs


def compare(target: Target | None, wanted: tuple[Wanted, ...], modes: Modes) -> Plan:
    """What has to change so that the target holds what is wanted."""
    if target is None:
        return Plan(tuple(file.path for file in wanted), (), ())
    written: list[str] = []
    unchanged: list[str] = []
    for file in wanted:
        (unchanged if _same(target, file, modes) else written).append(file.path)
    names = {file.path for file in wanted}
    removed = [path for path in sorted(target.owned - names) if folder.look(target.fd, path) is not None]
    record = target.owned != names or target.unfinished
    return Plan(tuple(written), tuple(removed), tuple(unchanged), record)


def _same(target: Target, file: Wanted, modes: Modes) -> bool:
    real = target.real(file.path)
    found = None if real is None else folder.look(target.fd, real)
    if real is None or found is None or not stat.S_ISREG(found.st_mode):
        return False
    if found.st_size != len(file.content) or stat.S_IMODE(found.st_mode) != mode_for(file, modes, found):
        return False
    if target.generation is not None and not target.is_ours(file.path):
        return False  # a file where our link should be
    return folder.read(target.fd, real) == file.content


def check_replaceable(target: Target, plan: Plan) -> None:
    """Refuses early what could only fail half way: foreign files and folders in the way."""
    user = os.geteuid()
    for path in (*plan.written, *plan.removed):
        found = folder.look(target.fd, path)
        if found is None:
            continue
        shown = failure.printable(f"{target.path}/{path}")
        if stat.S_ISDIR(found.st_mode):
            raise SiphonError(
                failure.WRITE,
                f"{shown} is a folder, and a file has to go there",
                hint=f"ls -la {failure.printable(target.path)}",
            )
        if user not in (0, found.st_uid):
            raise SiphonError(
                failure.WRITE,
                f"{shown} belongs to another user",
                evidence=f"its owner has uid {found.st_uid}, siphon runs as uid {user}",
                hint="run siphon as that user, or name another directory: -o DIR",
            )
    for path in folder.parents(set(plan.written)):
        found = folder.look(target.fd, path)
        if found is not None and not stat.S_ISDIR(found.st_mode):
            raise SiphonError(
                failure.WRITE,
                f"{failure.printable(f'{target.path}/{path}')} is no folder, and a file has to go below it",
                hint=f"ls -la {failure.printable(target.path)}",
            )
