"""Read-only questions: which labs exist, how their machines stand, and what this computer can do."""

from __future__ import annotations

import functools
import grp
import os
import pwd
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.backends.base import Capabilities, Finding, Protection
from lab.backends.libvirt import engine, protections
from lab.backends.libvirt.engine import metadata_of, translate_errors
from lab.backends.libvirt.storage import ROOT, LabFolder, lab_names, search_path
from lab.backends.object_names import PREFIX
from lab.errors import LabError
from lab.host_speed import measured_limit
from lab.model import CRASHED, ClusterSpec, LabRecord, NodeStatus, Power
from lab.process import ProcessTimeout, run
from lab.serialize import boot_from_json, spec_from_json

KVM = Path("/dev/kvm")
PROBE = Path(__file__).parent / "programs" / "kvm_probe.py"
QEMU_CONF = Path("/etc/libvirt/qemu.conf")
USER = re.compile(r"""^[ \t]*user[ \t]*=[ \t]*["']([^"'\n]+)["']""", re.MULTILINE)
TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mke2fs": "e2fsprogs",
    "sfdisk": "fdisk",
    "mkfs.fat": "dosfstools",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "mmdebstrap": "mmdebstrap",
    "unshare": "util-linux",
    "virsh": "libvirt-clients",
    "tc": "iproute2",
}
ROMS = (Path("/usr/lib/ipxe/qemu/pxe-virtio.rom"), Path("/usr/share/qemu/pxe-virtio.rom"))

KVM_DOMAIN = re.compile(r"""<domain\s[^>]*type=["']kvm["']""")
MISSING = frozenset({"shared-states"})


@dataclass(frozen=True)
class LabObject:
    """One libvirt object that belongs to a lab, with its metadata."""

    thing: Any
    metadata: dict[str, str]
    active: bool
    xml: str = ""  # as it was last described

    @property
    def kvm(self) -> bool:
        """Whether a machine's processors are the host's own, not emulated."""
        return KVM_DOMAIN.search(self.xml) is not None


def domains(connection: Any, lab: str | None = None) -> list[LabObject]:
    """The machines of a lab, or of all labs."""
    with translate_errors("listing the machines"):
        listed = connection.listAllDomains()
    import libvirt

    return _ours(listed, lab, libvirt.VIR_DOMAIN_XML_INACTIVE)


def networks(connection: Any, lab: str | None = None) -> list[LabObject]:
    """The networks of a lab, or of all labs."""
    with translate_errors("listing the networks"):
        listed = connection.listAllNetworks()
    import libvirt

    return _ours(listed, lab, libvirt.VIR_NETWORK_XML_INACTIVE)


def _ours(listed: Iterable[Any], lab: str | None, flag: int) -> list[LabObject]:
    """The objects of a lab, by their newest definition: a running one may still have an older one."""
    found = []
    for thing in listed:
        if not thing.name().startswith(f"{PREFIX}-{lab or ''}"):
            continue
        with engine.ignore_missing():
            active = bool(thing.isActive())
            xml = thing.XMLDesc(flag)
            metadata = metadata_of(xml)
            if metadata and lab in (None, metadata["name"]):
                found.append(LabObject(thing, metadata, active, xml))
    return found


def stands_still(domain: Any) -> bool:
    """Whether a machine that has power is paused: it is being saved, or its disk could not be written to."""
    import libvirt

    return bool(domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED)


def without_power(name: str, domain: Any) -> NodeStatus:
    """Status of a machine that is off: it was powered off, or its process died."""
    import libvirt

    with engine.ignore_missing():
        if domain.state() == [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_CRASHED]:
            return NodeStatus(name, Power.OFF, CRASHED, "its emulator, QEMU, died")
    return NodeStatus(name, Power.OFF, "off")


def record(connection: Any, lab: str) -> dict[str, str]:
    """The record of a lab on its networks; empty when the lab does not exist."""
    found = [wire.metadata for wire in networks(connection, lab)]
    return next(
        (metadata for metadata in found if metadata["network"] == "internal"), found[0] if found else {}
    )


def spec_of(metadata: dict[str, str]) -> ClusterSpec | None:
    """The specification in a record; None when there is none that can be read."""
    try:
        return spec_from_json(metadata["spec"])
    except (KeyError, ValueError):
        return None


def labs(connection: Any) -> tuple[LabRecord, ...]:
    """Lists every lab that has a machine, a network or a file here."""
    machines, wires = domains(connection), networks(connection)
    names = {found.metadata["name"] for found in (*machines, *wires)} | set(lab_names())
    return tuple(_record(lab, machines, wires) for lab in sorted(names))


def _record(lab: str, machines: Iterable[LabObject], wires: Iterable[LabObject]) -> LabRecord:
    mine = [found for found in machines if found.metadata["name"] == lab]
    metadata = [found.metadata for found in wires if found.metadata["name"] == lab]
    kept = next((one for one in metadata if one["network"] == "internal"), metadata[0] if metadata else {})
    return LabRecord(
        lab=lab,
        backend="libvirt",
        owner=kept.get("owner", ""),
        created=kept.get("created", ""),
        nodes=tuple(sorted(found.metadata["node"] for found in mine)),
        running=sum(found.active for found in mine),
        spec=spec_of(kept),
        pending=_noted(LabFolder(lab).pending),
        boot=boot_from_json(_noted(LabFolder(lab).booting)),
    )


