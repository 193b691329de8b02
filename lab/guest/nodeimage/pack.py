"""`pack`: makes a reproducible, stamped image of a tree that was configured and tested."""

from __future__ import annotations

import errno
import glob
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lab.guest.archive import cpio, segments
from lab.guest.archive.errors import ArchiveError
from lab.guest.archive.tree import Item
from lab.guest.nodeimage import budget, content, in_use, packages, proof, secret_rules, secret_scan
from lab.guest.nodeimage.commit import Commit
from lab.guest.nodeimage.errors import FAILED, UNKNOWN, USAGE, WRITE, NodeImageError, missing_program
from lab.guest.nodeimage.files import copied, described
from lab.guest.nodeimage.output import Output, Result, size_text
from lab.guest.nodeimage.places import Places, json_bytes, locked, read_json, write_json
from lab.guest.nodeimage.role import COMPRESSORS, Role
from lab.guest.system import System

RECORD = "pack.json"
FORMAT = 1


@dataclass(frozen=True)
class Job:
    """What is packed, of which commit, and where it goes."""

    system: System
    output: Output
    places: Places
    role: Role
    commit: Commit
    tree: str
    kernel: str
    full: bool

    def path(self, *parts: str) -> str:
        """A path in the role's folder of the state."""
        return self.places.role(self.role.name, *parts)


def run(job: Job) -> Result:
    """Packs the tree, or finds that the image is what it would become."""
    if not job.system.is_root:
        raise NodeImageError(FAILED, "only root can read all of a tree", hint="use sudo")
    with locked(job.path(), job.role.name), _explained(job):
        content.need_tree(job.tree)
        in_use.refuse(job.tree)
        return _packed(job)


@contextmanager
def _explained(job: Job) -> Iterator[None]:
    """Turns the errors of packing into those of nodeimage."""
    again = f"nodeimage pack {job.role.folder}"
    try:
        yield
    except cpio.TooLargeError as error:
        hint = f'remove it, or leave it out in image.toml: [image] exclude = ["/{error.path}"]'
        raise NodeImageError(FAILED, str(error), hint=hint) from error
    except segments.ChangedError as error:
        raise NodeImageError(FAILED, str(error), hint=f"find what writes to it, then: {again}") from error
    except ArchiveError as error:
        if os.strerror(errno.ENOSPC) in str(error):  # the compressor's words: it is what writes
            raise NodeImageError(WRITE, str(error), hint=f"df -h {job.path()}") from error
        raise NodeImageError(FAILED, str(error), hint=again) from error


def _packed(job: Job) -> Result:
    started = time.time_ns()
    items = content.read_tree(job.tree, job.role.exclude)
    cpio.check_sizes(item.entry for item in items)
    now = proof.state(job.role, job.commit, job.tree, content.tree_digest(items))
    summary = proof.check(job.places, job.role, now)
    listing = packages.listing(job.system, job.tree)
    facts: dict[str, Any] = {
        "format": FORMAT, "role": job.role.name, "commit": job.commit.sha, "ref": job.commit.ref,
        "date": job.commit.date, "arch": os.uname().machine, "compress": job.role.compress,
        "packages": packages.digest(listing), "tests": summary,
    }  # fmt: skip
    packed = content.for_image(items, content.stamp(facts), job.commit.seconds)
    facts["unpacked"] = budget.check(packed, job.role.memory, job.role.name)
    kernel = job.kernel or _kernel(job)
    command = _compressor(job)
    cut = segments.cut(packed, _salt(job, command))
    known = read_json(job.path("image", RECORD))
    if not job.full and _is_current(job, known, [one.digest for one in cut], kernel):
        return _result(job, known, changed=False)
    _refuse_secrets(job, cut)
    return _result(job, _write(job, cut, command, kernel, listing, facts, started), changed=True)


def _refuse_secrets(job: Job, cut: Sequence[segments.Segment]) -> None:
    """Looks for secrets in what is going to be compressed: what lies in the cache went through here."""
    cache = job.path("cache")
    os.makedirs(cache, 0o700, exist_ok=True)
    if job.full:
        segments.tidy(cache, ())
    new: list[Item] = [item for one in segments.missing(cut, cache) for item in one.items]
    with job.output.step(f"looking for secrets in {len(new)} new or changed files"):
        secret_scan.refuse(secret_scan.search(new, job.role.allow))


