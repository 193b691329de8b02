"""`publish`: makes a signed release of a packed image. It is there whole, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from lab.guest.nodeimage import manifest, same_commit, signature
from lab.guest.nodeimage.commit import shortened
from lab.guest.nodeimage.errors import CONFLICT, INVALID, UNKNOWN, WRITE, NodeImageError
from lab.guest.nodeimage.files import copied, sync_folder
from lab.guest.nodeimage.manifest import Manifest
from lab.guest.nodeimage.output import Output, Result, size_text
from lab.guest.nodeimage.pack import RECORD
from lab.guest.nodeimage.places import Places, checked, locked, read_json
from lab.guest.system import System

STAGING = ".new-"
"""How names of unfinished releases begin; the next publication removes what a killed one left."""


@dataclass(frozen=True)
class Job:
    """Whose image is published, under which name (empty: that of the commit) and signed with which key."""

    system: System
    output: Output
    places: Places
    role: str
    release: str
    key: str


def run(job: Job) -> Result:
    """Publishes the image that pack made last, or finds that it is published."""
    job.system.make_dir(job.system.inside(job.places.served(job.role)))
    with locked(job.places.role(job.role), job.role), locked(job.places.served(job.role), job.role):
        record = _record(job)
        release = checked(job.release or shortened(str(record["commit"])), "release")
        final = job.places.served(job.role, release)
        wanted = manifest.made(record, release)
        if os.path.lexists(final):
            return _there_already(job, final, wanted, record, release)
        _remove_leftovers(job)
        with job.output.step(f"publishing {job.role} {release}"):
            _write(job, record, final, wanted)
    return _result(job, record, release, changed=True)


def _record(job: Job) -> dict[str, Any]:
    record = read_json(job.places.role(job.role, "image", RECORD))
    if not record:
        raise NodeImageError(UNKNOWN, f"no image of {job.role} is packed", hint="nodeimage pack ROLE")
    return record


def _there_already(job: Job, final: str, wanted: bytes, record: Mapping[str, Any], release: str) -> Result:
    """Nothing to do if the release is this image, or of this commit. It never changes under its name."""
    found = manifest.raw(final) if os.path.isdir(final) else b""
    same = found == wanted
    other = None if same else _built_from_another_ref(job, final, found, wanted)
    if not same and other is None:
        raise NodeImageError(
            CONFLICT, f"a release {release} of {job.role} exists with other content",
            evidence=_difference(final, record),
            hint=f"give this one another name: nodeimage publish {job.role} --release {release}.1",
        )  # fmt: skip
    wrong = manifest.problems(manifest.read(final))
    if wrong:
        raise NodeImageError(
            INVALID, f"{final} exists and is damaged", evidence="\n".join(wrong),
            hint=f"rm -r {final}, then: nodeimage publish {job.role} --release {release}",
        )  # fmt: skip
    return _result(job, record, release, changed=False) if other is None else _reused(other)


def _built_from_another_ref(job: Job, final: str, found: bytes, wanted: bytes) -> Optional[Manifest]:
    """The release that is there, if it is of the same commit and has the same content but for the stamp."""
    new = manifest.parse(job.places.role(job.role, "image"), wanted)
    try:
        old = manifest.parse(final, found)
    except NodeImageError:
        return None
    return old if same_commit.differ_in_ref_only(job.system, new, old) else None


def _reused(old: Manifest) -> Result:
    role, ref = old.facts["role"], old.facts["ref"]
    lines = (
        f"published already: {role} {old.release} in {old.folder}",
        f"it was built from {ref}, which leads to the same commit: only its stamp says so",
        f"next: nodeimage activate {role} {old.release}",
    )
    return Result({**old.data, "changed": False, "place": old.folder, "built_from": ref}, lines)


def _difference(final: str, record: Mapping[str, Any]) -> str:
    known = read_json(os.path.join(final, manifest.FILE)).get("files", {})
    rows = []
    for name, one in sorted(record["files"].items()):
        there = known.get(name, {}).get("sha256", "missing") if isinstance(known, dict) else "missing"
        if there != one["sha256"]:
            rows.append(f"{name}: published {there[:16]}, packed {one['sha256'][:16]}")
    return "\n".join(rows) or "the manifests differ in what they say of the image"


def _remove_leftovers(job: Job) -> None:
    folder = job.places.served(job.role)
    for name in os.listdir(folder):
        if name.startswith(STAGING):
            shutil.rmtree(os.path.join(folder, name))


def _write(job: Job, record: Mapping[str, Any], final: str, wanted: bytes) -> None:
    """Fills a folder beside the releases, and gives it its name at the end."""
    need = sum(one["size"] for one in record["files"].values()) + len(wanted)
    folder = job.places.served(job.role)
    free = os.statvfs(folder)
    if free.f_bavail * free.f_frsize < need:
        raise NodeImageError(
            WRITE, f"no room for the release in {folder}",
            evidence=f"it takes {size_text(need)}, and {size_text(free.f_bavail * free.f_frsize)} are free",
            hint=f"nodeimage prune {job.role}",
        )  # fmt: skip
    stage = os.path.join(folder, f"{STAGING}{os.path.basename(final)}")
    job.system.make_dir(job.system.inside(stage))
    try:
        for name, expected in sorted(record["files"].items()):
            _copy(job, name, os.path.join(stage, name), expected)
        _sign(job, os.path.join(stage, manifest.FILE), wanted)
        sync_folder(stage)
        os.rename(stage, final)
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    sync_folder(folder)


def _copy(job: Job, name: str, target: str, expected: object) -> None:
    """Copies a file of the packed image, if it is still what pack wrote."""
    source = job.places.role(job.role, "image", name)
    if copied(source, target) != expected:
        raise NodeImageError(
            INVALID, f"{source} is not what pack wrote", evidence="its size or SHA-256 digest differs",
            hint=f"nodeimage pack FOLDER --full, then: nodeimage publish {job.role}",
        )  # fmt: skip
    os.chmod(target, 0o644)


def _sign(job: Job, path: str, wanted: bytes) -> None:
    with open(path, "wb") as file:
        file.write(wanted)
        file.flush()
        os.fsync(file.fileno())
    signature.sign(job.system, job.key, path)
    for name in (path, f"{path}{signature.SUFFIX}"):
        os.chmod(name, 0o644)


def _result(job: Job, record: Mapping[str, Any], release: str, *, changed: bool) -> Result:
    place = job.places.served(job.role, release)
    lines = (
        f"{'published' if changed else 'published already'}: {job.role} {release} in {place}",
        f"next: nodeimage activate {job.role} {release}",
    )
    data = {key: record[key] for key in (*manifest.FACTS, "unpacked", "files")}
    return Result({**data, "changed": changed, "release": release, "place": place}, lines)
