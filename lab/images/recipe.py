"""Reads the recipes in containers/: which packages make a tree, which trees and files make an image."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.paths import PACKAGE, data_folder

KEY_DIGITS = 12


@dataclass(frozen=True)
class Tree:
    """A root file system made of packages alone."""

    name: str
    release: str
    packages: tuple[str, ...]
    exclude: tuple[str, ...]
    key: str  # digest of all that decides its content


@dataclass(frozen=True)
class Recipe:
    """An image: trees of packages (on the parent's packages), files of ours, and a last step."""

    name: str
    folder: Path
    parent: str | None
    trees: tuple[tuple[str, Tree], ...]  # (path in the image, tree)
    files: tuple[tuple[str, Path], ...]  # (path in the image, folder of ours)
    bundle: str | None  # where in the image the guest's programs go


def names() -> tuple[str, ...]:
    """Names of the recipes that make images, parents first."""
    found = [recipe for recipe in map(load, _folders()) if recipe is not None]
    return tuple(recipe.name for recipe in sorted(found, key=lambda recipe: recipe.parent is not None))


def load(name: str) -> Recipe | None:
    """The recipe of that name; None when it makes a tree only."""
    folder = data_folder("containers") / name
    try:
        text = (folder / "image.toml").read_text(encoding="utf-8")
    except OSError as problem:
        raise LabError(
            f"there is no image recipe {name}", evidence=str(problem), hint="lab images ls"
        ) from problem
    table = tomllib.loads(text)
    if "image" not in table:
        return None
    image = table["image"]
    trees = [(path, tree(other)) for path, other in image["trees"].items()]
    files = [(path, _ours(one)) for path, sources in image.get("files", {}).items() for one in _list(sources)]
    return Recipe(name, folder, image.get("parent"), tuple(trees), tuple(files), image.get("bundle"))


def tree(name: str) -> Tree:
    """The tree that a recipe describes."""
    folder = data_folder("containers")
    table = tomllib.loads((folder / name / "image.toml").read_text(encoding="utf-8"))["tree"]
    hooks = [(folder / hook).read_bytes() for hook in ("users", "seed-users", "clean-tree")]
    parts = [repr(sorted(table.items())).encode(), *hooks]
    return Tree(
        name=name,
        release=table["release"],
        packages=tuple(table["packages"]),
        exclude=tuple(table.get("exclude", ())),
        key=digest(parts),
    )


def digest(parts: Iterable[bytes]) -> str:
    """Hexadecimal digits that change with any of the parts."""
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:KEY_DIGITS]


def folder_parts(folder: Path) -> Iterator[bytes]:
    """Everything about a folder that decides what copying it gives."""
    for path in sorted(folder.rglob("*")):
        if "__pycache__" in path.parts:
            continue
        relative = str(path.relative_to(folder))
        if path.is_symlink():
            yield f"{relative} -> {path.readlink()}".encode()
        elif path.is_file():
            executable = bool(path.stat().st_mode & 0o100)
            yield f"{relative} {executable:d} ".encode() + path.read_bytes()


def _folders() -> list[str]:
    return sorted(path.parent.name for path in data_folder("containers").glob("*/image.toml"))


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _ours(source: str) -> Path:
    """A path as recipes write it (`lab/guest/files/…`), wherever the package is installed."""
    return PACKAGE / Path(source).relative_to("lab")
