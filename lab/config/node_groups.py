"""Makes nodes of node groups, with names, addresses and MACs, and finds what is wrong with them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Any

from lab.config.node_names import name_fault
from lab.config.schema import Problem
from lab.config.subnets import Layout, address_fault, layout
from lab.model import Interface, Network, Node, Role, Tag

INTERNAL, EXTERNAL = "internal", "external"
SMALLEST_SMS, SMALLEST_RUNNER = 512, 1024
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_CARDS = {  # which card is on which network; the same as in the OpenHPC tutorial
    Role.SMS: ((EXTERNAL, "eth0"), (INTERNAL, "eth1")),
    Role.LOGIN: ((INTERNAL, "eth0"), (EXTERNAL, "eth1")),
    Role.COMPUTE: ((INTERNAL, "eth0"),),
    Role.OUTSIDE: ((EXTERNAL, "eth0"),),
    Role.CLIENT: ((INTERNAL, "eth0"),),
    Role.RUNNER: ((INTERNAL, "eth0"),),
}


@dataclass(frozen=True)
class NodeGroup:
    """One table under [nodes] with its defaults; `index` counts the groups of compute nodes from 1."""

    name: str
    index: int
    role: Role
    tag: Tag
    count: int | None
    cpus: int
    memory: int
    disk: int
    gpus: int
    registered: bool
    first_address: str | None
    macs: tuple[str, ...]
    mac_key: str  # the key that the MACs were given with

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its nodes."""
        if self.count is None or self.role is Role.RUNNER:
            return (self.name,) if self.count != 0 else ()
        return tuple(f"{self.name}{number}" for number in range(1, self.count + 1))


def node_group(name: str, index: int, table: Mapping[str, Any]) -> NodeGroup:
    """Makes a group from a table of valid types, and fills in the defaults."""
    tag = Tag(table.get("tag", "cpu"))
    macs = [table["mac"]] if "mac" in table else table.get("macs", [])
    return NodeGroup(
        name=name,
        index=index,
        role=Role(table.get("role", "compute")),
        tag=tag,
        count=table.get("count"),
        cpus=table.get("cpus", 2),
        memory=table.get("memory", 1024),
        disk=table.get("disk", 20),
        gpus=table.get("gpus", 2 if tag is Tag.GPU else 0),
        registered=table.get("registered", True),
        first_address=table.get("first_address"),
        macs=tuple(mac.lower() for mac in macs),
        mac_key="mac" if "mac" in table else "macs",
    )


def group_problems(found: NodeGroup, table: Mapping[str, Any]) -> Iterator[Problem]:
    """Yields the problems of one group that do not depend on other groups."""
    path = ("nodes", found.name)
    where = ".".join(path)
    if words := name_fault(found.name, numbered=found.count is not None):
        yield Problem(path, f"{where}: {words}")
    yield from _role_problems(found, table)
    if "mac" in table and "macs" in table:
        yield Problem((*path, "mac"), f"{where}: set mac or macs, not both")
    if "mac" in table and len(found.names) > 1:
        yield Problem((*path, "mac"), f"{where}.mac: {len(found.names)} nodes need a list of MACs; use macs")
    elif len(found.macs) > len(found.names):
        yield Problem((*path, "macs"), f"{where}.macs: {len(found.macs)} MACs for {len(found.names)} nodes")
    for number, mac in enumerate(found.macs):
        if words := _mac_fault(mac):
            yield Problem(_mac_path(found, number), f'{where}: MAC "{mac}" {words}')
    if found.first_address is not None and _address(found.first_address) is None:
        yield Problem(
            (*path, "first_address"),
            f'{where}.first_address = "{found.first_address}": must be an IPv4 address',
        )


def expand(
    groups: Sequence[NodeGroup], networks: Mapping[str, Network]
) -> tuple[tuple[Node, ...], list[Problem]]:
    """Makes the nodes of valid groups, and lists names, addresses and MACs that collide or do not fit."""
    if problems := list(_overfull(groups, networks)):
        return (), problems
    taken = {mac: name for found in groups for mac, name in zip(found.macs, found.names, strict=False)}
    plan = _layout(groups, networks)
    counted: Counter[Role] = Counter()
    nodes: list[Node] = []
    seen: dict[object, str] = {}
    by_node = {name: found for found in groups for name in found.names}
    for found in groups:
        for number, name in enumerate(found.names):
            addresses = _addresses(found, number, counted[found.role], networks, plan)
            counted[found.role] += 1
            macs = _macs(found, number, taken)
            node = _node(found, name, addresses, macs)
            problems += _clashes(found, node, networks, seen, by_node)
            nodes.append(node)
    return tuple(nodes), problems


