"""`boot`: has nodes boot the whole system of a role's active release as their initial file system.

A node's DHCP answer names the boot entry. It comes from Warewulf's data store, so no later `wwsh` undoes it.
Which release the entry means is for the link `current` to say.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from lab.guest.nodeimage import active, boot_entry, wwsh
from lab.guest.nodeimage.boot_entry import Entry, Node
from lab.guest.nodeimage.errors import FAILED, UNKNOWN, NodeImageError, missing_program
from lab.guest.nodeimage.output import Result
from lab.guest.nodeimage.places import CURRENT, Places, locked
from lab.guest.system import System

FOLDER = ".boot"
"""Beside the roles, whose names begin with a letter or digit: iPXE scripts, and copies of SITE_INITRDS."""
SITE_INITRDS = "/etc/nodeimage/initrd.d"
"""Archives that nodes unpack over their image: what a site gives to all, e.g. an agent that fetches keys."""
SITE_KARGS = "/etc/nodeimage/kargs"
TFTP = "/var/lib/tftpboot"
LOADERS = ("ipxe", "pxelinux")
IPXE_URL = "http://%{IPADDR}/nodeimage/.boot/${mac}"
BELOW = "warewulf"
"""Where below the TFTP server's folder Warewulf has a node's PXELOADER (Provision/Dhcp/Isc.pm, persist)."""
PXELINUX = "nodeimage/lpxelinux.0"
PARTS = {
    "lpxelinux.0": ("/usr/lib/PXELINUX/lpxelinux.0", "/usr/share/syslinux/lpxelinux.0"),
    "ldlinux.c32": ("/usr/lib/syslinux/modules/bios/ldlinux.c32", "/usr/share/syslinux/ldlinux.c32"),
}
"""PXELINUX and what it loads first, where Debian and Enterprise Linux have them."""
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "ipxe": {"IPXEURL": IPXE_URL, "PXELOADER": ""},
    "pxelinux": {"IPXEURL": f"{BELOW}/{PXELINUX}", "PXELOADER": PXELINUX},
    "": {"IPXEURL": "", "PXELOADER": ""},
}
"""What Warewulf's data store says of a node, by loader. An iPXE that is told of PXELINUX starts it."""


@dataclass(frozen=True)
class Job:
    """Which nodes boot a role's active release, by which loader; by none, if they boot by Warewulf again."""

    system: System
    places: Places
    role: str
    nodes: Sequence[str]
    loader: str
    server: str
    tftp: str

    def path(self, *parts: str) -> str:
        """A path beside the roles' releases."""
        return self.places.served(FOLDER, *parts)

    def served(self, *parts: str) -> str:
        """A path of PXELINUX's folder."""
        return os.path.join(self.tftp, BELOW, os.path.dirname(PXELINUX), *parts)


def run(job: Job) -> Result:
    """Writes the nodes' entries and has DHCP name them, or takes both back."""
    if not job.system.is_root:
        raise NodeImageError(FAILED, "only root can change what nodes boot", hint="use sudo")
    nodes = named(job)
    with locked(job.path(), "boot entries"):
        return _off(job, nodes) if not job.loader else _on(job, nodes)


def _on(job: Job, nodes: Sequence[Node]) -> Result:
    known = active.now(job.places.served(job.role))
    if known is None:
        raise NodeImageError(
            UNKNOWN, f"no release of {job.role} is active", hint=f"nodeimage activate {job.role} RELEASE"
        )
    changed = offer(job, nodes)
    names = [node.name for node in nodes]
    line = f"{' '.join(names)}: the next boot takes {job.role}'s active release, now {known.release}"
    data = {"role": job.role, "release": known.release, "nodes": names, "loader": job.loader}
    return Result({**data, "changed": changed}, (line,))


def offer(job: Job, nodes: Sequence[Node], release: str = CURRENT) -> bool:
    """Has nodes boot a release from now on, by default whichever is active; returns whether that is new."""
    initrds = _initrds(job)
    changed = initrds.changed or (job.loader == "pxelinux" and _put_pxelinux(job))
    kargs = job.system.text(SITE_KARGS, boot_entry.KARGS).strip()
    for node in nodes:
        server = job.server or _server(job.system, node)
        entry = Entry(node, job.role, server, initrds.names, kargs, release)
        for path, text in _entries(job, node, entry).items():
            changed = job.system.write(job.system.inside(path), text.encode()) or changed
    return _tell(job, nodes, SETTINGS[job.loader]) or changed


def _off(job: Job, nodes: Sequence[Node]) -> Result:
    changed = _tell(job, nodes, SETTINGS[""])
    for node in nodes:
        for path in (job.path(boot_entry.ipxe_name(node)), _config(job, node)):
            changed = job.system.remove(job.system.inside(path)) or changed
    names = [node.name for node in nodes]
    line = f"{' '.join(names)}: the next boot takes what wwsh provision names"
    return Result({"role": job.role, "nodes": names, "loader": None, "changed": changed}, (line,))


