"""Which machines of a lab are not as a specification asks, and why; judged by what they show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lab.backends import unmanaged
from lab.backends.actions import Stale, Verb, differences
from lab.backends.libvirt import inspection, snapshots
from lab.backends.libvirt.domain_xml import profile
from lab.backends.libvirt.inspection import LabObject
from lab.backends.libvirt.storage import LabFolder
from lab.model import ClusterSpec, Node, Role

OTHER_VERSION = "defined otherwise, by an interrupted lab up or another version of lab"
FILES_GONE = "the lab's files are gone"
ASLEEP = "memory is in a file, as a snapshot was interrupted"
NAMES = re.compile(r"<entry[^>]*>rackling\.names=([^<]*)</entry>")


def stale(connection: Any, spec: ClusterSpec) -> tuple[Stale, ...]:
    """The machines that must be remade, changed in place or unpaused."""
    present = {found.metadata["node"]: found for found in inspection.domains(connection, spec.lab)}
    folder = LabFolder(spec.lab)
    machines = [(node, present[node.name]) for node in spec.nodes if node.name in present]
    if not folder.key.exists():  # disks and keys went with it: nothing is left to go on with
        return tuple(Stale(node.name, Verb.REMAKE, FILES_GONE) for node, _ in machines)
    old = inspection.spec_of(inspection.record(connection, spec.lab)) or spec
    asleep = snapshots.asleep(folder, present)
    found: list[Stale] = []
    for node, machine in machines:
        found += _machine(old, spec, node, machine)
        if node.name in asleep:
            found.append(Stale(node.name, Verb.UNPAUSE, ASLEEP))
    return tuple(found)


def keeps_kvm(machine: LabObject) -> tuple[bool, str]:
    """Whether a machine's processors are the host's own, and why it must give that up ("": it need not).

    A machine keeps the kind of processors it was defined with, whatever the verdict on KVM is today: else
    all would be remade, disks included, whenever that flips. Only one without power that KVM can no longer
    run is changed, and its disk is kept.
    """
    kvm, why = inspection.kvm_verdict()
    if machine.kvm and not kvm and not machine.active:
        return False, f"KVM cannot be used any more ({why})"
    return machine.kvm, ""


def _machine(old: ClusterSpec, spec: ClusterSpec, node: Node, machine: LabObject) -> Iterator[Stale]:
    folder, current = LabFolder(spec.lab), machine.metadata["profile"]
    kvm, no_kvm = keeps_kvm(machine)
    if node.role is Role.SMS:  # never remade: its disk holds the learner's work
        if current != profile(spec, node, folder, kvm=kvm):
            yield Stale(node.name, Verb.CHANGE, _reason_of_sms(old, spec, no_kvm))
        return
    known = _known_names(machine)
    if current != profile(spec, node, folder, kvm=machine.kvm, names=known):
        yield Stale(node.name, Verb.REMAKE, _reason(old, node))
        return
    reasons = [no_kvm] if no_kvm else []
    if known != unmanaged.names(spec, node):
        reasons.append("names of the other nodes")
    if reasons:
        yield Stale(node.name, Verb.CHANGE, ", ".join(reasons))


def _reason_of_sms(old: ClusterSpec, spec: ClusterSpec, no_kvm: str) -> str:
    own = differences(old.sms, spec.sms)
    description = "description of the cluster" if old != spec or not no_kvm else ""
    return ", ".join(filter(None, [own, no_kvm, description]))


def _reason(old: ClusterSpec, node: Node) -> str:
    before = next((one for one in old.nodes if one.name == node.name), node)
    return differences(before, node) or OTHER_VERSION


def _known_names(machine: LabObject) -> tuple[str, ...]:
    """The names of other nodes that a machine's firmware holds."""
    found = NAMES.search(machine.xml)
    return tuple(found[1].split(";")) if found else ()