def derived_mac(node: str, card: str, attempt: int = 0) -> str:
    """Derives a MAC under 52:54:00 from the names of the node and the card.

    The lab's name has no part in it: labs have separate networks, and so every lab can use the start
    states that another has made.
    """
    text = "\0".join((node, card, str(attempt)))
    tail = hashlib.sha256(text.encode()).digest()[:3]
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in tail)


def _role_problems(found: NodeGroup, table: Mapping[str, Any]) -> Iterator[Problem]:
    path = ("nodes", found.name)
    where = ".".join(path)
    if found.role is not Role.COMPUTE and (found.tag is Tag.GPU or found.gpus):
        key = "tag" if "tag" in table else "gpus"
        yield Problem((*path, key), f"{where}.{key}: only compute nodes have GPUs")
    elif found.tag is Tag.GPU and not found.gpus:
        yield Problem((*path, "gpus"), f"{where}.gpus = 0: a node with tag gpu needs at least 1")
    elif found.tag is Tag.CPU and found.gpus:
        yield Problem((*path, "gpus"), f'{where}.gpus = {found.gpus}: needs tag = "gpu"')
    if found.role is Role.OUTSIDE and found.first_address is not None:
        yield Problem(
            (*path, "first_address"), f"{where}.first_address: an outside node has no internal address"
        )
    if found.role is Role.RUNNER:
        yield from _runner_problems(found, path)
    if found.role is not Role.SMS:
        return
    if found.count is not None:
        yield Problem((*path, "count"), f"{where}.count: the SMS takes no count, since a lab has exactly one")
    if not found.registered:
        yield Problem((*path, "registered"), f"{where}.registered: the SMS is always registered")
    if found.memory < SMALLEST_SMS:
        yield Problem(
            (*path, "memory"), f"{where}.memory = {found.memory}: an SMS needs at least {SMALLEST_SMS}"
        )


def _runner_problems(found: NodeGroup, path: tuple[str, ...]) -> Iterator[Problem]:
    where = ".".join(path)
    if (found.count or 0) > 1:
        yield Problem((*path, "count"), f"{where}.count = {found.count}: a lab has at most one runner")
    if found.names and found.memory < SMALLEST_RUNNER:
        yield Problem(
            (*path, "memory"), f"{where}.memory = {found.memory}: a runner needs at least {SMALLEST_RUNNER}"
        )


def _mac_path(found: NodeGroup, number: int) -> tuple[str, ...]:
    """The key of a node's MAC: with `macs`, the member of the list."""
    member = (str(number + 1),) if found.mac_key == "macs" else ()
    return ("nodes", found.name, found.mac_key, *member)


def _mac_fault(mac: str) -> str:
    if not _MAC.fullmatch(mac):
        return "must be six pairs of hexadecimal digits with colons, such as 52:54:00:12:34:56"
    if int(mac.replace(":", ""), 16) == 0:
        return "is no address of a card: it has only zeros"
    if int(mac[:2], 16) & 1:
        return "is a multicast address; the first pair must be even"
    return ""


