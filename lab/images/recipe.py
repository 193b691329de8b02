"""Reads the recipes in containers/: packages make a tree; trees and files make an image."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.paths import PACKAGE, data_folder

KEY_DIGITS = 12


@dataclass(frozen=True)
class Tree:
    """A root file system made of packages only."""

    name: str
    release: str
    packages: tuple[str, ...]
    exclude: tuple[str, ...]
    key: str  # digest of everything that decides its content
    stale: bool = False  # the mirror no longer updates this release


@dataclass(frozen=True)
class Store:
    """A package repository on an image's disk, since labs have no internet."""

    name: str
    path: str  # in the image
    wanted: tuple[tuple[Tree, tuple[str, ...]], ...]  # trees, and the names of packages for each
    key: str
    whole: bool = False  # with what the trees have already: to install new trees from


@dataclass(frozen=True)
class Script:
    """A program in JavaScript that npm fetches: one file of one package, which needs no other."""

    package: str
    version: str
    integrity: str  # as npm and its lock files write it (W3C, Subresource Integrity)
    file: str  # in the package
    path: str  # its folder in the image

    @property
    def key(self) -> str:
        """Digest of everything that decides its content."""
        return digest([repr(self).encode()])


@dataclass(frozen=True)
class Environment:
    """A virtual environment of Python's: pinned wheels, nothing is compiled."""

    name: str
    pins: Path  # a file of requirements/
    python: str  # the image's version, such as 3.13
    path: str  # in the image
    key: str
    complete: bool = True  # else the install script makes an environment of the wheels, for another Python
    without: tuple[str, ...] = ()  # folders in it that nothing in the image needs


@dataclass(frozen=True)
class Modules:
    """Pinned packages of npm's with all that they need, as one folder node_modules."""

    name: str
    lock: Path  # a folder of requirements/: package.json and package-lock.json
    path: str  # in the image
    key: str


@dataclass(frozen=True)
class Recipe:
    """An image: trees of packages on those of its parent, our files, and an install script."""

    name: str
    folder: Path
    parent: str | None
    trees: tuple[tuple[str, Tree], ...]  # (path in the image, tree)
    files: tuple[tuple[str, Path], ...]  # (path in the image, our folder)
    bundle: str | None  # path of the guest's programs in the image
    release: str | None = None  # of Debian, if the recipe makes one image for each release
    default: bool = True  # a lab needs it: built if no image is named
    on: str | None = None  # the finished image that this one is built on; it then has no trees
    native: str | None = None  # the image whose /native provides compiled programs
    store: Store | None = None
    script: Script | None = None
    environment: Environment | None = None
    modules: Modules | None = None


def names(*, optional: bool = True) -> tuple[str, ...]:
    """Lists the recipes that make images, parents first; with `optional`, also those that no lab needs."""
    found = [recipe for recipe in map(load, _described()) if recipe is not None]
    kept = [recipe for recipe in found if recipe.default or optional]
    return tuple(recipe.name for recipe in sorted(kept, key=_rank))


def _rank(recipe: Recipe) -> int:
    """Returns the build order of a recipe: images before those that use them."""
    return 3 if recipe.on else 2 if recipe.parent else 1 if recipe.native else 0


def load(name: str) -> Recipe | None:
    """Reads the recipe of that name; None if it makes only a tree."""
    folder, release = _described().get(name, (name, None))
    table = _read(folder)
    if "image" not in table:
        return None
    image = table["image"]
    files = [(path, _ours(one)) for path, sources in image.get("files", {}).items() for one in _list(sources)]
    return Recipe(
        name=name,
        folder=data_folder("containers") / folder,
        parent=_variant(image["parent"], release) if "parent" in image else None,
        trees=tuple((path, tree(other, release)) for path, other in image.get("trees", {}).items()),
        files=tuple(files),
        bundle=image.get("bundle"),
        release=release,
        default=table.get("default", True),
        on=_variant(image["on"], release) if "on" in image else None,
        native=image.get("native"),
        store=_store(name, image.get("store"), release),
        script=Script(**image["script"]) if "script" in image else None,
        environment=_environment(name, image.get("environment"), release),
        modules=_modules(name, image.get("modules")),
    )


