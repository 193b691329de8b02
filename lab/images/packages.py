"""Builds the package store: packages that learners may install later, since labs have no internet.

For each tree, apt works out which packages the tree lacks. Together with an index, these packages become a
small repository on an image's disk.
"""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError
from lab.host_speed import measured_limit
from lab.images.leftovers import put
from lab.images.recipe import Store, Tree
from lab.ownership import owned_by
from lab.process import run

FETCH_MINUTES = 15
APT = ("var/lib/dpkg/status", "etc/apt/sources.list", "etc/apt/trusted.gpg.d/")
"""The files of a tree that apt needs: installed packages, sources, and trusted keys."""


def made_store(store: Store, cache: Path) -> Path:
    """Returns the path of the tar file of a package store, whether it exists or not."""
    return cache / f"{store.name}-{store.key}.tar"


def make_store(store: Store, tars: Mapping[str, Path], target: Path) -> None:
    """Makes the tar file of a package store; an interrupted run leaves no incomplete file under its name."""
    unfinished = target.with_suffix(".part")
    with tempfile.TemporaryDirectory(prefix="rackling-", dir=target.parent) as folder:
        repository = Path(folder) / "repository"
        repository.mkdir()
        for tree, names in store.wanted:
            root = Path(folder) / tree.name
            _unpack(tars[tree.name], root)
            if store.whole:
                (root / "var/lib/dpkg/status").write_text("", encoding="utf-8")
            _fetch(tree, names, root, repository)
        release = store.wanted[0][0].release if store.whole else ""
        _write_index(repository, {name for _, names in store.wanted for name in names}, release)
        with tarfile.open(unfinished, "w") as archive:
            for path in sorted(repository.iterdir()):
                archive.add(path, arcname=path.name, filter=owned_by())
    put(unfinished, target, store.name)


def _unpack(tar: Path, root: Path) -> None:
    with tarfile.open(tar) as archive:
        for entry in archive:
            name = entry.name.removeprefix("./")
            if entry.isfile() and name.startswith(APT):
                archive.extract(entry, root, filter="data")
    for folder in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "etc/apt/preferences.d"):
        (root / folder).mkdir(parents=True, exist_ok=True)


def _fetch(tree: Tree, names: Sequence[str], root: Path, repository: Path) -> None:
    """Lets apt download the named packages and their dependencies, except what the tree already has."""
    settings = {
        "Dir::State": root / "var/lib/apt",
        "Dir::State::status": root / "var/lib/dpkg/status",
        "Dir::Cache": root / "var/cache/apt",
        "Dir::Cache::archives": repository,
        "Dir::Etc::sourcelist": root / "etc/apt/sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::trusted": "/dev/null",
        "Dir::Etc::trustedparts": root / "etc/apt/trusted.gpg.d",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": root / "etc/apt/preferences.d",
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "false",
        "APT::Update::Post-Invoke": "",
        "Acquire::Languages": "none",
        "Acquire::Check-Valid-Until": "false" if tree.stale else "true",
    }
    (repository / "partial").mkdir(exist_ok=True)
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in settings.items())]
    for words in (["update"], ["install", "--download-only", "-y", "--", *names]):
        try:
            run([*apt, *words], timeout=measured_limit(FETCH_MINUTES * 60))
        except LabError as problem:
            raise LabError(
                f"packages for the package store of {tree.name} could not be downloaded",
                evidence=problem.evidence or problem.message,
                hint="see [image.store.packages] in the recipe, which names the packages",
            ) from problem
    (repository / "lock").unlink(missing_ok=True)
    (repository / "partial").rmdir()


def _write_index(repository: Path, chosen: set[str], release: str) -> None:
    """Writes Packages and Release, which apt reads; `Chosen` marks the packages that the recipe names.

    mmdebstrap(1) finds essential packages by the release's name, so a store for whole trees has it.
    """
    stanzas = []
    for path in sorted(repository.glob("*.deb")):
        data = path.read_bytes()
        control = run(["dpkg-deb", "--field", str(path)], timeout=measured_limit(60)).stdout.rstrip("\n")
        digest = hashlib.sha256(data).hexdigest()
        if path.name.partition("_")[0] in chosen:
            control += "\nChosen: yes"
        stanzas.append(f"{control}\nFilename: ./{path.name}\nSize: {len(data)}\nSHA256: {digest}\n")
    index = "\n".join(stanzas).encode()
    (repository / "Packages").write_bytes(index)
    line = f" {hashlib.sha256(index).hexdigest()} {len(index)} Packages"
    named = f"Suite: {release}\nCodename: {release}\n" if release else ""
    (repository / "Release").write_text(f"Origin: Rackling\nLabel: package store\n{named}SHA256:\n{line}\n")