def _address(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except AddressValueError:
        return None


def _overfull(groups: Sequence[NodeGroup], networks: Mapping[str, Network]) -> Iterator[Problem]:
    """Finds networks that have fewer addresses than nodes."""
    for name, network in networks.items():
        cards = sum(len(found.names) for found in groups if name in dict(_CARDS[found.role]))
        room = network.subnet.num_addresses - 2
        if cards > room:
            yield Problem(
                ("networks", name, "subnet"),
                f"networks.{name}.subnet = {network.subnet}: too small: {cards} nodes need an address, "
                f"and it has {room}",
            )


def _layout(groups: Sequence[NodeGroup], networks: Mapping[str, Network]) -> Layout:
    free = [found for found in groups if found.first_address is None]
    compute = [(found.name, found.index, len(found.names)) for found in free if found.role is Role.COMPUTE]
    logins, clients, runners = (
        sum(len(found.names) for found in free if found.role is role)
        for role in (Role.LOGIN, Role.CLIENT, Role.RUNNER)
    )
    subnets = {name: network.subnet for name, network in networks.items()}
    return layout(subnets, compute, logins, clients, runners)


def _addresses(
    found: NodeGroup, number: int, ordinal: int, networks: Mapping[str, Network], plan: Layout
) -> dict[str, int]:
    """Returns the internal and the external address as numbers, which may be too large for an address.

    `number` counts the nodes of the group from 0, `ordinal` those of its role.
    """
    bases = {name: int(network.subnet.network_address) for name, network in networks.items()}
    if found.first_address is not None:
        internal = int(IPv4Address(found.first_address)) + number
    else:
        internal = bases[INTERNAL] + _host(found, number, ordinal, plan)
    outside = found.role is Role.OUTSIDE
    host = plan.outside(ordinal) if outside else plan.server(ordinal + (found.role is Role.LOGIN))
    return {INTERNAL: internal, EXTERNAL: bases[EXTERNAL] + host}


def _host(found: NodeGroup, number: int, ordinal: int, plan: Layout) -> int:
    if found.role is Role.COMPUTE:
        return plan.starts[found.name] + number
    if found.role is Role.CLIENT:
        return plan.client(ordinal)
    if found.role is Role.RUNNER:
        return plan.runner()
    return {Role.SMS: 1, Role.LOGIN: 2 + ordinal}.get(found.role, 0)


def _macs(found: NodeGroup, number: int, taken: dict[str, str]) -> dict[str, str]:
    macs: dict[str, str] = {}
    name = found.names[number]
    known = EXTERNAL if found.role is Role.OUTSIDE else INTERNAL
    for network, card in _CARDS[found.role]:
        if network == known and number < len(found.macs):
            macs[network] = found.macs[number]
            continue
        attempt = 0
        while (mac := derived_mac(name, card, attempt)) in taken:
            attempt += 1
        taken[mac] = name
        macs[network] = mac
    return macs


def _node(found: NodeGroup, name: str, addresses: dict[str, int], macs: dict[str, str]) -> Node:
    limit = int(IPv4Address("255.255.255.255"))
    return Node(
        name=name,
        role=found.role,
        tag=found.tag,
        cpus=found.cpus,
        memory=found.memory,
        disk=found.disk,
        gpus=found.gpus,
        interfaces=tuple(
            Interface(card, network, macs[network], IPv4Address(min(addresses[network], limit)))
            for network, card in _CARDS[found.role]
        ),
        registered=found.registered,
    )


def _clashes(
    found: NodeGroup,
    node: Node,
    networks: Mapping[str, Network],
    seen: dict[object, str],
    by_node: Mapping[str, NodeGroup],
) -> Iterator[Problem]:
    path = ("nodes", found.name)
    if (other := seen.setdefault(node.name, found.name)) != found.name:
        yield Problem(path, f"nodes.{found.name}: its node {node.name} is also one of nodes.{other}")
        return
    for card in node.interfaces:
        key = (*path, "first_address") if card.network == INTERNAL else path
        subnet = networks[card.network].subnet
        where = f"nodes.{found.name}: address {card.address} of {node.name}"
        if card.address is not None and (fault := address_fault(card.address, subnet)):
            yield Problem(key, f"{where} {fault}")
        elif (other := seen.setdefault(card.address, node.name)) != node.name:
            yield _shared_address(found, node.name, other, card, by_node)
        if (other := seen.setdefault(card.mac, node.name)) != node.name:
            yield Problem(
                _mac_path(found, found.names.index(node.name)),
                f"nodes.{found.name}: MAC {card.mac} of {node.name} belongs to {other}",
            )


def _shared_address(
    found: NodeGroup, name: str, other: str, card: Interface, by_node: Mapping[str, NodeGroup]
) -> Problem:
    """Blames the group whose address was chosen, where the other's follows from the defaults."""
    if found.first_address is None and by_node[other].first_address is not None:
        found, name, other = by_node[other], other, name
    path = ("nodes", found.name, "first_address")
    return Problem(path, f"nodes.{found.name}: address {card.address} of {name} belongs to {other}")
