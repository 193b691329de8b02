"""The cluster as data: frozen, without behaviour that touches anything outside."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv4Network


class Role(Enum):
    """What a node is for."""

    SMS = "sms"
    LOGIN = "login"
    COMPUTE = "compute"
    OUTSIDE = "outside"  # no part of the cluster: a stranger's machine on the external network
    CLIENT = "client"  # no part of it either: a user's machine on the internal network, without any key


class Tag(Enum):
    """What a compute node is made of; not a role."""

    CPU = "cpu"
    GPU = "gpu"


class Root(Enum):
    """Where a stateless node keeps its root file system."""

    RAM = "ram"  # unpacked into a tmpfs of half the node's memory, as Warewulf does
    OVERLAY = "overlay"  # one unpacked copy shared by the lab's nodes: many more nodes fit


@dataclass(frozen=True)
class Interface:
    """One network card: its name in the node, its segment, MAC and address (None: by DHCP only)."""

    name: str
    network: str
    mac: str
    address: IPv4Address | None


@dataclass(frozen=True)
class Network:
    """One layer-2 segment that nodes attach to."""

    name: str
    subnet: IPv4Network


@dataclass(frozen=True)
class Node:
    """One emulated machine; memory in MiB, disk in GiB (0: none)."""

    name: str
    role: Role
    tag: Tag
    cpus: int
    memory: int
    disk: int
    gpus: int
    interfaces: tuple[Interface, ...]
    registered: bool = True  # known to the provisioning database when the lab is handed out

    @property
    def card(self) -> Interface:
        """The card it is known by: that on the internal network, or the only one of a node outside."""
        internal = [card for card in self.interfaces if card.network == "internal"]
        return internal[0] if internal else self.interfaces[0]

    @property
    def mac(self) -> str:
        """MAC of the card it is known by: what the SMS knows the node by."""
        return self.card.mac

    @property
    def address(self) -> IPv4Address:
        """Address of the card it is known by."""
        found = self.card.address
        if found is None:
            raise ValueError(f"{self.name} has no address on the network {self.card.network}")
        return found

    @property
    def external(self) -> IPv4Address | None:
        """Address on the external network, where it has one."""
        return next((card.address for card in self.interfaces if card.network == "external"), None)


@dataclass(frozen=True)
class ClusterSpec:
    """Everything that says what a lab's cluster is."""

    lab: str
    backend: str
    course: str
    networks: tuple[Network, ...]
    nodes: tuple[Node, ...]
    root: Root = Root.RAM
    image_release: str = "trixie"
    extra: tuple[tuple[str, str], ...] = field(default=())

    def node(self, name: str) -> Node:
        """The node of that name; KeyError when there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def network(self, name: str) -> Network:
        """The network of that name; KeyError when there is none."""
        for network in self.networks:
            if network.name == name:
                return network
        raise KeyError(name)

    @property
    def sms(self) -> Node:
        """The head node."""
        return next(node for node in self.nodes if node.role is Role.SMS)

    @property
    def stateless(self) -> tuple[Node, ...]:
        """Every node that the SMS provisions."""
        return tuple(node for node in self.nodes if node.role in (Role.LOGIN, Role.COMPUTE))


class Power(Enum):
    """Whether a node's chassis has power on; not whether its system is well."""

    ON = "on"
    OFF = "off"
    ABSENT = "absent"  # the engine has no such machine (never made, or removed by hand)


UNPLUGGED, PAUSED, CRASHED = "unplugged", "paused", "crashed"
"""Stages that are the chassis's: its cables lie loose, its processor stands still, or it failed."""


@dataclass(frozen=True)
class NodeStatus:
    """What the backend can say about one node without entering it.

    `stage` is the boot agent's last word, for example `pxe`, `bootstrap`, `vnfs`, `files`,
    `init` or `off`; `since` is seconds since that stage began, when known.
    """

    name: str
    power: Power
    stage: str = ""
    detail: str = ""
    since: float | None = None


@dataclass(frozen=True)
class LabRecord:
    """One lab as the engine remembers it, even when every file of ours has gone."""

    lab: str
    backend: str
    owner: str
    created: str  # ISO 8601, UTC
    nodes: tuple[str, ...]
    running: int
    spec: ClusterSpec | None  # None when an orphan's label cannot be read
    pending: str = ""  # the state that the lab was on its way to when it was interrupted
