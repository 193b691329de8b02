"""Which containers of a lab are not as a specification asks, and why; judged by what they show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lab.backends import unmanaged
from lab.backends.actions import Stale, Verb, differences
from lab.backends.docker import assembly, engine, inspection
from lab.backends.docker.container_spec import PERIOD, chassis_of, processor_time
from lab.backends.docker.engine import container_name, translate_errors
from lab.model import ClusterSpec, Node, Role

if TYPE_CHECKING:
    from docker import APIClient

Entry = dict[str, Any]
OTHER_VERSION = "created by another version of lab"


def stale(client: APIClient, spec: ClusterSpec, host_cpus: int) -> tuple[Stale, ...]:
    """The nodes that must be remade, changed in place or restarted."""
    present = inspection.containers(client, spec.lab)
    found: list[Stale] = []
    for node in spec.nodes:
        if node.name not in present:
            continue
        if node.role is Role.SMS:
            found += _sms(client, spec, host_cpus)
        else:
            found += _other(client, spec, node, present[node.name])
    return (*found, *_without_switch(present))


def _sms(client: APIClient, spec: ClusterSpec, host_cpus: int) -> Iterator[Stale]:
    """The SMS is never remade: its disk holds the learner's work."""
    reasons = _resized(client, spec, host_cpus)
    if not assembly.knows(client, spec):
        reasons.append("description of the cluster")
    if reasons:
        yield Stale(spec.sms.name, Verb.CHANGE, ", ".join(reasons))


def _resized(client: APIClient, spec: ClusterSpec, host_cpus: int) -> list[str]:
    with translate_errors(f"looking at {spec.sms.name}"):
        limits = client.inspect_container(container_name(spec.lab, spec.sms.name))["HostConfig"]
    memory, quota = int(limits["Memory"]) >> 20, int(limits["CpuQuota"])
    wanted = processor_time(spec.sms.cpus, host_cpus)["cpu_quota"]
    reasons = [f"memory {memory} → {spec.sms.memory}"] if memory != spec.sms.memory else []
    # The engine says 0 or -1 of a container without a limit.
    if max(quota, 0) != max(wanted, 0):
        before = str(quota // PERIOD) if quota > 0 else f"all {host_cpus}"
        reasons.append(f"cpus {before} → {spec.sms.cpus}")
    return reasons


def _other(client: APIClient, spec: ClusterSpec, node: Node, entry: Entry) -> Iterator[Stale]:
    """Every other node is remade when something of its own has changed; names of other nodes are handed over.

    A container's labels hold the specification that it was created from: its names are part of its
    environment, which never changes, and so of its profile.
    """
    made = inspection.spec_of([entry]) or spec
    profile = chassis_of(spec, node, "", names_from=made).profile
    if entry["Labels"].get(engine.PROFILE) != profile:
        yield Stale(node.name, Verb.REMAKE, _reason(made, spec, node))
    elif node.role in unmanaged.UNMANAGED:
        known = assembly.known_names(client, spec.lab, node.name) or unmanaged.names(made, node)
        if known != unmanaged.names(spec, node):
            yield Stale(node.name, Verb.CHANGE, "names of the other nodes")


def _reason(made: ClusterSpec, spec: ClusterSpec, node: Node) -> str:
    old = next((one for one in made.nodes if one.name == node.name), node)
    reasons = [differences(old, node)]
    if made.root is not spec.root:
        reasons.append(f"root {made.root.value} → {spec.root.value}")
    if made.sms.address != spec.sms.address:
        reasons.append(f"address of the SMS {made.sms.address} → {spec.sms.address}")
    return ", ".join(filter(None, reasons)) or OTHER_VERSION


def _without_switch(present: dict[str, Entry]) -> Iterator[Stale]:
    """A chassis keeps the cards of a switch that is gone, and gets new ones only with new namespaces."""
    if present.get("switch", {}).get("State") == "running":
        return
    for name, entry in present.items():
        if name != "switch" and entry["State"] == "running":
            yield Stale(name, Verb.RESTART, "cables were lost with the switch, which does not run")
