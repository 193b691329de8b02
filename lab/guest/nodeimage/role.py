"""A role: the folder that says how the nodes of one kind are made, read from its image.toml."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from lab.guest.nodeimage import toml
from lab.guest.nodeimage.errors import UNKNOWN, USAGE, NodeImageError

FILE = "image.toml"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Names of roles and of releases: they become names of folders and parts of links."""
COMPRESSORS: Mapping[str, tuple[str, ...]] = {"zstd": ("zstd", "-q", "-3"), "gzip": ("gzip", "-n")}
"""gzip writes the time into its output without -n, and equal trees would give different images."""
INSTALLERS = ("mmdebstrap", "dnf")
UNITS: Mapping[str, int] = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(B|KiB|MiB|GiB)")
_UNCOUNTED = ("__pycache__", ".pytest_cache", ".git")


@dataclass(frozen=True)
class TreePlan:
    """What the base tree is installed from."""

    installer: str = "mmdebstrap"
    release: str = ""
    packages: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    variant: str = "important"
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class Role:
    """The content of image.toml; paths are absolute, patterns of the tree begin with a slash."""

    folder: str
    name: str
    tree: TreePlan
    playbook: str
    tests: str
    goss: str
    untested: bool
    kernel: str
    compress: str
    memory: Optional[int]
    exclude: tuple[str, ...]
    allow: tuple[str, ...]

    @property
    def has_playbook(self) -> bool:
        """Whether the role has something to configure."""
        return os.path.isfile(self.playbook)

    def digest(self) -> str:
        """A digest of all files of the role, by which proofs know that none has changed."""
        found = hashlib.sha256()
        for path in _files(self.folder):
            found.update(f"{os.path.relpath(path, self.folder)}\0".encode("utf-8", "surrogateescape"))
            with open(path, "rb") as file:
                found.update(hashlib.sha256(file.read()).digest())
        return found.hexdigest()


def _files(folder: str) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - set(_UNCOUNTED))
        yield from (path for name in sorted(names) if os.path.isfile(path := os.path.join(place, name)))


def load(folder: str) -> Role:
    """Reads a role. Raises NodeImageError that names every problem with its line."""
    folder = os.path.abspath(folder)
    path = os.path.join(folder, FILE)
    try:
        with open(path, encoding="utf-8", newline="") as file:
            tables = toml.parse(file.read())
    except (FileNotFoundError, NotADirectoryError):
        hint = f"a role is a folder that holds {FILE}; docs/nodeimage.md shows one"
        raise NodeImageError(UNKNOWN, f"{folder} holds no {FILE}", hint=hint) from None
    except toml.TomlError as error:
        raise NodeImageError(USAGE, f"{path}, line {error.line}: {error}", hint=f"edit {path}") from None
    except UnicodeDecodeError as error:
        raise NodeImageError(USAGE, f"{path} is not UTF-8: {error.reason}", hint=f"edit {path}") from None
    sheet = _Sheet(tables)
    role = _role(folder, sheet)
    problems = sheet.problems()
    if problems:
        raise NodeImageError(
            USAGE, f"{path} has {len(problems)} problem{'s' * (len(problems) > 1)}",
            evidence="\n".join(problems), hint=f"edit {path}",
        )  # fmt: skip
    return role


def _role(folder: str, sheet: _Sheet) -> Role:
    return Role(
        folder=folder,
        name=sheet.matching("", "name", NAME, os.path.basename(folder)),
        tree=TreePlan(
            installer=sheet.choice("tree", "installer", INSTALLERS, "mmdebstrap"),
            release=sheet.text("tree", "release", ""),
            packages=sheet.texts("tree", "packages"),
            sources=sheet.texts("tree", "sources"),
            variant=sheet.text("tree", "variant", "important"),
            exclude=sheet.paths("tree", "exclude"),
        ),
        playbook=sheet.inside("configure", "playbook", folder, "playbook.yml"),
        tests=sheet.inside("test", "testinfra", folder, "tests"),
        goss=sheet.inside("test", "goss", folder, "goss.yaml"),
        untested=sheet.truth("test", "untested"),
        kernel=sheet.text("image", "kernel", "/boot/vmlinuz-*"),
        compress=sheet.choice("image", "compress", tuple(COMPRESSORS), "zstd"),
        memory=sheet.size("image", "memory"),
        exclude=sheet.paths("image", "exclude"),
        allow=sheet.paths("image", "allow"),
    )