def _write(
    job: Job,
    cut: Sequence[segments.Segment],
    command: Sequence[str],
    kernel: str,
    listing: str,
    facts: Mapping[str, Any],
    started: int,
) -> dict[str, Any]:
    """Writes all files of the image. The record comes last: what a killed run leaves is not taken for one."""
    place, cache = job.path("image"), job.path("cache")
    os.makedirs(place, exist_ok=True)
    with job.output.step(f"packing {len(cut)} segments with {command[0]}"):
        files = segments.pack(
            job.system, cut, cache, command, workers=os.cpu_count() or 1, started_ns=started
        )
        trailer = segments.compressed(job.system, cpio.TRAILER, command)
        job.system.remove(job.system.inside(os.path.join(place, RECORD)))
        with job.system.replacing(job.system.inside(os.path.join(place, "image"))) as temporary:
            checksum, size = segments.join(files, temporary, trailer, "sha256")
    made = {"image": {"size": size, "sha256": checksum}}
    with job.system.replacing(job.system.inside(os.path.join(place, "kernel"))) as temporary:
        made["kernel"] = copied(kernel, temporary)
    for name, data in (("packages.txt", listing.encode()), ("tests.json", json_bytes(facts["tests"]))):
        job.system.write(job.system.inside(os.path.join(place, name)), data)
        made[name] = described(data)
    record = {**facts, "files": made, "segments": [one.digest for one in cut], "kernel": _seen(kernel)}
    write_json(job.system, os.path.join(place, RECORD), record)
    segments.tidy(cache, [os.path.basename(file) for file in files])
    return record


def _is_current(job: Job, known: Mapping[str, Any], digests: Sequence[str], kernel: str) -> bool:
    """Whether the image that lies there is of these segments and this kernel."""
    if known.get("segments") != list(digests) or known.get("kernel") != _seen(kernel):
        return False
    return all(
        os.path.isfile(path := job.path("image", name)) and os.path.getsize(path) == one["size"]
        for name, one in known["files"].items()
    )


def _seen(path: str) -> list[object]:
    info = os.stat(path)
    return [path, info.st_size, info.st_mtime_ns, info.st_ctime_ns]


def _result(job: Job, record: Mapping[str, Any], *, changed: bool) -> Result:
    image = record["files"]["image"]
    data = {key: value for key, value in record.items() if key not in ("segments", "kernel")}
    place = job.path("image")
    line = (
        f"{'packed' if changed else 'unchanged'}: {job.role.name} of {job.commit.short}, "
        f"{size_text(image['size'])} ({size_text(record['unpacked'])} unpacked)"
    )
    return Result(
        {**data, "changed": changed, "place": place},
        (line, f"sha256 {image['sha256']}", f"next: nodeimage publish {job.role.name}"),
    )


def _compressor(job: Job) -> tuple[str, ...]:
    command = COMPRESSORS[job.role.compress]
    if shutil.which(command[0]) is None:
        raise missing_program(command[0], f"apt install {command[0]}")
    return command


def _salt(job: Job, command: Sequence[str]) -> str:
    # Another version of the compressor may write other bytes, and other rules may find a secret.
    version = job.system.run([command[0], "--version"]).out.decode(errors="replace")
    return f"{command} {version} {secret_rules.VERSION} {job.role.allow}"


def _kernel(job: Job) -> str:
    """The kernel in the tree that the role names: the newest one, if its name is a pattern."""
    pattern = glob.escape(job.tree) + job.role.kernel
    inside = os.path.realpath(job.tree) + "/"
    found = [path for path in glob.glob(pattern) if os.path.isfile(path)]
    found = [path for path in found if os.path.realpath(path).startswith(inside)]
    if not found:
        raise NodeImageError(
            UNKNOWN, f"there is no kernel {job.role.kernel} in {job.tree}",
            hint="name the file: --kernel FILE, or install one: [tree] packages in image.toml",
        )  # fmt: skip
    return max(found, key=_version)


def _version(path: str) -> list[tuple[int, str]]:
    """Sorts 6.12 after 6.9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"[0-9]+|[^0-9]+", path)]


def kernel_file(path: str) -> str:
    """A kernel that the command line names."""
    if path and not os.path.isfile(path):
        raise NodeImageError(USAGE, f"--kernel {path}: there is no such file", hint="ls /boot/vmlinuz-*")
    return os.path.abspath(path) if path else ""
