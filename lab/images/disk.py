"""Builds the disk of a virtual machine, without booting it, from the recipe of the container image."""

from __future__ import annotations

import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.backends.libvirt.storage import DiskStore, search_path
from lab.errors import LabError
from lab.host_speed import measured_limit
from lab.images import pipeline, stages
from lab.images.own_group import in_own_group
from lab.images.recipe import Recipe, digest, folder_parts, load
from lab.paths import PACKAGE, data_folder
from lab.process import run

INIT = PACKAGE / "guest/files/machine/init"
OUTSIDE = PACKAGE / "guest/files/outside"
INSTALL_MINUTES = 10
LAZY = "lazy_itable_init=1,lazy_journal_init=1"


@dataclass(frozen=True)
class DiskRecipe:
    """One disk: the recipe of the container image, and what a virtual machine needs in addition."""

    name: str
    folder: Path
    recipe: Recipe
    path: str
    size: int  # GiB
    modules: tuple[str, ...]
    finish: Path
    default: bool

    @property
    def key(self) -> str:
        """Digest of everything that the disk is made of."""
        top = pipeline.top_key(self.recipe).encode()
        finish = [] if self.finish.parent == self.folder else [self.finish.read_bytes()]
        return digest([top, *folder_parts(self.folder), *finish, *folder_parts(OUTSIDE), INIT.read_bytes()])

    @property
    def layers(self) -> tuple[Recipe, ...]:
        """The recipes whose content the disk has, the lowest first."""
        on = load(self.recipe.on) if self.recipe.on else None
        return (self.recipe,) if on is None else (on, self.recipe)


def recipe(name: str) -> DiskRecipe:
    """Reads the disk recipe of that name."""
    folder = data_folder("vms") / name
    table = tomllib.loads((folder / "image.toml").read_text(encoding="utf-8"))
    container = load(table["recipe"])
    if container is None:
        raise LabError(f"the recipe {table['recipe']} makes a tree, not an image", hint="lab images ls")
    finish = folder.parent / table.get("finish", name) / "finish"
    modules = tuple(table["modules"])
    default = table.get("default", True)
    return DiskRecipe(name, folder, container, table["path"], table["size"], modules, finish, default)


def names(*, optional: bool = True) -> tuple[str, ...]:
    """Names of the recipes of disks; with `optional`, also those that few labs need."""
    found = sorted(path.parent.name for path in data_folder("vms").glob("*/image.toml"))
    return tuple(name for name in found if optional or recipe(name).default)


def inventory(store: DiskStore, *, optional: bool = False) -> tuple[pipeline.ImageRecord, ...]:
    """Lists the disks that labs need, whether built or not; with `optional`, all disks."""
    found = []
    for wanted in map(recipe, names(optional=optional)):
        size, created = store.look(wanted.name, wanted.key)
        name, needed = f"{wanted.name} (disk)", wanted.default
        found.append(pipeline.ImageRecord(name, wanted.key, size > 0, size, created, needed=needed))
    return tuple(found)


def build(
    store: DiskStore, cache: Path, say: pipeline.Say, *, force: bool = False, wanted_names: Sequence[str] = ()
) -> None:
    """Builds the named disks, or those that labs need, if anything has changed or with `force`."""
    for wanted in map(recipe, wanted_names or names(optional=False)):
        if force or not store.look(wanted.name, wanted.key)[0]:
            _require_tools()
            tars = pipeline.make_trees(wanted.layers, cache, say)
            with store.making(wanted.name, wanted.key) as target:
                _build(wanted, tars, target, say)
            say(f"{wanted.name}: disk ready")
        store.use(wanted.name, wanted.key)


def _require_tools() -> None:
    missing = [
        tool for tool in ("mke2fs", "unshare", "mmdebstrap") if shutil.which(tool, path=search_path()) is None
    ]
    if missing:
        raise LabError(
            f"not installed on this host: {', '.join(missing)}",
            hint="sudo apt-get install e2fsprogs util-linux mmdebstrap",
        )


def _build(wanted: DiskRecipe, tars: dict[str, Path], target: Path, say: pipeline.Say) -> None:
    """Unpacks the trees, runs the install scripts in them, and makes a file system of the result."""
    with _scratch(target.parent) as folder:
        root = folder / "root"
        say(f"{wanted.name}: unpacking the packages of the disk")
        lines = ["set -eu"]
        disk = f"{root}{wanted.path}"
        for number, layer in enumerate(wanted.layers):
            for path, name in _parts(layer):
                lines += [f"mkdir -p {root}{path}", f"tar -x --numeric-owner -f {tars[name]} -C {root}{path}"]
            files = folder / f"files{number}"
            _unpack_files(layer, files)
            lines += [
                f"cp -r --preserve=mode --no-preserve=ownership {files}/. {root}/",
                f"sh {layer.folder / 'install'} {disk}",
            ]
        lines += [
            f"sh {wanted.finish} {disk} {INIT} {OUTSIDE} {target} {' '.join(wanted.modules)}",
            f"rm -rf {disk}/run/*",
            f"mke2fs -q -F -t ext4 -L root -m 1 -E {LAZY} -d {disk} {target}.raw {wanted.size}G",
        ]
        say(f"{wanted.name}: adding files, installing, making the file system")
        command = _as_root("sh", "-c", "\n".join(lines))
        run(command, timeout=measured_limit(INSTALL_MINUTES * 60), environ=_environment())


def _parts(layer: Recipe) -> Iterator[tuple[str, str]]:
    """Where the packages of a recipe go in the image, and the names of their files."""
    yield from ((path, tree.name) for path, tree in layer.trees)
    for one in (layer.store, layer.environment, layer.modules):
        if one is not None:
            yield one.path, one.name


def _unpack_files(made_of: Recipe, target: Path) -> None:
    """Unpacks our files and the bundle under their paths in the image."""
    context = target.with_suffix(".tar")
    stages.files_archive(made_of, context)
    target.mkdir()
    shutil.unpack_archive(context, target, filter="fully_trusted")
    context.unlink()


def _as_root(*argv: str) -> list[str]:
    """Returns the command in a mount namespace, and in a user namespace as root unless we are root."""
    if os.geteuid() == 0:
        return ["unshare", "--mount", *argv]
    return in_own_group(["unshare", "--map-root-user", "--map-auto", "--mount", *argv])


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C.UTF-8", "PATH": search_path()}


@contextmanager
def _scratch(beside: Path) -> Iterator[Path]:
    """Makes a folder on the same disk, and removes it as root: its files may belong to mapped users."""
    folder = Path(tempfile.mkdtemp(prefix="making-", dir=beside))
    try:
        yield folder
    finally:
        run(_as_root("rm", "-rf", str(folder)), timeout=measured_limit(120), check=False)
