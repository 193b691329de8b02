"""The current contents of the target directory, and what must change."""

from __future__ import annotations

import os
import stat

from lab.siphon import errors
from lab.siphon.errors import SiphonError
from lab.siphon.publish import dirfd
from lab.siphon.publish.settings import Modes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.siphon.publish.names import Wanted

MANIFEST = ".siphon-manifest"
HIDDEN = ".siphon"
"""The directory of generations, if the target contains links (see symlinks.py)."""

CURRENT = "current"
MANIFEST_HEAD = "siphon manifest 1: the files that siphon put here, and may remove"
MANIFEST_LIMIT = 1 << 20


class Plan:
    """The paths to write, to remove and to leave unchanged."""

    __slots__ = ("record", "removed", "unchanged", "written")

    def __init__(
        self,
        written: tuple[str, ...],
        removed: tuple[str, ...],
        unchanged: tuple[str, ...],
        *,
        record: bool = True,
    ) -> None:
        self.written = written
        self.removed = removed
        self.unchanged = unchanged
        # The manifest is not up to date, or a killed siphon left files behind.
        self.record = record

    def needed(self) -> bool:
        """Whether anything must be written, even if only the manifest."""
        return self.record or self.differs()

    def differs(self) -> bool:
        """Whether readers would see a difference."""
        return bool(self.written or self.removed)


class Target:
    """An existing target directory, kept open."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.generation = self._current()
        place = MANIFEST if self.generation is None else f"{HIDDEN}/{self.generation}/{MANIFEST}"
        self.owned = self._manifest(place)
        """Files that siphon wrote here."""
        others = [name for name in self._hidden() if name not in (self.generation, CURRENT)]
        self.unfinished = bool(others)
        stale = (self._manifest(f"{HIDDEN}/{name}/{MANIFEST}") for name in others)
        self.stale: frozenset[str] = frozenset().union(*stale)
        """Files to which a killed siphon may have left links."""

    def close(self) -> None:
        """Closes the directory."""
        os.close(self.fd)

    def _current(self) -> str | None:
        """The generation to which the links point, or None if the target contains plain files."""
        text = dirfd.read_link(self.fd, f"{HIDDEN}/{CURRENT}")
        return text if text is not None and text.isascii() and text.isdigit() else None

    def _hidden(self) -> list[str]:
        try:
            with dirfd.Place(self.fd, f"{HIDDEN}/.") as place:
                return os.listdir(place.fd)
        except OSError:
            return []

    def _manifest(self, place: str) -> frozenset[str]:
        text = dirfd.read(self.fd, place, MANIFEST_LIMIT)
        lines = (text or b"").decode("utf-8", "replace").split("\n")
        if lines[0] != MANIFEST_HEAD:
            return frozenset()
        # Every user who may write here can change the manifest, so its lines are checked, too.
        return frozenset(line for line in lines[1:] if line and not _unsafe(line))

    def real(self, path: str) -> str | None:
        """Where the file visible at a path is stored: at that path or in the current generation."""
        found = dirfd.look(self.fd, path)
        if found is None:
            return None
        if self.is_ours(path):
            return f"{HIDDEN}/{self.generation}/{path}"
        return path

    def is_ours(self, path: str) -> bool:
        """Whether the file at a path is a link made by siphon."""
        return self.generation is not None and dirfd.read_link(self.fd, path) == link_text(path)

    def status(self, path: str) -> os.stat_result | None:
        """The status of the file that a reader finds at a path."""
        real = self.real(path)
        return None if real is None else dirfd.look(self.fd, real)


def _unsafe(line: str) -> bool:
    parts = line.split("/")
    return "" in parts or ".." in parts or "." in parts or any(part.startswith(HIDDEN) for part in parts)


def link_text(path: str) -> str:
    """The text of siphon's link at a path."""
    return f"{'../' * path.count('/')}{HIDDEN}/{CURRENT}/{path}"


def manifest_text(paths: frozenset[str]) -> bytes:
    """The content of a manifest."""
    return "\n".join((MANIFEST_HEAD, *sorted(paths), "")).encode()


def mode_for(wanted: Wanted, modes: Modes, existing: os.stat_result | None) -> int:
    """The mode of a file: the requested one, or its present one if that is stricter."""
    mode = modes.script if wanted.execute else modes.file
    if existing is None or not stat.S_ISREG(existing.st_mode):
        return mode
    readable = 0o400 | (mode & existing.st_mode & 0o666)
    # Every user who may read a script may run it.
    runs = 0o100 | (readable & 0o044) >> 2 if wanted.execute else 0
    return readable | runs


def compare(target: Target | None, wanted: tuple[Wanted, ...], modes: Modes) -> Plan:
    """What must change so that the target contains the wanted files."""
    if target is None:
        return Plan(tuple(file.path for file in wanted), (), ())
    written: list[str] = []
    unchanged: list[str] = []
    for file in wanted:
        (unchanged if _same(target, file, modes) else written).append(file.path)
    names = {file.path for file in wanted}
    removed = [path for path in sorted(target.owned - names) if dirfd.look(target.fd, path) is not None]
    record = target.owned != names or target.unfinished
    return Plan(tuple(written), tuple(removed), tuple(unchanged), record=record)


def _same(target: Target, file: Wanted, modes: Modes) -> bool:
    real = target.real(file.path)
    found = None if real is None else dirfd.look(target.fd, real)
    if real is None or found is None or not stat.S_ISREG(found.st_mode):
        return False
    if found.st_size != len(file.content) or stat.S_IMODE(found.st_mode) != mode_for(file, modes, found):
        return False
    if target.generation is not None and not target.is_ours(file.path):
        return False  # a plain file in the place of a link
    return dirfd.read(target.fd, real) == file.content


def check_replaceable(target: Target, plan: Plan) -> None:
    """Raises `SiphonError` if a file of another user or a directory prevents the plan."""
    user = os.geteuid()
    for path in (*plan.written, *plan.removed):
        found = dirfd.look(target.fd, path)
        if found is None:
            continue
        shown = errors.printable(f"{target.path}/{path}")
        if stat.S_ISDIR(found.st_mode):
            raise SiphonError(
                errors.WRITE,
                f"{shown} is a directory, but siphon must write a file there",
                hint=f"ls -la {errors.printable(target.path)}",
            )
        if user not in (0, found.st_uid):
            raise SiphonError(
                errors.WRITE,
                f"{shown} belongs to another user",
                evidence=f"its owner has uid {found.st_uid}, siphon runs as uid {user}",
                hint="run siphon as that user, or choose another directory: -o DIR",
            )
    for path in dirfd.parents(set(plan.written)):
        found = dirfd.look(target.fd, path)
        if found is not None and not stat.S_ISDIR(found.st_mode):
            shown = errors.printable(f"{target.path}/{path}")
            raise SiphonError(
                errors.WRITE,
                f"{shown} is not a directory, but siphon must write a file below it",
                hint=f"ls -la {errors.printable(target.path)}",
            )
