"""`import`: makes a role's active release a VNFS and a bootstrap of Warewulf 3, and what its nodes boot.

Each release is a VNFS and a bootstrap of its own name. So both are there, whole, before one command at the
end gives them to the nodes. A kill before leaves nodes as they are, and going back is that command alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.guest.nodeimage import active, wwsh
from lab.guest.nodeimage.boot import FOLDER
from lab.guest.nodeimage.errors import CONFLICT, FAILED, UNKNOWN, NodeImageError, missing_program
from lab.guest.nodeimage.files import CHUNK
from lab.guest.nodeimage.manifest import Manifest
from lab.guest.nodeimage.output import Output, Result
from lab.guest.nodeimage.places import Places, locked, read_json, write_json
from lab.guest.nodeimage.role import COMPRESSORS
from lab.guest.nodeimage.verify import verified
from lab.guest.system import System

RECORD = "warewulf.json"
"""In the role's folder of the state: by VNFS, the release, and the digests of what was imported."""
UNPACK = '"$1" -dc "$2" | (cd "$3" && cpio -idm --quiet --no-absolute-filenames "$4" "usr/$4" "$5" "usr/$5")'
"""The command's words: the program that decompresses, the image, the folder, and two patterns."""


@dataclass(frozen=True)
class Job:
    """Which role's active release Warewulf gets, and which nodes boot it from now on."""

    system: System
    output: Output
    places: Places
    role: str
    nodes: Sequence[str]
    signers: str


def run(job: Job) -> Result:
    """Imports what is not there yet, then changes the nodes."""
    if not job.system.is_root:
        raise NodeImageError(FAILED, "only root can change what nodes boot", hint="use sudo")
    with locked(job.places.role(job.role), job.role):
        known = active.now(job.places.served(job.role))
        if known is None:
            raise NodeImageError(
                UNKNOWN, f"no release of {job.role} is active", hint=f"nodeimage activate {job.role} RELEASE"
            )
        name = f"{job.role}-{known.release}"
        record = read_json(job.places.role(job.role, RECORD))
        rows = wwsh.rows(job.system, "provision", ())
        nodes = _nodes(job, rows, record)
        folder = job.places.served(job.role, known.release)
        release, _ = verified(job.system, folder, job.signers, role=job.role, release=known.release)
        imported = _import(job, release, name, record)
        moved = [node for node in nodes if _boots(rows[node]) != (name, name)]
        if moved:
            wwsh.run(job.system, "provision", "set", *moved, f"--vnfs={name}", f"--bootstrap={name}")
        _tidy(job, record, {f"{job.role}-{known.before}", name})
    return _result(job, known.release, name, nodes, changed=imported or bool(moved))


def _boots(row: Mapping[str, str]) -> tuple[str, str]:
    return row.get("VNFS", ""), row.get("BOOTSTRAP", "")


def _nodes(job: Job, rows: wwsh.Rows, record: Mapping[str, Any]) -> list[str]:
    """The nodes that the command line names, and those that boot an imported release of the role."""
    named = list(wwsh.rows(job.system, "node", job.nodes)) if job.nodes else []
    other = [name for name in named if FOLDER in rows[name].get("IPXEURL", "") or rows[name].get("PXELOADER")]
    if other:
        raise NodeImageError(
            CONFLICT, f"DHCP gives {' '.join(other)} another boot entry, so no VNFS would be booted",
            hint=f"nodeimage boot {job.role} {' '.join(other)} --off",
        )  # fmt: skip
    follow = [name for name, row in rows.items() if row.get("VNFS") in record]
    return sorted({*named, *follow})


def _import(job: Job, release: Manifest, name: str, record: dict[str, Any]) -> bool:
    """Imports image and kernel of a release, unless they are there; returns whether anything was missing."""
    image = os.path.join(release.folder, "image")
    noted = record.get(name, {})
    md5 = _md5(image)
    has_vnfs = wwsh.checksum(job.system, "vnfs", name)
    has_bootstrap = wwsh.checksum(job.system, "bootstrap", name)
    for kind, has in (("VNFS", has_vnfs), ("bootstrap", has_bootstrap)):
        if has and not noted:
            raise NodeImageError(
                CONFLICT, f"Warewulf has a {kind} {name} that nodeimage did not import",
                hint=f"wwsh {kind.lower()} set {name} --name=OTHER",
            )  # fmt: skip
    whole = (
        noted.get("image") == release.files["image"][1] and noted.get("kernel") == release.files["kernel"][1]
    )
    if whole and has_vnfs == md5 and has_bootstrap and has_bootstrap == noted.get("bootstrap"):
        return False
    # Noted before it is made: what a killed run leaves is then known to be ours.
    record[name] = {"release": release.release}
    write_json(job.system, job.places.role(job.role, RECORD), record)
    with job.output.step(f"importing {job.role} {release.release} as bootstrap and VNFS {name}"):
        _bootstrap(job, release, name)
        if has_vnfs != md5:
            wwsh.run(job.system, "-q", "vnfs", "import", job.system.inside(image), f"--name={name}")
    record[name] = {
        "release": release.release,
        "image": release.files["image"][1],
        "kernel": release.files["kernel"][1],
        "bootstrap": wwsh.checksum(job.system, "bootstrap", name),
    }
    write_json(job.system, job.places.role(job.role, RECORD), record)
    return True