def tree(name: str, release: str | None = None) -> Tree:
    """Reads the tree of a recipe, for one release if the recipe names several."""
    table = dict(_read(name)["tree"])
    if release is not None:
        also, stale = table.pop("also", {}), table.pop("stale", ())
        del table["releases"]
        packages = [*table["packages"], *also.get(release, ())]
        table |= {"release": release, "packages": packages, "stale": release in stale}
    folder = data_folder("containers")
    hooks = [(folder / hook).read_bytes() for hook in ("users", "seed-users", "clean-tree")]
    parts = [repr(sorted(table.items())).encode(), *hooks]
    return Tree(
        name=_variant(name, release),
        release=table["release"],
        packages=tuple(table["packages"]),
        exclude=tuple(table.get("exclude", ())),
        key=digest(parts),
        stale=table.get("stale", False),
    )


def _store(name: str, table: dict[str, Any] | None, release: str | None) -> Store | None:
    if table is None:
        return None
    wanted = tuple((tree(other, release), tuple(packages)) for other, packages in table["packages"].items())
    parts = [f"{one.key} {packages}".encode() for one, packages in wanted]
    whole = table.get("whole", False)
    key = digest([*parts, b"whole, named"] if whole else parts)
    return Store(f"{name}-store", table["path"], wanted, key, whole)


def _environment(name: str, table: dict[str, Any] | None, release: str | None) -> Environment | None:
    if table is None:
        return None
    pins, path = _ours(table["pins"]), table["path"]
    python = table["python"] if release is None else table["python"][release]
    complete = table.get("complete", True)
    without = tuple(table.get("without", ()))
    parts = [pins.read_bytes(), python.encode(), path.encode(), *(one.encode() for one in without)]
    key = digest(parts if complete else [*parts, b"as it is"])
    return Environment(f"{name}-environment", pins, python, path, key, complete, without)


def _modules(name: str, table: dict[str, Any] | None) -> Modules | None:
    if table is None:
        return None
    lock, path = _ours(table["lock"]), table["path"]
    return Modules(f"{name}-modules", lock, path, digest([*folder_parts(lock), path.encode()]))


def digest(parts: Iterable[bytes]) -> str:
    """Makes a short hexadecimal digest of parts; their borders count."""
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:KEY_DIGITS]


def folder_parts(folder: Path) -> Iterator[bytes]:
    """Yields everything in a folder that decides the result of a copy: paths, modes, content, links."""
    for path in sorted(folder.rglob("*")):
        if "__pycache__" in path.parts:
            continue
        relative = str(path.relative_to(folder))
        if path.is_symlink():
            yield f"{relative} -> {path.readlink()}".encode()
        elif path.is_file():
            executable = bool(path.stat().st_mode & 0o100)
            yield f"{relative} {executable:d} ".encode() + path.read_bytes()


def _described() -> dict[str, tuple[str, str | None]]:
    """Maps each name to the folder of its recipe, and to a release if the recipe names several."""
    found: dict[str, tuple[str, str | None]] = {}
    for folder in sorted(path.parent.name for path in data_folder("containers").glob("*/image.toml")):
        table = _read(folder)
        for release in table.get("tree", table.get("image", {})).get("releases", [None]):
            found[_variant(folder, release)] = (folder, release)
    return found


def _read(folder: str) -> dict[str, Any]:
    try:
        text = (data_folder("containers") / folder / "image.toml").read_text(encoding="utf-8")
    except OSError as problem:
        raise LabError(
            f"there is no recipe called {folder}", evidence=str(problem), hint="lab images ls"
        ) from problem
    return tomllib.loads(text)


def _variant(name: str, release: str | None) -> str:
    return f"{name}-{release}" if release else name


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _ours(source: str) -> Path:
    """Resolves a path of a recipe, such as `lab/guest/files/…`, in a checkout or an installed package."""
    top, _, inside = source.partition("/")
    return (PACKAGE if top == "lab" else data_folder(top)) / inside