def named(job: Job) -> list[Node]:
    """The nodes that the command line names."""
    return [_node(name, row) for name, row in sorted(wwsh.rows(job.system, "node", job.nodes).items())]


def _node(name: str, row: Mapping[str, str]) -> Node:
    for key in sorted(row):
        device, _, field = key.partition(".")
        if field == "HWADDR" and row[key] and row.get(f"{device}.IPADDR"):
            mac = row[key].split(",")[0].lower()
            netmask = row.get(f"{device}.NETMASK") or "255.255.255.0"
            return Node(name, device, mac, row[f"{device}.IPADDR"], netmask)
    raise NodeImageError(
        FAILED,
        f"{name} has no card with a hardware address and an IP address",
        hint=f"wwsh node print {name}",
    )


def _server(system: System, node: Node) -> str:
    """The head node's address on the network of a node."""
    done = system.run(["ip", "-4", "-o", "route", "get", node.address])
    found = re.search(r"\bsrc ([0-9.]+)", done.out.decode(errors="replace"))
    if found is None:
        said = done.err.decode(errors="replace").strip()
        raise NodeImageError(
            FAILED,
            f"no route to {node.name} ({node.address})",
            evidence=said,
            hint="name it: --server ADDRESS",
        )
    return found[1]


def _entries(job: Job, node: Node, entry: Entry) -> dict[str, str]:
    """The files of a node's entry. iPXE's is always there: a firmware that is an iPXE may ask for it."""
    found = {job.path(boot_entry.ipxe_name(node)): boot_entry.ipxe(entry)}
    if job.loader == "pxelinux":
        found[_config(job, node)] = boot_entry.pxelinux(entry)
    return found


def _config(job: Job, node: Node) -> str:
    return job.served("pxelinux.cfg", boot_entry.pxelinux_name(node))


@dataclass(frozen=True)
class _Initrds:
    names: Sequence[str]
    changed: bool


def _initrds(job: Job) -> _Initrds:
    """Copies a site's archives to where nodes fetch them."""
    names = [name for name in job.system.names(SITE_INITRDS) if not name.startswith(".")]
    place = job.system.inside(job.path("initrd"))
    copied = [
        job.system.write(f"{place}/{name}", job.system.read(f"{SITE_INITRDS}/{name}")) for name in names
    ]
    return _Initrds(names, any(copied))


def _put_pxelinux(job: Job) -> bool:
    changed = False
    for name, candidates in PARTS.items():
        source = next((path for path in candidates if job.system.is_file(path)), None)
        if source is None:
            raise missing_program(
                name, "apt install pxelinux syslinux-common; or dnf install syslinux-tftpboot"
            )
        target = job.system.inside(job.served(name))
        if not job.system.is_file(target) or job.system.read(target) != job.system.read(source):
            job.system.make_dir(os.path.dirname(target))
            with job.system.replacing(target) as temporary:
                shutil.copyfile(job.system.path(source), temporary)
            changed = True
    return changed


def _tell(job: Job, nodes: Sequence[Node], wanted: Mapping[str, str]) -> bool:
    """Has Warewulf name the loader in the DHCP answers of those nodes of which it does not do so yet."""
    now = wwsh.rows(job.system, "provision", [node.name for node in nodes])
    others = [
        node.name
        for node in nodes
        if any(now.get(node.name, {}).get(key, "") != value for key, value in wanted.items())
    ]
    if others:
        words = [f"--{key.lower()}={value or wwsh.NONE}" for key, value in wanted.items()]
        wwsh.run(job.system, "provision", "set", *others, *words)
    return bool(others)


@dataclass(frozen=True)
class Before:
    """What a node was going to boot: its entries, and what Warewulf's data store says."""

    node: Node
    files: Mapping[str, Optional[bytes]]
    settings: Mapping[str, str]


def seen(job: Job, node: Node) -> Before:
    """What a node would boot now."""
    paths = (job.path(boot_entry.ipxe_name(node)), _config(job, node))
    inside = [job.system.inside(path) for path in paths]
    files = {path: job.system.read(path) if job.system.is_file(path) else None for path in inside}
    row = wwsh.rows(job.system, "provision", [node.name]).get(node.name, {})
    return Before(node, files, {key: row.get(key, "") for key in SETTINGS[""]})


def put_back(job: Job, before: Before) -> None:
    """Has a node boot again what it was going to boot."""
    for path, data in before.files.items():
        if data is None:
            job.system.remove(path)
        else:
            job.system.write(path, data)
    _tell(job, [before.node], before.settings)
