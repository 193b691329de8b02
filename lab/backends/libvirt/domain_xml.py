"""From the specification to libvirt's XML of machines and networks."""

from __future__ import annotations

import base64
import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.backends import unmanaged
from lab.backends.libvirt import engine
from lab.backends.libvirt.engine import NAMESPACE, bridge_name, domain_name, network_name
from lab.backends.libvirt.storage import LabFolder
from lab.model import ClusterSpec, Network, Node, Role
from lab.paths import data_folder
from lab.serialize import spec_to_json

# Without what a lab does not need: where processors are emulated in software, that saves a tenth of a boot's
# work, and keeps its clock. And a kernel that trips over its own patching there (vms/domain.xml) shall begin
# anew. The SMS passes it all on to its nodes, but for what is about its disk (lab/guest/setup/vm_host.py).
CMDLINE = (
    "root=/dev/vda rw console=ttyS0,115200 net.ifnames=0 quiet mitigations=off apparmor=0 init_on_alloc=0 "
    "audit=0 nokaslr nowatchdog rcupdate.rcu_expedited=1 no_timer_check cryptomgr.notests "
    "randomize_kstack_offset=off oops=panic panic=1"
)
TRANSLATION_CACHE = {True: 128, False: 64}  # MiB, on top of a machine's memory, where KVM cannot be had


@dataclass(frozen=True)
class NetworkRecord:
    """The record on a network: its lab, owner, creation time, and the lab's whole specification."""

    lab: str
    network: str
    owner: str
    created: str
    spec: str
    uuid: str = ""


def network_xml(wire: NetworkRecord) -> str:
    """XML of one network."""
    return _render(
        "network.xml",
        name=network_name(wire.lab, wire.network),
        bridge=bridge_name(wire.lab, wire.network),
        namespace=NAMESPACE,
        **vars(wire),
    )


def wire_of(spec: ClusterSpec, network: Network, owner: str, created: str, uuid: str = "") -> NetworkRecord:
    """The record of a network."""
    return NetworkRecord(spec.lab, network.name, owner, created, spec_to_json(spec), uuid)


def domain_xml(spec: ClusterSpec, node: Node, folder: LabFolder, *, kvm: bool, uuid: str = "") -> str:
    """XML of one machine."""
    values = _values(spec, node, folder, kvm=kvm)
    return _render("domain.xml", uuid=uuid, profile=profile(spec, node, folder, kvm=kvm), **values)


def profile(
    spec: ClusterSpec, node: Node, folder: LabFolder, *, kvm: bool, names: tuple[str, ...] | None = None
) -> str:
    """Digest of a machine's definition; if it differs, the machine must be remade.

    `names` are those of other nodes that an existing machine knows: they are no reason to remake it.
    """
    values = _values(spec, node, folder, kvm=kvm, names=names)
    return hashlib.sha256(repr(sorted(values.items())).encode()).hexdigest()[:16]


def _values(
    spec: ClusterSpec, node: Node, folder: LabFolder, *, kvm: bool, names: tuple[str, ...] | None = None
) -> dict[str, Any]:
    boots_from_disk = has_system_disk(node)
    strings = [f"rackling.door={folder.public_key}"]
    values: dict[str, Any] = {}
    if boots_from_disk:
        base = folder.base_of(node.name)
        values = {"kernel": str(base.kernel), "initrd": str(base.initrd), "cmdline": CMDLINE}
    if node.role is Role.SMS:
        strings.append(f"rackling.cluster={_packed(spec_to_json(spec))}")
    else:
        strings += _provided(spec, node, unmanaged.names(spec, node) if names is None else names)
    return values | {
        "lab": spec.lab,
        "node": node.name,
        "name": domain_name(spec.lab, node.name),
        "namespace": NAMESPACE,
        "kvm": kvm,
        "memory": node.memory,
        "cpus": node.cpus,
        "gpus": node.gpus,
        "strings": strings,
        "translation_cache": TRANSLATION_CACHE[node.role is Role.SMS],
        "disks": _disks(node, folder),
        "cards": [
            {
                "mac": card.mac,
                "network": network_name(spec.lab, card.network),
                "boots": card.network == "internal" and not boots_from_disk,
                "sockets": _sockets(folder, node.name, card.network),
            }
            for card in node.interfaces
        ],
        "console": str(folder.console(node.name)),
        "ports": {"door": str(folder.door(node.name)), "clock": str(folder.clock(node.name))},
    }


def _sockets(folder: LabFolder, node: str, network: str) -> dict[str, str]:
    """Sockets of a card that has no bridge; commas are doubled as QEMU separates arguments with them."""
    if not engine.is_session():
        return {}
    found = {"local": folder.wire(node, network), "remote": folder.switch(network)}
    return {name: str(path).replace(",", ",,") for name, path in found.items()}


def has_system_disk(node: Node) -> bool:
    """Whether a machine boots from a disk; the others boot from the network."""
    return node.role is Role.SMS or node.role in unmanaged.UNMANAGED


def _provided(spec: ClusterSpec, node: Node, names: tuple[str, ...]) -> list[str]:
    """What its firmware tells a machine, as no SMS does (lab/guest/files/initramfs/lib/agent/smbios.sh)."""
    found = {
        "addresses": " ".join(unmanaged.addresses(spec, node)),
        "names": ";".join(names),
    }
    if node.role in unmanaged.UNMANAGED:
        found |= {"beside": node.role.value, "hostname": node.name, "server": str(spec.sms.address)}
    return [f"rackling.{key}={value}" for key, value in found.items() if value]


def _disks(node: Node, folder: LabFolder) -> list[dict[str, str]]:
    """Disks of a machine: the SMS has a system disk and an identity disk, a node at most one disk."""
    formats = {"a": "raw"} if node.disk else {}
    if has_system_disk(node):
        formats = {"a": "qcow2"}
    if node.role is Role.SMS:
        formats["b"] = "raw"
    base = str(folder.base_of(node.name).disk) if "qcow2" in formats.values() else ""
    return [
        {
            "name": f"vd{letter}",
            "format": form,
            "path": str(folder.disk(node.name, letter)),
            "base": base if form == "qcow2" else "",
        }
        for letter, form in formats.items()
    ]


def _packed(text: str) -> str:
    """Compressed, to fit into a firmware table; deterministic, as it is part of the profile."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _render(template: str, /, **values: Any) -> str:
    import jinja2

    folder: Path = data_folder("vms")
    surroundings = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return surroundings.get_template(template).render(**{"kernel": "", "uuid": ""} | values)