def _md5(path: str) -> str:
    found = hashlib.md5(usedforsecurity=False)
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _bootstrap(job: Job, release: Manifest, name: str) -> None:
    """Makes a bootstrap of the release's kernel, with the modules of its image or else of this head node."""
    import tempfile  # slow to load, and of no use to other verbs

    kernel = os.path.join(release.folder, "kernel")
    version = kernel_version(kernel)
    with tempfile.TemporaryDirectory(prefix="nodeimage.") as stage:
        tree = _modules(job, release, version, stage)
        words = ["--chroot", tree, "--kernel", job.system.inside(kernel), "--name", name, version]
        done = job.system.run(["wwbootstrap", *words])
    said = done.err.decode(errors="replace").strip()
    if done.status == 127:
        raise missing_program("wwbootstrap", "this verb is for a head node with Warewulf 3")
    if done.status or "ERROR" in said:
        raise NodeImageError(
            FAILED, f"no bootstrap of {release.folder}", evidence=said, hint="wwbootstrap --help"
        )


def _modules(job: Job, release: Manifest, version: str, stage: str) -> str:
    """The folder below which lib/modules/VERSION and lib/firmware are."""
    packer = COMPRESSORS[release.facts["compress"]][0]
    patterns = ("lib/modules/*", "lib/firmware/*")
    done = job.system.run(
        ["sh", "-c", UNPACK, "sh", packer, os.path.join(release.folder, "image"), stage, *patterns]
    )
    if done.status:
        raise NodeImageError(
            FAILED, f"the image in {release.folder} cannot be unpacked",
            evidence=done.err.decode(errors="replace").strip(), hint=f"{packer} -dc image | cpio -it",
        )  # fmt: skip
    if os.path.isdir(os.path.join(stage, "usr/lib")) and not os.path.lexists(os.path.join(stage, "lib")):
        os.symlink("usr/lib", os.path.join(stage, "lib"))
    for tree in (stage, job.system.path("/")):
        if os.path.isfile(os.path.join(tree, "lib/modules", version, "modules.dep")):
            return job.system.inside(tree) if tree == stage else "/"
    raise NodeImageError(
        UNKNOWN, f"there are no modules for the kernel {version}",
        evidence=f"neither the image of {release.release} nor this head node has /lib/modules/{version}",
        hint="install the kernel's package in the tree: [tree] packages in image.toml",
    )  # fmt: skip


def kernel_version(path: str) -> str:
    """The release that a kernel tells of itself (Linux, Documentation/arch/x86/boot.rst, kernel_version)."""
    with open(path, "rb") as file:
        head = file.read(0x10000)
    if head[0x202:0x206] == b"HdrS":
        at = int.from_bytes(head[0x20E:0x210], "little") + 0x200
        version = head[at:].split(b"\0", 1)[0].split(b" ", 1)[0].decode("ascii", "replace")
        if version.isprintable() and version:
            return version
    raise NodeImageError(
        FAILED, f"{path} tells no version of the kernel, so it is none that boots here", hint=f"file {path}"
    )


def _tidy(job: Job, record: dict[str, Any], spared: set[str]) -> None:
    """Removes from Warewulf what older releases left there, unless a node boots it."""
    used = {one for row in wwsh.rows(job.system, "provision", ()).values() for one in _boots(row)}
    for name in [name for name in record if name not in spared and name not in used]:
        for kind in ("vnfs", "bootstrap"):
            if name in wwsh.names(job.system, kind):
                wwsh.run(job.system, "-q", kind, "delete", name)
        del record[name]
        write_json(job.system, job.places.role(job.role, RECORD), record)


def _result(job: Job, release: str, name: str, nodes: Sequence[str], *, changed: bool) -> Result:
    lines = [f"{job.role} {release} is the VNFS and the bootstrap {name}"]
    if nodes:
        lines.append(f"{' '.join(nodes)}: the next boot takes it")
    else:
        lines.append(f"next: nodeimage import {job.role} NODE ...; no node boots {job.role} by Warewulf yet")
    data = {"role": job.role, "release": release, "vnfs": name, "bootstrap": name, "nodes": list(nodes)}
    return Result({**data, "changed": changed}, lines)
