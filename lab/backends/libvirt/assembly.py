"""Creates the parts of a lab: its networks, which carry its record, its disks, and a machine per node."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.account import account_name
from lab.backends.base import Say
from lab.backends.libvirt import console_log, engine, inspection, user_network, wire_guard
from lab.backends.libvirt.domain_xml import domain_xml, has_system_disk, network_xml, wire_of
from lab.backends.libvirt.engine import bridge_name, ignore_missing, insist, translate_errors
from lab.backends.libvirt.storage import DiskStore, LabFolder
from lab.model import ClusterSpec, Node, Role
from lab.polling import monotonic, wait_for
from lab.serialize import spec_to_json

SERVICE_SECONDS = 600.0


def make_wires(connection: Any, spec: ClusterSpec) -> None:
    """Creates the missing networks of the lab, records the specification on them, and starts them.

    Without root they only carry the record, and frames pass through the lab's own switch.
    """
    there = {found.metadata["network"]: found for found in inspection.networks(connection, spec.lab)}
    text = spec_to_json(spec)
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    for network in spec.networks:
        found = there.get(network.name)
        wire = None if found is None else found.thing
        with translate_errors(f"creating the network {network.name}"):
            if found is None or found.metadata["spec"] != text:
                metadata = found.metadata if found else {"owner": account_name(), "created": now}
                uuid = found.thing.UUIDString() if found else ""
                described = wire_of(spec, network, metadata["owner"], metadata["created"], uuid)
                wire = connection.networkDefineXML(network_xml(described))
            if engine.is_session():
                continue
            with ignore_missing():
                if wire is not None and not wire.isActive():
                    wire.create()
            wire_guard.close_bridge(bridge_name(spec.lab, network.name))
    if engine.is_session():
        user_network.start_switch(LabFolder(spec.lab), spec)


def make_disks(
    node: Node, folder: LabFolder, store: DiskStore, *, anew: bool = False, sms_disk: str = "sms"
) -> None:
    """Creates the missing disks of a machine; with `anew` all of them, except the SMS's identity."""
    if has_system_disk(node):
        base_name = sms_disk if node.role is Role.SMS else "sms"
        folder.make_system_disk(node.name, store, anew=anew, base_name=base_name)
        if node.role is Role.SMS:
            folder.make_identity_disk(node.name)
    elif node.disk:
        folder.make_node_disk(node.name, node.disk, anew=anew)


def define(
    connection: Any, spec: ClusterSpec, node: Node, folder: LabFolder, *, kvm: bool, uuid: str = ""
) -> Any:
    """Defines a machine, or redefines an existing one; does not power it on."""
    with translate_errors(f"creating {node.name}"):
        return connection.defineXML(domain_xml(spec, node, folder, kvm=kvm, uuid=uuid))


def power_on(domain: Any, console: Path) -> None:
    """Powers a machine on; nothing happens to one that is on."""
    import libvirt

    with translate_errors(f"starting {domain.name()}"), ignore_missing():
        if not domain.isActive():
            console_log.note_power_on(console)
            insist(lambda: domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED))
            wire_guard.close_cards(domain)
            domain.resume()


def await_service(folder: LabFolder, sms: str, say: Say) -> None:
    """Waits until a booting SMS serves nodes, at most SERVICE_SECONDS.

    Machines that repeat unanswered requests keep the few emulated processors busy, and slow the SMS's boot.
    """

    def serves() -> bool:
        return console_log.serves(console_log.read_since_power_on(folder.console(sms)))

    if not serves():
        say(f"waiting for {sms} before the other nodes are powered on, as they share its emulated processors")
        wait_for(serves, monotonic() + SERVICE_SECONDS, every=1.0)
