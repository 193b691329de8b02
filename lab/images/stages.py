"""Single stages of building an image: a tree of packages, build contexts, the archive of our files."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
import threading
from pathlib import Path

from lab.errors import LabError
from lab.host_speed import measured_limit
from lab.images.bundle import write_bundle
from lab.images.leftovers import put
from lab.images.own_group import in_own_group
from lab.images.recipe import Recipe, Tree
from lab.ownership import owned_by
from lab.paths import data_folder
from lab.process import run

TREE_MINUTES = 20
STALE = (
    "--aptopt=Acquire::Check-Valid-Until false",
    '--setup-hook=sed -i /security/d "$1"/etc/apt/sources.list',
)
"""For releases that the mirror no longer updates: accepts outdated lists, and leaves out the list of security
updates, whose packages are gone."""


COMPLETE = (
    "python3 -m venv --without-pip {0.path} && "
    "python3 -m compileall -q --invalidation-mode unchecked-hash {0.path}/lib"
)
"""Makes a virtual environment of unpacked wheels; compiled here, since containers may be read-only."""


def made_tree(tree: Tree, cache: Path) -> Path:
    """Returns the path of the tar file of a tree, whether it exists or not."""
    return cache / f"{tree.name}-{tree.key}.tar"


def make_tree(tree: Tree, target: Path, stop: threading.Event | None = None) -> None:
    """Makes the tar file of a tree with mmdebstrap; a run that fails or is stopped leaves no partial file."""
    if shutil.which("mmdebstrap") is None:
        raise LabError(
            "mmdebstrap is not installed", hint="sudo apt-get install mmdebstrap, or: ./quickstart"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".part")
    command = in_own_group(_mmdebstrap(tree, unfinished))
    run(command, timeout=measured_limit(TREE_MINUTES * 60), environ={**os.environ, "INITRD": "No"}, stop=stop)
    put(unfinished, target, tree.name)


def _mmdebstrap(tree: Tree, target: Path) -> list[str]:
    folder = data_folder("containers")
    return [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        "--format=tar",
        f"--include={','.join(tree.packages)}",
        *(STALE if tree.stale else ()),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in tree.exclude),
        f'--essential-hook=sh {folder}/seed-users "$1" {folder}/users',
        f'--customize-hook=sh {folder}/clean-tree "$1"',
        tree.release,
        str(target),
    ]


def base_context(recipe: Recipe, parent: str, tars: dict[str, Path], target: Path) -> None:
    """Writes the build context of an image's packages; it is large, so it is built once for each recipe."""
    lines = [f"FROM {parent}"]
    with tarfile.open(target, "w") as archive:
        for number, (path, tree) in enumerate(recipe.trees):
            archive.add(tars[tree.name], arcname=f"tree{number}.tar")
            lines.append(f"ADD tree{number}.tar {path}")
        if recipe.store:
            archive.add(tars[recipe.store.name], arcname="store.tar")
            lines.append(f"ADD store.tar {recipe.store.path}")
        if recipe.script:
            archive.add(tars[recipe.script.package], arcname="script.tar")
            lines.append(f"ADD script.tar {recipe.script.path}")
        if recipe.environment:
            archive.add(tars[recipe.environment.name], arcname="environment.tar")
            lines.append(f"ADD environment.tar {recipe.environment.path}")
            lines += [f"RUN {COMPLETE.format(recipe.environment)}"] if recipe.environment.complete else []
        if recipe.modules:
            archive.add(tars[recipe.modules.name], arcname="modules.tar")
            lines.append(f"ADD modules.tar {recipe.modules.path}")
        _add_text(archive, "Dockerfile", "\n".join(lines) + "\n")


def top_context(recipe: Recipe, target: Path) -> None:
    """Writes the build context of our part of an image: files, the guest's bundle, the install script."""
    with tarfile.open(target, "w") as archive:
        archive.add(recipe.folder / "Containerfile", arcname="Dockerfile")
        if (recipe.folder / "install").exists():
            archive.add(recipe.folder / "install", arcname="install")
        _add_files(archive, recipe, "files")


def files_archive(recipe: Recipe, target: Path) -> None:
    """Writes a tar file of our files and the bundle, under their paths in the image."""
    with tarfile.open(target, "w") as archive:
        _add_files(archive, recipe, ".")


def _add_files(archive: tarfile.TarFile, recipe: Recipe, prefix: str) -> None:
    for path, source in recipe.files:
        archive.add(source, arcname=f"{prefix}{path}".rstrip("/"), filter=owned_by())
    if recipe.bundle:
        with tempfile.TemporaryDirectory() as folder:
            bundle = Path(folder) / "bundle"
            write_bundle(bundle)
            archive.add(bundle, arcname=f"{prefix}{recipe.bundle}", filter=owned_by())


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(text.encode())
    archive.addfile(entry, io.BytesIO(text.encode()))
