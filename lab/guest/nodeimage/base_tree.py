"""`tree`: installs a role's packages once, and gives each pipeline a working copy of its own (P4)."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.guest.nodeimage import in_use, installers, packages, proof, work_copy
from lab.guest.nodeimage.errors import FAILED, NodeImageError, missing_program
from lab.guest.nodeimage.output import Output, Result
from lab.guest.nodeimage.places import Places, json_bytes, locked, read_json, write_json
from lab.guest.nodeimage.role import Role
from lab.guest.system import System

RECORD = "tree.json"
INDEXES = ("Packages", "Release", "InRelease", "repomd.xml")
"""How files begin that say what a repository holds."""
INSTALL = {"mmdebstrap": "apt install mmdebstrap", "dnf": "apt install dnf, or run this on Enterprise Linux"}


@dataclass(frozen=True)
class Job:
    """Which base tree is wanted, and how it is given to the pipeline."""

    system: System
    output: Output
    places: Places
    role: Role
    sources: Sequence[str]
    refresh: bool
    copy: bool


def run(job: Job) -> Result:
    """Makes the base tree if there is none of these inputs, and a fresh working copy of it."""
    if not job.system.is_root:
        raise NodeImageError(FAILED, "only root can install a tree", hint="use sudo")
    sources = job.sources or job.role.tree.sources
    name = _digest(job, sources)
    place = os.path.join(job.places.trees, name)
    with locked(job.places.role(job.role.name), job.role.name):
        with locked(job.places.trees, "the trees"):
            made = _make(job, sources, place)
        base = os.path.join(place, "root")
        root, how = work_copy.renew(job.system, job.places.role(job.role.name, "work"), base, copy=job.copy)
        proof.forget(job.system, job.places, job.role, "configure")
    count = read_json(os.path.join(place, RECORD)).get("packages", 0)
    line = f"{'installed' if made else 'found'}: {count} packages in {base}"
    data = {"role": job.role.name, "digest": name, "base": base, "tree": root, "how": how, "changed": made}
    return Result(
        {**data, "packages": count},
        (line, f"working copy ({how}): {root}", f"next: nodeimage configure {job.role.folder}"),
    )


def _digest(job: Job, sources: Sequence[str]) -> str:
    """Names a tree by its inputs: the plan, the installer's release, and what local repositories hold."""
    plan = {key: value for key, value in vars(job.role.tree).items() if key != "sources"}
    version = job.system.run([job.role.tree.installer, "--version"]).out.decode(errors="replace").strip()
    indexes = [_index_digest(folder) for folder in installers.local_folders(sources)]
    inputs = {
        **plan,
        "sources": list(sources),
        "version": version,
        "indexes": indexes,
        "arch": os.uname().machine,
    }
    return hashlib.sha256(json_bytes(inputs)).hexdigest()[:24]


def _index_digest(folder: str) -> str:
    if not os.path.isdir(folder):
        raise NodeImageError(FAILED, f"there is no package source {folder}", hint=f"ls {folder}")
    found = hashlib.sha256()
    for path in _indexes(folder):
        with open(path, "rb") as file:
            found.update(f"{os.path.relpath(path, folder)}\0".encode() + hashlib.sha256(file.read()).digest())
    return found.hexdigest()


def _indexes(folder: str) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (os.path.join(place, name) for name in sorted(names) if name.startswith(INDEXES))


def _make(job: Job, sources: Sequence[str], place: str) -> bool:
    """Installs a tree beside its place and gives it its name at the end; whether it did."""
    for name in os.listdir(job.places.trees):
        if name.startswith(".new-"):
            _discard(os.path.join(job.places.trees, name))
    if os.path.exists(os.path.join(place, RECORD)) and not job.refresh:
        return False
    stage = os.path.join(job.places.trees, f".new-{os.path.basename(place)}")
    os.makedirs(stage)
    try:
        _install(job, sources, stage)
        if os.path.exists(place):
            work_copy.refuse_in_use(job.places.state, place)
            shutil.rmtree(place)
        os.rename(stage, place)
    except BaseException:
        if not in_use.mounts(stage):
            shutil.rmtree(stage, ignore_errors=True)
        raise
    return True


def _discard(stage: str) -> None:
    """Removes what a killed installation left, but nothing that is mounted there: it may be the host's."""
    in_use.refuse(stage)
    shutil.rmtree(stage)


def _install(job: Job, sources: Sequence[str], stage: str) -> None:
    plan, target = job.role.tree, os.path.join(stage, "root")
    words = installers.command(plan, sources, target, automount=os.path.isdir(installers.AUTOMOUNT))
    if shutil.which(words[0]) is None:
        raise missing_program(words[0], INSTALL[words[0]])
    with job.output.step(f"installing {len(plan.packages)} packages and what they need with {words[0]}"):
        done = job.system.run(words)
    if done.status:
        told = done.err.decode(errors="replace").strip().splitlines()[-12:]
        raise NodeImageError(
            FAILED, f"{words[0]} could not install the tree", evidence="\n".join(told),
            hint=f"check release, packages and sources in {job.role.folder}/image.toml",
        )  # fmt: skip
    count = len(packages.listing(job.system, target).splitlines())
    write_json(job.system, os.path.join(stage, RECORD), {"packages": count, "command": words})