def _noted(path: Path) -> str:
    """One of the small files in a lab's folder; "" if there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


@functools.cache
def kvm_verdict() -> tuple[bool, str]:
    """Whether KVM can run ordinary guests here, and why not; tested once per process."""
    if not KVM.exists():
        return False, "there is no /dev/kvm"
    try:
        done = run([sys.executable, "-I", "-S", str(PROBE)], timeout=measured_limit(20), check=False)
    except ProcessTimeout as problem:
        return False, problem.message
    return done.status == 0, done.stderr.strip()


def probe() -> Capabilities:
    """Says what this computer can do with libvirt; each finding ends with its fix."""
    daemon = _daemon()
    findings = (daemon, _processor(), _device(), _tools(), _place())
    name = daemon.evidence if daemon.ok else "libvirt"
    usable = all(one.ok is not False for one in findings)
    return Capabilities(name, usable, findings, MISSING, _protections if daemon.ok else tuple)


def _protections() -> tuple[Protection, ...]:
    return protections.examine(engine.connect(), kvm_verdict())


def _daemon() -> Finding:
    """The only finding that needs a connection; the others work without one."""
    try:
        connection = engine.connect()
        with translate_errors("asking for its version", "./quickstart --backend libvirt"):  # it needs a QEMU
            version = connection.getVersion()
            name = f"{version // 1000000}.{version // 1000 % 1000}.{version % 1000}"
            return Finding("libvirt", ok=True, evidence=f"QEMU {name}, libvirt {connection.getURI()}")
    except LabError as problem:
        return Finding("libvirt", ok=False, evidence=problem.evidence or problem.message, fix=problem.hint)


def _processor() -> Finding:
    usable, why = kvm_verdict()
    if usable:
        return Finding("KVM", ok=True, evidence="runs ordinary guests at speed")
    return Finding("KVM", ok=True, evidence=f"not usable ({why}): slow, emulated processors")


def _device() -> Finding:
    """If the daemon may open /dev/kvm and the machines may not, libvirt retries for 36 s at each start."""
    subject = "/dev/kvm's owner"
    if not KVM.exists():
        return Finding(subject, ok=True, evidence="it does not exist")
    if engine.is_session():
        may = "may" if os.access(KVM, os.R_OK | os.W_OK) else "may not (sudo usermod -aG kvm $USER)"
        return Finding(subject, ok=True, evidence=f"the daemon and the machines are ours, and {may} open it")
    info = KVM.stat()
    owner, group = _name(pwd.getpwuid, info.st_uid), _name(grp.getgrgid, info.st_gid)
    user = _user_of_machines()
    good = (
        bool(info.st_mode & stat.S_IWOTH)
        or (group == "kvm" and bool(info.st_mode & stat.S_IWGRP))
        or (user == info.st_uid and bool(info.st_mode & stat.S_IWUSR))
    )
    told = f"{stat.filemode(info.st_mode)} {owner}:{group}"
    if user is not None:
        told += f", machines run as {_name(pwd.getpwuid, user)}"
    return Finding(subject, good, told, "sudo chgrp kvm /dev/kvm; sudo chmod 660 /dev/kvm")


def _name(look_up: Callable[[int], tuple[Any, ...]], number: int) -> str:
    """Name of a user or group; its number if it has no name."""
    try:
        return str(look_up(number)[0])
    except KeyError:
        return str(number)


def _user_of_machines() -> int | None:
    """The user that machines run as by qemu.conf; None if it sets none or cannot be read."""
    try:
        found = USER.search(QEMU_CONF.read_text(encoding="utf-8", errors="replace"))
        return _number(found[1]) if found else None
    except (OSError, ValueError):
        return None


def _number(user: str) -> int:
    """As libvirt reads it: a user name first, else a number (a plus sign marks a number)."""
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return int(user)


def _tools() -> Finding:
    path = search_path()
    missing = list(
        dict.fromkeys(package for tool, package in TOOLS.items() if shutil.which(tool, path=path) is None)
    )
    if os.geteuid() != 0 and shutil.which("newuidmap", path=path) is None:
        missing.append("uidmap")
    if not any(rom.exists() for rom in ROMS):
        missing.append("ipxe-qemu")
    told = f"missing: {' '.join(missing)}" if missing else "all installed"
    return Finding("programs for machines", not missing, told, f"sudo apt-get install {' '.join(missing)}")


def _place() -> Finding:
    """Where machines' files are, and which kind of network connects them."""
    subject = "files of machines"
    if not engine.is_session():
        root = os.geteuid() == 0
        told = f"in {ROOT}" if root else f"{ROOT} belongs to root, and we are not"
        return Finding(subject, root, told, "sudo lab …, or without LAB_LIBVIRT_URI a libvirt of your own")
    told = f"in {ROOT}; no root, so no bridges: each lab has a switch of its own"
    return Finding(subject, ok=True, evidence=told)