class _Sheet:
    """Takes values out of the tables and collects what is wrong with them."""

    def __init__(self, tables: toml.Tables) -> None:
        self._tables = tables
        self._asked: set[tuple[str, str]] = set()
        self._problems: list[tuple[int, str]] = []

    def problems(self) -> list[str]:
        """One line a problem, unknown keys included, in the order of the file."""
        unknown = [
            (entry.line, f"unknown key {_path(table, key)}{self._nearest(table, key)}")
            for table, keys in self._tables.items()
            for key, entry in keys.items()
            if (table, key) not in self._asked
        ]
        return [f"line {line}: {text}" for line, text in sorted([*self._problems, *unknown])]

    def _nearest(self, table: str, key: str) -> str:
        import difflib

        names = [_path(*one) for one in self._asked]
        close = difflib.get_close_matches(_path(table, key), names, 1)
        return f"; did you mean {close[0]}?" if close else ""

    def _get(self, table: str, key: str) -> Optional[toml.Entry]:
        self._asked.add((table, key))
        return self._tables.get(table, {}).get(key)

    def _wrong(self, entry: toml.Entry, table: str, key: str, wanted: str) -> None:
        self._problems.append((entry.line, f"{_path(table, key)} must be {wanted}"))

    def text(self, table: str, key: str, default: str) -> str:
        """A string."""
        entry = self._get(table, key)
        if entry is None or isinstance(entry.value, str):
            return default if entry is None else str(entry.value)
        self._wrong(entry, table, key, "a string")
        return default

    def matching(self, table: str, key: str, pattern: re.Pattern[str], default: str) -> str:
        """A string that a pattern describes; the default is judged, too."""
        value = self.text(table, key, default)
        if not pattern.fullmatch(value):
            entry = self._get(table, key) or toml.Entry("", 1)
            self._wrong(entry, table, key, "letters, digits, dots, dashes and underscores")
        return value

    def choice(self, table: str, key: str, words: Sequence[str], default: str) -> str:
        """One of some words."""
        value = self.text(table, key, default)
        entry = self._get(table, key)
        if entry is not None and value not in words:
            self._wrong(entry, table, key, " or ".join(words))
        return value

    def truth(self, table: str, key: str) -> bool:
        """True or false, which is the default."""
        entry = self._get(table, key)
        if entry is None or isinstance(entry.value, bool):
            return entry is not None and bool(entry.value)
        self._wrong(entry, table, key, "true or false")
        return False

    def texts(self, table: str, key: str) -> tuple[str, ...]:
        """An array of strings."""
        entry = self._get(table, key)
        if entry is None:
            return ()
        value = entry.value
        if isinstance(value, list) and all(isinstance(one, str) and one for one in value):
            return tuple(str(one) for one in value)
        self._wrong(entry, table, key, "an array of strings")
        return ()

    def paths(self, table: str, key: str) -> tuple[str, ...]:
        """An array of paths or patterns of the tree."""
        found = self.texts(table, key)
        entry = self._get(table, key)
        if entry is not None and not all(one.startswith("/") for one in found):
            self._wrong(entry, table, key, "paths that begin with /")
        return found

    def inside(self, table: str, key: str, folder: str, default: str) -> str:
        """A path within the role's folder, as an absolute path."""
        path = os.path.normpath(os.path.join(folder, self.text(table, key, default)))
        entry = self._get(table, key)
        if entry is not None and not path.startswith(f"{folder}/"):
            self._wrong(entry, table, key, "a path within the role's folder")
        return path

    def size(self, table: str, key: str) -> Optional[int]:
        """A number of bytes with a unit, such as "1.2 GiB"."""
        entry = self._get(table, key)
        if entry is None:
            return None
        found = _SIZE.fullmatch(entry.value) if isinstance(entry.value, str) else None
        if found is None:
            self._wrong(entry, table, key, 'a size such as "600 MiB" or "1.2 GiB"')
            return None
        return int(float(found[1]) * UNITS[found[2]])


def _path(table: str, key: str) -> str:
    return f"{table}.{key}" if table else key
